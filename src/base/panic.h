/* SPDX-License-Identifier: MIT
 *
 * panic.h: how a library says that its caller, or itself, is wrong beyond repair: one line on
 * stderr, then abort.
 */
#ifndef CEASE_BASE_PANIC_H
#define CEASE_BASE_PANIC_H

#include <cease/attr.h>

/* Prints "cease: file:line: function: message" and aborts. `file` may be NULL when no place is
 * known. */
_Noreturn void ceasei_panic_at(const char *file, int line, const char *function, const char *format,
                               ...) CEASE_PRINTF(4, 5);

/* The same for a `const cease_place *`, which may be NULL. */
#define ceasei_panic(place, ...)                                                            \
    ceasei_panic_at((place) ? (place)->file : (const char *)0, (place) ? (place)->line : 0, \
                    (place) ? (place)->function : (const char *)0, __VA_ARGS__)

/* An internal contradiction: never the caller's fault. The condition has no side effect. */
#define ceasei_assert(condition) \
    (CEASE_LIKELY(condition)     \
         ? (void)0               \
         : ceasei_panic_at(__FILE__, __LINE__, __func__, "internal error: %s", #condition))

#endif
