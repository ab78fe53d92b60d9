/* service.c: the methods that the tests call. */
#include "service.h"

#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cease_error copy_metadata(cease_grpc_call *call, const char *name)
{
    char trailer[32];
    const char *value = cease_grpc_metadata(call, name);
    snprintf(trailer, sizeof trailer, "t-%s", name);
    cease_error e = value ? cease_grpc_metadata_add(call, name, value) : CEASE_OK;
    return e == CEASE_OK && value ? cease_grpc_trailer_add(call, trailer, value) : e;
}

static cease_error unary(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    (void)arg;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    if (e == CEASE_OK) {
        e = copy_metadata(call, "say");
    }
    if (e == CEASE_OK) {
        e = copy_metadata(call, "data-bin");
    }
    return e == CEASE_OK ? cease_grpc_send_last(ctx, call, m.data, m.size) : e;
}

static cease_error fail(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    (void)arg;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    if (e == CEASE_OK) {
        cease_grpc_status_set(call, CEASE_GRPC_FAILED_PRECONDITION, "no: %s", (const char *)m.data);
    }
    return e;
}

static cease_error collect(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    char all[4096];
    size_t size = 0;
    cease_grpc_message m;
    cease_error e;
    (void)arg;
    while ((e = cease_grpc_recv(ctx, call, &m)) == CEASE_OK) {
        if (m.size > sizeof all - size) {
            return CEASE_EMSGSIZE;
        }
        memcpy(all + size, m.data, m.size);
        size += m.size;
    }
    return e == CEASE_EOF ? cease_grpc_send_last(ctx, call, all, size) : e;
}

static cease_error repeat(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    (void)arg;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    if (e != CEASE_OK) {
        return e;
    }
    char *text = NULL;
    long n = strtol(m.data, &text, 10);
    text += *text == ' ';
    for (long i = 0; i < n && e == CEASE_OK; i++) {
        e = cease_grpc_send(ctx, call, text, strlen(text));
    }
    return e;
}

static cease_error chat(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    cease_error e;
    (void)arg;
    while ((e = cease_grpc_recv(ctx, call, &m)) == CEASE_OK) {
        e = cease_grpc_send(ctx, call, m.data, m.size);
        if (e != CEASE_OK) {
            return e;
        }
    }
    return e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error wait_for_end(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    (void)call;
    (void)arg;
    return cease_wait(ctx);
}

cease_error service_add(cease_http_server *s)
{
    static const struct {
        const char *name;
        cease_grpc_handler *fn;
        bool gzip;
    } methods[] = {
        {"/test.Echo/Unary", unary, false},     {"/test.Echo/Fail", fail, false},
        {"/test.Echo/Collect", collect, false}, {"/test.Echo/Repeat", repeat, false},
        {"/test.Echo/Chat", chat, false},       {"/test.Echo/Wait", wait_for_end, false},
        {"/test.Echo/Packed", chat, true},
    };
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && e == CEASE_OK; i++) {
        e = cease_grpc_server_add(s, &(cease_grpc_method){.size = sizeof(cease_grpc_method),
                                                          .method = methods[i].name,
                                                          .fn = methods[i].fn,
                                                          .message_max = 100000,
                                                          .gzip = methods[i].gzip});
    }
    return e;
}
