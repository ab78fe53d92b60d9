/* SPDX-License-Identifier: MIT
 *
 * Out to break: deadlines that come early, never, twice, or while somebody else ends the context. Nothing here measures
 * time: the checks are of order, and the runner's limit is for what never comes.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <pthread.h>
#include <stdlib.h>

static cease_key key = CEASE_KEY("key");

/* [TestDeadline, TestTimeout] plain, wrapped, and wrapped with a longer one inside. */
TEST(timeout_passes_endsItAndWhatIsBelowNeverEarly)
{
    cease_canceler *stop, *inner_stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    cease_ctx *wrapped = cease_with_value(ctx, &key, "v");
    cease_ctx *inner = cease_with_timeout(wrapped, cease_hour(1), &inner_stop);
    cease_time deadline, inner_deadline;
    CHECK(cease_deadline(ctx, &deadline) && cease_deadline(inner, &inner_deadline));
    CHECK_EQ(deadline.ns, inner_deadline.ns);
    CHECK_ERR(cease_wait(inner), CEASE_EDEADLINE);
    CHECK(cease_now().ns >= deadline.ns);
    CHECK(cease_done(ctx) && cease_done(wrapped));
    CHECK_PTR(cease_cause_of(inner), cease_cause_of(ctx));
    cease_end(inner_stop);
    cease_unref(wrapped);
    cease_end(stop);
}

TEST(deadline_inThePastOrNow_hasEndedWhenTheCallReturns)
{
    cease_dur offsets[] = {cease_hour(-1), cease_ns(-1), cease_ns(0)};
    for (int i = 0; i < 3; i++) {
        cease_canceler *stop;
        cease_time at = cease_time_add(cease_now(), offsets[i]);
        cease_ctx *ctx = cease_with_deadline(cease_background(), at, &stop);
        CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
        cease_end(stop);
        ctx = cease_with_timeout(cease_background(), offsets[i], &stop);
        CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
        cease_end(stop);
    }
    CHECK_EQ(cease_live_count(), 0);
}

/* The parent's deadline has passed and nobody has looked: the child's own, later one has passed too. */
TEST(deadline_passedLikeAnUnnoticedParents_showsTheParentsCause)
{
    cease_canceler *stop, *child_stop;
    cease_time at = cease_time_add(cease_now(), cease_ms(2));
    cease_ctx *parent = cease_with_deadline_cause(cease_background(), at, 31, "parent's", &stop);
    while (cease_now().ns <= at.ns)
        continue;
    cease_ctx *child = cease_with_deadline_cause(parent, at, 32, "child's", &child_stop);
    CHECK_EQ(cease_cause_of(child)->code, 31);
    cease_end(child_stop);
    cease_end(stop);
}

TEST(deadline_laterThanTheParents_armsNothing)
{
    cease_canceler *stop, *child_stop;
    cease_ctx *parent = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    cease_ctx *child = cease_with_timeout(parent, cease_hour(2), &child_stop);
    cease_time a, b;
    CHECK(cease_deadline(parent, &a) && cease_deadline(child, &b));
    CHECK_EQ(a.ns, b.ns);
    cease_end(child_stop);
    child = cease_with_deadline(parent, CEASE_NEVER, &child_stop);
    CHECK(cease_deadline(child, &b));
    CHECK_EQ(a.ns, b.ns);
    cease_end(child_stop);
    cease_end(stop);
}

/* [TestCanceledTimeout] */
TEST(timeout_cancelledEarly_isCanceledAtOnce)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(200), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    cease_end(stop);
}

/* No look, no timer; the first look arms it, and an end takes it off again. */
TEST(timer_untilSomebodyLooks_isNotArmed)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    CHECK_EQ(cease_timers_next(0).ns, INT64_MAX);
    CHECK(!cease_done(ctx));
    cease_time deadline;
    CHECK(cease_deadline(ctx, &deadline));
    CHECK_EQ(cease_timers_next(0).ns, deadline.ns);
    cease_cancel(stop);
    CHECK_EQ(cease_timers_next(0).ns, INT64_MAX);
    cease_end(stop);
}

TEST(timers_endedInAnyOrder_leaveTheEarliestInFront)
{
    enum { COUNT = 500 };
    cease_canceler *stops[COUNT];
    cease_ctx *ctxs[COUNT];
    unsigned seed = 7;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1103515245 + 12345;
        ctxs[i] = cease_with_timeout(cease_background(), cease_sec(1000 + (seed >> 16) % 5000),
                                     &stops[i]);
        CHECK(!cease_done(ctxs[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        int64_t least = INT64_MAX;
        for (int j = i; j < COUNT; j++) {
            cease_time d;
            CHECK(cease_deadline(ctxs[j], &d));
            least = d.ns < least ? d.ns : least;
        }
        CHECK_EQ(cease_timers_next(0).ns, least);
        cease_end(stops[i]);
    }
    CHECK_EQ(cease_timers_next(0).ns, INT64_MAX);
}

/* What takes the place of one that was ended in the middle may be earlier than what is above it there. In tenths of
 * hours, in an order in which each stays where it was put. */
TEST(timers_endedInTheMiddle_leaveTheEarliestInFront)
{
    static const int order[] = {1, 10, 2, 20, 30, 11, 12, 13, 14, 5}, ended[] = {11, 1, 2};
    enum { COUNT = sizeof order / sizeof *order, LATEST = 30 };
    cease_canceler *stops[LATEST + 1] = {0};
    cease_time start = cease_now(), at;
    for (int i = 0; i < COUNT; i++) {
        at = cease_time_add(start, cease_min(6 * order[i]));
        CHECK(!cease_done(cease_with_deadline(cease_background(), at, &stops[order[i]])));
    }
    for (int i = 0; i < 3; i++) {
        cease_end(stops[ended[i]]);
        stops[ended[i]] = NULL;
    }
    CHECK_EQ(cease_timers_next(0).ns, cease_time_add(start, cease_min(6 * 5)).ns);
    for (int i = 0; i <= LATEST; i++)
        cease_end(stops[i]);
    CHECK_EQ(cease_timers_next(0).ns, INT64_MAX);
}

TEST(deadline_earlierThanWhatTheTimerThreadSleepsFor_comes)
{
    cease_canceler *far_stop, *stop;
    cease_ctx *far = cease_with_timeout(cease_background(), cease_hour(1), &far_stop);
    CHECK(!cease_done(far));
    for (int i = 0; i < 20; i++) {
        cease_ctx *near = cease_with_timeout(cease_background(), cease_ms(1), &stop);
        CHECK_ERR(cease_wait(near), CEASE_EDEADLINE);
        cease_end(stop);
    }
    CHECK(!cease_done(far));
    cease_end(far_stop);
}

/* The core's own shard is several, one for each thread: who asks for it asks for all. */
static void *look_at_a_deadline(void *arg)
{
    cease_ctx **ctx = arg;
    cease_canceler *stop;
    ctx[1] = cease_with_timeout(ctx[0], cease_hour(1), &stop);
    CHECK(!cease_done(ctx[1]));
    return stop;
}

TEST(timersRun_ofTheCoresOwnShard_endsTheContextsOfAllThreads)
{
    cease_canceler *stop, *own;
    cease_ctx *ctxs[2] = {cease_with_cancel(cease_background(), &stop)};
    cease_ctx *ctx = cease_with_timeout(ctxs[0], cease_hour(2), &own);
    CHECK(!cease_done(ctx));
    pthread_t thread;
    void *other;
    CHECK_EQ(pthread_create(&thread, NULL, look_at_a_deadline, ctxs), 0);
    CHECK_EQ(pthread_join(thread, &other), 0);
    cease_time earliest;
    CHECK(cease_deadline(ctxs[1], &earliest));
    CHECK_EQ(cease_timers_next(0).ns, earliest.ns);
    CHECK_EQ(cease_timers_run(0, cease_now()), 0);
    CHECK_EQ(cease_timers_run(0, CEASE_NEVER), 2);
    CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
    CHECK_ERR(cease_err(ctxs[1]), CEASE_EDEADLINE);
    CHECK_EQ(cease_timers_next(0).ns, INT64_MAX);
    cease_end(own);
    cease_end(other);
    cease_end(stop);
}

TEST(timers_manyDueAtOnce_allEnd)
{
    enum { COUNT = 20000 };
    cease_canceler **stops = calloc(COUNT, sizeof *stops);
    cease_ctx **ctxs = calloc(COUNT, sizeof *ctxs);
    cease_time at = cease_time_add(cease_now(), cease_ms(50));
    for (int i = 0; i < COUNT; i++) {
        ctxs[i] = cease_with_deadline(cease_background(), at, &stops[i]);
        (void)cease_done(ctxs[i]);
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_ERR(cease_wait(ctxs[i]), CEASE_EDEADLINE);
    for (int i = 0; i < COUNT; i++)
        cease_end(stops[i]);
    free(stops);
    free(ctxs);
    CHECK_EVENTUALLY(cease_live_count() == 0); /* the driver lets go of the last one */
}

/* Trap: a timer that fires while its context is being ended by another thread. */
static void *end_share(void *share)
{
    cease_end(share);
    return NULL;
}

TEST(timer_firesWhileAnotherThreadEnds_exactlyOneWins)
{
    int rounds = harness_is_slow() ? 200 : 2000;
    for (int i = 0; i < rounds; i++) {
        cease_canceler *stop;
        cease_ctx *ctx =
            cease_ref(cease_with_timeout(cease_background(), cease_us(30 + i % 50), &stop));
        (void)cease_done(ctx);
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, end_share, stop), 0);
        cease_error e = cease_wait(ctx);
        pthread_join(thread, NULL);
        CHECK(e == CEASE_ECANCELED || e == CEASE_EDEADLINE);
        CHECK_ERR(cease_err(ctx), e);
        CHECK_ERR(cease_cause_of(ctx)->error, e);
        cease_unref(ctx);
    }
    CHECK_EVENTUALLY(cease_live_count() == 0);
}

TEST(arming_withoutMemory_endsTheContextAndSaysSo)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    harness_fail_alloc(1);
    CHECK(cease_done(ctx));
    CHECK(harness_alloc_failed());
    harness_fail_alloc(0);
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ENOMEM);
    cease_end(stop);
}

TEST(time_arithmetic_saturates)
{
    static const cease_time never = CEASE_NEVER;
    static const cease_dur forever = CEASE_FOREVER;
    CHECK_EQ(cease_time_add(never, cease_hour(-1)).ns, INT64_MAX);
    CHECK_EQ(cease_time_add(cease_now(), forever).ns, INT64_MAX);
    CHECK_EQ(cease_time_add((cease_time){INT64_MAX - 5}, cease_ns(10)).ns, INT64_MAX);
    CHECK_EQ(cease_time_add((cease_time){INT64_MIN + 5}, cease_ns(-10)).ns, INT64_MIN);
    CHECK_EQ(cease_hour(INT64_MAX).ns, INT64_MAX);
    CHECK_EQ(cease_hour(INT64_MIN).ns, INT64_MIN);
    CHECK_EQ(cease_ms(80).ns, 80000000);
    CHECK_EQ(cease_min(2).ns, cease_sec(120).ns);
    CHECK_EQ(cease_us(3).ns, 3000);
    CHECK_EQ(cease_until(never).ns, INT64_MAX);
    CHECK(cease_until(cease_time_add(cease_now(), cease_hour(-1))).ns < 0);
}

/* A runtime that stops leaves deadlines in the shards of its workers: the core's own thread takes them over. */
static unsigned shard_of_a_worker(void)
{
    return 3;
}
static void kick_nobody(unsigned shard)
{
    (void)shard;
}

TEST(hooks_takenBack_deadlinesOfTheRuntimesShardsStillCome)
{
    static const cease_hooks hooks = {
        .size = sizeof hooks, .timer_shard = shard_of_a_worker, .timer_kick = kick_nobody};
    cease_canceler *stop;
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    CHECK(!cease_done(ctx));
    CHECK(cease_timers_next(3).ns != INT64_MAX);
    cease_hooks_install(NULL);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    cease_end(stop);
}
