/* with_http2.h: a server that speaks HTTP/2, and a client of it, for the examples. */
#ifndef CEASE_EXAMPLES_WITH_HTTP2_H
#define CEASE_EXAMPLES_WITH_HTTP2_H

#include "harness.h"

#include <cease/cease.h>
#include <cease/http2.h>

struct with_http2 {
    cease_http_server *server;
    cease_listener *listener;
    cease_group *group;
    cease_http2_client *client;
    char address[CEASE_ADDRESS_SIZE];
};

/* A server, ready for routes. */
static inline void with_http2_init(struct with_http2 *w)
{
    w->server = cease_http_server_new(NULL);
    CHECK_OK(cease_http2_enable(w->server, NULL));
}

static inline cease_error with_http2_serve(cease_ctx *ctx, void *arg)
{
    struct with_http2 *w = arg;
    return cease_http_server_serve(ctx, w->server, w->listener);
}

static inline void with_http2_start(struct with_http2 *w)
{
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &w->listener));
    CHECK_OK(cease_listener_address(w->listener, w->address, sizeof w->address));
    w->group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(w->group, with_http2_serve, w));
    CHECK_OK(cease_http2_dial(cease_background(), w->address, NULL, &w->client));
}

static inline void with_http2_stop(struct with_http2 *w)
{
    cease_http2_client_close(w->client);
    cease_group_free(w->group);
    cease_http_server_free(w->server);
}

#endif
