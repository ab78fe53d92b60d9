#include "harness.h"

/* [example] */
#include <cease/group.h>
#include <cease/net.h>

/* Sends back what it gets, until the peer has nothing more to say. */
static cease_error echo(cease_ctx *ctx, void *arg)
{
    cease_conn *conn = arg;
    char buf[4096];
    size_t count;
    cease_error err;
    while ((err = cease_conn_read(ctx, conn, buf, sizeof buf, &count)) == CEASE_OK) {
        if ((err = cease_conn_write(ctx, conn, buf, count, NULL)) != CEASE_OK)
            break;
    }
    cease_conn_close(conn);
    return err == CEASE_EOF ? CEASE_OK : err;
}

/* Serves until ctx ends; takes the listener. */
static cease_error serve_echo(cease_ctx *ctx, cease_listener *take_listener)
{
    cease_group_opts opts = {.size = sizeof opts, .supervise = true};
    cease_group *group = cease_group_new(ctx, &opts);
    cease_conn *conn;
    cease_error err;
    while ((err = cease_listener_accept(ctx, take_listener, &conn)) == CEASE_OK) {
        if (cease_group_go(group, echo, conn) != CEASE_OK)
            cease_conn_close(conn); /* no memory for a task: the peer may try again */
    }
    cease_listener_close(take_listener);
    cease_group_free(group);
    return err;
}

/* Listens on a port that the kernel chooses, and says which. */
static cease_error listen_local(cease_ctx *ctx, cease_listener **ret, char *ret_address,
                                size_t size)
{
    cease_error err = cease_listen(ctx, "127.0.0.1:0", NULL, ret);
    return err != CEASE_OK ? err : cease_listener_address(*ret, ret_address, size);
}

/* Says "hello" to an echo server and checks the answer. */
static cease_error say_hello(cease_ctx *ctx, const char *address)
{
    cease_conn *conn;
    char buf[5];
    size_t got = 0, count;
    cease_error err = cease_dial(ctx, address, NULL, &conn);
    if (err != CEASE_OK)
        return err;
    err = cease_conn_write(ctx, conn, "hello", 5, NULL);
    for (; err == CEASE_OK && got < sizeof buf; got += count)
        if ((err = cease_conn_read(ctx, conn, buf + got, sizeof buf - got, &count)) != CEASE_OK)
            break;
    cease_conn_close(conn);
    return err;
}
/* [end] */

static cease_error serve(cease_ctx *ctx, void *arg)
{
    return serve_echo(ctx, arg);
}

TEST(example_listen)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *listener;
    CHECK_OK(listen_local(cease_background(), &listener, address, sizeof address));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve, listener));
    CHECK_OK(say_hello(cease_background(), address));
    cease_group_stop(group);
    cease_group_free(group);
}
