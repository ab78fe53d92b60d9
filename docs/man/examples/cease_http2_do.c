/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

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
    struct with_http2 w;
    with_http2_init(&w);
    CHECK_OK(cease_http_server_route(w.server, "GET", "/hello", hello, NULL));
    with_http2_start(&w);
    CHECK_OK(ask(cease_background(), w.address));
    with_http2_stop(&w);
}
