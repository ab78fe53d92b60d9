/* SPDX-License-Identifier: MIT
 *
 * futex.h: sleeping until a word changes, and waking who sleeps on it.
 */
#ifndef CEASE_BASE_FUTEX_H
#define CEASE_BASE_FUTEX_H

#include "base/atomic.h"

#include <stdint.h>

#ifndef CEASE_INTERLEAVE
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define CEASEI_SIGNALS_WAIT 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CEASEI_SIGNALS_WAIT 1
#endif
#endif

/* Sleeps while *word is `expected`; may return early, so the caller looks again.
 *
 * ThreadSanitizer holds signals back while a thread is in a system call that it does not know, as
 * this one is: a program whose main thread waits here would never hear SIGTERM. There, the wait is
 * cut into pieces, with a call that it does know in between. */
static inline void ceasei_futex_wait(uint32_t *word, uint32_t expected)
{
#ifdef CEASEI_SIGNALS_WAIT
    struct timespec piece = {.tv_nsec = 20 * 1000 * 1000};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &piece, NULL, 0);
    nanosleep(&(struct timespec){.tv_sec = 0}, NULL);
#else
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
#endif
}

/* The same, but not longer than until `until_ns` on CLOCK_MONOTONIC. */
static inline void ceasei_futex_wait_until(uint32_t *word, uint32_t expected, int64_t until_ns)
{
    if (until_ns < 0)
        until_ns = 0;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

static inline void ceasei_futex_wake(uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
#endif

#endif
