/* SPDX-License-Identifier: MIT
 *
 * response.c: a response as it is written: buffered while it fits, then sent in pieces.
 *
 * Nothing is sent before the handler returns unless the buffer is full or it asks for a flush, so that
 * a small response goes out in one piece with its Content-Length, and an error can still replace what was
 * buffered. How a part looks on the wire is the carrier's business.
 *
 * Time: a write first tries; only when the client does not take it does it wait, under a context that
 * ends with what is left of the response's write budget. During the handler that context is also a
 * child of the handler's; afterwards of the run's last one, since a page that says that the deadline
 * is over must not fail because it is.
 */
#include "http/compress.h"
#include "http/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *ceasei_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } table[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].status == status) {
            return table[i].reason;
        }
    }
    return "";
}

/* ---- the write budget ---- */

cease_ctx *ceasei_http_budget_begin(struct ceasei_http_exchange *x, cease_ctx *ctx,
                                    struct ceasei_http_budget *b)
{
    b->parent = ctx ? ctx : x->run->final;
    b->begin = cease_now();
    return cease_with_timeout(b->parent, x->write_left, &b->stop);
}

cease_error ceasei_http_budget_end(struct ceasei_http_exchange *x, struct ceasei_http_budget *b,
                                   cease_error e)
{
    cease_end(b->stop);
    if (e == CEASE_EDEADLINE && cease_err(b->parent) == CEASE_OK) {
        e = CEASE_ETIMEDOUT;
    }
    if (x->write_left.ns != INT64_MAX) {
        x->write_left.ns -= cease_time_sub(cease_now(), b->begin).ns;
    }
    return e;
}

/* ---- the response ---- */

void ceasei_http_response_begin(struct ceasei_http_exchange *x)
{
    struct cease_http_response *res = &x->res;
    res->stage = CEASEI_RES_OPEN;
    res->status = 200;
    res->touched = res->length_given = res->close = false;
    res->no_body = false;
    res->compress = NULL;
    res->length = res->total = res->sent = 0;
    res->error = CEASE_OK;
    res->fields_size = res->trailers_size = res->body_size = 0;
    res->x = x;
    x->write_left = x->server->opts.write_budget;
}

cease_error cease_http_response_status(cease_http_response *res, int status)
{
    if (status < 200 || status > 599) {
        return CEASE_EINVAL;
    }
    if (res->stage != CEASEI_RES_OPEN) {
        return CEASE_EBUSY;
    }
    res->status = status;
    res->touched = true;
    return CEASE_OK;
}

static cease_error set_length(struct cease_http_response *res, const char *value)
{
    uint64_t n = 0;
    size_t size = strlen(value);
    if (size == 0 || size > 18 || strspn(value, "0123456789") != size || res->length_given) {
        return CEASE_EINVAL;
    }
    for (; *value; value++) {
        n = n * 10 + (uint64_t)(*value - '0');
    }
    res->length = n;
    res->length_given = true;
    return CEASE_OK;
}

cease_error cease_http_response_header(cease_http_response *res, const char *name,
                                       const char *value)
{
    size_t name_size = strlen(name);
    size_t size = strlen(value);
    if (!ceasei_http_is_name(name, name_size) || !ceasei_http_is_value(value, size)) {
        return CEASE_EINVAL;
    }
    if (res->stage != CEASEI_RES_OPEN) {
        return CEASE_EBUSY;
    }
    res->touched = true;
    switch (name_size) { /* those that say how the message is carried */
    case 4:
        if (strcasecmp(name, "Date") == 0) {
            return CEASE_EINVAL;
        }
        break;
    case 10:
        if (strcasecmp(name, "Connection") == 0) {
            res->close |= strcasecmp(value, "close") == 0;
            return strcasecmp(value, "close") == 0 ? CEASE_OK : CEASE_EINVAL;
        }
        break;
    case 14:
        if (strcasecmp(name, "Content-Length") == 0) {
            return set_length(res, value);
        }
        break;
    case 17:
        if (strcasecmp(name, "Transfer-Encoding") == 0) {
            return CEASE_EINVAL;
        }
        break;
    default:
        break;
    }
    if (name_size > CEASEI_HTTP_FIELD_ROOM || size > CEASEI_HTTP_FIELD_ROOM ||
        res->fields_size + name_size + size + 4 > CEASEI_HTTP_FIELD_ROOM) {
        return CEASE_EMSGSIZE;
    }
    char *p = res->fields + res->fields_size;
    p = ceasei_put(ceasei_put(p, name, name_size), ": ", 2);
    p = ceasei_put(ceasei_put(p, value, size), "\r\n", 2);
    res->fields_size = (size_t)(p - res->fields);
    return CEASE_OK;
}

/* Fields that a recipient must know before the body (RFC 9110, 6.5.1). */
static bool is_for_heads_only(const char *name)
{
    static const char *const names[] = {
        "Authorization", "Connection", "Content-Encoding",  "Content-Length", "Content-Range",
        "Content-Type",  "Host",       "Transfer-Encoding", "Trailer",        "TE",
        "Set-Cookie",    "Upgrade",    "Keep-Alive",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

cease_error cease_http_response_trailer(cease_http_response *res, const char *name,
                                        const char *value)
{
    size_t name_size = strlen(name);
    size_t size = strlen(value);
    if (!ceasei_http_is_name(name, name_size) || !ceasei_http_is_value(value, size) ||
        is_for_heads_only(name)) {
        return CEASE_EINVAL;
    }
    if (res->stage != CEASEI_RES_OPEN && res->stage != CEASEI_RES_HEAD_SENT) {
        return CEASE_EBUSY;
    }
    if (name_size > CEASEI_HTTP_TRAILER_ROOM || size > CEASEI_HTTP_TRAILER_ROOM ||
        res->trailers_size + name_size + size + 4 > CEASEI_HTTP_TRAILER_ROOM) {
        return CEASE_EMSGSIZE;
    }
    res->touched = true;
    char *p = res->trailers + res->trailers_size;
    p = ceasei_put(ceasei_put(p, name, name_size), ": ", 2);
    p = ceasei_put(ceasei_put(p, value, size), "\r\n", 2);
    res->trailers_size = (size_t)(p - res->trailers);
    return CEASE_OK;
}

static bool status_has_no_body(int status)
{
    return status == 204 || status == 304;
}

static cease_error breaks(struct cease_http_response *res, cease_error e, cease_ctx *ctx)
{
    if (ctx && cease_err(ctx) == e) {
        /* the handler's own context: whoever ended it has given the cause */
    } else {
        cease_cancel_cause(res->x->stop, CEASE_EPIPE, "the response could not be written: %s",
                           cease_strerror(e));
    }
    res->stage = CEASEI_RES_BROKEN;
    res->error = e;
    res->close = true;
    return e;
}

/* Sends the head if it has not been sent, what is buffered, and `extra`; the end, when `last`. */
static cease_error send_part(struct cease_http_response *res, cease_ctx *ctx, const void *extra,
                             size_t extra_size, bool last)
{
    struct ceasei_http_part part = {.last = last, .head = res->stage == CEASEI_RES_OPEN};
    if (part.head) {
        if (status_has_no_body(res->status)) {
            res->no_body = true; /* and no length either (RFC 9110, 8.6) */
        } else if (last && !res->length_given && (res->total > 0 || !res->no_body)) {
            /* of a HEAD for which nothing was written nobody knows what GET would have said */
            res->length = res->total;
            res->length_given = true;
        }
        res->stage = CEASEI_RES_HEAD_SENT;
    }
    part.body = !res->no_body;
    if (part.body) {
        part.data[0] = (struct iovec){.iov_base = res->body, .iov_len = res->body_size};
        part.data[1] = (struct iovec){.iov_base = (void *)(uintptr_t)extra, .iov_len = extra_size};
    }
    res->body_size = 0;
    size_t taken = 0;
    cease_error e = res->x->carrier->send(ctx, res->x, &part, &taken);
    res->sent += taken;
    return e == CEASE_OK ? e : breaks(res, e, ctx);
}

/* Whether a write or flush may go on. */
static cease_error check_open(const struct cease_http_response *res)
{
    return res->stage == CEASEI_RES_BROKEN  ? res->error
           : res->stage == CEASEI_RES_ENDED ? CEASE_EBUSY
                                            : CEASE_OK;
}

cease_error cease_http_response_write(cease_ctx *ctx, cease_http_response *res, const void *data,
                                      size_t size)
{
    cease_error e = check_open(res);
    if (e != CEASE_OK) {
        return e;
    }
    if (res->compress) {
        return ceasei_compress_write(ctx, res->compress, res, data, size);
    }
    if (res->length_given && size > res->length - res->total) {
        return CEASE_EINVAL;
    }
    res->touched = true;
    if (res->no_body || size == 0) {
        res->total += size;
        return CEASE_OK;
    }
    if (size <= CEASEI_HTTP_BODY_ROOM - res->body_size) {
        memcpy(res->body + res->body_size, data, size);
        res->body_size += size;
        res->total += size;
        return CEASE_OK;
    }
    e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    res->total += size;
    return send_part(res, ctx, data, size, false);
}

cease_error cease_http_response_print(cease_ctx *ctx, cease_http_response *res, const char *format,
                                      ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) {
        return CEASE_EINVAL;
    }
    if ((size_t)n < sizeof small) {
        return cease_http_response_write(ctx, res, small, (size_t)n);
    }
    char *large = malloc((size_t)n + 1);
    if (!large) {
        return CEASE_ENOMEM;
    }
    va_start(args, format);
    vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    cease_error e = cease_http_response_write(ctx, res, large, (size_t)n);
    free(large);
    return e;
}

cease_error cease_http_response_flush(cease_ctx *ctx, cease_http_response *res)
{
    cease_error e = check_open(res);
    if (e == CEASE_OK) {
        e = cease_err(ctx);
    }
    if (e == CEASE_OK && res->compress) {
        return ceasei_compress_flush(ctx, res->compress, res);
    }
    if (e != CEASE_OK) {
        return e;
    }
    res->touched = true;
    if (res->stage == CEASEI_RES_HEAD_SENT && res->body_size == 0) {
        return CEASE_OK;
    }
    return send_part(res, ctx, NULL, 0, false);
}

/* Sends the rest and the end, under ctx or NULL. */
static cease_error end(struct cease_http_response *res, cease_ctx *ctx)
{
    cease_error e = send_part(res, ctx, NULL, 0, true);
    if (e == CEASE_OK) {
        res->stage = CEASEI_RES_ENDED;
    }
    return e;
}

cease_error cease_http_response_end(cease_ctx *ctx, cease_http_response *res)
{
    cease_error e = check_open(res);
    if (e == CEASE_OK) {
        e = cease_err(ctx);
    }
    if (e == CEASE_OK && res->compress) {
        e = ceasei_compress_finish(ctx, res->compress, res);
    }
    if (e != CEASE_OK) {
        return e;
    }
    if (res->length_given && res->total < res->length && !res->no_body) {
        return CEASE_EINVAL;
    }
    return end(res, ctx);
}

cease_error ceasei_http_response_finish(struct cease_http_response *res)
{
    if (res->stage == CEASEI_RES_BROKEN) {
        return res->error;
    }
    return res->stage == CEASEI_RES_ENDED ? CEASE_OK : end(res, NULL);
}

void ceasei_http_response_page(struct cease_http_response *res, int status, const char *field)
{
    static const char type[] = "Content-Type: text/plain\r\n";
    res->status = status;
    res->length_given = false;
    res->trailers_size = 0;
    const cease_http_route *route = res->x->route ? &res->x->route->opts : NULL;
    bool own = route && route->page;
    char *p = ceasei_put_text(ceasei_put_text(res->fields, own ? "" : type), field);
    res->fields_size = (size_t)(p - res->fields);
    if (own) {
        res->total = res->body_size = 0;
        route->page(res, status, route->arg);
        return;
    }
    p = ceasei_put_number(res->body, (uint64_t)status, 10);
    *p++ = ' ';
    p = ceasei_put_text(ceasei_put_text(p, ceasei_http_reason(status)), "\n");
    res->body_size = (size_t)(p - res->body);
    res->total = res->body_size;
}
