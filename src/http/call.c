/* SPDX-License-Identifier: MIT
 *
 * call.c: from a call to the head of a request.
 *
 * The client writes the fields that frame the message and those that the context carries; a field of the
 * caller's that frames is refused, one that the context carries as well is replaced: what is handed on
 * must be what is left, not what came in.
 */
#include "http/call.h"

#include "http/parse.h"
#include "http/propagate.h"
#include "http/redirect.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool ceasei_call_locate(struct ceasei_call *c)
{
    if (!c->url || !ceasei_url_split(c->url, &c->split) || c->split.authority_size > 255) {
        return false;
    }
    const struct ceasei_url *u = &c->split;
    size_t n = 0;
    for (; n < u->authority_size; n++) {
        char letter = u->authority[n];
        c->authority[n] = letter >= 'A' && letter <= 'Z' ? (char)(letter | 32) : letter;
    }
    c->authority[n] = '\0';
    size_t host = u->port ? (size_t)(strrchr(c->authority, ':') - c->authority) : n;
    bool brackets = c->authority[0] == '[';
    if (n > 0 && c->authority[n - 1] == ':') {
        return false; /* a port must be told */
    }
    if (brackets && (host < 3 || c->authority[host - 1] != ']')) {
        return false;
    }
    memcpy(c->host, c->authority + brackets, host - 2 * (size_t)brackets);
    c->host[host - 2 * (size_t)brackets] = '\0';
    if (!u->port) {
        memcpy(c->authority + n, u->tls ? ":443" : ":80", u->tls ? 5 : 4);
    }
    return c->host[0] != '\0';
}

const char *ceasei_call_port(const struct ceasei_call *c)
{
    return strrchr(c->authority, ':') + 1;
}

struct ceasei_target ceasei_call_target(const struct ceasei_call *c)
{
    struct ceasei_target t = {.tls = c->split.tls,
                              .host = c->host,
                              .host_size = strlen(c->host),
                              .authority = c->authority,
                              .authority_size = strlen(c->authority),
                              .address = c->address ? c->address : c->authority,
                              .proxy_auth = ""};
    if (c->proxy) {
        t.address = c->proxy->address;
        t.tunnel = c->split.tls;
        t.proxy_auth = c->proxy->auth;
        t.authority_size = t.tunnel ? t.authority_size : 0; /* any host goes over it */
    }
    return t;
}

static bool is_framing(const char *name)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
           strcasecmp(name, "Connection") == 0;
}

cease_error ceasei_call_begin(const cease_http_call *call, struct ceasei_call *ret)
{
    bool body = call->body || call->body_read;
    *ret = (struct ceasei_call){.call = call,
                                .method = call->method ? call->method
                                          : body       ? "POST"
                                                       : "GET",
                                .url = call->url,
                                .address = call->address};
    bool ok = ceasei_http_is_name(ret->method, strlen(ret->method));
    for (const cease_http_header *h = call->headers; ok && h && h->name; h++) {
        ok = h->value && ceasei_http_is_name(h->name, strlen(h->name)) &&
             ceasei_http_is_value(h->value, strlen(h->value)) && !is_framing(h->name);
    }
    return ok && ceasei_call_locate(ret) ? CEASE_OK : CEASE_EINVAL;
}

bool ceasei_call_has(const struct ceasei_call *c, const char *name)
{
    for (const cease_http_header *h = c->call->headers; h && h->name; h++) {
        if (strcasecmp(h->name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool ceasei_call_asks(const struct ceasei_call *c)
{
    const cease_http_call *call = c->call;
    return call->expect_continue && !c->dropped &&
           (call->body_read || (call->body && call->body_size > 0));
}

/* The time that is left, for the server. False: nothing to say. */
static bool time_left(cease_ctx *ctx, const struct ceasei_call *c, int64_t *ret_ms)
{
    cease_time deadline;
    if (c->call->no_deadline || !cease_deadline(ctx, &deadline)) {
        return false;
    }
    cease_dur reserve = c->call->reserve.ns != 0 ? c->call->reserve : cease_ms(2);
    int64_t ms = cease_until(cease_time_add(deadline, cease_ns(-reserve.ns))).ns / 1000000;
    *ret_ms = ms > 0 ? ms : 0;
    return ms <= INT64_C(9999999999);
}

/* Gives whether a Host was among them. */
static bool add_fields(cease_ctx *ctx, const struct ceasei_call *c, bool timed,
                       struct ceasei_text *t)
{
    bool host = false;
    for (const cease_http_header *h = c->call->headers; h && h->name; h++) {
        if (ceasei_redirect_hides(h->name, c->foreign, c->dropped) ||
            ceasei_propagate_replaces(ctx, c->trace, c->baggage, h->name) ||
            (timed && strcasecmp(h->name, "X-Request-Timeout-Ms") == 0)) {
            continue;
        }
        host = host || strcasecmp(h->name, "Host") == 0;
        ceasei_text_put(t, h->name);
        ceasei_text_add(t, ": ", 2);
        ceasei_text_put(t, h->value);
        ceasei_text_add(t, "\r\n", 2);
    }
    return host;
}

static void add_framing(const struct ceasei_call *c, struct ceasei_text *t)
{
    const cease_http_call *call = c->call;
    char line[64];
    bool expected = strcmp(c->method, "POST") == 0 || strcmp(c->method, "PUT") == 0;
    unsigned long long length = call->body_read ? call->body_length : call->body_size;
    if (c->dropped || (!call->body && !call->body_read)) {
        length = 0;
        if (!expected) {
            return;
        }
    } else if (call->body_read && call->body_length == 0) {
        ceasei_text_put(t, "Transfer-Encoding: chunked\r\n");
        return;
    }
    snprintf(line, sizeof line, "Content-Length: %llu\r\n", length);
    ceasei_text_put(t, line);
}

static void add_request_line(const struct ceasei_call *c, struct ceasei_text *t)
{
    const struct ceasei_url *u = &c->split;
    ceasei_text_put(t, c->method);
    ceasei_text_put(t, " ");
    if (c->proxy && !u->tls) {
        ceasei_text_put(t, "http://");
        ceasei_text_add(t, u->authority, u->authority_size);
    }
    if (u->target_size == 0 || u->target[0] != '/') {
        ceasei_text_put(t, "/");
    }
    ceasei_text_add(t, u->target, u->target_size);
    ceasei_text_put(t, " HTTP/1.1\r\n");
}

cease_error ceasei_call_head(cease_ctx *ctx, const struct ceasei_call *c, struct ceasei_text *t)
{
    char line[64];
    int64_t ms = 0;
    bool timed = time_left(ctx, c, &ms);
    add_request_line(c, t);
    if (!add_fields(ctx, c, timed, t)) {
        ceasei_text_put(t, "Host: ");
        ceasei_text_add(t, c->split.authority, c->split.authority_size);
        ceasei_text_put(t, "\r\n");
    }
    add_framing(c, t);
    if (ceasei_call_asks(c)) {
        ceasei_text_put(t, "Expect: 100-continue\r\n");
    }
    if (c->gzip) {
        ceasei_text_put(t, "Accept-Encoding: gzip\r\n");
    }
    if (timed) {
        snprintf(line, sizeof line, "X-Request-Timeout-Ms: %lld\r\n", (long long)ms);
        ceasei_text_put(t, line);
    }
    ceasei_propagate_out(ctx, c->trace, c->baggage, t);
    if (c->proxy && !c->split.tls) {
        ceasei_text_put(t, c->proxy->auth);
    }
    ceasei_text_put(t, c->close ? "Connection: close\r\n\r\n" : "\r\n");
    return t->failed ? CEASE_ENOMEM : CEASE_OK;
}
