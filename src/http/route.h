/* SPDX-License-Identifier: MIT
 *
 * route.h: from a method and a path to a handler.
 */
#ifndef CEASE_HTTP_ROUTE_H
#define CEASE_HTTP_ROUTE_H

#include <cease/http.h>

enum { CEASEI_HTTP_SEGMENTS_MAX = 16 };

struct ceasei_route_segment {
    const char *text; /* of a literal, decoded; of a parameter, its name */
    uint32_t size;
    enum ceasei_segment_kind { CEASEI_LITERAL, CEASEI_PARAM, CEASEI_REST } kind;
};

struct ceasei_route {
    cease_http_route opts; /* with our copies of method (NULL: every) and pattern */
    struct ceasei_route_segment segments[CEASEI_HTTP_SEGMENTS_MAX];
    uint32_t count;
    char *memory; /* what the pointers point into */
};

struct ceasei_routes {
    struct ceasei_route *list; /* the literal ones first wherever two match the same path */
    size_t count;
};

/* What a match took out of the path, decoded and NUL-terminated. */
struct ceasei_http_params {
    struct ceasei_http_param {
        const char *name; /* of name_size bytes, not terminated */
        const char *value;
        uint32_t name_size;
    } list[CEASEI_HTTP_SEGMENTS_MAX];
    uint32_t count;
};

cease_error ceasei_routes_add(struct ceasei_routes *r, const cease_http_route *route);
void ceasei_routes_deinit(struct ceasei_routes *r);

/* The route for a method and an encoded path; values are decoded into `scratch`, which has room for
 * the path's size + CEASEI_HTTP_SEGMENTS_MAX. NULL: *ret_status is 404; or 405, and `allow` (64 bytes)
 * lists the methods that the path has. */
const struct ceasei_route *ceasei_routes_find(const struct ceasei_routes *r, const char *method,
                                              const char *path, size_t path_size, char *scratch,
                                              struct ceasei_http_params *params, int *ret_status,
                                              char allow[64]);

#endif
