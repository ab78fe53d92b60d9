/* SPDX-License-Identifier: MIT
 *
 * atomic.h: every access to memory that threads share without a lock goes through these names.
 *
 * They are the compiler's builtins, and nothing else, so that one definition can turn the same
 * source into something that the interleaving explorer drives step by step: under CEASE_INTERLEAVE
 * each of them is a point where the explorer chooses who runs next, and where weaker orders may be
 * seen late. The operations that read and write return the OLD value. Orders are named as in C11:
 * RELAXED, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST.
 */
#ifndef CEASE_BASE_ATOMIC_H
#define CEASE_BASE_ATOMIC_H

#ifdef CEASE_INTERLEAVE
#include "base/atomic_explore.h"
#else

#define ceasei_load(p, order)      __atomic_load_n((p), __ATOMIC_##order)
#define ceasei_store(p, v, order)  __atomic_store_n((p), (v), __ATOMIC_##order)
#define ceasei_swap(p, v, order)   __atomic_exchange_n((p), (v), __ATOMIC_##order)
#define ceasei_add(p, n, order)    __atomic_fetch_add((p), (n), __ATOMIC_##order)
#define ceasei_sub(p, n, order)    __atomic_fetch_sub((p), (n), __ATOMIC_##order)
#define ceasei_or(p, bits, order)  __atomic_fetch_or((p), (bits), __ATOMIC_##order)
#define ceasei_and(p, bits, order) __atomic_fetch_and((p), (bits), __ATOMIC_##order)

/* Strong compare and swap: true when *p was *expected and now is `desired`; else *expected is what
 * *p was. */
#define ceasei_cas(p, expected, desired, order)                                  \
    __atomic_compare_exchange_n((p), (expected), (desired), 0, __ATOMIC_##order, \
                                CEASEI_CAS_FAILURE_##order)
#define CEASEI_CAS_FAILURE_RELAXED __ATOMIC_RELAXED
#define CEASEI_CAS_FAILURE_ACQUIRE __ATOMIC_ACQUIRE
#define CEASEI_CAS_FAILURE_RELEASE __ATOMIC_RELAXED
#define CEASEI_CAS_FAILURE_ACQ_REL __ATOMIC_ACQUIRE
#define CEASEI_CAS_FAILURE_SEQ_CST __ATOMIC_SEQ_CST

#define ceasei_fence(order) __atomic_thread_fence(__ATOMIC_##order)

/* A place where the explorer's build can break a protocol on purpose: tests/interleave/README.md. */
#define CEASE_SEED_BUG(bug) 0

/* Tells the processor that this is a spin loop. */
static inline void ceasei_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

#endif

#endif
