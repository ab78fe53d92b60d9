/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

#include <cease/grpc.h>
#include <string.h>

/* [example] */
#include <cease/grpc.h>
#include <stdio.h>

/* The server's side: answers each message, until the caller has no more. */
static cease_error chat(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    cease_error err;
    int *greeted = arg;
    while ((err = cease_grpc_recv(ctx, call, &m)) == CEASE_OK) {
        err = cease_grpc_send(ctx, call, m.data, m.size);
        if (err != CEASE_OK)
            return err;
        ++*greeted;
    }
    return err == CEASE_EOF ? CEASE_OK : err;
}

/* The client's: says two things, hears both back, then how the call has ended. */
static cease_error talk(cease_ctx *ctx, cease_http2_client *client)
{
    static const char *const words[] = {"one", "two"};
    const cease_grpc_request to = {.size = sizeof to, .method = "/demo.Chat/Chat", .gzip = true};
    cease_grpc_message m;
    cease_grpc_call *call;
    const char *text;
    cease_error err = cease_grpc_open(ctx, client, &to, &call);
    if (err != CEASE_OK)
        return err;
    for (int i = 0; i < 2 && err == CEASE_OK; i++) {
        err = cease_grpc_send(ctx, call, words[i], 3);
        if (err == CEASE_OK)
            err = cease_grpc_recv(ctx, call, &m);
        if (err == CEASE_OK)
            printf("%.*s\n", (int)m.size, (const char *)m.data);
    }
    if (err == CEASE_OK)
        err = cease_grpc_send_end(ctx, call);
    if (err == CEASE_OK)
        err = cease_grpc_recv(ctx, call, &m); /* CEASE_EOF */
    cease_grpc_code code = cease_grpc_status(call, &text);
    printf("%s %s\n", cease_grpc_code_name(code), text);
    cease_grpc_close(call); /* had it not ended, this would have cancelled it */
    return err == CEASE_EOF && code == CEASE_GRPC_OK ? CEASE_OK : err;
}
/* [end] */

TEST(example_grpc_open)
{
    struct with_http2 w;
    int greeted = 0;
    const cease_grpc_method method = {
        .size = sizeof method, .method = "/demo.Chat/Chat", .fn = chat, .arg = &greeted};
    with_http2_init(&w);
    CHECK_OK(cease_grpc_server_add(w.server, &method));
    with_http2_start(&w);
    CHECK_OK(talk(cease_background(), w.client));
    CHECK_EQ(greeted, 2);
    with_http2_stop(&w);
}
