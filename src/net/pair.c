/* SPDX-License-Identifier: MIT
 *
 * pair.c: two connections that are each other's peer, for tests.
 */
#include "net/conn.h"

#include <cease/test.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

cease_error cease_test_conn_pair(cease_conn **ret_one, cease_conn **ret_other)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return (cease_error)-errno;
    }
    cease_conn *one, *other;
    cease_error e = ceasei_conn_new(ends[0], &one);
    if (e != CEASE_OK) {
        close(ends[1]);
        return e;
    }
    e = ceasei_conn_new(ends[1], &other);
    if (e != CEASE_OK) {
        cease_conn_close(one);
        return e;
    }
    one->fd.inside = other->fd.inside = true;
    *ret_one = one;
    *ret_other = other;
    return CEASE_OK;
}
