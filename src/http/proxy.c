/* SPDX-License-Identifier: MIT
 *
 * proxy.c: which proxy a request goes through: the environment's, as curl and Go read it.
 *
 * HTTP_PROXY in upper case is not looked at: in a CGI program it is the request's field "Proxy". A
 * user and password in the proxy's URL become its Proxy-Authorization (RFC 7617); they are taken as they
 * are, percent-decoded.
 */
#include "http/proxy.h"

#include "http/parse.h"
#include "http/url.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool add_auth(const char *user, size_t size, struct ceasei_proxy *p)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char plain[256];
    int64_t n = size < sizeof plain ? ceasei_url_decode(user, size, false, plain) : -1;
    if (n < 0) {
        return false;
    }
    memset(plain + n, 0, sizeof plain - (size_t)n);
    size_t at = (size_t)snprintf(p->auth, sizeof p->auth, "Proxy-Authorization: Basic ");
    for (int64_t i = 0; i < n; i += 3) {
        unsigned bits = (unsigned)(unsigned char)plain[i] << 16 |
                        (unsigned)(i + 1 < n ? (unsigned char)plain[i + 1] : 0) << 8 |
                        (unsigned)(i + 2 < n ? (unsigned char)plain[i + 2] : 0);
        p->auth[at++] = digits[bits >> 18];
        p->auth[at++] = digits[bits >> 12 & 63];
        p->auth[at++] = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        p->auth[at++] = i + 2 < n ? digits[bits & 63] : '=';
    }
    memcpy(p->auth + at, "\r\n", 3);
    return true;
}

bool ceasei_proxy_parse(const char *text, struct ceasei_proxy *ret)
{
    struct ceasei_proxy p = {.set = true};
    struct ceasei_url u;
    char url[CEASEI_AUTHORITY_MAX];
    if (strncasecmp(text, "http://", 7) == 0) {
        text += 7;
    } else if (strstr(text, "://")) {
        return false; /* another protocol */
    }
    size_t size = strcspn(text, "/");
    const char *at = memrchr(text, '@', size);
    if (at) {
        if (!add_auth(text, (size_t)(at - text), &p)) {
            return false;
        }
        size -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    int n = snprintf(url, sizeof url, "http://%.*s", (int)(size < 280 ? size : 280), text);
    if (size > 260 || n < 0 || !ceasei_url_split(url, &u)) {
        return false;
    }
    snprintf(p.address, sizeof p.address, "%.*s%s", (int)u.authority_size, u.authority,
             u.port ? "" : ":80");
    *ret = p;
    return true;
}

/* ---- addresses ---- */

/* Reads an address: 4 or 16 bytes; 0: it is none. */
static size_t address_of(const char *text, size_t size, uint8_t ret[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[64];
    if (size >= sizeof copy) {
        return 0;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (inet_pton(AF_INET, copy, ret) == 1) {
        return 4;
    }
    if (inet_pton(AF_INET6, copy, ret) != 1) {
        return 0;
    }
    if (memcmp(ret, mapped, sizeof mapped) == 0) { /* of version 4 in the form of version 6 */
        memmove(ret, ret + 12, 4);
        return 4;
    }
    return 16;
}

static bool is_loopback(const char *host, size_t size)
{
    static const uint8_t one[16] = {[15] = 1};
    uint8_t ip[16];
    size_t bytes = address_of(host, size, ip);
    return (size == 9 && strncasecmp(host, "localhost", 9) == 0) || (bytes == 4 && ip[0] == 127) ||
           (bytes == 16 && memcmp(ip, one, sizeof one) == 0);
}

/* Whether an entry "address" or "address/bits" has the address. */
static bool network_has(const char *entry, size_t size, const uint8_t *ip, size_t bytes)
{
    uint8_t net[16];
    const char *slash = memchr(entry, '/', size);
    unsigned bits = (unsigned)bytes * 8;
    if (slash) {
        size_t digits = size - (size_t)(slash + 1 - entry);
        if (digits < 1 || digits > 3 || strspn(slash + 1, "0123456789") < digits) {
            return false;
        }
        unsigned wanted = (unsigned)strtoul(slash + 1, NULL, 10);
        if (wanted > bits) {
            return false;
        }
        bits = wanted;
    }
    if (address_of(entry, slash ? (size_t)(slash - entry) : size, net) != bytes) {
        return false;
    }
    unsigned rest = bits % 8;
    return memcmp(net, ip, bits / 8) == 0 &&
           (rest == 0 || (net[bits / 8] ^ ip[bits / 8]) >> (8 - rest) == 0);
}

/* One entry: "host", ".domain", "*", an address, each with ":port" or without; "address/bits". */
static bool entry_has(const char *entry, size_t size, const char *host, size_t host_size,
                      const char *port)
{
    if (size == 1 && *entry == '*') {
        return true;
    }
    bool brackets = size > 1 && *entry == '[';
    const char *end = brackets ? memchr(entry, ']', size) : NULL;
    const char *colon = memrchr(entry, ':', size);
    bool plain_v6 = !brackets && colon && memchr(entry, ':', (size_t)(colon - entry));
    if (colon && !plain_v6 && (!brackets || (end && colon > end))) {
        size_t digits = size - (size_t)(colon + 1 - entry);
        if (digits != strlen(port) || memcmp(colon + 1, port, digits) != 0) {
            return false;
        }
        size = (size_t)(colon - entry);
    }
    if (brackets && end) {
        size = (size_t)(end - entry - 1);
        entry++;
    }
    uint8_t ip[16];
    size_t bytes = address_of(host, host_size, ip);
    if (bytes > 0) {
        return network_has(entry, size, ip, bytes);
    }
    if (size > 1 && entry[0] == '*' && entry[1] == '.') {
        entry++;
        size--;
    }
    if (size > 0 && *entry == '.') {
        entry++;
        size--;
    }
    if (size == 0 || size > host_size || strncasecmp(host + (host_size - size), entry, size) != 0) {
        return false;
    }
    return size == host_size || host[host_size - size - 1] == '.';
}

bool ceasei_no_proxy_has(const char *list, const char *host, size_t host_size, const char *port)
{
    while (*list) {
        size_t size = strcspn(list, ", \t");
        if (size > 0 && entry_has(list, size, host, host_size, port)) {
            return true;
        }
        list += size + (list[size] != '\0');
    }
    return false;
}

static const char *environment(const char *lower, const char *upper)
{
    const char *text = getenv(lower);
    text = text || !upper ? text : getenv(upper);
    return text && *text ? text : NULL;
}

cease_error ceasei_proxies_init(struct ceasei_proxies *p, const char *proxy, const char *no_proxy)
{
    const char *http = proxy;
    const char *https = proxy;
    *p = (struct ceasei_proxies){.environment = !proxy};
    if (!proxy) {
        http = environment("http_proxy", NULL);
        https = environment("https_proxy", "HTTPS_PROXY");
        no_proxy = environment("no_proxy", "NO_PROXY");
    }
    if ((http && *http && !ceasei_proxy_parse(http, &p->http)) ||
        (https && *https && !ceasei_proxy_parse(https, &p->https))) {
        return CEASE_EINVAL;
    }
    if (no_proxy) {
        p->no = strdup(no_proxy);
    }
    return !no_proxy || p->no ? CEASE_OK : CEASE_ENOMEM;
}

void ceasei_proxies_deinit(struct ceasei_proxies *p)
{
    free(p->no);
}

const struct ceasei_proxy *ceasei_proxy_for(const struct ceasei_proxies *p, bool tls,
                                            const char *host, size_t host_size, const char *port)
{
    const struct ceasei_proxy *found = tls ? &p->https : &p->http;
    if (!found->set || (p->environment && is_loopback(host, host_size)) ||
        (p->no && ceasei_no_proxy_has(p->no, host, host_size, port))) {
        return NULL;
    }
    return found;
}
