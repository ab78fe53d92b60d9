/* SPDX-License-Identifier: MIT
 *
 * http1.h: one HTTP/1.1 connection of a server. See http1.c.
 */
#ifndef CEASE_HTTP_HTTP1_H
#define CEASE_HTTP_HTTP1_H

#include "http/server.h"

enum {
    CEASEI_HTTP1_HEAD_ROOM = 16 * 1024, /* a head up to this size needs no heap */
    CEASEI_HTTP1_READ_ROOM = 4 * 1024,  /* always free behind a head, for a chunked body */
    CEASEI_HTTP1_FIELDS = 256,
};

/* How the bytes of a request's body are told from what follows. */
enum ceasei_http1_body { CEASEI_BODY_NONE, CEASEI_BODY_LENGTH, CEASEI_BODY_CHUNKED };

/* One connection while it has a task: lives on the task's stack, of which only what is used costs
 * memory. */
struct ceasei_http1 {
    struct ceasei_http_exchange x; /* first: a carrier's function finds the rest by it */
    struct ceasei_http_connection *connection;
    char *in;                       /* input: the head, then what follows it */
    size_t in_room, in_size, in_at; /* allocated; filled; consumed */
    char *heap;                     /* input and scratch, when they are not in the room below */
    enum ceasei_http1_body body;
    bool expects;       /* 100 Continue is still to be sent */
    bool chunked;       /* the response: its head was sent without a length */
    uint64_t body_left; /* of a Content-Length */
    struct ceasei_http_chunks chunks;
    struct ceasei_http_head head;
    struct ceasei_http_field fields[CEASEI_HTTP1_FIELDS];
    char in_memory[CEASEI_HTTP1_HEAD_ROOM + CEASEI_HTTP1_READ_ROOM];
    char scratch_memory[2 * (CEASEI_HTTP1_HEAD_ROOM + CEASEI_HTTP1_READ_ROOM)];
};

/* http1_body.c */
void ceasei_http1_body_begin(struct ceasei_http1 *h);
cease_error ceasei_http1_read(cease_ctx *ctx, struct ceasei_http_exchange *x, void *buf,
                              size_t size, size_t *ret_count);
/* Reads what the handler left. False: the connection cannot be used again. */
bool ceasei_http1_skip(struct ceasei_http1 *h, cease_ctx *ctx);

/* http1_send.c */
cease_error ceasei_http1_send(cease_ctx *ctx, struct ceasei_http_exchange *x,
                              const struct ceasei_http_part *part, size_t *ret_taken);
/* Writes under ctx, or NULL: under the run's last context; bounded by the write budget. */
cease_error ceasei_http1_write(struct ceasei_http1 *h, cease_ctx *ctx, const struct iovec *iov,
                               int count, size_t *ret_count);

#endif
