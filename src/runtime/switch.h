/* SPDX-License-Identifier: MIT
 *
 * switch.h: from one stack to another.
 *
 * What a function call must preserve is saved on the old stack, the stack pointer is exchanged, and
 * the same is loaded from the new one: nothing the C compiler does not know from an ordinary call.
 * The signal mask is not touched. The floating-point modes (rounding, exception masks, what happens
 * to denormals) belong to the task; switch_x86_64.h says how they are kept there, the other switches
 * do it themselves.
 *
 * switch_x86_64.h and switch_aarch64.S for these processors, switch_ucontext.c for all others.
 */
#ifndef CEASE_RUNTIME_SWITCH_H
#define CEASE_RUNTIME_SWITCH_H

#include <cease/attr.h>
#include <fenv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(CEASEI_UCONTEXT)
#include "runtime/switch_x86_64.h"
#else

/* Makes what ceasei_switch takes as `to`: a call of entry() on the stack that ends at `top`
 * (16-byte aligned) and begins at `bottom`. entry must not return. A backtrace ends there. */
void *ceasei_switch_prepare(void *bottom, void *top, void (*entry)(void));

/* Saves the caller's registers on its stack and its stack pointer in *save, and continues where
 * `to` was saved. Returns when somebody switches to what is in *save. */
void ceasei_switch(void **save, void *to);

static inline int ceasei_jump_back(void)
{
    return 0;
}

static inline void ceasei_jump_back_void(void) {}

#define CEASEI_MODES_DEFAULT 0

static inline void ceasei_modes_set(uint64_t modes)
{
    (void)modes;
}

static inline bool ceasei_modes_are_default(void)
{
    return true;
}

static inline uint64_t ceasei_modes_leave(void)
{
    return 0;
}

static inline void ceasei_modes_arrive(uint64_t modes)
{
    (void)modes;
}

/* Gives the thread the modes that a new stack begins with. */
static inline void ceasei_modes_reset(void)
{
#if defined(__aarch64__) && !defined(CEASEI_UCONTEXT)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    if (CEASE_UNLIKELY(fpcr != 0)) {
        __asm__ volatile("msr fpcr, xzr" ::: "memory");
    }
#else
    (void)fesetenv(FE_DFL_ENV);
#endif
}

#endif

#endif
