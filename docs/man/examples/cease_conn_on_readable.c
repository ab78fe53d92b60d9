#include "harness.h"

/* [example] */
#include <cease/net.h>
#include <cease/task.h>

static cease_error serve_idle(cease_ctx *ctx, void *arg);

/* Called between tasks, once: starts one. */
static void wake_up(void *arg)
{
    if (cease_go(cease_background(), serve_idle, arg) != CEASE_OK)
        cease_conn_close(arg); /* no memory for a task */
}

/* Sends back what there is, and leaves the connection without a task until more comes. */
static cease_error serve_idle(cease_ctx *ctx, void *arg)
{
    cease_conn *conn = arg;
    char buf[1024];
    size_t count;
    cease_error err;
    do {
        err = cease_conn_read(ctx, conn, buf, sizeof buf, &count);
        if (err == CEASE_OK)
            err = cease_conn_write(ctx, conn, buf, count, NULL);
        if (err == CEASE_OK)
            err = cease_conn_on_readable(conn, wake_up, conn);
    } while (err == CEASE_EAGAIN); /* there is more already */
    if (err != CEASE_OK)
        cease_conn_close(conn); /* else it is wake_up's */
    return CEASE_OK;
}
/* [end] */

#include <sys/socket.h>

TEST(example_conn_on_readable)
{
    int fds[2];
    char byte;
    size_t count;
    cease_conn *a, *b;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &a));
    CHECK_OK(cease_conn_from_fd(fds[1], &b));
    CHECK_OK(cease_conn_on_readable(b, wake_up, b));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_conn_write(cease_background(), a, "x", 1, NULL));
        CHECK_OK(cease_conn_read(cease_background(), a, &byte, 1, &count));
    }
    CHECK_OK(cease_conn_shutdown(a));
    CHECK_ERR(cease_conn_read(cease_background(), a, &byte, 1, &count), CEASE_EOF);
    cease_conn_close(a);
}
