/* http_shown.h: what the examples of cease/http.h are tried with: a server on a port of its own, asked by
 * the client. */
#ifndef CEASE_HTTP_SHOWN_H
#define CEASE_HTTP_SHOWN_H

#include "harness.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shown {
    cease_http_server *server;
    cease_listener *listener;
    cease_group *group;
    char address[CEASE_ADDRESS_SIZE];
};

static cease_error shown_serve(cease_ctx *ctx, void *arg)
{
    struct shown *s = arg;
    return cease_http_server_serve(ctx, s->server, s->listener);
}

/* take_server with its routes, serving. */
static void shown_start(struct shown *s, cease_http_server *take_server)
{
    s->server = take_server;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &s->listener));
    CHECK_OK(cease_listener_address(s->listener, s->address, sizeof s->address));
    s->group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(s->group, shown_serve, s));
}

/* The status and, in `ret`, the body. `body` NULL: a GET. */
__attribute__((unused)) static int shown_ask(struct shown *s, const char *path,
                                             const cease_http_header *headers, const char *body,
                                             char ret[256])
{
    char url[256];
    cease_http_reply reply = {0};
    snprintf(url, sizeof url, "http://%s%s", s->address, path);
    const cease_http_call call = {.size = sizeof call,
                                  .url = url,
                                  .headers = headers,
                                  .body = body,
                                  .body_size = body ? strlen(body) : 0};
    CHECK_OK(cease_http_do(cease_background(), &call, &reply));
    snprintf(ret, 256, "%s", reply.body);
    int status = reply.status;
    cease_http_reply_deinit(&reply);
    return status;
}

static void shown_stop(struct shown *s)
{
    CHECK_OK(cease_group_stop(s->group));
    cease_group_free(s->group);
    cease_http_server_free(s->server);
}

#endif
