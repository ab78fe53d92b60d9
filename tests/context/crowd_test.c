/* SPDX-License-Identifier: MIT
 *
 * Out to break the end of what many wait for, which leaves most of them to a task: one that is told twice or
 * not at all, a context that goes before its last waiter, a runtime that has no task to give.
 */
#include "harness.h"

#include <cease/context.h>
#include <cease/hooks.h>

enum { CROWD = 2000 };

static cease_ctx *ctx;
static cease_canceler *stop;
static cease_watch watches[CROWD];
static int told[CROWD], sum;
static unsigned yields;

static void tell(void *arg)
{
    int *mine = arg;
    ++*mine;
    sum++;
}

static void gather(void)
{
    ctx = cease_with_cancel(cease_background(), &stop);
    for (int i = 0; i < CROWD; i++)
        CHECK(cease_watch_add_waiter(&watches[i], ctx, tell, &told[i]));
    CHECK_EQ(cease_child_count(ctx), CROWD);
}

static void check_each_once(void)
{
    CHECK_EQ(sum, CROWD);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(told[i], 1);
}

/* ----- a runtime of one task ----- */

static struct {
    void (*fn)(void *arg);
    void *arg;
} task;

static cease_error spawn(void (*fn)(void *arg), void *arg)
{
    CHECK(task.fn == NULL);
    task.fn = fn;
    task.arg = arg;
    return CEASE_OK;
}

static void yield(void)
{
    yields++;
}

static unsigned refusals;
static cease_error refuse(void (*fn)(void *arg), void *arg)
{
    (void)fn;
    (void)arg;
    refusals++;
    return CEASE_EAGAIN;
}

/* The waiters leave for another reason just then. */
static cease_error refuse_and_remove(void (*fn)(void *arg), void *arg)
{
    for (int i = 0; i < CROWD; i++)
        if (cease_watch_remove(&watches[i]) == CEASE_WATCH_REMOVED)
            told[i]++, sum++;
    return refuse(fn, arg);
}

static const cease_hooks giving = {.size = sizeof giving, .spawn = spawn, .yield = yield};
static const cease_hooks refusing = {.size = sizeof refusing, .spawn = refuse, .yield = yield};
static const cease_hooks removing = {
    .size = sizeof removing, .spawn = refuse_and_remove, .yield = yield};
static const cease_hooks without_yield = {.size = sizeof without_yield, .spawn = spawn};

TEST(crowd_leftToATask_isToldInParts)
{
    cease_hooks_install(&giving);
    gather();
    cease_cancel(stop);
    CHECK(task.fn != NULL);
    CHECK(sum > 0 && sum < CROWD);
    int first = sum;
    task.fn(task.arg);
    check_each_once();
    CHECK(yields > 1 && yields < (unsigned)(CROWD - first));
    CHECK(cease_watch_remove(&watches[0]) == CEASE_WATCH_RAN);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
    cease_hooks_install(NULL);
}

TEST(crowd_whoseContextIsEndedMeanwhile_keepsItUntilTheLast)
{
    cease_hooks_install(&giving);
    gather();
    cease_cancel(stop);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 1);
    task.fn(task.arg);
    check_each_once();
    CHECK_EQ(cease_live_count(), 0);
    cease_hooks_install(NULL);
}

TEST(crowd_someOfWhomLeaveMeanwhile_tellsTheOthers)
{
    cease_hooks_install(&giving);
    gather();
    cease_cancel(stop);
    /* The oldest and the next in turn are with the task. */
    CHECK(cease_watch_remove(&watches[0]) == CEASE_WATCH_REMOVED);
    CHECK(cease_watch_remove(&watches[CROWD - 1 - sum]) == CEASE_WATCH_REMOVED);
    task.fn(task.arg);
    CHECK_EQ(sum, CROWD - 2);
    cease_end(stop);
    cease_hooks_install(NULL);
}

TEST(crowd_withoutATask_isToldByTheCancel)
{
    static const cease_hooks *const all[] = {NULL, &refusing, &without_yield};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cease_hooks_install(all[i]);
        gather();
        cease_cancel(stop);
        CHECK(task.fn == NULL);
        check_each_once();
        cease_end(stop);
        sum = 0;
        for (int n = 0; n < CROWD; n++)
            told[n] = 0;
    }
    CHECK(refusals > 1); /* it is tried again */
    cease_hooks_install(NULL);
}

TEST(crowd_thatLeavesWhenNoTaskIsThere_isOver)
{
    cease_hooks_install(&removing);
    gather();
    cease_cancel(stop);
    check_each_once();
    CHECK_EQ(refusals, 1);
    cease_end(stop);
    cease_hooks_install(NULL);
}

TEST(crowd_withoutMemoryForATask_isToldAllTheSame)
{
    cease_hooks_install(&giving);
    gather();
    harness_fail_alloc(1);
    cease_cancel(stop);
    harness_fail_alloc(0);
    if (task.fn != NULL) /* the second try */
        task.fn(task.arg);
    check_each_once();
    cease_end(stop);
    cease_hooks_install(NULL);
}
