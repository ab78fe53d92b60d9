/* SPDX-License-Identifier: MIT
 *
 * Out to break the cancel of what thousands wait for, which a task does in parts: a waiter that is left
 * behind, a callback that has not run when the cancel returns, a value that is lost or seen twice, a context
 * that goes while some still wait for it.
 */
#include "both.h"

#include <cease/cease.h>
#include <pthread.h>
#include <stdatomic.h>

enum { KINDS = 3, THREADS = 40 };
/* More than what a cancel wakes itself, with something left where a sanitizer makes each task dear. */
#define CROWD (harness_is_slow() ? 700u : 2000u)

struct crowd {
    cease_ctx *ctx;
    cease_canceler *stop;
    cease_group *group;
    cease_chan *ch; /* unbuffered */
    atomic_uint next, begun, cancelled;
    atomic_uint received, callbacks;
};

static void setup(struct crowd *c)
{
    *c = (struct crowd){0};
    c->ctx = cease_with_cancel(cease_background(), &c->stop);
    c->group = cease_group_new(cease_background(), NULL);
    c->ch = cease_chan_new(sizeof(int), 0);
}

static void teardown(struct crowd *c)
{
    cease_chan_unref(c->ch);
    cease_group_free(c->group);
    cease_end(c->stop);
}

/* Waits for the end of c->ctx in one of several ways. */
static void wait_somehow(struct crowd *c)
{
    int value = 0;
    unsigned kind = atomic_fetch_add(&c->next, 1) % KINDS;
    atomic_fetch_add(&c->begun, 1);
    if (kind == 0) {
        CHECK_ERR(cease_wait(c->ctx), CEASE_ECANCELED);
    } else if (kind == 1) {
        CHECK_ERR(cease_chan_recv(c->ctx, c->ch, &value), CEASE_ECANCELED);
    } else {
        size_t which = 9;
        cease_case cases[] = {CEASE_RECV(c->ch, &value), CEASE_ENDED(c->ctx)};
        CHECK_OK(cease_select(cease_background(), cases, 2, &which));
        CHECK_EQ(which, 1);
    }
    CHECK(cease_done(c->ctx));
    atomic_fetch_add(&c->cancelled, 1);
}

static cease_error wait_in_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    wait_somehow(arg);
    return CEASE_OK;
}

static void *wait_in_thread(void *arg)
{
    wait_somehow(arg);
    return NULL;
}

/* So many watches are with c->ctx: all of them wait. */
static void gather(struct crowd *c, unsigned tasks, unsigned others)
{
    for (unsigned i = 0; i < tasks; i++) {
        CHECK_OK(cease_group_go(c->group, wait_in_task, c));
    }
    while (cease_child_count(c->ctx) < tasks + others) {
        cease_yield();
    }
}

static void count(void *arg)
{
    struct crowd *c = arg;
    CHECK(cease_done(c->ctx));
    atomic_fetch_add(&c->callbacks, 1);
}

static void warm_up(void)
{
    struct crowd c;
    setup(&c);
    gather(&c, 10, 0);
    cease_cancel(c.stop);
    CHECK_OK(cease_group_wait(c.group));
    teardown(&c);
    harness_mark();
}

BOTH(crowd_ofAllKinds_returns)
{
    struct crowd c;
    setup(&c);
    gather(&c, CROWD, 0);
    cease_cancel(c.stop);
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.cancelled, CROWD);
    teardown(&c);
}

/* A callback that was added after all waiters: what is behind it is a crowd. */
BOTH(crowd_callbackBeforeIt_hasRunWhenCancelReturns)
{
    struct crowd c;
    cease_watch last;
    setup(&c);
    gather(&c, CROWD, 0);
    cease_watch_add(&last, c.ctx, count, &c);
    cease_cancel(c.stop);
    CHECK_EQ(c.callbacks, 1);
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.cancelled, CROWD);
    teardown(&c);
}

/* Callbacks that were added before some: nothing may be left to others until they have run. */
BOTH(crowd_callbacksBehindIt_haveRunWhenCancelReturns)
{
    struct crowd c;
    cease_watch first, middle;
    setup(&c);
    gather(&c, CROWD, 0);
    cease_watch_add(&first, c.ctx, count, &c);
    gather(&c, CROWD, CROWD + 1);
    cease_watch_add(&middle, c.ctx, count, &c);
    gather(&c, CROWD, 2 * CROWD + 2);
    cease_cancel(c.stop);
    CHECK_EQ(c.callbacks, 2);
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.cancelled, 3 * CROWD);
    teardown(&c);
}

BOTH(crowd_contextEndsBeforeItsLastWaiter)
{
    struct crowd c;
    setup(&c);
    gather(&c, CROWD, 0);
    cease_ref(c.ctx); /* the waiters still look at it */
    cease_cancel(c.stop);
    cease_end(c.stop);
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.cancelled, CROWD);
    cease_unref(c.ctx);
    c.stop = NULL;
    teardown(&c);
}

static void cancel_crowd(void *arg)
{
    struct crowd *c = arg;
    cease_cancel(c->stop);
}

/* From a callback, on whatever thread the deadlines of the caller are. */
BOTH(crowd_cancelledByACallbackOfADeadline_returns)
{
    struct crowd c;
    cease_watch watch;
    cease_canceler *soon;
    setup(&c);
    gather(&c, CROWD, 0);
    cease_ctx *deadline = cease_with_timeout(cease_background(), cease_ms(1), &soon);
    cease_watch_add(&watch, deadline, cancel_crowd, &c);
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.cancelled, CROWD);
    cease_watch_remove_sync(&watch);
    cease_end(soon);
    teardown(&c);
}

TEST(crowd_withPlainThreadsInIt_returns)
{
    struct crowd c;
    pthread_t threads[THREADS];
    warm_up();
    setup(&c);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_in_thread, &c), 0);
    }
    gather(&c, CROWD, THREADS);
    cease_cancel(c.stop);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.cancelled, CROWD + THREADS);
    teardown(&c);
}

/* ---- values that come meanwhile ------------------------------------------------------------------ */

static cease_error receive_one(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    struct crowd *c = arg;
    int value = 0;
    cease_error e = cease_chan_recv(c->ctx, c->ch, &value);
    CHECK(e == CEASE_OK || e == CEASE_ECANCELED);
    CHECK_EQ(value, e == CEASE_OK);
    atomic_fetch_add(e == CEASE_OK ? &c->begun : &c->cancelled, 1);
    return CEASE_OK;
}

/* Until nobody waits any more. */
static cease_error send_all(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    struct crowd *c = arg;
    int one = 1;
    while (c->begun + c->cancelled < CROWD) {
        if (cease_chan_try_send(c->ch, &one) == CEASE_OK) {
            c->received++;
        }
        cease_yield();
    }
    return CEASE_OK;
}

BOTH(crowd_valuesMeanwhile_areReceivedOnce)
{
    struct crowd c;
    setup(&c);
    for (unsigned i = 0; i < CROWD; i++) {
        CHECK_OK(cease_group_go(c.group, receive_one, &c));
    }
    while (cease_child_count(c.ctx) < CROWD) {
        cease_yield();
    }
    CHECK_OK(cease_group_go(c.group, send_all, &c));
    cease_cancel(c.stop);
    CHECK_OK(cease_group_wait(c.group));
    CHECK_EQ(c.begun + c.cancelled, CROWD);
    CHECK_EQ(c.received, c.begun);
    teardown(&c);
}
