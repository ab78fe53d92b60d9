/* SPDX-License-Identifier: MIT
 *
 * cease/http.h: an HTTP/1.1 server and client in which every request has a context.
 *
 * The server runs a handler in a task of its own for every request, with a fresh context, which
 * ends when
 *
 *     what happened                           the cause's code      status in the access log
 *     the client went away (closed or reset)  CEASE_EPEERGONE       499
 *     the response could not be written       CEASE_EPIPE           499
 *     the request's deadline came             CEASE_EDEADLINE       504, or what was sent before
 *     the server stops, its grace is over     CEASE_ESTOPPING       503, or what was sent before
 *     too many run and wait already           CEASE_EAGAIN          503
 *     the handler returned                    CEASE_ERETURNED       what was sent
 *
 * (cease_err() says CEASE_EDEADLINE for the deadline and CEASE_ECANCELED for all others.)
 *
 * The deadline is the smallest of the route's, the server's and what the request's own headers ask
 * for: grpc-timeout, Connect-Timeout-Ms, X-Envoy-Expected-Rq-Timeout-Ms, X-Request-Timeout-Ms
 * (durations; malformed ones are ignored and counted; one of 0 is answered without starting the
 * handler).
 *
 *     static cease_error hello(cease_ctx *ctx, cease_http_request *req,
 *                              cease_http_response *res, void *arg) {
 *         cease_http_response_header(res, "Content-Type", "text/plain");
 *         return cease_http_response_write(ctx, res, "Hello, world\n", 13);
 *     }
 *     …
 *     cease_http_server *server = cease_http_server_new(NULL);
 *     cease_http_server_route(server, "GET", "/hello", hello, NULL);
 *     cease_error e = cease_listen(ctx, "127.0.0.1:8080", NULL, &listener);
 *     if (e == CEASE_OK) e = cease_http_server_serve(ctx, server, listener);
 *     cease_http_server_free(server);
 *
 * The parser is strict (RFC 9112): whatever two implementations could read differently is refused
 * with a status and the connection closed.
 */
#ifndef CEASE_HTTP_H
#define CEASE_HTTP_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/net.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_http_server cease_http_server;
/* Both live while their handler runs, and only the handler's task touches them. */
typedef struct cease_http_request cease_http_request;
typedef struct cease_http_response cease_http_response;

/* Answers one request. On CEASE_OK what was written is sent (200 unless a status was set, also
 * when nothing was). On an error before anything has been sent, what was buffered is dropped and
 * the server's own page sent: 504 with X-Request-Deadline-Expired: 1 when the request's deadline
 * has come, 503 with Retry-After when the server is stopping, else 500. (To send an error page of your own, write
 * it and return CEASE_OK; also after the deadline, as long as it fits the buffer.) On an error
 * after a part has been sent, the connection is closed, so that the client can tell. */
typedef cease_error cease_http_handler(cease_ctx *ctx, cease_http_request *req,
                                       cease_http_response *res, void *arg);

/* What the access log gets, once per request, when it is over; also for requests that no handler
 * saw. The pointers are valid during the call. It is called on the connection's task and may park,
 * but not under a context of the request. */
typedef struct cease_http_log_entry {
    const char *peer;   /* "127.0.0.1:50000" */
    const char *method; /* "-" when the head could not be read */
    const char *target; /* as sent, percent-encoded; still the client's words: escape it */
    int status;         /* what was sent; a client that was gone: 499, after the deadline 504 */
    uint64_t bytes;     /* of the response's body, before chunking, that the kernel took */
    cease_dur elapsed;  /* from the head's last byte to the response's */
    cease_error error;  /* what the handler returned */
    int cause_code;     /* why the context ended: CEASE_ERETURNED when all went well; see above */
    const char *cause_text; /* never NULL */
} cease_http_log_entry;
typedef void cease_http_log_fn(const cease_http_log_entry *entry, void *arg);

/* Options of cease_http_server_new. 0 means the default; for a duration, CEASE_FOREVER means no
 * limit. */
typedef struct cease_http_server_opts {
    size_t size;     /* sizeof(cease_http_server_opts) */
    cease_dur grace; /* 5 s: how long requests may go on after the stop; < 0: not at all */
    cease_dur request_timeout; /* 30 s: a request's deadline, from its head's last byte on */
    cease_dur head_timeout;    /* 10 s: from a head's first byte to its last; 408 */
    cease_dur body_timeout;    /* 30 s: from a head's last byte to its body's last; 408 */
    cease_dur idle_timeout;    /* 60 s: between requests, and before the first; then closed */
    cease_dur write_budget;    /* 30 s: what a response may spend waiting for its reader */
    size_t head_max;           /* 16 KiB: request line and fields; 431 (the line alone: 414) */
    uint32_t header_count_max; /* 100: header fields, at most 256; 431 */
    uint64_t body_max;         /* 1 MiB: 413 */
    uint32_t connection_max;   /* 10,000: above it: 503 with Retry-After, and closed */
    uint32_t request_max;      /* 10,000: handlers that run at a time; further requests wait, their
                                  time running, */
    int32_t queue_max;      /* 1,000 of them at most; < 0: none; above it: 503 with Retry-After */
    bool take_baggage;      /* put a request's baggage into its context (cease/propagate.h) */
    cease_http_log_fn *log; /* NULL: no access log */
    void *log_arg;
} cease_http_server_opts;

/* Makes a server without routes. opts may be NULL, and is copied.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the result is yours: cease_http_server_free.
 * Errors: returns NULL when out of memory; every function here accepts that NULL with
 *     CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_http_server *cease_http_server_new(const cease_http_server_opts *opts);

/* Adds a route. The pattern is an absolute path; a segment in braces matches any one segment that
 * is not empty ("/doc/{backend}/{id}"), and a last segment "{name...}" the rest of the path.
 * Segments are compared after percent-decoding. A literal segment wins over a parameter, whatever
 * was added first. A method of "GET" also serves HEAD, NULL serves every method. A path without a
 * route is a 404, one with routes of other methods only a 405 with Allow.
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: method and pattern are copied, arg is borrowed until the server is freed.
 * Errors: CEASE_EINVAL (pattern), CEASE_EEXIST, CEASE_ENOMEM, CEASE_EBUSY (serving already).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_route(cease_http_server *s, const char *method,
                                                 const char *pattern, cease_http_handler *fn,
                                                 void *arg);

/* A route with options of its own; 0 means the server's value. */
typedef struct cease_http_route {
    size_t size;        /* sizeof(cease_http_route) */
    const char *method; /* as above */
    const char *pattern;
    cease_http_handler *fn;
    void *arg;
    cease_dur request_timeout; /* may be longer than the server's */
    cease_dur body_timeout;
    uint64_t body_max;
    bool half_closed; /* a client that has ended its sending half is not gone: only a reset, or a
                         write that fails, counts */
    void (*release)(void *arg); /* called with the server's end; NULL: arg is the caller's */
    /* Says what the server answers in the handler's place (408, 413, 503, 504, …) in words of the route's
     * own: sets status and header fields, of which there may be some already. NULL: a line of text. */
    void (*page)(cease_http_response *res, int status, void *arg);
} cease_http_route;

/* cease_http_server_route with options.
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: copies *route and its texts; arg is borrowed until the server is freed, or, with CEASE_OK,
 *     consumed where there is a release.
 * Errors: as cease_http_server_route.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_add(cease_http_server *s, const cease_http_route *route);

/* What is left to be called of a request's middleware and its handler. */
typedef struct cease_http_next cease_http_next;

/* A function around handlers: looks at the request, calls what is inside it with cease_http_next_call or
 * answers itself, and returns what that returned or an error of its own. It may call it with a context
 * that it has derived: with a value, or less time.
 *
 *     static cease_error only_known(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
 *                                   const cease_http_next *next, void *arg) {
 *         struct user *user = find_user(arg, cease_http_request_header(req, "Authorization"));
 *         if (!user) return cease_http_response_status(res, 401);
 *         CEASE_AUTO_UNREF cease_ctx *with = cease_with_value(ctx, &user_key, user);
 *         return cease_http_next_call(with, next, req, res);
 *     }
 */
typedef cease_error cease_http_middleware(cease_ctx *ctx, cease_http_request *req,
                                          cease_http_response *res, const cease_http_next *next,
                                          void *arg);

/* Puts fn around the handlers of all routes, inside what was put there before. Pages of the server's own
 * (404, 405, 413, an expired deadline) do not come through it.
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: arg is borrowed until the server is freed.
 * Errors: CEASE_EINVAL (fn is NULL), CEASE_ENOMEM, CEASE_EBUSY (serving already).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_use(cease_http_server *s, cease_http_middleware *fn,
                                               void *arg);

/* Calls what is inside a middleware: the next one, or the handler.
 *
 * Parks: as the handler.
 * Callers: the middleware that was given `next`, on its task, before it returns.
 * Owns: nothing.
 * Errors: what the inner function returns.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_next_call(cease_ctx *ctx, const cease_http_next *next,
                                              cease_http_request *req, cease_http_response *res);

/* Serves until ctx is done, then stops in two phases: it closes the listener and every idle
 * connection at once, lets running requests finish for opts.grace (their responses say Connection:
 * close), then cancels them with code CEASE_ESTOPPING and the text "server stopping", and returns
 * when every task of every connection has ended. Request contexts have the values of ctx, but do
 * not feel its end: that is what the grace is for. May run several times at once, for several
 * listeners.
 *
 * Parks: until it has stopped; the last phase cannot be cut short.
 * Callers: tasks and threads.
 * Owns: consumes take_listener.
 * Errors: CEASE_OK after a stop by ctx; CEASE_ECLOSED (the listener was closed by somebody else),
 *     CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_serve(cease_ctx *ctx, cease_http_server *s,
                                                 cease_listener *take_listener);

struct cease_http_tls;

/* The same over TLS: `tls` is cease_https_server() of cease/https.h, and tls_arg a cease_tls_config of
 * cease_tls_server_new. The handshake has the time of a head (head_timeout). A connection that waits has
 * no task, and keeps its TLS session. What the server cannot serve for want of room is closed without
 * a word. HTTP/2 (cease/http2.h) is spoken where the configuration's alpn has "h2" and the client
 * chooses it.
 *
 * Parks: until it has stopped; the last phase cannot be cut short.
 * Callers: tasks and threads.
 * Owns: consumes take_listener, also on failure; tls and tls_arg are borrowed until it returns.
 * Errors: as cease_http_server_serve; CEASE_EINVAL (a table without open, pending or shutdown).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_serve_tls(cease_ctx *ctx, cease_http_server *s,
                                                     cease_listener *take_listener,
                                                     const struct cease_http_tls *tls,
                                                     void *tls_arg);

/* Frees a server that does not serve (any more). NULL is fine.
 *
 * Parks: never.
 * Callers: the owner.
 * Owns: consumes s.
 * Errors: none; aborts while serving.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_server_free(cease_http_server *s);

/* What a server has done and does; for a status page, and for tests. */
typedef struct cease_http_server_counts {
    uint64_t connections_total;  /* taken */
    uint64_t requests_total;     /* with a head that could be read */
    uint64_t bad_total;          /* heads that were refused */
    uint64_t busy_total;         /* answered 503: too many connections or requests, or no task */
    uint64_t bad_deadline_total; /* deadline headers that were malformed */
    uint64_t bad_trace_total;    /* traceparent, tracestate and baggage that were */
    uint32_t connections;        /* now */
    uint32_t idle;               /* of these, between requests */
    uint32_t requests;           /* handlers that run */
    uint32_t queued;             /* requests that wait for a place to run */
} cease_http_server_counts;

/* Reads the counters, each for itself.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_server_count(cease_http_server *s, cease_http_server_counts *ret);

/* ---- the request: texts are NUL-terminated and valid until the handler returns ---- */

/* The method as sent ("GET"); the target as sent ("/search?q=a%20b"); the path percent-decoded
 * ("/a b"; one with %00, or that is no path, is a 400 and comes to no handler); the query as sent,
 * without "?", "" when there is none; the peer's address ("127.0.0.1:50000").
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_request_method(const cease_http_request *req);
CEASE_PUBLIC const char *cease_http_request_target(const cease_http_request *req);
CEASE_PUBLIC const char *cease_http_request_path(const cease_http_request *req);
CEASE_PUBLIC const char *cease_http_request_query(const cease_http_request *req);
CEASE_PUBLIC const char *cease_http_request_peer(const cease_http_request *req);

/* Whom the client has proved to be with a certificate, over TLS: its subject, as "CN=alice,O=Example". NULL:
 * it has shown none, was not asked for one (cease_tls_server_opts.client_ca_file), or there is no TLS.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: the text is the request's, valid until the handler returns.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_request_subject(const cease_http_request *req);

/* The value of the first header field of that name (any case), without the space around it; NULL
 * when there is none.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_request_header(const cease_http_request *req, const char *name);

/* The header field at `index`, in the order sent; false past the last.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_http_request_header_at(const cease_http_request *req, size_t index,
                                               const char **ret_name, const char **ret_value);

/* What a `{name}` of the route's pattern matched, percent-decoded; NULL when the pattern has no
 * such name.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_request_param(const cease_http_request *req, const char *name);

/* The first value of `name` in the query, decoded ("+" is a space) and NUL-terminated. Its length,
 * without the NUL, goes to *ret_size (which may be NULL): a decoded value can hold NULs.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: CEASE_ENOENT (no such name), CEASE_ERANGE (does not fit `size`), CEASE_EPARSE (bad
 *     percent-encoding).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_request_query_value(const cease_http_request *req,
                                                        const char *name, char *ret, size_t size,
                                                        size_t *ret_size);

/* Reads the body, decoded, at most `size` bytes at a time. The first read answers an "Expect:
 * 100-continue". What a handler leaves unread is skipped, up to 64 KiB, else the connection is
 * closed after the response.
 *
 * Parks: until there is a byte, the end, or an error.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: CEASE_EOF (all read), CEASE_EMSGSIZE (over body_max: return it, the server answers 413),
 *     CEASE_ETIMEDOUT (over body_timeout: 408), CEASE_EPROTO (bad chunk: 400), CEASE_EPEERGONE
 *     (cut off); the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_request_read(cease_ctx *ctx, cease_http_request *req, void *buf,
                                                 size_t size, size_t *ret_count);

/* The value of a trailer field (any case), which follows a chunked body: there are none before
 * cease_http_request_read has said CEASE_EOF. The field section must fit 4 KiB. NULL when there is none.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_request_trailer(const cease_http_request *req,
                                                    const char *name);

/* ---- the response ---- */

/* Sets the status, 200 to 599.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: CEASE_EINVAL, CEASE_EBUSY (the head has been sent).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_status(cease_http_response *res, int status);

/* Adds a header field (copied). The server itself writes Date, Connection, Content-Length or
 * Transfer-Encoding. A Content-Length given here is kept, and then exactly so many bytes must be
 * written; "Connection: close" makes this the connection's last response.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (not a field name, a control character in the value, or one of the server's
 *     own), CEASE_EMSGSIZE (more than 16 KiB of header fields), CEASE_EBUSY (the head has been
 *     sent).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_header(cease_http_response *res, const char *name,
                                                    const char *value);

/* Adds a trailer field (copied), which follows the body, once that is complete. HTTP/1.1 sends them with a
 * chunked body only, so they are lost for HTTP/1.0 clients, and where a Content-Length was given and
 * the head has been sent. A page of the server's own, instead of the response, has none.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (not a field name, a control character in the value, or a field that frames,
 *     routes or authenticates), CEASE_EMSGSIZE (more than 2 KiB of trailer fields), CEASE_EBUSY (the
 *     response has been sent).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_trailer(cease_http_response *res, const char *name,
                                                     const char *value);

/* Adds to the body. Up to 16 KiB are buffered; a response that fits is sent with its
 * Content-Length when the handler returns. A longer one is sent in chunks (to HTTP/1.0 clients:
 * until the connection closes) as the buffer fills. For HEAD, and for a status that has no body,
 * the bytes are counted and dropped.
 *
 * Parks: while the client does not take what must be sent, at most for the rest of the write
 *     budget.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: CEASE_EPIPE, CEASE_ECONNRESET (the client is gone; the request's context has ended with
 *     it), CEASE_ETIMEDOUT (the write budget is used up), CEASE_EINVAL (more than the
 *     Content-Length given); the context's, when it must send and ctx is done.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_write(cease_ctx *ctx, cease_http_response *res,
                                                   const void *data, size_t size);

/* The same for printf-like text.
 *
 * Parks: as cease_http_response_write.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: as cease_http_response_write; CEASE_EINVAL (format), CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_print(cease_ctx *ctx, cease_http_response *res,
                                                   const char *format, ...) CEASE_PRINTF(3, 4);

/* Sends what is buffered, the head first. A body whose length is not known yet becomes chunked.
 *
 * Parks: as cease_http_response_write.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: as cease_http_response_write.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_flush(cease_ctx *ctx, cease_http_response *res);

/* Writes one server-sent event (the HTML standard, 9.2) and sends it: an `event` line unless it is NULL, an
 * `id` line unless that is, and a `data` line for each line of `data`; NULL: a comment, which tells a
 * client, and the proxies on the way, that the stream still lives. With the first, a Content-Type of
 * text/event-stream and Cache-Control: no-store are set, unless the head has been sent. Give the route
 * a request_timeout of CEASE_FOREVER, and return when ctx is done: the client has gone, or the server
 * stops.
 *
 * Parks: as cease_http_response_write.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: as cease_http_response_write; CEASE_EINVAL (a line end in event or id).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_event(cease_ctx *ctx, cease_http_response *res,
                                                   const char *event, const char *id,
                                                   const char *data);

/* Sends the whole response now, while the handler goes on. Later writes are CEASE_EBUSY.
 *
 * Parks: as cease_http_response_write.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: as cease_http_response_write.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_response_end(cease_ctx *ctx, cease_http_response *res);

/* ---- the client ---- */

typedef struct cease_http_header {
    const char *name;
    const char *value;
} cease_http_header;

/* Gives more of a request's body: at least one byte, at most `size`, or CEASE_EOF at its end. It may
 * park, under ctx. Any other error ends the request. Called by one task at a time, which need not be the
 * caller's. */
typedef cease_error cease_http_body_fn(cease_ctx *ctx, void *arg, void *buf, size_t size,
                                       size_t *ret_count);

/* A request to be made. 0 and NULL mean the default. */
typedef struct cease_http_call {
    size_t size;         /* sizeof(cease_http_call) */
    const char *method;  /* NULL: GET, or POST when there is a body */
    const char *url;     /* "http://host[:port]/path?query", percent-encoded */
    const char *address; /* where to connect (cease_dial), if not the URL's host; no proxy then */
    const cease_http_header *headers; /* ended by a NULL name; NULL: none */
    const void *body;                 /* sent with its Content-Length */
    size_t body_size;
    size_t reply_max;  /* the largest body that is taken; 0: 16 MiB; above it CEASE_EMSGSIZE */
    cease_dur reserve; /* 2 ms: taken off the time that is left, as X-Request-Timeout-Ms says it */
    bool no_deadline;  /* do not send that field */
    cease_http_body_fn *body_read;  /* instead of `body` */
    bool (*body_rewind)(void *arg); /* begin that body again; NULL, or false: it cannot be */
    void *body_arg;                 /* of both */
    uint64_t body_length; /* exactly so much will come from body_read; 0: unknown, sent in chunks */
    /* Ask before the body is sent (Expect: 100-continue), and wait for an answer for up to a second: a
     * server that refuses by the head alone then never gets it. HTTP/1.1 only. */
    bool expect_continue;
    char *
        why; /* what is known of an error besides its code, TLS's words say; "": nothing. NULL: no matter */
    size_t why_size;
} cease_http_call;

/* A response. Zero-initialised is valid and empty. */
typedef struct cease_http_reply {
    int status;                       /* 200 to 599: interim responses are skipped */
    const char *reason;               /* may be "" */
    const cease_http_header *headers; /* in the order sent, ended by a NULL name */
    char *body;                       /* never NULL after success; a NUL follows it */
    size_t body_size;
    void *memory_; /* what the pointers above point into */
} cease_http_reply;

/* Makes one HTTP/1.1 request over a connection of its own, and reads the whole response. Any
 * status is a success. When ctx ends, the connection is closed, which is how HTTP/1.1 tells a
 * server to stop; nothing of the call runs on after its return.
 *
 * Parks: until the response is there.
 * Callers: tasks and threads.
 * Owns: *ret is yours: cease_http_reply_deinit.
 * Errors: CEASE_EINVAL (URL, header), those of cease_dial, _read and _write, CEASE_EPROTO (not
 *     HTTP, or cut off), CEASE_EMSGSIZE; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_do(cease_ctx *ctx, const cease_http_call *call,
                                       cease_http_reply *ret);

/* cease_http_do for a GET. headers may be NULL.
 *
 * Parks: until the response is there.
 * Callers: tasks and threads.
 * Owns: *ret is yours: cease_http_reply_deinit.
 * Errors: as cease_http_do.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_get(cease_ctx *ctx, const char *url,
                                        const cease_http_header *headers, cease_http_reply *ret);

/* The first header field of that name (any case); NULL when there is none.
 *
 * Parks: never.
 * Callers: any, one at a time per reply.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_http_reply_header(const cease_http_reply *reply, const char *name);

/* Frees what a reply holds and empties it; an empty one and NULL are fine.
 *
 * Parks: never.
 * Callers: any, one at a time per reply.
 * Owns: consumes the contents.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_reply_deinit(cease_http_reply *reply);

/* Percent-encodes everything but letters, digits and "-._~" (RFC 3986, unreserved),
 * NUL-terminated, for one part of a URL.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_ERANGE (does not fit: three times the text plus one always does).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_encode(const char *text, char *ret, size_t size);

CEASE_END_DECLS

#endif
