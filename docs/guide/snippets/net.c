/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/net.md.
 */
#include "harness.h"

/* [ask] */
#include <cease/net.h>

/* Asks a server one question. `ctx` bounds all of it: the lookup, the race of its addresses, the write,
 * the read. */
static cease_error ask(cease_ctx *ctx, const char *address, const char *question, size_t size,
                       char *ret_answer, size_t *ret_count)
{
    cease_conn *conn;
    size_t room = *ret_count;
    cease_error err = cease_dial(ctx, address, NULL, &conn);
    if (err != CEASE_OK)
        return err;
    err = cease_conn_write(ctx, conn, question, size, NULL);
    if (err == CEASE_OK)
        err = cease_conn_read(ctx, conn, ret_answer, room, ret_count);
    cease_conn_close(conn);
    return err;
}
/* [end] */

/* [budget] */
/* Every client has ten seconds for a line, however slowly its bytes come. */
static cease_error read_line(cease_ctx *parent, cease_conn *conn, char *ret_line, size_t size)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(parent, cease_sec(10), &stop);
    size_t got = 0, count;
    while (got + 1 < size) {
        cease_error err = cease_conn_read(ctx, conn, ret_line + got, 1, &count);
        if (err != CEASE_OK)
            return err;
        if (ret_line[got] == '\n')
            break;
        got += count;
    }
    ret_line[got] = '\0';
    return CEASE_OK;
}
/* [end] */

/* [server] */
#include <cease/group.h>

static cease_error serve_client(cease_ctx *ctx, void *arg)
{
    cease_conn *conn = arg;
    char line[200];
    cease_error err = read_line(ctx, conn, line, sizeof line);
    if (err == CEASE_OK)
        err = cease_conn_write(ctx, conn, "thanks\n", 7, NULL);
    cease_conn_close(conn);
    return err;
}

/* Serves until ctx ends, then until every client's task has returned. */
static cease_error serve(cease_ctx *ctx, cease_listener *listener)
{
    const cease_group_opts opts = {.size = sizeof opts, .limit = 1000, .supervise = true};
    cease_group *clients = cease_group_new(ctx, &opts);
    cease_conn *conn;
    cease_error err;
    while ((err = cease_listener_accept(ctx, listener, &conn)) == CEASE_OK) {
        if (cease_group_go_wait(ctx, clients, serve_client, conn) != CEASE_OK)
            cease_conn_close(conn);
    }
    cease_group_free(clients);
    return err;
}
/* [end] */

static cease_error serve_task(cease_ctx *ctx, void *arg)
{
    return serve(ctx, arg);
}

TEST(guide_net_asks_and_serves)
{
    char address[CEASE_ADDRESS_SIZE], answer[16];
    size_t count = sizeof answer;
    cease_listener *listener;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve_task, listener));
    CHECK_OK(ask(cease_background(), address, "hello\n", 6, answer, &count));
    CHECK_EQ(count, 7);
    cease_group_stop(group);
    cease_group_free(group);
    cease_listener_close(listener);
}
