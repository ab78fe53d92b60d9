/* SPDX-License-Identifier: MIT
 *
 * cease/http2.h: HTTP/2 for the server of cease/http.h, for the client of cease/http_client.h (cease_http2), and a client
 * of its own. Part of libcease-http2, which uses nghttp2.
 *
 *     cease_http_server *server = cease_http_server_new(NULL);
 *     cease_http_server_route(server, "GET", "/hello", hello, NULL);
 *     cease_error e = cease_http2_enable(server, NULL);
 *
 * From then on a connection that begins with HTTP/2's preface is served as HTTP/2 (h2c, "prior
 * knowledge"), on the same listener, with the same handlers. Over TLS (cease_http_server_serve_tls) the
 * client chooses by ALPN: a configuration whose alpn is {"h2", "http/1.1", NULL} offers both. Every stream
 * has a task and a context of its own. A stream's context ends, besides for the reasons that cease/http.h lists, when the client resets
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
 *     open streams, and handlers that run        stream_max; more are refused. A handler whose response
 *                                                is complete has that number again to return in
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
#include <cease/http_client.h>
#include <cease/net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

/* Limits of one connection, and what a client needs besides. 0 and NULL mean the default. */
typedef struct cease_http2_opts {
    size_t size;                /* sizeof(cease_http2_opts) */
    uint32_t stream_max;        /* 128: streams that the peer may have open at a time */
    uint32_t stream_window;     /* 64 KiB: bytes of one body that wait to be read */
    uint32_t connection_window; /* 1 MiB: of all bodies of a connection together; at least 65,535 */
    /* a client's */
    const cease_http_tls *tls; /* cease_http2_dial: cease_https(); NULL: without TLS */
    void *tls_arg;             /* for tls->open, which is to offer "h2"; borrowed while it dials */
    char *why; /* gets TLS's words for a dial that failed; "": none. NULL: no matter */
    size_t why_size;
    bool no_trace;   /* do not send traceparent and tracestate */
    bool no_baggage; /* do not send baggage */
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

/* ---- the client ---- */

/* The table for cease_http_client_opts.multiplex: the client of cease/http_client.h then speaks HTTP/2 with servers
 * that choose it, with the limits that a cease_http2_opts of zeros has.
 *
 *     static const char *const both[] = {"h2", "http/1.1", NULL};
 *     cease_tls_config *trust = cease_tls_client_new(
 *         &(cease_tls_client_opts){.size = sizeof(cease_tls_client_opts), .alpn = both});
 *     const cease_http_client_opts opts = {
 *         .size = sizeof opts, .tls = cease_https(), .tls_arg = trust, .multiplex = cease_http2()};
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: the table is static.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const cease_http_multiplex *cease_http2(void);

/* One connection, on which many streams can be open at a time. For who wants to hold it himself: a connection
 * without TLS, streams that go both ways, trailers. */
typedef struct cease_http2_client cease_http2_client;
/* One request and its response. One task may read while another writes. */
typedef struct cease_http2_stream cease_http2_stream;

/* Puts an HTTP/2 client on a connection and sends the preface. The server must be known to speak HTTP/2
 * (prior knowledge). opts may be NULL; its stream_max and tls mean nothing here.
 *
 * Parks: never.
 * Callers: tasks and threads.
 * Owns: consumes take_conn, also on failure; *ret_client is yours: cease_http2_client_close.
 * Errors: CEASE_EINVAL (a window above 2^31 - 1), CEASE_ENOMEM, CEASE_EAGAIN (no task to be had).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_client_new(cease_conn *take_conn, const cease_http2_opts *opts,
                                                cease_http2_client **ret_client);

/* The same on a TLS session that has agreed on "h2" (ALPN): `tls` is a table of functions that read and
 * write at the same time, as cease_https() of cease/https.h gives it for a cease_tls, `take_session` what
 * they work on.
 *
 *     e = cease_tls_handshake(ctx, session);       // its configuration offers "h2"
 *     if (e == CEASE_OK && strcmp(cease_tls_alpn(session), "h2") == 0)
 *         e = cease_http2_client_over(cease_https(), session, NULL, &client);
 *
 * Parks: never.
 * Callers: tasks and threads.
 * Owns: consumes take_session (tls->close), also on failure; *ret_client is yours:
 *     cease_http2_client_close.
 * Errors: CEASE_ENOTSUP (tls is not duplex); as cease_http2_client_new.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_client_over(const cease_http_tls *tls, void *take_session,
                                                 const cease_http2_opts *opts,
                                                 cease_http2_client **ret_client);

/* Connects to an address of cease/net.h, and does what cease_http2_client_new does. With opts->tls it
 * puts TLS on the connection, verifies the server as the address' host, and asks for "h2" (ALPN): a server
 * that does not choose it speaks HTTP/1.1 only. (cease_http_client_do speaks both.)
 *
 *     static const char *const h2[] = {"h2", NULL};
 *     cease_tls_config *trust = cease_tls_client_new(
 *         &(cease_tls_client_opts){.size = sizeof(cease_tls_client_opts), .alpn = h2});
 *     const cease_http2_opts opts = {.size = sizeof opts, .tls = cease_https(), .tls_arg = trust};
 *     e = cease_http2_dial(ctx, "example.com:443", &opts, &client);
 *
 * Parks: until connected, with TLS until both sides have agreed.
 * Callers: tasks and threads.
 * Owns: *ret_client is yours: cease_http2_client_close.
 * Errors: those of cease_dial and of cease_http2_client_new; with TLS those of its table (CEASE_ETLS),
 *     CEASE_ENOTSUP (the server does not speak HTTP/2), CEASE_EINVAL (an address without a host).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_dial(cease_ctx *ctx, const char *address,
                                          const cease_http2_opts *opts,
                                          cease_http2_client **ret_client);

/* Whether a stream may be opened: false once the connection is lost or the server has said that it goes
 * (GOAWAY), when what is open still goes on.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_http2_client_usable(cease_http2_client *c);

/* Ends the connection, and every stream with it; who waits for one gets CEASE_EPIPE. NULL is fine.
 *
 * Parks: until the connection's tasks have ended, which is at once.
 * Callers: the owner.
 * Owns: consumes c; streams that are still held keep what they need.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http2_client_close(cease_http2_client *c);

/* Makes one request, and reads the whole response, as cease_http_do, whose call and reply these are. The
 * call's address is not used. The time that is left, the trace and the baggage go along as with
 * cease_http_client_do. When ctx ends, the stream is reset with CANCEL, and nothing of the call runs on after its
 * return. A stream that the server has reset after ctx's deadline is that deadline's.
 *
 * Parks: until the response is there.
 * Callers: tasks and threads.
 * Owns: *ret is yours: cease_http_reply_deinit.
 * Errors: CEASE_EINVAL (URL, header), CEASE_EAGAIN (the server has not begun with it: safe to be tried
 *     again, elsewhere), CEASE_ECONNRESET (it has reset the stream), CEASE_EPIPE (the connection is
 *     lost), CEASE_ECLOSED (not usable), CEASE_EMSGSIZE, CEASE_ENOMEM; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_do(cease_ctx *ctx, cease_http2_client *c,
                                        const cease_http_call *call, cease_http_reply *ret);

/* Opens a stream and sends the head of call's request, with what ctx carries; call's body is
 * not sent, only its size told (body_length, if there is a body_read). `end`: the request has no body. Above what the server takes at a time, the head waits in
 * the connection. ctx is used during the call only.
 *
 * Parks: never.
 * Callers: tasks and threads.
 * Owns: *ret_stream is yours: cease_http2_stream_close.
 * Errors: CEASE_EINVAL (URL, header), CEASE_ECLOSED (not usable), CEASE_ENOMEM; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_stream_open(cease_ctx *ctx, cease_http2_client *c,
                                                 const cease_http_call *call, bool end,
                                                 cease_http2_stream **ret_stream);

/* Sends a piece of the request's body.
 *
 * Parks: until the server's windows have let all of it through to the connection.
 * Callers: tasks and threads; one writer at a time.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (after the end), CEASE_EAGAIN, CEASE_ECONNRESET, CEASE_EPIPE (as
 *     cease_http2_do); the context's: then a part may have been sent.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_stream_write(cease_ctx *ctx, cease_http2_stream *s,
                                                  const void *data, size_t size);

/* The same from `count` pieces, and with `end` the last of them: what ends the body goes out with it.
 *
 * Parks: as cease_http2_stream_write.
 * Callers: tasks and threads; one writer at a time.
 * Owns: nothing; iov is not changed.
 * Errors: as cease_http2_stream_write.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_stream_writev(cease_ctx *ctx, cease_http2_stream *s,
                                                   const struct iovec *iov, int count, bool end);

/* Ends the request's body. trailers are ended by a NULL name; NULL: none.
 *
 * Parks: as cease_http2_stream_write.
 * Callers: tasks and threads; one writer at a time.
 * Owns: nothing.
 * Errors: as cease_http2_stream_write; CEASE_EINVAL (a trailer).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_stream_end(cease_ctx *ctx, cease_http2_stream *s,
                                                const cease_http_header *trailers);

/* Waits for the head of the response; interim ones are skipped.
 *
 * Parks: until it is there.
 * Callers: tasks and threads; one reader at a time.
 * Owns: nothing.
 * Errors: CEASE_EAGAIN, CEASE_ECONNRESET, CEASE_EPIPE (as cease_http2_do), CEASE_EMSGSIZE (a head above
 *     64 KiB); the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_stream_wait(cease_ctx *ctx, cease_http2_stream *s,
                                                 int *ret_status);

/* Reads the response's body, at least one byte, at most `size`; the window opens by as much.
 *
 * Parks: until there is a byte, the end, or an error.
 * Callers: tasks and threads; one reader at a time.
 * Owns: nothing.
 * Errors: CEASE_EOF (all read), CEASE_EINVAL (size is 0), CEASE_EAGAIN, CEASE_ECONNRESET, CEASE_EPIPE
 *     (as cease_http2_do); the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http2_stream_read(cease_ctx *ctx, cease_http2_stream *s, void *buf,
                                                 size_t size, size_t *ret_count);

/* The value of the response's first header field of that name (any case), once its head is there; the
 * same of its trailers, after CEASE_EOF. NULL when there is none.
 *
 * Parks: never.
 * Callers: the reader.
 * Owns: nothing: the texts live as long as the stream.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http2_stream_header(const cease_http2_stream *s, const char *name);
CEASE_PUBLIC const char *cease_http2_stream_trailer(const cease_http2_stream *s, const char *name);

/* The header field, or trailer, at `index`, in the order sent; false past the last.
 *
 * Parks: never.
 * Callers: the reader.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_http2_stream_header_at(const cease_http2_stream *s, size_t index,
                                               const char **ret_name, const char **ret_value);
CEASE_PUBLIC bool cease_http2_stream_trailer_at(const cease_http2_stream *s, size_t index,
                                                const char **ret_name, const char **ret_value);

/* The HTTP/2 error code with which the stream has ended; 0 while it is open, and after a good end.
 *
 * Parks: never.
 * Callers: any that use the stream.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC uint32_t cease_http2_stream_code(cease_http2_stream *s);

/* Gives the stream back. One that is not complete is reset with CANCEL, which tells the server to stop.
 * NULL is fine.
 *
 * Parks: never.
 * Callers: the owner, when nobody reads or writes any more.
 * Owns: consumes s.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http2_stream_close(cease_http2_stream *s);

CEASE_END_DECLS

#endif
