/* SPDX-License-Identifier: MIT
 *
 * switch_ucontext.c: see switch.h; for processors without a switch of our own. Correct and slow:
 * libc saves and restores the signal mask with a system call each time.
 *
 * A switched-out stack's ucontext_t lies in the frame of the function that switched it out; the
 * first one of a new stack lies at its top.
 */
#include "runtime/switch.h"

#include <fenv.h>
#include <stdint.h>
#include <ucontext.h>

void ceasei_switch(void **save, void *to)
{
    ucontext_t here;
    *save = &here;
    swapcontext(&here, to);
}

void *ceasei_switch_prepare(void *bottom, void *top, void (*entry)(void))
{
    uintptr_t at = ((uintptr_t)top - sizeof(ucontext_t)) & ~(uintptr_t)63;
    ucontext_t *first = (ucontext_t *)at;
    fenv_t env; /* a task starts with the default modes, not with those of whoever is here */
    fegetenv(&env);
    fesetenv(FE_DFL_ENV);
    getcontext(first);
    fesetenv(&env);
    first->uc_link = NULL;
    first->uc_stack.ss_sp = bottom;
    first->uc_stack.ss_size = at - (uintptr_t)bottom;
    makecontext(first, entry, 0);
    return first;
}
