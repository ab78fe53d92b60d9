/* peer_client.c: our gRPC client against another implementation's server, which has the methods of
 * service.h: prints "ok NAME" or "FAIL NAME" for each thing it tries.
 *
 *     peer_client HOST:PORT
 */
#include <cease/cease.h>
#include <cease/grpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(const char *name, bool ok)
{
    printf("%s %s\n", ok ? "ok" : "FAIL", name);
    failures += !ok;
}

static cease_grpc_call *start(cease_ctx *ctx, cease_http2_client *c, const char *method)
{
    cease_grpc_call *call = NULL;
    const cease_grpc_request q = {.size = sizeof q, .method = method};
    if (cease_grpc_open(ctx, c, &q, &call) != CEASE_OK) {
        check(method, false);
        exit(1);
    }
    return call;
}

static bool next_is(cease_ctx *ctx, cease_grpc_call *call, const char *text)
{
    cease_grpc_message m;
    return cease_grpc_recv(ctx, call, &m) == CEASE_OK && strcmp(m.data, text) == 0;
}

static bool ends_with(cease_ctx *ctx, cease_grpc_call *call, cease_grpc_code code)
{
    cease_grpc_message m;
    cease_error e = cease_grpc_recv(ctx, call, &m);
    return e != CEASE_OK && cease_grpc_status(call, NULL) == code;
}

static void unary(cease_ctx *ctx, cease_http2_client *c)
{
    static char big[90000];
    cease_grpc_reply reply = {0};
    cease_grpc_request q = {.size = sizeof q, .method = "/test.Echo/Unary"};
    memset(big, 'p', sizeof big);
    cease_error e = cease_grpc_do(ctx, c, &q, big, sizeof big, &reply);
    check("a unary call of 90 KB comes back",
          e == CEASE_OK && reply.code == CEASE_GRPC_OK && reply.size == sizeof big);
    cease_grpc_reply_deinit(&reply);
    q.gzip = true;
    e = cease_grpc_do(ctx, c, &q, big, sizeof big, &reply);
    check("and in gzip", e == CEASE_OK && reply.code == CEASE_GRPC_OK && reply.size == sizeof big &&
                             memcmp(reply.data, big, sizeof big) == 0);
    cease_grpc_reply_deinit(&reply);
    q.gzip = false;
    q.method = "/test.Echo/Fail";
    e = cease_grpc_do(ctx, c, &q, "50% gr\xc3\xbcn", 9, &reply);
    check("a status comes with its text", e == CEASE_OK &&
                                              reply.code == CEASE_GRPC_FAILED_PRECONDITION &&
                                              strcmp(reply.text, "no: 50% gr\xc3\xbcn") == 0);
    cease_grpc_reply_deinit(&reply);
    q.method = "/test.Echo/Nothing";
    e = cease_grpc_do(ctx, c, &q, "", 0, &reply);
    check("a method that is not there is UNIMPLEMENTED",
          e == CEASE_OK && reply.code == CEASE_GRPC_UNIMPLEMENTED);
    cease_grpc_reply_deinit(&reply);
}

static void metadata(cease_ctx *ctx, cease_http2_client *c)
{
    char text[16];
    uint8_t back[8];
    size_t n = 0;
    cease_grpc_call *call = NULL;
    cease_grpc_bin_encode("\0\377\n", 3, text, sizeof text);
    const cease_http_header list[] = {{"say", "it"}, {"data-bin", text}, {NULL, NULL}};
    const cease_grpc_request q = {.size = sizeof q, .method = "/test.Echo/Unary", .metadata = list};
    bool ok = cease_grpc_open(ctx, c, &q, &call) == CEASE_OK &&
              cease_grpc_send_last(ctx, call, "x", 1) == CEASE_OK && next_is(ctx, call, "x");
    const char *say = ok ? cease_grpc_metadata(call, "say") : NULL;
    const char *data = ok ? cease_grpc_metadata(call, "data-bin") : NULL;
    check("metadata come back in the head",
          say && strcmp(say, "it") == 0 && data &&
              cease_grpc_bin_decode(data, back, sizeof back, &n) == CEASE_OK && n == 3 &&
              memcmp(back, "\0\377\n", 3) == 0);
    ok = ok && ends_with(ctx, call, CEASE_GRPC_OK);
    say = ok ? cease_grpc_trailer(call, "t-say") : NULL;
    check("and in the trailers", say && strcmp(say, "it") == 0);
    cease_grpc_close(call);
}

static void streams(cease_ctx *ctx, cease_http2_client *c)
{
    cease_grpc_call *call = start(ctx, c, "/test.Echo/Collect");
    bool ok = cease_grpc_send(ctx, call, "a", 1) == CEASE_OK &&
              cease_grpc_send(ctx, call, "bc", 2) == CEASE_OK &&
              cease_grpc_send_end(ctx, call) == CEASE_OK && next_is(ctx, call, "abc") &&
              ends_with(ctx, call, CEASE_GRPC_OK);
    check("many messages are taken, one is given", ok);
    cease_grpc_close(call);
    call = start(ctx, c, "/test.Echo/Repeat");
    ok = cease_grpc_send_last(ctx, call, "50 hello", 8) == CEASE_OK;
    for (int i = 0; i < 50 && ok; i++) {
        ok = next_is(ctx, call, "hello");
    }
    check("one message is taken, many are given", ok && ends_with(ctx, call, CEASE_GRPC_OK));
    cease_grpc_close(call);
    call = start(ctx, c, "/test.Echo/Chat");
    ok = true;
    for (int i = 0; i < 10 && ok; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        ok = cease_grpc_send(ctx, call, text, strlen(text)) == CEASE_OK && next_is(ctx, call, text);
    }
    ok = ok && cease_grpc_send_end(ctx, call) == CEASE_OK && ends_with(ctx, call, CEASE_GRPC_OK);
    check("both talk in turn", ok);
    cease_grpc_close(call);
}

static void ends(cease_ctx *ctx, cease_http2_client *c)
{
    cease_canceler *stop;
    cease_ctx *late = cease_with_timeout(ctx, cease_ms(50), &stop);
    cease_grpc_call *call = start(late, c, "/test.Echo/Wait");
    bool ok = cease_grpc_send_last(late, call, "deadline", 8) == CEASE_OK;
    check("a deadline is DEADLINE_EXCEEDED",
          ok && ends_with(late, call, CEASE_GRPC_DEADLINE_EXCEEDED));
    cease_grpc_close(call);
    cease_end(stop);
    cease_ctx *gone = cease_with_cancel(ctx, &stop);
    call = start(gone, c, "/test.Echo/Chat");
    ok = cease_grpc_send(gone, call, "a", 1) == CEASE_OK && next_is(gone, call, "a");
    cease_cancel(stop);
    check("a cancel is CANCELLED", ok && ends_with(gone, call, CEASE_GRPC_CANCELLED));
    cease_grpc_close(call);
    cease_end(stop);
}

int main(int argc, char **argv)
{
    cease_http2_client *c = NULL;
    cease_canceler *stop;
    if (argc != 2) {
        return 2;
    }
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(30), &stop);
    if (cease_http2_dial(ctx, argv[1], NULL, &c) != CEASE_OK) {
        check("connects", false);
        return 1;
    }
    unary(ctx, c);
    metadata(ctx, c);
    streams(ctx, c);
    ends(ctx, c);
    cease_http2_client_close(c);
    cease_end(stop);
    check("nothing is left", cease_runtime_stop() == CEASE_OK && cease_live_count() == 0);
    return failures > 0;
}
