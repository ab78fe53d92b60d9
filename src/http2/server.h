/* SPDX-License-Identifier: MIT
 *
 * server.h: between the connection of a server and its streams.
 */
#ifndef CEASE_HTTP2_SERVER_H
#define CEASE_HTTP2_SERVER_H

#include "http/server.h"
#include "http2/conn.h"

/* HTTP/2's name in ALPN. */
#define CEASEI_H2_ALPN "h2"

enum {
    CEASEI_H2_STREAM_MAX = 128,
    CEASEI_H2_STREAM_WINDOW = 64 * 1024,
    CEASEI_H2_CONNECTION_WINDOW = 1024 * 1024,
    CEASEI_H2_PSEUDO_MAX = 5, /* beside the fields that the server's limit counts */
};

/* stream.c: serves one request on the task that calls, and closes its call. */
void ceasei_h2_stream_serve(struct ceasei_h2_call *call, const struct ceasei_http_seam *seam,
                            struct ceasei_http_connection *c);

#endif
