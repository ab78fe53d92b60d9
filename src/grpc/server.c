/* SPDX-License-Identifier: MIT
 *
 * server.c: gRPC methods as handlers of the HTTP server.
 *
 * The HTTP answer is a 200 whatever becomes of the call: the status is a trailer, or a header field when
 * nothing else was sent. What the server says by itself (404 for a method that is not there, 503 when it
 * stops) every client translates.
 */
#include "grpc/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_ROOM = 16, TEXT_ROOM = 3 * CEASEI_GRPC_TEXT_MAX / 2 };

/* What a method's route is given. */
struct method {
    cease_grpc_handler *fn;
    void *arg;
    uint32_t message_max;
    bool gzip;
};

static bool is_grpc(const char *type)
{
    static const char name[] = "application/grpc";
    size_t size = sizeof name - 1;
    return type && strncasecmp(type, name, size) == 0 &&
           (type[size] == '\0' || type[size] == '+' || type[size] == ';');
}

/* The status of a handler that has set none. */
static void judge(struct cease_grpc_call *call, cease_ctx *ctx, cease_error e)
{
    const cease_cause *cause = cease_cause_of(ctx);
    if (call->code_set) {
        return;
    }
    if (e != CEASE_OK && cause && cause->code == CEASE_ESTOPPING) {
        cease_grpc_status_set(call, CEASE_GRPC_UNAVAILABLE, "%s", cause->text);
    } else {
        cease_grpc_status_set(call, ceasei_grpc_code_of_error(e), "%s",
                              e == CEASE_OK ? "" : cease_strerror(e));
    }
}

/* Says how the call has ended, where the client looks for it. */
static void put_status(struct cease_grpc_call *call)
{
    char code[STATUS_ROOM];
    char text[TEXT_ROOM];
    snprintf(code, sizeof code, "%d", (int)call->code);
    ceasei_grpc_text_encode(call->text, text, sizeof text);
    if (call->begun) {
        cease_http_response_trailer(call->res, "grpc-status", code);
    } else {
        cease_http_response_header(call->res, "grpc-status", code);
    }
    if (text[0] != '\0' && call->begun) {
        cease_http_response_trailer(call->res, "grpc-message", text);
    } else if (text[0] != '\0') {
        cease_http_response_header(call->res, "grpc-message", text);
    }
}

static void call_init(struct cease_grpc_call *call, cease_http_response *res)
{
    memset(call, 0, offsetof(struct cease_grpc_call, text));
    call->text[0] = '\0';
    call->res = res;
    cease_http_response_header(res, "Content-Type", "application/grpc");
}

/* What the server says in the handler's place. */
static void page(cease_http_response *res, int status, void *arg)
{
    struct cease_grpc_call call;
    cease_grpc_code code = status == 504 || status == 408 ? CEASE_GRPC_DEADLINE_EXCEEDED
                           : status == 413                ? CEASE_GRPC_RESOURCE_EXHAUSTED
                           : status == 500                ? CEASE_GRPC_INTERNAL
                                                          : ceasei_grpc_code_of_http(status);
    (void)arg;
    call_init(&call, res);
    cease_http_response_status(res, 200);
    cease_grpc_status_set(&call, code, NULL);
    put_status(&call);
}

/* Finds out how the messages of both sides are packed. False: the caller's in a way that is not known here. */
static bool agree_on_encodings(struct cease_grpc_call *call, const struct method *m)
{
    const char *takes = cease_http_request_header(call->req, "grpc-accept-encoding");
    call->encoding =
        ceasei_grpc_encoding_read(cease_http_request_header(call->req, "grpc-encoding"));
    call->gzip = m->gzip && takes && strstr(takes, "gzip");
    cease_http_response_header(call->res, "grpc-accept-encoding", CEASEI_GRPC_ENCODINGS);
    if (call->gzip) {
        cease_http_response_header(call->res, "grpc-encoding", "gzip");
    }
    return call->encoding != CEASEI_GRPC_UNKNOWN_ENCODING;
}

static cease_error serve(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    const struct method *m = arg;
    struct cease_grpc_call call;
    if (!is_grpc(cease_http_request_header(req, "Content-Type"))) {
        return cease_http_response_status(res, 415);
    }
    call_init(&call, res);
    call.req = req;
    call.message_max = m->message_max;
    if (agree_on_encodings(&call, m)) {
        cease_error e = m->fn(ctx, &call, m->arg);
        judge(&call, ctx, e);
    } else {
        cease_grpc_status_set(&call, CEASE_GRPC_UNIMPLEMENTED, "messages in %s",
                              cease_http_request_header(req, "grpc-encoding"));
    }
    put_status(&call);
    ceasei_grpc_call_deinit(&call);
    return CEASE_OK;
}

cease_error cease_grpc_server_add(cease_http_server *s, const cease_grpc_method *method)
{
    if (!method->method || !method->fn || method->method[0] != '/' ||
        strpbrk(method->method, "{}?#")) {
        return CEASE_EINVAL;
    }
    struct method *m = malloc(sizeof *m);
    if (!m) {
        return CEASE_ENOMEM;
    }
    m->fn = method->fn;
    m->arg = method->arg;
    m->message_max = method->message_max != 0 ? method->message_max : CEASEI_GRPC_MESSAGE_MAX;
    m->gzip = method->gzip;
    const cease_http_route route = {.size = sizeof route,
                                    .method = "POST",
                                    .pattern = method->method,
                                    .fn = serve,
                                    .arg = m,
                                    .request_timeout = method->request_timeout,
                                    .body_timeout = CEASE_FOREVER,
                                    .body_max = UINT64_MAX,
                                    .release = free,
                                    .page = page};
    cease_error e = cease_http_server_add(s, &route);
    if (e != CEASE_OK) {
        free(m);
    }
    return e;
}
