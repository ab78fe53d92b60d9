/* SPDX-License-Identifier: MIT
 *
 * http_client.c: the client as its users see it: options, redirects, whole replies.
 */
#include "http/client.h"

#include "base/atomic.h"
#include "base/panic.h"
#include "http/redirect.h"

#include <stdlib.h>
#include <string.h>

enum { SPARES_MAX = 32, DRAIN_MAX = 16 * 1024 };

static uint32_t or_default(uint32_t n, uint32_t other)
{
    return n != 0 ? n : other;
}

static cease_dur or_default_dur(cease_dur d, cease_dur other)
{
    return d.ns != 0 ? d : other;
}

cease_http_client *cease_http_client_new(const cease_http_client_opts *opts)
{
    static const cease_http_client_opts none;
    cease_http_client *c = calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    opts = opts ? opts : &none;
    c->pool.connection_max = or_default(opts->connection_max, 256);
    c->pool.idle_max = or_default(opts->idle_max, 256);
    c->pool.idle_per_origin_max = or_default(opts->idle_per_origin_max, 64);
    c->pool.idle_timeout = or_default_dur(opts->idle_timeout, cease_sec(30));
    c->pool.dial_timeout = or_default_dur(opts->dial_timeout, cease_sec(30));
    c->pool.tls = opts->tls;
    c->pool.tls_arg = opts->tls_arg;
    c->pool.multi = opts->multiplex;
    c->redirect_max = or_default(opts->redirect_max, 10);
    c->redirect_max = c->redirect_max == CEASE_HTTP_NO_REDIRECTS ? 0 : c->redirect_max;
    c->head_max = or_default(opts->head_max, CEASEI_ANSWER_HEAD_MAX);
    c->head_max = c->head_max < INT32_MAX / 4 ? c->head_max : INT32_MAX / 4;
    c->gzip = !opts->no_gzip;
    c->trace = !opts->no_trace;
    c->baggage = !opts->no_baggage;
    if (ceasei_proxies_init(&c->proxies, opts->proxy, opts->no_proxy) != CEASE_OK ||
        ceasei_pool_init(&c->pool) != CEASE_OK) {
        cease_http_client_free(c);
        return NULL;
    }
    return c;
}

void cease_http_client_free(cease_http_client *c)
{
    if (!c) {
        return;
    }
    if (ceasei_load(&c->open, ACQUIRE) > 0) {
        ceasei_panic_at(NULL, 0, __func__, "the client is freed while a call or an answer uses it");
    }
    ceasei_pool_deinit(&c->pool);
    while (c->spare) {
        struct cease_http_answer *a = c->spare;
        c->spare = a->next;
        ceasei_answer_free(a);
    }
    ceasei_proxies_deinit(&c->proxies);
    free(c);
}

void cease_http_client_close_idle(cease_http_client *c)
{
    if (c) {
        ceasei_pool_close_idle(&c->pool);
    }
}

void cease_http_client_count(cease_http_client *c, cease_http_client_counts *ret)
{
    *ret = (cease_http_client_counts){0};
    if (c) {
        ret->calls_total = ceasei_load(&c->calls_total, RELAXED);
        ret->reused_total = ceasei_load(&c->reused_total, RELAXED);
        ret->retries_total = ceasei_load(&c->retries_total, RELAXED);
        ret->redirects_total = ceasei_load(&c->redirects_total, RELAXED);
        ceasei_lock(&c->pool.lock);
        ret->dials_total = c->pool.dials_total;
        ret->idle = c->pool.idle;
        ret->busy = c->pool.busy;
        ret->dialing = c->pool.dialing;
        ret->waiting = c->pool.waiting;
        ceasei_unlock(&c->pool.lock);
    }
}

/* ---- answers: used again ---- */

static struct cease_http_answer *answer_take(cease_http_client *c)
{
    ceasei_lock(&c->lock);
    struct cease_http_answer *a = c->spare;
    if (a) {
        c->spare = a->next;
        c->spare_count--;
    }
    ceasei_unlock(&c->lock);
    a = a ? a : ceasei_answer_new(c->head_max);
    if (a) {
        a->client = c;
        ceasei_add(&c->open, 1, RELAXED);
    }
    return a;
}

void cease_http_answer_close(cease_http_answer *a)
{
    if (!a) {
        return;
    }
    cease_http_client *c = a->client;
    if (a->link && a->ended && a->reusable) {
        ceasei_upload_linger(a);
    }
    ceasei_answer_settle(a);
    ceasei_answer_reset(a);
    ceasei_lock(&c->lock);
    bool keep = c->spare_count < SPARES_MAX && a->in_room == CEASEI_ANSWER_ROOM;
    if (keep) {
        a->next = c->spare;
        c->spare = a;
        c->spare_count++;
    }
    ceasei_unlock(&c->lock);
    if (!keep) {
        ceasei_answer_free(a);
    }
    ceasei_sub(&c->open, 1, RELEASE);
}

/* ---- redirects ---- */

/* What is left of a redirect's body, so that its connection can be used again. */
static void drain(cease_ctx *ctx, struct cease_http_answer *a)
{
    char waste[4096];
    size_t total = 0;
    size_t n = 0;
    while (total < DRAIN_MAX &&
           cease_http_answer_read(ctx, a, waste, sizeof waste, &n) == CEASE_OK) {
        total += n;
    }
    ceasei_answer_settle(a);
}

static bool can_repeat_body(const struct ceasei_call *c)
{
    const cease_http_call *call = c->call;
    return !call->body_read || (call->body_rewind && call->body_rewind(call->body_arg));
}

/* Prepares the next hop. False: the answer is final, or *ret_error says why it cannot be followed. */
static bool redirect(cease_ctx *ctx, cease_http_client *client, struct ceasei_call *c,
                     struct cease_http_answer *a, cease_error *ret_error)
{
    const char *location = cease_http_answer_header(a, "Location");
    int status = a->head.status;
    struct ceasei_text to;
    struct ceasei_call next = *c;
    if (client->redirect_max == 0 || !ceasei_redirect_is(status) || !location) {
        return false;
    }
    ceasei_text_init(&to);
    *ret_error = CEASE_EPROTO;
    bool follow = ceasei_redirect_resolve(c->url, location, &to);
    if (follow) {
        next.url = to.data;
        follow = ceasei_call_locate(&next);
    }
    if (follow && c->split.tls && !next.split.tls) {
        *ret_error = CEASE_OK; /* not from https to http: the caller may, if it wants */
        follow = false;
    }
    if (follow && ceasei_redirect_drops_body(status, c->method)) {
        next.method = "GET";
        next.dropped = true;
    }
    if (follow && !next.dropped) {
        ceasei_upload_stop(a);
        if (!can_repeat_body(c)) {
            *ret_error = CEASE_OK;
            follow = false;
        }
    }
    if (follow && (next.split.tls != c->split.tls || strcmp(next.authority, c->authority) != 0)) {
        next.foreign = true;
        next.address = NULL;
        next.baggage = false;
    }
    char *url = follow ? strdup(to.data) : NULL;
    if (to.failed || (follow && !url)) {
        *ret_error = CEASE_ENOMEM;
        follow = false;
    }
    ceasei_text_deinit(&to);
    if (follow) {
        uint64_t max = a->max;
        drain(ctx, a);
        ceasei_answer_reset(a);
        a->max = max;
        a->url = url;
        *c = next;
        c->url = url;
        ceasei_call_locate(c); /* it pointed into the text */
        ceasei_add(&client->redirects_total, 1, RELAXED);
    }
    return follow;
}

/* ---- calls ---- */

static void choose(cease_http_client *client, struct ceasei_call *c)
{
    c->proxy = c->address ? NULL
                          : ceasei_proxy_for(&client->proxies, c->split.tls, c->host,
                                             strlen(c->host), ceasei_call_port(c));
    c->gzip = client->gzip && strcmp(c->method, "HEAD") != 0 &&
              !ceasei_call_has(c, "Accept-Encoding") && !ceasei_call_has(c, "Range");
}

static cease_error follow(cease_ctx *ctx, cease_http_client *client, struct ceasei_call *c,
                          struct cease_http_answer *a)
{
    for (uint32_t hops = 0;; hops++) {
        choose(client, c);
        if (c->split.tls && !client->pool.tls) {
            return CEASE_ENOTSUP;
        }
        cease_error e = ceasei_exchange(ctx, client, c, a);
        cease_error why = CEASE_OK;
        if (e != CEASE_OK || !redirect(ctx, client, c, a, &why)) {
            return e != CEASE_OK ? e : why;
        }
        if (hops == client->redirect_max) {
            return CEASE_EPROTO;
        }
    }
}

cease_error cease_http_client_open(cease_ctx *ctx, cease_http_client *c,
                                   const cease_http_call *call, cease_http_answer **ret_answer)
{
    struct ceasei_call state;
    if (!c) {
        return CEASE_ENOMEM;
    }
    cease_error e = cease_err(ctx);
    if (e == CEASE_OK) {
        e = ceasei_call_begin(call, &state);
    }
    if (e != CEASE_OK) {
        return e;
    }
    state.trace = c->trace;
    state.baggage = c->baggage;
    struct cease_http_answer *a = answer_take(c);
    if (!a) {
        return CEASE_ENOMEM;
    }
    ceasei_add(&c->calls_total, 1, RELAXED);
    a->max = call->reply_max;
    e = follow(ctx, c, &state, a);
    if (e == CEASE_OK && !a->url) {
        a->url = strdup(call->url);
        e = a->url ? CEASE_OK : CEASE_ENOMEM;
    }
    if (e != CEASE_OK) {
        cease_http_answer_close(a);
        return e;
    }
    *ret_answer = a;
    return CEASE_OK;
}

cease_error cease_http_client_do(cease_ctx *ctx, cease_http_client *c, const cease_http_call *call,
                                 cease_http_reply *ret)
{
    cease_http_answer *a;
    cease_error e = cease_http_client_open(ctx, c, call, &a);
    if (e == CEASE_OK) {
        a->max = call->reply_max != 0 ? call->reply_max : CEASEI_ANSWER_REPLY_MAX;
        e = ceasei_answer_reply(ctx, a, ret);
        cease_http_answer_close(a);
    }
    return e;
}
