/* SPDX-License-Identifier: MIT
 *
 * switch_x86_64.h: the switch of switch.h for System V on x86-64, and the floating-point modes.
 *
 * It is inline and ends in a jump, not in a return: the processor predicts a return by the calls that
 * it has seen, and those were another stack's (10 ns against 1 on Zen). What the callee would have to
 * keep the compiler saves itself, as far as it is in use, because the statement clobbers it; but for
 * rbp, which may be the frame pointer. A saved stack, from its stack pointer upwards:
 *
 *     0 rbp   8 rip   16 the red zone of the function that was left, 128 bytes
 *
 * Modes. The control bits of mxcsr and the x87 control word are the callee's to keep, so they belong
 * to the task, but reading mxcsr costs four times the rest of the switch. Almost nobody changes them; so
 * all but tasks that have done so run with the default modes, and who leaves its stack asks only
 * whether it has. That is seen without mxcsr: fesetround() and fe{en,dis}ableexcept() change the x87 word
 * too, and what is set in mxcsr alone (flush to zero, denormals are zero, a rounding mode) shows in
 * the results of one vector addition. What does not show is an exception unmasked in mxcsr alone.
 */
#ifndef CEASE_RUNTIME_SWITCH_X86_64_H
#define CEASE_RUNTIME_SWITCH_X86_64_H

#include <cease/attr.h>
#include <emmintrin.h>
#include <stdint.h>

#if defined(__AVX512F__)
#define CEASEI_SWITCH_CLOBBERS_512                                                                \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",   \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", \
        "k7"
#else
#define CEASEI_SWITCH_CLOBBERS_512
#endif

/* In switch_x86_64.S: calls the function that is in rbp. */
void ceasei_switch_start(void);

/* See switch.h. What becomes the red zone is nobody's: it is left as it is. */
static inline void *ceasei_switch_prepare(void *bottom, void *top, void (*entry)(void))
{
    (void)bottom;
    void (**frame)(void) = (void (**)(void))top - 2 - 128 / sizeof(void *);
    frame[0] = entry;
    frame[1] = ceasei_switch_start;
    return frame;
}

static inline __attribute__((always_inline)) void ceasei_switch(void **save, void *to)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "pushq %%rbp\n\t"
                     "movq %%rsp, (%[save])\n\t"
                     "movq %[to], %%rsp\n\t"
                     "popq %%rbp\n\t"
                     "popq %%rax\n\t"
                     "leaq 128(%%rsp), %%rsp\n\t"
                     "jmpq *%%rax\n"
                     "1:"
                     : [save] "+D"(save), [to] "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc",
                       "memory" CEASEI_SWITCH_CLOBBERS_512);
}

/* `return ceasei_jump_back()` is `return 0`, but by a jump: see leave.h. Const and without an argument: else
 * compilers think that it looks at the frame that is left, and call it. */
int ceasei_jump_back(void) __attribute__((const));
/* The same as the last statement of a function without a result. (clang calls it, and gains nothing.) */
void ceasei_jump_back_void(void);

/* ---- modes ---------------------------------------------------------------------------------- */

/* x87 word << 32 | mxcsr, as a process starts: all exceptions masked, to nearest, 64-bit x87. */
#define CEASEI_MODES_DEFAULT (UINT64_C(0x037f) << 32 | 0x1f80)

static inline void ceasei_modes_set(uint64_t modes)
{
    uint32_t mxcsr = (uint32_t)modes;
    uint16_t word = (uint16_t)(modes >> 32);
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(word));
}

/* Whether the results are those of the default modes. Two denormals: their sum is one, unless such
 * numbers are flushed. 1 and 3/4 of its last place, and the same below zero: nearest goes away from
 * zero on both sides, no other rounding does. It leaves marks in the sticky bits of mxcsr only. */
static inline bool ceasei_modes_show(void)
{
    __m128 a = _mm_castsi128_ps(_mm_set_epi32(0, (int)0xbf800000, 0x3f800000, 0x00011111));
    __m128 b = _mm_castsi128_ps(_mm_set_epi32(0, (int)0xb3c00000, 0x33c00000, 0x00022222));
    __m128i sum = _mm_set_epi32(0, (int)0xbf800001, 0x3f800001, 0x00033333);
    __asm__ volatile("addps %1, %0" : "+x"(a) : "xm"(b)); /* not by the compiler, not earlier */
    return _mm_movemask_epi8(_mm_cmpeq_epi32(_mm_castps_si128(a), sum)) == 0xffff;
}

/* The slow half of ceasei_modes_leave(). */
uint64_t ceasei_modes_take(void);

/* The word is looked at first: with an exception unmasked, the addition might raise it. */
static inline bool ceasei_modes_are_default(void)
{
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word == (uint16_t)(CEASEI_MODES_DEFAULT >> 32) && ceasei_modes_show();
}

/* Before a stack is left: 0, or the modes that ceasei_modes_arrive() sets again afterwards. The thread
 * has the default modes then. */
static inline uint64_t ceasei_modes_leave(void)
{
    return CEASE_LIKELY(ceasei_modes_are_default()) ? 0 : ceasei_modes_take();
}

/* Gives the thread the modes that a new stack begins with. */
static inline void ceasei_modes_reset(void)
{
    (void)ceasei_modes_leave();
}

static inline void ceasei_modes_arrive(uint64_t modes)
{
    if (CEASE_UNLIKELY(modes != 0)) {
        ceasei_modes_set(modes);
    }
}

#endif
