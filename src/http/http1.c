/* SPDX-License-Identifier: MIT
 *
 * http1.c: what happens on one HTTP/1.1 connection, request after request, on one task's stack.
 *
 *     nothing there ──> the connection rests (connection.c), the task ends
 *     read a head ──refused──> page, close
 *        │ complete
 *     serve the exchange (exchange.c), its body from here, its response to here
 *     skip what is left of the body; again, or close
 *
 * A head is waited for under `idle`, which ends at once when the server stops. Each wait has a limit of
 * its own: idle, head and body timeout, write budget.
 */
#include "http/http1.h"

#include "base/atomic.h"

#include <stdlib.h>
#include <string.h>

/* How a wait for a head ended. */
enum input { INPUT_HEAD, INPUT_RESTS, INPUT_CLOSED, INPUT_TIMEOUT, INPUT_BAD, INPUT_OTHER };

/* ---- as a carrier ---- */

static cease_error guard(struct ceasei_http_exchange *x, bool half_closed)
{
    return cease_conn_guard(x->conn, x->stop, CEASE_EPEERGONE, "the client went away", half_closed);
}

static void unguard(struct ceasei_http_exchange *x)
{
    cease_conn_unguard(x->conn);
}

static const struct ceasei_http_carrier carrier = {
    .read = ceasei_http1_read,
    .send = ceasei_http1_send,
    .guard = guard,
    .unguard = unguard,
};

static bool begin(struct ceasei_http1 *h, struct ceasei_http_connection *c)
{
    size_t head_max = c->run->server->opts.head_max;
    ceasei_http_exchange_init(&h->x, &carrier, c->run, c->conn);
    h->x.session = c->session;
    h->connection = c;
    h->heap = NULL;
    h->in = h->in_memory;
    h->x.scratch = h->scratch_memory;
    h->in_room = sizeof h->in_memory;
    h->in_size = h->in_at = 0;
    if (head_max > CEASEI_HTTP1_HEAD_ROOM) {
        h->in_room = head_max + CEASEI_HTTP1_READ_ROOM;
        h->heap = malloc(3 * h->in_room);
        h->in = h->heap;
        h->x.scratch = h->heap + h->in_room;
    }
    h->x.head = &h->head;
    h->x.text = h->in;
    return h->in != NULL;
}

/* ---- reading a head ---- */

/* Reads the first bytes of a head, if there are any. */
static cease_error read_first(struct ceasei_http1 *h)
{
    size_t n = 0;
    cease_error e = ceasei_http_connection_try_read(h->connection, h->in, h->in_room, &n);
    h->in_size = n;
    return e;
}

/* Reads its next ones; its time begins with the first call. */
static cease_error read_more(struct ceasei_http1 *h, cease_time *deadline)
{
    size_t n = 0;
    cease_canceler *stop;
    if (deadline->ns == CEASE_NEVER.ns) {
        *deadline = cease_time_add(cease_now(), h->x.server->opts.head_timeout);
    }
    cease_ctx *ctx = cease_with_deadline(h->x.run->idle, *deadline, &stop);
    cease_error e = ceasei_http_connection_read(ctx, h->connection, h->in + h->in_size,
                                                h->in_room - h->in_size, &n);
    cease_end(stop);
    h->in_size += n;
    return e;
}

/* Reads until a head is complete. *ret_status is the one to answer with when it is bad or late. */
static enum input read_head(struct ceasei_http1 *h, int *ret_status)
{
    const cease_http_server_opts *opts = &h->x.server->opts;
    cease_time deadline = CEASE_NEVER;
    memmove(h->in, h->in + h->in_at, h->in_size - h->in_at);
    h->in_size -= h->in_at;
    h->in_at = 0;
    ceasei_http_head_init(&h->head, h->fields, opts->header_count_max, (uint32_t)opts->head_max);
    for (;;) {
        cease_error e = h->in_size > 0 ? CEASE_OK : read_first(h);
        if (e == CEASE_EAGAIN) {
            cease_time now = h->x.end.ns != 0 ? h->x.end : cease_now();
            enum ceasei_http_rest rest = ceasei_http_connection_rest(h->connection, now);
            if (rest == CEASEI_REST_READ) {
                continue;
            }
            return rest == CEASEI_REST_OK ? INPUT_RESTS : INPUT_CLOSED;
        }
        enum ceasei_http_preface other = CEASEI_PREFACE_NO;
        if (e == CEASE_OK && !h->connection->begun && !h->connection->session) {
            other = ceasei_http_preface(h->x.server, h->in, h->in_size);
        }
        if (other == CEASEI_PREFACE_YES) {
            return INPUT_OTHER; /* the connection speaks another protocol */
        }
        int64_t r = 0;
        if (h->in_size > 0 && other == CEASEI_PREFACE_NO) {
            r = ceasei_http_parse_request(&h->head, h->in, h->in_size);
        }
        if (r > 0) {
            h->in_at = (size_t)r;
            h->connection->begun = true;
            return INPUT_HEAD;
        }
        if (r < 0) {
            *ret_status = (int)-r;
            return INPUT_BAD;
        }
        if (e == CEASE_OK) {
            e = read_more(h, &deadline);
        }
        if (e == CEASE_EDEADLINE && cease_err(h->x.run->idle) == CEASE_OK) {
            *ret_status = 408;
            return INPUT_TIMEOUT;
        }
        if (e != CEASE_OK) {
            return INPUT_CLOSED;
        }
    }
}

/* ---- the connection ---- */

/* What the connection still sends must be read, or the kernel resets it and with it our response. */
static void linger(struct ceasei_http1 *h)
{
    char *waste = h->x.res.body;
    size_t total = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(h->x.run->idle, cease_ms(500), &stop);
    if (ceasei_http_connection_shutdown(ctx, h->connection) == CEASE_OK) {
        size_t n = 0;
        while (total < 16 * CEASEI_HTTP_SKIP_MAX &&
               ceasei_http_connection_read(ctx, h->connection, waste, CEASEI_HTTP_BODY_ROOM, &n) ==
                   CEASE_OK) {
            total += n;
        }
    }
    cease_end(stop);
}

/* One request whose head is complete. False: the connection is to be closed. */
static bool serve(struct ceasei_http1 *h)
{
    ceasei_http1_body_begin(h);
    ceasei_http_exchange_serve(&h->x);
    if (h->x.res.stage == CEASEI_RES_BROKEN) {
        return false;
    }
    if (h->body != CEASEI_BODY_NONE) {
        h->x.end = (cease_time){0}; /* to skip what is left of it may take a while */
    }
    if (!h->x.res.close && ceasei_http1_skip(h, h->x.run->idle)) {
        return true;
    }
    if (!h->x.req.body_ended) {
        linger(h);
    }
    return false;
}

/* A head that was refused, or did not come in time. */
static void refuse(struct ceasei_http1 *h, int status)
{
    h->head.minor = 1;
    h->head.close = true; /* whatever of it could be read */
    h->body = CEASEI_BODY_NONE;
    h->expects = false;
    ceasei_http_exchange_refuse(&h->x, status,
                                status == 408 ? "the head did not come in time" : "malformed head");
    linger(h);
}

bool ceasei_http1_run(struct ceasei_http_connection *c)
{
    struct ceasei_http1 h;
    enum input input;
    int status = 0;
    if (!begin(&h, c)) {
        ceasei_add(&c->run->server->busy_total, 1, RELAXED);
        return false;
    }
    do {
        input = read_head(&h, &status);
    } while (input == INPUT_HEAD && serve(&h));
    if (input == INPUT_BAD || input == INPUT_TIMEOUT) {
        refuse(&h, status);
    } else if (input == INPUT_OTHER) {
        ceasei_http_protocol_run(c, h.in, h.in_size);
    }
    free(h.heap);
    return input == INPUT_RESTS;
}
