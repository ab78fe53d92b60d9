/* SPDX-License-Identifier: MIT
 *
 * cease/grpc.h: gRPC over HTTP/2, server and client, as bytes in and bytes out. Part of libcease-grpc.
 *
 * What a message means is left to others (protobuf-c, say): here it is a piece of memory. A method is a
 * handler on the HTTP server, which gets the caller's deadline (grpc-timeout) as its context's, and whose
 * context ends when the caller cancels:
 *
 *     static cease_error greet(cease_ctx *ctx, cease_grpc_call *call, void *arg)
 *     {
 *         cease_grpc_message m;
 *         cease_error e = cease_grpc_recv(ctx, call, &m);
 *         return e == CEASE_OK ? cease_grpc_send_last(ctx, call, m.data, m.size) : e;
 *     }
 *     …
 *     cease_http2_enable(server, NULL);
 *     cease_grpc_server_add(server, &(cease_grpc_method){.size = sizeof(cease_grpc_method),
 *                                                        .method = "/demo.Greeter/Greet", .fn = greet});
 *
 * A client opens calls on a cease_http2_client; cease_grpc_do makes a whole unary one. Both sides send
 * and receive with the same functions, as often as the method's kind allows: unary, streaming either way or
 * both. When a client's context ends, closing the call resets its stream with CANCEL, which ends the
 * handler's context; a client whose own deadline is over says DEADLINE_EXCEEDED whatever the server said.
 *
 * Metadata are header fields; those whose names end in "-bin" are bytes, in base64 on the wire
 * (cease_grpc_bin_encode and _decode).
 *
 * Messages in gzip are taken wherever they come from, and unpacked up to message_max; `gzip` of a method and of
 * a request says that those of 1 KiB and more are sent so, a method's only to who takes them. A call whose
 * messages are packed in another way is UNIMPLEMENTED.
 */
#ifndef CEASE_GRPC_H
#define CEASE_GRPC_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/http.h>
#include <cease/http2.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

/* How a call has ended. The numbers are gRPC's. */
#define CEASE_GRPC_CODES(X)   \
    X(OK, 0)                  \
    X(CANCELLED, 1)           \
    X(UNKNOWN, 2)             \
    X(INVALID_ARGUMENT, 3)    \
    X(DEADLINE_EXCEEDED, 4)   \
    X(NOT_FOUND, 5)           \
    X(ALREADY_EXISTS, 6)      \
    X(PERMISSION_DENIED, 7)   \
    X(RESOURCE_EXHAUSTED, 8)  \
    X(FAILED_PRECONDITION, 9) \
    X(ABORTED, 10)            \
    X(OUT_OF_RANGE, 11)       \
    X(UNIMPLEMENTED, 12)      \
    X(INTERNAL, 13)           \
    X(UNAVAILABLE, 14)        \
    X(DATA_LOSS, 15)          \
    X(UNAUTHENTICATED, 16)

typedef enum cease_grpc_code {
#define CEASE_GRPC_ENUMERATOR_(name, number) CEASE_GRPC_##name = (number),
    CEASE_GRPC_CODES(CEASE_GRPC_ENUMERATOR_)
#undef CEASE_GRPC_ENUMERATOR_
} cease_grpc_code;

/* One call, on either side. One task may receive while another sends. */
typedef struct cease_grpc_call cease_grpc_call;

/* A message: valid until the next one is received, or the call ends. */
typedef struct cease_grpc_message {
    const void *data; /* never NULL */
    size_t size;
} cease_grpc_message;

/* Answers one call. On CEASE_OK its status is OK, unless cease_grpc_status_set has said another. On an
 * error, unless that has been called: DEADLINE_EXCEEDED or CANCELLED when the context has ended (UNAVAILABLE
 * when the server stops), RESOURCE_EXHAUSTED for CEASE_EMSGSIZE, INTERNAL for CEASE_EPROTO, UNIMPLEMENTED
 * for CEASE_ENOTSUP, else UNKNOWN. */
typedef cease_error cease_grpc_handler(cease_ctx *ctx, cease_grpc_call *call, void *arg);

/* A method of a server. 0 means the default. */
typedef struct cease_grpc_method {
    size_t size;        /* sizeof(cease_grpc_method) */
    const char *method; /* "/package.Service/Method" */
    cease_grpc_handler *fn;
    void *arg;                 /* borrowed until the server is freed */
    uint32_t message_max;      /* 4 MiB: a larger one is CEASE_EMSGSIZE */
    cease_dur request_timeout; /* the server's; CEASE_FOREVER for streams without an end */
    bool gzip;                 /* send in gzip */
} cease_grpc_method;

/* Adds a method to a server, which must speak HTTP/2 (cease_http2_enable).
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: copies *method and its text.
 * Errors: CEASE_EINVAL (method), CEASE_EEXIST, CEASE_ENOMEM, CEASE_EBUSY (serving already).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_server_add(cease_http_server *s,
                                               const cease_grpc_method *method);

/* Sets the status of a handler's call; the last one counts. format may be NULL: no text. At most 1 KiB
 * of the text is sent.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_grpc_status_set(cease_grpc_call *call, cease_grpc_code code,
                                        const char *format, ...) CEASE_PRINTF(3, 4);

/* Adds metadata to a handler's answer: header fields before the first message is sent, trailers at the
 * end.
 *
 * Parks: never.
 * Callers: the handler's task.
 * Owns: nothing: both are copied.
 * Errors: CEASE_EINVAL (a client's call, a name of gRPC's own, not a field), CEASE_EMSGSIZE,
 *     CEASE_EBUSY (too late).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_metadata_add(cease_grpc_call *call, const char *name,
                                                 const char *value);
CEASE_PUBLIC cease_error cease_grpc_trailer_add(cease_grpc_call *call, const char *name,
                                                const char *value);

/* Receives the next message.
 *
 * Parks: until it is there whole, or the end.
 * Callers: tasks and threads; one receiver at a time.
 * Owns: *ret is valid until the next call of this, or the call's end.
 * Errors: CEASE_EOF (the other side has ended; a client's cease_grpc_status says how), CEASE_EMSGSIZE
 *     (above message_max), CEASE_EPROTO (cut off, no frame, no gzip), CEASE_ENOTSUP (packed in another way),
 *     CEASE_ENOMEM; those of the stream; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_recv(cease_ctx *ctx, cease_grpc_call *call,
                                         cease_grpc_message *ret);

/* Sends a message. _last: the last one, which a unary answer or request is: it goes out together with
 * what ends the stream.
 *
 * Parks: until the other side's windows have let it through.
 * Callers: tasks and threads; one sender at a time.
 * Owns: nothing.
 * Errors: CEASE_EMSGSIZE (2^32 bytes or more); those of the stream; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_send(cease_ctx *ctx, cease_grpc_call *call, const void *data,
                                         size_t size);
CEASE_PUBLIC cease_error cease_grpc_send_last(cease_ctx *ctx, cease_grpc_call *call,
                                              const void *data, size_t size);

/* The value of the first metadata of that name: a handler's from the request, a client's from the
 * response's head (after the first cease_grpc_recv), or from its trailers (after the last). NULL when
 * there is none.
 *
 * Parks: never.
 * Callers: the receiver.
 * Owns: nothing; valid while the call is.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_grpc_metadata(cease_grpc_call *call, const char *name);
CEASE_PUBLIC const char *cease_grpc_trailer(cease_grpc_call *call, const char *name);

/* ---- the client ---- */

/* A call to be made. 0 and NULL mean the default. */
typedef struct cease_grpc_request {
    size_t size;                       /* sizeof(cease_grpc_request) */
    const char *authority;             /* "localhost": the server's name */
    const char *method;                /* "/package.Service/Method" */
    const cease_http_header *metadata; /* ended by a NULL name */
    uint32_t message_max;              /* 4 MiB */
    cease_dur reserve;                 /* 2 ms: taken off the time that is left, for grpc-timeout */
    const char *scheme;                /* "http" */
    bool gzip;                         /* send in gzip: the server must take it */
} cease_grpc_request;

/* Opens a call on a connection.
 *
 * Parks: never.
 * Callers: tasks and threads.
 * Owns: *ret_call is yours: cease_grpc_close.
 * Errors: those of cease_http2_stream_open.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_open(cease_ctx *ctx, cease_http2_client *c,
                                         const cease_grpc_request *request,
                                         cease_grpc_call **ret_call);

/* Says that no message follows. (Needed only without cease_grpc_send_last.)
 *
 * Parks: as cease_grpc_send.
 * Callers: tasks and threads; one sender at a time.
 * Owns: nothing.
 * Errors: CEASE_EINVAL (said already, or a handler's call); those of the stream; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_send_end(cease_ctx *ctx, cease_grpc_call *call);

/* How a client's call has ended, once cease_grpc_recv has given anything but CEASE_OK: what the server
 * said, or what follows from the error (DEADLINE_EXCEEDED and CANCELLED for the context's, UNAVAILABLE
 * for a connection that is lost or a stream that was refused). *ret_text (which may be NULL) is
 * never NULL.
 *
 * Parks: never.
 * Callers: the receiver.
 * Owns: the text lives as long as the call.
 * Errors: none: UNKNOWN while it has not ended.
 * Since: 0.1
 */
CEASE_PUBLIC cease_grpc_code cease_grpc_status(cease_grpc_call *call, const char **ret_text);

/* Ends a client's call; one that has not ended is cancelled. NULL is fine.
 *
 * Parks: never.
 * Callers: the owner, when nobody sends or receives any more.
 * Owns: consumes call.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_grpc_close(cease_grpc_call *call);

/* The answer to a unary call. Zero-initialised is valid and empty. */
typedef struct cease_grpc_reply {
    cease_grpc_code code;
    char *text; /* never NULL after success */
    char *data; /* the message; never NULL after success, a NUL follows it */
    size_t size;
} cease_grpc_reply;

/* Makes a whole unary call. Any status is a success.
 *
 * Parks: until the answer is there.
 * Callers: tasks and threads.
 * Owns: *ret is yours: cease_grpc_reply_deinit.
 * Errors: those of cease_grpc_open, _send and _recv, when no status has come; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_do(cease_ctx *ctx, cease_http2_client *c,
                                       const cease_grpc_request *request, const void *data,
                                       size_t size, cease_grpc_reply *ret);

/* Frees what a reply holds and empties it; an empty one and NULL are fine.
 *
 * Parks: never.
 * Callers: any, one at a time per reply.
 * Owns: consumes the contents.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_grpc_reply_deinit(cease_grpc_reply *reply);

/* ---- texts ---- */

/* "DEADLINE_EXCEEDED" for 4; "UNKNOWN" for what is no code.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the text is static.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_grpc_code_name(cease_grpc_code code);

/* Bytes as the value of a "-bin" field (base64 without padding), NUL-terminated.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_ERANGE (does not fit: four thirds of the size plus three always does).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_bin_encode(const void *data, size_t size, char *ret,
                                               size_t ret_size);

/* The bytes of such a value, padded or not.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EPARSE (not base64), CEASE_ERANGE (does not fit).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_grpc_bin_decode(const char *text, void *ret, size_t ret_size,
                                               size_t *ret_count);

CEASE_END_DECLS

#endif
