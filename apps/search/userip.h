/* SPDX-License-Identifier: MIT
 *
 * userip.h: the user's address, which travels with the request's context.
 *
 * The article's package of the same name: nobody else can read or replace the value, because the
 * key is private to userip.c.
 */
#ifndef SEARCH_USERIP_H
#define SEARCH_USERIP_H

#include <cease/context.h>
#include <netinet/in.h>
#include <stddef.h>

struct userip {
    char text[INET6_ADDRSTRLEN]; /* "192.0.2.1", "2001:db8::1" */
};

/* Takes the address out of "IP:port" ("192.0.2.1:80", "[2001:db8::1]:80"). Otherwise CEASE_EPARSE,
 * and ret_message says `userip: "…" is not IP:port`. */
cease_error userip_parse(const char *peer, struct userip *ret_ip, char *ret_message,
                         size_t message_size);

/* A context that carries *ip, which is borrowed; yours: cease_unref. */
cease_ctx *userip_with(cease_ctx *parent, struct userip *ip);

/* The address that ctx carries, or NULL. */
const struct userip *userip_from(const cease_ctx *ctx);

#endif
