/* SPDX-License-Identifier: MIT
 *
 * cease/rate.h: doing something so many times in a while: a limiter, and a ticker.
 *
 *     static cease_limiter mails = CEASE_LIMITER(100000000, 5);     // ten a second, five at once
 *     ...
 *     cease_error err = cease_limiter_wait(ctx, &mails, 1);
 *
 *     cease_ticker ticker;
 *     cease_ticker_init(&ticker, cease_sec(1));
 *     while (cease_ticker_wait(ctx, &ticker) == CEASE_OK)
 *         look_around();
 *
 * Both are in the caller's memory, need no thread and no timer while nobody waits, and follow the
 * clock of cease_now: virtual time in a test.
 */
#ifndef CEASE_RATE_H
#define CEASE_RATE_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/sync.h>
#include <cease/time.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

/* A bucket that holds `burst` tokens and gets a new one after each `every`. It begins full. Its
 * fields are private. */
typedef struct cease_limiter {
    cease_mutex turn_;
    cease_sync_ sync_;
    cease_time full_at_;
    cease_dur every_;
    uint64_t burst_, queued_;
} cease_limiter;

/* Initialiser of a limiter that gets a token every `every_ns` nanoseconds and holds `burst`. */
#define CEASE_LIMITER(every_ns, burst)                           \
    {                                                            \
        CEASE_MUTEX, {0, 0, 0, 0}, {0}, {(every_ns)}, (burst), 0 \
    }

/* Makes *l a limiter that gets a token after each `every` and holds at most `burst`. With `every` of
 * 0 or less it limits nothing.
 *
 * Parks: no
 * Callers: any thread, before the limiter is shared
 * Owns: the memory is the caller's
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_limiter_init(cease_limiter *l, cease_dur every, uint64_t burst);

/* Says that *l is not used any more, before its memory goes. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, when nobody waits any more
 * Owns: the memory is the caller's again
 * Errors: aborts when somebody waits
 * Since: 0.1
 */
CEASE_PUBLIC void cease_limiter_deinit(cease_limiter *l);

/* Takes `tokens`, waiting until there are that many; in line, in the order of coming. When ctx's
 * deadline would come first it fails at once, and takes nothing: there is no use in waiting for what
 * cannot be had in time. Who gives up while waiting takes nothing either, and those behind move up.
 *
 * Parks: yes, while there are not enough
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: nothing
 * Errors: ctx's; CEASE_EDEADLINE at once when the wait would pass the deadline (ctx is still open
 * then); CEASE_EINVAL for more tokens than the bucket holds
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_limiter_wait(cease_ctx *ctx, cease_limiter *l, uint64_t tokens);

/* Takes `tokens` if they are there and nobody waits.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: nothing
 * Errors: CEASE_EAGAIN; CEASE_EINVAL for more tokens than the bucket holds
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_limiter_try(cease_limiter *l, uint64_t tokens);

/* A regular beat. Its fields are private. */
typedef struct cease_ticker {
    cease_time next_;
    cease_dur every_;
} cease_ticker;

/* Starts a beat: the first tick is `every` from now. There is nothing to stop: a ticker that nobody
 * waits for costs nothing.
 *
 * Parks: no
 * Callers: whoever is going to wait; again, to begin anew with another period
 * Owns: the memory is the caller's
 * Errors: aborts when `every` is 0 or less
 * Since: 0.1
 */
CEASE_PUBLIC void cease_ticker_init(cease_ticker *t, cease_dur every);

/* Waits for the next tick. Ticks are whole periods after the start: they do not drift by the time
 * that the work in between takes. If ticks have passed meanwhile this returns at once, for all of
 * them together, and the next one is in step again.
 *
 * Parks: yes, until the tick
 * Callers: one task or thread at a time
 * Owns: nothing
 * Errors: ctx's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_ticker_wait(cease_ctx *ctx, cease_ticker *t);

CEASE_END_DECLS

#endif
