/* SPDX-License-Identifier: MIT
 *
 * conn.h: the insides of a connection, for listen.c and dial.c.
 */
#ifndef CEASE_NET_CONN_H
#define CEASE_NET_CONN_H

#include "net/fd.h"

#include <cease/net.h>

struct cease_conn {
    struct ceasei_fd fd; /* first: its release frees the whole */
    /* The guard: set and cleared while no hangup function runs. */
    cease_canceler *guard;
    const char *guard_text;
    int guard_code;
    unsigned guard_mask; /* the CEASEI_HANGUP_ bits that count */
    /* Of cease_conn_on_readable, which holds the read lock until it is called or taken off. */
    cease_conn_readable_fn *readable;
    void *readable_arg;
};

/* Makes a connection of a non-blocking CLOEXEC socket; consumed, also on failure. */
cease_error ceasei_conn_new(int take_fd, cease_conn **ret_conn);

#endif
