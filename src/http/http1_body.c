/* SPDX-License-Identifier: MIT
 *
 * http1_body.c: the body of an HTTP/1.1 request as it comes in.
 *
 * A body of known length is read straight into the caller's memory, never further than its end, so
 * nothing of the next request gets there. A chunked one goes through the input buffer behind the head,
 * since only the decoder knows where it ends; what follows its end stays there for the next request.
 */
#include "http/http1.h"

#include <string.h>

void ceasei_http1_body_begin(struct ceasei_http1 *h)
{
    const struct ceasei_http_head *head = &h->head;
    h->body = head->chunked                              ? CEASEI_BODY_CHUNKED
              : head->length && head->content_length > 0 ? CEASEI_BODY_LENGTH
                                                         : CEASEI_BODY_NONE;
    h->expects = head->expect && head->minor > 0 && h->body != CEASEI_BODY_NONE;
    h->body_left = head->content_length;
    h->chunks = (struct ceasei_http_chunks){0};
}

/* Reads from the connection, under ctx and the body's deadline. */
static cease_error fill(cease_ctx *ctx, struct ceasei_http1 *h, char *buf, size_t size,
                        size_t *ret_count)
{
    cease_canceler *stop;
    cease_ctx *limited = ceasei_http_body_begin(&h->x.req, ctx, &stop);
    cease_error e = ceasei_http_connection_read(limited, h->connection, buf, size, ret_count);
    e = ceasei_http_body_end(ctx, stop, e);
    if (e == CEASE_OK || e == CEASE_ETIMEDOUT || e == cease_err(ctx)) {
        return e;
    }
    cease_cancel_cause(h->x.stop, CEASE_EPEERGONE, "the client went away");
    return CEASE_EPEERGONE;
}

static cease_error say_continue(cease_ctx *ctx, struct ceasei_http1 *h)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!h->expects || h->in_at < h->in_size || h->x.res.stage != CEASEI_RES_OPEN) {
        return CEASE_OK; /* not asked for; or the body is coming without it, or the answer is on its way */
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1};
    size_t n;
    h->expects = false;
    return ceasei_http1_write(h, ctx, &piece, 1, &n);
}

static cease_error read_length(cease_ctx *ctx, struct ceasei_http1 *h, char *buf, size_t size,
                               size_t *ret_count)
{
    size_t n = h->in_size - h->in_at;
    size = size < h->body_left ? size : (size_t)h->body_left;
    if (h->body_left == 0) {
        return CEASE_EOF;
    }
    if (n > 0) {
        n = n < size ? n : size;
        memcpy(buf, h->in + h->in_at, n);
        h->in_at += n;
    } else {
        cease_error e = fill(ctx, h, buf, size, &n);
        if (e != CEASE_OK) {
            return e;
        }
    }
    h->body_left -= n;
    h->x.req.body_ended = h->body_left == 0;
    *ret_count = n;
    return CEASE_OK;
}

/* Makes room behind the head and reads into it. What has come of the trailer section stays there. */
static cease_error refill(cease_ctx *ctx, struct ceasei_http1 *h)
{
    size_t n = 0;
    size_t keep = h->chunks.trailer;
    if (h->in_at == h->in_size && (keep == 0 || h->in_size == h->in_room)) {
        memmove(h->in + h->head.line, h->in + h->in_at - keep, keep);
        h->in_at = h->in_size = h->head.line + keep;
    }
    if (h->in_size == h->in_room) {
        return CEASE_EPROTO; /* trailer fields without end */
    }
    cease_error e = fill(ctx, h, h->in + h->in_size, h->in_room - h->in_size, &n);
    h->in_size += n;
    return e;
}

static cease_error read_chunked(cease_ctx *ctx, struct ceasei_http1 *h, char *buf, size_t size,
                                size_t *ret_count)
{
    for (;;) {
        size_t used = 0;
        size_t span = 0;
        size_t there = h->in_size - h->in_at;
        struct ceasei_http_chunks before = h->chunks;
        enum ceasei_http_chunk r =
            ceasei_http_chunks_next(&h->chunks, h->in + h->in_at, there, &used, &span);
        if (r == CEASEI_HTTP_CHUNK_DATA && span > size) { /* take less of this span */
            h->chunks = before;
            r = ceasei_http_chunks_next(&h->chunks, h->in + h->in_at, used + size, &used, &span);
        }
        h->in_at += used;
        switch (r) {
        case CEASEI_HTTP_CHUNK_DATA:
            memcpy(buf, h->in + h->in_at, span);
            h->in_at += span;
            *ret_count = span;
            return CEASE_OK;
        case CEASEI_HTTP_CHUNK_END:
            h->x.req.trailers = h->in + h->in_at - h->chunks.trailer;
            h->x.req.trailers_size = h->chunks.trailer;
            return CEASE_EOF;
        case CEASEI_HTTP_CHUNK_BAD:
            return CEASE_EPROTO;
        case CEASEI_HTTP_CHUNK_MORE:
            break;
        }
        cease_error e = refill(ctx, h);
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error ceasei_http1_read(cease_ctx *ctx, struct ceasei_http_exchange *x, void *buf,
                              size_t size, size_t *ret_count)
{
    struct ceasei_http1 *h = (struct ceasei_http1 *)x;
    cease_error e = say_continue(ctx, h);
    if (e != CEASE_OK) {
        return e;
    }
    return h->body == CEASEI_BODY_LENGTH ? read_length(ctx, h, buf, size, ret_count)
                                         : read_chunked(ctx, h, buf, size, ret_count);
}

bool ceasei_http1_skip(struct ceasei_http1 *h, cease_ctx *ctx)
{
    struct cease_http_request *req = &h->x.req;
    if (req->body_ended) {
        return true;
    }
    if (req->body_error != CEASE_OK || h->expects ||
        (h->body == CEASEI_BODY_LENGTH && h->body_left > CEASEI_HTTP_SKIP_MAX)) {
        return false;
    }
    req->body_max = req->body_total + CEASEI_HTTP_SKIP_MAX;
    char *waste = h->x.res.body; /* sent by now */
    size_t n;
    cease_error e;
    do {
        e = cease_http_request_read(ctx, req, waste, CEASEI_HTTP_BODY_ROOM, &n);
    } while (e == CEASE_OK);
    return e == CEASE_EOF;
}
