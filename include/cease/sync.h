/* SPDX-License-Identifier: MIT
 *
 * cease/sync.h: locks and counters whose waits obey a context.
 *
 *     static cease_mutex lock = CEASE_MUTEX;
 *
 *     static cease_error add(cease_ctx *ctx, struct table *t, const char *name)
 *     {
 *         cease_error err = cease_mutex_lock(ctx, &lock);
 *         if (err != CEASE_OK)
 *             return err;                      // cancelled while somebody else had it
 *         CEASE_AUTO_UNLOCK cease_mutex *held = &lock;
 *         return table_add(ctx, t, name);      // may park: the lock is the task's, not the thread's
 *     }
 *
 * A lock of the system (pthread_mutex_t) belongs to a thread, and a thread runs many tasks: when a
 * task that holds one parks, the next task on that thread which wants it stops the thread for good.
 * The locks here belong to the task that took them and may be held over any wait. Tasks and plain
 * threads may use them together.
 *
 * All of them are in the caller's memory and never allocate. Who waits is served in the order of
 * coming, and what is handed over has changed hands by then: nobody who comes later gets in between.
 * A call whose context is done on entry always fails; one that was served has been, although its
 * context ended in the same moment. Whoever leaves a wait because its context has ended has nothing,
 * and those behind it move up.
 *
 * There is no reader-writer lock: a cease_semaphore of as many units as there may be readers is one
 * (readers take one unit, a writer takes all), it is as fair, and it says how many may read at once.
 */
#ifndef CEASE_SYNC_H
#define CEASE_SYNC_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

struct cease_sync_node_;

/* Private: the lock and the queue inside each of the following. */
typedef struct cease_sync_ {
    uint32_t lock_;
    uint32_t spare_;
    struct cease_sync_node_ *first_, *last_;
} cease_sync_;

/* ---- mutex -------------------------------------------------------------------------------------- */

/* One at a time. Zero-initialised is valid: free. Its fields are private. */
typedef struct cease_mutex {
    cease_sync_ sync_;
    uint64_t owner_;
    const cease_place *place_;
    struct cease_mutex *next_held_;
} cease_mutex;

#define CEASE_MUTEX                                \
    {                                              \
        {0, 0, 0, 0}, 0, (const cease_place *)0, 0 \
    }

/* Makes *m a free mutex. The same as filling it with zeroes.
 *
 * Parks: no
 * Callers: any thread, before the mutex is shared
 * Owns: the memory is the caller's
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_mutex_init(cease_mutex *m);

/* Says that *m is not used any more, before its memory goes. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, when nobody else uses the mutex any more
 * Owns: the memory is the caller's again
 * Errors: aborts when the mutex is held, and names the place where it was taken
 * Since: 0.1
 */
CEASE_PUBLIC void cease_mutex_deinit(cease_mutex *m);

/* Takes the mutex for the calling task or thread; waits in line while somebody else has it. It is
 * handed over in the order of coming: a task that gives it back and wants it again stands behind
 * those who wait.
 *
 * Under CEASE_DEBUG, a task that returns while it holds a mutex ends the process, with the places
 * where the mutex was taken and where the task was started.
 *
 * Parks: yes, while somebody else has it
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: with CEASE_OK the caller has the mutex, until its cease_mutex_unlock
 * Errors: ctx's; aborts, naming both places, when the caller has it already
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_mutex_lock(cease_ctx *ctx, cease_mutex *m);
CEASE_PUBLIC cease_error cease_mutex_lock_at(cease_ctx *ctx, cease_mutex *m,
                                             const cease_place *place);
#define cease_mutex_lock(ctx, m) cease_mutex_lock_at((ctx), (m), CEASE_HERE)

/* Takes the mutex if nobody has it.
 *
 * Parks: no
 * Callers: any thread; in a callback of a context only if it also gives it back there
 * Owns: with CEASE_OK the caller has the mutex, until its cease_mutex_unlock
 * Errors: CEASE_EAGAIN when somebody has it, the caller too
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_mutex_try_lock(cease_mutex *m);
CEASE_PUBLIC cease_error cease_mutex_try_lock_at(cease_mutex *m, const cease_place *place);
#define cease_mutex_try_lock(m) cease_mutex_try_lock_at((m), CEASE_HERE)

/* Gives the mutex back: to the one who has waited longest, whose it is when this returns.
 *
 * Parks: no
 * Callers: the task or thread that took it (aborts otherwise, with the place where it was taken)
 * Owns: takes the mutex
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_mutex_unlock(cease_mutex *m);
CEASE_PUBLIC void cease_mutex_unlock_at(cease_mutex *m, const cease_place *place);
#define cease_mutex_unlock(m) cease_mutex_unlock_at((m), CEASE_HERE)

/* Gives a mutex back at the end of a scope: put it before a variable that holds its address once it
 * has been taken, or NULL. */
#define CEASE_AUTO_UNLOCK CEASE_CLEANUP(cease_auto_unlock_)
static inline void cease_auto_unlock_(cease_mutex **held)
{
    if (*held) {
        cease_mutex_unlock(*held);
    }
}

/* ---- condition ---------------------------------------------------------------------------------- */

/* Where those wait who need something to become true under a mutex. Zero-initialised is valid. */
typedef struct cease_cond {
    cease_sync_ sync_;
} cease_cond;

#define CEASE_COND     \
    {                  \
        {              \
            0, 0, 0, 0 \
        }              \
    }

/* Makes *c a condition that nobody waits for. The same as filling it with zeroes.
 *
 * Parks: no
 * Callers: any thread, before the condition is shared
 * Owns: the memory is the caller's
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_cond_init(cease_cond *c);

/* Says that *c is not used any more, before its memory goes. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, when nobody waits any more
 * Owns: the memory is the caller's again
 * Errors: aborts when somebody waits
 * Since: 0.1
 */
CEASE_PUBLIC void cease_cond_deinit(cease_cond *c);

/* Gives the mutex back, waits for a signal, and takes the mutex again. It is held when this returns,
 * whatever it returns: taking it again cannot be cut short, because its holder gives it back soon.
 *
 * There are no wakes without a reason: CEASE_OK means that this call was signalled. But between the
 * signal and the return others may have had the mutex, so look again:
 *
 *     while (err == CEASE_OK && !queue->first)
 *         err = cease_cond_wait(ctx, &queue->filled, &queue->mutex);
 *
 * A signal that has chosen this call is not lost to a cancel that came later, nor does a call that
 * was cancelled use one up.
 *
 * Parks: yes
 * Callers: the task or thread that holds the mutex (aborts otherwise)
 * Owns: the mutex is the caller's before and after
 * Errors: ctx's, at once when it is done on entry (then the mutex was not given back in between)
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_cond_wait(cease_ctx *ctx, cease_cond *c, cease_mutex *m);
CEASE_PUBLIC cease_error cease_cond_wait_at(cease_ctx *ctx, cease_cond *c, cease_mutex *m,
                                            const void *tag, const cease_place *place);
#define cease_cond_wait(ctx, c, m) cease_cond_wait_at((ctx), (c), (m), 0, CEASE_HERE)

/* The same, and says what for: cease_cond_signal_tag with the same tag finds it among those who wait
 * for something else. A tag is any address, such as that of the thing that is waited for; it is
 * compared, never looked into.
 *
 * Parks: yes
 * Callers: the task or thread that holds the mutex (aborts otherwise)
 * Owns: the mutex is the caller's before and after
 * Errors: ctx's, as cease_cond_wait
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_cond_wait_tag(cease_ctx *ctx, cease_cond *c, cease_mutex *m,
                                             const void *tag);
#define cease_cond_wait_tag(ctx, c, m, tag) cease_cond_wait_at((ctx), (c), (m), (tag), CEASE_HERE)

/* Wakes the one who has waited longest, and says whether there was one. Change what it waits for
 * under the mutex first; whether the mutex is still held for the signal makes no difference.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_cond_signal(cease_cond *c);

/* Wakes the one who has waited longest with this tag, and says whether there was one.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_cond_signal_tag(cease_cond *c, const void *tag);

/* Wakes all who wait now, with and without a tag, and says how many those were.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_cond_broadcast(cease_cond *c);

/* ---- semaphore ---------------------------------------------------------------------------------- */

/* So many units, of which each takes as many as it needs. Its fields are private. */
typedef struct cease_semaphore {
    cease_sync_ sync_;
    uint64_t size_, free_;
} cease_semaphore;

/* Initialiser of a semaphore of `units` units, all of them free. */
#define CEASE_SEMAPHORE(units)         \
    {                                  \
        {0, 0, 0, 0}, (units), (units) \
    }

/* Makes *s a semaphore of `units` units, all of them free.
 *
 * Parks: no
 * Callers: any thread, before the semaphore is shared
 * Owns: the memory is the caller's
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_semaphore_init(cease_semaphore *s, uint64_t units);

/* Says that *s is not used any more, before its memory goes. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, when nobody else uses the semaphore any more
 * Owns: the memory is the caller's again
 * Errors: aborts when somebody waits or has units
 * Since: 0.1
 */
CEASE_PUBLIC void cease_semaphore_deinit(cease_semaphore *s);

/* Takes `units`, waiting in line until that many are free. Nobody overtakes: a small demand waits
 * behind a big one that came first, so that the big one is not starved. Who leaves the line lets
 * those behind it be served.
 *
 * Parks: yes, while there are not enough, or others wait
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: with CEASE_OK the units are the caller's, for cease_semaphore_release by anybody
 * Errors: ctx's; CEASE_EINVAL for more than the semaphore has
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_semaphore_acquire(cease_ctx *ctx, cease_semaphore *s,
                                                 uint64_t units);

/* Takes `units` if they are free and nobody waits.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: with CEASE_OK the units are the caller's
 * Errors: CEASE_EAGAIN; CEASE_EINVAL for more than the semaphore has
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_semaphore_try_acquire(cease_semaphore *s, uint64_t units);

/* Gives `units` back, and serves those who wait, in order, as far as it goes.
 *
 * Parks: no
 * Callers: any thread, not only the one that took them; also inside a callback of a context
 * Owns: takes the units
 * Errors: aborts when that are more than have been taken
 * Since: 0.1
 */
CEASE_PUBLIC void cease_semaphore_release(cease_semaphore *s, uint64_t units);
CEASE_PUBLIC void cease_semaphore_release_at(cease_semaphore *s, uint64_t units,
                                             const cease_place *place);
#define cease_semaphore_release(s, units) cease_semaphore_release_at((s), (units), CEASE_HERE)

/* ---- wait group --------------------------------------------------------------------------------- */

/* Counts what is in flight, so that one can wait until nothing is. (For tasks that one starts,
 * cease/group.h does more.) Zero-initialised is valid. Its fields are private. */
typedef struct cease_wait_group {
    cease_sync_ sync_;
    uint64_t count_;
} cease_wait_group;

#define CEASE_WAIT_GROUP \
    {                    \
        {0, 0, 0, 0}, 0  \
    }

/* Makes *w a wait group with a count of 0. The same as filling it with zeroes.
 *
 * Parks: no
 * Callers: any thread, before it is shared
 * Owns: the memory is the caller's
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_wait_group_init(cease_wait_group *w);

/* Says that *w is not used any more, before its memory goes. NULL is fine. Whoever has returned from
 * cease_wait_group_wait with CEASE_OK may do so at once: the last cease_wait_group_done does not
 * touch *w after that.
 *
 * Parks: no
 * Callers: any thread, when nobody else uses it any more
 * Owns: the memory is the caller's again
 * Errors: aborts when the count is not 0 or somebody waits
 * Since: 0.1
 */
CEASE_PUBLIC void cease_wait_group_deinit(cease_wait_group *w);

/* Counts `count` more. Do so before what is counted begins, not in it: otherwise a wait may come
 * first.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_wait_group_add(cease_wait_group *w, uint64_t count);

/* Counts one less. At 0 everybody who waits is woken.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: nothing
 * Errors: aborts when the count is 0 already
 * Since: 0.1
 */
CEASE_PUBLIC void cease_wait_group_done(cease_wait_group *w);
CEASE_PUBLIC void cease_wait_group_done_at(cease_wait_group *w, const cease_place *place);
#define cease_wait_group_done(w) cease_wait_group_done_at((w), CEASE_HERE)

/* Waits until the count is 0. What was done before the calls that brought it there is seen after.
 * Unlike a group's wait it can be cut short: then what was counted still goes on.
 *
 * Parks: yes, while the count is not 0
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: nothing
 * Errors: ctx's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_wait_group_wait(cease_ctx *ctx, cease_wait_group *w);

/* ---- once --------------------------------------------------------------------------------------- */

/* Something that is to be done once. Zero-initialised is valid: not done. Its fields are private. */
typedef struct cease_once {
    uint32_t done_;
    uint32_t spare_;
    cease_mutex mutex_;
} cease_once;

#define CEASE_ONCE        \
    {                     \
        0, 0, CEASE_MUTEX \
    }

/* Calls fn(ctx, arg) unless that has been done with success before; waits while somebody else is at
 * it. With CEASE_OK it has been done, by whomever, and what it did is seen by the caller.
 *
 * An error of fn, one of its context's too, goes to the caller whose fn it was, and does not count:
 * the next who waits or comes tries again, with its own ctx and arg. So a request that is cancelled
 * in the middle of setting something up does not spoil it for the others.
 *
 * Parks: yes, while somebody else is at it; and as fn does
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: nothing
 * Errors: ctx's while waiting; fn's; aborts when fn calls it again on the same cease_once
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_once_do(cease_ctx *ctx, cease_once *o, cease_task_fn *fn, void *arg);
CEASE_PUBLIC cease_error cease_once_do_at(cease_ctx *ctx, cease_once *o, cease_task_fn *fn,
                                          void *arg, const cease_place *place);
#define cease_once_do(ctx, o, fn, ...) cease_once_do_at((ctx), (o), (fn), __VA_ARGS__, CEASE_HERE)

CEASE_END_DECLS

#endif
