/* SPDX-License-Identifier: MIT
 *
 * bind.h: taking a Unix address, for listeners and datagram sockets.
 */
#ifndef CEASE_NET_BIND_H
#define CEASE_NET_BIND_H

#include "net/address.h"

#include <sys/types.h>

/* What a socket leaves in the file system; zero: nothing. */
struct ceasei_bound {
    char *path;
    dev_t device;
    ino_t inode;
};

/* Binds a socket to a Unix address; a path gets `mode`, unless that is 0. */
cease_error ceasei_bind_unix(int fd, const struct ceasei_address *a, unsigned mode,
                             struct ceasei_bound *ret_bound);

/* Removes the path if it still is the one that was made. */
void ceasei_bind_undo(struct ceasei_bound *bound);

#endif
