/* SPDX-License-Identifier: MIT
 *
 * leave.h: leaving a task's stack, in line: for sched.c, and for waits that are so short that a call counts.
 *
 * Returns. The processor predicts a return by the calls that it has seen last, and after a switch those
 * were another stack's: where two tasks have not parked at the same place in the code, the first return of
 * the one that goes on is a wrong guess, and costs as much as all the rest of a wait. So a function that
 * parks in line is entered from the user's call by jumps only, has no calls above itself that would have to
 * return, and itself returns by a jump (ceasei_jump_back) when the stack that was left would have returned to
 * another place. When it would have returned to the same one, a return is right, and so are the guesses for
 * the functions further out: many tasks that do the same are the other common case.
 */
#ifndef CEASE_RUNTIME_LEAVE_H
#define CEASE_RUNTIME_LEAVE_H

#include "runtime/fiber.h"
#include "runtime/queue.h"
#include "runtime/switch.h"
#include "runtime/wait.h"

#if defined(CEASEI_ASAN)
#define CEASEI_STACK_BOTTOM(task) ceasei_stack_bounds(task).bottom
#define CEASEI_STACK_SIZE(task) \
    (size_t)(ceasei_stack_bounds(task).top - ceasei_stack_bounds(task).bottom)
#else
#define CEASEI_STACK_BOTTOM(task) NULL
#define CEASEI_STACK_SIZE(task)   0
#endif

/* The last thing on the stack that is left: to a task that has started. `fake` is NULL when nobody comes back. */
static inline __attribute__((always_inline)) void ceasei_switch_to_task(struct ceasei_worker *w,
                                                                        struct ceasei_task *next,
                                                                        void **save, void **fake)
{
    ceasei_store(&w->current, next, RELAXED); /* see.c looks */
    ceasei_fiber_leave(fake, CEASEI_STACK_BOTTOM(next), CEASEI_STACK_SIZE(next));
    ceasei_fiber_switch(next->fiber);
    ceasei_switch(save, next->sp);
}

/* The first thing on a stack that was switched to. */
static inline void ceasei_arrive(struct ceasei_worker *w, void *fake)
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

/* ceasei_sched_block(), in line where nothing is to be seen to but the next task that is ready. `w` is the
 * calling worker. */
static inline __attribute__((always_inline)) void ceasei_block(struct ceasei_worker *w,
                                                               struct ceasei_task *self)
{
#ifdef CEASE_INTERLEAVE /* there the models' tasks are not those of workers */
    (void)w;
    ceasei_sched_block(self);
#else
    struct ceasei_task *next = w->ready.first;
    if (CEASE_UNLIKELY(!ceasei_queue_is_plain(w)) || CEASE_UNLIKELY(!next) ||
        CEASE_UNLIKELY(next == self) || CEASE_UNLIKELY(ceasei_load(&ceasei_tracing, RELAXED)) ||
        CEASE_UNLIKELY(!ceasei_modes_are_default())) {
        ceasei_sched_block(self);
        return;
    }
    int saved_errno = *w->errno_at;
    self->wait_since_ms = w->now_ms;
    ceasei_store(&w->switches, w->switches - 1, RELAXED);
    w->ready.first = next->next;
    ceasei_probe(CEASEI_TRACE_PARK, self, NULL);
    ceasei_probe(CEASEI_TRACE_RUN, next, NULL);
    w->left_for = __builtin_return_address(0);
    ceasei_switch_to_task(w, next, &self->sp, &self->fake);
    ceasei_arrive(w, self->fake);
    w->budget = CEASEI_BUDGET;
    self->wait = CEASEI_WAIT_PARKED; /* unless the next wait says what it is for */
    *w->errno_at = saved_errno;
#endif
}

/* What a function that has used ceasei_block() returns, as the last thing that it does. */
static inline __attribute__((always_inline)) cease_error ceasei_back(cease_error result)
{
#ifndef CEASE_INTERLEAVE
    const struct ceasei_worker *w = ceasei_worker_self;
    if (w && w->left_for != __builtin_return_address(0) && result == CEASE_OK) {
        return (cease_error)ceasei_jump_back();
    }
#endif
    return result;
}

/* The last statement of one that has no result. */
static inline __attribute__((always_inline)) void ceasei_back_void(const struct ceasei_worker *w)
{
    if (w->left_for != __builtin_return_address(0)) {
        ceasei_jump_back_void();
    }
}

/* ceasei_park_born(), in line. */
static inline __attribute__((always_inline)) void ceasei_park_here(cease_parker *p)
{
#ifndef CEASE_INTERLEAVE
    if (CEASE_LIKELY(ceasei_load(&p->state, RELAXED) == CEASEI_PARKER_PARKED_TASK &&
                     !cease_callback_place())) {
        ceasei_block(ceasei_worker_self, p->owner);
        return;
    }
#endif
    ceasei_park_born(p);
}

#endif
