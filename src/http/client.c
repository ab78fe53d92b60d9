/* SPDX-License-Identifier: MIT
 *
 * client.c: a small HTTP/1.1 client: one request over a connection of its own.
 *
 * Everything happens in the caller's task, under the caller's context: dial, write, read. When the
 * context ends, the call closes the connection and returns, which is how HTTP/1.1 tells a server to
 * stop; nothing runs on. A server may answer before it has read the whole body (413) and close, so a
 * write that fails is no error as long as there is a response to read.
 *
 * The response is parsed as strictly as a request. Its head and the array of its fields share one
 * block, `memory_` of the reply; the body is another, which grows as bytes come and never beyond
 * reply_max. Left out on purpose: keeping connections, redirects, TLS, proxies, cookies.
 */
#include "http/parse.h"
#include "http/url.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 64 * 1024, FIELDS_MAX = 256, REPLY_MAX = 16 * 1024 * 1024 };

/* A text that grows; `failed` once memory has run out. */
struct text {
    char *data;
    size_t size, room;
    bool failed;
};

static void add(struct text *t, const char *data, size_t size)
{
    if (size > t->room - t->size) {
        size_t room = (t->size + size) * 2 + 256;
        char *grown = t->failed ? NULL : realloc(t->data, room);
        if (!grown) {
            t->failed = true;
            return;
        }
        t->data = grown;
        t->room = room;
    }
    memcpy(t->data + t->size, data, size);
    t->size += size;
}

static void add_text(struct text *t, const char *text)
{
    add(t, text, strlen(text));
}

static bool is_ours(const char *name)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
           strcasecmp(name, "Connection") == 0;
}

static cease_error add_headers(struct text *t, const cease_http_header *h, bool *has_host)
{
    for (; h && h->name; h++) {
        if (!h->value || !ceasei_http_is_name(h->name, strlen(h->name)) ||
            !ceasei_http_is_value(h->value, strlen(h->value)) || is_ours(h->name)) {
            return CEASE_EINVAL;
        }
        *has_host = *has_host || strcasecmp(h->name, "Host") == 0;
        add_text(t, h->name);
        add_text(t, ": ");
        add_text(t, h->value);
        add_text(t, "\r\n");
    }
    return CEASE_OK;
}

/* The time that is left, for the server. */
static void add_deadline(struct text *t, cease_ctx *ctx, const cease_http_call *call)
{
    cease_time deadline;
    if (call->no_deadline || !cease_deadline(ctx, &deadline)) {
        return;
    }
    char line[64];
    cease_dur reserve = call->reserve.ns != 0 ? call->reserve : cease_ms(2);
    int64_t ms = cease_until(cease_time_add(deadline, cease_ns(-reserve.ns))).ns / 1000000;
    if (ms <= INT64_C(9999999999)) {
        snprintf(line, sizeof line, "X-Request-Timeout-Ms: %lld\r\n", (long long)(ms > 0 ? ms : 0));
        add_text(t, line);
    }
}

static cease_error build_head(cease_ctx *ctx, const cease_http_call *call, const char *method,
                              const struct ceasei_url *url, struct text *t)
{
    char line[64];
    bool has_host = false;
    add_text(t, method);
    add_text(t, url->target_size == 0 || url->target[0] != '/' ? " /" : " ");
    add(t, url->target, url->target_size);
    add_text(t, " HTTP/1.1\r\n");
    cease_error e = add_headers(t, call->headers, &has_host);
    if (e != CEASE_OK) {
        return e;
    }
    if (!has_host) {
        add_text(t, "Host: ");
        add(t, url->authority, url->authority_size);
        add_text(t, "\r\n");
    }
    if (call->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n", call->body_size);
        add_text(t, line);
    }
    add_deadline(t, ctx, call);
    add_text(t, "Connection: close\r\n\r\n");
    return t->failed ? CEASE_ENOMEM : CEASE_OK;
}

static cease_error dial(cease_ctx *ctx, const cease_http_call *call, const struct ceasei_url *url,
                        cease_conn **ret_conn)
{
    char address[300];
    snprintf(address, sizeof address, "%.*s%s", (int)url->authority_size, url->authority,
             url->port ? "" : ":80");
    return cease_dial(ctx, call->address ? call->address : address, NULL, ret_conn);
}

/* ---- the response ---- */

/* A response being read. Bytes of `in` before `at` are consumed. */
struct reading {
    cease_ctx *ctx;
    cease_conn *conn;
    size_t max;
    struct ceasei_http_head head;
    struct ceasei_http_field fields[FIELDS_MAX];
    struct text body;
    size_t size, at;
    char in[HEAD_MAX];
};

/* Reads more behind what is there. The end of the stream is an error here. */
static cease_error fill(struct reading *r)
{
    size_t n = 0;
    if (r->size == sizeof r->in) {
        return CEASE_EPROTO;
    }
    cease_error e = cease_conn_read(r->ctx, r->conn, r->in + r->size, sizeof r->in - r->size, &n);
    r->size += e == CEASE_OK ? n : 0;
    return e;
}

/* Reads heads until one is final. */
static cease_error read_head(struct reading *r)
{
    for (;;) {
        ceasei_http_head_init(&r->head, r->fields, FIELDS_MAX, HEAD_MAX);
        int64_t n;
        memmove(r->in, r->in + r->at, r->size - r->at);
        r->size -= r->at;
        r->at = 0;
        while ((n = ceasei_http_parse_response(&r->head, r->in, r->size)) == 0) {
            cease_error e = fill(r);
            if (e != CEASE_OK) {
                return e == CEASE_EOF ? CEASE_EPROTO : e;
            }
        }
        if (n < 0 || r->head.status == 101) {
            return CEASE_EPROTO;
        }
        r->at = (size_t)n;
        if (r->head.status >= 200) {
            return CEASE_OK;
        }
    }
}

static cease_error keep(struct reading *r, const char *data, size_t size)
{
    if (size > r->max - r->body.size) {
        return CEASE_EMSGSIZE;
    }
    add(&r->body, data, size);
    return r->body.failed ? CEASE_ENOMEM : CEASE_OK;
}

/* Bytes as they come: `left` of them, or until the connection ends. The head stays where it is, so
 * that its fields can be copied afterwards. */
static cease_error read_plain(struct reading *r, uint64_t left, bool until_end)
{
    static const size_t PIECE = 16 * 1024;
    char *piece = malloc(PIECE);
    cease_error e = piece ? CEASE_OK : CEASE_ENOMEM;
    size_t n = r->size - r->at;
    if (e == CEASE_OK && n > 0 && (until_end || left > 0)) {
        n = until_end || n < left ? n : (size_t)left;
        left -= until_end ? 0 : n;
        e = keep(r, r->in + r->at, n);
    }
    while (e == CEASE_OK && (until_end || left > 0)) {
        size_t want = until_end || left > PIECE ? PIECE : (size_t)left;
        e = cease_conn_read(r->ctx, r->conn, piece, want, &n);
        if (e == CEASE_OK) {
            left -= until_end ? 0 : n;
            e = keep(r, piece, n);
        }
    }
    free(piece);
    return e == CEASE_EOF ? (until_end ? CEASE_OK : CEASE_EPROTO) : e;
}

static cease_error read_chunks(struct reading *r)
{
    struct ceasei_http_chunks chunks = {0};
    for (;;) {
        size_t used = 0;
        size_t span = 0;
        enum ceasei_http_chunk c =
            ceasei_http_chunks_next(&chunks, r->in + r->at, r->size - r->at, &used, &span);
        cease_error e = CEASE_OK;
        r->at += used;
        if (c == CEASEI_HTTP_CHUNK_DATA) {
            e = keep(r, r->in + r->at, span);
            r->at += span;
        } else if (c == CEASEI_HTTP_CHUNK_END) {
            return CEASE_OK;
        } else if (c == CEASEI_HTTP_CHUNK_BAD) {
            e = CEASE_EPROTO;
        } else {
            r->at = r->size = r->head.line; /* all consumed: read again behind the head */
            e = fill(r);
            e = e == CEASE_EOF ? CEASE_EPROTO : e;
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
}

static cease_error read_body(struct reading *r, const char *method)
{
    const struct ceasei_http_head *h = &r->head;
    if (strcmp(method, "HEAD") == 0 || h->status == 204 || h->status == 304) {
        return CEASE_OK;
    }
    if (h->chunked) {
        return read_chunks(r);
    }
    if (h->length && h->content_length > r->max) {
        return CEASE_EMSGSIZE;
    }
    return read_plain(r, h->length ? h->content_length : 0, !h->length);
}

/* Copies a piece of the head, NUL-terminated. */
static const char *copy(char **p, const char *data, size_t size)
{
    char *begin = *p;
    memcpy(begin, data, size);
    begin[size] = '\0';
    *p += size + 1;
    return begin;
}

/* Hands what was read over to the caller. */
static cease_error make_reply(struct reading *r, cease_http_reply *ret)
{
    const struct ceasei_http_head *h = &r->head;
    size_t array = (h->field_count + 1) * sizeof(cease_http_header);
    size_t text = h->reason_size + 1;
    for (uint32_t i = 0; i < h->field_count; i++) {
        text += r->fields[i].name_size + 1u + r->fields[i].value_size + 1u;
    }
    cease_http_header *list = malloc(array + text);
    add(&r->body, "", 1);
    if (!list || r->body.failed) {
        free(list);
        return CEASE_ENOMEM;
    }
    char *p = (char *)list + array;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct ceasei_http_field *f = &r->fields[i];
        list[i].name = copy(&p, r->in + f->name, f->name_size);
        list[i].value = copy(&p, r->in + f->value, f->value_size);
    }
    list[h->field_count] = (cease_http_header){NULL, NULL};
    *ret = (cease_http_reply){.status = h->status,
                              .reason = copy(&p, r->in + h->reason, h->reason_size),
                              .headers = list,
                              .body = r->body.data,
                              .body_size = r->body.size - 1,
                              .memory_ = list};
    return CEASE_OK;
}

static cease_error read_reply(cease_ctx *ctx, cease_conn *conn, const cease_http_call *call,
                              const char *method, cease_http_reply *ret)
{
    struct reading *r = malloc(sizeof *r);
    if (!r) {
        return CEASE_ENOMEM;
    }
    r->ctx = ctx;
    r->conn = conn;
    r->max = call->reply_max != 0 ? call->reply_max : REPLY_MAX;
    r->body = (struct text){0};
    r->size = r->at = 0;
    cease_error e = read_head(r);
    if (e == CEASE_OK) {
        e = read_body(r, method);
    }
    if (e == CEASE_OK) {
        e = make_reply(r, ret);
    }
    if (e != CEASE_OK) {
        free(r->body.data);
    }
    free(r);
    return e;
}

cease_error cease_http_do(cease_ctx *ctx, const cease_http_call *call, cease_http_reply *ret)
{
    struct ceasei_url url;
    struct text head = {0};
    cease_conn *conn = NULL;
    const char *method = call->method ? call->method : call->body ? "POST" : "GET";
    if (!call->url || !ceasei_url_split(call->url, &url) ||
        !ceasei_http_is_name(method, strlen(method))) {
        return CEASE_EINVAL;
    }
    if (url.tls) {
        return CEASE_ENOTSUP;
    }
    cease_error e = build_head(ctx, call, method, &url, &head);
    if (e == CEASE_OK) {
        e = dial(ctx, call, &url, &conn);
    }
    if (e == CEASE_OK) {
        const struct iovec iov[2] = {
            {.iov_base = head.data, .iov_len = head.size},
            {.iov_base = (void *)(uintptr_t)call->body, .iov_len = call->body_size}};
        cease_error written = cease_conn_writev(ctx, conn, iov, call->body ? 2 : 1, NULL);
        e = cease_err(ctx);
        if (e == CEASE_OK) {
            e = read_reply(ctx, conn, call, method, ret);
        }
        if (e != CEASE_OK && written != CEASE_OK && cease_err(ctx) == CEASE_OK) {
            e = written; /* no response came either: this was the beginning of it */
        }
    }
    cease_conn_close(conn);
    free(head.data);
    return e;
}

cease_error cease_http_get(cease_ctx *ctx, const char *url, const cease_http_header *headers,
                           cease_http_reply *ret)
{
    const cease_http_call call = {.size = sizeof call, .url = url, .headers = headers};
    return cease_http_do(ctx, &call, ret);
}

const char *cease_http_reply_header(const cease_http_reply *reply, const char *name)
{
    for (const cease_http_header *h = reply->headers; h && h->name; h++) {
        if (strcasecmp(h->name, name) == 0) {
            return h->value;
        }
    }
    return NULL;
}

void cease_http_reply_deinit(cease_http_reply *reply)
{
    if (reply) {
        free(reply->body);
        free(reply->memory_);
        *reply = (cease_http_reply){0};
    }
}
