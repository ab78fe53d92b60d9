/* SPDX-License-Identifier: MIT
 *
 * exchange.c: what happens on one connection, request after request, on one task's stack.
 *
 *     read a head ──refused──> page, close
 *        │ complete
 *        ├─ no route, bad path, body too large, no time left ──> page
 *        └─ context, guard, handler, guard down, context ended ──> response or page
 *     skip what is left of the body; log; again, or close
 *
 * The context of a request is a child of the run's, with the smallest of the deadlines that apply, and
 * ends before the response's last byte is sent. While the handler runs the connection's guard cancels
 * it when the poller hears the client go. Everything before and after the handler runs under other
 * contexts: waiting for a head under `idle` (ends at once when the server stops), the last write under
 * `final`. So each wait here has a limit of its own: idle, head and body timeout, write budget.
 *
 * Left out on purpose, for now: an idle connection keeps its task, parked in a read, because the
 * poller cannot start one when bytes come.
 */
#include "http/server.h"

#include "base/atomic.h"
#include "http/deadline.h"
#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which limit ended a wait for input; everything else is the connection's own end. */
enum input { INPUT_HEAD, INPUT_CLOSED, INPUT_TIMEOUT, INPUT_BAD };

static bool exchange_init(struct ceasei_http_exchange *x, struct ceasei_http_run *run,
                          cease_conn *conn)
{
    size_t head_max = run->server->opts.head_max;
    x->run = run;
    x->server = run->server;
    x->conn = conn;
    x->stop = NULL;
    x->route = NULL;
    x->peer[0] = '\0';
    x->heap = NULL;
    x->in = x->in_memory;
    x->scratch = x->scratch_memory;
    x->in_room = sizeof x->in_memory;
    x->in_size = x->in_at = 0;
    if (head_max > CEASEI_HTTP_HEAD_ROOM) {
        x->in_room = head_max + CEASEI_HTTP_READ_ROOM;
        x->heap = malloc(3 * x->in_room);
        x->in = x->heap;
        x->scratch = x->heap + x->in_room;
    }
    return x->in != NULL;
}

/* ---- reading a head ---- */

static void count_idle(struct ceasei_http_exchange *x, bool idle)
{
    if (idle) {
        ceasei_add(&x->server->idle, 1, RELAXED);
    } else {
        ceasei_sub(&x->server->idle, 1, RELAXED);
    }
}

/* Waits for the first bytes of a head, or its next ones. */
static cease_error read_more(struct ceasei_http_exchange *x, cease_time *deadline)
{
    bool idle = x->in_size == 0;
    size_t n = 0;
    cease_canceler *stop;
    cease_ctx *ctx = idle ? cease_with_timeout(x->run->idle, x->server->opts.idle_timeout, &stop)
                          : cease_with_deadline(x->run->idle, *deadline, &stop);
    if (idle) {
        count_idle(x, true);
    }
    cease_error e = cease_conn_read(ctx, x->conn, x->in + x->in_size, x->in_room - x->in_size, &n);
    cease_end(stop);
    if (idle) {
        count_idle(x, false);
        *deadline = cease_time_add(cease_now(), x->server->opts.head_timeout);
    }
    x->in_size += e == CEASE_OK ? n : 0;
    return e;
}

/* Reads until a head is complete. *ret_status is the one to answer with when it is bad or late. */
static enum input read_head(struct ceasei_http_exchange *x, int *ret_status)
{
    cease_time deadline = CEASE_NEVER;
    memmove(x->in, x->in + x->in_at, x->in_size - x->in_at);
    x->in_size -= x->in_at;
    x->in_at = 0;
    if (x->in_size > 0) {
        deadline = cease_time_add(cease_now(), x->server->opts.head_timeout);
    }
    ceasei_http_head_init(&x->head, x->fields, x->server->opts.header_count_max,
                          (uint32_t)x->server->opts.head_max);
    for (;;) {
        int64_t r = x->in_size > 0 ? ceasei_http_parse_request(&x->head, x->in, x->in_size) : 0;
        if (r > 0) {
            x->in_at = (size_t)r;
            return INPUT_HEAD;
        }
        if (r < 0) {
            *ret_status = (int)-r;
            return INPUT_BAD;
        }
        cease_error e = read_more(x, &deadline);
        if (e == CEASE_EDEADLINE && x->in_size > 0 && cease_err(x->run->idle) == CEASE_OK) {
            *ret_status = 408;
            return INPUT_TIMEOUT;
        }
        if (e != CEASE_OK) {
            return INPUT_CLOSED;
        }
    }
}

/* ---- one request ---- */

/* What the log wants to know at the end. */
struct outcome {
    cease_error error; /* the handler's */
    int cause_code;
    const char *cause_text; /* static, or `copy` */
    bool gone;              /* the log says 499 */
    char copy[128];         /* of a text that goes with its context */
};

static void set_cause(struct outcome *o, int code, const char *text)
{
    o->cause_code = code;
    o->cause_text = text;
}

/* Makes C strings of the head's first line. False: the path is refused. */
static bool request_texts(struct ceasei_http_exchange *x)
{
    struct ceasei_http_head *h = &x->head;
    struct cease_http_request *req = &x->req;
    size_t size = 0;
    x->in[h->method + h->method_size] = '\0';
    x->in[h->target + h->target_size] = '\0';
    req->method = x->in + h->method;
    req->target = x->in + h->target;
    req->query = x->in + h->query;
    req->path = x->scratch;
    req->params.count = 0;
    if (h->form == CEASEI_HTTP_ABSOLUTE && h->path_size == 0) {
        memcpy(req->path, "/", 2);
        return true;
    }
    if (h->form == CEASEI_HTTP_ASTERISK) {
        memcpy(req->path, "*", 2);
        return true;
    }
    return ceasei_url_path(x->in + h->path, h->path_size, req->path, &size);
}

/* Finds the handler, or the status to answer with. */
static int find_route(struct ceasei_http_exchange *x, char allow[64])
{
    struct ceasei_http_head *h = &x->head;
    int status = 404;
    bool texts = request_texts(x);
    x->route = NULL;
    if (!texts) {
        return 400;
    }
    const char *path = h->path_size > 0 ? x->in + h->path : "/";
    size_t size = h->path_size > 0 ? h->path_size : 1;
    if (h->form == CEASEI_HTTP_ASTERISK) {
        return 404;
    }
    x->route = ceasei_routes_find(&x->server->routes, x->req.method, path, size,
                                  x->scratch + x->in_room, &x->req.params, &status, allow);
    return x->route ? 200 : status;
}

/* How long the request may take. */
static cease_dur time_limit(struct ceasei_http_exchange *x)
{
    unsigned bad = 0;
    cease_dur own = x->route->opts.request_timeout.ns != 0 ? x->route->opts.request_timeout
                                                           : x->server->opts.request_timeout;
    cease_dur asked = ceasei_deadline_of(&x->head, x->in, &bad);
    if (asked.ns != INT64_MAX) {
        ceasei_http_metrics_deadline(&x->server->metrics, asked);
    }
    if (bad > 0) {
        ceasei_add(&x->server->bad_deadline_total, bad, RELAXED);
    }
    return asked.ns < own.ns ? asked : own;
}

static const char expired[] = "X-Request-Deadline-Expired: 1\r\n";
static const char later[] = "Retry-After: 1\r\n"; /* with each 503 */

/* The page for a request whose handler has failed before anything was sent. */
static void failure_page(struct ceasei_http_exchange *x, cease_error e, const cease_cause *cause)
{
    cease_error body = x->req.body_error;
    int status = 500;
    const char *field = "";
    if (body != CEASE_OK && e == body) {
        status = body == CEASE_EMSGSIZE ? 413 : body == CEASE_ETIMEDOUT ? 408 : 400;
    } else if (cause && cause->error == CEASE_EDEADLINE) {
        status = 504;
        field = expired;
    } else if (cause && (cause->code == CEASE_ESTOPPING || cause->code == CEASE_ENOMEM)) {
        status = 503;
        field = later;
    }
    ceasei_http_response_page(&x->res, status, field);
}

/* After the handler: replaces or gives up its response where it must. */
static void settle(struct ceasei_http_exchange *x, cease_ctx *ctx, struct outcome *o)
{
    struct cease_http_response *res = &x->res;
    const cease_cause *cause = cease_cause_of(ctx);
    if (cause) {
        snprintf(o->copy, sizeof o->copy, "%s", cause->text);
        set_cause(o, cause->code, o->copy);
    } else {
        set_cause(o, CEASE_ERETURNED, "the handler returned");
    }
    bool complete = res->stage == CEASEI_RES_ENDED;
    bool gone = cause && (cause->code == CEASE_EPEERGONE || cause->code == CEASE_EPIPE);
    o->gone = gone && !complete;
    if (res->stage == CEASEI_RES_OPEN) {
        bool failed = o->error != CEASE_OK || (cause && !res->touched) ||
                      (res->length_given && !res->no_body && res->total != res->length);
        if (failed && !gone) {
            failure_page(x, o->error, cause);
        } else if (failed) {
            res->stage = CEASEI_RES_BROKEN; /* nobody is there to read a page */
            res->close = true;
        }
    } else if (!complete && (o->error != CEASE_OK ||
                             (res->length_given && !res->no_body && res->total != res->length))) {
        res->stage = CEASEI_RES_BROKEN; /* cut off, so that the client can tell */
        res->close = true;
    }
}

static void run_handler(struct ceasei_http_exchange *x, cease_dur limit, struct outcome *o)
{
    const cease_http_route *route = &x->route->opts;
    cease_ctx *ctx = cease_with_timeout(x->run->active, limit, &x->stop);
    ceasei_add(&x->server->requests, 1, RELAXED);
    cease_error e = cease_conn_guard(x->conn, x->stop, CEASE_EPEERGONE, "the client went away",
                                     route->half_closed);
    if (e == CEASE_OK) {
        o->error = route->fn(ctx, &x->req, &x->res, route->arg);
        cease_conn_unguard(x->conn);
    } else { /* without a guard nobody would stop its work */
        ceasei_add(&x->server->busy_total, 1, RELAXED);
        cease_cancel_cause(x->stop, CEASE_ENOMEM, NULL);
        o->error = e;
    }
    settle(x, ctx, o);
    ceasei_sub(&x->server->requests, 1, RELAXED);
    cease_cancel_cause(x->stop, CEASE_ERETURNED, NULL); /* for what the handler has left behind */
    cease_end(x->stop);
    x->stop = NULL;
}

static void write_log(struct ceasei_http_exchange *x, const struct outcome *o, bool readable)
{
    int status = o->gone ? 499 : x->res.status;
    cease_dur elapsed = cease_time_sub(cease_now(), x->start);
    ceasei_http_metrics_note(&x->server->metrics, status, o->cause_code, elapsed);
    if (!x->server->opts.log) {
        return;
    }
    cease_http_log_entry entry = {
        .peer = cease_http_request_peer(&x->req),
        .method = readable ? x->req.method : "-",
        .target = readable ? x->req.target : "-",
        .status = status,
        .bytes = x->res.sent,
        .elapsed = elapsed,
        .error = o->error,
        .cause_code = o->cause_code,
        .cause_text = o->cause_text,
    };
    x->server->opts.log(&entry, x->server->opts.log_arg);
}

/* Sends the rest. A failure of the last write is a client that is gone, too. */
static void finish(struct ceasei_http_exchange *x, struct outcome *o)
{
    bool broken = x->res.stage == CEASEI_RES_BROKEN;
    cease_error e = ceasei_http_response_finish(&x->res);
    if (e != CEASE_OK && !broken) {
        set_cause(o, CEASE_EPIPE, cease_strerror(e));
        o->gone = true;
    }
}

static bool wants_more(const struct ceasei_http_exchange *x)
{
    const struct ceasei_http_head *h = &x->head;
    return h->minor > 0 ? !h->close : h->keep_alive && !h->close;
}

/* What the connection still sends must be read, or the kernel resets it and with it our response. */
static void linger(struct ceasei_http_exchange *x)
{
    size_t total = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(x->run->idle, cease_ms(500), &stop);
    if (cease_conn_shutdown(x->conn) == CEASE_OK) {
        size_t n = 0;
        while (total < 16 * CEASEI_HTTP_SKIP_MAX &&
               cease_conn_read(ctx, x->conn, x->res.body, sizeof x->res.body, &n) == CEASE_OK) {
            total += n;
        }
    }
    cease_end(stop);
}

/* One request whose head is complete. False: the connection is to be closed. */
static bool serve_request(struct ceasei_http_exchange *x)
{
    struct outcome o;
    char allow[64];
    char field[80];
    field[0] = '\0';
    o.error = CEASE_OK;
    o.gone = false;
    x->start = cease_now();
    ceasei_add(&x->server->requests_total, 1, RELAXED);
    ceasei_http_response_begin(x);
    set_cause(&o, CEASE_ERETURNED, "no handler was started");
    int status = find_route(x, allow);
    ceasei_http_request_begin(x);
    x->res.close = !wants_more(x);
    x->res.no_body = strcmp(x->req.method, "HEAD") == 0;
    cease_dur limit = x->route ? time_limit(x) : CEASE_FOREVER;
    if (status == 200 && x->head.length && x->head.content_length > x->req.body_max) {
        status = 413;
    }
    if (status == 200 && limit.ns <= 0) {
        status = 504;
        memcpy(field, expired, sizeof expired);
        set_cause(&o, CEASE_EDEADLINE, "the deadline had passed before the request came");
    }
    if (status == 200) {
        run_handler(x, limit, &o);
    } else {
        if (status == 405) {
            snprintf(field, sizeof field, "Allow: %s\r\n", allow);
        }
        ceasei_http_response_page(&x->res, status, field);
    }
    /* a client that was not told to go on sends its body, or not: nobody can know */
    if (x->req.expects || x->req.body_error != CEASE_OK ||
        (x->req.body == CEASEI_BODY_LENGTH && x->req.body_left > CEASEI_HTTP_SKIP_MAX)) {
        x->res.close = true;
    }
    finish(x, &o);
    write_log(x, &o, true);
    if (x->res.stage == CEASEI_RES_BROKEN) {
        return false;
    }
    if (!x->res.close && ceasei_http_request_skip(x, x->run->idle)) {
        return true;
    }
    if (!x->req.body_ended) {
        linger(x);
    }
    return false;
}

/* A head that was refused, or did not come in time. */
static void refuse(struct ceasei_http_exchange *x, int status)
{
    struct outcome o;
    o.error = CEASE_EPROTO;
    o.gone = false;
    x->start = cease_now();
    x->req.x = x;
    x->head.minor = 1;
    ceasei_add(&x->server->bad_total, 1, RELAXED);
    ceasei_http_response_begin(x);
    x->res.close = true;
    ceasei_http_response_page(&x->res, status, "");
    set_cause(&o, CEASE_EPROTO, status == 408 ? "the head did not come in time" : "malformed head");
    finish(x, &o);
    write_log(x, &o, false);
    linger(x);
}

void ceasei_http_exchange_run(struct ceasei_http_run *run, cease_conn *conn)
{
    struct ceasei_http_exchange x;
    int status = 0;
    if (!exchange_init(&x, run, conn)) {
        ceasei_add(&run->server->busy_total, 1, RELAXED);
        return;
    }
    for (;;) {
        enum input input = read_head(&x, &status);
        if (input == INPUT_HEAD && serve_request(&x)) {
            continue;
        }
        if (input == INPUT_BAD || input == INPUT_TIMEOUT) {
            refuse(&x, status);
        }
        break;
    }
    free(x.heap);
}
