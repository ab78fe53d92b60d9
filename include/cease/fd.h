/* SPDX-License-Identifier: MIT
 *
 * cease/fd.h: waiting for file descriptors that belong to somebody else.
 *
 * Our own connections (cease/net.h) need none of this. It is for the fds of other libraries: a
 * PostgreSQL connection, curl's sockets, a pipe, an inotify fd.
 */
#ifndef CEASE_FD_H
#define CEASE_FD_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>

CEASE_BEGIN_DECLS

enum {
    CEASE_READABLE = 1, /* reading will not block: data, end of stream, a connection to accept */
    CEASE_WRITABLE = 2, /* writing will not block                                              */
};

/* Waits until `fd` is ready for one of `events` (CEASE_READABLE, CEASE_WRITABLE or both), has an
 * error, or was hung up. As with poll(2), what is ready already is reported at once, and ready does
 * not promise that the next call succeeds: use non-blocking fds.
 *
 * Several tasks may wait for one fd. The fd must stay open until every wait for it has returned:
 * end their contexts first. Files on disk are always ready.
 *
 * Parks: yes
 * Callers: tasks; plain threads, where it blocks the thread in ppoll(2)
 * Owns: nothing; neither closes fd nor changes its flags
 * Errors: ctx's, when it was done on entry or ends first; CEASE_EBADF; CEASE_EINVAL for other
 * events; CEASE_EMFILE, CEASE_ENFILE or CEASE_ENOMEM (also -ENOSPC, fs.epoll.max_user_watches) when
 * the wait cannot be set up
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_fd_wait(cease_ctx *ctx, int fd, unsigned events);

CEASE_END_DECLS

#endif
