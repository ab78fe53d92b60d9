/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <cease/cease.h>
#include <cease/grpc.h>
#include <stdio.h>

static cease_error serve(cease_ctx *ctx, void *arg)
{
    void **both = arg;
    return cease_http_server_serve(ctx, both[0], both[1]);
}

/* [example] */
static cease_error echo(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    (void)arg;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    return e == CEASE_OK ? cease_grpc_send_last(ctx, call, m.data, m.size) : e;
}

static cease_error add(cease_http_server *server) /* after cease_http2_enable */
{
    const cease_grpc_method method = {
        .size = sizeof method, .method = "/demo.Echo/Echo", .fn = echo};
    return cease_grpc_server_add(server, &method);
}

static cease_error ask(cease_ctx *ctx, cease_http2_client *client)
{
    const cease_grpc_request to = {.size = sizeof to, .method = "/demo.Echo/Echo"};
    cease_grpc_reply reply = {0};
    cease_error e = cease_grpc_do(ctx, client, &to, "ping", 4, &reply);
    if (e == CEASE_OK)
        printf("%s: %s\n", cease_grpc_code_name(reply.code), reply.data);
    cease_grpc_reply_deinit(&reply);
    return e;
}
/* [end] */

TEST(example_grpcDo_asks)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_canceler *stop;
    cease_listener *listener;
    cease_http2_client *client;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http2_enable(server, NULL));
    CHECK_OK(add(server));
    CHECK_OK(cease_listen(ctx, "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    cease_group *g = cease_group_new(ctx, NULL);
    void *both[] = {server, listener};
    CHECK_OK(cease_group_go(g, serve, both));
    CHECK_OK(cease_http2_dial(cease_background(), address, NULL, &client));
    CHECK_OK(ask(cease_background(), client));
    cease_http2_client_close(client);
    cease_cancel(stop);
    cease_group_free(g);
    cease_end(stop);
    cease_http_server_free(server);
}
