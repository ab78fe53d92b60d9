/* SPDX-License-Identifier: MIT
 *
 * dial.h: the parts of a dial that a test reaches without a resolver.
 */
#ifndef CEASE_NET_DIAL_H
#define CEASE_NET_DIAL_H

#include "net/address.h"

#include <cease/net.h>

/* Puts addresses into the order in which they are tried: RFC 8305, section 4. At most
 * CEASEI_ADDRESSES_MAX. Pure. */
void ceasei_dial_order(struct ceasei_address *addresses, int count);

/* How long an address that has just begun has before the next of `left` others joins in. */
cease_dur ceasei_dial_stagger(cease_ctx *ctx, int left);

/* Connects to one of them, by a race if there are several. Parks. Errors: the context's, also when
 * it ended while a connection was being made; else the one of the first that failed. */
cease_error ceasei_dial_any(cease_ctx *ctx, const struct ceasei_address *addresses, int count,
                            const cease_dial_opts *opts, cease_conn **ret_conn);

#endif
