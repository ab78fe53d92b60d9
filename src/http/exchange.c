/* SPDX-License-Identifier: MIT
 *
 * exchange.c: one request and its response, whatever protocol carries them.
 *
 *     the head is complete
 *        ├─ no route, bad path, body too large, no time left ──> page
 *        └─ context, guard, a place, handler, guard down, context ended ──> response or page
 *     send what is left; log
 *
 * The context of a request is a child of the run's, with the smallest of the deadlines that apply, and
 * ends before the response's last byte is sent. While the handler runs the carrier's guard cancels it
 * when it hears the client go. The last part is sent under `final`, so that a page that says that the
 * deadline is over does not fail because it is.
 *
 * Nothing here knows how bytes look on the wire: server.h has the seam.
 */
#include "http/server.h"

#include "base/atomic.h"
#include "http/deadline.h"
#include "http/propagate.h"
#include "http/url.h"

#include <stdio.h>
#include <string.h>

void ceasei_http_exchange_init(struct ceasei_http_exchange *x,
                               const struct ceasei_http_carrier *carrier,
                               struct ceasei_http_run *run, cease_conn *conn)
{
    x->carrier = carrier;
    x->run = run;
    x->server = run->server;
    x->conn = conn;
    x->session = NULL;
    x->stop = NULL;
    x->route = NULL;
    x->peer[0] = '\0';
    x->start = x->end = (cease_time){0};
}

/* The request began when its head was complete: now, unless the carrier has said when. */
static void begin_clock(struct ceasei_http_exchange *x)
{
    if (x->start.ns == 0) {
        x->start = cease_now();
    }
}

/* What the log wants to know at the end. */
struct outcome {
    cease_error error; /* the handler's */
    int cause_code;
    const char *cause_text; /* static, or `copy` */
    bool gone;              /* the log says 499 */
    bool late;              /* the log says 504, whatever was to be sent */
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
    struct ceasei_http_head *h = x->head;
    struct cease_http_request *req = &x->req;
    size_t size = 0;
    x->text[h->method + h->method_size] = '\0';
    x->text[h->target + h->target_size] = '\0';
    req->method = x->text + h->method;
    req->target = x->text + h->target;
    req->query = x->text + h->query;
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
    return ceasei_url_path(x->text + h->path, h->path_size, req->path, &size);
}

/* Finds the handler, or the status to answer with. */
static int find_route(struct ceasei_http_exchange *x, char allow[64])
{
    struct ceasei_http_head *h = x->head;
    int status = 404;
    bool texts = request_texts(x);
    x->route = NULL;
    if (!texts) {
        return 400;
    }
    const char *path = h->path_size > 0 ? x->text + h->path : "/";
    size_t size = h->path_size > 0 ? h->path_size : 1;
    if (h->form == CEASEI_HTTP_ASTERISK) {
        return 404;
    }
    x->route = ceasei_routes_find(&x->server->routes, x->req.method, path, size,
                                  x->scratch + size + 2, &x->req.params, &status, allow);
    return x->route ? 200 : status;
}

/* How long the request may take. */
static cease_dur time_limit(struct ceasei_http_exchange *x)
{
    unsigned bad = 0;
    cease_dur own = x->route->opts.request_timeout.ns != 0 ? x->route->opts.request_timeout
                                                           : x->server->opts.request_timeout;
    cease_dur asked = ceasei_deadline_of(x->head, x->text, &bad);
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
    } else if (cause && (cause->code == CEASE_ESTOPPING || cause->code == CEASE_ENOMEM ||
                         cause->code == CEASE_EAGAIN)) {
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
    if (cause && cause->code == CEASE_ERETURNED) {
        cause = NULL; /* nothing else has ended it */
    }
    if (cause) {
        snprintf(o->copy, sizeof o->copy, "%s", cause->text);
        set_cause(o, cause->code, o->copy);
    } else {
        set_cause(o, CEASE_ERETURNED, "the handler returned");
    }
    bool complete = res->stage == CEASEI_RES_ENDED;
    bool gone = cause && (cause->code == CEASE_EPEERGONE || cause->code == CEASE_EPIPE ||
                          cause->code > 0); /* an HTTP/2 code: the client reset the stream */
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

struct cease_http_next {
    const struct ceasei_http_layers *layers;
    size_t at; /* the layer to be called */
    const cease_http_route *route;
};

cease_error cease_http_next_call(cease_ctx *ctx, const cease_http_next *next,
                                 cease_http_request *req, cease_http_response *res)
{
    if (next->at == next->layers->count) {
        return next->route->fn(ctx, req, res, next->route->arg);
    }
    const struct ceasei_http_layer *layer = &next->layers->list[next->at];
    const cease_http_next inner = {next->layers, next->at + 1, next->route};
    return layer->fn(ctx, req, res, &inner, layer->arg);
}

/* Waits for a place, then runs the handler. */
static void enter_and_run(struct ceasei_http_exchange *x, cease_ctx *ctx, struct outcome *o)
{
    const cease_http_next first = {&x->server->layers, 0, &x->route->opts};
    o->error = ceasei_http_gate_enter(ctx, &x->server->gate);
    if (o->error == CEASE_OK) {
        o->error = cease_http_next_call(ctx, &first, &x->req, &x->res);
        ceasei_http_gate_leave(&x->server->gate);
    } else if (o->error == CEASE_EAGAIN) {
        ceasei_add(&x->server->busy_total, 1, RELAXED);
        cease_cancel_cause(x->stop, CEASE_EAGAIN, "too many requests run and wait");
    }
}

static void run_handler(struct ceasei_http_exchange *x, cease_dur limit, struct outcome *o)
{
    unsigned bad;
    cease_ctx *ctx = cease_with_timeout(x->run->active, limit, &x->stop);
    cease_error e = x->carrier->guard(x, x->route->opts.half_closed);
    if (e == CEASE_OK) {
        cease_ctx *carrying =
            ceasei_propagate_in(ctx, x->head, x->text, x->server->opts.take_baggage, &bad);
        if (bad > 0) {
            ceasei_add(&x->server->bad_trace_total, bad, RELAXED);
        }
        enter_and_run(x, carrying ? carrying : ctx, o);
        cease_unref(carrying);
        x->carrier->unguard(x);
    } else { /* without a guard nobody would stop its work */
        ceasei_add(&x->server->busy_total, 1, RELAXED);
        cease_cancel_cause(x->stop, CEASE_ENOMEM, NULL);
        o->error = e;
    }
    /* For what the handler has left behind. And before its cause is looked at: a look at a context that
     * goes on would make a timer for its deadline. */
    cease_cancel_cause(x->stop, CEASE_ERETURNED, NULL);
    settle(x, ctx, o);
    cease_end(x->stop);
    x->stop = NULL;
}

static void write_log(struct ceasei_http_exchange *x, const struct outcome *o, bool readable)
{
    int status = o->gone ? 499 : o->late ? 504 : x->res.status;
    x->end = cease_now();
    cease_dur elapsed = cease_time_sub(x->end, x->start);
    x->start = (cease_time){0};
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

/* Sends the rest. A failure of the last write is a client that is gone, too; but one that does not wait for an
 * answer that is too late has gone because of the deadline. */
static void finish(struct ceasei_http_exchange *x, struct outcome *o)
{
    bool broken = x->res.stage == CEASEI_RES_BROKEN;
    cease_error e = ceasei_http_response_finish(&x->res);
    if (e == CEASE_OK || broken) {
        return;
    }
    if (o->cause_code == CEASE_EDEADLINE) {
        o->late = true;
        return;
    }
    if (!o->gone) { /* else it is known already why */
        set_cause(o, CEASE_EPIPE, cease_strerror(e));
    }
    o->gone = true;
}

/* What decides before any handler is asked. 200: run it. */
static int judge(struct ceasei_http_exchange *x, cease_dur limit, int status, struct outcome *o)
{
    if (status == 200 && x->head->length && x->head->content_length > x->req.body_max) {
        return 413;
    }
    if (status == 200 && limit.ns <= 0) {
        set_cause(o, CEASE_EDEADLINE, "the deadline had passed before the request came");
        return 504;
    }
    return status;
}

void ceasei_http_exchange_serve(struct ceasei_http_exchange *x)
{
    struct outcome o;
    char allow[64];
    char field[80];
    field[0] = '\0';
    o.error = CEASE_OK;
    o.gone = o.late = false;
    begin_clock(x);
    ceasei_add(&x->server->requests_total, 1, RELAXED);
    ceasei_http_response_begin(x);
    set_cause(&o, CEASE_ERETURNED, "no handler was started");
    int status = find_route(x, allow);
    ceasei_http_request_begin(x);
    x->res.no_body = strcmp(x->req.method, "HEAD") == 0;
    cease_dur limit = x->route ? time_limit(x) : CEASE_FOREVER;
    status = judge(x, limit, status, &o);
    if (status == 200) {
        run_handler(x, limit, &o);
    } else {
        if (status == 405) {
            snprintf(field, sizeof field, "Allow: %s\r\n", allow);
        } else if (status == 504) {
            memcpy(field, expired, sizeof expired);
        }
        ceasei_http_response_page(&x->res, status, field);
    }
    finish(x, &o);
    write_log(x, &o, true);
}

void ceasei_http_exchange_refuse(struct ceasei_http_exchange *x, int status, const char *why)
{
    struct outcome o;
    o.error = CEASE_EPROTO;
    o.gone = o.late = false;
    begin_clock(x);
    x->route = NULL; /* what an earlier request had */
    x->req.x = x;
    ceasei_add(&x->server->bad_total, 1, RELAXED);
    ceasei_http_response_begin(x);
    x->res.close = true;
    ceasei_http_response_page(&x->res, status, "");
    set_cause(&o, CEASE_EPROTO, why);
    finish(x, &o);
    write_log(x, &o, false);
}
