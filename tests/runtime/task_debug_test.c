/* SPDX-License-Identifier: MIT
 *
 * Out to break: what CEASE_DEBUG=1 promises to notice about tasks. This program runs with it (meson.build); the
 * first case says so.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/hooks.h>
#include <stdlib.h>

TEST(debug_isOn)
{
    CHECK(getenv("CEASE_DEBUG") != NULL);
}

static cease_mutex mutexes[3];

static cease_error keep_one(cease_ctx *ctx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_mutex_lock(ctx, &mutexes[i]));
    }
    cease_mutex_unlock(&mutexes[1]);
    cease_mutex_unlock(&mutexes[2]);
    return CEASE_OK;
}

static void go_and_wait(cease_task_fn *fn)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST_ABORTS(debug_taskReturnsWithAMutex_namesWhereItTookIt,
            "keep_one: the task that took a mutex here returns without giving it back")
{
    go_and_wait(keep_one);
}

TEST_ABORTS(debug_taskReturnsWithAMutex_namesWhereItWasStarted,
            "task_debug_test.c:33 in go_and_wait")
{
    go_and_wait(keep_one);
}

static cease_error keep_what_was_tried(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    CHECK_OK(cease_mutex_try_lock(&mutexes[0]));
    return CEASE_OK;
}

TEST_ABORTS(debug_taskReturnsWithATriedMutex_aborts, "keep_what_was_tried")
{
    go_and_wait(keep_what_was_tried);
}

/* Handed over while it waited: its all the same. */
static cease_error keep_what_was_handed_over(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_mutex_lock(ctx, &mutexes[0]);
}

TEST_ABORTS(debug_taskReturnsWithAMutexThatWasHandedToIt_aborts, "keep_what_was_handed_over")
{
    CHECK_OK(cease_mutex_try_lock(&mutexes[0]));
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, keep_what_was_handed_over, NULL));
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 1));
    cease_mutex_unlock(&mutexes[0]);
    (void)cease_group_wait(g);
}

static cease_cond cond;
static cease_once once;
static cease_limiter limiter;

static cease_error set_up(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_mutex_lock(ctx, &mutexes[2]);
}

/* All the ways of having a mutex and giving it back, in any order. */
static cease_error give_all_back(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_mutex_lock(ctx, &mutexes[0]));
    CHECK_OK(cease_mutex_lock(ctx, &mutexes[1]));
    cease_canceler *stop;
    cease_ctx *soon = cease_with_timeout(ctx, cease_ms(1), &stop);
    CHECK_ERR(cease_cond_wait(soon, &cond, &mutexes[0]), CEASE_EDEADLINE);
    cease_end(stop);
    cease_error e = cease_once_do(ctx, &once, set_up, NULL);
    CHECK_OK(e);
    CHECK_OK(cease_limiter_wait(ctx, &limiter, 1));
    cease_mutex_unlock(&mutexes[1]);
    cease_mutex_unlock(&mutexes[0]);
    if (cease_mutex_try_lock(&mutexes[2]) == CEASE_EAGAIN) {
        cease_mutex_unlock(&mutexes[2]);
    }
    return CEASE_OK;
}

TEST(debug_taskGivesEveryMutexBack_isLeftAlone)
{
    cease_limiter_init(&limiter, cease_us(10), 1);
    go_and_wait(give_all_back);
    for (int i = 0; i < 3; i++) {
        cease_mutex_deinit(&mutexes[i]);
    }
}

/* ---- scopes in which nothing may park ---------------------------------------------------------------- */

static cease_chan *chan;

/* Does `what` inside a scope, in a task. */
static cease_error inside(cease_ctx *ctx, void *arg)
{
    void (*const *what)(cease_ctx * ctx) = arg;
    CEASE_AUTO_NOPARK cease_nopark scope = {0};
    cease_nopark_begin(&scope);
    (*what)(ctx);
    return CEASE_OK;
}

static void do_inside(void (*what)(cease_ctx *ctx))
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    chan = cease_chan_new(sizeof(int), 1);
    CHECK_OK(cease_group_go(g, inside, &what));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_chan_unref(chan);
}

static void recv_it(cease_ctx *ctx)
{
    int v;
    (void)cease_chan_recv(ctx, chan, &v);
}

static void sleep_it(cease_ctx *ctx)
{
    (void)cease_sleep(ctx, cease_ms(1));
}

static void yield_it(cease_ctx *ctx)
{
    (void)ctx;
    cease_yield();
}

static void wait_it(cease_ctx *ctx)
{
    (void)cease_wait(ctx);
}

static void lock_it(cease_ctx *ctx)
{
    CHECK_OK(cease_mutex_lock(ctx, &mutexes[0]));
}

static void nothing(void *arg)
{
    (void)arg;
}

static void block_it(cease_ctx *ctx)
{
    (void)cease_block(ctx, nothing, NULL, NULL);
}

static void do_what_does_not_park(cease_ctx *ctx)
{
    int v = 1;
    CHECK_OK(cease_chan_send(ctx, chan, &v)); /* there is room */
    CHECK_OK(cease_chan_recv(ctx, chan, &v));
    CHECK_OK(cease_mutex_lock(ctx, &mutexes[0]));
    cease_mutex_unlock(&mutexes[0]);
    cease_canceler *stop;
    cease_ctx *own = cease_with_cancel(ctx, &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_sleep(own, cease_sec(1)), CEASE_ECANCELED);
    cease_end(stop);
}

TEST(nopark_callsThatDoNotWait_areFine)
{
    do_inside(do_what_does_not_park);
}

#define NAMES_THE_SCOPE "inside: cease_park parks inside the scope that begins here"
TEST_ABORTS(nopark_recv_namesTheScope, NAMES_THE_SCOPE)
{
    do_inside(recv_it);
}

TEST_ABORTS(nopark_wait_namesTheScope, NAMES_THE_SCOPE)
{
    do_inside(wait_it);
}

TEST_ABORTS(nopark_sleep_namesTheScope,
            "inside: cease_sleep parks inside the scope that begins here")
{
    do_inside(sleep_it);
}

TEST_ABORTS(nopark_yield_namesTheScope,
            "inside: cease_yield parks inside the scope that begins here")
{
    do_inside(yield_it);
}

TEST_ABORTS(nopark_block_namesTheScope, "parks inside the scope that begins here")
{
    do_inside(block_it);
}

TEST_ABORTS(nopark_lockThatIsHeld_namesTheScope, NAMES_THE_SCOPE)
{
    CHECK_OK(cease_mutex_try_lock(&mutexes[0]));
    do_inside(lock_it);
}

TEST_ABORTS(nopark_onAPlainThread_namesTheScope, NAMES_THE_SCOPE)
{
    void (*what)(cease_ctx * ctx) = wait_it;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    (void)inside(ctx, &what);
}

TEST_ABORTS(nopark_yieldOnAPlainThread_namesTheScope, "parks inside the scope that begins here")
{
    void (*what)(cease_ctx * ctx) = yield_it;
    (void)inside(cease_background(), &what);
}

static void yield_in_callback(void *arg)
{
    (void)arg;
    cease_yield();
}

static void cancel_it(cease_ctx *ctx)
{
    static cease_watch watch;
    cease_canceler *stop;
    CHECK(cease_watch_add(&watch, cease_with_cancel(ctx, &stop), yield_in_callback, NULL));
    cease_end(stop);
}

TEST_ABORTS(nopark_callbackInsideAScope_namesTheCallback,
            "cancel_it: cease_yield inside a callback")
{
    do_inside(cancel_it);
}

TEST(nopark_scopesInScopes_endOneByOne)
{
    cease_nopark outer = {0}, inner;
    cease_nopark_end(&outer); /* has not begun */
    (cease_nopark_begin)(&outer);
    cease_nopark_begin(&inner);
    CHECK(cease_callback_place() != NULL);
    cease_nopark_end(&inner);
    CHECK(cease_callback_place() != NULL);
    cease_nopark_end(&inner); /* once is enough */
    cease_nopark_end(&outer);
    CHECK_PTR(cease_callback_place(), NULL);
    cease_yield();
}

TEST_ABORTS(nopark_scopesThatCross_abort, "is not the one that began last on this thread")
{
    cease_nopark first, second;
    cease_nopark_begin(&first);
    cease_nopark_begin(&second);
    cease_nopark_end(&first);
}

/* Without CEASE_DEBUG the last of a turn's calls would let others run. */
static cease_error use_up_the_turn(cease_ctx *ctx, void *arg)
{
    cease_nopark scope;
    (void)arg;
    cease_nopark_begin(&scope);
    for (int i = 0; i < 10000; i++) {
        CHECK_OK(cease_mutex_lock(ctx, &mutexes[0]));
        cease_mutex_unlock(&mutexes[0]);
    }
    cease_nopark_end(&scope);
    return CEASE_OK;
}

TEST_ABORTS(debug_turnEndsInsideAScope_aborts,
            "use_up_the_turn: a call at the end of the task's turn parks inside")
{
    go_and_wait(use_up_the_turn);
}
