/* SPDX-License-Identifier: MIT
 *
 * dial.c: connecting, under a context.
 *
 * A name's addresses are tried in turn; each but the last gets an equal part of the time that is left,
 * but at least 2 s (Go's partialDeadline), so one that swallows packets does not use up the time of
 * the others. Racing them (RFC 8305) can come later behind the same function.
 *
 * A socket is given to the poller only after connect() has been called: before that, epoll reports an
 * unconnected socket as hung up.
 */
#include "net/address.h"
#include "net/conn.h"

#include <cease/task.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static const int64_t PART_LEAST_NS = 2000000000; /* of each address but the last */
static const int64_t PART_MOST_NS = 10000000000; /* where the context has no deadline */

/* A connect to a port of one's own ephemeral range can meet itself (simultaneous open). */
static bool is_self(int fd)
{
    struct ceasei_address here = {.size = sizeof here.u};
    struct ceasei_address there = {.size = sizeof there.u};
    return getsockname(fd, &here.u.any, &here.size) == 0 &&
           getpeername(fd, &there.u.any, &there.size) == 0 && here.u.any.sa_family != AF_UNIX &&
           here.size == there.size && memcmp(&here.u, &there.u, here.size) == 0;
}

/* Waits for the end of a connect that is under way. */
static cease_error finish(cease_ctx *ctx, cease_conn *c)
{
    cease_error e = ceasei_fd_lock(ctx, &c->fd, CEASEI_POLL_WRITE);
    if (e != CEASE_OK) {
        return e;
    }
    while (e == CEASE_OK) {
        e = ceasei_fd_wait(ctx, &c->fd, CEASEI_POLL_WRITE);
        int status = 0;
        socklen_t size = sizeof status;
        if (e != CEASE_OK) {
            break;
        }
        getsockopt(c->fd.number, SOL_SOCKET, SO_ERROR, &status, &size);
        if (status != 0 && status != EINPROGRESS && status != EALREADY && status != EINTR) {
            e = (cease_error)-status;
            break;
        }
        struct ceasei_address peer = {.size = sizeof peer.u};
        if (getpeername(c->fd.number, &peer.u.any, &peer.size) == 0) {
            break; /* connected; else a wake-up for nothing */
        }
    }
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_WRITE);
    return e;
}

/* Calls connect(). A Unix listener whose queue is full says EAGAIN and cannot be waited for. */
static cease_error begin(cease_ctx *ctx, int fd, const struct ceasei_address *a, bool *ret_pending)
{
    for (int64_t pause_ms = 1;; pause_ms = pause_ms < 50 ? pause_ms * 2 : 50) {
        if (connect(fd, &a->u.any, a->size) == 0) {
            *ret_pending = false;
            return CEASE_OK;
        }
        if (errno == EINPROGRESS || errno == EINTR) {
            *ret_pending = true;
            return CEASE_OK;
        }
        if (errno != EAGAIN || a->u.any.sa_family != AF_UNIX) {
            return (cease_error)-errno;
        }
        cease_error e = cease_sleep(ctx, cease_ms(pause_ms));
        if (e != CEASE_OK) {
            return e;
        }
    }
}

static cease_error dial_one(cease_ctx *ctx, const struct ceasei_address *a,
                            const cease_dial_opts *opts, cease_conn **ret_conn)
{
    cease_conn *c;
    bool pending = false;
    int on = 1;
    int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return (cease_error)-errno;
    }
    if (a->u.any.sa_family != AF_UNIX && !opts->delay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    cease_error e = ceasei_conn_new(fd, &c);
    if (e != CEASE_OK) {
        return e;
    }
    e = begin(ctx, fd, a, &pending);
    if (e == CEASE_OK && pending) {
        e = finish(ctx, c);
    }
    if (e == CEASE_OK && is_self(fd)) {
        e = CEASE_ECONNREFUSED;
    }
    if (e != CEASE_OK) {
        cease_conn_close(c);
        return e;
    }
    *ret_conn = c;
    return CEASE_OK;
}

/* How long one of `left` addresses may take. */
static cease_dur part_of(cease_ctx *ctx, int left)
{
    cease_time deadline;
    cease_dur d = {PART_MOST_NS};
    if (cease_deadline(ctx, &deadline)) {
        d.ns = cease_until(deadline).ns / left;
        d.ns = d.ns > PART_LEAST_NS ? d.ns : PART_LEAST_NS;
    }
    return d;
}

static cease_error dial_limited(cease_ctx *ctx, const struct ceasei_address *a, int left,
                                const cease_dial_opts *opts, cease_conn **ret_conn)
{
    if (left == 1) {
        return dial_one(ctx, a, opts, ret_conn);
    }
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, part_of(ctx, left), &stop);
    cease_error e = dial_one(limited, a, opts, ret_conn);
    if (e != CEASE_OK && e == cease_err(limited) && cease_err(ctx) == CEASE_OK) {
        e = CEASE_ETIMEDOUT; /* its part is over, not the caller's time */
    }
    cease_end(stop);
    return e;
}

cease_error cease_dial(cease_ctx *ctx, const char *address, const cease_dial_opts *opts,
                       cease_conn **ret_conn)
{
    static const cease_dial_opts none;
    struct ceasei_address_text text;
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
    int count = 0;
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    if (!address || !ceasei_address_parse(address, &text)) {
        return CEASE_EINVAL;
    }
    e = ceasei_address_resolve(ctx, &text, found, &count);
    if (e != CEASE_OK) {
        return e;
    }
    cease_error first = CEASE_OK;
    for (int i = 0; i < count; i++) {
        e = dial_limited(ctx, &found[i], count - i, opts ? opts : &none, ret_conn);
        if (e == CEASE_OK || cease_err(ctx) != CEASE_OK) {
            return e == CEASE_OK ? e : cease_err(ctx);
        }
        first = first == CEASE_OK ? e : first;
    }
    return first;
}
