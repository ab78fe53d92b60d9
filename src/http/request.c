/* SPDX-License-Identifier: MIT
 *
 * request.c: what a handler can ask of its request, and the body as it comes in.
 *
 * Header fields stay where they were read; a name or value becomes a C string when it is asked for,
 * by a NUL over the ':' or the white space behind it, which the parser has left for that. The body's
 * bytes come from the carrier; its limits are kept here.
 */
#include "http/server.h"
#include "http/url.h"

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

const char *cease_http_request_subject(const cease_http_request *req)
{
    const struct ceasei_http_exchange *x = req->x;
    const cease_http_tls *tls = x->run->tls;
    return x->session && tls->subject ? tls->subject(x->session) : NULL;
}

/* The field as C strings. */
static void field_text(const struct ceasei_http_exchange *x, const struct ceasei_http_field *f,
                       const char **ret_name, const char **ret_value)
{
    x->text[f->name + f->name_size] = '\0';
    x->text[f->value + f->value_size] = '\0';
    *ret_name = x->text + f->name;
    *ret_value = x->text + f->value;
}

bool cease_http_request_header_at(const cease_http_request *req, size_t index,
                                  const char **ret_name, const char **ret_value)
{
    if (index >= req->x->head->field_count) {
        return false;
    }
    field_text(req->x, &req->x->head->fields[index], ret_name, ret_value);
    return true;
}

const char *cease_http_request_header(const cease_http_request *req, const char *name)
{
    const struct ceasei_http_exchange *x = req->x;
    size_t size = strlen(name);
    for (uint32_t i = 0; i < x->head->field_count; i++) {
        const struct ceasei_http_field *f = &x->head->fields[i];
        if (ceasei_http_same(x->text + f->name, f->name_size, name, size)) {
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

const char *cease_http_request_trailer(const cease_http_request *req, const char *name)
{
    return ceasei_http_trailer_find(req->trailers, req->trailers_size, name);
}

/* ---- the body ---- */

void ceasei_http_request_begin(struct ceasei_http_exchange *x)
{
    struct cease_http_request *req = &x->req;
    cease_dur limit = x->server->opts.body_timeout;
    req->x = x;
    req->body_ended = !x->head->chunked && (!x->head->length || x->head->content_length == 0);
    req->body_error = CEASE_OK;
    req->body_total = 0;
    req->trailers = x->text;
    req->trailers_size = 0;
    req->body_max = x->server->opts.body_max;
    if (x->route && x->route->opts.body_timeout.ns != 0) {
        limit = x->route->opts.body_timeout;
    }
    if (x->route && x->route->opts.body_max != 0) {
        req->body_max = x->route->opts.body_max;
    }
    req->body_deadline = cease_time_add(x->start, limit);
}

cease_ctx *ceasei_http_body_begin(struct cease_http_request *req, cease_ctx *ctx,
                                  cease_canceler **ret_stop)
{
    return cease_with_deadline(ctx, req->body_deadline, ret_stop);
}

cease_error ceasei_http_body_end(cease_ctx *ctx, cease_canceler *stop, cease_error e)
{
    cease_end(stop);
    if (e == CEASE_OK || cease_err(ctx) == e) {
        return e; /* ctx: not the body's fault; it can be read on, under another context */
    }
    return e == CEASE_EDEADLINE ? CEASE_ETIMEDOUT : e;
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
    size_t n = 0;
    e = req->x->carrier->read(ctx, req->x, buf, size, &n);
    if (e == CEASE_OK) {
        req->body_total += n;
        if (req->body_total > req->body_max) {
            return req->body_error = CEASE_EMSGSIZE;
        }
        *ret_count = n;
    } else if (e == CEASE_EOF) {
        req->body_ended = true;
    } else if (e != cease_err(ctx)) {
        req->body_error = e;
    }
    return e;
}
