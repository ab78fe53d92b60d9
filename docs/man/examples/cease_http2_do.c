/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <cease/cease.h>
#include <cease/http2.h>
#include <stdio.h>

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    cease_http_response_trailer(res, "X-Done", "yes");
    return cease_http_response_write(ctx, res, "hello", 5);
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    void **both = arg;
    return cease_http_server_serve(ctx, both[0], both[1]);
}

/* [example] */
static cease_error ask(cease_ctx *ctx, const char *address)
{
    const cease_http_call call = {.size = sizeof call, .url = "http://localhost/hello"};
    cease_http_reply reply = {0};
    cease_http2_client *client;
    cease_error e = cease_http2_dial(ctx, address, NULL, &client);
    if (e != CEASE_OK)
        return e;
    e = cease_http2_do(ctx, client, &call, &reply); /* from any number of tasks at a time */
    if (e == CEASE_OK)
        printf("%d: %s\n", reply.status, reply.body);
    cease_http_reply_deinit(&reply);
    cease_http2_client_close(client);
    return e;
}
/* [end] */

TEST(example_http2Do_asks)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_canceler *stop;
    cease_listener *listener;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http2_enable(server, NULL));
    CHECK_OK(cease_http_server_route(server, "GET", "/hello", hello, NULL));
    CHECK_OK(cease_listen(ctx, "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    cease_group *g = cease_group_new(ctx, NULL);
    void *both[] = {server, listener};
    CHECK_OK(cease_group_go(g, serve, both));
    CHECK_OK(ask(cease_background(), address));
    cease_cancel(stop);
    cease_group_free(g);
    cease_end(stop);
    cease_http_server_free(server);
}
