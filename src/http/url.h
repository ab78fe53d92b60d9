/* SPDX-License-Identifier: MIT
 *
 * url.h: percent-encoding, paths, queries and URLs, as pure functions (RFC 3986).
 */
#ifndef CEASE_HTTP_URL_H
#define CEASE_HTTP_URL_H

#include <cease/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes %XX, and with `plus` also '+' as a space. Returns the size of the result, which is never
 * larger, or -1 when a '%' is not followed by two hexadecimal digits. ret may be text itself. No
 * NUL is added. */
int64_t ceasei_url_decode(const char *text, size_t size, bool plus, char *ret);

/* Decodes the path of a request target into ret (size + 1 bytes, NUL-terminated). False for what is
 * no path or what two programs would read differently: no slash in front, bad encoding, a NUL, a
 * segment "." or "..", also when it is encoded. */
bool ceasei_url_path(const char *text, size_t size, char *ret, size_t *ret_size);

/* The first value of `name` in a query, decoded and NUL-terminated. As
 * cease_http_request_query_value. */
cease_error ceasei_url_query_value(const char *query, const char *name, char *ret, size_t size,
                                   size_t *ret_size);

/* An "http://" or "https://" URL, cut into borrowed pieces. */
struct ceasei_url {
    bool tls;
    const char *authority; /* host[:port], for the Host field */
    size_t authority_size;
    bool port;          /* whether authority ends in one */
    const char *target; /* path and query; "" means "/" */
    size_t target_size; /* without a fragment */
};

/* False: not such a URL, a user part, or a byte that may not stand in a request line. */
bool ceasei_url_split(const char *url, struct ceasei_url *ret);

#endif
