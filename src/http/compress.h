/* SPDX-License-Identifier: MIT
 *
 * compress.h: what stands between a handler's writes and the response, when that is compressed.
 */
#ifndef CEASE_HTTP_COMPRESS_H
#define CEASE_HTTP_COMPRESS_H

#include <cease/http.h>
#include <stdbool.h>

struct ceasei_compress;

/* What cease_http_response_write, _flush and _end do when res->compress is set. */
cease_error ceasei_compress_write(cease_ctx *ctx, struct ceasei_compress *c,
                                  cease_http_response *res, const void *data, size_t size);
cease_error ceasei_compress_flush(cease_ctx *ctx, struct ceasei_compress *c,
                                  cease_http_response *res);
/* The end of the body is written; res->compress is NULL afterwards. */
cease_error ceasei_compress_finish(cease_ctx *ctx, struct ceasei_compress *c,
                                   cease_http_response *res);

/* Whether an Accept-Encoding takes gzip (RFC 9110, 12.5.3). Pure. */
bool ceasei_accepts_gzip(const char *accept);

#endif
