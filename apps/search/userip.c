/* SPDX-License-Identifier: MIT */
#include "userip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static cease_key key = CEASE_KEY("userip");

static bool is_port(const char *s)
{
    size_t digits = strspn(s, "0123456789");
    return digits >= 1 && digits <= 5 && s[digits] == '\0';
}

/* Splits at the last colon; an IPv6 address must have its brackets, an IPv4 address none. */
static bool split(const char *peer, char *ret_host, size_t size)
{
    const char *colon = strrchr(peer, ':');
    if (!colon || !is_port(colon + 1))
        return false;
    const char *host = peer;
    size_t length = (size_t)(colon - peer);
    bool bracketed = length >= 2 && host[0] == '[' && host[length - 1] == ']';
    if (bracketed) {
        host++;
        length -= 2;
    }
    if (length == 0 || length >= size)
        return false;
    memcpy(ret_host, host, length);
    ret_host[length] = '\0';
    return bracketed == (strchr(ret_host, ':') != NULL);
}

cease_error userip_parse(const char *peer, struct userip *ret_ip, char *ret_message,
                         size_t message_size)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (split(peer, host, sizeof host)) {
        int family = strchr(host, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(family, host, &address) == 1) {
            inet_ntop(family, &address, ret_ip->text, sizeof ret_ip->text);
            return CEASE_OK;
        }
    }
    snprintf(ret_message, message_size, "userip: \"%s\" is not IP:port", peer);
    return CEASE_EPARSE;
}

cease_ctx *userip_with(cease_ctx *parent, struct userip *ip)
{
    return cease_with_value(parent, &key, ip);
}

const struct userip *userip_from(const cease_ctx *ctx)
{
    return cease_value(ctx, &key);
}
