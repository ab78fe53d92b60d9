/* SPDX-License-Identifier: MIT
 *
 * fork_test.c: sets out to use the runtime in a forked child: after the parent's first task every
 * call must abort with a sentence, and what the core does must still work; before the first task, and
 * after a stop, the child has a runtime of its own.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/fd.h>
#include <cease/group.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SENTENCE "fork before the first task, or exec"

static cease_error nothing(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_OK;
}

static void run_a_task(void)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, nothing, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

/* Forks, runs fn in the child, and gives its wait status. */
static int status_of(void (*fn)(void))
{
    int status;
    pid_t child = harness_fork();
    CHECK(child >= 0);
    if (child == 0) {
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

/* In the child, after which this case dies as the child did. */
static void die_as_child(void (*fn)(void))
{
    run_a_task();
    int status = status_of(fn);
    if (WIFSIGNALED(status)) {
        raise(WTERMSIG(status));
    }
}

static void go(void)
{
    (void)cease_go(cease_background(), nothing, NULL);
}

TEST_ABORTS(fork_go_in_the_child_aborts, SENTENCE)
{
    die_as_child(go);
}

static void sleep_a_little(void)
{
    (void)cease_sleep(cease_background(), cease_ms(1));
}

TEST_ABORTS(fork_sleep_in_the_child_aborts, SENTENCE)
{
    die_as_child(sleep_a_little);
}

TEST_ABORTS(fork_yield_in_the_child_aborts, SENTENCE)
{
    die_as_child(cease_yield);
}

static void wait_for_fd(void)
{
    int fds[2];
    if (pipe(fds) == 0) {
        (void)cease_fd_wait(cease_background(), fds[1], CEASE_WRITABLE);
    }
}

TEST_ABORTS(fork_fd_wait_in_the_child_aborts, SENTENCE)
{
    die_as_child(wait_for_fd);
}

static void stop(void)
{
    (void)cease_runtime_stop();
}

TEST_ABORTS(fork_stop_in_the_child_aborts, SENTENCE)
{
    die_as_child(stop);
}

#if defined(__SANITIZE_THREAD__)
#define MAY_START_THREADS false /* ThreadSanitizer ends a child that does */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAY_START_THREADS false
#endif
#endif
#ifndef MAY_START_THREADS
#define MAY_START_THREADS true
#endif

static void use_contexts(void)
{
    cease_canceler *cancel;
    const char *emulator = getenv("HARNESS_EMULATOR"); /* qemu-user fails there, too */
    bool may_start = MAY_START_THREADS && (!emulator || !*emulator);
    cease_dur timeout = may_start ? cease_ms(1) : cease_ms(0);
    cease_ctx *ctx = cease_with_timeout(cease_background(), timeout, &cancel);
    if (cease_wait(ctx) != CEASE_EDEADLINE || cease_task_id() != 0) {
        _exit(1);
    }
    cease_end(cancel);
}

TEST(fork_contexts_work_in_the_child)
{
    run_a_task();
    CHECK_EQ(status_of(use_contexts), 0);
}

static cease_error fork_in_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    *(int *)arg = status_of(use_contexts);
    return CEASE_OK;
}

TEST(fork_from_a_task_leaves_a_plain_thread)
{
    int status = -1;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fork_in_task, &status));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(status, 0);
}

static void exit_normally(void)
{
    exit(0);
}

TEST(fork_child_exits_without_waiting_for_workers)
{
    run_a_task();
    CHECK_EQ(status_of(exit_normally), 0);
}

TEST(fork_before_the_first_task_gives_the_child_a_runtime)
{
    CHECK_EQ(status_of(run_a_task), 0);
}

TEST(fork_after_a_stop_gives_the_child_a_runtime)
{
    run_a_task();
    CHECK_OK(cease_runtime_stop());
    CHECK_EQ(status_of(run_a_task), 0);
    run_a_task();
}
