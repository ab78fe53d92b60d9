/* SPDX-License-Identifier: MIT
 *
 * request.c: what a handler can ask of its request, and the body as it comes in.
 *
 * Header fields stay where they were read; a name or value becomes a C string when it is asked for,
 * by a NUL over the ':' or the white space behind it, which the parser has left for that.
 *
 * A body of known length is read straight into the caller's memory, never further than its end, so
 * nothing of the next request gets there. A chunked one goes through the input buffer behind the head,
 * since only the decoder knows where it ends; what follows its end stays there for the next request.
 */
#include "http/server.h"
#include "http/url.h"

#include <stdlib.h>
#include <string.h>

const char *cease_http_request_method(const cease_http_request *req)
{
    return req->method;
}

const char *cease_http_request_target(const cease_http_request *req)
{
    return req->target;
}

const char *cease_http_request_path(const cease_http_request *req)
{
    return req->path;
}

const char *cease_http_request_query(const cease_http_request *req)
{
    return req->query;
}

const char *cease_http_request_peer(const cease_http_request *req)
{
    struct ceasei_http_exchange *x = req->x;
    if (x->peer[0] == '\0' && cease_conn_peer(x->conn, x->peer, sizeof x->peer) != CEASE_OK) {
        memcpy(x->peer, "?", 2);
    }
    return x->peer;
}

/* The field as C strings. */
static void field_text(const struct ceasei_http_exchange *x, const struct ceasei_http_field *f,
                       const char **ret_name, const char **ret_value)
{
    x->in[f->name + f->name_size] = '\0';
    x->in[f->value + f->value_size] = '\0';
    *ret_name = x->in + f->name;
    *ret_value = x->in + f->value;
}

bool cease_http_request_header_at(const cease_http_request *req, size_t index,
                                  const char **ret_name, const char **ret_value)
{
    if (index >= req->x->head.field_count) {
        return false;
    }
    field_text(req->x, &req->x->fields[index], ret_name, ret_value);
    return true;
}

const char *cease_http_request_header(const cease_http_request *req, const char *name)
{
    const struct ceasei_http_exchange *x = req->x;
    size_t size = strlen(name);
    for (uint32_t i = 0; i < x->head.field_count; i++) {
        const struct ceasei_http_field *f = &x->fields[i];
        if (ceasei_http_same(x->in + f->name, f->name_size, name, size)) {
            const char *ret_name;
            const char *ret_value;
            field_text(x, f, &ret_name, &ret_value);
            return ret_value;
        }
    }
    return NULL;
}

const char *cease_http_request_param(const cease_http_request *req, const char *name)
{
    size_t size = strlen(name);
    for (uint32_t i = 0; i < req->params.count; i++) {
        const struct ceasei_http_param *p = &req->params.list[i];
        if (p->name_size == size && memcmp(p->name, name, size) == 0) {
            return p->value;
        }
    }
    return NULL;
}

cease_error cease_http_request_query_value(const cease_http_request *req, const char *name,
                                           char *ret, size_t size, size_t *ret_size)
{
    return ceasei_url_query_value(req->query, name, ret, size, ret_size);
}

/* ---- the body ---- */

void ceasei_http_request_begin(struct ceasei_http_exchange *x)
{
    struct cease_http_request *req = &x->req;
    const struct ceasei_http_head *h = &x->head;
    cease_dur limit = x->server->opts.body_timeout;
    req->x = x;
    req->body = h->chunked                           ? CEASEI_BODY_CHUNKED
                : h->length && h->content_length > 0 ? CEASEI_BODY_LENGTH
                                                     : CEASEI_BODY_NONE;
    req->body_ended = req->body == CEASEI_BODY_NONE;
    req->expects = h->expect && h->minor > 0 && !req->body_ended;
    req->body_error = CEASE_OK;
    req->body_left = h->content_length;
    req->body_total = 0;
    req->body_max = x->server->opts.body_max;
    if (x->route && x->route->opts.body_timeout.ns != 0) {
        limit = x->route->opts.body_timeout;
    }
    if (x->route && x->route->opts.body_max != 0) {
        req->body_max = x->route->opts.body_max;
    }
    req->body_deadline = cease_time_add(x->start, limit);
    req->chunks = (struct ceasei_http_chunks){0};
}

/* The body ends here, before its time; says so to all later reads. */
static cease_error body_fails(struct cease_http_request *req, cease_error e)
{
    req->body_error = e;
    return e;
}

/* Reads from the connection, under ctx and the body's deadline. */
static cease_error body_fill(cease_ctx *ctx, struct cease_http_request *req, char *buf, size_t size,
                             size_t *ret_count)
{
    cease_canceler *stop;
    cease_ctx *limited = cease_with_deadline(ctx, req->body_deadline, &stop);
    cease_error e = cease_conn_read(limited, req->x->conn, buf, size, ret_count);
    cease_end(stop);
    if (e == CEASE_OK) {
        return e;
    }
    if (cease_err(ctx) != CEASE_OK) {
        return cease_err(ctx); /* not the body's fault: it can be read on, under another context */
    }
    if (e == CEASE_EDEADLINE) {
        return body_fails(req, CEASE_ETIMEDOUT);
    }
    cease_cancel_cause(req->x->stop, CEASE_EPEERGONE, "the client went away");
    return body_fails(req, CEASE_EPEERGONE);
}

static cease_error body_continue(cease_ctx *ctx, struct cease_http_request *req)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!req->expects || req->x->in_at < req->x->in_size) {
        return CEASE_OK; /* not asked for, or the body is coming without it */
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1};
    size_t n;
    req->expects = false;
    return ceasei_http_send(req->x, ctx, &piece, 1, &n);
}

static cease_error read_length(cease_ctx *ctx, struct cease_http_request *req, char *buf,
                               size_t size, size_t *ret_count)
{
    struct ceasei_http_exchange *x = req->x;
    size_t n = x->in_size - x->in_at;
    size = size < req->body_left ? size : (size_t)req->body_left;
    if (n > 0) {
        n = n < size ? n : size;
        memcpy(buf, x->in + x->in_at, n);
        x->in_at += n;
    } else {
        cease_error e = body_fill(ctx, req, buf, size, &n);
        if (e != CEASE_OK) {
            return e;
        }
    }
    req->body_left -= n;
    req->body_ended = req->body_left == 0;
    *ret_count = n;
    return CEASE_OK;
}

/* Makes room behind the head and reads into it. */
static cease_error refill(cease_ctx *ctx, struct cease_http_request *req)
{
    struct ceasei_http_exchange *x = req->x;
    size_t n = 0;
    if (x->in_at == x->in_size) {
        x->in_at = x->in_size = x->head.line;
    }
    cease_error e = body_fill(ctx, req, x->in + x->in_size, x->in_room - x->in_size, &n);
    x->in_size += e == CEASE_OK ? n : 0;
    return e;
}

static cease_error read_chunked(cease_ctx *ctx, struct cease_http_request *req, char *buf,
                                size_t size, size_t *ret_count)
{
    struct ceasei_http_exchange *x = req->x;
    for (;;) {
        size_t used = 0;
        size_t span = 0;
        size_t there = x->in_size - x->in_at;
        struct ceasei_http_chunks before = req->chunks;
        enum ceasei_http_chunk r =
            ceasei_http_chunks_next(&req->chunks, x->in + x->in_at, there, &used, &span);
        if (r == CEASEI_HTTP_CHUNK_DATA && span > size) { /* take less of this span */
            req->chunks = before;
            r = ceasei_http_chunks_next(&req->chunks, x->in + x->in_at, used + size, &used, &span);
        }
        x->in_at += used;
        switch (r) {
        case CEASEI_HTTP_CHUNK_DATA:
            memcpy(buf, x->in + x->in_at, span);
            x->in_at += span;
            *ret_count = span;
            return CEASE_OK;
        case CEASEI_HTTP_CHUNK_END:
            req->body_ended = true;
            return CEASE_EOF;
        case CEASEI_HTTP_CHUNK_BAD:
            return body_fails(req, CEASE_EPROTO);
        case CEASEI_HTTP_CHUNK_MORE:
            break;
        }
        cease_error e = refill(ctx, req);
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error cease_http_request_read(cease_ctx *ctx, cease_http_request *req, void *buf, size_t size,
                                    size_t *ret_count)
{
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK || size == 0) {
        return e != CEASE_OK ? e : CEASE_EINVAL;
    }
    if (req->body_error != CEASE_OK) {
        return req->body_error;
    }
    if (req->body_ended) {
        return CEASE_EOF;
    }
    e = body_continue(ctx, req);
    if (e != CEASE_OK) {
        return e;
    }
    size_t n = 0;
    e = req->body == CEASEI_BODY_LENGTH ? read_length(ctx, req, buf, size, &n)
                                        : read_chunked(ctx, req, buf, size, &n);
    if (e != CEASE_OK) {
        return e;
    }
    req->body_total += n;
    if (req->body_total > req->body_max) {
        return body_fails(req, CEASE_EMSGSIZE);
    }
    *ret_count = n;
    return CEASE_OK;
}

bool ceasei_http_request_skip(struct ceasei_http_exchange *x, cease_ctx *ctx)
{
    struct cease_http_request *req = &x->req;
    if (req->body_ended) {
        return true;
    }
    bool much = req->body == CEASEI_BODY_LENGTH && req->body_left > CEASEI_HTTP_SKIP_MAX;
    if (req->body_error != CEASE_OK || req->expects || much) {
        return false;
    }
    req->body_max = req->body_total + CEASEI_HTTP_SKIP_MAX;
    char *waste = x->res.body; /* sent by now */
    size_t n;
    cease_error e;
    do {
        e = cease_http_request_read(ctx, req, waste, sizeof x->res.body, &n);
    } while (e == CEASE_OK);
    return e == CEASE_EOF;
}
