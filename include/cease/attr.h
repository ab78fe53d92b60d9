/* SPDX-License-Identifier: MIT
 *
 * cease/attr.h: the compiler attributes that the public headers use, behind one set of names.
 */
#ifndef CEASE_ATTR_H
#define CEASE_ATTR_H

#if defined(__cplusplus)
#define CEASE_BEGIN_DECLS extern "C" {
#define CEASE_END_DECLS   }
#else
#define CEASE_BEGIN_DECLS
#define CEASE_END_DECLS
#endif

/* Marks what a library exports; everything else is hidden. */
#define CEASE_PUBLIC __attribute__((__visibility__("default")))

/* Checks a printf-like format at compile time: `text` and `args` count parameters from 1. */
#define CEASE_PRINTF(text, args) __attribute__((__format__(__printf__, text, args)))

/* The result must be looked at. */
#define CEASE_MUST_USE __attribute__((__warn_unused_result__))

/* Does not return. */
#define CEASE_NORETURN __attribute__((__noreturn__))

/* Runs `fn(&variable)` when the variable leaves its scope. */
#define CEASE_CLEANUP(fn) __attribute__((__cleanup__(fn)))

/* Hints for a whole condition, comparison included. */
#define CEASE_LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define CEASE_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#endif
