/* SPDX-License-Identifier: MIT
 *
 * route.c: from a method and a path to a handler. Pure once the routes are there.
 *
 * A pattern is compared segment by segment with the encoded path, each segment decoded for itself, so
 * that an encoded slash never moves a border. The list is kept in order of preference (at the first
 * segment where two patterns differ in kind, the literal comes first, then the parameter, then the
 * rest), so the first match is the best, whatever was added first. A linear search: a server has tens
 * of routes, and most patterns fail at their first byte.
 */
#include "http/route.h"

#include "http/parse.h"
#include "http/url.h"

#include <stdlib.h>
#include <string.h>

/* One segment of a pattern, [p, p + size). */
static bool parse_segment(const char *p, size_t size, bool last, struct ceasei_route_segment *ret)
{
    ret->kind = CEASEI_LITERAL;
    ret->text = p;
    ret->size = (uint32_t)size;
    if (size == 0 || p[0] != '{') {
        return !memchr(p, '{', size) && !memchr(p, '}', size);
    }
    if (size < 3 || p[size - 1] != '}') {
        return false;
    }
    ret->kind = CEASEI_PARAM;
    ret->text++;
    ret->size -= 2;
    if (ret->size > 3 && memcmp(ret->text + ret->size - 3, "...", 3) == 0) {
        ret->kind = CEASEI_REST;
        ret->size -= 3;
    }
    return (ret->kind == CEASEI_PARAM || last) && ceasei_http_is_name(ret->text, ret->size);
}

static bool parse_pattern(struct ceasei_route *r)
{
    const char *p = r->opts.pattern;
    if (*p != '/') {
        return false;
    }
    while (*p == '/') {
        size_t size = strcspn(++p, "/");
        if (r->count == CEASEI_HTTP_SEGMENTS_MAX ||
            !parse_segment(p, size, p[size] == '\0', &r->segments[r->count++])) {
            return false;
        }
        p += size;
    }
    return true;
}

/* Negative: a is asked before b; 0: they match the same paths. */
static int compare(const struct ceasei_route *a, const struct ceasei_route *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        const struct ceasei_route_segment *x = &a->segments[i];
        const struct ceasei_route_segment *y = &b->segments[i];
        if (x->kind != y->kind) {
            return (int)x->kind - (int)y->kind;
        }
        int order = x->kind != CEASEI_LITERAL ? 0
                    : x->size != y->size      ? (x->size < y->size ? -1 : 1)
                                              : memcmp(x->text, y->text, x->size);
        if (order != 0) {
            return order;
        }
    }
    return a->count < b->count ? -1 : a->count > b->count;
}

static bool same_method(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static cease_error make(const cease_http_route *route, struct ceasei_route *ret)
{
    const char *method = route->method;
    if (!route->pattern || !route->fn || (method && !ceasei_http_is_name(method, strlen(method)))) {
        return CEASE_EINVAL;
    }
    size_t size = strlen(route->pattern) + 1;
    size_t known = route->size > 0 && route->size < sizeof *route ? route->size : sizeof *route;
    *ret = (struct ceasei_route){0};
    memcpy(&ret->opts, route, known);
    ret->memory = malloc(size + (method ? strlen(method) + 1 : 0));
    if (!ret->memory) {
        return CEASE_ENOMEM;
    }
    ret->opts.pattern = memcpy(ret->memory, route->pattern, size);
    if (method) {
        ret->opts.method = memcpy(ret->memory + size, method, strlen(method) + 1);
    }
    if (!parse_pattern(ret)) {
        free(ret->memory);
        return CEASE_EINVAL;
    }
    return CEASE_OK;
}

cease_error ceasei_routes_add(struct ceasei_routes *r, const cease_http_route *route)
{
    struct ceasei_route made;
    cease_error e = make(route, &made);
    if (e != CEASE_OK) {
        return e;
    }
    size_t at = 0;
    for (; at < r->count && compare(&r->list[at], &made) <= 0; at++) {
        if (compare(&r->list[at], &made) == 0 &&
            same_method(r->list[at].opts.method, made.opts.method)) {
            free(made.memory);
            return CEASE_EEXIST;
        }
    }
    struct ceasei_route *list = realloc(r->list, (r->count + 1) * sizeof *list);
    if (!list) {
        free(made.memory);
        return CEASE_ENOMEM;
    }
    memmove(&list[at + 1], &list[at], (r->count - at) * sizeof *list);
    list[at] = made;
    r->list = list;
    r->count++;
    return CEASE_OK;
}

void ceasei_routes_deinit(struct ceasei_routes *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const cease_http_route *own = &r->list[i].opts;
        if (own->release) {
            own->release(own->arg);
        }
        free(r->list[i].memory);
    }
    free(r->list);
    *r = (struct ceasei_routes){0};
}

/* Matches one segment of the path, or all the rest of it, and moves *scratch past its value. */
static bool match_segment(const struct ceasei_route_segment *s, const char *p, size_t size,
                          char **scratch, struct ceasei_http_params *params)
{
    int64_t n = ceasei_url_decode(p, size, false, *scratch);
    if (n < 0) {
        return false;
    }
    if (s->kind == CEASEI_LITERAL) {
        return (uint64_t)n == s->size && memcmp(*scratch, s->text, s->size) == 0;
    }
    if (n == 0 && s->kind == CEASEI_PARAM) {
        return false;
    }
    (*scratch)[n] = '\0';
    params->list[params->count++] = (struct ceasei_http_param){s->text, *scratch, s->size};
    *scratch += n + 1;
    return true;
}

static bool match(const struct ceasei_route *r, const char *path, size_t path_size, char *scratch,
                  struct ceasei_http_params *params)
{
    const char *p = path;
    const char *end = path + path_size;
    params->count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct ceasei_route_segment *s = &r->segments[i];
        if (p == end) {
            return false;
        }
        p++; /* the slash */
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *next = slash && s->kind != CEASEI_REST ? slash : end;
        if (!match_segment(s, p, (size_t)(next - p), &scratch, params)) {
            return false;
        }
        p = next;
    }
    return p == end;
}

static bool serves(const struct ceasei_route *r, const char *method)
{
    const char *own = r->opts.method;
    return !own || strcmp(own, method) == 0 ||
           (strcmp(own, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void allow_add(char allow[64], const char *method)
{
    size_t have = strlen(allow);
    size_t size = strlen(method);
    if (have + 2 + size + 1 <= 64) {
        memcpy(allow + have, ", ", have > 0 ? 2 : 0);
        memcpy(allow + have + (have > 0 ? 2 : 0), method, size + 1);
    }
}

const struct ceasei_route *ceasei_routes_find(const struct ceasei_routes *r, const char *method,
                                              const char *path, size_t path_size, char *scratch,
                                              struct ceasei_http_params *params, int *ret_status,
                                              char allow[64])
{
    allow[0] = '\0';
    *ret_status = 404;
    for (size_t i = 0; i < r->count; i++) {
        const struct ceasei_route *route = &r->list[i];
        if (!match(route, path, path_size, scratch, params)) {
            continue;
        }
        if (serves(route, method)) {
            return route;
        }
        *ret_status = 405;
        allow_add(allow, route->opts.method);
        if (strcmp(route->opts.method, "GET") == 0) {
            allow_add(allow, "HEAD");
        }
    }
    params->count = 0;
    return NULL;
}
