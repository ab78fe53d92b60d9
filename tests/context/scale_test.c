/* SPDX-License-Identifier: MIT
 *
 * Out to break: linear work and bounded memory when there are a million of something. Counted, never
 * timed: heap blocks, heap allocations, and how many contexts each call has dealt with.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <pthread.h>
#include <stdlib.h>

static size_t many(void)
{
    return harness_is_slow() ? 20 * 1000 : 1000 * 1000;
}

/* ----- a million deadlines in the same second ----- */

static int64_t now_ns; /* atomic */
static unsigned on_shard_1(void)
{
    return 1;
}
static size_t kicks;
static void count_kick(unsigned shard)
{
    kicks += shard == 1;
}
static cease_time test_clock(void)
{
    return (cease_time){__atomic_load_n(&now_ns, __ATOMIC_SEQ_CST)};
}
static const cease_hooks hooks = {
    .size = sizeof hooks, .clock = test_clock, .timer_shard = on_shard_1, .timer_kick = count_kick};

struct timed {
    cease_canceler *stop;
    cease_watch w;
    size_t ended; /* 1 + how many had ended before it */
};
static size_t ended;
static void note(void *arg)
{
    struct timed *t = arg;
    t->ended = ++ended;
}

/* Spread over the second in an order that is neither up nor down. */
static int64_t when_of(size_t i, size_t count)
{
    return INT64_C(5000000000) +
           (int64_t)((i * 7919) % count) * (INT64_C(1000000000) / (int64_t)count);
}

TEST(deadlines_aMillionInOneSecond_endEachOnceInOrder)
{
    size_t count = many();
    struct timed *timed = calloc(count, sizeof *timed);
    now_ns = 1;
    cease_hooks_install(&hooks);
    long blocks = harness_heap_blocks(), allocations = harness_heap_allocs();
    for (size_t i = 0; i < count; i++) {
        cease_time when = {when_of(i, count)};
        cease_ctx *ctx = cease_with_deadline(cease_background(), when, &timed[i].stop);
        CHECK(cease_watch_add(&timed[i].w, ctx, note, &timed[i]));
    }
    /* One block each, the heap and the thread's own; the heap doubled some 20 times meanwhile. */
    CHECK(harness_heap_blocks() - blocks <= (long)count + 8);
    CHECK(harness_heap_allocs() - allocations <= (long)count + 40);
    CHECK(kicks < 64); /* only for what became the first: the order above makes few of them */
    CHECK_EQ(cease_timers_next(1).ns, when_of(0, count));

    /* Half of the second passes, then the rest: what is due ends, no more and no less. */
    size_t total = 0;
    now_ns = INT64_C(5500000000);
    total += cease_timers_run(1, test_clock());
    CHECK(total > count / 2 - 2 && total < count / 2 + 2);
    CHECK_EQ(ended, total);
    CHECK(cease_timers_next(1).ns > now_ns);
    now_ns = INT64_C(6000000000);
    total += cease_timers_run(1, test_clock());
    CHECK_EQ(total, count);
    CHECK_EQ(ended, count);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(timed[i].ended, (i * 7919) % count + 1);
        cease_end(timed[i].stop);
    }
    CHECK_EQ(cease_timers_next(1).ns, INT64_MAX);
    CHECK_EQ(cease_live_count(), 0);
    cease_hooks_install(NULL);
    cease_threads_stop();
    free(timed);
}

/* ----- 64 threads on one parent ----- */

enum { THREADS = 64, KEPT = 100 };
static cease_ctx *parent;
static pthread_barrier_t all_here;
static size_t rounds;

static void *derive_and_end(void *unused)
{
    (void)unused;
    cease_canceler *kept[KEPT], *stop;
    cease_ctx *ctxs[KEPT];
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < rounds; i++) {
        cease_ctx *ctx = cease_with_cancel(parent, &stop);
        CHECK(!cease_done(ctx));
        cease_end(stop);
    }
    for (size_t i = 0; i < KEPT; i++)
        ctxs[i] = cease_with_cancel(parent, &kept[i]);
    pthread_barrier_wait(&all_here); /* the main thread counts, and cancels */
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < KEPT; i++) {
        CHECK(cease_done(ctxs[i]));
        cease_end(kept[i]);
    }
    return NULL;
}

TEST(parent_of64ThreadsAtOnce_countsThemAllAndKeepsNothing)
{
    rounds = harness_is_slow() ? 200 : 1000;
    cease_canceler *stop;
    pthread_t threads[THREADS];
    parent = cease_with_cancel(cease_background(), &stop);
    CHECK_EQ(pthread_barrier_init(&all_here, NULL, THREADS + 1), 0);
    long blocks = harness_heap_blocks();
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, derive_and_end, NULL), 0);
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here);
    CHECK_EQ(cease_child_count(parent), THREADS * KEPT);
    CHECK_EQ(cease_live_count(), THREADS * KEPT + 1);
    /* Each thread: its own block, its stack's, and what is alive; the parent: its stripes. */
    CHECK(harness_heap_blocks() - blocks <= THREADS * (KEPT + 4) + 8);
    cease_cancel(stop);
    CHECK_EQ(cease_child_count(parent), 0);
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(cease_live_count(), 1);
    cease_end(stop);
    pthread_barrier_destroy(&all_here);
}

/* Every thread has a shard of its own, and all are driven by the one thread of the library. */
static void *wait_for_deadlines(void *unused)
{
    (void)unused;
    cease_canceler *stop, *far;
    for (size_t i = 0; i < rounds; i++) {
        cease_ctx *ctx = cease_with_timeout(parent, cease_hour(2), &stop);
        CHECK(!cease_done(ctx)); /* arms it */
        cease_end(stop);
    }
    cease_ctx *later = cease_with_timeout(parent, cease_hour(1), &far);
    CHECK(!cease_done(later));
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here); /* the main thread has looked for the earliest */
    cease_ctx *ctx = cease_with_timeout(parent, cease_ms(1), &stop);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    cease_end(stop);
    pthread_barrier_wait(&all_here); /* the main thread cancels */
    CHECK_ERR(cease_wait(later), CEASE_ECANCELED);
    cease_end(far);
    return NULL;
}

TEST(deadlines_of64Threads_comeAndGoWithoutALockThatAllWantAndAllEnd)
{
    rounds = harness_is_slow() ? 200 : 1000;
    cease_canceler *stop;
    pthread_t threads[THREADS];
    parent = cease_with_cancel(cease_background(), &stop);
    CHECK_EQ(pthread_barrier_init(&all_here, NULL, THREADS + 1), 0);
    int64_t before = cease_now().ns;
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_deadlines, NULL), 0);
    pthread_barrier_wait(&all_here);
    /* Of what a thread has ended nothing is left, so the earliest is one that it keeps. */
    int64_t hour = cease_hour(1).ns, next = cease_timers_next(0).ns;
    CHECK(next >= before + hour && next <= cease_now().ns + hour);
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here);
    cease_cancel(stop);
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(cease_timers_next(0).ns, INT64_MAX);
    CHECK_EQ(cease_live_count(), 1);
    cease_end(stop);
    pthread_barrier_destroy(&all_here);
}
