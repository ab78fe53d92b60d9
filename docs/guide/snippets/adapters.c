/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/writing-an-adapter.md: two small adapters, one for a library with a file descriptor, one
 * for a library that blocks.
 */
#include "harness.h"

#include <cease/group.h>
#include <cease/task.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* [fd] */
#include <cease/fd.h>
#include <mqueue.h>

/* Receives a message of a POSIX queue, which was opened with O_NONBLOCK. On Linux its handle is a file descriptor.
 *
 * On cancel: returns ctx's error, and nothing was taken from the queue. */
static cease_error queue_receive(cease_ctx *ctx, mqd_t queue, char *buf, size_t size,
                                 size_t *ret_size)
{
    for (;;) {
        if (cease_done(ctx)) /* on entry: a context that is done never succeeds */
            return cease_err(ctx);
        ssize_t count = mq_receive(queue, buf, size, NULL);
        if (count >= 0) { /* not looked at again: what was received stays received */
            *ret_size = (size_t)count;
            return CEASE_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return (cease_error)-errno;
        cease_error err = cease_fd_wait(ctx, queue, CEASE_READABLE);
        if (err != CEASE_OK)
            return err;
    }
}
/* [end] */

/* [block] */
#include <cease/block.h>

/* A computation of a library that cannot be waited for, but looks at a flag of its own from time to time. */
struct search {
    int stop; /* atomic: set by the interrupt, read by the library's loop */
    unsigned long limit, found;
};

static void search_run(void *arg) /* on a thread that may block */
{
    struct search *s = arg;
    for (unsigned long i = 1; i <= s->limit && !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++)
        s->found += i % 7 == 0;
}

static void search_stop(void *arg) /* on the thread of whoever cancels: short, takes nothing away */
{
    struct search *s = arg;
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
}

/* On cancel: returns ctx's error, and the search has stopped. A search that was complete succeeds. */
static cease_error search(cease_ctx *ctx, unsigned long limit, unsigned long *ret_found)
{
    struct search s = {.limit = limit}; /* may live here: the call joins */
    cease_error err = cease_block(ctx, search_run, search_stop, &s);
    if (err != CEASE_OK)
        return err; /* it never ran */
    if (s.stop)
        return cease_err(ctx);
    *ret_found = s.found;
    return CEASE_OK;
}
/* [end] */

/* [drain] */
struct session; /* of a protocol that answers requests in their order */
static cease_error session_read_answer(cease_ctx *ctx, struct session *session);
static void session_close(struct session *session);

/* The context ended while an answer was awaited. Afterwards the session has no answer to come, or is closed. */
static cease_error session_cut(cease_ctx *ctx, struct session *session)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *grace = cease_with_grace(ctx, cease_ms(100), &stop); /* ctx itself is done */
    if (session_read_answer(grace, session) != CEASE_OK)
        session_close(session); /* the next request makes a new one */
    return cease_err(ctx);
}
/* [end] */

struct session {
    bool answers, closed;
};

static cease_error session_read_answer(cease_ctx *ctx, struct session *session)
{
    return session->answers ? CEASE_OK : cease_sleep(ctx, CEASE_FOREVER);
}

static void session_close(struct session *session)
{
    session->closed = true;
}

TEST(adapter_fd_receives_and_loses_nothing_to_a_cancel)
{
    char name[64], buf[64];
    size_t size = 0;
    snprintf(name, sizeof name, "/cease-guide-%d", (int)getpid());
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = sizeof buf};
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attr);
    if (queue < 0)
        SKIP("this system has no POSIX message queues");
    mq_unlink(name);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(5), &stop);
    CHECK_ERR(queue_receive(ctx, queue, buf, sizeof buf, &size), CEASE_EDEADLINE);
    CHECK_EQ(mq_send(queue, "hello", 5, 0), 0);
    CHECK_ERR(queue_receive(ctx, queue, buf, sizeof buf, &size), CEASE_EDEADLINE);
    CHECK_OK(queue_receive(cease_background(), queue, buf, sizeof buf, &size));
    CHECK_EQ(size, 5);
    cease_end(stop);
    mq_close(queue);
}

static cease_error search_for_long(cease_ctx *ctx, void *arg)
{
    (void)arg;
    unsigned long found = 0;
    CHECK_OK(search(cease_background(), 700, &found));
    CHECK_EQ(found, 100);
    CHECK_ERR(search(ctx, ~0ul, &found), CEASE_EDEADLINE);
    return CEASE_OK;
}

TEST(adapter_block_stops_with_its_context)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    cease_group *group = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(group, search_for_long, NULL));
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_end(stop);
}

TEST(adapter_session_is_drained_or_closed)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    struct session good = {.answers = true}, bad = {.answers = false};
    CHECK_ERR(session_cut(ctx, &good), CEASE_ECANCELED);
    CHECK(!good.closed);
    CHECK_ERR(session_cut(ctx, &bad), CEASE_ECANCELED);
    CHECK(bad.closed);
    cease_end(stop);
}
