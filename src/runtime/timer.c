/* SPDX-License-Identifier: MIT
 *
 * timer.c: sleeping.
 *
 * A task that sleeps is in its worker's heap of sleepers, and is watched by its context; the claim
 * word of wait.h decides which of the two wakes it. Only the worker touches the heap: it fires between
 * tasks, and a sleeper that its context woke takes itself out, on the same worker. A plain thread
 * sleeps in a context of its own with that much time.
 */
#include "base/panic.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

#include <cease/hooks.h>
#include <sched.h>

struct sleeper {
    struct ceasei_heap_node node; /* first: a node is its sleeper */
    struct ceasei_waiter waiter;
    bool in_heap;
};

void ceasei_timer_fire(struct ceasei_worker *w, cease_time now)
{
    struct ceasei_heap_node *n;
    while ((n = w->sleepers.root) && n->at.ns <= now.ns) {
        struct sleeper *s = (struct sleeper *)n;
        ceasei_heap_remove(&w->sleepers, n);
        s->in_heap = false;
        if (ceasei_waiter_claim(&s->waiter, CEASEI_BY_PEER) || CEASE_SEED_BUG(BUG_TIMER)) {
            ceasei_wake(&s->waiter.parker);
        }
    }
}

static cease_error sleep_task(struct ceasei_task *self, cease_ctx *ctx, cease_time until)
{
    struct ceasei_worker *w = self->worker;
    struct sleeper s = {.node.at = until, .in_heap = true};
    ceasei_waiter_init(&s.waiter);
    ceasei_heap_add(&w->sleepers, &s.node);
    ceasei_waits(self, ctx, CEASEI_WAIT_SLEEP, (uintptr_t)until.ns);
    uint32_t by = ceasei_waiter_wait(&s.waiter, ctx);
    if (s.in_heap) {
        ceasei_heap_remove(&w->sleepers, &s.node);
    }
    return by == CEASEI_BY_CTX ? cease_err(ctx) : CEASE_OK;
}

static cease_error sleep_thread(cease_ctx *ctx, cease_time until)
{
    static const cease_place place = {__FILE__, __LINE__, "cease_sleep"};
    cease_canceler *stop;
    cease_ctx *time = cease_with_deadline_at(ctx, until, &stop, &place);
    cease_error err = cease_wait(time);
    const cease_cause *cause = cease_cause_of(time);
    if (cause->place == &place && cause->error == CEASE_EDEADLINE) {
        err = CEASE_OK;
    } else if (!cease_done(ctx)) {
        err = CEASE_ENOMEM; /* no memory, or no thread, for the context or its deadline */
    }
    cease_end(stop);
    return err;
}

CEASE_PUBLIC cease_error cease_sleep(cease_ctx *ctx, cease_dur d)
{
    cease_error err = ceasei_enter(ctx, __func__);
    if (err != CEASE_OK) {
        return err;
    }
    if (d.ns <= 0) {
        cease_yield();
        return CEASE_OK;
    }
    if (CEASE_UNLIKELY(cease_callback_place() != NULL)) {
        cease_park_forbidden("cease_sleep");
    }
    cease_time until = cease_time_add(cease_now(), d);
    if (until.ns == INT64_MAX) {
        return cease_wait(ctx);
    }
    struct ceasei_task *self =
        ceasei_sched_self(); /* also tells a callback that it must not wait */
    if (self) {
        return sleep_task(self, ctx, until);
    }
    ceasei_runtime_check_fork();
    return sleep_thread(ctx, until);
}
