/* SPDX-License-Identifier: MIT
 *
 * served.c: a server that says "hello", for the examples of the HTTP client.
 */
#include "served.h"

#include "harness.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <cease/propagate.h>
#include <stdio.h>

static cease_http_server *server;
static cease_canceler *stop;
static cease_ctx *ctx;
static cease_group *group;
static char baggage[100];

static cease_error hello(cease_ctx *request, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    snprintf(baggage, sizeof baggage, "%s", cease_baggage_from_context(request));
    cease_http_response_header(res, "Content-Type", "text/plain");
    return cease_http_response_write(request, res, "hello", 5);
}

static cease_error serve(cease_ctx *unused, void *arg)
{
    (void)unused;
    return cease_http_server_serve(ctx, server, arg);
}

const char *served_start(void)
{
    static char url[CEASE_ADDRESS_SIZE + 16];
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *listener;
    cease_http_server_opts opts = {.size = sizeof opts, .take_baggage = true};
    server = cease_http_server_new(&opts);
    ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(cease_http_server_route(server, NULL, "/", hello, NULL));
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    snprintf(url, sizeof url, "http://%s/", address);
    group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve, listener));
    return url;
}

void served_stop(void)
{
    cease_cancel(stop);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_http_server_free(server);
    cease_end(stop);
}

const char *served_baggage(void)
{
    return baggage;
}
