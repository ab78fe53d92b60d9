/* SPDX-License-Identifier: MIT
 *
 * redirect.c: where a redirect leads, and what of the request goes along (RFC 9110, 15.4).
 */
#include "http/redirect.h"

#include "http/parse.h"
#include "http/url.h"

#include <string.h>
#include <strings.h>

/* The length of "scheme:" at the start of a reference; 0: it is relative. */
static size_t scheme_size(const char *text)
{
    size_t n = 0;
    while ((text[n] | 32) >= 'a' && (text[n] | 32) <= 'z') {
        n++;
    }
    while (n > 0 &&
           (((text[n] | 32) >= 'a' && (text[n] | 32) <= 'z') ||
            (text[n] >= '0' && text[n] <= '9') || strchr("+-.", text[n])) &&
           text[n] != '\0') {
        n++;
    }
    return n > 0 && text[n] == ':' ? n + 1 : 0;
}

/* Takes "." and ".." out of a path that begins with a slash (RFC 3986, 5.2.4), in place. */
static size_t remove_dots(char *path, size_t size)
{
    size_t out = 0;
    size_t i = 0;
    while (i < size) { /* path[i] is a slash: the segment behind it goes, or is kept with it */
        size_t end = i + 1;
        while (end < size && path[end] != '/') {
            end++;
        }
        size_t n = end - i - 1;
        bool one = n == 1 && path[i + 1] == '.';
        bool two = n == 2 && path[i + 1] == '.' && path[i + 2] == '.';
        if (two) {
            while (out > 0 && path[--out] != '/') {
            }
        }
        if (!one && !two) {
            memmove(path + out, path + i, end - i);
            out += end - i;
        } else if (end == size) {
            path[out++] = '/';
        }
        i = end;
    }
    return out;
}

static void add_encoded(struct ceasei_text *t, const char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        if (ceasei_http_kind[c] & CEASEI_HTTP_TARGET && c != '\\') {
            ceasei_text_add(t, text + i, 1);
        } else {
            ceasei_text_add(t, escape, 3);
        }
    }
}

/* A path, merged with the base's when it is relative, and the query behind it. */
static void add_path(struct ceasei_text *t, const struct ceasei_url *base, const char *reference)
{
    size_t at = t->size;
    size_t path = strcspn(reference, "?#");
    size_t base_path = 0;
    while (base_path < base->target_size && base->target[base_path] != '?') {
        base_path++;
    }
    bool empty = base_path == 0 || base->target[0] != '/';
    if (path == 0 || reference[0] != '/') {
        size_t kept = base_path;
        while (path > 0 && kept > 0 && base->target[kept - 1] != '/') {
            kept--;
        }
        ceasei_text_add(t, "/", empty ? 1 : 0);
        add_encoded(t, base->target, empty ? 0 : kept);
    }
    add_encoded(t, reference, path);
    if (!t->failed && path > 0) {
        t->size = at + remove_dots(t->data + at, t->size - at);
    }
    if (path == 0 && reference[0] != '?') { /* nothing at all, or a fragment: the same document */
        add_encoded(t, base->target + base_path, base->target_size - base_path);
        return;
    }
    add_encoded(t, reference + path, strcspn(reference + path, "#"));
}

bool ceasei_redirect_resolve(const char *base, const char *location, struct ceasei_text *t)
{
    struct ceasei_url u;
    struct ceasei_url to;
    if (!ceasei_url_split(base, &u)) {
        return false;
    }
    size_t scheme = scheme_size(location);
    bool has_authority = scheme > 0 || strncmp(location, "//", 2) == 0;
    const char *prefix = u.tls ? "https:" : "http:";
    if (scheme > 0) {
        bool http = scheme == 5 && strncasecmp(location, "http:", 5) == 0;
        bool https = scheme == 6 && strncasecmp(location, "https:", 6) == 0;
        if ((!http && !https) || strncmp(location + scheme, "//", 2) != 0) {
            return false;
        }
        prefix = https ? "https:" : "http:";
        location += scheme;
    }
    ceasei_text_put(t, prefix);
    ceasei_text_put(t, "//");
    if (has_authority) {
        size_t size = strcspn(location + 2, "/?#");
        ceasei_text_add(t, location + 2, size);
        u.target_size = 0; /* there is nothing to be relative to */
        location += 2 + size;
    } else {
        ceasei_text_add(t, u.authority, u.authority_size);
    }
    add_path(t, &u, location);
    ceasei_text_add(t, "", 1);
    return !t->failed && ceasei_url_split(t->data, &to);
}

bool ceasei_redirect_is(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool ceasei_redirect_drops_body(int status, const char *method)
{
    if (status == 303) {
        return strcmp(method, "HEAD") != 0 && strcmp(method, "GET") != 0;
    }
    return (status == 301 || status == 302) && strcmp(method, "POST") == 0;
}

bool ceasei_redirect_hides(const char *name, bool foreign, bool dropped)
{
    static const char *const secret[] = {"Authorization", "Cookie", "Proxy-Authorization", "Host",
                                         "baggage"};
    for (size_t i = 0; foreign && i < sizeof secret / sizeof *secret; i++) {
        if (strcasecmp(name, secret[i]) == 0) {
            return true;
        }
    }
    return dropped && strncasecmp(name, "Content-", 8) == 0;
}
