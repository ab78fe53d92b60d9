/* SPDX-License-Identifier: MIT
 *
 * A gRPC service with messages of protobuf-c: the server greets as often as it is asked to, one message each; the
 * client, here in the same process, has a second for all of it.
 */
#include "greeter.pb-c.h"

#include <cease/cease.h>
#include <cease/grpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cease_error send_greeting(cease_ctx *ctx, cease_grpc_call *call, char *text)
{
    uint8_t packed[128];
    Demo__Greeting greeting = DEMO__GREETING__INIT;
    greeting.text = text;
    if (demo__greeting__get_packed_size(&greeting) > sizeof packed) {
        return CEASE_EMSGSIZE;
    }
    return cease_grpc_send(ctx, call, packed, demo__greeting__pack(&greeting, packed));
}

/* The handler: one Hello in, many Greetings out. */
static cease_error greet(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    cease_grpc_message m;
    char text[100];
    (void)arg;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    if (e != CEASE_OK) {
        return e;
    }
    Demo__Hello *hello = demo__hello__unpack(NULL, m.size, m.data);
    if (!hello) {
        cease_grpc_status_set(call, CEASE_GRPC_INVALID_ARGUMENT, "not a Hello");
        return CEASE_OK;
    }
    for (uint32_t i = 1; i <= hello->times && e == CEASE_OK; i++) {
        snprintf(text, sizeof text, "Hello, %.50s (%u)", hello->name, i);
        e = send_greeting(ctx, call, text);
    }
    demo__hello__free_unpacked(hello, NULL);
    return e;
}

static cease_error send_hello(cease_ctx *ctx, cease_grpc_call *call, char *name, uint32_t times)
{
    uint8_t packed[128];
    Demo__Hello hello = DEMO__HELLO__INIT;
    hello.name = name;
    hello.times = times;
    return cease_grpc_send_last(ctx, call, packed, demo__hello__pack(&hello, packed));
}

/* Prints what comes; how many that were. */
static int receive(cease_ctx *ctx, cease_grpc_call *call)
{
    cease_grpc_message m;
    int count = 0;
    while (cease_grpc_recv(ctx, call, &m) == CEASE_OK) {
        Demo__Greeting *greeting = demo__greeting__unpack(NULL, m.size, m.data);
        if (greeting) {
            printf("%s\n", greeting->text);
            count++;
        }
        demo__greeting__free_unpacked(greeting, NULL);
    }
    return count;
}

static int ask(cease_http2_client *client)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(1), &stop);
    const cease_grpc_request to = {.size = sizeof to, .method = "/demo.Greeter/Greet"};
    cease_grpc_call *call = NULL;
    int count = 0;
    if (cease_grpc_open(ctx, client, &to, &call) == CEASE_OK &&
        send_hello(ctx, call, "you", 3) == CEASE_OK) {
        count = receive(ctx, call);
        printf("%s\n", cease_grpc_code_name(cease_grpc_status(call, NULL)));
    }
    cease_grpc_close(call);
    return count;
}

struct serving {
    cease_http_server *server;
    cease_listener *listener;
};

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct serving *s = arg;
    return cease_http_server_serve(ctx, s->server, s->listener);
}

int main(void)
{
    static const cease_grpc_method method = {
        .size = sizeof method, .method = "/demo.Greeter/Greet", .fn = greet};
    char address[CEASE_ADDRESS_SIZE];
    struct serving s = {.server = cease_http_server_new(NULL)};
    cease_canceler *stop;
    cease_http2_client *client;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_group *group = cease_group_new(ctx, NULL);
    int count = 0;
    if (cease_http2_enable(s.server, NULL) != CEASE_OK ||
        cease_grpc_server_add(s.server, &method) != CEASE_OK ||
        cease_listen(ctx, "127.0.0.1:0", NULL, &s.listener) != CEASE_OK ||
        cease_listener_address(s.listener, address, sizeof address) != CEASE_OK ||
        cease_group_go(group, serve, &s) != CEASE_OK) {
        return EXIT_FAILURE;
    }
    if (cease_http2_dial(ctx, address, NULL, &client) == CEASE_OK) {
        count = ask(client);
        cease_http2_client_close(client);
    }
    cease_cancel(stop);
    cease_group_free(group);
    cease_end(stop);
    cease_http_server_free(s.server);
    return count == 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
