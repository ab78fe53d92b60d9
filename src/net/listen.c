/* SPDX-License-Identifier: MIT
 *
 * listen.c: listeners: bind and accept.
 *
 * Accepting when descriptors or memory have run out would spin, as the connection stays in the queue;
 * it waits with growing pauses instead, during which a close or the context's end still counts.
 */
#include "net/address.h"
#include "net/bind.h"
#include "net/conn.h"
#include "net/fd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096, PAUSE_FIRST_MS = 5, PAUSE_LAST_MS = 1000 };

struct cease_listener {
    struct ceasei_fd fd;       /* first: its release frees the whole */
    bool tcp;                  /* set at birth, as all below */
    struct ceasei_bound bound; /* of a Unix socket in the file system */
};

static void release(struct ceasei_fd *fd)
{
    struct cease_listener *l = (struct cease_listener *)fd;
    ceasei_bind_undo(&l->bound);
    free(l);
}

static cease_error bind_tcp(int fd, const struct ceasei_address *a, const cease_listen_opts *opts)
{
    int on = 1;
    int only = opts->only_v6;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (opts->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) {
        return (cease_error)-errno;
    }
    if (a->u.any.sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    return bind(fd, &a->u.any, a->size) == 0 ? CEASE_OK : (cease_error)-errno;
}

static cease_error listen_at(const struct ceasei_address *a, const cease_listen_opts *opts,
                             cease_listener **ret_listener)
{
    struct cease_listener *l = calloc(1, sizeof *l);
    if (!l) {
        return CEASE_ENOMEM;
    }
    int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        cease_error e = (cease_error)-errno;
        free(l);
        return e;
    }
    ceasei_fd_init(&l->fd, fd, release);
    l->tcp = a->u.any.sa_family != AF_UNIX;
    cease_error e =
        l->tcp ? bind_tcp(fd, a, opts) : ceasei_bind_unix(fd, a, opts->unix_mode, &l->bound);
    uint32_t backlog = opts->backlog > 0 && opts->backlog < INT32_MAX ? opts->backlog : BACKLOG;
    if (e == CEASE_OK && listen(fd, (int)backlog) < 0) {
        e = (cease_error)-errno;
    }
    if (e != CEASE_OK) {
        cease_listener_close(l);
        return e;
    }
    *ret_listener = l;
    return CEASE_OK;
}

/* ":80": all addresses, through one socket where IPv6 is to be had. */
static cease_error listen_any(unsigned short port, const cease_listen_opts *opts,
                              cease_listener **ret_listener)
{
    struct ceasei_address a;
    ceasei_address_any(AF_INET6, port, &a);
    cease_error e = listen_at(&a, opts, ret_listener);
    if (e == (cease_error)-EAFNOSUPPORT || e == CEASE_EADDRNOTAVAIL) {
        ceasei_address_any(AF_INET, port, &a);
        e = listen_at(&a, opts, ret_listener);
    }
    return e;
}

cease_error cease_listen(cease_ctx *ctx, const char *address, const cease_listen_opts *opts,
                         cease_listener **ret_listener)
{
    static const cease_listen_opts none;
    struct ceasei_address_text text;
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
    int count = 0;
    opts = opts ? opts : &none;
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    if (!address || !ceasei_address_parse(address, &text)) {
        return CEASE_EINVAL;
    }
    if (!text.numeric && text.host[0] == '\0') {
        return listen_any(text.port, opts, ret_listener);
    }
    e = ceasei_address_resolve(ctx, &text, found, &count);
    if (e != CEASE_OK) {
        return e;
    }
    e = listen_at(&found[0], opts, ret_listener);
    /* a name whose first address this host cannot use: IPv6 that is switched off, say */
    for (int i = 1; i < count && (e == CEASE_EADDRNOTAVAIL || e == (cease_error)-EAFNOSUPPORT);
         i++) {
        e = listen_at(&found[i], opts, ret_listener);
    }
    return e;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Errors of one connection, or of a network that it came over, not of the listener (accept(2)). */
static bool is_passing(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM: /* a firewall's rule */
        return true;
    default:
        return false;
    }
}

/* Under the read lock. */
static cease_error accept_one(cease_ctx *ctx, cease_listener *l, int *ret_fd)
{
    int64_t pause_ms = PAUSE_FIRST_MS;
    for (;;) {
        cease_error e = CEASE_OK;
        int fd = accept4(l->fd.number, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            *ret_fd = fd;
            return CEASE_OK;
        }
        if (errno == EAGAIN) {
            e = ceasei_fd_wait(ctx, &l->fd, CEASEI_POLL_READ);
        } else if (is_shortage(errno)) {
            e = ceasei_fd_pause(ctx, &l->fd, CEASEI_POLL_READ, cease_ms(pause_ms));
            pause_ms = pause_ms * 2 < PAUSE_LAST_MS ? pause_ms * 2 : PAUSE_LAST_MS;
        } else if (!is_passing(errno)) {
            e = (cease_error)-errno;
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error cease_listener_accept(cease_ctx *ctx, cease_listener *l, cease_conn **ret_conn)
{
    if (!l) {
        return CEASE_ENOMEM;
    }
    int fd = -1;
    int on = 1;
    cease_error e = ceasei_fd_lock(ctx, &l->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e;
    }
    e = accept_one(ctx, l, &fd);
    bool tcp = l->tcp;
    ceasei_fd_unlock(&l->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e;
    }
    if (tcp) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return ceasei_conn_new(fd, ret_conn);
}

cease_error cease_listener_address(cease_listener *l, char *ret_text, size_t size)
{
    if (!l) {
        return CEASE_ENOMEM;
    }
    if (size == 0) {
        return CEASE_EINVAL;
    }
    if (!ceasei_fd_ref(&l->fd)) {
        return CEASE_ECLOSED;
    }
    cease_error e = ceasei_address_of(l->fd.number, false, ret_text, size);
    ceasei_fd_unref(&l->fd);
    return e;
}

cease_listener *cease_listener_ref(cease_listener *l)
{
    if (l) {
        ceasei_fd_share(&l->fd);
    }
    return l;
}

cease_listener *cease_listener_unref(cease_listener *l)
{
    if (l) {
        ceasei_fd_unshare(&l->fd);
    }
    return NULL;
}

void cease_listener_close(cease_listener *l)
{
    if (l) {
        ceasei_fd_close(&l->fd);
        ceasei_fd_unshare(&l->fd);
    }
}
