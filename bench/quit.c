/* SPDX-License-Identifier: MIT
 *
 * quit.c: how soon work stops: a read on a socket by a cancel on the same worker, and a request's context
 * by a client that goes away.
 */
#include "bench.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2000 };

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void need(cease_error e, const char *what)
{
    bench_need(e == CEASE_OK, what);
}

static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    need(cease_group_go(g, fn, arg), "cease_group_go");
    need(cease_group_wait(g), "the task");
    cease_group_free(g);
}

/* ---- quit_read ---------------------------------------------------------------------------------- */

struct reading {
    cease_conn *conn;
    int64_t returned_ns;
};

static cease_error read_until_cancel(cease_ctx *ctx, void *arg)
{
    struct reading *r = arg;
    char byte;
    size_t count;
    bench_need(cease_conn_read(ctx, r->conn, &byte, 1, &count) == CEASE_ECANCELED, "read");
    r->returned_ns = bench_now_ns();
    return CEASE_OK;
}

static cease_error cancel_reads(cease_ctx *ctx, void *arg)
{
    int64_t *took = arg;
    cease_listener *l;
    cease_conn *client, *server;
    char address[CEASE_ADDRESS_SIZE];
    need(cease_listen(ctx, "127.0.0.1:0", NULL, &l), "cease_listen");
    need(cease_listener_address(l, address, sizeof address), "cease_listener_address");
    need(cease_dial(ctx, address, NULL, &client), "cease_dial");
    need(cease_listener_accept(ctx, l, &server), "cease_listener_accept");
    for (int i = 0; i < ROUNDS; i++) {
        struct reading r = {.conn = server};
        cease_canceler *stop;
        cease_ctx *child = cease_with_cancel(ctx, &stop);
        cease_group *g = cease_group_new(child, NULL);
        need(cease_group_go(g, read_until_cancel, &r), "cease_group_go");
        for (int k = 0; k < 100; k++)
            cease_yield(); /* it parks, and the event of its registration has come */
        int64_t from = bench_now_ns();
        cease_cancel(stop);
        need(cease_group_wait(g), "cease_group_wait");
        took[i] = r.returned_ns - from;
        cease_group_free(g);
        cease_end(stop);
    }
    cease_conn_close(client);
    cease_conn_close(server);
    cease_listener_close(l);
    return CEASE_OK;
}

static double quit_read(void)
{
    static int64_t took[ROUNDS];
    setenv("CEASE_WORKERS", "1", 1);
    in_task(cancel_reads, took);
    qsort(took, ROUNDS, sizeof *took, ascending);
    return (double)took[ROUNDS / 2];
}

BENCH_VALUE(quit_read, quit_read, "ns",
            "How long until a read that waits on a socket returns after its context's cancel, p50?")

/* ---- quit_disconnect ---------------------------------------------------------------------------- */

struct service {
    cease_http_server *server;
    cease_listener *listener;
    cease_chan *waits, *done; /* of int64_t: the handler waits; its context was done at */
    int64_t *took;
};

static cease_error wait_for_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    struct service *s = arg;
    int64_t now = 0;
    (void)req;
    (void)res;
    need(cease_chan_send(cease_background(), s->waits, &now), "cease_chan_send");
    (void)cease_wait(ctx);
    now = bench_now_ns();
    need(cease_chan_send(cease_background(), s->done, &now), "cease_chan_send");
    return CEASE_ECANCELED;
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct service *s = arg;
    (void)cease_http_server_serve(ctx, s->server, s->listener);
    return CEASE_OK;
}

static cease_error disconnect(cease_ctx *ctx, void *arg)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct service *s = arg;
    char address[CEASE_ADDRESS_SIZE];
    need(cease_listener_address(s->listener, address, sizeof address), "cease_listener_address");
    for (int i = 0; i < ROUNDS; i++) {
        cease_conn *client;
        int64_t at;
        need(cease_dial(ctx, address, NULL, &client), "cease_dial");
        need(cease_conn_write(ctx, client, request, sizeof request - 1, NULL), "write");
        need(cease_chan_recv(ctx, s->waits, &at), "cease_chan_recv");
        for (int k = 0; k < 100; k++)
            cease_yield(); /* it waits by now */
        int64_t from = bench_now_ns();
        cease_conn_close(client);
        need(cease_chan_recv(ctx, s->done, &at), "cease_chan_recv");
        s->took[i] = at - from;
    }
    return CEASE_OK;
}

static double quit_disconnect(void)
{
    static int64_t took[ROUNDS];
    struct service s = {.server = cease_http_server_new(NULL), .took = took};
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    s.waits = cease_chan_new(sizeof(int64_t), 1);
    s.done = cease_chan_new(sizeof(int64_t), 1);
    need(cease_http_server_route(s.server, "GET", "/", wait_for_end, &s), "route");
    need(cease_listen(ctx, "127.0.0.1:0", NULL, &s.listener), "cease_listen");
    cease_listener_ref(s.listener);
    cease_group *g = cease_group_new(ctx, NULL);
    need(cease_group_go(g, serve, &s), "cease_group_go");
    in_task(disconnect, &s);
    cease_cancel(stop);
    (void)cease_group_wait(g);
    cease_group_free(g);
    cease_http_server_free(s.server);
    cease_listener_unref(s.listener);
    cease_chan_unref(s.waits);
    cease_chan_unref(s.done);
    cease_end(stop);
    qsort(took, ROUNDS, sizeof *took, ascending);
    return (double)took[ROUNDS / 2];
}

BENCH_VALUE(quit_disconnect, quit_disconnect, "ns",
            "How long after a client has closed is the context of its request done, p50?")
