/* SPDX-License-Identifier: MIT
 *
 * poller_test.c: the poller's contract with src/net (src/runtime/poller.h): edge-triggered waits, close
 * while somebody waits, hangups, numbers used again, from tasks of every worker and plain threads.
 */
#include "runtime/poller.h"

#include "harness.h"

#include <cease/cease.h>
#include <cease/group.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* libc keeps the string for ever: that is not a leak. */
static void set_env(const char *name, const char *value)
{
    CHECK_EQ(setenv(name, value, 1), 0);
    harness_mark();
}

struct pair {
    int fd[2];
    struct ceasei_poll_entry *entry;
    atomic_int waiting;
    atomic_uint hung;
    atomic_int told;
};

static void pair_open(struct pair *p)
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p->fd), 0);
    atomic_store(&p->waiting, 0);
    atomic_store(&p->hung, 0);
    atomic_store(&p->told, 0);
    CHECK_OK(ceasei_poller_add(p->fd[0], &p->entry));
}

static void pair_close(struct pair *p)
{
    ceasei_poller_close(p->entry);
    ceasei_poller_remove(p->entry);
    close(p->fd[0]);
    if (p->fd[1] >= 0) {
        close(p->fd[1]);
    }
}

static cease_error read_byte(cease_ctx *ctx, struct pair *p, char *ret)
{
    for (;;) {
        ssize_t n = read(p->fd[0], ret, 1);
        if (n == 1) {
            return CEASE_OK;
        }
        CHECK(n < 0 && errno == EAGAIN);
        cease_error err = ceasei_poller_wait(ctx, p->entry, CEASEI_POLL_READ);
        if (err != CEASE_OK) {
            return err;
        }
    }
}

static cease_error add_and_read(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    char byte;
    pair_open(p);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(write(p->fd[1], "x", 1), 1);
        CHECK_OK(read_byte(ctx, p, &byte));
    }
    pair_close(p);
    return CEASE_OK;
}

static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, arg));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(poller_reads_from_a_task_and_from_a_thread)
{
    struct pair p;
    CHECK_OK(add_and_read(cease_background(), &p));
    in_task(add_and_read, &p);
}

/* ---- streams between workers ---------------------------------------------------------------- */

static cease_error reader(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < 2000; i++) {
        char byte;
        CHECK_OK(read_byte(ctx, p, &byte));
        CHECK_EQ((unsigned char)byte, i & 0xff);
    }
    return CEASE_OK;
}

static cease_error writer(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < 2000; i++) {
        char byte = (char)(i & 0xff);
        while (write(p->fd[1], &byte, 1) != 1) {
            cease_yield();
        }
        if (i % 7 == 0) {
            cease_yield();
        }
    }
    (void)ctx;
    return CEASE_OK;
}

TEST(poller_never_loses_an_edge)
{
    enum { PAIRS = 20 };
    static struct pair pairs[PAIRS];
    set_env("CEASE_WORKERS", "3");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < PAIRS; i++) {
        pair_open(&pairs[i]);
        CHECK_OK(cease_group_go(g, reader, &pairs[i]));
        CHECK_OK(cease_group_go(g, writer, &pairs[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < PAIRS; i++) {
        pair_close(&pairs[i]);
    }
}

/* ---- ending a wait -------------------------------------------------------------------------- */

static cease_error wait_closed(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    atomic_fetch_add(&p->waiting, 1);
    CHECK_ERR(ceasei_poller_wait(ctx, p->entry, CEASEI_POLL_READ), CEASE_ECLOSED);
    CHECK_ERR(ceasei_poller_wait(ctx, p->entry, CEASEI_POLL_READ), CEASE_ECLOSED);
    return CEASE_OK;
}

static void *wait_closed_thread(void *arg)
{
    CHECK_OK(wait_closed(cease_background(), arg));
    return NULL;
}

TEST(poller_close_wakes_who_waits)
{
    for (int i = 0; i < 200; i++) {
        struct pair p;
        pthread_t thread;
        pair_open(&p);
        cease_group *g = cease_group_new(cease_background(), NULL);
        if (i % 2) {
            CHECK_OK(cease_group_go(g, wait_closed, &p));
        } else {
            CHECK_EQ(pthread_create(&thread, NULL, wait_closed_thread, &p), 0);
        }
        while (i % 3 && atomic_load(&p.waiting) == 0) {
            sched_yield();
        }
        ceasei_poller_close(p.entry);
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
        if (i % 2 == 0) {
            pthread_join(thread, NULL);
        }
        ceasei_poller_remove(p.entry);
        close(p.fd[0]);
        close(p.fd[1]);
    }
}

static cease_error wait_cut_short(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    char byte;
    cease_error err = read_byte(ctx, p, &byte);
    CHECK(err == CEASE_OK || err == CEASE_ECANCELED);
    return CEASE_OK;
}

TEST(poller_wait_may_end_by_event_and_cancel_at_once)
{
    struct pair p;
    int rounds = harness_is_slow() ? 100 : 3000;
    pair_open(&p);
    for (int i = 0; i < rounds; i++) {
        char byte;
        cease_group *g = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(g, wait_cut_short, &p));
        if (i % 2) {
            sched_yield();
        }
        CHECK_EQ(write(p.fd[1], "x", 1), 1);
        CHECK_OK(cease_group_stop(g));
        cease_group_free(g);
        while (read(p.fd[0], &byte, 1) == 1) {
        }
    }
    pair_close(&p);
}

static cease_error wait_with_done_ctx(cease_ctx *ctx, void *arg)
{
    struct pair p;
    cease_canceler *stop;
    (void)arg;
    pair_open(&p);
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    cease_cancel(stop);
    /* An edge for writing has come: a done context wins all the same. */
    CHECK_ERR(ceasei_poller_wait(child, p.entry, CEASEI_POLL_WRITE), CEASE_ECANCELED);
    CHECK_OK(ceasei_poller_wait(ctx, p.entry, CEASEI_POLL_WRITE));
    cease_end(stop);
    pair_close(&p);
    return CEASE_OK;
}

TEST(poller_wait_on_a_done_context_never_succeeds)
{
    in_task(wait_with_done_ctx, NULL);
    CHECK_OK(wait_with_done_ctx(cease_background(), NULL));
}

/* ---- hangups -------------------------------------------------------------------------------- */

static void on_hangup(void *arg, unsigned what)
{
    struct pair *p = arg;
    atomic_fetch_or(&p->hung, what);
    atomic_fetch_add(&p->told, 1);
}

TEST(poller_tells_a_half_close_while_nobody_reads)
{
    struct pair p;
    pair_open(&p);
    ceasei_poller_on_hangup(p.entry, on_hangup, &p);
    CHECK_EQ(write(p.fd[1], "unread", 6), 6);
    CHECK_EQ(atomic_load(&p.hung), 0);
    CHECK_EQ(shutdown(p.fd[1], SHUT_WR), 0);
    CHECK_EVENTUALLY(atomic_load(&p.hung) == CEASEI_HANGUP_READ);
    CHECK_EQ(ceasei_poller_hangup(p.entry), CEASEI_HANGUP_READ);
    close(p.fd[1]);
    p.fd[1] = -1;
    CHECK_EVENTUALLY(atomic_load(&p.hung) == (CEASEI_HANGUP_READ | CEASEI_HANGUP_FULL));
    CHECK_EQ(atomic_load(&p.told), 2);
    pair_close(&p);
}

TEST(poller_tells_a_hangup_that_has_been_before)
{
    struct pair p;
    pair_open(&p);
    close(p.fd[1]);
    p.fd[1] = -1;
    CHECK_EVENTUALLY(ceasei_poller_hangup(p.entry) == (CEASEI_HANGUP_READ | CEASEI_HANGUP_FULL));
    ceasei_poller_on_hangup(p.entry, on_hangup, &p);
    CHECK_EQ(atomic_load(&p.told), 1);
    ceasei_poller_on_hangup(p.entry, NULL, NULL);
    CHECK_EQ(atomic_load(&p.told), 1);
    pair_close(&p);
}

/* The function must not run any more once it has been taken back, and never with a stale entry. */
TEST(poller_hangup_function_does_not_outlive_its_setting)
{
    int rounds = harness_is_slow() ? 100 : 3000;
    for (int i = 0; i < rounds; i++) {
        struct pair *p = malloc(sizeof *p);
        CHECK(p != NULL);
        pair_open(p);
        ceasei_poller_on_hangup(p->entry, on_hangup, p);
        close(p->fd[1]);
        p->fd[1] = -1;
        if (i % 2) {
            sched_yield();
        }
        if (i % 3) {
            ceasei_poller_on_hangup(p->entry, NULL, NULL);
        }
        pair_close(p);
        free(p);
    }
}

static void cancel_on_hangup(void *arg, unsigned what)
{
    (void)what;
    cease_cancel_cause(arg, CEASE_EPEERGONE, "the client went away");
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    cease_canceler *stop;
    cease_ctx *request = cease_with_cancel(ctx, &stop);
    pair_open(p);
    ceasei_poller_on_hangup(p->entry, cancel_on_hangup, stop);
    atomic_store(&p->waiting, 1);
    CHECK_ERR(cease_wait(request), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(request)->code, CEASE_EPEERGONE);
    ceasei_poller_on_hangup(p->entry, NULL, NULL);
    cease_end(stop);
    pair_close(p);
    return CEASE_OK;
}

TEST(poller_hangup_may_cancel_a_context)
{
    static struct pair p;
    p.fd[1] = -1;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, serve, &p));
    CHECK_EVENTUALLY(atomic_load(&p.waiting) == 1);
    CHECK_EQ(shutdown(p.fd[1], SHUT_RDWR), 0);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static void park_on_hangup(void *arg, unsigned what)
{
    (void)arg;
    (void)what;
    (void)cease_sleep(cease_background(), cease_ns(1)); /* over before anybody could park */
}

TEST_ABORTS(poller_hangup_function_that_parks_aborts, "must not park")
{
    struct pair p;
    pair_open(&p);
    ceasei_poller_on_hangup(p.entry, park_on_hangup, NULL);
    close(p.fd[1]);
    for (;;) {
        pause();
    }
}

/* ---- the table ------------------------------------------------------------------------------ */

TEST(poller_without_memory_says_so)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        struct pair p;
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p.fd), 0);
        cease_error err = ceasei_poller_add(p.fd[0], &p.entry);
        if (err == CEASE_OK) {
            pair_close(&p);
        } else {
            CHECK_ERR(err, CEASE_ENOMEM);
            close(p.fd[0]);
            close(p.fd[1]);
        }
    }
}

TEST(poller_refuses_files_and_closed_numbers)
{
    struct ceasei_poll_entry *e;
    CHECK_ERR(ceasei_poller_add(1000000, &e), CEASE_EBADF);
    FILE *f = tmpfile();
    CHECK(f != NULL);
    CHECK_ERR(ceasei_poller_add(fileno(f), &e), CEASE_EPERM);
    fclose(f);
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    CHECK_EQ(c.fds, 0);
}

TEST(poller_open_entry_keeps_the_runtime)
{
    struct pair p;
    pair_open(&p);
    CHECK_ERR(cease_runtime_stop(), CEASE_EBUSY);
    pair_close(&p);
    CHECK_OK(cease_runtime_stop());
}
