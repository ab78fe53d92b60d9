/* SPDX-License-Identifier: MIT
 *
 * packet.c: datagram sockets, and addresses in their users' memory.
 *
 * As with connections: try the system call, wait when the kernel says EAGAIN. A datagram is taken or not,
 * so there is nothing to continue and nothing that a cancel could cut in two.
 *
 * Two things are not what they look like. A Unix socket that has no peer of its own is always writable,
 * whatever the queue of whom it sends to: there is no event to wait for, so it tries again with growing
 * pauses. And IPv4 addresses come out of an IPv6 socket mapped, and must go into it so; users see plain
 * ones.
 *
 * Who guards what: `family` and `dialled` are set at birth; the descriptor is fd.c's.
 */
#include <cease/packet.h>

#include "net/bind.h"
#include "net/fd.h"

#include <cease/net.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_FIRST_MS = 1, PAUSE_LAST_MS = 50 };

struct cease_packet {
    struct ceasei_fd fd; /* first: its release frees the whole */
    int family;
    bool dialled;
    struct ceasei_bound bound; /* of a Unix socket in the file system */
};

_Static_assert(sizeof(((cease_address *)0)->words_) >= sizeof(((struct ceasei_address *)0)->u),
               "every address fits");

/* ---- addresses --------------------------------------------------------------------------------- */

/* Mapped IPv4 becomes plain; what is behind the address is zeroed, so that equal ones are so bytewise. */
static void address_out(const struct ceasei_address *a, cease_address *ret)
{
    struct ceasei_address plain = {.size = sizeof plain.u.v4};
    if (a->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->u.v6.sin6_addr)) {
        plain.u.v4.sin_family = AF_INET;
        plain.u.v4.sin_port = a->u.v6.sin6_port;
        memcpy(&plain.u.v4.sin_addr, &a->u.v6.sin6_addr.s6_addr[12], 4);
        a = &plain;
    }
    memset(ret, 0, sizeof *ret);
    ret->size_ = a->size;
    memcpy(ret->words_, &a->u, a->size < sizeof a->u ? a->size : sizeof a->u);
}

/* False: empty, or not for a socket of that family. */
static bool address_in(const cease_address *a, int family, struct ceasei_address *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->size_ == 0 || a->size_ > sizeof ret->u) {
        return false;
    }
    ret->size = a->size_;
    memcpy(&ret->u, a->words_, a->size_);
    if (family == AF_INET6 && ret->u.any.sa_family == AF_INET) {
        struct sockaddr_in v4 = ret->u.v4;
        memset(&ret->u, 0, sizeof ret->u);
        ret->size = sizeof ret->u.v6;
        ret->u.v6.sin6_family = AF_INET6;
        ret->u.v6.sin6_port = v4.sin_port;
        memset(&ret->u.v6.sin6_addr.s6_addr[10], 0xff, 2);
        memcpy(&ret->u.v6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
    }
    return ret->u.any.sa_family == family;
}

static cease_error resolve(cease_ctx *ctx, const char *text,
                           struct ceasei_address ret[CEASEI_ADDRESSES_MAX], int *ret_count)
{
    struct ceasei_address_text parsed;
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    if (!text || !ceasei_address_parse(text, &parsed)) {
        return CEASE_EINVAL;
    }
    return ceasei_address_resolve(ctx, &parsed, ret, ret_count);
}

cease_error cease_address_resolve(cease_ctx *ctx, const char *text, cease_address *ret_address)
{
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
    int count = 0;
    cease_error e = resolve(ctx, text, found, &count);
    if (e == CEASE_OK) {
        address_out(&found[0], ret_address);
    }
    return e;
}

cease_error cease_address_text(const cease_address *a, char *ret_text, size_t size)
{
    struct ceasei_address plain = {.size = 0};
    if (size == 0) {
        return CEASE_EINVAL;
    }
    ret_text[0] = '\0';
    if (a->size_ > 0 && a->size_ <= sizeof plain.u) {
        plain.size = a->size_;
        memcpy(&plain.u, a->words_, a->size_);
        ceasei_address_format(&plain, ret_text, size);
    }
    return CEASE_OK;
}

bool cease_address_equal(const cease_address *a, const cease_address *b)
{
    return a->size_ == b->size_ && memcmp(a->words_, b->words_, sizeof a->words_) == 0;
}

/* ---- making them ------------------------------------------------------------------------------- */

static void release(struct ceasei_fd *fd)
{
    struct cease_packet *p = (struct cease_packet *)fd;
    ceasei_bind_undo(&p->bound);
    free(p);
}

static cease_error packet_new(int family, const cease_packet_opts *opts, cease_packet **ret)
{
    struct cease_packet *p = calloc(1, sizeof *p);
    if (!p) {
        return CEASE_ENOMEM;
    }
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int only = opts->only_v6;
    if (fd < 0) {
        free(p);
        return (cease_error)-errno;
    }
    p->family = family;
    ceasei_fd_init(&p->fd, fd, release);
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    if ((opts->broadcast && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) < 0) ||
        (opts->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)) {
        cease_error e = (cease_error)-errno;
        cease_packet_close(p);
        return e;
    }
    *ret = p;
    return CEASE_OK;
}

static cease_error open_at(const struct ceasei_address *a, const cease_packet_opts *opts,
                           cease_packet **ret)
{
    cease_packet *p = NULL;
    cease_error e = packet_new(a->u.any.sa_family, opts, &p);
    if (e != CEASE_OK) {
        return e;
    }
    if (p->family == AF_UNIX) {
        e = ceasei_bind_unix(p->fd.number, a, opts->unix_mode, &p->bound);
    } else if (bind(p->fd.number, &a->u.any, a->size) < 0) {
        e = (cease_error)-errno;
    }
    if (e != CEASE_OK) {
        cease_packet_close(p);
        return e;
    }
    *ret = p;
    return CEASE_OK;
}

/* Whether another address of the same name may be of more use. */
static bool is_unusable(cease_error e)
{
    return e == CEASE_EADDRNOTAVAIL || e == (cease_error)-EAFNOSUPPORT || e == CEASE_ENETUNREACH ||
           e == CEASE_EHOSTUNREACH;
}

cease_error cease_packet_open(cease_ctx *ctx, const char *address, const cease_packet_opts *opts,
                              cease_packet **ret_packet)
{
    static const cease_packet_opts none;
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
    struct ceasei_address_text parsed;
    int count = 0;
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    if (!address || !ceasei_address_parse(address, &parsed)) {
        return CEASE_EINVAL;
    }
    if (!parsed.numeric &&
        parsed.host[0] == '\0') { /* ":80": both, or IPv4 where there is no IPv6 */
        ceasei_address_any(AF_INET6, parsed.port, &found[count++]);
        ceasei_address_any(AF_INET, parsed.port, &found[count++]);
    } else {
        e = ceasei_address_resolve(ctx, &parsed, found, &count);
    }
    for (int i = 0; i < count; i++) {
        e = open_at(&found[i], opts ? opts : &none, ret_packet);
        if (!is_unusable(e)) {
            break;
        }
    }
    return e;
}

static cease_error dial_at(const struct ceasei_address *a, const cease_packet_opts *opts,
                           cease_packet **ret)
{
    cease_packet *p = NULL;
    cease_error e = packet_new(a->u.any.sa_family, opts, &p);
    if (e != CEASE_OK) {
        return e;
    }
    const struct sockaddr unnamed = {.sa_family = AF_UNIX}; /* the kernel finds an abstract name */
    p->dialled = true;
    if ((p->family == AF_UNIX && bind(p->fd.number, &unnamed, sizeof unnamed.sa_family) < 0) ||
        connect(p->fd.number, &a->u.any, a->size) < 0) {
        e = (cease_error)-errno;
        cease_packet_close(p);
        return e;
    }
    *ret = p;
    return CEASE_OK;
}

cease_error cease_packet_dial(cease_ctx *ctx, const char *address, const cease_packet_opts *opts,
                              cease_packet **ret_packet)
{
    static const cease_packet_opts none;
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
    int count = 0;
    cease_error e = resolve(ctx, address, found, &count);
    for (int i = 0; i < count; i++) {
        e = dial_at(&found[i], opts ? opts : &none, ret_packet);
        if (!is_unusable(e)) {
            break;
        }
    }
    return e;
}

/* ---- using them -------------------------------------------------------------------------------- */

/* Under the write lock. */
static cease_error send_one(cease_ctx *ctx, cease_packet *p, const struct msghdr *m)
{
    for (int64_t pause_ms = PAUSE_FIRST_MS;;) {
        cease_error e = CEASE_OK;
        if (sendmsg(p->fd.number, m, MSG_NOSIGNAL) >= 0) {
            return CEASE_OK;
        }
        if (errno == EAGAIN && p->family == AF_UNIX && !p->dialled) {
            e = ceasei_fd_pause(ctx, &p->fd, CEASEI_POLL_WRITE, cease_ms(pause_ms));
            pause_ms = pause_ms * 2 < PAUSE_LAST_MS ? pause_ms * 2 : PAUSE_LAST_MS;
        } else if (errno == EAGAIN) {
            e = ceasei_fd_wait(ctx, &p->fd, CEASEI_POLL_WRITE);
        } else if (errno != EINTR) {
            e = (cease_error)-errno;
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
}

static cease_error send_to(cease_ctx *ctx, cease_packet *p, const void *buf, size_t size,
                           struct ceasei_address *to)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)buf, .iov_len = size};
    struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};
    if (to) {
        m.msg_name = &to->u;
        m.msg_namelen = to->size;
    }
    cease_error e = ceasei_fd_lock(ctx, &p->fd, CEASEI_POLL_WRITE);
    if (e != CEASE_OK) {
        return e;
    }
    e = send_one(ctx, p, &m);
    ceasei_fd_unlock(&p->fd, CEASEI_POLL_WRITE);
    return e;
}

cease_error cease_packet_send(cease_ctx *ctx, cease_packet *p, const void *buf, size_t size)
{
    if (!p) {
        return CEASE_ENOMEM;
    }
    if (!p->dialled) {
        return (cease_error)-EDESTADDRREQ;
    }
    return send_to(ctx, p, buf, size, NULL);
}

cease_error cease_packet_send_to(cease_ctx *ctx, cease_packet *p, const void *buf, size_t size,
                                 const cease_address *to)
{
    struct ceasei_address address;
    if (!p) {
        return CEASE_ENOMEM;
    }
    if (!address_in(to, p->family, &address)) {
        return CEASE_EINVAL;
    }
    return send_to(ctx, p, buf, size, &address);
}

/* Under the read lock. */
static cease_error recv_one(cease_ctx *ctx, cease_packet *p, struct msghdr *m, size_t *ret_count)
{
    for (;;) {
        cease_error e = CEASE_OK;
        ssize_t n = recvmsg(p->fd.number, m, MSG_TRUNC);
        if (n >= 0) {
            *ret_count = (size_t)n;
            return m->msg_flags & MSG_TRUNC ? CEASE_EMSGSIZE : CEASE_OK;
        }
        if (errno == EAGAIN) {
            e = ceasei_fd_wait(ctx, &p->fd, CEASEI_POLL_READ);
        } else if (errno != EINTR) {
            e = (cease_error)-errno;
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error cease_packet_recv(cease_ctx *ctx, cease_packet *p, void *buf, size_t size,
                              size_t *ret_count, cease_address *ret_from)
{
    struct ceasei_address from = {.size = 0};
    struct iovec piece = {.iov_base = buf, .iov_len = size};
    struct msghdr m = {
        .msg_name = &from.u, .msg_namelen = sizeof from.u, .msg_iov = &piece, .msg_iovlen = 1};
    if (!p) {
        return CEASE_ENOMEM;
    }
    cease_error e = ceasei_fd_lock(ctx, &p->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e;
    }
    e = recv_one(ctx, p, &m, ret_count);
    ceasei_fd_unlock(&p->fd, CEASEI_POLL_READ);
    if (ret_from && (e == CEASE_OK || e == CEASE_EMSGSIZE)) {
        from.size = m.msg_namelen;
        if (from.size == 0) { /* a Unix socket without a name */
            from.u.any.sa_family = (sa_family_t)p->family;
            from.size = sizeof from.u.any.sa_family;
        }
        address_out(&from, ret_from);
    }
    return e;
}

cease_error cease_packet_local(cease_packet *p, char *ret_text, size_t size)
{
    if (!p) {
        return CEASE_ENOMEM;
    }
    if (size == 0) {
        return CEASE_EINVAL;
    }
    if (!ceasei_fd_ref(&p->fd)) {
        return CEASE_ECLOSED;
    }
    cease_error e = ceasei_address_of(p->fd.number, false, ret_text, size);
    ceasei_fd_unref(&p->fd);
    return e;
}

cease_packet *cease_packet_ref(cease_packet *p)
{
    if (p) {
        ceasei_fd_share(&p->fd);
    }
    return p;
}

cease_packet *cease_packet_unref(cease_packet *p)
{
    if (p) {
        ceasei_fd_unshare(&p->fd);
    }
    return NULL;
}

void cease_packet_close(cease_packet *p)
{
    if (p) {
        ceasei_fd_close(&p->fd);
        ceasei_fd_unshare(&p->fd);
    }
}
