/* SPDX-License-Identifier: MIT
 *
 * Out to break signal contexts: handlers that stay behind or overwrite somebody's, a second signal
 * that is swallowed, a context that hears nothing because another one did, a mask that changes, and
 * what a forked child makes of handlers that are not its own.
 */
#include "harness.h"

#include <cease/cease.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void own_handler(int number)
{
    (void)number;
}

static void (*handler_of(int number))(int)
{
    struct sigaction now;
    sigaction(number, NULL, &now);
    return now.sa_handler;
}

/* The context goes when the thread that has cancelled it has let go of it too: mostly before. */
static void check_default(int number)
{
    CHECK_EVENTUALLY(handler_of(number) == SIG_DFL);
}

static void check_says(cease_ctx *ctx, int number, const char *name)
{
    CHECK_ERR(cease_wait(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, number);
    CHECK_STR(cease_cause_of(ctx)->text, name);
}

TEST(signal_sigterm_ends_the_context_and_is_named)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    CHECK_OK(cease_err(ctx));
    kill(getpid(), SIGTERM);
    check_says(ctx, SIGTERM, "SIGTERM");
    CHECK_STR(cease_cause_of(ctx)->place->function, __func__);
    cease_end(stop);
    check_default(SIGTERM);
    check_default(SIGINT);
}

TEST(signal_sigint_ends_the_context_and_is_named)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    kill(getpid(), SIGINT);
    check_says(ctx, SIGINT, "SIGINT");
    cease_end(stop);
}

TEST(signal_ended_without_one_gives_everything_back)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, own_handler);
    sigset_t before, during;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    CHECK(handler_of(SIGINT) != SIG_IGN);
    pthread_sigmask(SIG_SETMASK, NULL, &during);
    for (int i = 1; i < SIGRTMIN; i++) {
        CHECK_EQ(sigismember(&during, i), sigismember(&before, i));
    }
    CHECK_OK(cease_err(ctx));
    cease_end(stop);
    CHECK(handler_of(SIGINT) == SIG_IGN);
    CHECK(handler_of(SIGTERM) == own_handler);
}

TEST(signal_parents_end_and_values_come_through)
{
    static cease_key key = CEASE_KEY("test");
    int value = 5;
    cease_canceler *stop, *outer;
    cease_ctx *parent = cease_with_cancel(cease_background(), &outer);
    CEASE_AUTO_UNREF cease_ctx *valued = cease_with_value(parent, &key, &value);
    cease_ctx *ctx = cease_with_signals(valued, &stop);
    CHECK_PTR(cease_value(ctx, &key), &value);
    cease_cancel_cause(outer, 12, "outer");
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, 12);
    cease_end(stop);
    cease_end(outer);
    check_default(SIGINT);
}

TEST(signal_ends_several_contexts_and_those_made_too_late)
{
    cease_canceler *stops[3];
    cease_ctx *ctxs[3];
    for (int i = 0; i < 2; i++) {
        ctxs[i] = cease_with_signals(cease_background(), &stops[i]);
    }
    kill(getpid(), SIGTERM);
    check_says(ctxs[0], SIGTERM, "SIGTERM");
    check_says(ctxs[1], SIGTERM, "SIGTERM");
    ctxs[2] = cease_with_signals(cease_background(), &stops[2]);
    CHECK_ERR(cease_err(ctxs[2]), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctxs[2])->code, SIGTERM);
    for (int i = 0; i < 3; i++) {
        CHECK(handler_of(SIGTERM) != SIG_DFL);
        cease_end(stops[i]);
    }
    check_default(SIGTERM);
    /* All gone: the next one starts afresh. */
    ctxs[0] = cease_with_signals(cease_background(), &stops[0]);
    CHECK_OK(cease_err(ctxs[0]));
    kill(getpid(), SIGINT);
    check_says(ctxs[0], SIGINT, "SIGINT");
    cease_end(stops[0]);
}

TEST(signal_handlers_stay_while_a_child_lives)
{
    cease_canceler *stop, *inner;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(ctx, &inner);
    cease_end(stop);
    CHECK_ERR(cease_err(child), CEASE_ECANCELED);
    CHECK(handler_of(SIGTERM) != SIG_DFL);
    cease_end(inner);
    check_default(SIGTERM);
}

TEST(signal_leaves_a_handler_that_came_later_alone)
{
    cease_canceler *stop;
    (void)cease_with_signals(cease_background(), &stop);
    signal(SIGTERM, own_handler);
    cease_end(stop);
    CHECK(handler_of(SIGTERM) == own_handler);
    check_default(SIGINT);
}

/* Sanitizers have locks and thread tables of their own, which a fork beside other threads leaves in any
 * state (a thread that the child starts may then wait for ever), and TSan delivers signals
 * late. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define NO_FORK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define NO_FORK 1
#endif
#endif
#if !defined(NO_FORK)
#define NO_FORK 0
#endif

/* Nor does qemu's user mode. */
static void skip_without_fork(void)
{
    if (NO_FORK || getenv("HARNESS_EMULATOR")) {
        SKIP("no threads in forked children here");
    }
}

/* In a process of its own: the status that it ends with. */
static int status_of(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        _exit(99);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void two_signals(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    kill(getpid(), SIGTERM);
    (void)cease_wait(ctx);
    kill(getpid(), SIGINT);
}

static void two_signals_at_once(void)
{
    cease_canceler *stop;
    (void)cease_with_signals(cease_background(), &stop);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGTERM);
}

TEST(signal_second_one_ends_the_process_at_once)
{
    skip_without_fork();
    int status = status_of(two_signals);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 128 + SIGINT);
    status = status_of(two_signals_at_once);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 128 + SIGTERM);
}

static void end_by_default(void)
{
    kill(getpid(), SIGTERM);
}

/* The handler is inherited, the thread is not: without care the child could not be terminated. */
TEST(signal_kills_a_forked_child_as_ever)
{
    skip_without_fork();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    int status = status_of(end_by_default);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    CHECK_OK(cease_err(ctx));
    cease_end(stop);
}

static cease_canceler *parents_stop;

static void own_context_in_child(void)
{
    cease_canceler *stop;
    cease_end(parents_stop); /* older ones are only let go */
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    kill(getpid(), SIGINT);
    check_says(ctx, SIGINT, "SIGINT");
    cease_end(stop);
    check_default(SIGINT);
    check_default(SIGTERM);
    _exit(7);
}

TEST(signal_context_in_a_forked_child_is_its_own)
{
    skip_without_fork();
    cease_ctx *ctx = cease_with_signals(cease_background(), &parents_stop);
    int status = status_of(own_context_in_child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
    CHECK_OK(cease_err(ctx));
    kill(getpid(), SIGTERM);
    check_says(ctx, SIGTERM, "SIGTERM");
    cease_end(parents_stop);
}

static cease_error wait_for_it(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}

TEST(signal_reaches_tasks_that_park)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cease_group_go(g, wait_for_it, NULL));
    }
    kill(getpid(), SIGINT);
    CHECK_ERR(cease_group_wait(g), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(cease_group_ctx(g))->code, SIGINT);
    cease_group_free(g);
    cease_end(stop);
}

static void *make_and_end(void *arg)
{
    (void)arg;
    for (int i = 0; i < (harness_is_slow() ? 50 : 500); i++) {
        cease_canceler *stop;
        (void)cease_with_signals(cease_background(), &stop);
        cease_end(stop);
    }
    return NULL;
}

TEST(signal_contexts_come_and_go_while_one_arrives)
{
    cease_canceler *stop; /* keeps the handlers in place: else the signal might kill us */
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, make_and_end, NULL), 0);
    }
    kill(getpid(), SIGTERM);
    check_says(ctx, SIGTERM, "SIGTERM");
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    cease_end(stop);
    check_default(SIGTERM);
}

TEST(signal_without_memory_is_a_context_that_is_done)
{
    if (!harness_heap_is_ours()) {
        SKIP("malloc is the sanitizer's");
    }
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
        if (cease_err(ctx)) {
            CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ENOMEM);
        }
        cease_end(stop);
        check_default(SIGTERM);
        cease_trim();
        CHECK_OK(cease_runtime_stop()); /* the thread too, so that each round starts it */
    }
}
