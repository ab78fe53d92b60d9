/* SPDX-License-Identifier: MIT
 *
 * cease/hooks.h: the low-level door between the contexts and whatever runs them.
 *
 * Programs do not need this header. A runtime does: it tells the core, once, how time is read, how
 * a wait sleeps, who runs a function of its own and which task this is; and it drives the core's
 * timers. Without a runtime the core has its own of each: CLOCK_MONOTONIC, one timer thread, a
 * futex, a helper thread, task 0 and silence. The core never learns what a task is.
 *
 * Waiting. A cease_parker is one wait of one waiter: it lives on the waiter's stack, is initialised
 * by it, and is woken exactly once, before or after the waiter parks. Everything in cease that
 * blocks is built on it, so it blocks a task when called from a task and the thread when called
 * from a plain thread.
 *
 * Timers. The deadlines of contexts are kept by the core in `CEASE_TIMER_SHARDS` heaps. Shard 0
 * belongs to the core and is driven by its timer thread, started by the first deadline that
 * somebody could notice. A runtime that has `timer_shard` gives other shards to its workers: a
 * worker asks cease_timers_next() before it sleeps and calls cease_timers_run() when that time has
 * come; `timer_kick` tells it that the next deadline has become earlier.
 */
#ifndef CEASE_HOOKS_H
#define CEASE_HOOKS_H

#include <cease/context.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

#define CEASE_TIMER_SHARDS 65 /* the core's own and one each for at most 64 workers */

/* One wait. Its fields belong to whoever implements parking. */
typedef struct cease_parker {
    uint32_t state;
    uint32_t flags;
    void *owner;
} cease_parker;

typedef enum cease_report_kind {
    CEASE_REPORT_LONG_RUN = 1, /* a task has run for long without parking                     */
    CEASE_REPORT_DEADLOCK,     /* everything waits and nothing can wake it                    */
    CEASE_REPORT_DEPTH,        /* a context is wrapped again and again                        */
    CEASE_REPORT_LEAK,         /* a context never ended, a task never joined                  */
    CEASE_REPORT_STACK,        /* at exit, under CEASE_DEBUG: how deep tasks of a place went  */
} cease_report_kind;

typedef struct cease_report {
    cease_report_kind kind;
    const char *text;         /* one sentence; valid during the call                          */
    const cease_place *place; /* may be NULL                                                  */
    uint64_t task;            /* 0: none                                                      */
} cease_report;

typedef void cease_report_fn(const cease_report *report);

/* What a runtime brings. A NULL member leaves the core's own in place. */
typedef struct cease_hooks {
    size_t size;                   /* sizeof(cease_hooks)                                         */
    cease_time (*clock)(void);     /* what cease_now() returns                                    */
    unsigned (*timer_shard)(void); /* where a deadline made by this thread goes: 0 is the core's  */
    void (*timer_kick)(unsigned shard); /* called without locks, from any thread */
    void (*park)(cease_parker *p); /* for a task; calls cease_park_thread() on a plain thread     */
    void (*wake)(cease_parker *p); /* wakes what `park` parked, cease_wake_thread() for a thread  */
    cease_error (*spawn)(void (*fn)(void *arg),
                         void *arg); /* a task of its own for an after-func  */
    uint64_t (*task_id)(void); /* of the calling task; 0 on a plain thread                    */
    cease_report_fn *report;   /* may be called from any thread; must not park                */
    void (*yield)(void);       /* called from such a task: lets others run first              */
} cease_hooks;

/* Installs `hooks`, which must stay valid; NULL gives the core's own back. A runtime calls it
 * before its first task. In a forked child the core's own are back.
 *
 * Parks: no
 * Callers: any thread; not concurrently with itself
 * Owns: borrows hooks for ever
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_hooks_install(const cease_hooks *hooks);

/* The hooks that are installed; never NULL, but its members may be.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the result is static
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC const cease_hooks *cease_hooks_installed(void);

/* Makes *p ready for one wait: one cease_park() by the caller and one cease_wake() by anybody.
 *
 * Parks: no
 * Callers: the waiter
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_parker_init(cease_parker *p);

/* Waits until cease_wake(p) has been called, which may be already. Inside a callback of a context
 * it aborts, with the place that registered the callback.
 *
 * Parks: yes
 * Callers: the waiter that initialised *p
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_park(cease_parker *p);

/* Ends the wait of *p. Exactly once per cease_parker_init(); *p may be gone when this returns,
 * because the waiter has gone on.
 *
 * Parks: no
 * Callers: any thread, callbacks too
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_wake(cease_parker *p);

/* cease_watch_add() for somebody who is going to wait: `fn` wakes, does not care who calls it, and may be called
 * a moment later. Where more than some hundred wait for one context, the call that ends it does not wake them all
 * itself: tasks of the runtime do that, a part at a time, and those who are awake go on meanwhile. Without a
 * runtime it is cease_watch_add().
 *
 * Parks: no
 * Callers: any thread; *w is not added now
 * Owns: borrows *w
 * Errors: false: ctx had ended, fn has run
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_watch_add_waiter(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn,
                                         void *arg);

/* The same two for a plain thread, on a futex: what a runtime falls back to.
 *
 * Parks: cease_park_thread blocks the thread
 * Callers: as above
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_park_thread(cease_parker *p);
CEASE_PUBLIC void cease_wake_thread(cease_parker *p);

/* Where the callback was registered that runs on this thread right now, or where the scope began in
 * which nothing may park (cease/nopark.h); NULL when there is none. Parking is a bug while it is not
 * NULL.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the result is static
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC const cease_place *cease_callback_place(void);

/* Aborts: `function` would have to wait, and cease_callback_place() is not NULL. Says whether that is a
 * callback or a scope of cease/nopark.h, and its place.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: does not return
 * Since: 0.1
 */
CEASE_PUBLIC CEASE_NORETURN void cease_park_forbidden(const char *function);

/* The earliest deadline of a shard, CEASE_NEVER when it has none. No lock: some atomic loads.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_time cease_timers_next(unsigned shard);

/* Ends every context of a shard whose deadline is not after `now`, callbacks included, and returns
 * how many those were.
 *
 * Parks: no
 * Callers: any thread, normally the shard's driver; not from a callback
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_timers_run(unsigned shard, cease_time now);

/* The static context that has ended for want of memory: what derivations return then, and what a
 * function of a runtime can return that has a context to give and no memory for it. Its error is
 * CEASE_ECANCELED, its cause's code CEASE_ENOMEM.
 *
 * Parks: no
 * Callers: any thread
 * Owns: static
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_nomem(void);

/* Stops the threads that the core has started (the timer thread and the helpers of after-funcs) and
 * gives back what they held. They start again when something needs them. For leak checkers and for
 * programs that unload libraries: no context may have a deadline or an after-func at that moment.
 *
 * Parks: blocks until the threads have ended
 * Callers: any thread, no callback
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_threads_stop(void);

/* How many contexts are alive in this process (the static ones are not counted). For tests and
 * metrics: exact when nothing runs concurrently; the library's own thread, which has ended a context at its
 * deadline, lets go of it a moment after the waiter has been told.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_live_count(void);

/* How many cancellable contexts and watches are registered directly with the nearest cancellable
 * ancestor of `ctx`, itself included. For tests and debugging: counts under the node's locks.
 *
 * Parks: no
 * Callers: any thread; ctx stays valid
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_child_count(const cease_ctx *ctx);

/* Told about each context that somebody or its deadline ends; not about those below it, which end with it.
 * `error` is CEASE_ECANCELED or CEASE_EDEADLINE, `place` the canceller's, NULL for a deadline. Others wait for
 * the end of ctx meanwhile: it must return soon, take no lock for long, and ask nothing about ctx. */
typedef void cease_end_fn(const cease_ctx *ctx, cease_error error, const cease_place *place);

/* Sets who is told about the end of contexts, for tracing; NULL, the default, is nobody. One for the process.
 * A call that has begun may still go on when this returns.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_on_end(cease_end_fn *fn);

/* What can be seen of a context from outside: for snapshots and debuggers. */
typedef struct cease_ctx_info {
    size_t size;         /* set by the caller: sizeof(cease_ctx_info)                       */
    const char *kind;    /* "background", "value", "cancel", "deadline", …; static           */
    const char *key;     /* of a value: the key's name; else NULL                           */
    cease_ctx *parent;   /* NULL for a root                                                 */
    cease_ctx *other;    /* of a merge: the other parent; else NULL                         */
    cease_time deadline; /* CEASE_NEVER: none                                               */
    const cease_place *place; /* where it was made; NULL where nobody has recorded that          */
    const cease_cause *cause; /* NULL while it is open                                           */
} cease_ctx_info;

/* Says what can be seen of `ctx`, without waiting for anything and without arming its deadline. The
 * place of its making is recorded for contexts that can end, and is the canceller's once somebody has
 * cancelled it; under CEASE_DEBUG it is recorded for every context and stays.
 *
 * Parks: no
 * Callers: any thread; ctx stays valid
 * Owns: what *ret_info points to lives as long as ctx
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_inspect(const cease_ctx *ctx, cease_ctx_info *ret_info);

/* Gives the memory that the calling thread keeps for its next contexts back: to the system's
 * allocator, or to the slabs, which are kept by the process up to a mebibyte when they are empty.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_trim(void);

CEASE_END_DECLS

#endif
