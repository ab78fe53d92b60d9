/* SPDX-License-Identifier: MIT
 *
 * task.c: starting tasks, and what a task can ask about itself.
 */
#include "runtime/task.h"

#include "base/panic.h"
#include "runtime/fiber.h"
#include "runtime/queue.h"
#include "runtime/runtime.h"
#include "runtime/trace.h"

#include <cease/hooks.h>

/* A stack for one more, if there is none in the cache of w that no other task counts on. */
static cease_error stack_take(struct ceasei_worker *w, struct ceasei_task **ret_task,
                              struct ceasei_arena **ret_arena)
{
    if (w && ceasei_stack_refill(&w->stacks)) {
        *ret_task = NULL;
        return CEASE_OK;
    }
    return ceasei_stack_take(ret_task, ret_arena);
}

/* A task in no queue yet. */
static inline cease_error pending_new(const struct ceasei_task_start *start,
                                      struct ceasei_worker *w, struct ceasei_pending **ret_pending)
{
    struct ceasei_task *task = NULL;
    struct ceasei_arena *arena = NULL;
    if (!w || CEASE_UNLIKELY(w->stacks.count <= ceasei_queue_new_count(w))) {
        cease_error err = stack_take(w, &task, &arena);
        if (CEASE_UNLIKELY(err != CEASE_OK)) {
            return err;
        }
    }
    struct ceasei_pending *p = ceasei_pending_new(w ? &w->pendings : NULL);
    if (CEASE_UNLIKELY(!p)) {
        if (task) {
            task->arena = arena;
            ceasei_stack_give_all(task);
        }
        return CEASE_ENOMEM;
    }
    ceasei_pending_fill(p, start, task, arena);
    *ret_pending = p;
    return CEASE_OK;
}

static cease_error start_inside(const struct ceasei_task_start *start, struct ceasei_worker *w)
{
    struct ceasei_pending *p;
    cease_error err = pending_new(start, w, &p);
    if (CEASE_LIKELY(err == CEASE_OK)) {
        ceasei_queue_push_begun(w, p, start->place);
    }
    return err;
}

static cease_error start_outside(const struct ceasei_task_start *start)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    struct ceasei_pending *p;
    cease_error err = ceasei_runtime_enter();
    if (err != CEASE_OK) {
        return err;
    }
    err = pending_new(start, NULL, &p);
    if (err == CEASE_OK) {
        ceasei_trace(CEASEI_TRACE_SPAWN, NULL, start->place);
        ceasei_lock(&rt->outside_lock);
        ceasei_pending_push(&rt->outside, p);
        ceasei_store(&rt->outside_begun, rt->outside_begun + 1, RELEASE);
        /* SEQ_CST: the count is raised, then somebody asleep is looked for; a worker says that it
         * sleeps, then looks at the count. */
        ceasei_store(&rt->outside_count, rt->outside_count + 1, SEQ_CST);
        ceasei_unlock(&rt->outside_lock);
        ceasei_worker_wake_any();
    }
    ceasei_runtime_leave();
    return err;
}

cease_error ceasei_task_start(const struct ceasei_task_start *start)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_UNLIKELY(!start->ctx || !start->fn)) {
        ceasei_panic(start->place, "a task is started with a NULL %s",
                     start->ctx ? "function" : "context");
    }
    return CEASE_LIKELY(w != NULL) ? start_inside(start, w) : start_outside(start);
}

struct ceasei_task *ceasei_task_self(void)
{
    return ceasei_worker_task();
}

CEASE_PUBLIC cease_error cease_go_at(cease_ctx *parent, cease_task_fn *fn, void *arg,
                                     const cease_place *place)
{
    struct ceasei_task_start start = {.ctx = parent, .fn = fn, .arg = arg, .place = place};
    return ceasei_task_start(&start);
}

#undef cease_go
/* For bindings of other languages. */
CEASE_PUBLIC cease_error cease_go(cease_ctx *parent, cease_task_fn *fn, void *arg);
CEASE_PUBLIC cease_error cease_go(cease_ctx *parent, cease_task_fn *fn, void *arg)
{
    return cease_go_at(parent, fn, arg, CEASE_HERE);
}

CEASE_PUBLIC uint64_t cease_task_id(void)
{
    struct ceasei_task *self = ceasei_worker_task();
    return self ? self->id : 0;
}
