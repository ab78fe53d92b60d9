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
    struct ceasei_h2_carries carries; /* set at birth, as are the next two */
    void (*gone)(void *arg);          /* called by the reading task at its end; NULL: nobody asks */
    void *gone_arg;
    uint32_t refs; /* atomic: the owner's and one for each stream */
};

struct cease_http2_stream {
    struct ceasei_h2_call call;
    cease_http2_client *client; /* a reference */
    bool ended;                 /* the writer's: the body was ended */
    struct iovec lent;
};

/* A client on what `carrier` has: its connection, or its TLS session, which is consumed, and whom to tell of its end. */
cease_error ceasei_h2_client_new(cease_http2_client *carrier, const cease_http2_opts *opts,
                                 cease_http2_client **ret_client);

/* Gives the whole body, without waiting: it is borrowed until the stream is closed. */
void ceasei_h2_stream_lend(cease_http2_stream *s, const void *body, size_t size);
/* Any task: resets it with CANCEL, which wakes who waits. */
void ceasei_h2_stream_give_up(cease_http2_stream *s);

#endif
