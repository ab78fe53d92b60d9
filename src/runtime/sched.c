/* SPDX-License-Identifier: MIT
 *
 * sched.c: which task a worker runs next, and how it gets there.
 *
 * The idea: there is no scheduler thread and no scheduler stack on the common path. A task that parks
 * picks the next one itself, on its own stack, and switches straight to it; only when there is none,
 * or every CEASEI_SWITCHES switches, does it switch to the thread's own stack, where worker.c looks at
 * timers, sockets and other workers' queues, and sleeps.
 *
 * Invariants:
 *  - `current` is the task whose stack the worker stands on; NULL on the thread's own stack. It
 *    changes just before the switch.
 *  - a started task is in at most one of: ready, inbox. It is in neither while it runs, except
 *    between the moment it lets itself be woken (park.c) and its switch: then it may find itself as
 *    the next one, and goes on without switching.
 *  - a task that has ended gives its stack to the worker's own cache while it still stands on it.
 *    Only this worker takes from there, and it takes nothing before the switch.
 *  - errno is the task's own: saved on its stack across the switch.
 */
#include "base/panic.h"
#include "runtime/fiber.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/switch.h"
#include "runtime/trace.h"

#include <sched.h>

enum { ID_BLOCK = 1024 };

__thread struct ceasei_worker *ceasei_worker_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

struct ceasei_task *ceasei_sched_self(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (!w) {
        return NULL;
    }
    if (CEASE_UNLIKELY(!w->current)) {
        ceasei_panic(cease_callback_place(), "a worker would wait between two tasks: a callback "
                                             "(of a context, a timer or a socket) must not park");
    }
    return w->current;
}

/* ---- queues --------------------------------------------------------------------------------- */

/* Everything that others have pushed, oldest first, into the ready queue. */
static __attribute__((noinline)) void drain_inbox(struct ceasei_worker *w)
{
    struct ceasei_task *newest = ceasei_swap(&w->inbox, NULL, ACQUIRE), *oldest = NULL;
    while (newest) {
        struct ceasei_task *task = newest;
        newest = task->next;
        task->next = oldest;
        oldest = task;
    }
    while (oldest) {
        struct ceasei_task *task = oldest;
        oldest = task->next;
        ceasei_ready_push(w, task);
    }
}

/* The ring has room again: the first of those that did not fit moves up. */
static void refill_ring(struct ceasei_worker *w)
{
    while (w->overflow.first && ceasei_ring_push(w, w->overflow.first)) {
        (void)ceasei_queue_pop(&w->overflow);
    }
}

void ceasei_sched_push_new(struct ceasei_worker *w, struct ceasei_task *task)
{
    bool alone = ceasei_ring_count(w) == 0;
    task->order = w->order++;
    if (CEASE_UNLIKELY(w->overflow.first != NULL) || !ceasei_ring_push(w, task)) {
        ceasei_queue_push(&w->overflow, task);
        refill_ring(w);
    }
    /* One new task is ours to run as soon as the running one parks, and if that takes long, the
     * watcher sees it: no system call for it. */
    if (ceasei_load(&ceasei_runtime.idle, RELAXED) == 0 ||
        (alone && ceasei_load(&ceasei_runtime.watcher, RELAXED) != 0)) {
        return;
    }
    /* The ring's tail, then `searching`; a searcher clears that, then looks at the rings. */
    if (ceasei_or(&ceasei_runtime.searching, 0, SEQ_CST) == 0) {
        ceasei_worker_wake_any();
    }
}

static inline struct ceasei_task *next_task(struct ceasei_worker *w)
{
    if (CEASE_UNLIKELY(w->switches == 0)) {
        return NULL;
    }
    w->switches--;
    if (CEASE_UNLIKELY(ceasei_load(&w->inbox, RELAXED) != NULL)) {
        drain_inbox(w);
    }
    for (;;) {
        uint32_t head = ceasei_load(&w->head, RELAXED);
        struct ceasei_task *ready = w->ready.first;
        if (head == w->tail && CEASE_LIKELY(!w->overflow.first)) {
            return ceasei_queue_pop(&w->ready);
        }
        if (ready && head != w->tail && ready->order < w->ring_order[head % CEASEI_RING_SIZE]) {
            return ceasei_queue_pop(&w->ready);
        }
        struct ceasei_task *task = ceasei_ring_take(w);
        if (CEASE_UNLIKELY(w->overflow.first != NULL)) {
            refill_ring(w);
        }
        if (task) {
            return task;
        }
    }
}

struct ceasei_task *ceasei_sched_next(struct ceasei_worker *w)
{
    return next_task(w);
}

void ceasei_sched_ready(struct ceasei_task *task)
{
    struct ceasei_worker *w = task->worker, *here = ceasei_worker_self;
    ceasei_trace(CEASEI_TRACE_WAKE, task, NULL);
    if (w == here) {
        ceasei_ready_push(w, task);
        return;
    }
    /* Once it is pushed the task may run and end, and somebody may stop the runtime: a plain thread
     * says that it still needs the worker. A worker is joined before anything goes. */
    if (!here) {
        ceasei_add(&ceasei_runtime.users, 1, RELAXED);
    }
    struct ceasei_task *first = ceasei_load(&w->inbox, RELAXED);
    do {
        task->next = first;
    } while (!ceasei_cas(&w->inbox, &first, task, SEQ_CST));
    if (!first) { /* else somebody has pushed before, and wakes */
        ceasei_worker_wake(w);
    }
    if (!here) {
        ceasei_sub(&ceasei_runtime.users, 1, RELEASE);
    }
}

/* ---- switching ------------------------------------------------------------------------------ */

#if defined(CEASEI_ASAN)
#define STACK_BOTTOM(task) ceasei_stack_bounds(task).bottom
#define STACK_SIZE(task)   (size_t)(ceasei_stack_bounds(task).top - ceasei_stack_bounds(task).bottom)
#else
#define STACK_BOTTOM(task) NULL
#define STACK_SIZE(task)   0
#endif

/* A task is about to run for the first time, here. */
static __attribute__((noinline)) void begin(struct ceasei_worker *w, struct ceasei_task *task)
{
    if (CEASE_UNLIKELY(w->id_next == w->id_end)) {
        w->id_next = ceasei_add(&ceasei_runtime.ids, ID_BLOCK, RELAXED) + 1;
        w->id_end = w->id_next + ID_BLOCK;
    }
    struct ceasei_stack_bounds bounds = ceasei_stack_bounds(task);
    ceasei_store(&task->id, w->id_next++, RELAXED);
    ceasei_store(&task->worker, w, RELAXED);
    ceasei_store(&task->state, CEASEI_TASK_STARTED, RELEASE);
    task->fake = NULL;
    task->fiber = ceasei_fiber_create();
    ceasei_fiber_unpoison(bounds.bottom, (size_t)(bounds.top - bounds.bottom));
    task->sp = ceasei_switch_prepare(bounds.bottom, bounds.top, ceasei_sched_main);
}

/* To `next`, or to the thread's own stack when it is NULL. `fake` is NULL when nobody comes back. */
static inline void switch_to(struct ceasei_worker *w, struct ceasei_task *next, void **save,
                             void **fake)
{
    ceasei_store(&w->current, next, RELAXED); /* see.c looks */
    if (next) {
        if (next->state == CEASEI_TASK_NEW) {
            begin(w, next);
        }
        ceasei_fiber_leave(fake, STACK_BOTTOM(next), STACK_SIZE(next));
        ceasei_fiber_switch(next->fiber);
        ceasei_switch(save, next->sp);
    } else {
        ceasei_fiber_leave(fake, w->base_bottom, w->base_size);
        ceasei_fiber_switch(w->base_fiber);
        ceasei_switch(save, w->base_sp);
    }
}

/* The first thing on a stack that was switched to. */
static inline void arrive(struct ceasei_worker *w, void *fake)
{
    ceasei_fiber_arrive(fake, NULL, NULL);
#if defined(CEASEI_TSAN)
    if (w->dead_fiber) {
        ceasei_fiber_destroy(w->dead_fiber);
        w->dead_fiber = NULL;
    }
#else
    (void)w;
#endif
}

void ceasei_sched_run(struct ceasei_worker *w, struct ceasei_task *task)
{
    switch_to(w, task, &w->base_sp, &w->base_fake);
    arrive(w, w->base_fake);
}

static inline void block(struct ceasei_task *self)
{
    struct ceasei_worker *w = self->worker;
    int saved_errno = *w->errno_at;
    self->wait_since_ms = w->now_ms;
    struct ceasei_task *next = next_task(w);
    if (next != self) {
        uint64_t modes = ceasei_modes_leave();
        ceasei_trace(CEASEI_TRACE_PARK, self, NULL);
        switch_to(w, next, &self->sp, &self->fake);
        arrive(w, self->fake);
        ceasei_trace(CEASEI_TRACE_RUN, self, NULL);
        ceasei_modes_arrive(modes);
    }
    self->wait = CEASEI_WAIT_PARKED; /* unless the next wait says what it is for */
    *w->errno_at = saved_errno;
}

void ceasei_sched_block(struct ceasei_task *self)
{
    block(self);
}

CEASE_PUBLIC void cease_yield(void)
{
    struct ceasei_task *self = ceasei_worker_task();
    if (CEASE_UNLIKELY(!self)) {
        const cease_place *callback = cease_callback_place();
        if (callback) {
            ceasei_panic(callback, "cease_yield inside a callback of a context");
        }
        ceasei_runtime_check_fork();
        sched_yield();
        return;
    }
    ceasei_ready_push(self->worker, self);
    block(self);
}

void ceasei_sched_main(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    struct ceasei_task *self = w->current;
    arrive(w, NULL);
    *w->errno_at = 0;
    ceasei_trace(CEASEI_TRACE_BEGIN, self, self->place);
    cease_error result = self->fn(self->ctx, self->arg);
    ceasei_trace(CEASEI_TRACE_END, self, NULL);
    if (!self->borrows_ctx) {
        cease_unref(self->ctx);
    }
    /* RELEASE: who sees that no task lives also sees what the last one did. */
    ceasei_store(&w->ended, w->ended + 1, RELEASE);
    if (self->done) {
        self->done(self->owner, result);
    }
    w->dead_fiber = self->fiber;
    ceasei_stack_give(&w->stacks, self);
    void *nobody;
    (void)ceasei_modes_leave(); /* what it has set is nobody else's */
    switch_to(w, ceasei_sched_next(w), &nobody, NULL);
    __builtin_unreachable();
}
