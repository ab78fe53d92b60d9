/* SPDX-License-Identifier: MIT
 *
 * server.c: HTTP/2 connections of an HTTP server.
 *
 * The connection's task reads and feeds the session; each stream whose head is complete gets a task in
 * the connection's group, which serves it as an exchange of libcease-http (the seam, http/server.h) with
 * this file as its carrier. A guard is nothing but a canceler that the connection knows: the task that
 * reads hears of a reset or of the end of the connection, and cancels.
 *
 * The end, in phases. `idle` of the run ends: GOAWAY without a limit, and a PING; when its answer has
 * come, or a second is over, GOAWAY with the last stream that was taken. Streams go on until they are
 * done, or until the run's `active` ends their contexts. When the last call is over and everything is
 * written, the reading ends, and with it the connection. If `final` comes first, it ends everything.
 */
#include "http2/server.h"
#include "http2/conn.h"

#include "base/atomic.h"

#include <cease/http2.h>
#include <stdlib.h>
#include <string.h>

enum {
    PONG_MS = 1000,  /* how long the first GOAWAY is given to arrive */
    LINGER_MS = 500, /* for the last bytes to be read by a peer that still sends */
    LINGER_MAX = 1024 * 1024,
    KEEP_S = 1, /* how long an idle connection keeps memory for the next streams */
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* One connection, on its task's stack. */
struct h2_server {
    struct ceasei_h2_conn conn;
    const struct ceasei_http_seam *seam;
    struct ceasei_http_run *run;
    struct ceasei_http_connection *connection;
};

/* ---- the socket ---- */

static cease_error io_read(cease_ctx *ctx, void *self, void *buf, size_t size, size_t *ret_count)
{
    struct h2_server *h = self;
    return h->seam->connection_read(ctx, h->connection, buf, size, ret_count);
}

static cease_error io_write(cease_ctx *ctx, void *self, const void *data, size_t size)
{
    struct h2_server *h = self;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    size_t n;
    return h->seam->connection_write(ctx, h->connection, &piece, 1, &n);
}

static cease_error io_try_write(void *self, const void *data, size_t size, size_t *ret_count)
{
    struct h2_server *h = self;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return h->seam->connection_try_write(h->connection, &piece, 1, ret_count);
}

static const struct ceasei_h2_io io = {io_read, io_write, io_try_write};

/* ---- streams ---- */

/* A request that waits for its task. */
struct request {
    struct ceasei_h2_call call; /* first */
    struct h2_server *h;
};

static void rests(void *self, bool rests)
{
    struct h2_server *h = self;
    ceasei_add(&h->run->server->idle, rests ? 1 : UINT32_MAX, RELAXED); /* more or less by one */
}

static cease_error stream_task(cease_ctx *ctx, void *arg)
{
    struct request *r = arg;
    struct h2_server *h = r->h;
    (void)ctx;
    ceasei_h2_stream_serve(&r->call, h->seam, h->connection); /* r is gone */
    return CEASE_OK;
}

static void start(void *self, struct ceasei_h2_call *take_call)
{
    struct h2_server *h = self;
    struct request *r = (struct request *)take_call;
    r->h = h;
    if (cease_group_go(h->conn.group, stream_task, r) != CEASE_OK) {
        ceasei_add(&h->run->server->busy_total, 1, RELAXED);
        ceasei_h2_call_close(take_call, NGHTTP2_REFUSED_STREAM);
    }
}

static const struct ceasei_h2_owner owner = {
    .start = start, .rests = rests, .call_size = sizeof(struct request)};

/* ---- the connection ---- */

/* What the end of a wait for input means. */
enum limit { LIMIT_LOOK_AGAIN, LIMIT_TRIM, LIMIT_IDLE };

/* When the next read is to be given up: an idle connection keeps its memory for a second and then waits for
 * the rest of its time, one with streams is looked at again. */
static cease_time read_limit(struct h2_server *h, enum limit *ret_limit)
{
    cease_dur wait = h->run->server->opts.idle_timeout;
    ceasei_h2_conn_lock(&h->conn);
    bool idle = h->conn.calls == 0;
    bool keeps = h->conn.ses.memory.kept > 0;
    cease_time since = idle ? h->conn.idle_since : cease_now();
    ceasei_h2_conn_unlock(&h->conn);
    *ret_limit = !idle ? LIMIT_LOOK_AGAIN : keeps ? LIMIT_TRIM : LIMIT_IDLE;
    if (idle && keeps && wait.ns > cease_sec(KEEP_S).ns) {
        wait = cease_sec(KEEP_S);
    }
    return cease_time_add(since, wait);
}

/* Reads until the connection ends, or the server stops (CEASE_OK), or nothing happens. */
static cease_error read_while_open(struct h2_server *h)
{
    cease_canceler *stop;
    cease_ctx *both = cease_with_merge(h->conn.reading, h->run->idle, &stop);
    cease_error e = CEASE_OK;
    while (e == CEASE_OK) {
        enum limit limit;
        cease_canceler *late;
        cease_ctx *ctx = cease_with_deadline(both, read_limit(h, &limit), &late);
        e = ceasei_h2_conn_read(ctx, &h->conn);
        cease_end(late);
        if (e == CEASE_EDEADLINE && limit != LIMIT_IDLE && cease_err(both) == CEASE_OK) {
            if (limit == LIMIT_TRIM) {
                ceasei_h2_conn_trim(&h->conn);
            }
            e = CEASE_OK; /* open streams have limits of their own */
        }
    }
    bool stopping = cease_done(h->run->idle) && !cease_done(h->conn.reading);
    cease_end(stop);
    bool timeout = e == CEASE_EDEADLINE && !stopping;
    if (timeout) {
        ceasei_h2_conn_going(&h->conn, 3);
    }
    return stopping && (e == CEASE_ECANCELED || e == CEASE_EDEADLINE) ? CEASE_OK : e;
}

/* Waits until the peer knows that it is to go. */
static cease_error read_until_known(struct h2_server *h)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(h->conn.reading, cease_ms(PONG_MS), &stop);
    cease_error e = CEASE_OK;
    ceasei_h2_conn_going(&h->conn, 1);
    while (e == CEASE_OK && !h->conn.ses.pong) { /* set by this task only */
        e = ceasei_h2_conn_read(ctx, &h->conn);
    }
    cease_end(stop);
    return e == CEASE_EDEADLINE ? CEASE_OK : e;
}

static void read_all(struct h2_server *h, const void *data, size_t size)
{
    cease_error e = ceasei_h2_conn_take(&h->conn, data, size);
    if (e == CEASE_OK) {
        e = read_while_open(h);
    }
    if (e == CEASE_OK) {
        e = read_until_known(h);
    }
    if (e == CEASE_OK) {
        ceasei_h2_conn_going(&h->conn, 3);
        while (e == CEASE_OK) {
            e = ceasei_h2_conn_read(h->conn.reading, &h->conn);
        }
    }
    ceasei_h2_conn_end(&h->conn, NGHTTP2_NO_ERROR);
}

/* What the peer still sends must be read, or the kernel resets the connection, and with it what we have
 * sent last. */
static void linger(struct h2_server *h)
{
    char waste[4096];
    size_t total = 0;
    size_t n = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(h->run->final, cease_ms(LINGER_MS), &stop);
    if (h->seam->connection_shutdown(ctx, h->connection) == CEASE_OK) {
        while (total < LINGER_MAX && io_read(ctx, h, waste, sizeof waste, &n) == CEASE_OK) {
            total += n;
        }
    }
    cease_end(stop);
}

static void serve(void *self, const struct ceasei_http_seam *seam, struct ceasei_http_connection *c,
                  const void *data, size_t size)
{
    const cease_http2_opts *opts = self;
    struct ceasei_http_run *run = c->run;
    const cease_http_server_opts *limits = &run->server->opts;
    struct h2_server h = {.seam = seam, .run = run, .connection = c};
    const struct ceasei_h2_conn_opts conn_opts = {
        .session = {.server = true,
                    .stream_max = opts->stream_max,
                    .stream_window = opts->stream_window,
                    .connection_window = opts->connection_window,
                    .head_max = (uint32_t)limits->head_max,
                    .field_max = limits->header_count_max + CEASEI_H2_PSEUDO_MAX},
        .io = &io,
        .io_self = &h,
        .owner = &owner,
        .owner_self = &h,
        .parent = run->final,
        .write_budget = limits->write_budget,
    };
    if (ceasei_h2_conn_init(&h.conn, &conn_opts) != CEASE_OK) {
        ceasei_add(&run->server->busy_total, 1, RELAXED);
        return;
    }
    ceasei_add(&run->server->idle, 1, RELAXED);
    read_all(&h, data, size);
    ceasei_h2_conn_join(&h.conn);
    linger(&h);
    ceasei_h2_conn_deinit(&h.conn);
    ceasei_sub(&run->server->idle, 1, RELAXED);
}

static uint32_t or_default(uint32_t n, uint32_t other)
{
    return n != 0 ? n : other;
}

cease_error cease_http2_enable(cease_http_server *s, const cease_http2_opts *opts)
{
    cease_http2_opts *own = malloc(sizeof *own);
    if (!s || !own) {
        free(own);
        return CEASE_ENOMEM;
    }
    *own = opts ? *opts : (cease_http2_opts){0};
    own->stream_max = or_default(own->stream_max, CEASEI_H2_STREAM_MAX);
    own->stream_window = or_default(own->stream_window, CEASEI_H2_STREAM_WINDOW);
    own->connection_window = or_default(own->connection_window, CEASEI_H2_CONNECTION_WINDOW);
    if (own->connection_window < NGHTTP2_INITIAL_WINDOW_SIZE) {
        own->connection_window = NGHTTP2_INITIAL_WINDOW_SIZE;
    }
    const cease_http_protocol protocol = {.size = sizeof protocol,
                                          .seam = CEASE_HTTP_SEAM,
                                          .preface = preface,
                                          .preface_size = sizeof preface - 1,
                                          .alpn = CEASEI_H2_ALPN,
                                          .run = serve,
                                          .release = free,
                                          .self = own};
    bool fits = own->stream_window <= INT32_MAX && own->connection_window <= INT32_MAX;
    cease_error e = fits ? cease_http_server_protocol(s, &protocol) : CEASE_EINVAL;
    if (e != CEASE_OK) {
        free(own);
    }
    return e;
}
