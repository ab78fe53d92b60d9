/* SPDX-License-Identifier: MIT
 *
 * cease/packet.h: datagrams under a context: UDP (IPv4, IPv6) and Unix datagram sockets.
 *
 *     cease_packet *p;
 *     cease_address from;
 *     cease_error e = cease_packet_open(ctx, "127.0.0.1:5353", NULL, &p);
 *     e = cease_packet_recv(ctx, p, buf, sizeof buf, &count, &from);
 *     e = cease_packet_send_to(ctx, p, buf, count, &from);
 *     cease_packet_close(p);
 *
 * A cease_packet is a socket: one that was opened takes datagrams from everybody and sends to any
 * address, one that was dialled has one peer, hears of nobody else, and is told when that one cannot be
 * reached. Address texts are those of cease/net.h; "unix:…" makes it a Unix datagram socket, else it is
 * UDP.
 *
 * A datagram arrives whole or not at all; UDP may lose, double and reorder them, Unix sockets do not. An
 * empty one is a datagram too.
 *
 * One task may receive while another sends; several receivers (or senders) take turns. Closing wakes
 * them with CEASE_ECLOSED, as with a connection; who uses what somebody else may close holds a share.
 */
#ifndef CEASE_PACKET_H
#define CEASE_PACKET_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_packet cease_packet;

/* An address of the system's, in the caller's memory: copy it, compare it by cease_address_equal. All
 * zero: none. The fields are the library's. */
typedef struct cease_address {
    uint32_t size_;
    uint32_t pad_;
    uint64_t words_[14];
} cease_address;

/* Options of cease_packet_open and cease_packet_dial. All zero (or NULL instead of the struct) means the
 * defaults. */
typedef struct cease_packet_opts {
    size_t size;        /* sizeof(cease_packet_opts) */
    uint32_t unix_mode; /* permissions of a Unix path, e.g. 0660; 0: what the umask leaves */
    bool reuse_port;    /* several sockets share one port's datagrams (SO_REUSEPORT) */
    bool only_v6;       /* a socket on "[::]" has nothing to do with IPv4 */
    bool broadcast;     /* may send to broadcast addresses */
} cease_packet_opts;

/* Makes an address of a text: the first one that a name has.
 *
 * Parks: only to resolve a name.
 * Callers: tasks and threads.
 * Owns: nothing; *ret_address is plain memory.
 * Errors: CEASE_EINVAL (no such address syntax), CEASE_ERESOLVE, CEASE_ENOMEM; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_address_resolve(cease_ctx *ctx, const char *text,
                                               cease_address *ret_address);

/* Writes an address in the syntax of cease_listen, cut to fit; an empty one is "". An IPv4 address is
 * one, however it has come ("192.0.2.1:50000", never "[::ffff:192.0.2.1]:50000").
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (size is 0).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_address_text(const cease_address *a, char *ret_text, size_t size);

/* Whether both are the same address and port, or path.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_address_equal(const cease_address *a, const cease_address *b);

/* Makes a socket that receives what is sent to `address`; port 0 lets the kernel choose, ":0" takes
 * datagrams of IPv4 and IPv6. A Unix path is treated as by cease_listen: what a dead process left behind
 * is replaced, and it is removed by the close.
 *
 * Parks: only to resolve a name.
 * Callers: tasks and threads.
 * Owns: *ret_packet is yours: cease_packet_close.
 * Errors: as cease_listen.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_packet_open(cease_ctx *ctx, const char *address,
                                           const cease_packet_opts *opts,
                                           cease_packet **ret_packet);

/* Makes a socket that has `address` as its only peer. Nothing is sent: whether there is anybody shows
 * when something has been. Of a name's addresses the first is taken that this host has a way to. A Unix
 * socket gets an abstract name of its own, so that it can be answered.
 *
 * Parks: only to resolve a name.
 * Callers: tasks and threads.
 * Owns: *ret_packet is yours: cease_packet_close.
 * Errors: CEASE_EINVAL (no such address syntax), CEASE_ERESOLVE, CEASE_ENOENT (no such path),
 *     CEASE_ECONNREFUSED (nobody has the path open), CEASE_ENETUNREACH, CEASE_EMFILE, CEASE_ENOMEM; the
 *     context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_packet_dial(cease_ctx *ctx, const char *address,
                                           const cease_packet_opts *opts,
                                           cease_packet **ret_packet);

/* Sends one datagram to the peer that was dialled.
 *
 * Parks: until the kernel has taken it: while the buffer, or a Unix peer's queue, is full.
 * Callers: tasks and threads; of several senders, one at a time.
 * Owns: nothing.
 * Errors: CEASE_EMSGSIZE (larger than a datagram can be), CEASE_ECONNREFUSED (what was sent before has
 *     met nobody; this one was not sent), -EDESTADDRREQ (not dialled), CEASE_EHOSTUNREACH,
 *     CEASE_ENETUNREACH, CEASE_ECLOSED; the context's, and then it was not sent.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_packet_send(cease_ctx *ctx, cease_packet *p, const void *buf,
                                           size_t size);

/* The same to an address. An IPv4 address works from an IPv6 socket that is not only_v6.
 *
 * Parks: until the kernel has taken it: while the buffer, or a Unix peer's queue, is full.
 * Callers: tasks and threads; of several senders, one at a time.
 * Owns: nothing.
 * Errors: as cease_packet_send; CEASE_EINVAL (an empty address, or one of another kind of socket),
 *     CEASE_ENOENT (no such path), -EISCONN (a Unix socket that was dialled).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_packet_send_to(cease_ctx *ctx, cease_packet *p, const void *buf,
                                              size_t size, const cease_address *to);

/* Receives one datagram. *ret_from (which may be NULL) is who sent it; the address of a Unix socket that
 * has no name is "unix:", and cannot be answered. One that is larger than the buffer is cut: then
 * CEASE_EMSGSIZE is returned, *ret_count is its whole size, the buffer is full, and the rest is gone. A
 * datagram that was received is never lost to a cancel.
 *
 * Parks: until there is one.
 * Callers: tasks and threads; of several receivers, one at a time.
 * Owns: nothing.
 * Errors: CEASE_EMSGSIZE, CEASE_ECONNREFUSED (of a dialled socket: what was sent has met nobody),
 *     CEASE_ECLOSED; the context's, and then nothing was received.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_packet_recv(cease_ctx *ctx, cease_packet *p, void *buf, size_t size,
                                           size_t *ret_count, cease_address *ret_from);

/* Writes the socket's own address, cut to fit.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (size is 0), CEASE_ECLOSED.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_packet_local(cease_packet *p, char *ret_text, size_t size);

/* Takes another share of the memory, so that p stays valid (and closed, once it is) for its holder.
 *
 * Parks: never.
 * Callers: any, that hold a share.
 * Owns: the share is yours: cease_packet_unref.
 * Errors: none; returns p.
 * Since: 0.1
 */
CEASE_PUBLIC cease_packet *cease_packet_ref(cease_packet *p);

/* Gives a share back; the last one closes. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none; returns NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_packet *cease_packet_unref(cease_packet *p);

/* Closes, wakes whoever sends or receives (CEASE_ECLOSED), and gives this share back. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_packet_close(cease_packet *p);

CEASE_END_DECLS

#endif
