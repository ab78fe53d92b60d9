/* SPDX-License-Identifier: MIT
 *
 * proxy.h: which proxy a request goes through.
 */
#ifndef CEASE_HTTP_PROXY_H
#define CEASE_HTTP_PROXY_H

#include <cease/error.h>
#include <stdbool.h>
#include <stddef.h>

enum { CEASEI_PROXY_AUTH_MAX = 512, CEASEI_AUTHORITY_MAX = 300 };

struct ceasei_proxy {
    bool set;
    char address[CEASEI_AUTHORITY_MAX]; /* "host:port" */
    char auth[CEASEI_PROXY_AUTH_MAX];   /* a whole Proxy-Authorization line, or "" */
};

struct ceasei_proxies {
    struct ceasei_proxy http, https;
    char *no;         /* a list as in no_proxy; NULL: none */
    bool environment; /* loopback is asked directly */
};

/* "[http://][user:password@]host[:port][/]". False: no such URL. */
bool ceasei_proxy_parse(const char *text, struct ceasei_proxy *ret);

/* Whether the list names the host (lower case, without brackets), its domain, or its network, or "*". */
bool ceasei_no_proxy_has(const char *list, const char *host, size_t host_size, const char *port);

/* From the options, or from the environment. */
cease_error ceasei_proxies_init(struct ceasei_proxies *p, const char *proxy, const char *no_proxy);
void ceasei_proxies_deinit(struct ceasei_proxies *p);

/* The proxy for a host; NULL: none. */
const struct ceasei_proxy *ceasei_proxy_for(const struct ceasei_proxies *p, bool tls,
                                            const char *host, size_t host_size, const char *port);

#endif
