/* SPDX-License-Identifier: MIT
 *
 * Out to break: contexts in a forked child, while other threads of the parent were in the middle of everything.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers keep locks and thread tables of their own, which a fork beside other threads leaves in any state: what starts
 * threads or allocates in such a child is not theirs to judge. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
static void skip_when_sanitized(void)
{
    if (SANITIZED)
        SKIP("a sanitizer's own threads and locks do not survive this fork");
    if (getenv("HARNESS_EMULATOR") != NULL)
        SKIP("an emulator starts no threads in forked children");
}

static cease_key key = CEASE_KEY("key");

/* Runs fn(arg) in a forked child, which must return true within the case's limit. */
static void in_child(bool (*fn)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(25);
        _exit(fn(arg) ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

struct tree {
    cease_ctx *ctx, *child, *value, *timed;
    cease_canceler *stop, *child_stop, *timed_stop;
    int fd;
    int stopping; /* atomic */
};

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static bool use_old_ones(void *arg)
{
    struct tree *t = arg;
    if (cease_done(t->child) || cease_err(t->value) != CEASE_OK)
        return false;
    if (cease_value(t->child, &key) != &key)
        return false;
    cease_unref(cease_ref(t->child));
    cease_cancel_cause(t->stop, 6, "in the child");
    bool ok = cease_done(t->child) && cease_cause_of(t->child)->code == 6 && cease_done(t->timed);
    ok = ok && !readable(t->fd); /* shared with the parent process, whose context is open */
    ok = ok && readable(cease_done_fd(t->ctx));
    cease_end(t->child_stop);
    cease_end(t->timed_stop);
    cease_unref(t->value);
    cease_end(t->stop);
    return ok;
}

static void make_tree(struct tree *t)
{
    t->ctx = cease_with_cancel(cease_background(), &t->stop);
    t->value = cease_with_value(t->ctx, &key, &key);
    t->child = cease_with_cancel(t->value, &t->child_stop);
    t->timed = cease_with_timeout(t->ctx, cease_hour(1), &t->timed_stop);
    (void)cease_done(t->timed);
    t->fd = cease_done_fd(t->ctx);
}

static void end_tree(struct tree *t)
{
    CHECK(!cease_done(t->ctx) && !cease_done(t->child) && !readable(t->fd));
    cease_end(t->child_stop);
    cease_end(t->timed_stop);
    cease_unref(t->value);
    cease_end(t->stop);
}

TEST(child_endsOlderContexts_andTheParentProcessFeelsNothing)
{
    struct tree t;
    make_tree(&t);
    in_child(use_old_ones, &t);
    end_tree(&t);
}

static void after(void *arg)
{
    __atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
}

static bool make_new_ones(void *arg)
{
    struct tree *t = arg;
    cease_canceler *stop, *old_child_stop;
    int ran = 0;
    cease_ctx *ctx = cease_with_timeout(t->ctx, cease_ms(10), &stop);
    cease_after *a = cease_after_func(ctx, after, &ran);
    bool ok = cease_wait(ctx) == CEASE_EDEADLINE;
    while (!__atomic_load_n(&ran, __ATOMIC_ACQUIRE))
        sched_yield();
    cease_after_stop(a);
    cease_end(stop);
    ctx = cease_with_cancel(t->child, &old_child_stop);
    cease_cancel(t->stop);
    ok = ok && cease_done(ctx);
    cease_end(old_child_stop);
    return ok;
}

TEST(child_makesNewContextsUnderOlderOnes_andTheirDeadlinesCome)
{
    skip_when_sanitized();
    struct tree t;
    make_tree(&t);
    in_child(make_new_ones, &t);
    end_tree(&t);
}

static bool wait_for_old_deadline(void *arg)
{
    return cease_wait(arg) == CEASE_EDEADLINE;
}

TEST(child_waitsForADeadlineArmedBeforeTheFork_itComes)
{
    skip_when_sanitized();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(50), &stop);
    CHECK(!cease_done(ctx));
    in_child(wait_for_old_deadline, ctx);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    cease_end(stop);
}

static uint64_t task_seven(void)
{
    return 7;
}
static const cease_hooks numbered = {.size = sizeof numbered, .task_id = task_seven};

static bool drop_ended_ones(void *arg)
{
    struct tree *t = arg;
    cease_canceler *stop;
    bool ok = cease_done(t->ctx) && readable(cease_done_fd(t->ctx)) && cease_done(t->child);
    ok = cease_done(cease_with_cancel(t->child, &stop)) && ok; /* which had inherited its end */
    cease_end(stop);
    cease_unref(t->ctx);
    cease_unref(t->child);
    cease_unref(t->timed); /* not touched before */
    cease_unref(t->value);
    return ok;
}

TEST(child_dropsTheLastReferencesToContextsEndedBeforeTheFork)
{
    struct tree t;
    make_tree(&t);
    cease_ref(t.ctx);
    cease_ref(t.child);
    cease_ref(t.timed);
    cease_hooks_install(&numbered); /* what a cause has over the watches is not taken for one */
    cease_cancel(t.stop);
    cease_hooks_install(NULL);
    cease_end(t.child_stop);
    cease_end(t.timed_stop);
    cease_end(t.stop);
    in_child(drop_ended_ones, &t);
    CHECK(readable(t.fd));
    cease_unref(t.value);
    cease_unref(t.child);
    cease_unref(t.timed);
    cease_unref(t.ctx);
}

static bool cancel_inert(void *stop)
{
    cease_cancel(stop);
    cease_end(stop);
    return true;
}

TEST(child_cancelsWhatNoMemoryWasThereFor_nothingHappens)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    cease_canceler *stop, *inert;
    (void)cease_with_cancel(cease_background(), &stop);
    cease_end(stop); /* what a thread allocates once */
    harness_fail_alloc(1);
    cease_ctx *merge = cease_with_merge(cease_background(), cease_background(), &inert);
    harness_fail_alloc(0);
    CHECK_EQ(cease_cause_of(merge)->code, CEASE_ENOMEM);
    in_child(cancel_inert, inert);
    cease_end(inert);
}

static bool end_untouched(void *stop)
{
    cease_end(stop);
    return true;
}

TEST(child_endsAnOlderContextThatItNeverLookedAt)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    in_child(end_untouched, stop);
    CHECK(!cease_done(ctx));
    cease_end(stop);
}

static bool has_no_children(void *ctx)
{
    return cease_child_count(ctx) == 0 && cease_done(ctx);
}

TEST(child_countsTheChildrenOfWhatAnAncestorEnded)
{
    cease_canceler *stop, *below;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(ctx, &below);
    cease_cancel(stop);
    in_child(has_no_children, child);
    cease_end(below);
    cease_end(stop);
}

/* A canceller that a fork cuts off where it reads the clock, or, in the middle of writing the cause, asks for
 * its task: it stands there until it is let go. */
static struct {
    int at_gate, open; /* atomic */
} gate;
static __thread int looks_to_gate; /* it stands at the look that takes this to 0 */

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
    return (cease_time){1000};
}
static uint64_t task_with_gate(void)
{
    look();
    return 0;
}
static const cease_hooks gated = {.size = sizeof gated, .clock = clock_with_gate};
static const cease_hooks task_gated = {.size = sizeof task_gated, .task_id = task_with_gate};

static void *cancel_at_first(void *stop)
{
    looks_to_gate = 1;
    cease_cancel(stop);
    return NULL;
}

static void *cancel_at_second(void *stop)
{
    looks_to_gate = 2;
    cease_cancel(stop);
    return NULL;
}

/* Forks while the cancel of t->ctx stands at one of its looks at the clock. */
static void fork_at_gate(void *(*cancel)(void *stop), bool (*fn)(void *arg), struct tree *t)
{
    pthread_t canceller;
    CHECK_EQ(pthread_create(&canceller, NULL, cancel, t->stop), 0);
    while (!__atomic_load_n(&gate.at_gate, __ATOMIC_ACQUIRE))
        sched_yield();
    in_child(fn, t);
    __atomic_store_n(&gate.open, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(canceller, NULL), 0);
    CHECK(cease_done(t->ctx));
}

static bool find_it_open(void *arg)
{
    struct tree *t = arg;
    if (cease_err(t->ctx) != CEASE_OK || cease_cause_of(t->ctx) != NULL)
        return false;
    cease_cancel_cause(t->stop, 6, "in the child");
    return cease_err(t->ctx) == CEASE_ECANCELED && cease_cause_of(t->ctx)->code == 6;
}

TEST(child_findsAClaimThatTheForkCutOff_takesItBack)
{
    skip_when_sanitized();
    struct tree t;
    cease_hooks_install(&task_gated);
    t.ctx = cease_with_cancel(cease_background(), &t.stop);
    fork_at_gate(cancel_at_first, find_it_open, &t);
    cease_end(t.stop);
    cease_hooks_install(NULL);
}

static bool cancel_it_unseen(void *arg)
{
    struct tree *t = arg;
    cease_cancel_cause(t->stop, 6, NULL);
    return cease_cause_of(t->ctx)->code == 6;
}

/* What a cause has over the index of a timer is not taken for one. */
TEST(child_cancelsADeadlineWhoseClaimTheForkCutOff_itIsCancelled)
{
    skip_when_sanitized();
    struct tree t;
    cease_hooks_install(&task_gated);
    t.ctx = cease_with_timeout(cease_background(), cease_hour(1), &t.stop);
    CHECK(!cease_done(t.ctx));
    fork_at_gate(cancel_at_first, cancel_it_unseen, &t);
    cease_end(t.stop);
    cease_hooks_install(NULL);
}

static bool finish_the_walk(void *arg)
{
    struct tree *t = arg;
    bool ok = cease_done(t->ctx) && !cease_done(t->child);
    ok = ok && cease_hooks_installed()->clock == NULL; /* the core's own are back */
    cease_cancel(t->stop);
    return ok && cease_done(t->timed) && cease_done(t->child);
}

TEST(child_cancelsWhatTheForkCutOffInTheMiddle_theWholeSubtreeIsDone)
{
    skip_when_sanitized();
    struct tree t;
    cease_hooks_install(&gated);
    t.ctx = cease_with_deadline(cease_background(), (cease_time){2000}, &t.stop);
    t.child = cease_with_cancel(t.ctx, &t.child_stop);
    /* Reached first; whether its deadline came before the cancel is asked of the clock. */
    t.timed = cease_with_deadline(t.ctx, (cease_time){1500}, &t.timed_stop);
    fork_at_gate(cancel_at_second, finish_the_walk, &t);
    cease_end(t.timed_stop);
    cease_end(t.child_stop);
    cease_end(t.stop);
    cease_hooks_install(NULL);
}

/* The same below a merge, into which the cut off walk has gone through its second parent. */
TEST(child_cancelsWhatTheForkCutOffInsideAMerge_theWholeSubtreeIsDone)
{
    skip_when_sanitized();
    struct tree t;
    cease_canceler *merge_stop;
    cease_hooks_install(&gated);
    t.ctx = cease_with_cancel(cease_background(), &t.stop);
    cease_ctx *merge = cease_with_merge(cease_background(), t.ctx, &merge_stop);
    t.child = cease_with_cancel(merge, &t.child_stop);
    t.timed = cease_with_deadline(merge, (cease_time){1500}, &t.timed_stop);
    fork_at_gate(cancel_at_second, finish_the_walk, &t);
    cease_end(t.timed_stop);
    cease_end(t.child_stop);
    cease_end(merge_stop);
    cease_end(t.stop);
    cease_hooks_install(NULL);
}

/* A callback goes on in the parent process. In the child nobody waits for it. */
static cease_watch entered;
static void stand_at_gate(void *unused)
{
    (void)unused;
    looks_to_gate = 1;
    look();
}
static void *cancel_plainly(void *stop)
{
    cease_cancel(stop);
    return NULL;
}
static bool remove_what_runs_elsewhere(void *arg)
{
    struct tree *t = arg;
    cease_watch_remove_sync(&entered);
    return cease_done(t->ctx) && cease_watch_remove(&entered) == CEASE_WATCH_RAN;
}

TEST(child_removesAWatchWhoseCallbackRanAtTheFork_waitsForNobody)
{
    skip_when_sanitized();
    struct tree t;
    t.ctx = cease_with_cancel(cease_background(), &t.stop);
    CHECK(cease_watch_add(&entered, t.ctx, stand_at_gate, NULL));
    fork_at_gate(cancel_plainly, remove_what_runs_elsewhere, &t);
    cease_end(t.stop);
}

/* Other threads hold every lock there is at some of these forks. */
static void *churn(void *arg)
{
    struct tree *t = arg;
    while (!__atomic_load_n(&t->stopping, __ATOMIC_ACQUIRE)) {
        cease_canceler *stop, *below;
        cease_watch w;
        cease_ctx *ctx = cease_with_timeout(t->ctx, cease_hour(1), &stop);
        (void)cease_with_cancel(ctx, &below);
        cease_watch_add(&w, t->ctx, after, &t->fd);
        (void)cease_done(ctx);
        cease_watch_remove(&w);
        cease_cancel(stop);
        cease_end(below);
        cease_end(stop);
    }
    return NULL;
}

static bool end_under_churn(void *arg)
{
    struct tree *t = arg;
    cease_canceler *stop;
    cease_ctx *fresh = cease_with_cancel(t->ctx, &stop);
    cease_cancel(t->stop);
    return cease_done(t->ctx) && cease_done(t->child) && cease_done(fresh) && cease_done(t->timed);
}

TEST(forks_whileOtherThreadsAreInTheMiddle_leaveTheChildUsable)
{
    skip_when_sanitized();
    struct tree t = {0};
    make_tree(&t);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, churn, &t), 0);
    int forks = harness_is_slow() ? 10 : 300;
    for (int i = 0; i < forks; i++)
        in_child(end_under_churn, &t);
    __atomic_store_n(&t.stopping, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    t.fd = cease_done_fd(t.ctx);
    end_tree(&t);
}
