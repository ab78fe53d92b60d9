/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

#include <cease/grpc.h>
#include <string.h>

/* [example] */
#include <cease/grpc.h>
#include <stdio.h>

/* The server's side: only for who shows the ticket, which is bytes. */
static cease_error admit(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    unsigned char ticket[4];
    size_t size = 0;
    const char *text = cease_grpc_metadata(call, "ticket-bin");
    cease_grpc_message m;
    (void)arg;
    if (!text || cease_grpc_bin_decode(text, ticket, sizeof ticket, &size) != CEASE_OK ||
        size != 4) {
        cease_grpc_status_set(call, CEASE_GRPC_UNAUTHENTICATED, "a ticket has %d bytes", 4);
        return CEASE_OK;
    }
    cease_error err = cease_grpc_recv(ctx, call, &m);
    if (err == CEASE_OK)
        err = cease_grpc_metadata_add(call, "seat", "12");
    if (err == CEASE_OK)
        err = cease_grpc_trailer_add(call, "left", "30");
    return err == CEASE_OK ? cease_grpc_send_last(ctx, call, m.data, m.size) : err;
}

/* The client's. */
static cease_error enter(cease_ctx *ctx, cease_http2_client *client)
{
    char text[8];
    cease_error err = cease_grpc_bin_encode("\0\1\2\3", 4, text, sizeof text);
    const cease_http_header metadata[] = {{"ticket-bin", text}, {NULL, NULL}};
    const cease_grpc_request to = {
        .size = sizeof to, .method = "/demo.Door/Enter", .metadata = metadata};
    cease_grpc_message m;
    cease_grpc_call *call;
    if (err == CEASE_OK)
        err = cease_grpc_open(ctx, client, &to, &call);
    if (err != CEASE_OK)
        return err;
    err = cease_grpc_send_last(ctx, call, "let me in", 9);
    if (err == CEASE_OK)
        err = cease_grpc_recv(ctx, call, &m);
    const char *seat = err == CEASE_OK ? cease_grpc_metadata(call, "seat") : NULL;
    if (err == CEASE_OK)
        err = cease_grpc_recv(ctx, call, &m); /* the end, and with it the trailers */
    const char *left = err == CEASE_EOF ? cease_grpc_trailer(call, "left") : NULL;
    printf("seat %s, %s left\n", seat ? seat : "?", left ? left : "?");
    bool ok = seat && left && cease_grpc_status(call, NULL) == CEASE_GRPC_OK;
    cease_grpc_close(call);
    return ok ? CEASE_OK : err;
}
/* [end] */

TEST(example_grpc_metadata)
{
    struct with_http2 w;
    const cease_grpc_method method = {
        .size = sizeof method, .method = "/demo.Door/Enter", .fn = admit};
    const cease_grpc_request without = {.size = sizeof without, .method = "/demo.Door/Enter"};
    cease_grpc_reply reply = {0};
    with_http2_init(&w);
    CHECK_OK(cease_grpc_server_add(w.server, &method));
    with_http2_start(&w);
    CHECK_OK(enter(cease_background(), w.client));
    CHECK_OK(cease_grpc_do(cease_background(), w.client, &without, "", 0, &reply));
    CHECK_EQ(reply.code, CEASE_GRPC_UNAUTHENTICATED);
    CHECK_STR(reply.text, "a ticket has 4 bytes");
    cease_grpc_reply_deinit(&reply);
    with_http2_stop(&w);
}
