/* SPDX-License-Identifier: MIT
 *
 * Out to break: who ended it, why, where, and that the first one wins. The rows are those of Go's TestCause.
 */
#include "harness.h"

#include <cease/hooks.h>

enum { PARENT = 101, CHILD = 102, LATE = 103 };

static void check(const cease_ctx *ctx, cease_error error, int code)
{
    CHECK_ERR(cease_err(ctx), error);
    const cease_cause *cause = cease_cause_of(ctx);
    if (error == CEASE_OK) {
        CHECK(cause == NULL);
        return;
    }
    CHECK(cause != NULL);
    CHECK_ERR(cause->error, error);
    CHECK_EQ(cause->code, code);
    CHECK(cause->text != NULL && cause->place != NULL && cause->at.ns > 0);
    CHECK_EQ(cause->task, 0);
}

TEST(cause_ofRoots_isNone)
{
    check(cease_background(), CEASE_OK, 0);
    check(cease_todo(), CEASE_OK, 0);
}

TEST(cause_ofAPlainCancel_isTheError)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    check(ctx, CEASE_OK, 0);
    int line = __LINE__ + 1;
    cease_cancel(stop);
    check(ctx, CEASE_ECANCELED, CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->place->line, line);
    CHECK_STR(cease_cause_of(ctx)->place->function, __func__);
    CHECK_STR(cease_cause_of(ctx)->text, "context canceled");
}

TEST(cause_withACode_isKeptAndTheFirstWins)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, PARENT, "%s %d", "reason", 1);
    cease_cancel_cause(stop, LATE, "another");
    cease_cancel(stop);
    check(ctx, CEASE_ECANCELED, PARENT);
    CHECK_STR(cease_cause_of(ctx)->text, "reason 1");
}

TEST(cause_withNothingSaid_isTheError)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 0, NULL);
    check(ctx, CEASE_ECANCELED, CEASE_ECANCELED);
    CHECK_STR(cease_cause_of(ctx)->text, "context canceled");
}

TEST(cause_withATextAndNoCode_isTheErrorWithThatText)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 0, "text %d", 1);
    check(ctx, CEASE_ECANCELED, CEASE_ECANCELED);
    CHECK_STR(cease_cause_of(ctx)->text, "text 1");
}

TEST(cause_ofAMerge_needsNoText)
{
    CEASE_AUTO_END cease_canceler *stop = NULL, *one = NULL, *other = NULL;
    cease_ctx *first = cease_with_cancel(cease_background(), &one);
    cease_ctx *second = cease_with_cancel(cease_background(), &other);
    cease_ctx *ctx = cease_with_merge(first, second, &stop);
    cease_cancel_cause(stop, PARENT, NULL);
    check(ctx, CEASE_ECANCELED, PARENT);
    CHECK(!cease_done(first) && !cease_done(second));
}

TEST(cause_ofNoCanceler_isNothing)
{
    cease_cancel_cause(NULL, PARENT, NULL);
    (cease_cancel_cause)(NULL, PARENT, NULL);
}

/* A parent and a child that end in one order or the other, each with a cause of its own or without. */
static void both(bool parent_first, bool parent_code, bool child_code)
{
    cease_canceler *stop, *child_stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(parent, &child_stop);
    for (int i = 0; i < 2; i++) {
        if ((i == 0) == parent_first)
            cease_cancel_cause(stop, parent_code ? PARENT : 0, NULL);
        else
            cease_cancel_cause(child_stop, child_code ? CHILD : 0, NULL);
    }
    int parents = parent_code ? PARENT : CEASE_ECANCELED;
    int childs = child_code ? CHILD : CEASE_ECANCELED;
    check(parent, CEASE_ECANCELED, parents);
    check(child, CEASE_ECANCELED, parent_first ? parents : childs);
    cease_end(child_stop);
    cease_end(stop);
}

TEST(cause_ofParentAndChild_isTheFirstOnesInEveryOrder)
{
    for (int i = 0; i < 8; i++)
        both((i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
}

TEST(cause_ofATimeoutOfZero_isTheDeadline)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ns(0), &stop);
    check(ctx, CEASE_EDEADLINE, CEASE_EDEADLINE);
    CHECK_STR(cease_cause_of(ctx)->text, "context deadline exceeded");
    cease_time deadline;
    CHECK(cease_deadline(ctx, &deadline));
    CHECK_EQ(cease_cause_of(ctx)->at.ns, deadline.ns);
}

TEST(cause_ofATimeoutCancelledEarly_isTheCancel)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    cease_cancel(stop);
    check(ctx, CEASE_ECANCELED, CEASE_ECANCELED);
}

TEST(cause_ofATimeoutWithCause_isItsOwn)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    int line = __LINE__ + 1;
    cease_ctx *ctx = cease_with_timeout_cause(cease_background(), cease_ns(0), 7, "slow", &stop);
    check(ctx, CEASE_EDEADLINE, 7);
    CHECK_STR(cease_cause_of(ctx)->text, "slow");
    CHECK_EQ(cease_cause_of(ctx)->place->line, line);
}

TEST(cause_ofATimeoutWithCauseCancelledEarly_isTheCancel)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout_cause(cease_background(), cease_hour(1), 7, "slow", &stop);
    cease_cancel_cause(stop, LATE, "stopped");
    check(ctx, CEASE_ECANCELED, LATE);
    CHECK_STR(cease_cause_of(ctx)->text, "stopped");
}

/* Stacked: a cancel-cause context over a timeout-cause one, both ways. */
TEST(cause_stackedOverATimeout_isWhoeverWasFirst)
{
    cease_canceler *stop, *timer_stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *timer = cease_with_timeout_cause(ctx, cease_ns(0), 7, "slow", &timer_stop);
    cease_cancel_cause(stop, PARENT, NULL);
    check(ctx, CEASE_ECANCELED, PARENT);
    check(timer, CEASE_EDEADLINE, 7);
    cease_end(timer_stop);
    cease_end(stop);

    ctx = cease_with_cancel(cease_background(), &stop);
    timer = cease_with_timeout_cause(ctx, cease_hour(1), 7, "slow", &timer_stop);
    cease_cancel_cause(stop, PARENT, NULL);
    check(timer, CEASE_ECANCELED, PARENT);
    cease_end(timer_stop);
    cease_end(stop);
}

TEST(cause_belowWithoutCancel_isNone)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *fresh = cease_without_cancel(ctx);
    check(fresh, CEASE_OK, 0);
    cease_cancel_cause(stop, PARENT, NULL);
    cease_ctx *after = cease_without_cancel(ctx);
    check(fresh, CEASE_OK, 0);
    check(after, CEASE_OK, 0);
    cease_unref(fresh);
    cease_unref(after);
    cease_end(stop);
    ctx = cease_with_timeout(cease_background(), cease_ns(-1), &stop);
    after = cease_without_cancel(ctx);
    check(after, CEASE_OK, 0);
    cease_unref(after);
    cease_end(stop);
}

/* A foreign lifetime is a share that somebody else cancels (Go: a custom context). */
static void foreign_end(void *share)
{
    cease_cancel_cause(share, 55, "the foreign one ended");
}

TEST(cause_ofAForeignLifetime_isHandedDown)
{
    for (int when = 0; when < 3; when++) { /* parent: not cancelled, cancelled before, after */
        cease_canceler *stop, *foreign, *child_stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        if (when == 1)
            cease_cancel_cause(stop, PARENT, NULL);
        cease_ctx *middle = cease_with_cancel(parent, &foreign);
        cease_canceler *share = cease_canceler_ref(foreign);
        cease_ctx *child = cease_with_cancel(middle, &child_stop);
        foreign_end(share);
        if (when == 2)
            cease_cancel_cause(stop, PARENT, NULL);
        check(child, CEASE_ECANCELED, when == 1 ? PARENT : 55);
        cease_end(child_stop);
        cease_end(share);
        cease_end(foreign);
        cease_end(stop);
    }
}

TEST(cause_ofTheEndOfAScope_namesTheMaking)
{
    cease_canceler *stop;
    int line = __LINE__ + 1;
    cease_ctx *ctx = cease_ref(cease_with_cancel(cease_background(), &stop));
    cease_end(stop);
    check(ctx, CEASE_ECANCELED, CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->place->line, line);
    cease_unref(ctx);
}

TEST(cause_textWithoutMemory_isDroppedAndTheCodeKept)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    harness_fail_alloc(1);
    cease_cancel_cause(stop, 8, "text %d", 1);
    CHECK(harness_alloc_failed());
    harness_fail_alloc(0);
    check(ctx, CEASE_ECANCELED, 8);
    CHECK_STR(cease_cause_of(ctx)->text, "context canceled");
}

TEST(error_names_andTexts)
{
    CHECK_STR(cease_error_name(CEASE_OK), "CEASE_OK");
    CHECK_STR(cease_error_name(CEASE_EDEADLINE), "CEASE_EDEADLINE");
    CHECK_STR(cease_strerror(CEASE_ECANCELED), "context canceled");
    CHECK_STR(cease_strerror((cease_error)-EXDEV), "Invalid cross-device link");
    CHECK_STR(cease_error_name((cease_error)-EXDEV), "EXDEV");
    CHECK_STR(cease_strerror((cease_error)-5000), "unknown error");
    CHECK_STR(cease_strerror((cease_error)7), "unknown error");
}
