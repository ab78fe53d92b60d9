/* SPDX-License-Identifier: MIT
 *
 * cease/http_client.h: an HTTP client that keeps its connections, under contexts.
 *
 *     cease_http_client *client = cease_http_client_new(NULL);
 *     const cease_http_call call = {.size = sizeof call, .url = "http://example.com/"};
 *     cease_http_reply reply = {0};
 *     if (cease_http_client_do(ctx, client, &call, &reply) == CEASE_OK)
 *         puts(reply.body);
 *     cease_http_reply_deinit(&reply);
 *     cease_http_client_free(client);
 *
 * It speaks HTTP/1.1; and HTTP/2 with servers that choose it over TLS (ALPN), when opts.multiplex is cease_http2()
 * of cease/http2.h and the TLS configuration offers "h2". Calls to one origin then share a connection, up to
 * the number that the server takes at a time, and another is made beyond that; nothing else changes for the
 * caller, but that the reason of an answer is "" and that expect_continue is not asked.
 *
 * One client serves a whole program. It keeps a pool of connections for each origin (scheme, host,
 * port and proxy), follows redirects, asks for gzip and unpacks it, takes proxies from the
 * environment, tries again where that is safe, and hands on what the context carries: the time that is
 * left (X-Request-Timeout-Ms), the trace and the baggage (cease/propagate.h).
 *
 * Cancelling. Everything happens under the caller's context. When it ends in the middle of an
 * exchange, that connection is closed, which is how HTTP/1.1 tells a server to stop; an exchange of HTTP/2 is
 * reset with CANCEL, and the others on its connection go on. When it ends while
 * a connection is being made, the connection is finished all the same and goes to the pool, for the
 * next call; while a call waits for a connection it also takes one that another call gives back first.
 *
 * Trying again. A call is repeated, once, on a new connection, when its connection came from the pool,
 * broke before the first byte of an answer, the call can be repeated (GET, HEAD, OPTIONS, TRACE, PUT or
 * DELETE; any method with an Idempotency-Key, or of which no byte went out), its body can be read again, and time is left: a server may
 * close an idle connection at the moment in which it is used. What a server of HTTP/2 says that it has not begun
 * with is repeated whatever its method: refused (REFUSED_STREAM) five times at most, after pauses that grow from nothing to
 * half a second; left out by a GOAWAY as often as the server took others of that connection, else five times.
 *
 * Redirects. 301, 302, 303, 307 and 308 with a Location are followed, at most redirect_max times. After a 303,
 * and after a 301 or 302 to a POST, the next request is a GET without the body; otherwise method and
 * body stay, and a body that cannot be read again ends the chain with that answer. Authorization, Cookie and
 * Proxy-Authorization, a Host field and the baggage are left out from the first hop on that leaves the
 * origin. A redirect from https to http is not followed: the answer is that redirect.
 *
 * Cookies are fields like others: none are kept.
 *
 * Proxies. http_proxy, https_proxy and no_proxy of the environment are read when the client is made (the
 * upper-case forms as well, but for HTTP_PROXY, which a request can set in a CGI program). no_proxy has hosts, which
 * stand for their subdomains too, addresses, each with a port or without, networks ("10.0.0.0/8"), or "*". localhost and
 * loopback addresses are asked directly. https goes through the proxy's CONNECT.
 */
#ifndef CEASE_HTTP_CLIENT_H
#define CEASE_HTTP_CLIENT_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/http.h>
#include <cease/net.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_http_client cease_http_client; /* shared by any number of tasks */
typedef struct cease_http_answer
    cease_http_answer; /* one response, as it comes; one task at a time */

/* How a client speaks TLS: cease/https.h has a table that uses libcease-tls, so that libcease-http
 * needs no TLS library itself. The functions behave as those of cease/tls.h. */
typedef struct cease_http_tls {
    size_t size; /* sizeof(cease_http_tls) */
    /* Puts TLS on a connection, which is consumed, also on failure, and verifies the peer as `host`. With
     * an error there may be a session all the same, of which only `why` and `close` are asked then. */
    cease_error (*open)(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                        void **ret_session);
    cease_error (*read)(cease_ctx *ctx, void *session, void *buf, size_t size, size_t *ret_count);
    cease_error (*write)(cease_ctx *ctx, void *session, const void *buf, size_t size,
                         size_t *ret_count);
    bool (*pending)(void *session); /* bytes have come that no read has delivered; may be NULL */
    void (*close)(void *session);   /* with its connection */
    bool duplex;                    /* one task may read while another writes */
    /* Says that nothing more will be written. For a server; a client may leave it NULL. */
    cease_error (*shutdown)(cease_ctx *ctx, void *session);
    /* The protocol that both sides have agreed on (ALPN), such as "h2", valid as long as the session; NULL:
     * none. Optional. */
    const char *(*alpn)(void *session);
    /* The subject of the certificate that the peer has proved to have, valid as long as the session; NULL:
     * it has shown none. Optional. */
    const char *(*subject)(void *session);
    /* What has gone wrong, in words; "": nothing. Optional. */
    const char *(*why)(void *session);
} cease_http_tls;

/* How a client speaks a protocol over TLS that carries many exchanges on one connection: cease/http2.h has a table
 * for HTTP/2, so that libcease-http needs no library for it. CEASE_EAGAIN and CEASE_ECLOSED, where they are
 * not told otherwise, mean that the server has not begun with the exchange. */
typedef struct cease_http_multiplex {
    size_t size;      /* sizeof(cease_http_multiplex) */
    const char *alpn; /* the protocol's name over TLS */
    /* Begins on a session that has agreed on it, which is consumed, also on failure, and waits until the server has said
     * how many exchanges it takes. `gone` is called once the
     * connection is lost, from a task of its own, at most until `close` returns; it must not call close. */
    cease_error (*open)(cease_ctx *ctx, const cease_http_tls *tls, void *take_session,
                        void (*gone)(void *arg), void *arg, void **ret_connection);
    /* How many exchanges the server takes at a time; 0: none can be begun any more. */
    uint32_t (*limit)(void *connection);
    bool (*has_served)(void *connection); /* whether the server has begun with any exchange of it */
    void (*close)(void *connection);      /* when no exchange is left */
    /* Begins an exchange: sends the head (an absolute URL, a method and every field are given), and the body
     * when it is of memory, which is then borrowed until `end`. A body_read is not called. */
    cease_error (*begin)(cease_ctx *ctx, void *connection, const cease_http_call *request,
                         void **ret_exchange);
    /* Sends a piece of the body; `last`: its end, with data or without. */
    cease_error (*write)(cease_ctx *ctx, void *exchange, const void *data, size_t size, bool last);
    cease_error (*wait)(cease_ctx *ctx, void *exchange, int *ret_status); /* for the head */
    bool (*header_at)(void *exchange, size_t index, const char **ret_name, const char **ret_value);
    cease_error (*read)(cease_ctx *ctx, void *exchange, void *buf, size_t size, size_t *ret_count);
    bool (*trailer_at)(void *exchange, size_t index, const char **ret_name, const char **ret_value);
    void (*give_up)(void *exchange); /* any task: resets it, which wakes who waits */
    /* Its caller's time is over before an answer has begun. A connection on which nothing has come for long, though
     * something was asked, then takes no more: it may have been lost without a word. */
    void (*timed_out)(void *exchange);
    void (*end)(void *exchange); /* frees it; resets it when it is not complete */
} cease_http_multiplex;

/* redirect_max for a client that follows none. */
#define CEASE_HTTP_NO_REDIRECTS UINT32_MAX

/* Options of cease_http_client_new. 0 and NULL mean the default; for a duration, CEASE_FOREVER means
 * no limit. */
typedef struct cease_http_client_opts {
    size_t size;                  /* sizeof(cease_http_client_opts) */
    uint32_t connection_max;      /* 256: to one origin at a time; calls beyond that wait */
    uint32_t idle_max;            /* 256: idle ones kept in all; the oldest is closed first */
    uint32_t idle_per_origin_max; /* 64 */
    uint32_t redirect_max;        /* 10; CEASE_HTTP_NO_REDIRECTS: none */
    uint32_t head_max;            /* 64 KiB: of an answer's head; CEASE_EPROTO beyond it */
    cease_dur idle_timeout;       /* 30 s: then an idle connection is closed */
    cease_dur dial_timeout;       /* 30 s: for making a connection, also when its caller has gone */
    bool no_gzip;                 /* do not ask for gzip, and leave bodies as they are */
    bool no_trace;                /* do not send traceparent and tracestate */
    bool no_baggage;              /* do not send baggage */
    const char *proxy;    /* "http://host:port" for everything; "": none; NULL: the environment's */
    const char *no_proxy; /* with `proxy`: hosts that are asked directly, as in the environment */
    const cease_http_tls *tls; /* NULL: https is CEASE_ENOTSUP */
    void *tls_arg;             /* for tls->open, borrowed */
    const cease_http_multiplex
        *multiplex; /* cease_http2(): if the server chooses it; NULL: never */
} cease_http_client_opts;

/* Makes a client. opts may be NULL; what it points to is copied.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the result is yours: cease_http_client_free.
 * Errors: returns NULL when out of memory, or when a proxy is no http URL; every function here accepts
 *     that NULL with CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_http_client *cease_http_client_new(const cease_http_client_opts *opts);

/* Closes what is idle, gives up and joins what is being dialed, and frees the client. NULL is fine.
 *
 * Parks: until the dials have ended; it cannot be cut short.
 * Callers: the owner, when no call runs and every answer is closed (aborts otherwise).
 * Owns: consumes c.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_client_free(cease_http_client *c);

/* Closes every idle connection.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_client_close_idle(cease_http_client *c);

/* What a client has done and holds; for a status page, and for tests. */
typedef struct cease_http_client_counts {
    uint64_t calls_total;     /* requests of callers */
    uint64_t dials_total;     /* connections begun */
    uint64_t reused_total;    /* requests that went out on a connection from the pool */
    uint64_t retries_total;   /* requests repeated on a new connection */
    uint64_t redirects_total; /* redirects followed */
    uint32_t idle;            /* connections in the pool, now */
    uint32_t busy;            /* with an exchange, now */
    uint32_t dialing;         /* now */
    uint32_t waiting;         /* calls that wait for a connection, now */
} cease_http_client_counts;

/* Reads the counters, each for itself.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_client_count(cease_http_client *c, cease_http_client_counts *ret);

/* Sends a request, follows redirects, and returns when the head of the answer is there. Any status is
 * a success. A body that call->body_read gives is sent by a task of its own, so that the answer may
 * come before all of it is sent, and may be read meanwhile. (Not over TLS without `duplex`: there the body
 * is sent first.)
 *
 * Parks: until the head of the answer is there.
 * Callers: tasks and threads.
 * Owns: *ret_answer is yours: cease_http_answer_close, before ctx goes. call is borrowed until this
 *     returns, but what body, body_read and body_arg point to until the answer is closed.
 * Errors: CEASE_EINVAL (URL, method, header), CEASE_ENOTSUP (https without opts.tls, or a protocol was
 *     agreed on that the client does not speak), those of
 *     cease_dial, _read and _write and of the TLS table, CEASE_ECONNREFUSED also when a proxy refuses,
 *     CEASE_EAGAIN (HTTP/2: refused each time, so it may be tried again later, or elsewhere),
 *     CEASE_EPROTO (not HTTP, cut off, a Location that cannot be followed, more than redirect_max
 *     redirects), what body_read said; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_client_open(cease_ctx *ctx, cease_http_client *c,
                                                const cease_http_call *call,
                                                cease_http_answer **ret_answer);

/* cease_http_client_open, then reads the whole body, up to call->reply_max, as cease_http_do does.
 *
 * Parks: until the response is there.
 * Callers: tasks and threads.
 * Owns: *ret is yours: cease_http_reply_deinit.
 * Errors: as cease_http_client_open; CEASE_EMSGSIZE.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_client_do(cease_ctx *ctx, cease_http_client *c,
                                              const cease_http_call *call, cease_http_reply *ret);

/* Asks several replicas and takes the first good answer. calls[0] begins at once; each next one when
 * `delay` has passed without a good answer, or when one has failed. An error or a status of 500 and
 * above is a failure. The first answer that is none wins; the others are cancelled and joined before
 * this returns. If all fail, the last that failed with a status is the result, else the first error.
 *
 * Use it for requests that may be made twice. Each body must be of memory, or not be shared.
 *
 * Parks: until there is an answer, and until the others have stopped.
 * Callers: tasks and threads.
 * Owns: *ret is yours: cease_http_reply_deinit. *ret_index (may be NULL) says whose it is.
 * Errors: as cease_http_client_do; CEASE_EINVAL when count is 0 or above 16; what cease_go says.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_client_hedge(cease_ctx *ctx, cease_http_client *c,
                                                 const cease_http_call *calls, size_t count,
                                                 cease_dur delay, cease_http_reply *ret,
                                                 size_t *ret_index);

/* ---- the answer: texts are NUL-terminated and valid until it is closed ---- */

/* The status (200 to 599: interim ones are skipped); the reason, which may be ""; the URL that has
 * answered, after redirects.
 *
 * Parks: never.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC int cease_http_answer_status(const cease_http_answer *a);
CEASE_PUBLIC const char *cease_http_answer_reason(const cease_http_answer *a);
CEASE_PUBLIC const char *cease_http_answer_url(const cease_http_answer *a);

/* The value of the first header field of that name (any case); NULL when there is none. When the client
 * unpacks the body, Content-Encoding and Content-Length are not shown.
 *
 * Parks: never.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_answer_header(const cease_http_answer *a, const char *name);

/* The header field at `index`, in the order sent; false past the last.
 *
 * Parks: never.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_http_answer_header_at(const cease_http_answer *a, size_t index,
                                              const char **ret_name, const char **ret_value);

/* Reads the body, decoded, at most `size` bytes at a time. With CEASE_EOF the connection has gone
 * back to the pool, if it can be used again. call->reply_max bounds what is read in all, when it is set.
 *
 * Parks: until there is a byte, the end, or an error.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: CEASE_EOF (all read), CEASE_EPROTO (cut off, a bad chunk, bad gzip), CEASE_EMSGSIZE,
 *     CEASE_ECONNRESET, what body_read said; the context's: then nothing was lost, and the body can be
 *     read on under another one.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_answer_read(cease_ctx *ctx, cease_http_answer *a, void *buf,
                                                size_t size, size_t *ret_count);

/* The value of the first trailer field of that name (any case), once the body was read to CEASE_EOF. The fields
 * must fit 4 KiB. NULL when there is none.
 *
 * Parks: never.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_answer_trailer(const cease_http_answer *a, const char *name);

/* Frees an answer. Its connection goes back to the pool when both bodies are through, and is closed
 * otherwise, which is how the server hears of it; a body that is still being sent is cancelled. NULL is
 * fine.
 *
 * Parks: only until the task that sends the body has stopped.
 * Callers: one task at a time.
 * Owns: consumes a.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_answer_close(cease_http_answer *a);

CEASE_END_DECLS

#endif
