/* What the harness's files share. */
#ifndef HARNESS_INTERNAL_H
#define HARNESS_INTERNAL_H

#include "harness.h"

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HARNESS_FINDS_LEAKS 1
#else
#define HARNESS_FINDS_LEAKS 0
#endif
#if HARNESS_FINDS_LEAKS || defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define HARNESS_SANITIZED 1
#else
#define HARNESS_SANITIZED 0
#endif

/* Exit statuses of a case's process, as its runner reads them. Passed is not 0, so that a case that
 * calls exit() on its way does not pass. */
enum { HARNESS_EXIT_PASSED = 40, HARNESS_EXIT_FAILED = 1, HARNESS_EXIT_SKIPPED = 77 };

/* Runs one case in this process and ends it. */
_Noreturn void harness_child(struct harness_case *c);

/* Writes where each block that is live now was allocated (with HARNESS_TRACE=1; else nothing). */
void harness_heap_report(void);

#endif
