/* SPDX-License-Identifier: MIT
 *
 * client.c: one request and its answer, over whatever connection; and the simple form of that.
 *
 * Everything that is waited for happens under the caller's context. When it ends, the connection is
 * closed with the answer, which is how HTTP/1.1 tells a server to stop; nothing runs on. A server may
 * answer before it has read the whole body (413) and close, so a write that fails is no error as long as
 * there is an answer to read.
 *
 * A second try. A connection that was idle may be closed by the server at the moment in which it is used.
 * Then no byte of an answer comes, and nobody can say whether the request was seen. So it is made again if
 * that does no harm: the method may be repeated (RFC 9110, 9.2.2), the caller says so by an Idempotency-Key,
 * or not a byte went out. The other idle connections of that origin are not trusted either, so that the second try is
 * the last. Where many exchanges share a connection, a server can say that it has not begun with one: that one can be
 * made again, and as often as it is refused, within reason.
 */
#include "http/client.h"

#include "base/atomic.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Of a request that is refused: by a server that has too much to do, which is given time; by connections that the server has
 * ended before it began with anything on them. */
enum { REFUSALS_MAX = 5, GOODBYES_MAX = 5 };

/* What is known of an error, to who has asked for it. */
static void say_why(const cease_http_call *call, const char *why)
{
    if (call->why && call->why_size > 0) {
        snprintf(call->why, call->why_size, "%s", why);
    }
}

/* The head is out: the body follows if it is welcome. */
static cease_error send_if_welcome(cease_ctx *ctx, const struct ceasei_call *c,
                                   struct cease_http_answer *a)
{
    bool go = false;
    bool sent = false;
    cease_error e = ceasei_answer_await_continue(ctx, a, &go);
    if (e == CEASE_OK && go) {
        return ceasei_upload_start(ctx, a, c->call, "", 0, &sent);
    }
    a->unsent = true; /* what was promised does not come: the connection is of no more use */
    return e;
}

/* One attempt over a->link. *ret_sent: a byte of the request may have arrived. */
static cease_error attempt(cease_ctx *ctx, const struct ceasei_call *c, struct cease_http_answer *a,
                           bool *ret_sent)
{
    static const cease_http_call no_body;
    struct ceasei_text head;
    ceasei_text_init(&head);
    cease_error e = ceasei_call_head(ctx, c, &head);
    if (e != CEASE_OK) {
        ceasei_text_deinit(&head);
        return e;
    }
    bool asks = ceasei_call_asks(c);
    cease_error written = ceasei_upload_start(ctx, a, asks || c->dropped ? &no_body : c->call,
                                              head.data, head.size, ret_sent);
    ceasei_text_deinit(&head);
    if (asks && written == CEASE_OK) {
        written = send_if_welcome(ctx, c, a);
    }
    e = cease_err(ctx);
    if (e == CEASE_OK && a->error == CEASE_OK && written != CEASE_ENOMEM) {
        e = ceasei_answer_read_head(ctx, a, strcmp(c->method, "HEAD") == 0);
    }
    if (e == CEASE_OK && a->error == CEASE_OK && written != CEASE_ENOMEM) {
        return e;
    }
    if (cease_err(ctx) != CEASE_OK) {
        return cease_err(ctx);
    }
    cease_error body = a->error != CEASE_OK ? a->error : ceasei_upload_error(a);
    if (body != CEASE_OK) {
        return body;
    }
    if (written != CEASE_OK) {
        return written; /* no answer came either: this was the beginning of it */
    }
    return e == CEASE_ECLOSED ? CEASE_ECONNRESET : e;
}

static bool may_repeat(const struct ceasei_call *c)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
        if (strcmp(c->method, safe[i]) == 0) {
            return true;
        }
    }
    return ceasei_call_has(c, "Idempotency-Key");
}

static bool is_time_left(cease_ctx *ctx, const cease_http_call *call)
{
    cease_time deadline;
    cease_dur reserve = call->reserve.ns != 0 ? call->reserve : cease_ms(2);
    return cease_err(ctx) == CEASE_OK &&
           (!cease_deadline(ctx, &deadline) || cease_until(deadline).ns > reserve.ns);
}

static bool rewind_body(const struct ceasei_call *c)
{
    const cease_http_call *call = c->call;
    return c->dropped || !call->body_read ||
           (call->body_rewind && call->body_rewind(call->body_arg));
}

/* How often a request was refused. */
struct refusals {
    unsigned busy, goodbyes;
};

/* Counts one, and waits if time may help. CEASE_EAGAIN: it was one too many. */
static cease_error refused_again(cease_ctx *ctx, struct ceasei_link *l, struct refusals *r)
{
    if (l->multi->limit(l->shared) == 0) {
        if (l->multi->has_served(l->shared)) {
            return CEASE_OK; /* others' calls went ahead: it comes to all of them in time */
        }
        return ++r->goodbyes <= GOODBYES_MAX ? CEASE_OK : CEASE_EAGAIN;
    }
    r->busy++;
    return r->busy > REFUSALS_MAX ? CEASE_EAGAIN
           : r->busy == 1         ? CEASE_OK
                                  : cease_sleep(ctx, cease_ms(INT64_C(1) << 3 * (r->busy - 2)));
}

/* Makes the answer as new for another try; of what it was asked, all stays. */
static void begin_again(struct cease_http_answer *a)
{
    uint64_t max = a->max;
    char *url = a->url;
    a->url = NULL;
    ceasei_answer_reset(a);
    a->max = max;
    a->url = url;
}

cease_error ceasei_exchange(cease_ctx *ctx, struct cease_http_client *client, struct ceasei_call *c,
                            struct cease_http_answer *a)
{
    struct ceasei_target target = ceasei_call_target(c);
    char why[CEASEI_WHY_SIZE] = "";
    struct refusals refusals = {0};
    bool repeated = false;
    target.why = why;
    say_why(c->call, "");
    for (;;) {
        bool sent = false;
        cease_error e = client ? ceasei_pool_get(ctx, &client->pool, &target, &a->link)
                               : ceasei_link_dial(ctx, NULL, &target, &a->link);
        if (e != CEASE_OK) {
            a->link = NULL;
            say_why(c->call, why);
            return e;
        }
        bool reused = ceasei_add(&a->link->used, 1, RELAXED) > 0;
        if (reused) {
            ceasei_add(&client->reused_total, 1, RELAXED);
        }
        bool multi = a->link->multi;
        e = multi ? ceasei_answer_exchange(ctx, a, c, &sent) : attempt(ctx, c, a, &sent);
        if (e == CEASE_OK) {
            return c->gzip ? ceasei_answer_unpack(a) : e;
        }
        bool mine = a->error != CEASE_OK || ceasei_upload_error(a) != CEASE_OK ||
                    e == CEASE_EINVAL || e == CEASE_ENOMEM;
        bool refused = multi && !sent;
        bool lost = !refused && reused && !repeated && (may_repeat(c) || !sent);
        if (mine || a->begun || !(refused || lost) || !is_time_left(ctx, c->call)) {
            say_why(c->call, ceasei_link_why(a->link));
            return e;
        }
        ceasei_upload_stop(a); /* before its body is begun again */
        if (!rewind_body(c)) {
            return e;
        }
        target.since = target.since.ns != 0 ? target.since : cease_now(); /* keeps its place */
        e = refused ? refused_again(ctx, a->link, &refusals) : CEASE_OK;
        if (e != CEASE_OK) {
            return e;
        }
        if (!refused) {
            repeated = true;
            ceasei_pool_distrust(a->link);
        }
        begin_again(a);
        ceasei_add(&client->retries_total, 1, RELAXED);
    }
}

/* ---- over a connection of its own ---- */

cease_error cease_http_do(cease_ctx *ctx, const cease_http_call *call, cease_http_reply *ret)
{
    struct ceasei_call c;
    cease_error e = ceasei_call_begin(call, &c);
    if (e != CEASE_OK || c.split.tls) {
        return e != CEASE_OK ? e : CEASE_ENOTSUP;
    }
    c.close = true;
    c.trace = c.baggage = true;
    struct cease_http_answer *a = ceasei_answer_new(CEASEI_ANSWER_HEAD_MAX);
    if (!a) {
        return CEASE_ENOMEM;
    }
    a->max = call->reply_max != 0 ? call->reply_max : CEASEI_ANSWER_REPLY_MAX;
    e = ceasei_exchange(ctx, NULL, &c, a);
    if (e == CEASE_OK) {
        a->reusable = false;
        e = ceasei_answer_reply(ctx, a, ret);
    }
    ceasei_answer_free(a);
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
