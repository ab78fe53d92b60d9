/* SPDX-License-Identifier: MIT
 *
 * fields.h: the header fields of a request that a client makes.
 */
#ifndef CEASE_HTTP2_FIELDS_H
#define CEASE_HTTP2_FIELDS_H

#include <cease/context.h>
#include <cease/http.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>

/* Pairs whose texts are in one block with them; to be freed by ceasei_h2_fields_deinit. */
struct ceasei_h2_fields {
    nghttp2_nv *nv;
    size_t count;
};

/* What of a context's a client sends, besides the time that is left. */
struct ceasei_h2_carries {
    bool trace, baggage;
};

/* The head of call's request, with what ctx carries, which replaces fields of the caller's.
 * CEASE_EINVAL: URL, method or a field. */
cease_error ceasei_h2_fields_request(struct ceasei_h2_fields *f, cease_ctx *ctx,
                                     const cease_http_call *call, bool end,
                                     struct ceasei_h2_carries carries);
/* Trailers: NULL is none. */
cease_error ceasei_h2_fields_trailers(struct ceasei_h2_fields *f, const cease_http_header *list);
void ceasei_h2_fields_deinit(struct ceasei_h2_fields *f);

#endif
