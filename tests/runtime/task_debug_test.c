/* SPDX-License-Identifier: MIT
 *
 * Out to break: what CEASE_DEBUG=1 promises to notice about tasks. This program runs with it (meson.build); the
 * first case says so.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/test.h>
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
