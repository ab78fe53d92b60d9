/* SPDX-License-Identifier: MIT
 *
 * cease/propagate.h: what a request's context carries from process to process, besides its deadline: the
 * trace it belongs to (W3C Trace Context) and its baggage (W3C Baggage). Part of libcease-http.
 *
 * The server puts what came in with a request into the request's context; the client sends what the
 * context carries with every request made under it. So a handler that hands its ctx on hands all of it
 * on, and need not know that it is there. Baggage is taken from a request only when
 * cease_http_server_opts.take_baggage says so: peers that are not trusted should not set it.
 *
 *     cease_trace_context span;
 *     cease_trace_child(cease_trace_from_context(ctx), &span);   // a new span of the same trace, or a new trace
 *     cease_ctx *inner = cease_with_trace(ctx, &span);
 *     e = cease_http_client_do(inner, client, &call, &reply);    // says "traceparent: 00-…"
 *     cease_unref(inner);
 *
 * Without that, ids are handed on as they came: whoever records no spans leaves no gaps in a trace.
 * Parsing is strict: what is malformed is ignored and counted (bad_trace_total).
 */
#ifndef CEASE_PROPAGATE_H
#define CEASE_PROPAGATE_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

/* What cease_trace_format writes, its NUL included. */
#define CEASE_TRACEPARENT_SIZE 56

#define CEASE_TRACE_SAMPLED 1 /* in `flags`: the caller may have recorded it */

/* A span of a trace. Neither id is all zero. */
typedef struct cease_trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
    const char *state; /* tracestate, as sent; never NULL */
} cease_trace_context;

/* Reads a traceparent and, unless it is NULL, the tracestate beside it. A tracestate that is malformed is left
 * out. ret->state points into `tracestate`, or is "".
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EPARSE.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_trace_parse(const char *traceparent, const char *tracestate,
                                           cease_trace_context *ret);

/* Writes the traceparent: "00-", 32 digits, "-", 16 digits, "-", 2 digits.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_trace_format(const cease_trace_context *trace,
                                     char ret[CEASE_TRACEPARENT_SIZE]);

/* A new span of the parent's trace, with its flags and state; with NULL, the first of a new trace, not
 * sampled. Ids are of the system's random numbers.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: ret->state is the parent's.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_trace_child(const cease_trace_context *parent, cease_trace_context *ret);

/* A child of `parent` that carries the trace (a copy, the state too).
 *
 * Parks: never.
 * Callers: any.
 * Owns: the result is yours: cease_unref.
 * Errors: out of memory: the static ended context.
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_trace(cease_ctx *parent, const cease_trace_context *trace);

/* The trace that the context carries; NULL: none.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: valid while the context is.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const cease_trace_context *cease_trace_from_context(const cease_ctx *ctx);

/* Derives a child of `parent` whose baggage is `text` ("key=value;property,key=value", percent-encoded)
 * instead of the parent's. At most 64 members and 8,192 bytes are kept, the first ones, never a part of one.
 *
 * Parks: never.
 * Callers: any.
 * Owns: *ret_ctx is yours: cease_unref.
 * Errors: CEASE_EPARSE, CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_with_baggage(cease_ctx *parent, const char *text,
                                            cease_ctx **ret_ctx);

/* Derives a child of `parent` whose baggage has `value` for `key`, besides what the parent's has under other
 * keys. The value may be any text: it is percent-encoded.
 *
 * Parks: never.
 * Callers: any.
 * Owns: *ret_ctx is yours: cease_unref.
 * Errors: CEASE_EINVAL (the key is no token), CEASE_EMSGSIZE (over 64 members or 8,192 bytes), CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_with_baggage_member(cease_ctx *parent, const char *key,
                                                   const char *value, cease_ctx **ret_ctx);

/* The baggage that the context carries, as it is sent; "" when there is none.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: valid while the context is.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_baggage_from_context(const cease_ctx *ctx);

/* The value of `key` in the context's baggage, decoded and NUL-terminated, without its properties. Its length,
 * without the NUL, goes to *ret_size (which may be NULL).
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_ENOENT (no such key), CEASE_ERANGE (does not fit `size`).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_baggage_value(const cease_ctx *ctx, const char *key, char *ret,
                                             size_t size, size_t *ret_size);

CEASE_END_DECLS

#endif
