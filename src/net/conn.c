/* SPDX-License-Identifier: MIT
 *
 * conn.c: connections: read, write, close, and hearing that the peer has gone.
 *
 * Every call tries first and waits only when the kernel says EAGAIN, with one refinement: a read that
 * got less than it asked for has drained the socket, and edge-triggered polling will tell of anything
 * that comes later, so the next read waits at once. A server's request then costs one read and one
 * write. (A FIN that came with the last bytes has been told by then, or will be: ceasei_fd_is_drained
 * looks at what the poller knows.)
 *
 * The context is asked on entry and while waiting, never between a system call that succeeded and its
 * report: bytes are not lost to a cancel.
 *
 * Who guards what: see fd.c for the descriptor. The guard's fields are written by guard/unguard, one
 * caller at a time, while the poller promises that no hangup function runs.
 */
#include "net/conn.h"

#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECES_MAX = 16 };

static void release(struct ceasei_fd *fd)
{
    free(fd);
}

cease_error ceasei_conn_new(int take_fd, cease_conn **ret_conn)
{
    cease_conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(take_fd);
        return CEASE_ENOMEM;
    }
    ceasei_fd_init(&c->fd, take_fd, release);
    *ret_conn = c;
    return CEASE_OK;
}

cease_error cease_conn_from_fd(int take_fd, cease_conn **ret_conn)
{
    int flags = fcntl(take_fd, F_GETFL);
    if (flags < 0 || fcntl(take_fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(take_fd, F_SETFD, FD_CLOEXEC) < 0) {
        return CEASE_EBADF;
    }
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(take_fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
        close(take_fd);
        return CEASE_EINVAL;
    }
    return ceasei_conn_new(take_fd, ret_conn);
}

/* Reads what is there; CEASE_EAGAIN: nothing. Under the read lock. */
static cease_error read_now(struct ceasei_fd *fd, void *buf, size_t size, size_t *ret_count)
{
    ssize_t n;
    if (ceasei_fd_is_drained(fd, CEASEI_POLL_READ)) {
        return CEASE_EAGAIN;
    }
    do {
        n = recv(fd->number, buf, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        fd->drained[CEASEI_POLL_READ] = (size_t)n < size;
        *ret_count = (size_t)n;
    }
    return n > 0 ? CEASE_OK : n == 0 ? CEASE_EOF : (cease_error)-errno;
}

/* Under the read lock. */
static cease_error read_some(cease_ctx *ctx, struct ceasei_fd *fd, void *buf, size_t size,
                             size_t *ret_count)
{
    for (;;) {
        cease_error e = read_now(fd, buf, size, ret_count);
        if (e != CEASE_EAGAIN) {
            return e;
        }
        e = ceasei_fd_wait(ctx, fd, CEASEI_POLL_READ);
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error cease_conn_read(cease_ctx *ctx, cease_conn *c, void *buf, size_t size,
                            size_t *ret_count)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (size == 0) {
        return CEASE_EINVAL;
    }
    cease_error e = ceasei_fd_lock(ctx, &c->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e;
    }
    e = read_some(ctx, &c->fd, buf, size, ret_count);
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_READ);
    return e;
}

cease_error cease_conn_try_read(cease_conn *c, void *buf, size_t size, size_t *ret_count)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (size == 0) {
        return CEASE_EINVAL;
    }
    cease_error e = ceasei_fd_try_lock(&c->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e;
    }
    e = read_now(&c->fd, buf, size, ret_count);
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_READ);
    return e;
}

/* Whether a read would not wait. Under the read lock. */
static bool is_readable(struct ceasei_fd *fd)
{
    char byte;
    return !ceasei_fd_is_drained(fd, CEASEI_POLL_READ) &&
           (recv(fd->number, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN);
}

cease_error cease_conn_wait_readable(cease_ctx *ctx, cease_conn *c)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    cease_error e = ceasei_fd_lock(ctx, &c->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e;
    }
    if (!is_readable(&c->fd)) {
        e = ceasei_fd_wait(ctx, &c->fd, CEASEI_POLL_READ);
    }
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_READ);
    return e;
}

/* From the poller, once for each arming. */
static void on_readable(void *arg, bool closed)
{
    cease_conn *c = arg;
    cease_conn_readable_fn *fn = c->readable;
    void *fn_arg = c->readable_arg;
    if (!closed) {
        c->fd.drained[CEASEI_POLL_READ] = false;
    }
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_READ);
    fn(fn_arg);
}

cease_error cease_conn_on_readable(cease_conn *c, cease_conn_readable_fn *fn, void *arg)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    cease_error e = ceasei_fd_try_lock(&c->fd, CEASEI_POLL_READ);
    if (e != CEASE_OK) {
        return e == CEASE_EAGAIN ? CEASE_EBUSY : e;
    }
    struct ceasei_fd *fd = &c->fd;
    struct ceasei_poll_entry *entry;
    bool held = ceasei_fd_ref(fd); /* fn may be called, and close, before this ends */
    e = held ? ceasei_fd_entry(fd, &entry) : CEASE_ECLOSED;
    c->readable = fn;
    c->readable_arg = arg;
    for (bool again = e == CEASE_OK; again;) {
        again = false;
        if (is_readable(fd)) {
            e = CEASE_EAGAIN;
        } else {
            e = ceasei_poller_on_readable(entry, on_readable, c);
            again = e == CEASE_EAGAIN; /* for an old event, maybe: look */
        }
        if (e == CEASE_EAGAIN) {
            fd->drained[CEASEI_POLL_READ] = false;
        }
    }
    if (e != CEASE_OK) {
        ceasei_fd_unlock(fd, CEASEI_POLL_READ);
    }
    if (held) {
        ceasei_fd_unref(fd);
    }
    return e;
}

bool cease_conn_off_readable(cease_conn *c)
{
    if (!c || !ceasei_fd_ref(&c->fd)) {
        return false;
    }
    struct ceasei_poll_entry *entry;
    bool off = ceasei_fd_entry(&c->fd, &entry) == CEASE_OK && ceasei_poller_off_readable(entry);
    if (off) {
        ceasei_fd_unlock(&c->fd, CEASEI_POLL_READ);
    }
    ceasei_fd_unref(&c->fd);
    return off;
}

/* Drops n bytes from the front. */
static void advance(struct msghdr *m, size_t n)
{
    while (m->msg_iovlen > 0 && n >= m->msg_iov->iov_len) {
        n -= m->msg_iov->iov_len;
        m->msg_iov++;
        m->msg_iovlen--;
    }
    if (n > 0) {
        m->msg_iov->iov_base = (char *)m->msg_iov->iov_base + n;
        m->msg_iov->iov_len -= n;
    }
}

/* Writes until all is taken, or the kernel takes no more (CEASE_EAGAIN). Under the write lock. */
static cease_error write_some(struct ceasei_fd *fd, struct msghdr *m, size_t *ret_count)
{
    advance(m, 0);
    while (m->msg_iovlen > 0) {
        ssize_t n = m->msg_iovlen > 1 ? sendmsg(fd->number, m, MSG_NOSIGNAL)
                                      : send(fd->number, m->msg_iov->iov_base, /* is cheaper */
                                             m->msg_iov->iov_len, MSG_NOSIGNAL);
        if (n >= 0) {
            *ret_count += (size_t)n;
            advance(m, (size_t)n);
        } else if (errno != EINTR) {
            return (cease_error)-errno;
        }
    }
    return CEASE_OK;
}

/* ctx NULL: do not wait. */
static cease_error write_pieces(cease_ctx *ctx, cease_conn *c, const struct iovec *iov, int count,
                                size_t *ret_count)
{
    struct iovec pieces[PIECES_MAX];
    *ret_count = 0;
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (count < 0 || count > PIECES_MAX) {
        return CEASE_EINVAL;
    }
    memcpy(pieces, iov, (size_t)count * sizeof *iov);
    struct msghdr m = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
    cease_error e = ctx ? ceasei_fd_lock(ctx, &c->fd, CEASEI_POLL_WRITE)
                        : ceasei_fd_try_lock(&c->fd, CEASEI_POLL_WRITE);
    if (e != CEASE_OK) {
        return e;
    }
    for (;;) {
        e = write_some(&c->fd, &m, ret_count);
        if (e == CEASE_EAGAIN && ctx) {
            e = ceasei_fd_wait(ctx, &c->fd, CEASEI_POLL_WRITE);
            if (e == CEASE_OK) {
                continue;
            }
        }
        break;
    }
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_WRITE);
    return e;
}

cease_error cease_conn_writev(cease_ctx *ctx, cease_conn *c, const struct iovec *iov, int count,
                              size_t *ret_count)
{
    size_t ignored;
    return write_pieces(ctx, c, iov, count, ret_count ? ret_count : &ignored);
}

cease_error cease_conn_try_writev(cease_conn *c, const struct iovec *iov, int count,
                                  size_t *ret_count)
{
    size_t ignored;
    return write_pieces(NULL, c, iov, count, ret_count ? ret_count : &ignored);
}

cease_error cease_conn_write(cease_ctx *ctx, cease_conn *c, const void *buf, size_t size,
                             size_t *ret_count)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)buf, .iov_len = size};
    return cease_conn_writev(ctx, c, &piece, 1, ret_count);
}

cease_error cease_conn_shutdown(cease_conn *c)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (!ceasei_fd_ref(&c->fd)) {
        return CEASE_ECLOSED;
    }
    cease_error e = shutdown(c->fd.number, SHUT_WR) == 0 ? CEASE_OK : (cease_error)-errno;
    ceasei_fd_unref(&c->fd);
    return e;
}

void cease_conn_close(cease_conn *c)
{
    if (c) {
        ceasei_fd_close(&c->fd);
        ceasei_fd_unshare(&c->fd);
    }
}

cease_conn *cease_conn_ref(cease_conn *c)
{
    if (c) {
        ceasei_fd_share(&c->fd);
    }
    return c;
}

cease_conn *cease_conn_unref(cease_conn *c)
{
    if (c) {
        ceasei_fd_unshare(&c->fd);
    }
    return NULL;
}

static cease_error address_text(cease_conn *c, bool peer, char *ret_text, size_t size)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (size == 0) {
        return CEASE_EINVAL;
    }
    if (!ceasei_fd_ref(&c->fd)) {
        return CEASE_ECLOSED;
    }
    cease_error e = ceasei_address_of(c->fd.number, peer, ret_text, size);
    ceasei_fd_unref(&c->fd);
    return e;
}

cease_error cease_conn_peer(cease_conn *c, char *ret_text, size_t size)
{
    return address_text(c, true, ret_text, size);
}

cease_error cease_conn_local(cease_conn *c, char *ret_text, size_t size)
{
    return address_text(c, false, ret_text, size);
}

/* On the poller's worker, or inside cease_conn_guard. */
static void on_hangup(void *arg, unsigned what)
{
    cease_conn *c = arg;
    if (what & c->guard_mask) {
        cease_cancel_cause(c->guard, c->guard_code, "%s", c->guard_text);
    }
}

cease_error cease_conn_guard(cease_conn *c, cease_canceler *stop, int code, const char *text,
                             bool half_closed)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (!ceasei_fd_ref(&c->fd)) {
        return CEASE_ECLOSED;
    }
    struct ceasei_poll_entry *entry;
    cease_error e = ceasei_fd_entry(&c->fd, &entry);
    if (e == CEASE_OK) {
        c->guard = stop;
        c->guard_code = code;
        c->guard_text = text;
        c->guard_mask = CEASEI_HANGUP_FULL | (half_closed ? 0 : CEASEI_HANGUP_READ);
        ceasei_poller_on_hangup(entry, on_hangup, c);
    }
    ceasei_fd_unref(&c->fd);
    return e;
}

void cease_conn_unguard(cease_conn *c)
{
    if (c && ceasei_fd_ref(&c->fd)) {
        struct ceasei_poll_entry *entry;
        if (ceasei_fd_entry(&c->fd, &entry) == CEASE_OK) {
            ceasei_poller_on_hangup(entry, NULL, NULL);
        }
        ceasei_fd_unref(&c->fd);
    }
}
