/* SPDX-License-Identifier: MIT
 *
 * client.c: gRPC calls on an HTTP/2 client.
 *
 * How a call has ended is what the server says in grpc-status, among the trailers or, when there was
 * nothing else to say, in the head. Where it says nothing, the code follows from what happened: the
 * context's end first, then the HTTP/2 code of a reset, the HTTP status, the connection's end.
 */
#include "grpc/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OWN_HEADERS = 7 };

/* ---- the request ---- */

static size_t count_of(const cease_http_header *h)
{
    size_t n = 0;
    while (h && h[n].name) {
        n++;
    }
    return n;
}

/* grpc-timeout, when ctx has a deadline. */
static bool put_timeout(cease_ctx *ctx, const cease_grpc_request *r,
                        char ret[CEASEI_GRPC_TIMEOUT_SIZE])
{
    cease_time deadline;
    if (!cease_deadline(ctx, &deadline)) {
        return false;
    }
    cease_dur reserve = r->reserve.ns != 0 ? r->reserve : cease_ms(2);
    ceasei_grpc_timeout(cease_until(cease_time_add(deadline, cease_ns(-reserve.ns))), ret);
    return true;
}

static cease_error open_stream(cease_ctx *ctx, cease_http2_client *c, const cease_grpc_request *r,
                               cease_http2_stream **ret_stream)
{
    char timeout[CEASEI_GRPC_TIMEOUT_SIZE];
    const char *authority = r->authority ? r->authority : "localhost";
    const char *scheme = r->scheme ? r->scheme : "http";
    size_t more = count_of(r->metadata);
    size_t url_size = strlen(scheme) + strlen(authority) + strlen(r->method) + sizeof "://";
    cease_http_header *headers = malloc((more + OWN_HEADERS) * sizeof *headers + url_size);
    size_t n = 0;
    if (!headers) {
        return CEASE_ENOMEM;
    }
    char *url = (char *)(headers + more + OWN_HEADERS);
    snprintf(url, url_size, "%s://%s%s", scheme, authority, r->method);
    headers[n++] = (cease_http_header){"te", "trailers"};
    headers[n++] = (cease_http_header){"content-type", "application/grpc"};
    headers[n++] = (cease_http_header){"user-agent", "grpc-c-cease/0.1"};
    headers[n++] = (cease_http_header){"grpc-accept-encoding", CEASEI_GRPC_ENCODINGS};
    if (r->gzip) {
        headers[n++] = (cease_http_header){"grpc-encoding", "gzip"};
    }
    if (put_timeout(ctx, r, timeout)) {
        headers[n++] = (cease_http_header){"grpc-timeout", timeout};
    }
    for (size_t i = 0; i < more; i++) {
        headers[n++] = r->metadata[i];
    }
    headers[n] = (cease_http_header){NULL, NULL};
    const cease_http_call call = {
        .size = sizeof call, .method = "POST", .url = url, .headers = headers, .no_deadline = true};
    cease_error e = cease_http2_stream_open(ctx, c, &call, false, ret_stream);
    free(headers);
    return e;
}

cease_error cease_grpc_open(cease_ctx *ctx, cease_http2_client *c,
                            const cease_grpc_request *request, cease_grpc_call **ret_call)
{
    if (!request->method || request->method[0] != '/') {
        return CEASE_EINVAL;
    }
    struct cease_grpc_call *call = calloc(1, sizeof *call);
    cease_error e = call ? open_stream(ctx, c, request, &call->stream) : CEASE_ENOMEM;
    if (e != CEASE_OK) {
        free(call);
        return e;
    }
    call->message_max = request->message_max != 0 ? request->message_max : CEASEI_GRPC_MESSAGE_MAX;
    call->gzip = request->gzip;
    *ret_call = call;
    return CEASE_OK;
}

void cease_grpc_close(cease_grpc_call *call)
{
    if (call) {
        cease_http2_stream_close(call->stream);
        ceasei_grpc_call_deinit(call);
        free(call);
    }
}

/* ---- how it ends ---- */

static void take_status(struct cease_grpc_call *call, const char *code, const char *text)
{
    cease_grpc_status_set(call, ceasei_grpc_code_read(code), "%s", text ? text : "");
    ceasei_grpc_text_decode(call->text);
}

cease_error ceasei_grpc_client_begin(cease_ctx *ctx, struct cease_grpc_call *call)
{
    int status = 0;
    cease_error e = cease_http2_stream_wait(ctx, call->stream, &status);
    if (e != CEASE_OK) {
        return e;
    }
    const char *type = cease_http2_stream_header(call->stream, "content-type");
    call->answered = true;
    call->encoding =
        ceasei_grpc_encoding_read(cease_http2_stream_header(call->stream, "grpc-encoding"));
    if (cease_http2_stream_header(call->stream, "grpc-status")) {
        return CEASE_OK; /* all that comes is the end */
    }
    if (status != 200 || !type || strncasecmp(type, "application/grpc", 16) != 0) {
        cease_grpc_status_set(call, ceasei_grpc_code_of_http(status), "HTTP status %d", status);
        return CEASE_EOF;
    }
    return CEASE_OK;
}

/* From the error alone: no status has come. */
static void guess(struct cease_grpc_call *call, cease_error e)
{
    cease_grpc_code code = ceasei_grpc_code_of_error(e);
    if (e == CEASE_ECONNRESET) {
        code = ceasei_grpc_code_of_http2(cease_http2_stream_code(call->stream));
    } else if (e == CEASE_EOF || e == CEASE_ENOTSUP) { /* ended without a word; or compressed */
        code = CEASE_GRPC_INTERNAL;
    }
    cease_grpc_status_set(call, code, "%s", e == CEASE_EOF ? "no status" : cease_strerror(e));
}

cease_error ceasei_grpc_client_end(struct cease_grpc_call *call, cease_error e)
{
    const char *code = NULL;
    const char *text = NULL;
    if (e == CEASE_EOF && !call->code_set) {
        code = cease_http2_stream_trailer(call->stream, "grpc-status");
        text = cease_http2_stream_trailer(call->stream, "grpc-message");
        if (!code) {
            code = cease_http2_stream_header(call->stream, "grpc-status");
            text = cease_http2_stream_header(call->stream, "grpc-message");
        }
    }
    if (code) {
        take_status(call, code, text);
    } else if (!call->code_set) {
        guess(call, e);
    }
    call->ended = true;
    return e;
}

/* ---- a whole unary call ---- */

static cease_error take_message(cease_grpc_reply *reply, const cease_grpc_message *m)
{
    reply->data = malloc(m->size + 1);
    if (!reply->data) {
        return CEASE_ENOMEM;
    }
    memcpy(reply->data, m->data, m->size);
    reply->data[m->size] = '\0';
    reply->size = m->size;
    return CEASE_OK;
}

static cease_error receive(cease_ctx *ctx, cease_grpc_call *call, cease_grpc_reply *reply)
{
    cease_grpc_message m = {.data = "", .size = 0};
    const char *text;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    if (e == CEASE_OK) {
        e = take_message(reply, &m);
        if (e == CEASE_OK) {
            e = cease_grpc_recv(ctx, call, &m);
            e = e == CEASE_OK ? CEASE_EPROTO : e; /* a second one */
        }
    } else if (e == CEASE_EOF) {
        e = take_message(reply, &m);
        e = e == CEASE_OK ? CEASE_EOF : e;
    }
    if (e != CEASE_EOF) {
        return e;
    }
    reply->code = cease_grpc_status(call, &text);
    reply->text = strdup(text);
    return reply->text ? CEASE_OK : CEASE_ENOMEM;
}

cease_error cease_grpc_do(cease_ctx *ctx, cease_http2_client *c, const cease_grpc_request *request,
                          const void *data, size_t size, cease_grpc_reply *ret)
{
    cease_grpc_reply reply = {.code = CEASE_GRPC_UNKNOWN};
    cease_grpc_call *call;
    cease_error e = cease_grpc_open(ctx, c, request, &call);
    if (e != CEASE_OK) {
        return e;
    }
    cease_error sent = cease_grpc_send_last(ctx, call, data, size);
    e = receive(ctx, call, &reply); /* a server may answer before it has read everything */
    if (e != CEASE_OK && sent != CEASE_OK && cease_err(ctx) == CEASE_OK) {
        e = sent;
    }
    cease_grpc_close(call);
    if (e == CEASE_OK) {
        *ret = reply;
    } else {
        cease_grpc_reply_deinit(&reply);
    }
    return e;
}

void cease_grpc_reply_deinit(cease_grpc_reply *reply)
{
    if (reply) {
        free(reply->text);
        free(reply->data);
        *reply = (cease_grpc_reply){.code = CEASE_GRPC_OK};
    }
}
