#include "harness.h"

/* [example] */
#include <cease/net.h>

/* Works for a client as long as it is there: its going away ends the work's context, although nobody
 * reads from the connection meanwhile. */
static cease_error work_for(cease_ctx *parent, cease_conn *client,
                            cease_error (*work)(cease_ctx *ctx, void *arg), void *arg)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(parent, &stop);
    cease_error err =
        cease_conn_guard(client, stop, CEASE_EPEERGONE, "the client went away", false);
    if (err == CEASE_OK) {
        err = work(ctx, arg);
        cease_conn_unguard(client);
    }
    cease_end(stop);
    return err;
}
/* [end] */

#include <sys/socket.h>

static cease_error wait_long(cease_ctx *ctx, void *arg)
{
    cease_conn_close(arg);
    cease_error err = cease_wait(ctx);
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_EPEERGONE);
    return err;
}

TEST(example_conn_guard)
{
    int fds[2];
    cease_conn *a, *b;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &a));
    CHECK_OK(cease_conn_from_fd(fds[1], &b));
    CHECK_ERR(work_for(cease_background(), a, wait_long, b), CEASE_ECANCELED);
    cease_conn_close(a);
}
