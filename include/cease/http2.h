/* SPDX-License-Identifier: MIT
 *
 * cease/http2.h: HTTP/2 for the server of cease/http.h, and a client. Part of libcease-http2, which uses
 * nghttp2.
 *
 *     cease_http_server *server = cease_http_server_new(NULL);
 *     cease_http_server_route(server, "GET", "/hello", hello, NULL);
 *     cease_error e = cease_http2_enable(server, NULL);
 *
 * From then on a connection that begins with HTTP/2's preface is served as HTTP/2 (h2c, "prior
 * knowledge"), on the same listener, with the same handlers. Every stream has a task and a context of its
 * own. A stream's context ends, besides for the reasons that cease/http.h lists, when the client resets
 * it; then the cause's code is the HTTP/2 error code, a positive number (CANCEL is 8), and the access log
 * says 499.
 *
 * Flow control works by itself: a write parks until the client's windows let it through, for at most
 * the server's write budget, and a body's window opens as the handler reads it.
 *
 * When the server stops it says so (GOAWAY), serves what the client had sent before it knew, and closes
 * when the last of these is done or the grace is over.
 *
 * What a peer can make this side keep or do has bounds; whoever goes beyond them is told
 * ENHANCE_YOUR_CALM and the connection ends:
 *
 *     open streams, and handlers that run        stream_max; more are refused
 *     unread bytes of bodies                     stream_window, connection_window
 *     a head                                     the server's head_max (431), four times that ends
 *                                                the connection; 8 CONTINUATION frames
 *     frames that bring the peer nothing:        1,000 at once and 100 a second; a reset of a stream
 *     PING, SETTINGS, PRIORITY, WINDOW_UPDATE,   that was not answered counts as 4
 *     empty DATA
 *     answers that it does not fetch             128 acknowledgements, 64 KiB of frames, the write
 *                                                budget
 *     a connection without streams               the server's idle_timeout
 */
#ifndef CEASE_HTTP2_H
#define CEASE_HTTP2_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/http.h>
#include <cease/net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

/* Limits of one connection. 0 means the default. */
typedef struct cease_http2_opts {
    size_t size;                /* sizeof(cease_http2_opts) */
    uint32_t stream_max;        /* 128: streams that the peer may have open at a time */
    uint32_t stream_window;     /* 64 KiB: bytes of one body that wait to be read */
    uint32_t connection_window; /* 1 MiB: of all bodies of a connection together; at least 65,535 */
} cease_http2_opts;

/* Teaches a server HTTP/2. opts may be NULL, and is copied.
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: nothing that is left to the caller.
 * Errors: CEASE_EEXIST (it has another protocol), CEASE_EBUSY (serving already), CEASE_EINVAL (a
 *     window above 2^31 - 1, or a libcease-http of another version), CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_enable(cease_http_server *s, const cease_http2_opts *opts);

CEASE_END_DECLS

#endif
