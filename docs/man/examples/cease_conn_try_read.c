#include "harness.h"

/* [example] */
#include <cease/net.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two connected ends. */
static cease_error make_pair(cease_conn *ret[2])
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return (cease_error)-errno;
    cease_error err = cease_conn_from_fd(fds[0], &ret[0]); /* consumes the descriptor */
    if (err != CEASE_OK) {
        close(fds[1]);
        return err;
    }
    err = cease_conn_from_fd(fds[1], &ret[1]);
    if (err != CEASE_OK)
        cease_conn_close(ret[0]);
    return err;
}

/* Sends back what there is, without ever waiting: for a loop that has other things to do as well. */
static cease_error turn(cease_conn *conn)
{
    char buf[1024];
    size_t count, sent;
    cease_error err = cease_conn_try_read(conn, buf, sizeof buf, &count);
    if (err != CEASE_OK)
        return err; /* CEASE_EAGAIN: nothing has come */
    const struct iovec piece = {.iov_base = buf, .iov_len = count};
    return cease_conn_try_writev(conn, &piece, 1, &sent); /* CEASE_EAGAIN: sent, but not all */
}

/* Waits until turn() has something to do, with no buffer meanwhile. */
static cease_error next_turn(cease_ctx *ctx, cease_conn *conn)
{
    cease_error err = cease_conn_wait_readable(ctx, conn);
    return err == CEASE_OK ? turn(conn) : err;
}

/* Takes back what was asked of cease_conn_on_readable. False: it has been called, or just is. */
static bool take_back(cease_conn *conn)
{
    return cease_conn_off_readable(conn);
}
/* [end] */

static void never(void *arg)
{
    (void)arg;
    CHECK(false);
}

TEST(example_conn_try_read)
{
    char byte;
    size_t count;
    cease_conn *ends[2], *a, *b;
    CHECK_OK(make_pair(ends));
    a = ends[0];
    b = ends[1];
    CHECK_ERR(turn(b), CEASE_EAGAIN);
    CHECK_OK(cease_conn_on_readable(b, never, NULL));
    CHECK(take_back(b));
    CHECK_OK(cease_conn_write(cease_background(), a, "x", 1, NULL));
    CHECK_OK(next_turn(cease_background(), b));
    CHECK_OK(cease_conn_read(cease_background(), a, &byte, 1, &count));
    CHECK_EQ(byte, 'x');
    cease_conn_close(a);
    CHECK_ERR(next_turn(cease_background(), b), CEASE_EOF);
    cease_conn_close(b);
}
