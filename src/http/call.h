/* SPDX-License-Identifier: MIT
 *
 * call.h: a request of the client's on its way from hop to hop, and the making of its head.
 */
#ifndef CEASE_HTTP_CALL_H
#define CEASE_HTTP_CALL_H

#include "http/growing.h"
#include "http/pool.h"
#include "http/proxy.h"
#include "http/url.h"

/* What changes from redirect to redirect beside what the caller has asked for. */
struct ceasei_call {
    const cease_http_call *call;
    const char *method;
    const char *url;     /* the caller's, or the answer's */
    const char *address; /* the caller's, while the origin is the same */
    bool foreign;        /* the first origin was left */
    bool dropped;        /* the body was */
    bool close;          /* say Connection: close */
    bool gzip;           /* ask for it, where that makes sense */
    bool trace, baggage; /* send what the context carries */
    struct ceasei_url split;
    const struct ceasei_proxy *proxy;     /* NULL: none */
    char host[CEASEI_AUTHORITY_MAX];      /* lower case, without brackets */
    char authority[CEASEI_AUTHORITY_MAX]; /* lower case, with a port */
};

/* Checks the caller's words and fills c in: CEASE_EINVAL. */
cease_error ceasei_call_begin(const cease_http_call *call, struct ceasei_call *ret);
/* Splits the URL and finds the host. False: it cannot be used. */
bool ceasei_call_locate(struct ceasei_call *c);
/* Where to connect. It points into c. */
struct ceasei_target ceasei_call_target(const struct ceasei_call *c);
/* The port in c->authority. */
const char *ceasei_call_port(const struct ceasei_call *c);

/* Adds the head of the request. */
cease_error ceasei_call_head(cease_ctx *ctx, const struct ceasei_call *c, struct ceasei_text *t);
/* Whether it asks before its body is sent. */
bool ceasei_call_asks(const struct ceasei_call *c);
/* Whether the caller has given a field of that name. */
bool ceasei_call_has(const struct ceasei_call *c, const char *name);

#endif
