/* SPDX-License-Identifier: MIT
 *
 * Out to break: who is told, in which order, how often, and what a removal may rely on.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static char order[64];
static void note(void *arg)
{
    strcat(order, arg);
}

TEST(callbacks_ofATree_runNewestFirstAndParentsBeforeChildren)
{
    cease_canceler *stop, *child_stop, *grand_stop;
    cease_watch w[6] = {0};
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(cease_watch_add(&w[0], ctx, note, "1"));
    cease_ctx *child = cease_with_cancel(ctx, &child_stop);
    cease_ctx *grand = cease_with_cancel(child, &grand_stop);
    CHECK(cease_watch_add(&w[1], grand, note, "g"));
    CHECK(cease_watch_add(&w[2], child, note, "a"));
    CHECK(cease_watch_add(&w[3], ctx, note, "2"));
    CHECK(cease_watch_add(&w[4], child, note, "b"));
    CHECK(cease_watch_add(&w[5], ctx, note, "3"));
    CHECK_EQ(cease_watch_remove(&w[5]), CEASE_WATCH_REMOVED);
    CHECK(cease_watch_add(&w[5], ctx, note, "4"));
    CHECK_STR(order, "");
    cease_cancel(stop);
    CHECK_STR(order, "421bag");
    for (int i = 0; i < 6; i++)
        CHECK_EQ(cease_watch_remove(&w[i]), CEASE_WATCH_RAN);
    cease_end(grand_stop);
    cease_end(child_stop);
    cease_end(stop);
    CHECK_STR(order, "421bag");
}

struct seen {
    cease_ctx *ctxs[3];
    int done;
};
static void look_at_all(void *arg)
{
    struct seen *seen = arg;
    for (int i = 0; i < 3; i++)
        seen->done += cease_done(seen->ctxs[i]);
}

TEST(callback_ofTheRoot_seesTheWholeSubtreeDone)
{
    cease_canceler *stops[3];
    struct seen seen = {.done = 0};
    cease_ctx *ctx = cease_background();
    for (int i = 0; i < 3; i++)
        seen.ctxs[i] = ctx = cease_with_cancel(ctx, &stops[i]);
    cease_watch w;
    cease_watch_add(&w, seen.ctxs[0], look_at_all, &seen);
    cease_cancel(stops[0]);
    CHECK_EQ(seen.done, 3);
    for (int i = 2; i >= 0; i--)
        cease_end(stops[i]);
}

TEST(watchAdd_onAnEnded_runsBeforeItReturnsFalse)
{
    cease_canceler *stop;
    cease_watch w = {0};
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_REMOVED); /* never added */
    cease_watch_remove_sync(&w);
    cease_cancel(stop);
    CHECK(!cease_watch_add(&w, ctx, note, "x"));
    CHECK_STR(order, "x");
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_RAN);
    cease_end(stop);
}

TEST(watch_onBackground_neverRunsAndIsRemoved)
{
    cease_watch w;
    CHECK(cease_watch_add(&w, cease_background(), note, "x"));
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_REMOVED);
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_REMOVED);
    CHECK_STR(order, "");
}

struct self_freeing {
    cease_watch w;
    cease_watch *other;
    cease_watch_state found, found_self;
    int *freed;
};
static void free_itself(void *arg)
{
    struct self_freeing *self = arg;
    (*self->freed)++;
    free(self);
}

TEST(callback_mayFreeItsOwnWatch)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    int freed = 0;
    for (int i = 0; i < 10; i++) {
        struct self_freeing *self = malloc(sizeof *self);
        self->freed = &freed;
        CHECK(cease_watch_add(&self->w, ctx, free_itself, self));
    }
    cease_cancel(stop);
    CHECK_EQ(freed, 10);
    cease_end(stop);
}

static void remove_others(void *arg)
{
    struct self_freeing *self = arg;
    cease_watch_remove_sync(&self->w); /* inside the callback: returns at once */
    self->found_self = cease_watch_remove(&self->w);
    self->found = cease_watch_remove(self->other);
    cease_watch_remove_sync(self->other);
}

TEST(callback_removesItselfAndANotYetRun_findsRunningAndRemoved)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    struct self_freeing self = {0};
    cease_watch other;
    self.other = &other;
    cease_watch_add(&other, ctx, note, "never");
    cease_watch_add(&self.w, ctx, remove_others, &self);
    cease_cancel(stop);
    CHECK_EQ(self.found_self, CEASE_WATCH_RUNNING);
    CHECK_EQ(self.found, CEASE_WATCH_REMOVED);
    CHECK_STR(order, "");
    cease_end(stop);
}

/* Callbacks may do everything that does not park, on any context, its own canceler included. */
struct busy {
    cease_ctx *ctx;
    cease_canceler *stop, *share;
    int made;
};
static void do_everything(void *arg)
{
    struct busy *busy = arg;
    cease_canceler *stop;
    cease_ctx *born = cease_with_timeout(busy->ctx, cease_hour(1), &stop);
    busy->made += cease_done(born);
    cease_end(stop);
    cease_cancel(busy->stop);
    cease_watch w;
    busy->made += !cease_watch_add(&w, busy->ctx, note, "n");
    busy->made += cease_done_fd(busy->ctx) >= 0;
    cease_end(busy->share);
    cease_ref(busy->ctx);
    cease_unref(busy->ctx);
}

TEST(callback_usesItsOwnContext_works)
{
    struct busy busy = {0};
    busy.ctx = cease_with_cancel(cease_background(), &busy.stop);
    busy.share = cease_canceler_ref(busy.stop);
    cease_watch w;
    cease_watch_add(&w, busy.ctx, do_everything, &busy);
    cease_cancel(busy.stop);
    CHECK_EQ(busy.made, 3);
    CHECK_STR(order, "n");
    cease_end(busy.stop);
}

static void end_it(void *arg)
{
    cease_end(arg);
}

TEST(callback_endsTheLastShareThatTheCancelCameWith_works)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch w, w2;
    cease_watch_add(&w2, ctx, note, "after");
    cease_watch_add(&w, ctx, end_it, stop);
    cease_cancel(stop);
    CHECK_STR(order, "after");
    CHECK_EQ(cease_live_count(), 0);
}

/* Whose callbacks are being called is not freed before they have returned, whoever lets go of it meanwhile. */
static size_t live_in_callback;
static void end_and_count(void *arg)
{
    cease_end(arg);
    live_in_callback = cease_live_count();
}

TEST(callback_endsTheLastShare_theContextStaysUntilItHasReturned)
{
    cease_canceler *stop, *child_stop;
    cease_watch w, child_w;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch_add(&w, ctx, end_and_count, stop);
    cease_cancel(stop);
    CHECK_EQ(live_in_callback, 1);
    CHECK_EQ(cease_live_count(), 0);

    ctx = cease_with_cancel(cease_background(), &stop); /* with more than watches */
    CHECK(cease_done_fd(ctx) >= 0);
    cease_watch_add(&w, ctx, end_and_count, stop);
    cease_cancel(stop);
    CHECK_EQ(live_in_callback, 1);
    CHECK_EQ(cease_live_count(), 0);

    ctx = cease_with_cancel(cease_background(), &stop); /* and one whose turn is still to come */
    cease_ctx *child = cease_with_cancel(ctx, &child_stop);
    cease_watch_add(&w, ctx, end_and_count, child_stop);
    cease_watch_add(&child_w, child, note, "child");
    cease_cancel(stop);
    CHECK_EQ(live_in_callback, 2);
    CHECK_STR(order, "child");
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
}

/* remove_sync waits for a callback that runs on another thread. */
struct slow {
    cease_watch w;
    cease_canceler *stop;
    int entered, may_go, left; /* atomic */
};
static void be_slow(void *arg)
{
    struct slow *slow = arg;
    __atomic_store_n(&slow->entered, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&slow->may_go, __ATOMIC_ACQUIRE))
        sched_yield();
    __atomic_store_n(&slow->left, 1, __ATOMIC_RELEASE);
}
static void *cancel_it(void *arg)
{
    cease_cancel(((struct slow *)arg)->stop);
    return NULL;
}
static void *remove_it(void *arg)
{
    struct slow *slow = arg;
    cease_watch_remove_sync(&slow->w);
    CHECK_EQ(__atomic_load_n(&slow->left, __ATOMIC_ACQUIRE), 1);
    return NULL;
}
static void *let_go(void *arg)
{
    __atomic_store_n(&((struct slow *)arg)->may_go, 1, __ATOMIC_RELEASE);
    return NULL;
}

TEST(removeSync_whileItRunsElsewhere_waitsUntilItHasReturned)
{
    for (int i = 0; i < 200; i++) {
        struct slow slow = {0};
        pthread_t canceller, second, opener;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &slow.stop);
        cease_watch_add(&slow.w, ctx, be_slow, &slow);
        CHECK_EQ(pthread_create(&canceller, NULL, cancel_it, &slow), 0);
        while (!__atomic_load_n(&slow.entered, __ATOMIC_ACQUIRE))
            sched_yield();
        CHECK_EQ(cease_watch_remove(&slow.w), CEASE_WATCH_RUNNING);
        CHECK_EQ(pthread_create(&second, NULL, remove_it, &slow), 0);
        CHECK_EQ(pthread_create(&opener, NULL, let_go, &slow), 0);
        cease_watch_remove_sync(&slow.w);
        CHECK_EQ(__atomic_load_n(&slow.left, __ATOMIC_ACQUIRE), 1);
        CHECK_EQ(cease_watch_remove(&slow.w), CEASE_WATCH_RAN);
        pthread_join(canceller, NULL);
        pthread_join(second, NULL);
        pthread_join(opener, NULL);
        cease_end(slow.stop);
    }
}

/* Trap: a removal that said "removed", and the callback that runs all the same. The first callback waits until the
 * remover is there, too: then they go through the list at the same time, against each other or the same way. */
static void count_up(void *arg)
{
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}
TEST(remove_racingTheCancel_saysTheTruth)
{
    enum { WATCHES = 50 };
    int rounds = harness_is_slow() ? 200 : 2000;
    for (int round = 0; round < rounds; round++) {
        cease_watch w[WATCHES];
        int ran[WATCHES] = {0};
        struct slow slow = {0};
        cease_ctx *ctx = cease_with_cancel(cease_background(), &slow.stop);
        for (int i = 0; i < WATCHES; i++)
            cease_watch_add(&w[i], ctx, count_up, &ran[i]);
        cease_watch_add(&slow.w, ctx, be_slow, &slow);
        pthread_t canceller;
        CHECK_EQ(pthread_create(&canceller, NULL, cancel_it, &slow), 0);
        while (!__atomic_load_n(&slow.entered, __ATOMIC_ACQUIRE))
            sched_yield();
        (void)let_go(&slow);
        int removed[WATCHES] = {0};
        for (int at = 0; at < WATCHES; at++) {
            int i = round % 2 == 0 ? at : WATCHES - 1 - at;
            removed[i] = cease_watch_remove(&w[i]) == CEASE_WATCH_REMOVED;
            if (!removed[i])
                cease_watch_remove_sync(&w[i]);
            CHECK_EQ(__atomic_load_n(&ran[i], __ATOMIC_RELAXED) + removed[i], 1);
        }
        pthread_join(canceller, NULL);
        for (int i = 0; i < WATCHES; i++)
            CHECK_EQ(ran[i] + removed[i], 1);
        cease_end(slow.stop);
    }
}

/* Trap: a parking call inside a callback. */
static void park_inside(void *arg)
{
    (void)cease_wait(arg);
}
TEST_ABORTS(callback_parks_abortsAndNamesWhereItWasAdded, "watch_test.c")
{
    cease_canceler *stop, *other_stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *other = cease_with_cancel(cease_background(), &other_stop);
    cease_watch w;
    cease_watch_add(&w, ctx, park_inside, other);
    cease_cancel(stop);
}

/* ----- after-funcs ----- */

static int after_ran; /* atomic */
static void ran(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&after_ran, 1, __ATOMIC_SEQ_CST);
}
static void wait_for_ran(int count)
{
    CHECK_EVENTUALLY(__atomic_load_n(&after_ran, __ATOMIC_SEQ_CST) == count);
}

/* [TestAfterFuncCalledAfterCancel, ...AfterTimeout, ...CalledImmediately] */
TEST(after_contextEnds_runsOnce)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_after *a = cease_after_func(ctx, ran, NULL);
    CHECK_EQ(after_ran, 0);
    cease_cancel(stop);
    wait_for_ran(1);
    CHECK(!cease_after_stop(a));
    a = cease_after_func(ctx, ran, NULL);
    wait_for_ran(2);
    CHECK(!cease_after_stop(a));
    cease_end(stop);
    ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    a = cease_after_func(ctx, ran, NULL);
    wait_for_ran(3);
    CHECK(!cease_after_stop(a));
    cease_end(stop);
}

/* [TestAfterFuncNotCalledAfterStop] A stop consumes the handle, so there is no second one. */
TEST(after_stopped_neverRuns)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_after *a = cease_after_func(ctx, ran, NULL);
    CHECK(cease_after_stop(a));
    cease_end(stop);
    a = cease_after_func(cease_background(), ran, NULL);
    CHECK(cease_after_stop(a));
    CHECK(!cease_after_stop(NULL));
    CHECK_EQ(after_ran, 0);
}

/* [TestAfterFuncCalledAsynchronously] One that blocks holds up neither the canceller nor the others. */
static int gate[2];
static void block_in_read(void *arg)
{
    (void)arg;
    char c;
    CHECK_EQ(read(gate[0], &c, 1), 1);
    ran(NULL);
}
TEST(after_thatBlocks_holdsUpNobody)
{
    cease_canceler *stop;
    CHECK_EQ(pipe(gate), 0);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_after *second = cease_after_func(ctx, ran, NULL);
    cease_after *first = cease_after_func(ctx, block_in_read, NULL);
    cease_cancel(stop);
    wait_for_ran(1);
    CHECK_EQ(write(gate[1], "x", 1), 1);
    wait_for_ran(2);
    cease_after_stop(first);
    cease_after_stop(second);
    cease_end(stop);
    close(gate[0]);
    close(gate[1]);
}

/* ----- the done fd ----- */

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

TEST(doneFd_ofAContext_isReadableWhenItHasEnded)
{
    cease_canceler *stop, *child_stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(ctx, &child_stop);
    int fd = cease_done_fd(ctx), child_fd = cease_done_fd(child);
    CHECK(fd >= 0 && child_fd >= 0 && fd != child_fd);
    CHECK_EQ(cease_done_fd(ctx), fd);
    CHECK(!readable(fd) && !readable(child_fd));
    cease_cancel(stop);
    CHECK(readable(fd) && readable(child_fd));
    /* Trap: a stray read. */
    eventfd_t n;
    CHECK_EQ(eventfd_read(fd, &n), 0);
    CHECK(readable(fd));
    CHECK(readable(cease_done_fd(ctx)));
    cease_end(child_stop);
    cease_end(stop);
    ctx = cease_with_timeout(cease_background(), cease_ns(0), &stop);
    CHECK(readable(cease_done_fd(ctx)));
    cease_end(stop);
}

TEST(doneFd_ofBackground_isValidAndNeverReadable)
{
    int fd = cease_done_fd(cease_background());
    CHECK(fd >= 0);
    CHECK(!readable(fd));
    CHECK_EQ(cease_done_fd(cease_todo()), fd);
    CHECK(readable(cease_done_fd(cease_nomem())));
    close(fd); /* only here: the runner counts fds */
    close(cease_done_fd(cease_nomem()));
}

/* [TestContextErrDoneRace] */
struct err_done {
    cease_ctx *ctx;
    cease_canceler *stop;
    int fd, bad;
};
static void *see_error(void *arg)
{
    struct err_done *race = arg;
    while (cease_err(race->ctx) == CEASE_OK)
        continue;
    race->bad += !readable(race->fd) || cease_cause_of(race->ctx) == NULL;
    return NULL;
}
static void *see_fd(void *arg)
{
    struct err_done *race = arg;
    struct pollfd p = {.fd = race->fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, -1), 1);
    race->bad += cease_err(race->ctx) == CEASE_OK || cease_cause_of(race->ctx) == NULL;
    return NULL;
}
TEST(doneFd_andError_areNeverSeenOneWithoutTheOther)
{
    int rounds = harness_is_slow() ? 100 : 1000;
    for (int i = 0; i < rounds; i++) {
        struct err_done a = {0};
        a.ctx = cease_with_cancel(cease_background(), &a.stop);
        a.fd = cease_done_fd(a.ctx);
        struct err_done b = a;
        pthread_t one, two;
        CHECK_EQ(pthread_create(&one, NULL, see_error, &a), 0);
        CHECK_EQ(pthread_create(&two, NULL, see_fd, &b), 0);
        cease_cancel(a.stop);
        pthread_join(one, NULL);
        pthread_join(two, NULL);
        CHECK_EQ(a.bad + b.bad, 0);
        cease_end(a.stop);
    }
}
