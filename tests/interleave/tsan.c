/* SPDX-License-Identifier: MIT
 *
 * tsan.c: the calls that -fsanitize=thread puts before plain memory accesses, ours in place of
 * libtsan's. Compiled code under test calls them; memory.c judges. Atomic builtins that do not come
 * through base/atomic.h (the inline functions of public headers) become steps like all others.
 */
#include "engine.h"

#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static void plain(const void *p, size_t size, bool write, const void *where)
{
    if (!E || !E->inside)
        return;
    step_plain((uintptr_t)p, size);
    memory_access(E->current, (uintptr_t)p, size, write, false, where, false);
}

#define WHERE __builtin_return_address(0)
#define ACCESS(size)                           \
    void __tsan_read##size(void *p)            \
    {                                          \
        plain(p, size, false, WHERE);          \
    }                                          \
    void __tsan_write##size(void *p)           \
    {                                          \
        plain(p, size, true, WHERE);           \
    }                                          \
    void __tsan_unaligned_read##size(void *p)  \
    {                                          \
        plain(p, size, false, WHERE);          \
    }                                          \
    void __tsan_unaligned_write##size(void *p) \
    {                                          \
        plain(p, size, true, WHERE);           \
    }                                          \
    void __tsan_volatile_read##size(void *p)   \
    {                                          \
        plain(p, size, false, WHERE);          \
    }                                          \
    void __tsan_volatile_write##size(void *p)  \
    {                                          \
        plain(p, size, true, WHERE);           \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __tsan_read_range(void *p, size_t size)
{
    plain(p, size, false, WHERE);
}

void __tsan_write_range(void *p, size_t size)
{
    plain(p, size, true, WHERE);
}

void __tsan_init(void) {}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void) {}

/* Copies: clang calls these, gcc the library's functions, which the linker sends to __wrap_…. */
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    if (size > 0) {
        plain(from, size, false, WHERE);
        plain(to, size, true, WHERE);
    }
    return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
    if (size > 0) {
        plain(from, size, false, WHERE);
        plain(to, size, true, WHERE);
    }
    return memmove(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size)
{
    if (size > 0)
        plain(to, size, true, WHERE);
    return memset(to, byte, size);
}

/* ---- atomic builtins --------------------------------------------------------------------------
 */

static const struct explore_site inline_site = {"inline", 0, "an inline function", "builtin"};

#define ATOMIC(bits)                                                                              \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *p, int order)                  \
    {                                                                                             \
        return (uint##bits##_t)explore_load(&inline_site, p, bits / 8, order);                    \
    }                                                                                             \
    void __tsan_atomic##bits##_store(volatile void *p, uint##bits##_t v, int order)               \
    {                                                                                             \
        explore_store(&inline_site, p, bits / 8, v, order);                                       \
    }                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile void *p, uint##bits##_t v, int order)  \
    {                                                                                             \
        return (uint##bits##_t)explore_rmw(&inline_site, p, bits / 8, EXPLORE_SWAP, v, order);    \
    }                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile void *p, uint##bits##_t v, int order) \
    {                                                                                             \
        return (uint##bits##_t)explore_rmw(&inline_site, p, bits / 8, EXPLORE_ADD, v, order);     \
    }                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile void *p, uint##bits##_t v, int order) \
    {                                                                                             \
        return (uint##bits##_t)explore_rmw(&inline_site, p, bits / 8, EXPLORE_SUB, v, order);     \
    }                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_fetch_or(volatile void *p, uint##bits##_t v, int order)  \
    {                                                                                             \
        return (uint##bits##_t)explore_rmw(&inline_site, p, bits / 8, EXPLORE_OR, v, order);      \
    }                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_fetch_and(volatile void *p, uint##bits##_t v, int order) \
    {                                                                                             \
        return (uint##bits##_t)explore_rmw(&inline_site, p, bits / 8, EXPLORE_AND, v, order);     \
    }                                                                                             \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile void *p, void *expected,           \
                                                      uint##bits##_t v, int order, int failure)   \
    {                                                                                             \
        (void)failure;                                                                            \
        return explore_cas(&inline_site, p, expected, v,                                          \
                           (unsigned)bits / 8 | (unsigned)order << 8);                            \
    }                                                                                             \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile void *p, void *expected,             \
                                                    uint##bits##_t v, int order, int failure)     \
    {                                                                                             \
        (void)failure;                                                                            \
        return explore_cas(&inline_site, p, expected, v,                                          \
                           (unsigned)bits / 8 | (unsigned)order << 8);                            \
    }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
    explore_fence(&inline_site, order);
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
