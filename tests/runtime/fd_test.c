/* SPDX-License-Identifier: MIT
 *
 * fd_test.c: sets out to break cease_fd_wait: ready before, while and after waiting, hung up, closed
 * numbers, files, two waiters on one fd, cancels, from tasks and from plain threads.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/fd.h>
#include <cease/group.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* libc keeps the string for ever: that is not a leak. */
static void set_env(const char *name, const char *value)
{
    CHECK_EQ(setenv(name, value, 1), 0);
    harness_mark();
}

/* Runs fn as a task, then on this plain thread: both must do. */
static void in_both(cease_task_fn *fn)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_OK(fn(cease_background(), NULL));
}

struct pipe_ends {
    int read, write;
};

static struct pipe_ends make_pipe(void)
{
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    return (struct pipe_ends){fds[0], fds[1]};
}

static cease_error ready_at_once(cease_ctx *ctx, void *arg)
{
    struct pipe_ends p = make_pipe();
    (void)arg;
    CHECK_OK(cease_fd_wait(ctx, p.write, CEASE_WRITABLE));
    CHECK_OK(cease_fd_wait(ctx, p.write, CEASE_WRITABLE | CEASE_READABLE));
    CHECK_EQ(write(p.write, "x", 1), 1);
    CHECK_OK(cease_fd_wait(ctx, p.read, CEASE_READABLE));
    CHECK_OK(cease_fd_wait(ctx, p.read, CEASE_READABLE)); /* nobody has read it */
    close(p.write);
    close(p.read);
    return CEASE_OK;
}

TEST(fd_that_is_ready_returns_at_once)
{
    in_both(ready_at_once);
}

static cease_error misuse(cease_ctx *ctx, void *arg)
{
    struct pipe_ends p = make_pipe();
    (void)arg;
    CHECK_ERR(cease_fd_wait(ctx, p.read, 0), CEASE_EINVAL);
    CHECK_ERR(cease_fd_wait(ctx, p.read, 8), CEASE_EINVAL);
    CHECK_ERR(cease_fd_wait(ctx, -1, CEASE_READABLE), CEASE_EBADF);
    close(p.write);
    close(p.read);
    CHECK_ERR(cease_fd_wait(ctx, p.read, CEASE_READABLE), CEASE_EBADF);
    return CEASE_OK;
}

TEST(fd_misuse_is_an_error)
{
    in_both(misuse);
}

static cease_error wait_for_file(cease_ctx *ctx, void *arg)
{
    (void)arg;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_OK(cease_fd_wait(ctx, fd, CEASE_READABLE));
    close(fd);
    return CEASE_OK;
}

TEST(fd_of_a_file_is_always_ready)
{
    in_both(wait_for_file);
}

struct later {
    int fd;
    bool closes;
};

static cease_error write_later(cease_ctx *ctx, void *arg)
{
    struct later *l = arg;
    CHECK_OK(cease_sleep(ctx, cease_ms(5)));
    if (l->closes) {
        close(l->fd);
    } else {
        CHECK_EQ(write(l->fd, "x", 1), 1);
    }
    return CEASE_OK;
}

static cease_error wait_for_later(cease_ctx *ctx, void *arg)
{
    (void)arg;
    for (int closes = 0; closes < 2; closes++) {
        struct pipe_ends p = make_pipe();
        struct later later = {p.write, closes == 1};
        char byte;
        cease_group *g = cease_group_new(ctx, NULL);
        CHECK_OK(cease_group_go(g, write_later, &later));
        CHECK_OK(cease_fd_wait(ctx, p.read, CEASE_READABLE));
        CHECK_EQ(read(p.read, &byte, 1), closes ? 0 : 1);
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
        close(p.read);
        if (!closes) {
            close(p.write);
        }
    }
    return CEASE_OK;
}

TEST(fd_that_becomes_ready_or_is_hung_up_ends_the_wait)
{
    in_both(wait_for_later);
}

static cease_error cancelled(cease_ctx *ctx, void *arg)
{
    struct pipe_ends p = make_pipe();
    cease_canceler *stop;
    (void)arg;
    cease_ctx *child = cease_with_timeout(ctx, cease_ms(5), &stop);
    CHECK_ERR(cease_fd_wait(child, p.read, CEASE_READABLE), CEASE_EDEADLINE);
    CHECK_EQ(write(p.write, "x", 1), 1);
    CHECK_ERR(cease_fd_wait(child, p.read, CEASE_READABLE), CEASE_EDEADLINE); /* ready, but done */
    cease_end(stop);
    close(p.write);
    close(p.read);
    return CEASE_OK;
}

TEST(fd_wait_ends_with_its_context)
{
    in_both(cancelled);
}

static atomic_int waiting;

static cease_error wait_shared(cease_ctx *ctx, void *arg)
{
    atomic_fetch_add(&waiting, 1);
    return cease_fd_wait(ctx, *(int *)arg, CEASE_READABLE);
}

TEST(fd_may_have_many_waiters)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    set_env("CEASE_WORKERS", "2");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go(g, wait_shared, &pair[0]));
    }
    CHECK_EVENTUALLY(atomic_load(&waiting) == 10);
    struct cease_runtime_counts c = {.size = sizeof c};
    CHECK_EVENTUALLY((cease_runtime_count(&c), c.fds == 10));
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_OK(cease_group_wait(g));
    cease_runtime_count(&c);
    CHECK_EQ(c.fds, 0);
    cease_group_free(g);
    close(pair[0]);
    close(pair[1]);
}

static cease_error wait_both_ways(cease_ctx *ctx, void *arg)
{
    int pair[2], size = 1;
    char block[4096] = {0};
    (void)arg;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    while (write(pair[0], block, sizeof block) > 0) {
    }
    cease_canceler *stop;
    cease_ctx *child = cease_with_timeout(ctx, cease_ms(5), &stop);
    CHECK_ERR(cease_fd_wait(child, pair[0], CEASE_READABLE | CEASE_WRITABLE), CEASE_EDEADLINE);
    cease_end(stop);
    cease_group *g = cease_group_new(ctx, NULL);
    struct later later = {pair[1], false};
    CHECK_OK(cease_group_go(g, write_later, &later));
    CHECK_OK(cease_fd_wait(ctx, pair[0], CEASE_READABLE | CEASE_WRITABLE));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    close(pair[0]);
    close(pair[1]);
    return CEASE_OK;
}

TEST(fd_wait_for_both_ends_with_either)
{
    in_both(wait_both_ways);
}

/* Readiness and cancel at the same moment, over and over. */
static cease_error wait_either(cease_ctx *ctx, void *arg)
{
    cease_error err = cease_fd_wait(ctx, *(int *)arg, CEASE_READABLE);
    CHECK(err == CEASE_OK || err == CEASE_ECANCELED);
    return CEASE_OK;
}

TEST(fd_wait_may_end_by_both_at_once)
{
    int rounds = harness_is_slow() ? 100 : 2000;
    for (int i = 0; i < rounds; i++) {
        struct pipe_ends p = make_pipe();
        cease_group *g = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(g, wait_either, &p.read));
        if (i % 3 == 0) {
            sched_yield();
        }
        CHECK_EQ(write(p.write, "x", 1), 1);
        CHECK_OK(cease_group_stop(g));
        cease_group_free(g);
        close(p.read);
        close(p.write);
    }
}

struct relay {
    int from, to, count;
};

static cease_error relay(cease_ctx *ctx, void *arg)
{
    struct relay *r = arg;
    for (int i = 0; i < r->count; i++) {
        char byte;
        CHECK_OK(cease_fd_wait(ctx, r->from, CEASE_READABLE));
        CHECK_EQ(read(r->from, &byte, 1), 1);
        CHECK_EQ(write(r->to, &byte, 1), 1);
    }
    return CEASE_OK;
}

static void *relay_thread(void *arg)
{
    CHECK_OK(relay(cease_background(), arg));
    return NULL;
}

TEST(fd_bytes_go_round_a_ring_of_tasks_and_a_thread)
{
    enum { TASKS = 20 };
    struct pipe_ends pipes[TASKS + 1];
    struct relay relays[TASKS + 1];
    int count = harness_is_slow() ? 30 : 500;
    pthread_t thread;
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i <= TASKS; i++) {
        pipes[i] = make_pipe();
    }
    for (int i = 0; i <= TASKS; i++) {
        relays[i] = (struct relay){pipes[i].read, pipes[(i + 1) % (TASKS + 1)].write, count};
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_OK(cease_group_go(g, relay, &relays[i]));
    }
    CHECK_EQ(pthread_create(&thread, NULL, relay_thread, &relays[TASKS]), 0);
    CHECK_EQ(write(pipes[0].write, "x", 1), 1);
    CHECK_OK(cease_group_wait(g));
    pthread_join(thread, NULL);
    cease_group_free(g);
    for (int i = 0; i <= TASKS; i++) {
        close(pipes[i].read);
        close(pipes[i].write);
    }
}
