/* SPDX-License-Identifier: MIT
 *
 * cease/time.h: points in time and durations, in nanoseconds, as two types that do not mix.
 *
 * A cease_time is a point on the monotonic clock (CLOCK_MONOTONIC; a test may put a virtual clock
 * in its place): it has no relation to the time of day and means nothing to another process. A
 * cease_dur is a signed length of time. Each is a structure of one int64_t, `ns`, so that adding
 * two points in time, or passing a number of milliseconds where nanoseconds are wanted, does not
 * compile. All arithmetic saturates: it never overflows.
 *
 *     cease_ctx *ctx = cease_with_timeout(parent, cease_ms(80), &stop);
 */
#ifndef CEASE_TIME_H
#define CEASE_TIME_H

#include <cease/attr.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_time {
    int64_t ns; /* since an arbitrary start; INT64_MAX: never */
} cease_time;

typedef struct cease_dur {
    int64_t ns; /* may be negative; INT64_MAX: for ever */
} cease_dur;

/* A point in time that does not come, and a duration that does not end. Usable in static
 * initialisers. */
#if defined(__cplusplus)
#define CEASE_NEVER   (cease_time{INT64_MAX})
#define CEASE_FOREVER (cease_dur{INT64_MAX})
#else
#define CEASE_NEVER           \
    __extension__(cease_time) \
    {                         \
        INT64_MAX             \
    }
#define CEASE_FOREVER        \
    __extension__(cease_dur) \
    {                        \
        INT64_MAX            \
    }
#endif

static inline cease_dur cease_dur_scaled_(int64_t n, int64_t unit_ns)
{
    cease_dur d;
    if (__builtin_mul_overflow(n, unit_ns, &d.ns))
        d.ns = n < 0 ? INT64_MIN : INT64_MAX;
    return d;
}

/* Durations from a number of nanoseconds, microseconds, milliseconds, seconds, minutes or hours.
 * Saturating.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
static inline cease_dur cease_ns(int64_t n)
{
    return cease_dur_scaled_(n, 1);
}
static inline cease_dur cease_us(int64_t n)
{
    return cease_dur_scaled_(n, 1000);
}
static inline cease_dur cease_ms(int64_t n)
{
    return cease_dur_scaled_(n, 1000 * 1000);
}
static inline cease_dur cease_sec(int64_t n)
{
    return cease_dur_scaled_(n, 1000 * 1000 * 1000);
}
static inline cease_dur cease_min(int64_t n)
{
    return cease_dur_scaled_(n, INT64_C(60) * 1000 * 1000 * 1000);
}
static inline cease_dur cease_hour(int64_t n)
{
    return cease_dur_scaled_(n, INT64_C(3600) * 1000 * 1000 * 1000);
}

/* The point `d` after `t` (before it, when `d` is negative). CEASE_NEVER plus anything, and
 * anything plus CEASE_FOREVER, is CEASE_NEVER.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
static inline cease_time cease_time_add(cease_time t, cease_dur d)
{
    cease_time sum;
    if (t.ns == INT64_MAX || d.ns == INT64_MAX) {
        sum.ns = INT64_MAX;
    } else if (__builtin_add_overflow(t.ns, d.ns, &sum.ns)) {
        sum.ns = d.ns < 0 ? INT64_MIN : INT64_MAX;
    }
    return sum;
}

/* How long after `earlier` the point `later` is. CEASE_FOREVER when `later` is CEASE_NEVER.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
static inline cease_dur cease_time_sub(cease_time later, cease_time earlier)
{
    cease_dur d;
    if (later.ns == INT64_MAX) {
        d.ns = INT64_MAX;
    } else if (__builtin_sub_overflow(later.ns, earlier.ns, &d.ns)) {
        d.ns = later.ns < 0 ? INT64_MIN : INT64_MAX;
    }
    return d;
}

/* Now, on the clock that deadlines are measured on.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_time cease_now(void);

/* How long it is until `t`: negative when it has passed, CEASE_FOREVER for CEASE_NEVER.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_dur cease_until(cease_time t);

CEASE_END_DECLS

#endif
