/* SPDX-License-Identifier: MIT
 *
 * url.c: percent-encoding, paths, queries and URLs, as pure functions (RFC 3986).
 *
 * Every function reads exactly the bytes it is given and writes at most as many as its header says.
 * A path is decoded once, in one place, and refused when its meaning would depend on who decodes it
 * (a dot segment, a NUL): so a handler can compare it, or join it to a folder, as it is. An encoded
 * slash inside a segment is decoded too; routes are matched on the segments before that (route.c).
 */
#include "http/url.h"

#include "http/parse.h"

#include <cease/http.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int letter = c | 32;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

int64_t ceasei_url_decode(const char *text, size_t size, bool plus, char *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = size - i > 2 ? hex(text[i + 1]) : -1;
            int low = size - i > 2 ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return -1;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        ret[n++] = c;
    }
    return (int64_t)n;
}

/* "." and ".." between slashes, in a decoded path. */
static bool has_dot_segment(const char *path, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (path[i] != '/') {
            continue;
        }
        size_t n = 0;
        while (i + 1 + n < size && path[i + 1 + n] == '.' && n < 3) {
            n++;
        }
        bool ends = i + 1 + n == size || path[i + 1 + n] == '/';
        if (ends && (n == 1 || n == 2)) {
            return true;
        }
    }
    return false;
}

bool ceasei_url_path(const char *text, size_t size, char *ret, size_t *ret_size)
{
    int64_t n = ceasei_url_decode(text, size, false, ret);
    if (n < 1 || text[0] != '/' || memchr(ret, 0, (size_t)n) || has_dot_segment(ret, (size_t)n)) {
        return false;
    }
    ret[n] = '\0';
    *ret_size = (size_t)n;
    return true;
}

/* Whether an encoded key of a query says `name`. */
static bool key_is(const char *key, size_t size, const char *name)
{
    size_t length = strlen(name);
    size_t at = 0;
    for (size_t i = 0; i < size; at++) {
        size_t step = key[i] == '%' ? 3 : 1;
        char c;
        if (i + step > size || ceasei_url_decode(key + i, step, true, &c) != 1 || at >= length ||
            c != name[at]) {
            return false;
        }
        i += step;
    }
    return at == length;
}

cease_error ceasei_url_query_value(const char *query, const char *name, char *ret, size_t size,
                                   size_t *ret_size)
{
    for (const char *pair = query; *pair;) {
        size_t pair_size = strcspn(pair, "&");
        const char *equal = memchr(pair, '=', pair_size);
        size_t key_size = equal ? (size_t)(equal - pair) : pair_size;
        if (!key_is(pair, key_size, name)) {
            pair += pair_size + (pair[pair_size] == '&');
            continue;
        }
        const char *value = equal ? equal + 1 : "";
        size_t value_size = equal ? pair_size - key_size - 1 : 0;
        size_t n = 0;
        for (size_t i = 0; i < value_size; n++) {
            size_t step = value[i] == '%' ? 3 : 1;
            char c;
            if (i + step > value_size || ceasei_url_decode(value + i, step, true, &c) != 1) {
                return CEASE_EPARSE;
            }
            if (n + 1 >= size) {
                return CEASE_ERANGE;
            }
            ret[n] = c;
            i += step;
        }
        if (n >= size) {
            return CEASE_ERANGE;
        }
        ret[n] = '\0';
        if (ret_size) {
            *ret_size = n;
        }
        return CEASE_OK;
    }
    return CEASE_ENOENT;
}

cease_error cease_http_encode(const char *text, char *ret, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool letter = (*p | 32) >= 'a' && (*p | 32) <= 'z';
        bool plain = letter || (*p >= '0' && *p <= '9') || strchr("-._~", *p);
        if (n + (plain ? 1 : 3) >= size) {
            return CEASE_ERANGE;
        }
        if (plain) {
            ret[n++] = (char)*p;
        } else {
            ret[n++] = '%';
            ret[n++] = digits[*p >> 4];
            ret[n++] = digits[*p & 15];
        }
    }
    if (n >= size) {
        return CEASE_ERANGE;
    }
    ret[n] = '\0';
    return CEASE_OK;
}

bool ceasei_url_split(const char *url, struct ceasei_url *ret)
{
    struct ceasei_url u = {.tls = strncasecmp(url, "https://", 8) == 0};
    if (!u.tls && strncasecmp(url, "http://", 7) != 0) {
        return false;
    }
    u.authority = url + (u.tls ? 8 : 7);
    u.authority_size = strcspn(u.authority, "/?#");
    u.target = u.authority + u.authority_size;
    u.target_size = strcspn(u.target, "#");
    if (u.authority_size == 0 || u.authority_size > 255 || u.authority[0] == ':') {
        return false;
    }
    for (size_t i = 0; i < u.authority_size; i++) {
        if (!(ceasei_http_kind[(unsigned char)u.authority[i]] & CEASEI_HTTP_HOST)) {
            return false;
        }
        /* a colon after the last bracket starts the port */
        u.port = u.authority[i] == ':' ? true : u.authority[i] == ']' ? false : u.port;
    }
    for (size_t i = 0; i < u.target_size; i++) {
        if (!(ceasei_http_kind[(unsigned char)u.target[i]] & CEASEI_HTTP_TARGET)) {
            return false;
        }
    }
    *ret = u;
    return true;
}
