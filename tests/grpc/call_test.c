/* call_test.c: out to break gRPC calls between our server and our client: each kind of method, statuses and
 * metadata, deadlines and cancels both ways, sizes, and what no client of ours would send. */
#include "../http/rig.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(struct rig *r, cease_http2_client **c)
{
    char address[64];
    rig_init(r, NULL);
    CHECK_OK(cease_http2_enable(r->server, NULL));
    CHECK_OK(service_add(r->server));
    rig_start(r);
    snprintf(address, sizeof address, "127.0.0.1:%d", r->port);
    CHECK_OK(cease_http2_dial(cease_background(), address, NULL, c));
}

static void end(struct rig *r, cease_http2_client *c)
{
    cease_http2_client_close(c);
    rig_stop(r);
}

static cease_grpc_request to(const char *method)
{
    return (cease_grpc_request){.size = sizeof(cease_grpc_request), .method = method};
}

static cease_grpc_call *start(cease_http2_client *c, const char *method)
{
    cease_grpc_call *call;
    cease_grpc_request q = to(method);
    CHECK_OK(cease_grpc_open(cease_background(), c, &q, &call));
    return call;
}

static void check_recv(cease_grpc_call *call, const char *text)
{
    cease_grpc_message m;
    CHECK_OK(cease_grpc_recv(cease_background(), call, &m));
    CHECK_STR(m.data, text);
    CHECK_EQ(m.size, strlen(text));
}

static void check_end(cease_grpc_call *call, cease_grpc_code code, const char *text)
{
    cease_grpc_message m;
    const char *said;
    CHECK_ERR(cease_grpc_recv(cease_background(), call, &m), CEASE_EOF);
    CHECK_ERR(cease_grpc_recv(cease_background(), call, &m), CEASE_EOF);
    CHECK_EQ(cease_grpc_status(call, &said), code);
    CHECK_STR(said, text);
    cease_grpc_close(call);
}

TEST(unary_ofAnySize_comesBack)
{
    static const size_t sizes[] = {0, 1, 5, 16379, 16384, 65531, 99999, 100000};
    static char big[100001];
    struct rig r;
    cease_http2_client *c;
    cease_grpc_request q = to("/test.Echo/Unary");
    begin(&r, &c);
    memset(big, 'g', sizeof big);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cease_grpc_reply reply = {0};
        CHECK_OK(cease_grpc_do(cease_background(), c, &q, big, sizes[i], &reply));
        CHECK_EQ(reply.code, CEASE_GRPC_OK);
        CHECK_STR(reply.text, "");
        CHECK_EQ(reply.size, sizes[i]);
        CHECK_EQ(memcmp(reply.data, big, sizes[i]), 0);
        cease_grpc_reply_deinit(&reply);
    }
    end(&r, c);
}

TEST(status_ofAHandler_comesWithItsText)
{
    struct rig r;
    cease_http2_client *c;
    cease_grpc_reply reply = {0};
    cease_grpc_request q = to("/test.Echo/Fail");
    begin(&r, &c);
    CHECK_OK(cease_grpc_do(cease_background(), c, &q, "50%\n\xc3\xbc", 6, &reply));
    CHECK_EQ(reply.code, CEASE_GRPC_FAILED_PRECONDITION);
    CHECK_STR(reply.text, "no: 50%\n\xc3\xbc");
    CHECK_EQ(reply.size, 0);
    cease_grpc_reply_deinit(&reply);
    q.method = "/test.Echo/Nothing";
    CHECK_OK(cease_grpc_do(cease_background(), c, &q, "", 0, &reply));
    CHECK_EQ(reply.code, CEASE_GRPC_UNIMPLEMENTED);
    cease_grpc_reply_deinit(&reply);
    q.method = "no path";
    CHECK_ERR(cease_grpc_do(cease_background(), c, &q, "", 0, &reply), CEASE_EINVAL);
    end(&r, c);
}

TEST(metadata_textAndBytes_comeBackInHeadAndTrailers)
{
    static const uint8_t bytes[] = {0, 255, 10, 13};
    uint8_t back[8];
    char text[16];
    size_t n = 0;
    struct rig r;
    cease_http2_client *c;
    cease_grpc_call *call;
    begin(&r, &c);
    CHECK_OK(cease_grpc_bin_encode(bytes, sizeof bytes, text, sizeof text));
    const cease_http_header metadata[] = {{"say", "it"}, {"data-bin", text}, {NULL, NULL}};
    cease_grpc_request q = to("/test.Echo/Unary");
    q.metadata = metadata;
    CHECK_OK(cease_grpc_open(cease_background(), c, &q, &call));
    CHECK_OK(cease_grpc_send_last(cease_background(), call, "x", 1));
    check_recv(call, "x");
    CHECK_STR(cease_grpc_metadata(call, "say"), "it");
    CHECK_PTR(cease_grpc_metadata(call, "other"), NULL);
    CHECK_OK(cease_grpc_bin_decode(cease_grpc_metadata(call, "data-bin"), back, sizeof back, &n));
    CHECK_EQ(n, sizeof bytes);
    CHECK_EQ(memcmp(back, bytes, n), 0);
    cease_grpc_message m;
    CHECK_ERR(cease_grpc_recv(cease_background(), call, &m), CEASE_EOF);
    CHECK_STR(cease_grpc_trailer(call, "t-say"), "it");
    CHECK_STR(cease_grpc_trailer(call, "t-data-bin"), text);
    CHECK_ERR(cease_grpc_metadata_add(call, "a", "b"), CEASE_EINVAL); /* a client's call */
    check_end(call, CEASE_GRPC_OK, "");
    end(&r, c);
}

TEST(streams_ofEveryKind_keepTheirMessagesApart)
{
    struct rig r;
    cease_http2_client *c;
    cease_ctx *ctx = cease_background();
    begin(&r, &c);
    cease_grpc_call *call = start(c, "/test.Echo/Collect");
    CHECK_OK(cease_grpc_send(ctx, call, "a", 1));
    CHECK_OK(cease_grpc_send(ctx, call, "", 0));
    CHECK_OK(cease_grpc_send(ctx, call, "bc", 2));
    CHECK_OK(cease_grpc_send_end(ctx, call));
    CHECK_ERR(cease_grpc_send_end(ctx, call), CEASE_EINVAL);
    CHECK_ERR(cease_grpc_send(ctx, call, "d", 1), CEASE_EINVAL);
    check_recv(call, "abc");
    check_end(call, CEASE_GRPC_OK, "");
    call = start(c, "/test.Echo/Repeat");
    CHECK_OK(cease_grpc_send_last(ctx, call, "100 hello", 9));
    for (int i = 0; i < 100; i++) {
        check_recv(call, "hello");
    }
    check_end(call, CEASE_GRPC_OK, "");
    call = start(c, "/test.Echo/Chat");
    for (int i = 0; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        CHECK_OK(cease_grpc_send(ctx, call, text, strlen(text)));
        check_recv(call, text); /* before anything more is sent */
    }
    CHECK_OK(cease_grpc_send_end(ctx, call));
    check_end(call, CEASE_GRPC_OK, "");
    call = start(c, "/test.Echo/Collect"); /* none at all */
    CHECK_OK(cease_grpc_send_end(ctx, call));
    check_recv(call, "");
    check_end(call, CEASE_GRPC_OK, "");
    end(&r, c);
}

TEST(deadline_ofTheClient_endsTheHandlerAndIsItsStatus)
{
    struct rig r;
    cease_http2_client *c;
    cease_grpc_call *call;
    cease_grpc_message m;
    cease_canceler *stop;
    begin(&r, &c);
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(60), &stop);
    cease_grpc_request q = to("/test.Echo/Wait");
    CHECK_OK(cease_grpc_open(ctx, c, &q, &call));
    CHECK_OK(cease_grpc_send_last(ctx, call, "", 0));
    cease_error e = cease_grpc_recv(ctx, call, &m);
    CHECK(e == CEASE_EDEADLINE ||
          e == CEASE_EOF); /* ours, or the server's word, which has 2 ms less */
    CHECK_EQ(cease_grpc_status(call, NULL), CEASE_GRPC_DEADLINE_EXCEEDED);
    cease_grpc_close(call);
    int code = rig_logged(&r, 1).cause_code;
    /* both sides have the deadline: the server's time, the client's CANCEL, or that the stream is gone when
     * the answer is written */
    CHECK(code == CEASE_EDEADLINE || code == 8 || code == CEASE_EPIPE);
    cease_end(stop);
    end(&r, c);
}

TEST(cancel_ofTheClient_endsTheHandlerWithCancel)
{
    struct rig r;
    cease_http2_client *c;
    cease_grpc_message m;
    cease_canceler *stop;
    begin(&r, &c);
    cease_grpc_call *call = start(c, "/test.Echo/Wait");
    CHECK_EVENTUALLY(rig_counts(&r).requests == 1);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_grpc_recv(ctx, call, &m), CEASE_ECANCELED);
    CHECK_EQ(cease_grpc_status(call, NULL), CEASE_GRPC_CANCELLED);
    cease_grpc_close(call);
    CHECK_EQ(rig_logged(&r, 1).cause_code, 8);
    cease_end(stop);
    end(&r, c);
}

TEST(stop_ofTheServer_isUnavailable)
{
    struct rig r;
    cease_http2_client *c;
    char address[64];
    const cease_http_server_opts opts = {.size = sizeof opts, .grace = cease_ms(-1)};
    rig_init(&r, &opts);
    CHECK_OK(cease_http2_enable(r.server, NULL));
    CHECK_OK(service_add(r.server));
    rig_start(&r);
    snprintf(address, sizeof address, "127.0.0.1:%d", r.port);
    CHECK_OK(cease_http2_dial(cease_background(), address, NULL, &c));
    cease_grpc_call *call = start(c, "/test.Echo/Wait");
    CHECK_EVENTUALLY(rig_counts(&r).requests == 1);
    rig_cancel(&r);
    check_end(call, CEASE_GRPC_UNAVAILABLE, "server stopping");
    cease_http2_client_close(c);
    rig_join(&r);
}

TEST(message_aboveItsMost_isRefusedOnBothSides)
{
    static char big[100001];
    struct rig r;
    cease_http2_client *c;
    cease_grpc_reply reply = {0};
    cease_grpc_request q = to("/test.Echo/Unary");
    begin(&r, &c);
    CHECK_OK(cease_grpc_do(cease_background(), c, &q, big, sizeof big, &reply));
    CHECK_EQ(reply.code, CEASE_GRPC_RESOURCE_EXHAUSTED);
    cease_grpc_reply_deinit(&reply);
    q.message_max = 10;
    CHECK_ERR(cease_grpc_do(cease_background(), c, &q, big, 11, &reply), CEASE_EMSGSIZE);
    end(&r, c);
}

/* Sends bytes that are no gRPC, as a POST of the right type, with one more field; the status that comes back. */
static int raw_with(struct rig *r, cease_http2_client *c, const cease_http_header *more,
                    const char *type, const void *body, size_t size, int *ret_status)
{
    char url[100];
    cease_http_reply reply = {0};
    const cease_http_header headers[] = {{"content-type", type}, *more, {NULL, NULL}};
    snprintf(url, sizeof url, "%s/test.Echo/Unary", r->url);
    const cease_http_call call = {
        .size = sizeof call, .url = url, .headers = headers, .body = body, .body_size = size};
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    const char *code = cease_http_reply_header(&reply, "grpc-status");
    int n = code ? atoi(code) : -1;
    *ret_status = reply.status;
    cease_http_reply_deinit(&reply);
    return n;
}

static int raw(struct rig *r, cease_http2_client *c, const char *type, const void *body,
               size_t size, int *ret_status)
{
    static const cease_http_header none = {NULL, NULL};
    return raw_with(r, c, &none, type, body, size, ret_status);
}

TEST(bytes_thatAreNoMessage_areAnErrorOfThatCallOnly)
{
    struct rig r;
    cease_http2_client *c;
    int status = 0;
    begin(&r, &c);
    CHECK_EQ(raw(&r, c, "application/grpc", "\0\0\0\0\5abc", 8, &status), CEASE_GRPC_INTERNAL);
    CHECK_EQ(status, 200);
    CHECK_EQ(raw(&r, c, "application/grpc", "\0\0\0", 3, &status), CEASE_GRPC_INTERNAL);
    CHECK_EQ(raw(&r, c, "application/grpc", "\2\0\0\0\0", 5, &status), CEASE_GRPC_INTERNAL);
    CHECK_EQ(raw(&r, c, "application/grpc+proto", "\1\0\0\0\0", 5, &status),
             CEASE_GRPC_INTERNAL); /* packed, and nobody has said how */
    CHECK_EQ(raw(&r, c, "application/grpc", "\0\xff\xff\xff\xff", 5, &status),
             CEASE_GRPC_RESOURCE_EXHAUSTED);
    CHECK_EQ(raw(&r, c, "application/grpcx", "\0\0\0\0\0", 5, &status), -1);
    CHECK_EQ(status, 415);
    CHECK_EQ(raw(&r, c, "text/plain", "\0\0\0\0\0", 5, &status), -1);
    CHECK_EQ(status, 415);
    end(&r, c);
}

static cease_error never(cease_ctx *ctx, cease_grpc_call *call, void *arg)
{
    (void)ctx;
    (void)call;
    (void)arg;
    return CEASE_OK;
}

TEST(call_expiredOnArrival_isDeadlineExceededAndNotBegun)
{
    static const cease_http_header late = {"grpc-timeout", "0n"};
    struct rig r;
    cease_http2_client *c;
    int status = 0;
    begin(&r, &c);
    CHECK_EQ(raw_with(&r, c, &late, "application/grpc", "\0\0\0\0\0", 5, &status),
             CEASE_GRPC_DEADLINE_EXCEEDED);
    CHECK_EQ(status, 200);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.cause_code, CEASE_EDEADLINE);
    CHECK_STR(l.cause_text, "the deadline had passed before the request came");
    end(&r, c);
}

TEST(messages_inGzip_areUnpackedAndInOthersRefused)
{
    static const cease_http_header gzip = {"grpc-encoding", "gzip"};
    static const cease_http_header snappy = {"grpc-encoding", "snappy"};
    static const cease_http_header identity = {"grpc-encoding", "identity"};
    struct rig r;
    cease_http2_client *c;
    int status = 0;
    begin(&r, &c);
    CHECK_EQ(raw_with(&r, c, &gzip, "application/grpc", "\0\0\0\0\1x", 6, &status),
             -1); /* the status is among the trailers */
    CHECK_EQ(raw_with(&r, c, &gzip, "application/grpc", "\1\0\0\0\4abcd", 9, &status),
             CEASE_GRPC_INTERNAL);
    CHECK_EQ(raw_with(&r, c, &identity, "application/grpc", "\1\0\0\0\4abcd", 9, &status),
             CEASE_GRPC_INTERNAL);
    CHECK_EQ(raw_with(&r, c, &snappy, "application/grpc", "\0\0\0\0\1x", 6, &status),
             CEASE_GRPC_UNIMPLEMENTED);
    end(&r, c);
}

TEST(gzip_bothWays_packsWhatIsWorthIt)
{
    static char big[100000];
    struct rig r;
    cease_http2_client *c;
    cease_grpc_call *call;
    cease_grpc_message m;
    cease_ctx *ctx = cease_background();
    cease_grpc_request q = to("/test.Echo/Packed");
    begin(&r, &c);
    q.gzip = true;
    CHECK_OK(cease_grpc_open(ctx, c, &q, &call));
    for (size_t size = 0; size <= sizeof big; size = size * 5 + 1000) {
        CHECK_OK(cease_grpc_send(ctx, call, big, size));
        CHECK_OK(cease_grpc_recv(ctx, call, &m));
        CHECK_EQ(m.size, size);
        CHECK_EQ(memcmp(m.data, big, size), 0);
    }
    CHECK_STR(cease_grpc_metadata(call, "grpc-encoding"), "gzip");
    CHECK_STR(cease_grpc_metadata(call, "grpc-accept-encoding"), "identity,gzip");
    CHECK_OK(cease_grpc_send_end(ctx, call));
    check_end(call, CEASE_GRPC_OK, "");
    CHECK(rig_logged(&r, 1).bytes < sizeof big / 4);
    q.message_max = 1000;
    CHECK_OK(cease_grpc_open(ctx, c, &q, &call));
    CHECK_OK(cease_grpc_send(ctx, call, big, 50000));
    CHECK_ERR(cease_grpc_recv(ctx, call, &m), CEASE_EMSGSIZE); /* a bomb */
    CHECK_EQ(cease_grpc_status(call, NULL), CEASE_GRPC_RESOURCE_EXHAUSTED);
    cease_grpc_close(call);
    end(&r, c);
}

TEST(method_thatIsNone_isRefused)
{
    static const char *const names[] = {NULL, "", "a/b", "/a/{b}", "/a?b"};
    cease_http_server *s = cease_http_server_new(NULL);
    cease_grpc_method m = {.size = sizeof m, .fn = NULL, .method = "/a/b"};
    CHECK_ERR(cease_grpc_server_add(s, &m), CEASE_EINVAL);
    m.fn = never;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        m.method = names[i];
        CHECK_ERR(cease_grpc_server_add(s, &m), CEASE_EINVAL);
    }
    CHECK_OK(service_add(s));
    CHECK_ERR(service_add(s), CEASE_EEXIST);
    cease_http_server_free(s);
}

static cease_error unary_again(cease_ctx *ctx, cease_http2_client *c)
{
    cease_grpc_reply reply = {0};
    cease_grpc_request q = to("/test.Echo/Unary");
    cease_error e = cease_grpc_do(ctx, c, &q, "ping", 4, &reply);
    CHECK(e != CEASE_OK || reply.code != CEASE_GRPC_OK || strcmp(reply.data, "ping") == 0);
    cease_grpc_reply_deinit(&reply);
    return e;
}

TEST(allocations_eachFailing_giveAnErrorOrTheAnswer)
{
    struct rig r;
    cease_http2_client *c;
    begin(&r, &c);
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(200), &stop);
        cease_error e = unary_again(ctx, c);
        if (!cease_http2_client_usable(c)) {
            char address[64];
            cease_http2_client *other = NULL;
            snprintf(address, sizeof address, "127.0.0.1:%d", r.port);
            cease_http2_client_close(c);
            while (cease_http2_dial(cease_background(), address, NULL, &other) != CEASE_OK) {
            }
            c = other;
        }
        cease_end(stop);
        CHECK(e != CEASE_EINVAL);
    }
    end(&r, c);
}
