/* SPDX-License-Identifier: MIT
 *
 * address.h: address texts and the system's addresses.
 */
#ifndef CEASE_NET_ADDRESS_H
#define CEASE_NET_ADDRESS_H

#include <cease/context.h>
#include <cease/error.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct ceasei_address {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } u;
};

enum { CEASEI_ADDRESSES_MAX = 16, CEASEI_HOST_MAX = 254 };

/* What an address text says, before names are looked up. */
struct ceasei_address_text {
    bool numeric;                  /* `address` is it; else `host` is a name */
    struct ceasei_address address; /* its port is set in either case */
    char host[CEASEI_HOST_MAX];    /* "" for ":80" */
    unsigned short port;
};

/* Reads "1.2.3.4:80", "[::1]:80", "name:80", ":80", "unix:/path", "unix:@abstract". Pure. */
bool ceasei_address_parse(const char *text, struct ceasei_address_text *ret);

/* All addresses of a family. Pure. */
void ceasei_address_any(int family, unsigned short port, struct ceasei_address *ret);

/* Writes an address in that syntax, NUL-terminated and cut to fit. Pure. */
void ceasei_address_format(const struct ceasei_address *a, char *ret, size_t size);

/* The address of one end of a socket, in that syntax. */
cease_error ceasei_address_of(int fd, bool peer, char *ret, size_t size);

/* Reads an address text and looks its name up if it has one, which parks; an empty host is no address
 * here. */
cease_error ceasei_address_resolve(cease_ctx *ctx, const struct ceasei_address_text *text,
                                   struct ceasei_address ret[CEASEI_ADDRESSES_MAX], int *ret_count);

#endif
