/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

#include <cease/cease.h>
#include <cease/grpc.h>
#include <stdio.h>

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
    struct with_http2 w;
    with_http2_init(&w);
    CHECK_OK(add(w.server));
    with_http2_start(&w);
    CHECK_OK(ask(cease_background(), w.client));
    with_http2_stop(&w);
}
