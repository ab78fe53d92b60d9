/* SPDX-License-Identifier: MIT
 *
 * address.c: address texts, read and written. Pure but for ceasei_address_of.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <cease/net.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_port(const char *text, unsigned short *ret)
{
    unsigned long n = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 5 || strspn(text, "0123456789") != length) {
        return false;
    }
    n = strtoul(text, NULL, 10);
    *ret = (unsigned short)n;
    return n <= 65535;
}

static bool parse_unix(const char *path, struct ceasei_address *ret)
{
    size_t length = strlen(path);
    struct sockaddr_un *un = &ret->u.local;
    if (length == 0 || (path[0] == '@' && length == 1) || length >= sizeof un->sun_path) {
        return false;
    }
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (path[0] == '@') { /* abstract: a NUL in front, none behind */
        un->sun_path[0] = '\0';
        ret->size--;
    }
    return true;
}

/* "fe80::1%eth0": inet_pton knows no zones. */
static bool parse_v6(const char *host, struct sockaddr_in6 *ret)
{
    char plain[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t length = zone ? (size_t)(zone - host) : strlen(host);
    if (length >= sizeof plain) {
        return false;
    }
    memcpy(plain, host, length);
    plain[length] = '\0';
    if (zone) {
        ret->sin6_scope_id = if_nametoindex(zone + 1);
        if (ret->sin6_scope_id == 0) {
            return false;
        }
    }
    return inet_pton(AF_INET6, plain, &ret->sin6_addr) == 1;
}

/* Splits host and port; brackets are kept for IPv6 alone. */
static bool split(const char *text, struct ceasei_address_text *ret, bool *ret_brackets)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !parse_port(colon + 1, &ret->port)) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    *ret_brackets = length > 2 && text[0] == '[' && colon[-1] == ']';
    if (*ret_brackets) {
        text++;
        length -= 2;
    }
    if (length >= sizeof ret->host || (!*ret_brackets && memchr(text, ':', length))) {
        return false;
    }
    memcpy(ret->host, text, length);
    ret->host[length] = '\0';
    return !strpbrk(ret->host, "[] /");
}

bool ceasei_address_parse(const char *text, struct ceasei_address_text *ret)
{
    memset(ret, 0, sizeof *ret);
    if (strncmp(text, "unix:", 5) == 0) {
        ret->numeric = true;
        return parse_unix(text + 5, &ret->address);
    }
    bool brackets;
    if (!split(text, ret, &brackets)) {
        return false;
    }
    struct ceasei_address *a = &ret->address;
    if (brackets) {
        a->u.v6.sin6_family = AF_INET6;
        a->u.v6.sin6_port = htons(ret->port);
        a->size = sizeof a->u.v6;
        ret->numeric = true;
        return parse_v6(ret->host, &a->u.v6);
    }
    if (inet_pton(AF_INET, ret->host, &a->u.v4.sin_addr) == 1) {
        a->u.v4.sin_family = AF_INET;
        a->u.v4.sin_port = htons(ret->port);
        a->size = sizeof a->u.v4;
        ret->numeric = true;
    }
    return true;
}

void ceasei_address_any(int family, unsigned short port, struct ceasei_address *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->u.any.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        ret->u.v6.sin6_port = htons(port);
        ret->size = sizeof ret->u.v6;
    } else {
        ret->u.v4.sin_port = htons(port);
        ret->size = sizeof ret->u.v4;
    }
}

static void format_unix(const struct ceasei_address *a, char *ret, size_t size)
{
    size_t length = a->size > offsetof(struct sockaddr_un, sun_path)
                        ? a->size - offsetof(struct sockaddr_un, sun_path)
                        : 0;
    const char *path = a->u.local.sun_path;
    if (length > 0 && path[0] == '\0') {
        snprintf(ret, size, "unix:@%.*s", (int)(length - 1), path + 1);
    } else {
        snprintf(ret, size, "unix:%.*s", (int)strnlen(path, length), path);
    }
}

void ceasei_address_format(const struct ceasei_address *a, char *ret, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    switch (a->u.any.sa_family) {
    case AF_UNIX:
        format_unix(a, ret, size);
        return;
    case AF_INET:
        inet_ntop(AF_INET, &a->u.v4.sin_addr, host, sizeof host);
        snprintf(ret, size, "%s:%u", host, (unsigned)ntohs(a->u.v4.sin_port));
        return;
    case AF_INET6:
        inet_ntop(AF_INET6, &a->u.v6.sin6_addr, host, sizeof host);
        if (IN6_IS_ADDR_V4MAPPED(&a->u.v6.sin6_addr)) { /* an IPv4 client of an IPv6 listener */
            snprintf(ret, size, "%s:%u", host + strlen("::ffff:"),
                     (unsigned)ntohs(a->u.v6.sin6_port));
        } else if (a->u.v6.sin6_scope_id != 0) {
            snprintf(ret, size, "[%s%%%u]:%u", host, (unsigned)a->u.v6.sin6_scope_id,
                     (unsigned)ntohs(a->u.v6.sin6_port));
        } else {
            snprintf(ret, size, "[%s]:%u", host, (unsigned)ntohs(a->u.v6.sin6_port));
        }
        return;
    default:
        snprintf(ret, size, "?");
    }
}

cease_error ceasei_address_of(int fd, bool peer, char *ret, size_t size)
{
    struct ceasei_address a = {.size = sizeof a.u};
    int r = peer ? getpeername(fd, &a.u.any, &a.size) : getsockname(fd, &a.u.any, &a.size);
    if (r < 0) {
        return (cease_error)-errno;
    }
    ceasei_address_format(&a, ret, size);
    return CEASE_OK;
}
