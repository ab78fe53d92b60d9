/* SPDX-License-Identifier: MIT
 *
 * fd.c: cease_fd_wait, for fds of other libraries.
 *
 * They come and go as their owner likes, so nothing is kept registered: a task registers the fd for
 * one event with its worker's epoll and takes it out again. When the fd is there already (another
 * task waits for it, or it is one of ours after all) a duplicate is registered: epoll knows pairs of
 * number and open file. What is ready at once costs one poll(2). A plain thread uses poll alone.
 */
#include "base/panic.h"
#include "runtime/poller.h"
#include "runtime/runtime.h"
#include "runtime/wait.h"

#include <cease/fd.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

static short poll_bits(unsigned events)
{
    return (short)((events & CEASE_READABLE ? POLLIN | POLLRDHUP : 0) |
                   (events & CEASE_WRITABLE ? POLLOUT : 0));
}

static cease_error wait_as_thread(cease_ctx *ctx, int fd, unsigned events)
{
    /* The roots never end: they need no fd, which would be open for ever (poll skips negative ones). */
    bool ends = ctx != cease_background() && ctx != cease_todo();
    int done = ends ? cease_done_fd(ctx) : -1;
    if (ends && done < 0) {
        return (cease_error)done;
    }
    struct pollfd fds[2] = {{.fd = fd, .events = poll_bits(events)},
                            {.fd = done, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR) {
            return (cease_error)-errno;
        }
    }
    if (fds[0].revents & POLLNVAL) {
        return CEASE_EBADF;
    }
    return fds[0].revents ? CEASE_OK : cease_err(ctx);
}

static cease_error wait_as_task(cease_ctx *ctx, int fd, unsigned events)
{
    struct ceasei_poll_entry *e;
    uint32_t bits = (events & CEASE_READABLE ? (uint32_t)EPOLLIN | EPOLLRDHUP : 0) |
                    (events & CEASE_WRITABLE ? (uint32_t)EPOLLOUT : 0);
    int own = -1;
    cease_error err = ceasei_poller_add_once(fd, bits, &e);
    if (err == CEASE_EEXIST) {
        own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        err = own < 0 ? (cease_error)-errno : ceasei_poller_add_once(own, bits, &e);
    }
    if (err == CEASE_OK) {
        err = ceasei_poller_wait(ctx, e, CEASEI_POLL_READ);
        ceasei_poller_remove(e);
    }
    if (own >= 0) {
        close(own);
    }
    return err;
}

CEASE_PUBLIC cease_error cease_fd_wait(cease_ctx *ctx, int fd, unsigned events)
{
    cease_error err = ceasei_enter(ctx, __func__);
    if (err != CEASE_OK) {
        return err;
    }
    if (events == 0 || (events & ~(unsigned)(CEASE_READABLE | CEASE_WRITABLE))) {
        return CEASE_EINVAL;
    }
    if (fd < 0) {
        return CEASE_EBADF;
    }
    ceasei_runtime_check_fork();
    if (CEASE_UNLIKELY(cease_callback_place() != NULL)) {
        cease_park_forbidden("cease_fd_wait");
    }
    struct pollfd now = {.fd = fd, .events = poll_bits(events)};
    if (poll(&now, 1, 0) == 1) {
        return now.revents & POLLNVAL ? CEASE_EBADF : CEASE_OK;
    }
    return ceasei_sched_self() ? wait_as_task(ctx, fd, events) : wait_as_thread(ctx, fd, events);
}
