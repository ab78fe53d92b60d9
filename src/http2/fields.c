/* SPDX-License-Identifier: MIT
 *
 * fields.c: the header fields of a request that a client makes.
 *
 * What the caller gives is checked as strictly as what a peer sends: names are tokens and become small
 * letters, values have no control characters, and what only HTTP/1.1 has is refused, not dropped.
 */
#include "http2/fields.h"

#include <cease/propagate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OWN_FIELDS = 9, TIMEOUT_ROOM = 24 };

/* ---- the URL ---- */

static const char timeout_name[] = "x-request-timeout-ms";

struct url {
    const char *scheme, *authority, *target;
    size_t scheme_size, authority_size, target_size;
};

static bool split(const char *url, struct url *u)
{
    for (const char *p = url; *p; p++) {
        if (*p <= ' ' || *p == 0x7f) {
            return false;
        }
    }
    const char *mark = strstr(url, "://");
    if (!mark) {
        return false;
    }
    u->scheme = url;
    u->scheme_size = (size_t)(mark - url);
    if (!(u->scheme_size == 4 && strncasecmp(url, "http", 4) == 0) &&
        !(u->scheme_size == 5 && strncasecmp(url, "https", 5) == 0)) {
        return false;
    }
    u->authority = mark + 3;
    u->authority_size = strcspn(u->authority, "/?#");
    u->target = u->authority + u->authority_size;
    u->target_size = strcspn(u->target, "#");
    return u->authority_size > 0 && !memchr(u->authority, '@', u->authority_size);
}

/* ---- the fields ---- */

static bool is_token(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr("!#$%&'*+-.^_`|~", *p))) {
            return false;
        }
    }
    return text[0] != '\0';
}

static bool is_value(const char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f) {
            return false;
        }
    }
    return size == 0 ||
           (text[0] != ' ' && text[0] != '\t' && text[size - 1] != ' ' && text[size - 1] != '\t');
}

/* Fields that belong to the connection, or are ours to say. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"Connection",        "Keep-Alive", "Proxy-Connection",
                                        "Transfer-Encoding", "Upgrade",    "Host",
                                        "Content-Length"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static cease_error measure(const cease_http_header *h, size_t *count, size_t *size)
{
    for (; h && h->name; h++) {
        if (!h->value || !is_token(h->name) || !is_value(h->value) || is_ours(h->name)) {
            return CEASE_EINVAL;
        }
        *count += 1;
        *size += strlen(h->name);
    }
    return CEASE_OK;
}

static bool make_room(struct ceasei_h2_fields *f, size_t count, size_t text)
{
    f->nv = malloc(count * sizeof *f->nv + text);
    f->count = 0;
    return f->nv != NULL;
}

static void add(struct ceasei_h2_fields *f, const char *name, size_t name_size, const char *value,
                size_t value_size)
{
    f->nv[f->count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                                     .value = (uint8_t *)(uintptr_t)value,
                                     .namelen = name_size,
                                     .valuelen = value_size};
}

/* One whose value is another each time: it would only push others out of the compression's table. */
static void add_passing(struct ceasei_h2_fields *f, const char *name, size_t name_size,
                        const char *value, size_t value_size)
{
    add(f, name, name_size, value, value_size);
    f->nv[f->count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX;
}

/* What a context carries, as it is sent. */
struct carried {
    const cease_trace_context *trace; /* NULL: none */
    const char *baggage;              /* "": none */
    bool timed;                       /* how much time is left */
};

/* Whether that takes the place of a field of the caller's: what is handed on must be what is left. */
static bool replaces(const struct carried *c, const char *name)
{
    return (c->trace &&
            (strcasecmp(name, "traceparent") == 0 || strcasecmp(name, "tracestate") == 0)) ||
           (c->baggage[0] != '\0' && strcasecmp(name, "baggage") == 0) ||
           (c->timed && strcasecmp(name, timeout_name) == 0);
}

/* Fields that add_passing is for, when a caller gives them. */
static bool passes(const char *name, size_t size)
{
    return (size == sizeof timeout_name - 1 && memcmp(name, timeout_name, size) == 0) ||
           (size == 11 && memcmp(name, "traceparent", size) == 0);
}

/* The caller's fields; the small names go to *text. Their values stay where they are. */
static void add_list(struct ceasei_h2_fields *f, const cease_http_header *h,
                     const struct carried *carried, char **text)
{
    for (; h && h->name; h++) {
        if (replaces(carried, h->name)) {
            continue;
        }
        char *name = *text;
        for (const char *p = h->name; *p; p++) {
            *(*text)++ = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        }
        add(f, name, (size_t)(*text - name), h->value, strlen(h->value));
        if (passes(name, (size_t)(*text - name))) {
            f->nv[f->count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX;
        }
    }
}

/* The time that is left, for the server. False: there is none to be told. */
static bool add_deadline(struct ceasei_h2_fields *f, cease_ctx *ctx, const cease_http_call *call,
                         char *text)
{
    cease_time deadline;
    if (call->no_deadline || !cease_deadline(ctx, &deadline)) {
        return false;
    }
    cease_dur reserve = call->reserve.ns != 0 ? call->reserve : cease_ms(2);
    int64_t ms = cease_until(cease_time_add(deadline, cease_ns(-reserve.ns))).ns / 1000000;
    if (ms > INT64_C(9999999999)) {
        return false;
    }
    int n = snprintf(text, TIMEOUT_ROOM, "%lld", (long long)(ms > 0 ? ms : 0));
    add_passing(f, timeout_name, sizeof timeout_name - 1, text, (size_t)n);
    return true;
}

/* The trace and the baggage; `parent` has room for a traceparent. */
static void add_carried(struct ceasei_h2_fields *f, const struct carried *c, char *parent)
{
    if (c->trace) {
        cease_trace_format(c->trace, parent);
        add_passing(f, "traceparent", 11, parent, CEASE_TRACEPARENT_SIZE - 1);
        if (c->trace->state[0] != '\0') {
            add(f, "tracestate", 10, c->trace->state, strlen(c->trace->state));
        }
    }
    if (c->baggage[0] != '\0') {
        add(f, "baggage", 7, c->baggage, strlen(c->baggage));
    }
}

static void add_target(struct ceasei_h2_fields *f, const struct url *u, char **text)
{
    char *target = *text;
    if (u->target_size == 0 || u->target[0] != '/') {
        *(*text)++ = '/';
    }
    if (u->target_size > 0) {
        memcpy(*text, u->target, u->target_size);
        *text += u->target_size;
    }
    add(f, ":path", 5, target, (size_t)(*text - target));
}

cease_error ceasei_h2_fields_request(struct ceasei_h2_fields *f, cease_ctx *ctx,
                                     const cease_http_call *call, bool end,
                                     struct ceasei_h2_carries carries)
{
    struct carried carried = {.trace = carries.trace ? cease_trace_from_context(ctx) : NULL,
                              .baggage = carries.baggage ? cease_baggage_from_context(ctx) : ""};
    bool body = !end || call->body || call->body_read;
    const char *method = call->method ? call->method : body ? "POST" : "GET";
    struct url u;
    size_t count = OWN_FIELDS;
    size_t size = 2 * TIMEOUT_ROOM + CEASE_TRACEPARENT_SIZE + 1;
    *f = (struct ceasei_h2_fields){0};
    if (!call->url || !split(call->url, &u) || !is_token(method)) {
        return CEASE_EINVAL;
    }
    cease_error e = measure(call->headers, &count, &size);
    if (e != CEASE_OK) {
        return e;
    }
    if (!make_room(f, count, size + u.target_size)) {
        return CEASE_ENOMEM;
    }
    char *text = (char *)(f->nv + count);
    char *timeout = text;
    char *length = text + TIMEOUT_ROOM;
    char *parent = text + 2 * (size_t)TIMEOUT_ROOM;
    text = parent + CEASE_TRACEPARENT_SIZE;
    add(f, ":method", 7, method, strlen(method));
    add(f, ":scheme", 7, u.scheme_size == 4 ? "http" : "https", u.scheme_size);
    add(f, ":authority", 10, u.authority, u.authority_size);
    add_target(f, &u, &text);
    carried.timed = add_deadline(f, ctx, call, timeout);
    add_carried(f, &carried, parent);
    if (call->body_read ? call->body_length > 0 : call->body != NULL) {
        uint64_t all = call->body_read ? call->body_length : call->body_size;
        int n = snprintf(length, TIMEOUT_ROOM, "%llu", (unsigned long long)all);
        add(f, "content-length", 14, length, (size_t)n);
    }
    add_list(f, call->headers, &carried, &text);
    return CEASE_OK;
}

cease_error ceasei_h2_fields_trailers(struct ceasei_h2_fields *f, const cease_http_header *list)
{
    static const struct carried none = {.baggage = ""};
    size_t count = 0;
    size_t size = 0;
    *f = (struct ceasei_h2_fields){0};
    cease_error e = measure(list, &count, &size);
    if (e == CEASE_OK && count > 0) {
        if (!make_room(f, count, size)) {
            return CEASE_ENOMEM;
        }
        char *text = (char *)(f->nv + count);
        add_list(f, list, &none, &text);
    }
    return e;
}

void ceasei_h2_fields_deinit(struct ceasei_h2_fields *f)
{
    free(f->nv);
    *f = (struct ceasei_h2_fields){0};
}
