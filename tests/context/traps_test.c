/* SPDX-License-Identifier: MIT
 *
 * Out to break: what others fell into, where no other file here does so already; the table of all
 * is in tests/README.md. The clock is virtual where time matters, so every case has one outcome;
 * the races are what sanitizers are for.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static cease_key key = CEASE_KEY("key");

/* ----- a clock that goes when it is told, and a shard that nobody drives ----- */

static cease_time now = {1000};
static cease_time read_clock(void)
{
    return now;
}
static unsigned choose_shard(void)
{
    return 1;
}
static void kick(unsigned shard)
{
    (void)shard;
}
static void use_virtual_clock(void)
{
    static const cease_hooks hooks = {
        .size = sizeof hooks, .clock = read_clock, .timer_shard = choose_shard, .timer_kick = kick};
    cease_hooks_install(&hooks);
}

/* ----- a lock held across a removal ----- */

/* An owner guards its state with a mutex that its callback takes too. Under the mutex it may remove
 * without waiting; what it may not do is wait there (cease_watch_remove_sync), which would be for
 * ever. So it learns that the callback runs, lets the mutex go, and waits then. */
struct owner {
    pthread_mutex_t mutex;
    cease_watch w;
    cease_canceler *stop;
    int told;    /* under mutex */
    int entered; /* atomic */
};
static void tell_owner(void *arg)
{
    struct owner *owner = arg;
    __atomic_store_n(&owner->entered, 1, __ATOMIC_RELEASE);
    pthread_mutex_lock(&owner->mutex);
    owner->told++;
    pthread_mutex_unlock(&owner->mutex);
}
static void *cancel_owner(void *arg)
{
    cease_cancel(((struct owner *)arg)->stop);
    return NULL;
}

TEST(remove_underALockThatTheCallbackNeeds_neverWaitsAndWaitingAfterwardsWorks)
{
    struct owner owner = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    cease_ctx *ctx = cease_with_cancel(cease_background(), &owner.stop);
    CHECK(cease_watch_add(&owner.w, ctx, tell_owner, &owner));
    pthread_t thread;
    pthread_mutex_lock(&owner.mutex);
    CHECK_EQ(pthread_create(&thread, NULL, cancel_owner, &owner), 0);
    CHECK_EVENTUALLY(__atomic_load_n(&owner.entered, __ATOMIC_ACQUIRE) == 1);
    CHECK_EQ(cease_watch_remove(&owner.w), CEASE_WATCH_RUNNING);
    CHECK_EQ(owner.told, 0);
    pthread_mutex_unlock(&owner.mutex);
    cease_watch_remove_sync(&owner.w);
    CHECK_EQ(owner.told, 1);
    pthread_join(thread, NULL);
    cease_end(owner.stop);
}

/* ----- the deadline that nobody noticed ----- */

/* It passed before the cancel came, so it is what ended the context: for itself, and for children
 * that hear of their parent's end. */
TEST(deadline_passedUnnoticed_comesBeforeALaterCancel)
{
    use_virtual_clock();
    cease_canceler *stop, *child_stop, *open_stop, *below_stop;
    cease_ctx *ctx = cease_with_timeout_cause(cease_background(), cease_ns(50), 7, "slow", &stop);
    now.ns += 49;
    cease_canceler *share = cease_canceler_ref(stop);
    now.ns += 1;
    cease_cancel_cause(share, 8, "too late");
    CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
    CHECK_EQ(cease_cause_of(ctx)->code, 7);
    CHECK_STR(cease_cause_of(ctx)->text, "slow");
    cease_end(share);
    cease_end(stop);

    ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_timeout(ctx, cease_ns(50), &child_stop);
    cease_ctx *open = cease_with_timeout(ctx, cease_ns(51), &open_stop);
    CEASE_AUTO_UNREF cease_ctx *value = cease_with_value(ctx, &key, "v");
    cease_ctx *below = cease_with_timeout(value, cease_ns(10), &below_stop);
    now.ns += 50;
    cease_cancel_cause(stop, 9, "the parent's");
    CHECK_ERR(cease_err(child), CEASE_EDEADLINE);
    CHECK_ERR(cease_err(below), CEASE_EDEADLINE);
    CHECK_ERR(cease_err(open), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(open)->code, 9);
    cease_end(below_stop);
    cease_end(open_stop);
    cease_end(child_stop);
    cease_end(stop);
}

/* A timer has the parent, but has not come round: a child whose own deadline is later, and over too, ends as if it had. */
TEST(deadline_passedLikeAnArmedParents_hasEndedWhenTheCallReturns)
{
    use_virtual_clock();
    cease_canceler *stop, *child_stop;
    cease_ctx *parent =
        cease_with_timeout_cause(cease_background(), cease_ns(50), 31, "parent's", &stop);
    CHECK(!cease_done(parent));
    now.ns += 60;
    cease_ctx *child = cease_with_timeout(parent, cease_ns(-5), &child_stop);
    CHECK_ERR(cease_err(child), CEASE_EDEADLINE);
    CHECK_EQ(cease_cause_of(child)->code, 31);
    CHECK_ERR(cease_err(parent), CEASE_EDEADLINE);
    cease_end(child_stop);
    cease_end(stop);
}

TEST(deadline_notYetPassed_givesWayToTheCancel)
{
    use_virtual_clock();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ns(50), &stop);
    now.ns += 49;
    cease_cancel_cause(stop, 8, NULL);
    now.ns += 10;
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, 8);
    cease_end(stop);
}

/* Three are due, and taken together. The callback of the first ends the others before their turn: one stays what its
 * cancel has made of it, and what is made where the other was is none of the timer's business. */
struct due {
    cease_canceler *gone, *kept, *fresh_stop;
    cease_ctx *fresh;
};
static void end_what_is_due(void *arg)
{
    struct due *due = arg;
    cease_end(due->gone);
    due->fresh = cease_with_cancel(cease_background(), &due->fresh_stop);
    cease_cancel_cause(due->kept, 8, NULL);
}

TEST(timer_firesOnWhatACallbackHasEndedMeanwhile_changesNothing)
{
    use_virtual_clock();
    struct due due;
    cease_canceler *stop;
    cease_watch w;
    cease_ctx *first = cease_with_timeout(cease_background(), cease_ns(50), &stop);
    cease_ctx *gone = cease_with_timeout(cease_background(), cease_ns(51), &due.gone);
    cease_ctx *kept = cease_with_timeout(cease_background(), cease_ns(52), &due.kept);
    CHECK(cease_watch_add(&w, first, end_what_is_due, &due));
    CHECK(!cease_done(gone) && !cease_done(kept));
    now.ns += 52;
    CHECK_EQ(cease_timers_run(1, now), 3);
    CHECK_ERR(cease_err(first), CEASE_EDEADLINE);
    CHECK_ERR(cease_err(kept), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(kept)->code, 8);
    CHECK(!cease_done(due.fresh));
    cease_end(due.fresh_stop);
    cease_end(due.kept);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
}

/* Done on entry: a wait on what has ended returns at once, however it ended, and whether or not any
 * timer has come round. */
TEST(wait_onAPassedDeadline_returnsAtOnceWithoutATimer)
{
    use_virtual_clock();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ns(50), &stop);
    now.ns += 50;
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    CHECK_EQ(cease_timers_next(1).ns, INT64_MAX);
    cease_end(stop);
}

static void count_up(void *arg)
{
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

/* And the mirror: a callback that has run stays run, whatever is cancelled or removed later. */
TEST(callback_thatHasRun_isNotTakenBackByWhatComesLater)
{
    cease_canceler *stop;
    int ran = 0;
    cease_watch w;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch_add(&w, ctx, count_up, &ran);
    cease_cancel_cause(stop, 1, NULL);
    cease_cancel_cause(stop, 2, NULL);
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_RAN);
    CHECK_EQ(ran, 1);
    CHECK_EQ(cease_cause_of(ctx)->code, 1);
    cease_end(stop);
}

/* ----- the parent ends inside a grace period ----- */

TEST(grace_parentEndsInside_runsItsOwnTimeAndTheNextCallSeesTheEnd)
{
    use_virtual_clock();
    cease_canceler *stop, *grace_stop, *work_stop;
    cease_ctx *parent = cease_with_timeout(cease_background(), cease_ns(100), &stop);
    cease_ctx *grace = cease_with_grace(parent, cease_ns(300), &grace_stop);
    cease_ctx *work = cease_with_cancel(grace, &work_stop);
    CHECK(!cease_done(parent) && !cease_done(work));
    now.ns += 200;
    CHECK_EQ(cease_timers_run(1, now), 1);
    CHECK_ERR(cease_err(parent), CEASE_EDEADLINE);
    CHECK(!cease_done(grace) && !cease_done(work));
    cease_canceler *next_stop;
    CHECK(cease_done(cease_with_cancel(parent, &next_stop))); /* the call after it */
    cease_end(next_stop);
    now.ns += 100;
    CHECK_EQ(cease_timers_run(1, now), 1);
    CHECK_ERR(cease_err(work), CEASE_EDEADLINE);
    cease_end(work_stop);
    cease_end(grace_stop);
    cease_end(stop);
}

/* ----- what happens while a cancel runs ----- */

struct scene {
    cease_ctx *root, *middle, *leaf;
    cease_canceler *root_stop, *middle_stop, *leaf_stop;
    int born, ran;
};

/* In a callback of the root: its walk is over, its callbacks are not. */
static void derive_everywhere(void *arg)
{
    struct scene *s = arg;
    cease_ctx *parents[] = {s->root, s->middle, s->leaf};
    for (int i = 0; i < 3; i++) {
        cease_canceler *stop, *merge_stop, *timer_stop;
        cease_ctx *born = cease_with_cancel(parents[i], &stop);
        cease_ctx *merge = cease_with_merge(cease_background(), parents[i], &merge_stop);
        cease_ctx *timed = cease_with_timeout(parents[i], cease_hour(1), &timer_stop);
        s->born += cease_done(born) && cease_cause_of(born) == cease_cause_of(s->root);
        s->born += cease_done(merge) && cease_cause_of(merge) == cease_cause_of(s->root);
        s->born += cease_done(timed) && cease_cause_of(timed) == cease_cause_of(s->root);
        cease_end(timer_stop);
        cease_end(merge_stop);
        cease_end(stop);
    }
}
static void cancel_everything_again(void *arg)
{
    struct scene *s = arg;
    cease_cancel_cause(s->root_stop, 2, "again");
    cease_cancel_cause(s->middle_stop, 3, "its own");
    cease_end(s->leaf_stop);
    s->leaf_stop = NULL;
}
static void count_scene(void *arg)
{
    ((struct scene *)arg)->ran++;
}

TEST(cancel_inTheMiddleOfItself_isDoneOnceAndMissesNobody)
{
    struct scene s = {.born = 0};
    cease_watch w[5];
    s.root = cease_with_cancel(cease_background(), &s.root_stop);
    s.middle = cease_with_cancel(s.root, &s.middle_stop);
    s.leaf = cease_ref(cease_with_cancel(s.middle, &s.leaf_stop));
    cease_watch_add(&w[0], s.root, count_scene, &s);
    cease_watch_add(&w[1], s.middle, count_scene, &s);
    cease_watch_add(&w[2], s.leaf, count_scene, &s);
    cease_watch_add(&w[3], s.root, cancel_everything_again, &s);
    cease_watch_add(&w[4], s.root, derive_everywhere, &s);
    cease_cancel_cause(s.root_stop, 1, "first");
    CHECK_EQ(s.born, 9);
    CHECK_EQ(s.ran, 3);
    CHECK_EQ(cease_cause_of(s.leaf)->code, 1);
    cease_unref(s.leaf);
    cease_end(s.middle_stop);
    cease_end(s.root_stop);
    CHECK_EQ(cease_live_count(), 0);
}

/* ----- what meets a cancel that stands in the middle ----- */

/* One thread of a case stands at the n-th look at the clock or at its task, until it is let go. */
static struct {
    int at_gate, open;  /* atomic */
    int coming, others; /* atomic: how many are about to do what should wait, and have done it */
} gate;
static __thread int looks_to_gate;

static void look(void)
{
    if (looks_to_gate > 0 && --looks_to_gate == 0) {
        __atomic_store_n(&gate.at_gate, 1, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&gate.open, __ATOMIC_ACQUIRE))
            sched_yield();
    }
}
static cease_time clock_with_gate(void)
{
    look();
    return now;
}
static uint64_t task_with_gate(void)
{
    look();
    return 0;
}

struct gated_cancel {
    cease_canceler *stop;
    int looks;
};
static void *cancel_at_gate(void *arg)
{
    struct gated_cancel *g = arg;
    looks_to_gate = g->looks;
    cease_cancel_cause(g->stop, 4, NULL);
    return NULL;
}
static pthread_t start_cancel_at_gate(struct gated_cancel *g)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, cancel_at_gate, g), 0);
    while (!__atomic_load_n(&gate.at_gate, __ATOMIC_ACQUIRE))
        sched_yield();
    return thread;
}
/* Gives `count` others every chance to go on that should wait, and then lets the cancel go on. */
static void open_gate(int count)
{
    for (int i = 0; i < 1000 && __atomic_load_n(&gate.others, __ATOMIC_ACQUIRE) < count; i++)
        sched_yield();
    __atomic_store_n(&gate.open, 1, __ATOMIC_RELEASE);
}

/* Between the claim and the end, once its canceller has seen that there is nobody to tell. */
struct newcomer {
    cease_ctx *parent, *ctx;
    cease_canceler *stop;
    cease_watch w;
    int ran; /* atomic */
};
static void *derive_newcomer(void *arg)
{
    struct newcomer *n = arg;
    __atomic_add_fetch(&gate.coming, 1, __ATOMIC_ACQ_REL);
    n->ctx = cease_with_cancel(n->parent, &n->stop);
    __atomic_add_fetch(&gate.others, 1, __ATOMIC_ACQ_REL);
    return NULL;
}
static void *merge_newcomer(void *arg)
{
    struct newcomer *n = arg;
    __atomic_add_fetch(&gate.coming, 1, __ATOMIC_ACQ_REL);
    n->ctx = cease_with_merge(cease_background(), n->parent, &n->stop);
    __atomic_add_fetch(&gate.others, 1, __ATOMIC_ACQ_REL);
    return NULL;
}
static void *watch_newcomer(void *arg)
{
    struct newcomer *n = arg;
    __atomic_add_fetch(&gate.coming, 1, __ATOMIC_ACQ_REL);
    (void)cease_watch_add(&n->w, n->parent, count_up, &n->ran);
    __atomic_add_fetch(&gate.others, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

TEST(newcomers_toAClaimedContext_hearOfItsEnd)
{
    static const cease_hooks hooks = {.size = sizeof hooks, .task_id = task_with_gate};
    static void *(*const come[])(void *) = {derive_newcomer, merge_newcomer, watch_newcomer};
    struct newcomer all[3] = {0};
    struct gated_cancel cancel = {.looks = 1};
    pthread_t threads[3];
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &cancel.stop);
    pthread_t canceller = start_cancel_at_gate(&cancel);
    for (int i = 0; i < 3; i++) {
        all[i].parent = ctx;
        CHECK_EQ(pthread_create(&threads[i], NULL, come[i], &all[i]), 0);
    }
    while (__atomic_load_n(&gate.coming, __ATOMIC_ACQUIRE) < 3)
        sched_yield();
    open_gate(3);
    pthread_join(canceller, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(cease_done(all[i].ctx));
        CHECK_EQ(cease_cause_of(all[i].ctx)->code, 4);
        cease_end(all[i].stop);
    }
    CHECK_EQ(all[2].ran, 1);
    cease_end(cancel.stop);
    cease_hooks_install(NULL);
    CHECK_EQ(cease_live_count(), 0);
}

/* A child has been claimed by its own canceller: its parent's cancel returns when it has ended, not before. */
struct parents_cancel {
    cease_canceler *stop;
    cease_ctx *child;
    int was_done;
};
static void *cancel_and_look_below(void *arg)
{
    struct parents_cancel *p = arg;
    cease_cancel_cause(p->stop, 5, NULL);
    p->was_done = cease_done(p->child);
    __atomic_add_fetch(&gate.others, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

TEST(cancel_whileAChildIsClaimed_returnsWhenThatHasEnded)
{
    static const cease_hooks hooks = {.size = sizeof hooks, .task_id = task_with_gate};
    struct gated_cancel cancel = {.looks = 1};
    struct parents_cancel parents = {0};
    pthread_t thread;
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &parents.stop);
    parents.child = cease_with_cancel(ctx, &cancel.stop);
    pthread_t canceller = start_cancel_at_gate(&cancel);
    CHECK_EQ(pthread_create(&thread, NULL, cancel_and_look_below, &parents), 0);
    while (!cease_done(ctx))
        sched_yield();
    open_gate(1);
    pthread_join(canceller, NULL);
    pthread_join(thread, NULL);
    CHECK(parents.was_done);
    CHECK_EQ(cease_cause_of(parents.child)->code, 4);
    cease_end(cancel.stop);
    cease_end(parents.stop);
    cease_hooks_install(NULL);
}

/* A child has ended by its own canceller, which has not come to what is below it: the parent's cancel does not
 * wait for that, and not leave it out: it goes there itself. */
TEST(cancel_duringAChildsOwnWalk_endsWhatThatHasNotReached)
{
    static const cease_hooks hooks = {.size = sizeof hooks, .clock = clock_with_gate};
    struct gated_cancel cancel = {.looks = 2};
    cease_canceler *stop, *below_stop, *timed_stop;
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(ctx, &cancel.stop);
    cease_ctx *below = cease_with_cancel(child, &below_stop);
    /* Reached first; whether its deadline came before the cancel is asked of the clock. */
    cease_ctx *timed = cease_with_deadline(child, cease_time_add(now, cease_ns(50)), &timed_stop);
    pthread_t canceller = start_cancel_at_gate(&cancel);
    CHECK(cease_done(child));
    cease_cancel_cause(stop, 5, NULL);
    CHECK(cease_done(below));
    CHECK_EQ(cease_cause_of(below)->code, 4);
    CHECK_EQ(cease_cause_of(timed)->code, 4);
    open_gate(0);
    pthread_join(canceller, NULL);
    cease_end(timed_stop);
    cease_end(below_stop);
    cease_end(cancel.stop);
    cease_end(stop);
    cease_hooks_install(NULL);
    CHECK_EQ(cease_live_count(), 0);
}

/* A share is ended by one holder while others cancel by theirs. */
struct holder {
    cease_ctx *ctx; /* with a reference of its own */
    cease_canceler *share;
    int number, bad;
};
static void *end_or_cancel(void *arg)
{
    struct holder *h = arg;
    if (h->number % 2 == 0)
        cease_cancel_cause(h->share, 100 + h->number, "holder %d", h->number);
    cease_end(h->share);
    const cease_cause *cause = cease_cause_of(h->ctx);
    h->bad = cause == NULL || cease_err(h->ctx) != CEASE_ECANCELED ||
             (cause->code != CEASE_ECANCELED && cause->code % 2 != 0);
    cease_unref(h->ctx);
    return NULL;
}

TEST(shares_endedAndCancelledByManyHolders_freeItOnceWithOneCause)
{
    enum { HOLDERS = 6 };
    int rounds = harness_is_slow() ? 50 : 1000;
    for (int round = 0; round < rounds; round++) {
        struct holder holders[HOLDERS];
        pthread_t threads[HOLDERS];
        cease_canceler *stop, *child_stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        cease_ctx *child = cease_with_cancel(ctx, &child_stop);
        for (int i = 0; i < HOLDERS; i++)
            holders[i] = (struct holder){cease_ref(ctx), cease_canceler_ref(stop), i, 0};
        cease_end(round % 2 == 0 ? child_stop : NULL);
        for (int i = 0; i < HOLDERS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, end_or_cancel, &holders[i]), 0);
        cease_end(stop);
        for (int i = 0; i < HOLDERS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < HOLDERS; i++)
            CHECK_EQ(holders[i].bad, 0);
        if (round % 2 != 0) {
            CHECK(cease_done(child));
            cease_end(child_stop);
        }
        CHECK_EQ(cease_live_count(), 0);
    }
}

/* ----- parking inside a callback ----- */

static void park_by_hand(void *arg)
{
    cease_parker p;
    (void)arg;
    cease_parker_init(&p);
    cease_wake(&p); /* even when it would not have waited */
    cease_park(&p);
}
TEST_ABORTS(callback_parksByHand_abortsThoughItWouldNotHaveWaited, "traps_test.c")
{
    cease_canceler *stop;
    cease_watch w;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch_add(&w, ctx, park_by_hand, NULL);
    cease_cancel(stop);
}

/* The callbacks of a deadline run on the timer thread: the place is the watch's there too. */
static void wait_inside(void *arg)
{
    (void)cease_wait(arg);
}
TEST_ABORTS(callback_ofADeadlineParks_abortsOnTheTimerThread, "wait_inside_timer_callback")
{
    static const cease_place place = {"here", 1, "wait_inside_timer_callback"};
    cease_canceler *stop, *other_stop;
    cease_watch w;
    cease_ctx *other = cease_with_cancel(cease_background(), &other_stop);
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    cease_watch_add_at(&w, ctx, wait_inside, other, &place);
    (void)cease_wait(ctx);
    (void)cease_wait(other);
}

/* A callback inside another: when it has returned, the other is still one that must not park. */
struct outer {
    cease_canceler *inner_stop;
    int ran;
};
static void call_another_then_park(void *arg)
{
    struct outer *outer = arg;
    cease_cancel(outer->inner_stop);
    if (outer->ran == 1)
        park_by_hand(NULL);
}
TEST_ABORTS(callback_parksAfterAnotherInsideIt_abortsAndNamesTheOuterOne,
            "outer_callback_was_added")
{
    static const cease_place place = {"here", 1, "outer_callback_was_added"};
    struct outer outer = {.ran = 0};
    cease_canceler *stop;
    cease_watch w, inner;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *other = cease_with_cancel(cease_background(), &outer.inner_stop);
    cease_watch_add(&inner, other, count_up, &outer.ran);
    cease_watch_add_at(&w, ctx, call_another_then_park, &outer, &place);
    cease_cancel(stop);
}

/* ----- the done fd, drained ----- */

TEST(doneFd_drainedByStrayReads_staysReadableForOthers)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    int fd = cease_done_fd(ctx);
    eventfd_t n;
    CHECK_EQ(read(fd, &n, sizeof n), -1); /* and a stray read before the end does not block */
    CHECK_EQ(errno, EAGAIN);
    cease_cancel(stop);
    for (int i = 0; i < 1000; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK_EQ(poll(&p, 1, 0), 1);
        CHECK_EQ(eventfd_read(fd, &n), 0);
    }
    struct pollfd p = {.fd = cease_done_fd(ctx), .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 1);
    cease_end(stop);
}
