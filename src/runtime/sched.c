/* SPDX-License-Identifier: MIT
 *
 * sched.c: which task a worker runs next, and how it gets there.
 *
 * The idea: there is no scheduler thread and no scheduler stack on the common path. A task that parks
 * picks the next one itself, on its own stack, and switches straight to it; only when there is none,
 * or after CEASEI_SWITCHES switches (more, when they are quick), does it switch to the thread's own stack, where worker.c looks at
 * timers, sockets and other workers' queues, and sleeps.
 *
 * Invariants:
 *  - `current` is the task whose stack the worker stands on; NULL on the thread's own stack. It
 *    changes just before the switch.
 *  - a started task is in at most one of: ready, inbox. It is in neither while it runs, except
 *    between the moment it lets itself be woken (park.c) and its switch: then it may find itself as
 *    the next one, and goes on without switching.
 *  - a task that has ended gives its stack to the worker's own cache while it still stands on it.
 *    Only this worker takes from there. When the next task has not begun it takes just that stack, which was
 *    used last, and begins where the one before has returned, without a switch.
 *  - errno is the task's own: saved on its stack across the switch.
 */
#include "runtime/leave.h"

#include "base/panic.h"
#include "runtime/runtime.h"

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

/* ---- switching ------------------------------------------------------------------------------ */

/* A task is about to run for the first time, here. */
static inline void begin(struct ceasei_worker *w, struct ceasei_task *task)
{
    if (CEASE_UNLIKELY(w->id_next == w->id_end)) {
        w->id_next = ceasei_add(&ceasei_runtime.ids, ID_BLOCK, RELAXED) + 1;
        w->id_end = w->id_next + ID_BLOCK;
    }
    ceasei_store(&task->id, w->id_next++, RELAXED);
    ceasei_store(&task->worker, w, RELAXED);
    ceasei_store(&task->state, CEASEI_TASK_STARTED, RELEASE);
}

/* The same, on a stack on which nobody stands. */
static __attribute__((noinline)) void begin_there(struct ceasei_worker *w, struct ceasei_task *task)
{
    begin(w, task);
    struct ceasei_stack_bounds bounds = ceasei_stack_bounds(task);
    task->fake = NULL;
    task->fiber = ceasei_fiber_create();
    ceasei_fiber_unpoison(bounds.bottom, (size_t)(bounds.top - bounds.bottom));
    task->sp = ceasei_switch_prepare(bounds.bottom, (char *)task, ceasei_sched_main);
}

/* To `next`, or to the thread's own stack when it is NULL. `fake` is NULL when nobody comes back. */
static inline void switch_to(struct ceasei_worker *w, struct ceasei_task *next, void **save,
                             void **fake)
{
    if (!next) {
        ceasei_store(&w->current, NULL, RELAXED);
        ceasei_fiber_leave(fake, w->base_bottom, w->base_size);
        ceasei_fiber_switch(w->base_fiber);
        ceasei_switch(save, w->base_sp);
        return;
    }
    if (next->state == CEASEI_TASK_NEW) {
        begin_there(w, next);
    } else {
        ceasei_trace(CEASEI_TRACE_RUN, next, NULL);
    }
    ceasei_switch_to_task(w, next, save, fake);
}

void ceasei_sched_run(struct ceasei_worker *w, struct ceasei_task *task)
{
    switch_to(w, task, &w->base_sp, &w->base_fake);
    ceasei_arrive(w, w->base_fake);
}

void ceasei_sched_block(struct ceasei_task *self)
{
    struct ceasei_worker *w = ceasei_worker_self;
    int saved_errno = *w->errno_at;
    self->wait_since_ms = w->now_ms;
    struct ceasei_task *next = ceasei_queue_next(w);
    if (next != self) {
        uint64_t modes = ceasei_modes_leave();
        ceasei_trace(CEASEI_TRACE_PARK, self, NULL);
        w->left_for = __builtin_return_address(0);
        switch_to(w, next, &self->sp, &self->fake);
        ceasei_arrive(w, self->fake);
        ceasei_modes_arrive(modes);
    }
    w->budget = CEASEI_BUDGET;
    self->wait = CEASEI_WAIT_PARKED; /* unless the next wait says what it is for */
    *w->errno_at = saved_errno;
    ceasei_back_void(w);
}

void ceasei_spend(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (!w || --w->budget > 0) {
        return;
    }
    w->budget = CEASEI_BUDGET;
    struct ceasei_task *self = w->current;
    if (self && !cease_callback_place()) {
        ceasei_ready_push(w, self);
        ceasei_sched_block(self);
    } else if (CEASE_UNLIKELY(self && ceasei_rt_debug)) {
        /* Without CEASE_DEBUG it would have switched: a scope of cease/nopark.h is not known there. */
        cease_park_forbidden("a call at the end of the task's turn");
    }
}

CEASE_PUBLIC void cease_yield(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    struct ceasei_task *self = w ? w->current : NULL;
    if (CEASE_UNLIKELY(!self)) {
        if (cease_callback_place()) {
            cease_park_forbidden("cease_yield");
        }
        ceasei_runtime_check_fork();
        sched_yield();
        return;
    }
    if (CEASE_UNLIKELY(ceasei_rt_debug) && cease_callback_place()) {
        cease_park_forbidden("cease_yield"); /* without: at the worker's next look around */
    }
    ceasei_ready_push(w, self);
    ceasei_block(w, self);
    ceasei_back_void(w);
}

/* The current task, from its first instruction to where its stack may be another's. */
static inline void run(struct ceasei_worker *w, struct ceasei_task *self)
{
    *w->errno_at = 0;
    w->budget = CEASEI_BUDGET;
    ceasei_trace(CEASEI_TRACE_BEGIN, self, self->place);
    cease_error result = self->fn(self->ctx, self->arg);
    ceasei_trace(CEASEI_TRACE_END, self, NULL);
    if (CEASE_UNLIKELY(ceasei_rt_debug)) {
        ceasei_stack_depth_end(self);
    }
    if (CEASE_UNLIKELY(self->held != NULL)) {
        ceasei_task_holds(self);
    }
    if (!self->borrows_ctx) {
        cease_unref(self->ctx);
    }
    /* RELEASE: who sees that no task lives also sees what the last one did. */
    ceasei_store(&w->ended, w->ended + 1, RELEASE);
    if (self->done) {
        self->done(self->owner, result);
    }
    ceasei_fiber_unroot(ceasei_stack_bounds(self).bottom, ceasei_stack_whole(self));
    ceasei_stack_give(&w->stacks, self);
    ceasei_modes_reset(); /* what it has set is nobody else's */
}

void ceasei_sched_main(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    struct ceasei_task *self = w->current, *next;
    ceasei_arrive(w, NULL);
    for (;;) {
        run(w, self);
        next = ceasei_sched_next(w);
        if (next != self) {
            break;
        }
        begin(w, self);
    }
    w->dead_fiber = self->fiber;
    void *nobody;
    switch_to(w, next, &nobody, NULL);
    __builtin_unreachable();
}
