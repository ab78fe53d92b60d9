/* SPDX-License-Identifier: MIT
 *
 * client.c: HTTP/2 from the client's side: a connection with its reading task, and streams.
 *
 * A client lives as long as its owner or one of its streams needs it: `refs`. Closing joins its tasks and
 * closes the connection at once; the memory goes with the last reference.
 *
 * A stream belongs to the task that has opened it (or to two, a reader and a writer); all it shares with
 * others is the session, under the connection's lock.
 */
#include "http2/client.h"

#include "base/atomic.h"
#include "http2/fields.h"
#include "http2/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 64 * 1024, FIELD_MAX = 256, WRITE_BUDGET_S = 30, HOST_MAX = 256 };

/* ---- the connection ---- */

static cease_error io_read(cease_ctx *ctx, void *self, void *buf, size_t size, size_t *ret_count)
{
    cease_http2_client *c = self;
    return c->tls ? c->tls->read(ctx, c->session, buf, size, ret_count)
                  : cease_conn_read(ctx, c->raw, buf, size, ret_count);
}

static cease_error io_write(cease_ctx *ctx, void *self, const void *data, size_t size)
{
    cease_http2_client *c = self;
    size_t n;
    return c->tls ? c->tls->write(ctx, c->session, data, size, &n)
                  : cease_conn_write(ctx, c->raw, data, size, NULL);
}

static cease_error io_try_write(void *self, const void *data, size_t size, size_t *ret_count)
{
    cease_http2_client *c = self;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return c->tls ? CEASE_EAGAIN : cease_conn_try_writev(c->raw, &piece, 1, ret_count);
}

static const struct ceasei_h2_io io = {io_read, io_write, io_try_write};

static void close_carrier(cease_http2_client *c)
{
    cease_conn_close(c->raw);
    c->raw = NULL;
    if (c->session) {
        c->tls->close(c->session);
        c->session = NULL;
    }
}

static void client_unref(cease_http2_client *c)
{
    if (ceasei_sub(&c->refs, 1, ACQ_REL) == 1) {
        ceasei_h2_conn_deinit(&c->conn);
        close_carrier(c);
        free(c);
    }
}

/* The task that reads, until the connection ends. */
static cease_error read_task(cease_ctx *ctx, void *arg)
{
    cease_http2_client *c = arg;
    cease_error e = CEASE_OK;
    (void)ctx;
    while (e == CEASE_OK) {
        e = ceasei_h2_conn_read(c->conn.reading, &c->conn);
    }
    ceasei_h2_conn_end(&c->conn, NGHTTP2_INTERNAL_ERROR);
    if (c->gone) {
        c->gone(c->gone_arg);
    }
    return CEASE_OK;
}

static uint32_t or_default(uint32_t n, uint32_t other)
{
    return n != 0 ? n : other;
}

static cease_error client_init(cease_http2_client *c, const cease_http2_opts *opts)
{
    const struct ceasei_h2_conn_opts conn_opts = {
        .session = {.stream_window = or_default(opts->stream_window, CEASEI_H2_STREAM_WINDOW),
                    .connection_window =
                        or_default(opts->connection_window, CEASEI_H2_CONNECTION_WINDOW),
                    .head_max = HEAD_MAX,
                    .field_max = FIELD_MAX},
        .io = &io,
        .io_self = c,
        .parent = cease_background(),
        .write_budget = cease_sec(WRITE_BUDGET_S),
    };
    if (conn_opts.session.stream_window > INT32_MAX ||
        conn_opts.session.connection_window > INT32_MAX) {
        return CEASE_EINVAL;
    }
    return ceasei_h2_conn_init(&c->conn, &conn_opts);
}

cease_error ceasei_h2_client_new(cease_http2_client *carrier, const cease_http2_opts *opts,
                                 cease_http2_client **ret_client)
{
    static const cease_http2_opts none;
    cease_http2_client *c = calloc(1, sizeof *c);
    cease_error e = CEASE_ENOMEM;
    if (c) {
        c->refs = 1;
        c->raw = carrier->raw;
        c->tls = carrier->tls;
        c->session = carrier->session;
        c->gone = carrier->gone;
        c->gone_arg = carrier->gone_arg;
        opts = opts ? opts : &none;
        c->carries = (struct ceasei_h2_carries){!opts->no_trace, !opts->no_baggage};
        e = client_init(c, opts);
    }
    if (e != CEASE_OK) {
        close_carrier(carrier);
        free(c);
        return e;
    }
    e = cease_group_go(c->conn.group, read_task, c);
    if (e != CEASE_OK) {
        client_unref(c);
        return e;
    }
    ceasei_h2_conn_lock(&c->conn); /* sends the preface */
    ceasei_h2_conn_unlock(&c->conn);
    *ret_client = c;
    return CEASE_OK;
}

cease_error cease_http2_client_new(cease_conn *take_conn, const cease_http2_opts *opts,
                                   cease_http2_client **ret_client)
{
    cease_http2_client carrier = {.raw = take_conn};
    return ceasei_h2_client_new(&carrier, opts, ret_client);
}

cease_error cease_http2_client_over(const cease_http_tls *tls, void *take_session,
                                    const cease_http2_opts *opts, cease_http2_client **ret_client)
{
    cease_http2_client carrier = {.tls = tls, .session = take_session};
    if (!tls->duplex) {
        close_carrier(&carrier);
        return CEASE_ENOTSUP;
    }
    return ceasei_h2_client_new(&carrier, opts, ret_client);
}

/* The host of "host:port" or "[host]:port". */
static bool host_of(const char *address, char ret[HOST_MAX])
{
    bool brackets = address[0] == '[';
    const char *end = brackets ? strchr(address, ']') : strrchr(address, ':');
    size_t size = end ? (size_t)(end - address) - brackets : 0;
    if (size == 0 || size >= HOST_MAX || strncmp(address, "unix:", 5) == 0) {
        return false;
    }
    memcpy(ret, address + brackets, size);
    ret[size] = '\0';
    return true;
}

static void say_why(const cease_http2_opts *opts, const char *why)
{
    if (opts->why && opts->why_size > 0) {
        snprintf(opts->why, opts->why_size, "%s", why);
    }
}

static cease_error dial_tls(cease_ctx *ctx, const char *address, const cease_http2_opts *opts,
                            cease_http2_client **ret_client)
{
    const cease_http_tls *tls = opts->tls;
    char host[HOST_MAX];
    cease_conn *conn;
    void *session = NULL;
    if (!host_of(address, host)) {
        return CEASE_EINVAL;
    }
    cease_error e = cease_dial(ctx, address, NULL, &conn);
    if (e == CEASE_OK) {
        e = tls->open(ctx, opts->tls_arg, conn, host, &session);
    }
    say_why(opts, e != CEASE_OK && session && tls->why ? tls->why(session) : "");
    if (e != CEASE_OK) {
        if (session) {
            tls->close(session);
        }
        return e;
    }
    const char *agreed = tls->alpn ? tls->alpn(session) : NULL;
    if (!agreed || strcmp(agreed, CEASEI_H2_ALPN) != 0) {
        tls->close(session);
        return CEASE_ENOTSUP;
    }
    return cease_http2_client_over(tls, session, opts, ret_client);
}

cease_error cease_http2_dial(cease_ctx *ctx, const char *address, const cease_http2_opts *opts,
                             cease_http2_client **ret_client)
{
    cease_conn *conn;
    if (opts && opts->tls) {
        return dial_tls(ctx, address, opts, ret_client);
    }
    cease_error e = cease_dial(ctx, address, NULL, &conn);
    return e == CEASE_OK ? cease_http2_client_new(conn, opts, ret_client) : e;
}

bool cease_http2_client_usable(cease_http2_client *c)
{
    ceasei_h2_conn_lock(&c->conn);
    bool usable = !c->conn.ses.over && !c->conn.ses.peer_going;
    ceasei_h2_conn_unlock(&c->conn);
    return usable;
}

void cease_http2_client_close(cease_http2_client *c)
{
    if (c) {
        ceasei_h2_conn_end(&c->conn, NGHTTP2_CANCEL);
        cease_cancel_cause(c->conn.kill, CEASE_ECLOSED, "the client was closed");
        ceasei_h2_conn_join(&c->conn);
        close_carrier(c); /* now, not with the last stream: so the server hears of it */
        client_unref(c);
    }
}

/* ---- streams ---- */

cease_error cease_http2_stream_open(cease_ctx *ctx, cease_http2_client *c,
                                    const cease_http_call *call, bool end,
                                    cease_http2_stream **ret_stream)
{
    struct ceasei_h2_fields f;
    cease_error e = cease_err(ctx);
    if (e == CEASE_OK) {
        e = ceasei_h2_fields_request(&f, ctx, call, end, c->carries);
    }
    if (e != CEASE_OK) {
        return e;
    }
    cease_http2_stream *s = malloc(sizeof *s);
    e = s ? ceasei_h2_call_open(&c->conn, &s->call, f.nv, f.count, end) : CEASE_ENOMEM;
    ceasei_h2_fields_deinit(&f);
    if (e != CEASE_OK) {
        free(s);
        return e;
    }
    s->client = c;
    s->ended = end;
    ceasei_add(&c->refs, 1, RELAXED);
    *ret_stream = s;
    return CEASE_OK;
}

void ceasei_h2_stream_lend(cease_http2_stream *s, const void *body, size_t size)
{
    bool waits = false;
    s->lent = (struct iovec){.iov_base = (void *)(uintptr_t)body, .iov_len = size};
    const struct ceasei_h2_piece piece = {.iov = &s->lent, .count = 1, .end = true};
    ceasei_h2_call_send(&s->call, NULL, 0, &piece, &waits);
    s->ended = true;
}

void ceasei_h2_stream_give_up(cease_http2_stream *s)
{
    ceasei_h2_conn_lock(s->call.conn);
    ceasei_h2_reset(s->call.s, NGHTTP2_CANCEL);
    ceasei_h2_conn_unlock(s->call.conn);
}

static cease_error give(cease_ctx *ctx, cease_http2_stream *s, const struct ceasei_h2_piece *piece)
{
    bool waits = false;
    cease_error e = s->ended ? CEASE_EINVAL : cease_err(ctx);
    if (e == CEASE_OK) {
        e = ceasei_h2_call_send(&s->call, NULL, 0, piece, &waits);
    }
    if (waits) {
        e = ceasei_h2_call_flush(ctx, &s->call);
    }
    s->ended = s->ended || (e == CEASE_OK && piece->end);
    return e;
}

cease_error cease_http2_stream_write(cease_ctx *ctx, cease_http2_stream *s, const void *data,
                                     size_t size)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    const struct ceasei_h2_piece piece = {.iov = &iov, .count = 1};
    return size == 0 ? cease_err(ctx) : give(ctx, s, &piece);
}

cease_error cease_http2_stream_writev(cease_ctx *ctx, cease_http2_stream *s,
                                      const struct iovec *iov, int count, bool end)
{
    const struct ceasei_h2_piece piece = {.iov = iov, .count = count, .end = end};
    return give(ctx, s, &piece);
}

cease_error cease_http2_stream_end(cease_ctx *ctx, cease_http2_stream *s,
                                   const cease_http_header *trailers)
{
    struct ceasei_h2_fields f;
    cease_error e = ceasei_h2_fields_trailers(&f, trailers);
    if (e == CEASE_OK) {
        const struct ceasei_h2_piece piece = {
            .end = true, .trailers = f.nv, .trailer_count = f.count};
        e = give(ctx, s, &piece);
    }
    ceasei_h2_fields_deinit(&f);
    return e;
}

cease_error cease_http2_stream_wait(cease_ctx *ctx, cease_http2_stream *s, int *ret_status)
{
    cease_error e = ceasei_h2_call_wait(ctx, &s->call);
    if (e == CEASE_OK) {
        const struct ceasei_h2_block *b = &s->call.s->head;
        const char *status = ceasei_h2_block_find(b, ":status");
        /* nghttp2 has seen that it is a number */
        *ret_status = status ? (int)strtol(status, NULL, 10) : 0;
        return b->too_large ? CEASE_EMSGSIZE : CEASE_OK;
    }
    return e;
}

cease_error cease_http2_stream_read(cease_ctx *ctx, cease_http2_stream *s, void *buf, size_t size,
                                    size_t *ret_count)
{
    return size == 0 ? CEASE_EINVAL : ceasei_h2_call_read(ctx, &s->call, buf, size, ret_count);
}

static bool field_at(const struct ceasei_h2_block *b, size_t index, const char **ret_name,
                     const char **ret_value)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const char *name = b->text + b->fields[i].name;
        if (name[0] != ':' && index-- == 0) {
            *ret_name = name;
            *ret_value = b->text + b->fields[i].value;
            return true;
        }
    }
    return false;
}

static const char *find(const struct ceasei_h2_block *b, const char *name)
{
    const char *found;
    const char *value;
    for (size_t i = 0; field_at(b, i, &found, &value); i++) {
        if (strcasecmp(found, name) == 0) {
            return value;
        }
    }
    return NULL;
}

const char *cease_http2_stream_header(const cease_http2_stream *s, const char *name)
{
    return find(&s->call.s->head, name);
}

const char *cease_http2_stream_trailer(const cease_http2_stream *s, const char *name)
{
    return find(&s->call.s->trailers, name);
}

bool cease_http2_stream_header_at(const cease_http2_stream *s, size_t index, const char **ret_name,
                                  const char **ret_value)
{
    return field_at(&s->call.s->head, index, ret_name, ret_value);
}

bool cease_http2_stream_trailer_at(const cease_http2_stream *s, size_t index, const char **ret_name,
                                   const char **ret_value)
{
    return field_at(&s->call.s->trailers, index, ret_name, ret_value);
}

uint32_t cease_http2_stream_code(cease_http2_stream *s)
{
    ceasei_h2_conn_lock(s->call.conn);
    uint32_t code = s->call.s->closed ? s->call.s->code : 0;
    ceasei_h2_conn_unlock(s->call.conn);
    return code;
}

void cease_http2_stream_close(cease_http2_stream *s)
{
    if (s) {
        ceasei_h2_call_close(&s->call, NGHTTP2_CANCEL);
        client_unref(s->client);
        free(s);
    }
}
