/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

/* [example] */
#include <cease/http2.h>
#include <stdio.h>

static cease_error greet(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "hello", 5);
}

/* A server whose listener takes HTTP/1.1 and HTTP/2, with the same handlers. */
static cease_http_server *make_server(void)
{
    const cease_http2_opts opts = {.size = sizeof opts, .stream_max = 256};
    cease_http_server *server = cease_http_server_new(NULL);
    cease_error err = cease_http2_enable(server, &opts);
    if (err == CEASE_OK)
        err = cease_http_server_route(server, "GET", "/", greet, NULL);
    if (err == CEASE_OK)
        return server;
    fprintf(stderr, "no server: %s\n", cease_strerror(err));
    cease_http_server_free(server);
    return NULL;
}
/* [end] */

TEST(example_http2_enable)
{
    struct with_http2 w = {.server = make_server()};
    char url[CEASE_ADDRESS_SIZE + 10];
    cease_http_reply reply = {0};
    with_http2_start(&w);
    snprintf(url, sizeof url, "http://%s/", w.address);
    const cease_http_call call = {.size = sizeof call, .url = url};
    CHECK_OK(cease_http2_do(cease_background(), w.client, &call, &reply));
    CHECK_STR(reply.body, "hello");
    cease_http_reply_deinit(&reply);
    CHECK_OK(cease_http_get(cease_background(), url, NULL, &reply));
    CHECK_STR(reply.body, "hello");
    cease_http_reply_deinit(&reply);
    with_http2_stop(&w);
}
