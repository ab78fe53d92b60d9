/* SPDX-License-Identifier: MIT
 *
 * cease/net.h: listening, dialing, and connections that obey a context.
 *
 * Opaque stream connections over TCP (IPv4, IPv6) and Unix sockets. Every call that may wait takes
 * the context it waits under, tries the system call first and only then parks: a task parks its
 * stack, a plain thread sleeps. There are no timeout arguments: derive a context.
 *
 * Addresses are text: "127.0.0.1:8080", "[::1]:80", "localhost:80" (resolved in the block pool),
 * ":80" (all addresses, listening only), "unix:/path", "unix:@name" (Linux's abstract names). Port
 * 0 lets the kernel choose; ask cease_listener_address() what it chose.
 *
 * Every descriptor is CLOEXEC and non-blocking from birth, EINTR never comes out, and no call
 * raises SIGPIPE.
 *
 * One task may read while another writes; two readers (or two writers) take turns, whole calls at
 * a time. Closing wakes all of them with CEASE_ECLOSED before the descriptor's number can be used
 * again. The memory lives until the last share is gone: who uses a connection that somebody else
 * may close holds a share (cease_conn_ref).
 */
#ifndef CEASE_NET_H
#define CEASE_NET_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

CEASE_BEGIN_DECLS

typedef struct cease_listener cease_listener;
typedef struct cease_conn cease_conn;

/* The longest text that an address function writes, its NUL included. */
#define CEASE_ADDRESS_SIZE 128

/* Options of cease_listen. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_listen_opts {
    size_t size;        /* sizeof(cease_listen_opts) */
    uint32_t backlog;   /* what the kernel queues; 0: 4096 (it cuts to net.core.somaxconn) */
    uint32_t unix_mode; /* permissions of a Unix path, e.g. 0660; 0: what the umask leaves */
    bool reuse_port;    /* several listeners share one port's connections (SO_REUSEPORT) */
    bool only_v6;       /* a listener on "[::]" does not take IPv4 connections */
} cease_listen_opts;

/* Options of cease_dial. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_dial_opts {
    size_t size; /* sizeof(cease_dial_opts) */
    bool delay;  /* leave Nagle's algorithm on; by default small writes go out at once */
} cease_dial_opts;

/* Starts to listen on `address`. A name is resolved first (which is where this may park) and its
 * first usable address taken. A TCP port in TIME_WAIT is no obstacle (SO_REUSEADDR). A Unix path
 * that a dead process left behind is replaced; one that is answered, or is no socket, is
 * CEASE_EADDRINUSE. The path is removed by cease_listener_close if it is still the one made here.
 *
 * Parks: only to resolve a name.
 * Callers: tasks and threads.
 * Owns: *ret_listener is yours: cease_listener_close.
 * Errors: CEASE_EINVAL (no such address syntax), CEASE_ERESOLVE, CEASE_EADDRINUSE (the port is
 *     taken), CEASE_EACCES, CEASE_EADDRNOTAVAIL, CEASE_ENOMEM, CEASE_EMFILE; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_listen(cease_ctx *ctx, const char *address,
                                      const cease_listen_opts *opts, cease_listener **ret_listener);

/* Waits for the next connection. One that was aborted before it could be taken is skipped. Out of
 * descriptors or memory, this waits (5 ms, doubling up to 1 s) and tries again instead of failing,
 * while the kernel keeps the queue.
 *
 * Parks: until there is a connection.
 * Callers: tasks and threads, several at once.
 * Owns: *ret_conn is yours: cease_conn_close.
 * Errors: CEASE_ECLOSED (closed meanwhile), CEASE_ENOMEM; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_listener_accept(cease_ctx *ctx, cease_listener *l,
                                               cease_conn **ret_conn);

/* Writes the address it listens on, in the syntax of cease_listen ("127.0.0.1:43210",
 * "unix:/run/x"), cut to fit.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (size is 0), CEASE_ECLOSED.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_listener_address(cease_listener *l, char *ret_text, size_t size);

/* Takes another share of the memory, so that l stays valid (and closed, once it is) for its
 * holder.
 *
 * Parks: never.
 * Callers: any, that hold a share.
 * Owns: the share is yours: cease_listener_unref.
 * Errors: none; returns l.
 * Since: 0.1
 */
CEASE_PUBLIC cease_listener *cease_listener_ref(cease_listener *l);

/* Gives a share back; the last one closes. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none; returns NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_listener *cease_listener_unref(cease_listener *l);

/* Stops listening, wakes whoever accepts (CEASE_ECLOSED), and gives this share back. Queued
 * connections are reset by the kernel. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_listener_close(cease_listener *l);

/* Connects to `address`. A name's addresses race (RFC 8305): IPv6 and IPv4 take turns in the
 * resolver's order, the next one joins in when one has failed or has not answered for 250 ms (for its
 * part of the time that is left, if that is less), and the first to be connected wins. A dial whose
 * context has ended fails, also when a connection was made in the same moment; nothing is left of it.
 *
 * Parks: until connected.
 * Callers: tasks and threads.
 * Owns: *ret_conn is yours: cease_conn_close.
 * Errors: CEASE_EINVAL (no such address syntax), CEASE_ERESOLVE (no such host), CEASE_ENOENT (no
 *     such path), CEASE_ECONNREFUSED, CEASE_EHOSTUNREACH, CEASE_ENETUNREACH, CEASE_ETIMEDOUT (the
 *     network's), CEASE_EMFILE, CEASE_ENOMEM; of several addresses, the first one's error; the
 *     context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_dial(cease_ctx *ctx, const char *address,
                                    const cease_dial_opts *opts, cease_conn **ret_conn);

/* Makes a connection of a connected stream socket that was made elsewhere (socketpair, an
 * inherited descriptor). It is made non-blocking and CLOEXEC; the descriptor is consumed, also on
 * failure.
 *
 * Parks: never.
 * Callers: any.
 * Owns: *ret_conn is yours: cease_conn_close.
 * Errors: CEASE_EINVAL, CEASE_EBADF, CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_from_fd(int take_fd, cease_conn **ret_conn);

/* Reads what is there, at least one byte, at most `size`. Bytes that were read are never lost to a
 * cancel.
 *
 * Parks: until there is a byte, the end of the stream, or an error.
 * Callers: tasks and threads; of several readers, one at a time.
 * Owns: nothing.
 * Errors: CEASE_EOF (the peer has sent its last byte), CEASE_ECONNRESET, CEASE_ECLOSED (closed
 *     here), CEASE_EINVAL (size is 0); the context's, and then nothing was taken from the stream.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_read(cease_ctx *ctx, cease_conn *c, void *buf, size_t size,
                                         size_t *ret_count);

/* Reads what is there at once, at most `size` bytes.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EAGAIN (nothing is there, or somebody else reads); as cease_conn_read.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_try_read(cease_conn *c, void *buf, size_t size,
                                             size_t *ret_count);

/* Writes all of it. *ret_count (which may be NULL) is written on errors too: how much the kernel
 * took.
 *
 * Parks: until the kernel has taken everything.
 * Callers: tasks and threads; of several writers, one whole call at a time.
 * Owns: nothing.
 * Errors: CEASE_EPIPE, CEASE_ECONNRESET (the peer does not read any more), CEASE_ECLOSED; the
 *     context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_write(cease_ctx *ctx, cease_conn *c, const void *buf,
                                          size_t size, size_t *ret_count);

/* The same from `count` pieces, at most 16, in one system call when the kernel takes them all.
 *
 * Parks: until the kernel has taken everything.
 * Callers: tasks and threads; of several writers, one whole call at a time.
 * Owns: nothing; iov is not changed.
 * Errors: as cease_conn_write; CEASE_EINVAL (count).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_writev(cease_ctx *ctx, cease_conn *c, const struct iovec *iov,
                                           int count, size_t *ret_count);

/* Writes what the kernel takes at once. *ret_count (which may be NULL) is written on errors too.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing; iov is not changed.
 * Errors: CEASE_EAGAIN (it has not taken everything, or somebody else writes); as
 *     cease_conn_writev.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_try_writev(cease_conn *c, const struct iovec *iov, int count,
                                               size_t *ret_count);

/* Writes `size` bytes of a file on disk, from `offset` on, without a copy through this process. Its
 * position neither counts nor changes. *ret_count (which may be NULL) is written on errors too.
 *
 * What the kernel has in its cache goes out from the worker; what must come from the disk, from the block
 * pool (cease/block.h), so no other task waits for the disk.
 *
 * Parks: until the kernel has taken everything.
 * Callers: tasks and threads; of several writers, one whole call at a time.
 * Owns: nothing; the file must stay open until this returns.
 * Errors: CEASE_EINVAL (no file on disk, or beyond what a file can have), CEASE_EOF (the file has ended
 *     before: *ret_count bytes were sent), CEASE_EBADF (not open for reading), CEASE_EIO; as
 *     cease_conn_write; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_send_file(cease_ctx *ctx, cease_conn *c, int file,
                                              uint64_t offset, uint64_t size, uint64_t *ret_count);

/* Ends the sending half: the peer reads the end of the stream, and can still send.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_ENOTCONN, CEASE_ECLOSED.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_shutdown(cease_conn *c);

/* Closes, wakes whoever reads or writes (CEASE_ECLOSED), and gives this share back. What the
 * kernel has taken is still sent, unless there are unread bytes: then the peer sees a reset. NULL
 * is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_conn_close(cease_conn *c);

/* Takes another share of the memory, so that c stays valid (and closed, once it is) for its
 * holder.
 *
 * Parks: never.
 * Callers: any, that hold a share.
 * Owns: the share is yours: cease_conn_unref.
 * Errors: none; returns c.
 * Since: 0.1
 */
CEASE_PUBLIC cease_conn *cease_conn_ref(cease_conn *c);

/* Gives a share back; the last one closes. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none; returns NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_conn *cease_conn_unref(cease_conn *c);

/* Writes the peer's address ("192.0.2.1:50000", "[2001:db8::1]:50000", "unix:" for a client that
 * has no path), cut to fit.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (size is 0), CEASE_ENOTCONN, CEASE_ECLOSED.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_peer(cease_conn *c, char *ret_text, size_t size);

/* Writes the address of our end, cut to fit.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (size is 0), CEASE_ECLOSED.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_local(cease_conn *c, char *ret_text, size_t size);

/* Waits until a read would not wait: bytes, the end of the stream, an error. For a task that wants
 * to have its buffer only when there is something to put into it.
 *
 * Parks: until there is something to read.
 * Callers: tasks and threads; of several readers, one at a time.
 * Owns: nothing.
 * Errors: CEASE_ECLOSED; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_wait_readable(cease_ctx *ctx, cease_conn *c);

/* What cease_conn_on_readable calls. It must not park or block; it may start a task. */
typedef void cease_conn_readable_fn(void *arg);

/* Calls fn(arg) once, when a read is worth a try, or inside the cease_conn_close that comes first. No
 * task waits: fn is called by the thread that hears of it, between tasks. It may also be called for
 * nothing: then the read that follows waits. An idle connection of a server so
 * costs some hundred bytes and no stack. Until then this counts as a reader, for whom others queue.
 *
 * Parks: never.
 * Callers: any; the caller keeps a share until fn was called or taken off.
 * Owns: arg is fn's until then.
 * Errors: CEASE_EAGAIN (there is something to read already: read it), CEASE_EBUSY (somebody reads),
 *     CEASE_ECLOSED, CEASE_ENOMEM; fn is not called then.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_on_readable(cease_conn *c, cease_conn_readable_fn *fn,
                                                void *arg);

/* Takes back what cease_conn_on_readable has set. True: fn is not called any more, and arg is the
 * caller's again. False: it was called, or is just being called, or nothing was set.
 *
 * Parks: never.
 * Callers: any.
 * Owns: arg, if true.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_conn_off_readable(cease_conn *c);

/* For servers. Until cease_conn_unguard, `stop` is cancelled with `code` and `text` (static) when
 * the peer goes away: when it ends its sending half (FIN) or resets, noticed by the poller also
 * while nobody reads and while unread bytes wait, as long as these fit the receive buffer. With
 * `half_closed`, a FIN does not count, only a reset does. One guard at a time; a peer that is
 * known to be gone already cancels before this returns.
 *
 * Parks: never.
 * Callers: any, one at a time.
 * Owns: stop is borrowed until cease_conn_unguard.
 * Errors: CEASE_ECLOSED, CEASE_ENOMEM, CEASE_EAGAIN (no worker to watch it).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_conn_guard(cease_conn *c, cease_canceler *stop, int code,
                                          const char *text, bool half_closed);

/* Takes the guard down, if there is one; when this returns, its cancel does not run.
 *
 * Parks: never.
 * Callers: any, one at a time.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_conn_unguard(cease_conn *c);

CEASE_END_DECLS

#endif
