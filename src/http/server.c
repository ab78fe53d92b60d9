/* SPDX-License-Identifier: MIT
 *
 * server.c: the HTTP server: options, routes, accepting, and stopping in two phases.
 *
 * The contexts of one run, each a child of the one before it:
 *
 *     base      the values of serve's context, without its end
 *     final     cancelled when grace + FINAL_MS are over: what is being written by then is given up
 *     active    cancelled with CEASE_ESTOPPING when the grace is over: the parent of all requests
 *
 * and `idle`, a child of serve's own context: ends when the stop begins, and with it all waiting for
 * requests. Phase one is therefore nothing but that end and the closed listener; phase two a watch on a
 * context whose deadline is the grace. The connections are joined in between, so serve returns as soon
 * as the last has ended.
 */
#include "http/http1.h"

#include "base/atomic.h"
#include "base/panic.h"

#include <stdlib.h>
#include <string.h>

enum { FINAL_MS = 1000 };

static cease_dur or_default(cease_dur d, cease_dur other)
{
    return d.ns != 0 ? d : other;
}

static void fill_defaults(cease_http_server_opts *o)
{
    o->grace = or_default(o->grace, cease_sec(5));
    o->request_timeout = or_default(o->request_timeout, cease_sec(30));
    o->head_timeout = or_default(o->head_timeout, cease_sec(10));
    o->body_timeout = or_default(o->body_timeout, cease_sec(30));
    o->idle_timeout = or_default(o->idle_timeout, cease_sec(60));
    o->write_budget = or_default(o->write_budget, cease_sec(30));
    o->head_max = o->head_max != 0 ? o->head_max : CEASEI_HTTP1_HEAD_ROOM;
    o->head_max = o->head_max < INT32_MAX / 4 ? o->head_max : INT32_MAX / 4;
    o->header_count_max = o->header_count_max != 0 ? o->header_count_max : 100;
    if (o->header_count_max > CEASEI_HTTP1_FIELDS) {
        o->header_count_max = CEASEI_HTTP1_FIELDS;
    }
    o->body_max = o->body_max != 0 ? o->body_max : 1024 * 1024;
    o->connection_max = o->connection_max != 0 ? o->connection_max : 10000;
    o->request_max = o->request_max != 0 ? o->request_max : 10000;
    o->queue_max = o->queue_max != 0 ? o->queue_max : 1000;
}

cease_http_server *cease_http_server_new(const cease_http_server_opts *opts)
{
    cease_http_server *s = calloc(1, sizeof *s);
    if (s) {
        if (opts) {
            size_t size = opts->size;
            memcpy(&s->opts, opts, size > 0 && size < sizeof s->opts ? size : sizeof s->opts);
        }
        fill_defaults(&s->opts);
        s->gate.run_max = s->opts.request_max;
        s->gate.wait_max = s->opts.queue_max > 0 ? (uint32_t)s->opts.queue_max : 0;
    }
    return s;
}

void cease_http_server_free(cease_http_server *s)
{
    if (!s) {
        return;
    }
    if (ceasei_load(&s->serving, ACQUIRE) > 0) {
        ceasei_panic_at(NULL, 0, __func__, "the server is freed while it serves");
    }
    ceasei_routes_deinit(&s->routes);
    if (s->protocol.release) {
        s->protocol.release(s->protocol.self);
    }
    free(s->layers.list);
    free(s);
}

cease_error cease_http_server_add(cease_http_server *s, const cease_http_route *route)
{
    if (!s) {
        return CEASE_ENOMEM;
    }
    if (ceasei_load(&s->serving, ACQUIRE) > 0) {
        return CEASE_EBUSY;
    }
    return ceasei_routes_add(&s->routes, route);
}

cease_error cease_http_server_route(cease_http_server *s, const char *method, const char *pattern,
                                    cease_http_handler *fn, void *arg)
{
    const cease_http_route route = {
        .size = sizeof route, .method = method, .pattern = pattern, .fn = fn, .arg = arg};
    return cease_http_server_add(s, &route);
}

cease_error cease_http_server_use(cease_http_server *s, cease_http_middleware *fn, void *arg)
{
    if (!s) {
        return CEASE_ENOMEM;
    }
    if (!fn) {
        return CEASE_EINVAL;
    }
    if (ceasei_load(&s->serving, ACQUIRE) > 0) {
        return CEASE_EBUSY;
    }
    struct ceasei_http_layers *l = &s->layers;
    struct ceasei_http_layer *list = realloc(l->list, (l->count + 1) * sizeof *list);
    if (!list) {
        return CEASE_ENOMEM;
    }
    l->list = list;
    list[l->count++] = (struct ceasei_http_layer){fn, arg};
    return CEASE_OK;
}

void cease_http_server_count(cease_http_server *s, cease_http_server_counts *ret)
{
    *ret = (cease_http_server_counts){0};
    if (s) {
        ret->connections_total = ceasei_load(&s->connections_total, RELAXED);
        ret->requests_total = ceasei_load(&s->requests_total, RELAXED);
        ret->bad_total = ceasei_load(&s->bad_total, RELAXED);
        ret->busy_total = ceasei_load(&s->busy_total, RELAXED);
        ret->bad_deadline_total = ceasei_load(&s->bad_deadline_total, RELAXED);
        ret->bad_trace_total = ceasei_load(&s->bad_trace_total, RELAXED);
        ret->connections = ceasei_load(&s->connections, RELAXED);
        ret->idle = ceasei_load(&s->idle, RELAXED);
        ret->requests = ceasei_http_gate_running(&s->gate);
        ret->queued = ceasei_http_gate_waiting(&s->gate);
    }
}

/* ---- one run ---- */

struct phases {
    cease_canceler *active, *final;
    cease_watch grace_over, final_over;
};

static void on_grace_over(void *arg)
{
    struct phases *p = arg;
    cease_cancel_cause(p->active, CEASE_ESTOPPING, "server stopping");
}

static void on_final_over(void *arg)
{
    struct phases *p = arg;
    cease_cancel_cause(p->final, CEASE_ESTOPPING, "server stopping");
}

/* Joins all connections; those that have not ended when the grace is over are cancelled. */
static void drain(cease_ctx *ctx, struct ceasei_http_run *run, struct phases *p)
{
    cease_canceler *grace_stop;
    cease_canceler *final_stop;
    cease_dur grace = run->server->opts.grace;
    cease_dur rest = grace.ns == INT64_MAX ? grace : cease_ns(grace.ns > 0 ? grace.ns : 0);
    if (rest.ns < INT64_MAX - INT64_C(2) * FINAL_MS * 1000000) {
        rest.ns += INT64_C(1000000) * FINAL_MS;
    }
    cease_ctx *grace_ctx = cease_with_grace(ctx, grace, &grace_stop);
    cease_ctx *final_ctx = cease_with_grace(ctx, rest, &final_stop);
    cease_watch_add(&p->grace_over, grace_ctx, on_grace_over, p);
    cease_watch_add(&p->final_over, final_ctx, on_final_over, p);
    ceasei_http_connections_close_idle(&run->connections);
    ceasei_http_connections_join(&run->connections);
    cease_group_wait(run->group);
    cease_watch_remove_sync(&p->grace_over);
    cease_watch_remove_sync(&p->final_over);
    cease_end(grace_stop);
    cease_end(final_stop);
}

/* Accepts until `due`, when idle connections are to be looked at, or an error. */
static cease_error accept_until(cease_ctx *ctx, struct ceasei_http_run *run, cease_listener *l,
                                cease_time due)
{
    cease_error e = CEASE_OK;
    cease_canceler *stop;
    cease_ctx *limited = cease_with_deadline(ctx, due, &stop);
    while (e == CEASE_OK) {
        cease_conn *conn;
        e = cease_listener_accept(limited, l, &conn);
        if (e == CEASE_OK) {
            ceasei_http_connection_start(run, conn);
        }
    }
    const cease_cause *cause = cease_cause_of(limited);
    e = cause && cause->code == CEASE_ENOMEM ? CEASE_ENOMEM : e;
    cease_end(stop);
    return e;
}

static cease_error accept_all(cease_ctx *ctx, struct ceasei_http_run *run, cease_listener *l)
{
    for (;;) {
        cease_error e = accept_until(ctx, run, l, ceasei_http_connections_sweep(run));
        if (cease_err(ctx) != CEASE_OK || (e != CEASE_EDEADLINE && e != CEASE_ENOMEM)) {
            return e;
        }
        if (e == CEASE_ENOMEM) { /* one connection was lost; the next may be luckier */
            cease_sleep(ctx, cease_ms(5));
        }
    }
}

static cease_error serve(cease_ctx *ctx, cease_http_server *s, cease_listener *take_listener,
                         const cease_http_tls *tls, void *tls_arg)
{
    if (!s) {
        cease_listener_close(take_listener);
        return CEASE_ENOMEM;
    }
    static const cease_group_opts supervise = {.size = sizeof supervise, .supervise = true};
    struct ceasei_http_run run = {.server = s, .tls = tls, .tls_arg = tls_arg};
    struct phases phases = {0};
    cease_canceler *idle_stop;
    cease_ctx *base = cease_without_cancel(ctx);
    run.final = cease_with_cancel(base, &phases.final);
    run.active = cease_with_cancel(run.final, &phases.active);
    run.idle = cease_with_cancel(ctx, &idle_stop);
    run.group = cease_group_new(base, &supervise);
    ceasei_http_connections_init(&run.connections);
    ceasei_http_ready_init(&run);
    ceasei_add(&s->serving, 1, ACQ_REL);
    cease_error e =
        take_listener && run.group ? accept_all(ctx, &run, take_listener) : CEASE_ENOMEM;
    cease_listener_close(take_listener);
    cease_cancel(idle_stop); /* also when it was not ctx that ended the accepting */
    drain(ctx, &run, &phases);
    bool stopped = cease_err(ctx) != CEASE_OK;
    cease_group_free(run.group);
    cease_end(idle_stop);
    cease_end(phases.active);
    cease_end(phases.final);
    cease_unref(base);
    ceasei_sub(&s->serving, 1, ACQ_REL);
    return stopped ? CEASE_OK : e;
}

cease_error cease_http_server_serve(cease_ctx *ctx, cease_http_server *s,
                                    cease_listener *take_listener)
{
    return serve(ctx, s, take_listener, NULL, NULL);
}

cease_error cease_http_server_serve_tls(cease_ctx *ctx, cease_http_server *s,
                                        cease_listener *take_listener, const cease_http_tls *tls,
                                        void *tls_arg)
{
    if (!tls || !tls->open || !tls->pending || !tls->shutdown) {
        cease_listener_close(take_listener);
        return CEASE_EINVAL;
    }
    return serve(ctx, s, take_listener, tls, tls_arg);
}
