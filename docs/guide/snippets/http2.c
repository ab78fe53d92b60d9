/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/http2-and-grpc.md. What stands between a name in brackets and `[end]` is shown
 * there; the rest makes it a program and runs it.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/grpc.h>
#include <cease/http2.h>
#include <stdio.h>
#include <string.h>

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "Hello, world\n", 13);
}

/* [method] */
static cease_error greet(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message name;
    char text[100];
    (void)arg;
    cease_error e = cease_grpc_recv(ctx, call, &name);
    if (e == CEASE_OK && name.size == 0) {
        cease_grpc_status_set(call, CEASE_GRPC_INVALID_ARGUMENT, "nobody to greet");
        return CEASE_OK;
    }
    if (e == CEASE_OK) {
        int n = snprintf(text, sizeof text, "Hello, %.50s", (const char *)name.data);
        e = cease_grpc_send_last(ctx, call, text, (size_t)n);
    }
    return e; /* an error of ctx becomes DEADLINE_EXCEEDED or CANCELLED */
}
/* [end] */

/* [serving] */
static cease_error add_all(cease_http_server *server)
{
    cease_error e = cease_http2_enable(server, NULL);
    if (e == CEASE_OK) {
        e = cease_http_server_route(server, "GET", "/hello", hello, NULL);
    }
    if (e == CEASE_OK) {
        e = cease_grpc_server_add(server, &(cease_grpc_method){.size = sizeof(cease_grpc_method),
                                                               .method = "/demo.Greeter/Greet",
                                                               .fn = greet});
    }
    return e;
}
/* [end] */

/* [request] */
static cease_error fetch(cease_ctx *ctx, cease_http2_client *client)
{
    const cease_http_call call = {.size = sizeof call, .url = "http://localhost/hello"};
    cease_http_reply reply = {0};
    cease_error e = cease_http2_do(ctx, client, &call, &reply);
    if (e == CEASE_OK) {
        printf("%d %s", reply.status, reply.body);
    }
    cease_http_reply_deinit(&reply);
    return e;
}
/* [end] */

/* [call] */
static cease_error ask(cease_ctx *ctx, cease_http2_client *client, const char *name)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *limited = cease_with_timeout(ctx, cease_sec(5), &stop);
    const cease_grpc_request to = {.size = sizeof to, .method = "/demo.Greeter/Greet"};
    cease_grpc_reply reply = {0};
    cease_error e = cease_grpc_do(limited, client, &to, name, strlen(name), &reply);
    if (e == CEASE_OK) {
        printf("%s %s%s\n", cease_grpc_code_name(reply.code), reply.data, reply.text);
    }
    cease_grpc_reply_deinit(&reply);
    return e;
}
/* [end] */

static cease_error serve(cease_ctx *ctx, void *arg)
{
    void **both = arg;
    return cease_http_server_serve(ctx, both[0], both[1]);
}

TEST(guide_http2_servesAndAsks)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_canceler *stop;
    cease_http2_client *client;
    cease_listener *listener;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(add_all(server));
    CHECK_OK(cease_listen(ctx, "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(g, serve, ((void *[]){server, listener})));
    CHECK_OK(cease_http2_dial(cease_background(), address, NULL, &client));
    CHECK_OK(fetch(cease_background(), client));
    CHECK_OK(ask(cease_background(), client, "you"));
    CHECK_OK(ask(cease_background(), client, ""));
    cease_http2_client_close(client);
    cease_cancel(stop);
    cease_group_free(g);
    cease_end(stop);
    cease_http_server_free(server);
}
