/* SPDX-License-Identifier: MIT
 *
 * queue.h: which task a worker runs next. worker.h says what queues there are.
 */
#ifndef CEASE_RUNTIME_QUEUE_H
#define CEASE_RUNTIME_QUEUE_H

#include "base/panic.h"
#include "runtime/bias.h"
#include "runtime/fiber.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/trace.h"
#include "runtime/worker.h"

/* Everything that others have pushed, oldest first, into the ready queue. */
void ceasei_queue_drain_inbox(struct ceasei_worker *w);
/* The ring has room again: the first of those that did not fit moves up. */
void ceasei_queue_refill_ring(struct ceasei_worker *w);
/* There are new tasks, and a worker that sleeps. */
void ceasei_queue_call_others(void);

/* How many tasks have been queued on w and have not begun, at most. The owner's. */
static inline uint32_t ceasei_queue_new_count(const struct ceasei_worker *w)
{
    return ceasei_ring_count(w) + w->overflow.count;
}

/* Makes a task that has been taken out of its queue one that w runs next. */
static inline struct ceasei_task *ceasei_queue_unfold(struct ceasei_worker *w,
                                                      struct ceasei_pending *p)
{
    struct ceasei_task *task = p->task;
    if (!task) {
        bool has_stack = ceasei_stack_take_own(&w->stacks, &task);
        ceasei_assert(has_stack); /* pending.h */
    } else {
        task->arena = p->arena;
    }
    ceasei_fiber_root(ceasei_stack_bounds(task).bottom, ceasei_stack_whole(task));
    task->ctx = p->ctx;
    ceasei_store(&task->fn, p->fn, RELAXED); /* these: see.c looks from outside */
    ceasei_store(&task->place, p->place, RELAXED);
    ceasei_store(&task->worker, NULL, RELAXED);
    ceasei_store(&task->id, 0, RELAXED);
    task->wait = CEASEI_WAIT_PARKED;
    task->arg = p->arg;
    task->done = p->done;
    task->owner = p->owner;
    task->borrows_ctx = p->borrows_ctx;
    ceasei_store(&task->state, CEASEI_TASK_NEW, RELEASE);
    ceasei_pending_free(&w->pendings, p);
    return task;
}

/* ceasei_sched_push_new(), for who starts tasks. */
static inline void ceasei_queue_push_new(struct ceasei_worker *w, struct ceasei_pending *p)
{
    bool alone = ceasei_ring_count(w) == 0;
    p->order = w->order++;
    if (CEASE_UNLIKELY(w->overflow.first != NULL) || !ceasei_ring_push(w, p)) {
        ceasei_pending_push(&w->overflow, p);
        ceasei_queue_refill_ring(w);
    }
    /* One new task is ours to run as soon as the running one parks, and if that takes long, the
     * watcher sees it: no system call for it. The ring's tail, then `watcher`: who gives the watch up
     * makes us pass a fence. */
    CEASEI_LIGHT_FENCE(BUG_WATCH);
    if (ceasei_load(&ceasei_runtime.idle, RELAXED) == 0 ||
        (alone && ceasei_load(&ceasei_runtime.watcher, RELAXED) != 0)) {
        return;
    }
    ceasei_queue_call_others();
}

/* Whether the next task is the first of the ready queue: there is nothing else, and no time to look around. */
static inline bool ceasei_queue_is_plain(const struct ceasei_worker *w)
{
    return CEASE_LIKELY(w->switches > 0) && CEASE_LIKELY(!w->may_have_new) &&
           CEASE_LIKELY(!ceasei_load(&w->inbox, RELAXED));
}

/* The same for a task that w has just been given, and counts. */
static inline void ceasei_queue_push_begun(struct ceasei_worker *w, struct ceasei_pending *p,
                                           const cease_place *place)
{
    ceasei_store(&w->begun, w->begun + 1, RELEASE);
    ceasei_trace(CEASEI_TRACE_SPAWN, NULL, place);
    ceasei_queue_push_new(w, p);
}

/* ceasei_task_start(), without a call on a worker that has all that it takes at hand. */
static inline cease_error ceasei_queue_start(const struct ceasei_task_start *start)
{
#ifndef CEASE_INTERLEAVE
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w && w->pendings.free && w->stacks.count > ceasei_queue_new_count(w) &&
                     start->fn && start->ctx)) {
        struct ceasei_pending *p = ceasei_pending_new(&w->pendings);
        ceasei_pending_fill(p, start, NULL, NULL);
        ceasei_queue_push_begun(w, p, start->place);
        return CEASE_OK;
    }
#endif
    return ceasei_task_start(start);
}

/* ceasei_sched_next(), for who does it at every switch. */
static inline struct ceasei_task *ceasei_queue_next(struct ceasei_worker *w)
{
    if (CEASE_UNLIKELY(w->switches == 0)) {
        return NULL;
    }
    ceasei_store(&w->switches, w->switches - 1, RELAXED);
    if (CEASE_UNLIKELY(ceasei_load(&w->inbox, RELAXED) != NULL)) {
        ceasei_queue_drain_inbox(w);
    }
    for (;;) {
        uint32_t head = ceasei_load(&w->head, RELAXED);
        struct ceasei_task *ready = w->ready.first;
        if (head == w->tail && CEASE_LIKELY(!w->overflow.first)) {
            w->may_have_new = false;
            return ceasei_queue_pop(&w->ready);
        }
        if (ready && head != w->tail && ready->order < w->ring_order[head % CEASEI_RING_SIZE]) {
            return ceasei_queue_pop(&w->ready);
        }
        struct ceasei_pending *p = ceasei_ring_take(w);
        if (CEASE_UNLIKELY(w->overflow.first != NULL)) {
            ceasei_queue_refill_ring(w);
        }
        if (p) {
            return ceasei_queue_unfold(w, p);
        }
    }
}

/* ceasei_sched_self(), without a call. */
static inline struct ceasei_task *ceasei_queue_self(void)
{
#ifndef CEASE_INTERLEAVE /* there the models' tasks are not those of workers */
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w && w->current)) {
        return w->current;
    }
#endif
    return ceasei_sched_self();
}

/* ceasei_task_self(), without a call. */
static inline struct ceasei_task *ceasei_queue_task(void)
{
#ifdef CEASE_INTERLEAVE
    return ceasei_task_self();
#else
    return ceasei_worker_task();
#endif
}

/* ceasei_wake(), quick where the waiter is a task of the calling worker. */
static inline void ceasei_queue_wake(cease_parker *p)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (w && ceasei_load(&p->state, ACQUIRE) == CEASEI_PARKER_PARKED_TASK) {
        struct ceasei_task *task = p->owner;
        if (task->worker == w) {
            ceasei_trace(CEASEI_TRACE_WAKE, task, NULL);
            ceasei_ready_push(w, task);
            return;
        }
    }
    ceasei_wake(p);
}

#endif
