/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

/* [example] */
#include <cease/http2.h>

/* Puts a client on a connection that was made in some way of one's own, to a server that is known to speak
 * HTTP/2; *client is replaced when its server has gone. */
static cease_error renew(cease_ctx *ctx, const char *path, cease_http2_client **client)
{
    cease_conn *conn;
    if (*client && cease_http2_client_usable(*client))
        return CEASE_OK;
    cease_http2_client_close(*client);
    *client = NULL;
    cease_error err = cease_dial(ctx, path, NULL, &conn);
    return err == CEASE_OK ? cease_http2_client_new(conn, NULL, client) : err;
}
/* [end] */

TEST(example_http2_client_new)
{
    struct with_http2 w;
    cease_http2_client *client = NULL;
    with_http2_init(&w);
    with_http2_start(&w);
    CHECK_OK(renew(cease_background(), w.address, &client));
    cease_http2_client *first = client;
    CHECK_OK(renew(cease_background(), w.address, &client));
    CHECK_PTR(client, first);
    cease_http2_client_close(client);
    with_http2_stop(&w);
}
