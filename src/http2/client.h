/* SPDX-License-Identifier: MIT
 *
 * client.h: the insides of a client's connection and streams.
 */
#ifndef CEASE_HTTP2_CLIENT_H
#define CEASE_HTTP2_CLIENT_H

#include "http2/conn.h"
#include "http2/fields.h"

#include <cease/http2.h>

struct cease_http2_client {
    struct ceasei_h2_conn conn;
    cease_conn *raw;                  /* our share; NULL with TLS */
    const cease_http_tls *tls;        /* NULL: none */
    void *session;                    /* of tls */
    struct ceasei_h2_carries carries; /* set at birth */
    uint32_t refs;                    /* atomic: the owner's and one for each stream */
};

struct cease_http2_stream {
    struct ceasei_h2_call call;
    cease_http2_client *client; /* a reference */
    bool ended;                 /* the writer's: the body was ended */
};

/* Gives the whole body, without waiting: it is borrowed until the stream is closed. */
void ceasei_h2_stream_lend(cease_http2_stream *s, const struct ceasei_h2_piece *piece);

#endif
