/* SPDX-License-Identifier: MIT
 *
 * send_file.c: a file to a connection, by sendfile(2): the bytes never come into the process.
 *
 * sendfile does two things that nothing else here does. It waits for the disk when the file's pages are
 * not in the kernel's cache, which would hold up every task of the worker: so the cache is asked about
 * both ends of a piece first (RWF_NOWAIT), and a piece that is not there is sent from the block pool. And
 * it raises SIGPIPE, without a flag to say no: the signal is kept from being delivered around it and
 * taken back.
 *
 * Who guards what: the write lock of the connection is held all along, so nobody writes in between.
 */
#include "net/conn.h"

#include <cease/block.h>
#include <cease/task.h>
#include <errno.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

enum { PIECE = 256 * 1024 }; /* bytes: what the kernel reads ahead by default, doubled */

struct piece {
    int socket, file;
    uint64_t offset;
    size_t size;
    ssize_t count;
    cease_error error;
};

/* On a thread of ours the signal is blocked already; it must not stay pending there either. */
static void send_piece(void *arg)
{
    struct piece *p = arg;
    const bool ours = cease_task_id() != 0;
    off_t at = (off_t)p->offset;
    sigset_t pipe, old, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    if (!ours) {
        pthread_sigmask(SIG_BLOCK, &pipe, &old);
    }
    do {
        p->count = sendfile(p->socket, p->file, &at, p->size);
    } while (p->count < 0 && errno == EINTR);
    p->error = p->count < 0 ? (cease_error)-errno : CEASE_OK;
    if (p->error == CEASE_EPIPE && !sigismember(&pending, SIGPIPE)) {
        const struct timespec now = {0};
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    if (!ours) {
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
}

static bool is_cached_at(int file, uint64_t offset)
{
    char byte;
    struct iovec one = {.iov_base = &byte, .iov_len = 1};
    return preadv2(file, &one, 1, (off_t)offset, RWF_NOWAIT) >= 0;
}

static bool is_cached(const struct piece *p)
{
    return is_cached_at(p->file, p->offset) && is_cached_at(p->file, p->offset + p->size - 1);
}

/* Sends what the kernel takes at once of the next piece. */
static cease_error send_some(cease_ctx *ctx, struct piece *p)
{
    if (cease_task_id() == 0 || is_cached(p)) {
        send_piece(p);
        return p->error;
    }
    cease_error e = cease_block(ctx, send_piece, NULL, p);
    return e == CEASE_OK ? p->error : e;
}

/* Under the write lock. */
static cease_error send_all(cease_ctx *ctx, struct ceasei_fd *fd, struct piece *p, uint64_t size,
                            uint64_t *ret_count)
{
    while (*ret_count < size) {
        uint64_t left = size - *ret_count;
        p->size = left < PIECE ? (size_t)left : PIECE;
        cease_error e = cease_err(ctx);
        e = e == CEASE_OK ? send_some(ctx, p) : e;
        if (e == CEASE_EAGAIN) {
            e = ceasei_fd_wait(ctx, fd, CEASEI_POLL_WRITE);
        } else if (e == CEASE_OK) {
            e = p->count == 0 ? CEASE_EOF : CEASE_OK;
            p->offset += (uint64_t)p->count;
            *ret_count += (uint64_t)p->count;
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
    return CEASE_OK;
}

cease_error cease_conn_send_file(cease_ctx *ctx, cease_conn *c, int file, uint64_t offset,
                                 uint64_t size, uint64_t *ret_count)
{
    uint64_t ignored;
    uint64_t *count = ret_count ? ret_count : &ignored;
    struct stat st;
    *count = 0;
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (offset > INT64_MAX || size > INT64_MAX - offset || fstat(file, &st) < 0 ||
        !S_ISREG(st.st_mode)) {
        return CEASE_EINVAL;
    }
    cease_error e = ceasei_fd_lock(ctx, &c->fd, CEASEI_POLL_WRITE);
    if (e != CEASE_OK) {
        return e;
    }
    struct piece p = {.socket = c->fd.number, .file = file, .offset = offset};
    e = send_all(ctx, &c->fd, &p, size, count);
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_WRITE);
    return e;
}
