/* SPDX-License-Identifier: MIT
 *
 * Out to break: several threads on one tree. What must hold is checked after each round; sanitizers watch the rest.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static int rounds(int fast)
{
    return harness_is_slow() ? fast / 20 + 1 : fast;
}

static void run_threads(int count, void *(*fn)(void *), void *args, size_t size)
{
    pthread_t threads[64];
    for (int i = 0; i < count; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, fn, (char *)args + (size_t)i * size), 0);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* [TestSimultaneousCancels] A 4-ary tree of 100 nodes; all are cancelled at once, in random order. */
enum { NODES = 100, CANCELLERS = 4 };
static cease_canceler *tree_stops[NODES];
static cease_ctx *tree_ctxs[NODES];
struct shuffle {
    unsigned seed;
};
static void *cancel_all(void *arg)
{
    int order[NODES];
    unsigned seed = ((struct shuffle *)arg)->seed;
    for (int i = 0; i < NODES; i++)
        order[i] = i;
    for (int i = NODES - 1; i > 0; i--) {
        seed = seed * 1103515245 + 12345;
        int j = (int)((seed >> 8) % (unsigned)(i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < NODES; i++) {
        cease_cancel_cause(tree_stops[order[i]], 1000 + order[i], NULL);
        CHECK(cease_done(tree_ctxs[order[i]]));
    }
    return NULL;
}

TEST(cancels_ofAWholeTreeAtOnce_endAllWithoutDeadlock)
{
    for (int round = 0; round < rounds(400); round++) {
        struct shuffle args[CANCELLERS];
        for (int i = 0; i < NODES; i++)
            tree_ctxs[i] = cease_with_cancel(i == 0 ? cease_background() : tree_ctxs[(i - 1) / 4],
                                             &tree_stops[i]);
        for (int i = 0; i < CANCELLERS; i++)
            args[i].seed = (unsigned)(round * 31 + i);
        run_threads(CANCELLERS, cancel_all, args, sizeof *args);
        for (int i = 0; i < NODES; i++) {
            /* The cause is that of the node or of one above it. */
            int by = cease_cause_of(tree_ctxs[i])->code - 1000, at = i;
            while (at != by && at != 0)
                at = (at - 1) / 4;
            CHECK_EQ(at, by);
        }
        for (int i = 0; i < NODES; i++)
            cease_end(tree_stops[(i * 37) % NODES]);
    }
    CHECK_EQ(cease_live_count(), 0);
}

/* When the call that ended it returns, the subtree is done: also while a child's own cancel is half way. */
struct nested {
    cease_canceler *stop;
    cease_ctx **ctxs;
    int count, bad, ended_by_me, code;
};
static void *cancel_and_check(void *arg)
{
    struct nested *n = arg;
    cease_cancel_cause(n->stop, n->code, NULL);
    /* Ended by this call, or by another: only in the first case is anything promised about what is below. */
    n->ended_by_me = cease_cause_of(n->ctxs[0])->code == n->code;
    if (n->ended_by_me)
        for (int i = 0; i < n->count; i++)
            n->bad += !cease_done(n->ctxs[i]);
    return NULL;
}

TEST(cancel_returning_findsItsSubtreeDoneWhateverOthersDo)
{
    enum { WIDTH = 40 };
    int parents_won = 0;
    for (int round = 0; round < rounds(1500); round++) {
        cease_canceler *stops[2 + WIDTH];
        cease_ctx *ctxs[2 + WIDTH];
        ctxs[0] = cease_with_cancel(cease_background(), &stops[0]);
        ctxs[1] = cease_with_cancel(ctxs[0], &stops[1]);
        for (int i = 2; i < 2 + WIDTH; i++)
            ctxs[i] = i % 5 == 4 ? cease_with_merge(ctxs[1], ctxs[i - 1], &stops[i])
                                 : cease_with_cancel(ctxs[1 + i % (i < 4 ? i - 1 : 3)], &stops[i]);
        struct nested args[2] = {{stops[0], ctxs, 2 + WIDTH, 0, 0, 100},
                                 {stops[1], ctxs + 1, 1 + WIDTH, 0, 0, 200}};
        run_threads(2, cancel_and_check, args, sizeof *args);
        CHECK_EQ(args[0].bad, 0);
        CHECK_EQ(args[1].bad, 0);
        parents_won += args[0].ended_by_me;
        for (int i = 0; i < 2 + WIDTH; i++)
            cease_end(stops[i]);
    }
    CHECK_EQ(parents_won, rounds(1500));
    CHECK_EQ(cease_live_count(), 0);
}

/* [TestWithCancelSimultaneouslyCanceledParent] A child that is made during the cancel is born done. */
struct deriver {
    cease_ctx *parent;
    cease_canceler *stop;
    int made, bad;
};
static void *derive_until_done(void *arg)
{
    struct deriver *d = arg;
    while (!cease_done(d->parent)) {
        cease_canceler *stop;
        cease_ctx *child = cease_with_cancel(d->parent, &stop);
        d->made++;
        if (cease_done(child))
            d->bad += cease_cause_of(child)->code != 77;
        cease_end(stop);
        sched_yield();
    }
    cease_canceler *stop;
    cease_ctx *late = cease_with_cancel(d->parent, &stop);
    d->bad += !cease_done(late) || cease_cause_of(late)->code != 77;
    cease_end(stop);
    return NULL;
}
static void *cancel_77(void *arg)
{
    cease_cancel_cause(((struct deriver *)arg)->stop, 77, "text of %d", 77);
    return NULL;
}
static void *derive_or_cancel(void *arg)
{
    struct deriver *d = arg;
    return d->stop != NULL ? cancel_77(d) : derive_until_done(d);
}

TEST(derive_racingTheParentsCancel_isNeverMissed)
{
    for (int round = 0; round < rounds(1000); round++) {
        cease_canceler *stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        struct deriver args[3] = {
            {.parent = parent}, {.parent = parent}, {.parent = parent, .stop = stop}};
        run_threads(3, derive_or_cancel, args, sizeof *args);
        CHECK_EQ(args[0].bad + args[1].bad, 0);
        CHECK_EQ(cease_child_count(parent), 0);
        cease_end(stop);
    }
    CHECK_EQ(cease_live_count(), 0);
}

/* 64 threads derive, watch and end under one parent: it grows stripes, and nothing is lost in them. */
static void *churn(void *arg)
{
    struct deriver *d = arg;
    cease_canceler *kept[8] = {0};
    int count = harness_is_slow() ? 300 : 5000;
    for (int i = 0; i < count; i++) {
        int slot = i % 8;
        cease_end(kept[slot]);
        cease_ctx *child = i % 3 ? cease_with_cancel(d->parent, &kept[slot])
                                 : cease_with_timeout(d->parent, cease_hour(1), &kept[slot]);
        d->bad += i % 7 == 0 && cease_done(child);
    }
    for (int i = 0; i < 8; i++)
        cease_end(kept[i]);
    return NULL;
}

TEST(children_ofManyThreadsUnderOneParent_allComeAndGo)
{
    struct deriver args[64] = {0};
    cease_canceler *stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    for (int i = 0; i < 64; i++)
        args[i].parent = parent;
    run_threads(64, churn, args, sizeof *args);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(args[i].bad, 0);
    CHECK_EQ(cease_child_count(parent), 0);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
}

/* The same, with the parent ended by one of its shares, and its last share gone while children live. */
struct leaver {
    cease_ctx *parent;
    cease_canceler *share;
    int *ready; /* atomic: how many have their children */
};
enum { LEAVERS = 8 };
static void *hold_children(void *arg)
{
    struct leaver *l = arg;
    cease_canceler *stops[64];
    for (int i = 0; i < 64; i++)
        (void)cease_with_cancel(l->parent, &stops[i]);
    __atomic_add_fetch(l->ready, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(l->ready, __ATOMIC_ACQUIRE) < LEAVERS)
        sched_yield(); /* below what has ended a child would be born ended, and hold it otherwise */
    cease_end(l->share);
    /* The children hold it. Had it been freed, this would be made in its place. */
    cease_canceler *fresh_stop;
    (void)cease_with_cancel(cease_background(), &fresh_stop);
    CHECK_ERR(cease_err(l->parent), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(l->parent)->code, CEASE_ECANCELED);
    cease_end(fresh_stop);
    for (int i = 0; i < 64; i++)
        cease_end(stops[i]);
    return NULL;
}

TEST(children_outlivingTheirParentsLastShare_freeItExactlyOnce)
{
    for (int round = 0; round < rounds(300); round++) {
        struct leaver args[LEAVERS];
        cease_canceler *stop;
        int ready = 0;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        for (int i = 0; i < LEAVERS; i++)
            args[i] = (struct leaver){parent, i == 0 ? stop : cease_canceler_ref(stop), &ready};
        run_threads(LEAVERS, hold_children, args, sizeof *args);
        CHECK_EQ(cease_live_count(), 0);
    }
}

/* [TestCauseRace] While it is being cancelled a cause is nothing, or the whole. */
static void *poll_cause(void *arg)
{
    struct deriver *d = arg;
    const cease_cause *cause;
    while ((cause = cease_cause_of(d->parent)) == NULL)
        sched_yield(); /* with fewer cores than threads the canceller needs its turn */
    d->bad += cause->code != 77 || cause->error != CEASE_ECANCELED ||
              strcmp(cause->text, "text of 77") != 0 || cause->place == NULL;
    return NULL;
}
static void *poll_or_cancel(void *arg)
{
    struct deriver *d = arg;
    return d->stop != NULL ? cancel_77(d) : poll_cause(d);
}
TEST(cause_polledDuringTheCancel_isNeverTorn)
{
    for (int round = 0; round < rounds(1000); round++) {
        cease_canceler *stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        struct deriver args[3] = {
            {.parent = parent}, {.parent = parent}, {.parent = parent, .stop = stop}};
        run_threads(3, poll_or_cancel, args, sizeof *args);
        CHECK_EQ(args[0].bad + args[1].bad, 0);
        cease_end(stop);
    }
}

/* [TestInterlockedCancels] One waits for the parent's end, and ends the child, while the parent is being cancelled. */
static void *wait_then_end(void *arg)
{
    struct leaver *l = arg;
    CHECK_ERR(cease_wait(l->parent), CEASE_ECANCELED);
    cease_end(l->share);
    return NULL;
}
TEST(waiter_endsTheChildDuringTheParentsCancel_withoutDeadlock)
{
    for (int round = 0; round < rounds(1000); round++) {
        cease_canceler *stop, *child_stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        cease_ctx *child = cease_with_cancel(parent, &child_stop);
        cease_canceler *grand_stop;
        (void)cease_with_cancel(child, &grand_stop);
        struct leaver args[1] = {{parent, child_stop, NULL}};
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, wait_then_end, args), 0);
        cease_cancel(stop);
        pthread_join(thread, NULL);
        cease_end(grand_stop);
        cease_end(stop);
    }
    CHECK_EQ(cease_live_count(), 0);
}

/* Merges between two trees that end at the same time from both sides, with children below and above each other. */
static void *cancel_one(void *arg)
{
    cease_cancel_cause(((struct nested *)arg)->stop, ((struct nested *)arg)->code, NULL);
    return NULL;
}
TEST(merges_crossed_endWithoutDeadlock)
{
    for (int round = 0; round < rounds(1500); round++) {
        enum { WIDTH = 12 };
        cease_canceler *stops[2 + 2 * WIDTH];
        cease_ctx *a = cease_with_cancel(cease_background(), &stops[0]);
        cease_ctx *b = cease_with_cancel(cease_background(), &stops[1]);
        cease_ctx *all[2 * WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            a = cease_with_merge(a, b, &stops[2 + 2 * i]);
            b = cease_with_merge(b, a, &stops[3 + 2 * i]);
            all[2 * i] = a;
            all[2 * i + 1] = b;
        }
        struct nested args[3] = {{.stop = stops[0], .code = 1},
                                 {.stop = stops[1], .code = 2},
                                 {.stop = stops[2 + WIDTH], .code = 3}};
        run_threads(3, cancel_one, args, sizeof *args);
        for (int i = 0; i < 2 * WIDTH; i++)
            CHECK(cease_done(all[i]));
        for (int i = 0; i < 2 + 2 * WIDTH; i++)
            cease_end(stops[i]);
    }
    CHECK_EQ(cease_live_count(), 0);
}
