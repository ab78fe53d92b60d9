/* SPDX-License-Identifier: MIT
 *
 * listen.c: listeners: bind, accept, and what a Unix socket leaves in the file system.
 *
 * A Unix path outlives its process. So a path that is in the way is asked: if nobody answers it is the
 * rest of a dead server and replaced, else it is in use. On close the path is removed only if it still
 * is the socket made here (device and inode), since somebody may have put another in its place.
 *
 * Accepting when descriptors or memory have run out would spin, as the connection stays in the queue;
 * it waits with growing pauses instead, during which a close or the context's end still counts.
 */
#include "net/address.h"
#include "net/fd.h"

#include "net/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 4096, PAUSE_FIRST_MS = 5, PAUSE_LAST_MS = 1000 };

struct cease_listener {
    struct ceasei_fd fd; /* first: its release frees the whole */
    bool tcp;            /* set at birth, as all below */
    char *path;          /* of a Unix socket in the file system, to be removed; or NULL */
    dev_t device;
    ino_t inode;
};

static void release(struct ceasei_fd *fd)
{
    struct cease_listener *l = (struct cease_listener *)fd;
    struct stat st;
    if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode) {
        unlink(l->path);
    }
    free(l->path);
    free(l);
}

/* Whether the socket at that path is the rest of a dead process. */
static bool is_stale(const struct ceasei_address *a)
{
    struct stat st;
    if (lstat(a->u.local.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool stale = connect(fd, &a->u.any, a->size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static cease_error bind_unix(struct cease_listener *l, int fd, const struct ceasei_address *a,
                             const cease_listen_opts *opts)
{
    const char *path = a->u.local.sun_path;
    bool bound = bind(fd, &a->u.any, a->size) == 0;
    if (!bound && errno == EADDRINUSE && path[0] != '\0' && is_stale(a)) {
        unlink(path);
        bound = bind(fd, &a->u.any, a->size) == 0;
    }
    if (!bound) {
        return (cease_error)-errno;
    }
    if (path[0] == '\0') {
        return CEASE_OK;
    }
    struct stat st;
    if (lstat(path, &st) < 0) {
        return (cease_error)-errno;
    }
    l->device = st.st_dev;
    l->inode = st.st_ino;
    l->path = strdup(path);
    if (!l->path) {
        unlink(path);
        return CEASE_ENOMEM;
    }
    /* before listen, so nobody connects under other permissions */
    return opts->unix_mode == 0 || chmod(path, opts->unix_mode) == 0 ? CEASE_OK
                                                                     : (cease_error)-errno;
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
    cease_error e = l->tcp ? bind_tcp(fd, a, opts) : bind_unix(l, fd, a, opts);
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
    struct ceasei_address a = {.size = sizeof a.u.v6};
    a.u.v6.sin6_family = AF_INET6;
    a.u.v6.sin6_port = htons(port);
    cease_error e = listen_at(&a, opts, ret_listener);
    if (e == (cease_error)-EAFNOSUPPORT || e == CEASE_EADDRNOTAVAIL) {
        memset(&a, 0, sizeof a);
        a.u.v4.sin_family = AF_INET;
        a.u.v4.sin_port = htons(port);
        a.size = sizeof a.u.v4;
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

/* Waits for a while, or the end of ctx, or a close. */
static cease_error pause_for(cease_ctx *ctx, cease_listener *l, int64_t ms)
{
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, cease_ms(ms), &stop);
    cease_error e = CEASE_OK;
    while (e == CEASE_OK) { /* an edge says that one more has come, not that there is room for it */
        e = ceasei_fd_wait(limited, &l->fd, CEASEI_POLL_READ);
    }
    bool over = e != CEASE_ECLOSED && cease_err(ctx) == CEASE_OK;
    cease_end(stop);
    return over ? CEASE_OK : e == CEASE_ECLOSED ? e : cease_err(ctx);
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
            e = pause_for(ctx, l, pause_ms);
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
