/* SPDX-License-Identifier: MIT
 *
 * quit_request.c: how long it takes from a client's close until nothing is left of its request: a handler
 * asks eight backends over TCP, each in a task of its own, none of which ever answers; the client goes; the
 * clock stops when all eight tasks have been joined, and every connection to a backend is closed.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <cease/cease.h>
#include <cease/http.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKENDS = 8, ROUNDS = 1000, WARM = 50 };

static char backend[CEASE_ADDRESS_SIZE];
static atomic_int asking;  /* tasks that have sent their question */
static atomic_llong ended; /* when all were joined; 0: not yet */
static int64_t took[ROUNDS];

static cease_error hold(cease_ctx *ctx, void *arg)
{
    char byte;
    size_t n;
    while (cease_conn_read(ctx, arg, &byte, 1, &n) == CEASE_OK)
        continue;
    cease_conn_close(arg);
    return CEASE_OK;
}

static cease_error serve_backend(cease_ctx *ctx, void *arg)
{
    static const cease_group_opts supervise = {.size = sizeof supervise, .supervise = true};
    cease_group *group = cease_group_new(ctx, &supervise);
    cease_conn *conn;
    while (cease_listener_accept(ctx, arg, &conn) == CEASE_OK)
        bench_need(cease_group_go(group, hold, conn) == CEASE_OK, "a backend's task");
    cease_listener_close(arg);
    cease_group_free(group);
    return CEASE_OK;
}

static cease_error ask(cease_ctx *ctx, void *unused)
{
    cease_conn *conn;
    char byte = 'q';
    size_t n;
    (void)unused;
    cease_error e = cease_dial(ctx, backend, NULL, &conn);
    if (e != CEASE_OK)
        return e;
    e = cease_conn_write(ctx, conn, &byte, 1, NULL);
    atomic_fetch_add(&asking, 1);
    if (e == CEASE_OK)
        e = cease_conn_read(ctx, conn, &byte, 1, &n);
    cease_conn_close(conn);
    return e;
}

static cease_error fan_out(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *unused)
{
    (void)req;
    (void)res;
    (void)unused;
    cease_group *group = cease_group_new(ctx, NULL);
    for (int i = 0; i < BACKENDS; i++)
        bench_need(cease_group_go(group, ask, NULL) == CEASE_OK, "a task");
    cease_error e = cease_group_wait(group);
    atomic_store(&ended, bench_now_ns());
    cease_group_free(group);
    return e;
}

struct served {
    cease_http_server *server;
    cease_listener *listener;
};

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct served *s = arg;
    return cease_http_server_serve(ctx, s->server, s->listener);
}

static int64_t one(int port)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    atomic_store(&asking, 0);
    atomic_store(&ended, 0);
    bench_need(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0, "connect");
    bench_need(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0, "send");
    while (atomic_load(&asking) < BACKENDS)
        usleep(50);
    usleep(200); /* they wait by now */
    int64_t from = bench_now_ns();
    close(fd);
    while (atomic_load(&ended) == 0)
        usleep(20);
    return atomic_load(&ended) - from;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quit_request(void)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *backend_listener;
    struct served served = {.server = cease_http_server_new(NULL)};
    cease_ctx *root = cease_background();
    bench_need(cease_http_server_route(served.server, "GET", "/", fan_out, NULL) == CEASE_OK,
               "route");
    bench_need(cease_listen(root, "127.0.0.1:0", NULL, &served.listener) == CEASE_OK, "listen");
    bench_need(cease_listener_address(served.listener, address, sizeof address) == CEASE_OK,
               "address");
    bench_need(cease_listen(root, "127.0.0.1:0", NULL, &backend_listener) == CEASE_OK, "listen");
    bench_need(cease_listener_address(backend_listener, backend, sizeof backend) == CEASE_OK,
               "address");
    cease_group *group = cease_group_new(root, NULL);
    bench_need(cease_group_go(group, serve, &served) == CEASE_OK &&
                   cease_group_go(group, serve_backend, backend_listener) == CEASE_OK,
               "tasks");
    int port = atoi(strrchr(address, ':') + 1);
    for (int i = -WARM; i < ROUNDS; i++)
        took[i < 0 ? 0 : i] = one(port);
    cease_group_stop(group);
    cease_group_free(group);
    cease_http_server_free(served.server);
    qsort(took, ROUNDS, sizeof *took, ascending);
    return (double)took[ROUNDS * 99 / 100];
}

BENCH_VALUE(
    quit_request, quit_request, "ns",
    "Time from a client's close until all tasks of a fan-out over 8 backends have returned, "
    "p99?")
