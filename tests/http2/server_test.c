/* server_test.c: out to break the HTTP/2 server from the client's side: streams that are reset, windows
 * that do not open, limits, floods, and stopping. The client (peer.h) is frames on a raw socket; what the
 * server thought is read from its access log. */
#include "../http/handlers.h"
#include "peer.h"

#include <cease/http2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    CHECK_OK(cease_http_response_header(res, "Content-Type", "text/plain"));
    return cease_http_response_write(ctx, res, "Hello, world\n", 13);
}

/* Says that it has begun, waits for the end of its context. */
static cease_error until_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    (void)req;
    (void)res;
    if (arg) {
        int one = 1;
        CHECK_OK(cease_chan_send(cease_background(), arg, &one));
    }
    return cease_wait(ctx);
}

/* Answers when it is told to. */
static cease_error gated(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    int value = 0;
    (void)req;
    cease_error e = cease_chan_recv(ctx, arg, &value);
    return e == CEASE_OK ? cease_http_response_print(ctx, res, "%d", value) : e;
}

/* Writes more than the buffer holds. */
static cease_error large(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    static const char text[60000];
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, text, sizeof text);
}

static cease_error huge(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    cease_error e = CEASE_OK;
    for (int i = 0; i < 20 && e == CEASE_OK; i++) {
        e = large(ctx, req, res, arg);
    }
    return e;
}

/* Each case is a process of its own. */
static struct rig r;
static struct peer p;

/* A server, for more routes and rig_start. */
static void begin_opts(const cease_http_server_opts *opts, const cease_http2_opts *h2)
{
    rig_init(&r, opts);
    CHECK_OK(cease_http2_enable(r.server, h2));
    CHECK_OK(cease_http_server_route(r.server, "GET", "/hello", hello, NULL));
    CHECK_OK(cease_http_server_route(r.server, "GET", "/end", until_end, NULL));
    CHECK_OK(cease_http_server_route(r.server, NULL, "/echo", handle_echo, NULL));
    CHECK_OK(cease_http_server_route(r.server, "GET", "/large", large, NULL));
    CHECK_OK(cease_http_server_route(r.server, "GET", "/huge", huge, NULL));
}

static void begin(const cease_http_server_opts *opts)
{
    begin_opts(opts, NULL);
    rig_start(&r);
}

/* The server, and a client of it. */
static void open_with(const cease_http_server_opts *opts)
{
    begin(opts);
    peer_open(&p, &r);
}

static void close_all(void)
{
    peer_close(&p);
    rig_stop(&r);
}

TEST(stream_request_isAnsweredAndLogged)
{
    open_with(NULL);
    peer_get(&p, 1, "/hello?a=b");
    char *body = peer_response(&p, 1);
    CHECK_STR(body, "Hello, world\n");
    CHECK_HAS(p.head, ":status: 200\n");
    CHECK_HAS(p.head, "content-length: 13\n");
    CHECK_HAS(p.head, "content-type: text/plain\n");
    CHECK_HAS(p.head, "date: ");
    CHECK_HAS_NOT(p.head, "onnection");
    free(body);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.status, 200);
    CHECK_EQ(l.bytes, 13);
    CHECK_EQ(l.cause_code, CEASE_ERETURNED);
    CHECK_STR(l.target, "/hello?a=b");
    peer_get(&p, 3, "/hello");
    free(peer_response(&p, 3));
    peer_get(&p, 5, "/nowhere");
    free(peer_response(&p, 5));
    CHECK_HAS(p.head, ":status: 404\n");
    CHECK_EQ(rig_counts(&r).connections_total, 1);
    close_all();
}

/* Computes for 20 ms, and keeps the only worker from everybody else. */
static cease_error busy(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    cease_time end = cease_time_add(cease_now(), cease_ms(20));
    (void)ctx, (void)req, (void)res, (void)arg;
    while (cease_until(end).ns > 0) {
    }
    return CEASE_OK;
}

TEST(stream_whoseTaskWaits_countsThatAsItsTime)
{
    CHECK_EQ(setenv("CEASE_WORKERS", "1", 1), 0);
    harness_mark();
    begin_opts(NULL, NULL);
    CHECK_OK(cease_http_server_route(r.server, "GET", "/busy", busy, NULL));
    rig_start(&r);
    peer_open(&p, &r);
    wire_request(&p.out, 1, "GET", "/busy", WIRE_END_STREAM);
    wire_request(&p.out, 3, "GET", "/hello", WIRE_END_STREAM);
    peer_flush(&p);
    struct rig_log l = rig_logged(&r, 2);
    CHECK_STR(l.target, "/hello");
    CHECK(l.elapsed.ns >= cease_ms(20).ns);
    close_all();
}

TEST(streams_together_areAnsweredInTheOrderOfTheirHandlers)
{
    cease_chan *gates[8];
    char path[16];
    begin_opts(NULL, NULL);
    for (int i = 0; i < 8; i++) {
        gates[i] = cease_chan_new(sizeof(int), 0);
        snprintf(path, sizeof path, "/gate/%d", i);
        CHECK_OK(cease_http_server_route(r.server, "GET", path, gated, gates[i]));
    }
    rig_start(&r);
    peer_open(&p, &r);
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "/gate/%d", i);
        peer_get(&p, (uint32_t)(1 + 2 * i), path);
    }
    for (int i = 7; i >= 0; i--) {
        CHECK_OK(cease_chan_send(cease_background(), gates[i], &i));
        char *body = peer_response(&p, (uint32_t)(1 + 2 * i));
        CHECK_EQ(atoi(body), i);
        free(body);
        cease_chan_unref(gates[i]);
    }
    close_all();
}

TEST(stream_reset_endsItsContextWithTheCodeAndNoOther)
{
    cease_chan *begun = cease_chan_new(sizeof(int), 0);
    int one;
    begin_opts(NULL, NULL);
    CHECK_OK(cease_http_server_route(r.server, "GET", "/begun", until_end, begun));
    rig_start(&r);
    peer_open(&p, &r);
    peer_get(&p, 1, "/begun");
    peer_get(&p, 3, "/begun");
    CHECK_OK(cease_chan_recv(cease_background(), begun, &one));
    CHECK_OK(cease_chan_recv(cease_background(), begun, &one));
    wire_u32(&p.out, WIRE_RST_STREAM, 1, 8);
    peer_flush(&p);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.status, 499);
    CHECK_EQ(l.cause_code, 8);
    CHECK_STR(l.cause_text, "the client reset the stream: CANCEL");
    CHECK_EQ(l.error, CEASE_ECANCELED);
    CHECK_EQ(rig_counts(&r).requests, 1);
    peer_get(&p, 5, "/hello"); /* the connection goes on */
    free(peer_response(&p, 5));
    peer_close(&p);
    l = rig_logged(&r, 3);
    CHECK_EQ(l.cause_code, CEASE_EPEERGONE);
    CHECK_EQ(l.status, 499);
    rig_stop(&r);
    cease_chan_unref(begun);
}

TEST(stream_resetBeforeItsHandlerBegins_isNotLost)
{
    open_with(NULL);
    wire_request(&p.out, 1, "GET", "/end", WIRE_END_STREAM);
    wire_u32(&p.out, WIRE_RST_STREAM, 1, 5);
    peer_flush(&p);
    CHECK_EQ(rig_logged(&r, 1).cause_code, 5);
    close_all();
}

TEST(write_windowClosed_parksUntilItOpens)
{
    size_t got = 0;
    open_with(NULL);
    wire_setting(&p.out, 4, 1000);
    peer_get(&p, 1, "/large");
    struct wire_frame f = peer_wait(&p, WIRE_DATA, 1);
    CHECK_EQ(f.size, 1000);
    got = f.size;
    peer_get(&p, 3, "/hello"); /* which is not held up */
    free(peer_response(&p, 3));
    CHECK_EQ(rig_logged(&r, 1).status, 200);
    wire_u32(&p.out, WIRE_WINDOW_UPDATE, 1, 59001); /* the last frame wants a window, too */
    peer_flush(&p);
    while (!(f.flags & WIRE_END_STREAM)) {
        f = peer_wait(&p, WIRE_DATA, 1);
        got += f.size;
    }
    CHECK_EQ(got, 60000);
    CHECK_EQ(rig_logged(&r, 2).bytes, 60000);
    close_all();
}

TEST(write_windowThatNeverOpens_isResetWhenTheBudgetIsOver)
{
    open_with(&(cease_http_server_opts){.size = sizeof(cease_http_server_opts),
                                        .write_budget = cease_ms(20)});
    wire_setting(&p.out, 4, 1000);
    peer_get(&p, 1, "/large");
    struct wire_frame f = peer_wait(&p, WIRE_RST_STREAM, 1);
    CHECK_EQ(peer_u32(f.payload), NGHTTP2_INTERNAL_ERROR);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.cause_code, CEASE_EPIPE);
    CHECK_EQ(l.error, CEASE_ETIMEDOUT);
    CHECK_EQ(l.bytes, 1000);
    close_all();
}

TEST(write_windowClosedAndStreamReset_returnsToTheHandler)
{
    open_with(NULL);
    wire_setting(&p.out, 4, 10);
    peer_get(&p, 1, "/large");
    peer_wait(&p, WIRE_DATA, 1);
    wire_u32(&p.out, WIRE_RST_STREAM, 1, 8);
    peer_flush(&p);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.status, 499);
    CHECK(l.error == CEASE_ECANCELED || l.error == CEASE_ECONNRESET);
    close_all();
}

TEST(body_longerThanTheWindow_comesThroughAsItIsRead)
{
    static uint8_t piece[10000];
    size_t sent = 0;
    size_t got = 0;
    size_t window = 65535;
    const size_t all = 300000;
    open_with(NULL);
    wire_u32(&p.out, WIRE_WINDOW_UPDATE, 0, 1 << 20);
    wire_setting(&p.out, 4, 1 << 20);
    wire_request(&p.out, 1, "POST", "/echo", 0);
    peer_flush(&p);
    struct wire_frame f = {0};
    while (!(f.type == WIRE_DATA && f.flags & WIRE_END_STREAM)) {
        while (sent < all && window >= sizeof piece) {
            sent += sizeof piece;
            window -= sizeof piece;
            wire_frame(&p.out, WIRE_DATA, sent == all ? WIRE_END_STREAM : 0, 1, piece,
                       sizeof piece);
        }
        peer_flush(&p);
        CHECK(peer_next(&p, &f));
        CHECK(f.type != WIRE_RST_STREAM && f.type != WIRE_GOAWAY);
        window += f.type == WIRE_WINDOW_UPDATE && f.stream == 1 ? peer_u32(f.payload) : 0;
        got += f.type == WIRE_DATA ? f.size : 0;
    }
    CHECK_EQ(got, all);
    close_all();
}

TEST(body_thatNobodyReads_isThrownAwayAndTheConnectionGoesOn)
{
    static uint8_t piece[16000];
    open_with(NULL);
    for (uint32_t i = 0; i < 40; i++) { /* together more than the connection's window */
        wire_request(&p.out, 1 + 2 * i, "POST", "/nowhere", 0);
        wire_frame(&p.out, WIRE_DATA, 0, 1 + 2 * i, piece, sizeof piece);
        wire_frame(&p.out, WIRE_DATA, WIRE_END_STREAM, 1 + 2 * i, piece, sizeof piece);
        peer_flush(&p);
        peer_wait(&p, WIRE_HEADERS, 1 + 2 * i);
        CHECK_HAS(p.head, ":status: 404");
    }
    close_all();
}

TEST(body_aboveItsMost_is413)
{
    open_with(&(cease_http_server_opts){.size = sizeof(cease_http_server_opts), .body_max = 10});
    wire_request(&p.out, 1, "POST", "/echo", 0);
    wire_frame(&p.out, WIRE_DATA, WIRE_END_STREAM, 1, "12345678901", 11);
    peer_flush(&p);
    free(peer_response(&p, 1));
    CHECK_HAS(p.head, ":status: 413\n");
    close_all();
}

TEST(body_cutOffByAReset_isToldToItsReader)
{
    open_with(NULL);
    wire_request(&p.out, 1, "POST", "/echo", 0);
    wire_frame(&p.out, WIRE_DATA, 0, 1, "1", 1);
    wire_u32(&p.out, WIRE_RST_STREAM, 1, 8);
    peer_flush(&p);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.status, 499);
    CHECK(l.error == CEASE_ECANCELED || l.error == CEASE_EPEERGONE);
    close_all();
}

/* Sends back at once what comes. */
static cease_error talk(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char buf[16];
    size_t n = 0;
    cease_error e;
    (void)arg;
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_http_response_write(ctx, res, buf, n);
        if (e == CEASE_OK) {
            e = cease_http_response_flush(ctx, res);
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
    return e == CEASE_EOF ? CEASE_OK : e;
}

/* The handler's read and the guard both learn of the reset, and either may be first. */
TEST(body_cutOffByAReset_saysTheCodeWhoeverNoticesFirst)
{
    begin_opts(NULL, NULL);
    CHECK_OK(cease_http_server_route(r.server, "POST", "/talk", talk, NULL));
    rig_start(&r);
    peer_open(&p, &r);
    for (int i = 0; i < 300; i++) {
        uint32_t id = (uint32_t)(1 + 2 * i);
        wire_request(&p.out, id, "POST", "/talk", 0);
        wire_frame(&p.out, WIRE_DATA, 0, id, "again", 5);
        peer_flush(&p);
        struct wire_frame f =
            peer_wait(&p, WIRE_DATA, id); /* its reader waits for more, or is about to */
        CHECK_EQ(f.size, 5);
        wire_u32(&p.out, WIRE_RST_STREAM, id, 8);
        peer_flush(&p);
        struct rig_log l = rig_logged(&r, i + 1);
        CHECK_EQ(l.cause_code, 8);
        CHECK_STR(l.cause_text, "the client reset the stream: CANCEL");
    }
    close_all();
}

static void request_with(const char *path, const char *name, const char *value, const char *more)
{
    struct wire head = {0};
    wire_pseudo(&head, "GET", path);
    wire_field(&head, name, value);
    if (more) {
        wire_field(&head, name, more);
    }
    wire_frame(&p.out, WIRE_HEADERS, WIRE_END_HEADERS | WIRE_END_STREAM, 1, head.data, head.size);
    peer_flush(&p);
    wire_free(&head);
}

TEST(deadline_thatComesWithTheRequest_is504)
{
    open_with(NULL);
    request_with("/end", "grpc-timeout", "20m", NULL);
    free(peer_response(&p, 1));
    CHECK_HAS(p.head, ":status: 504\n");
    CHECK_HAS(p.head, "x-request-deadline-expired: 1\n");
    CHECK_EQ(rig_logged(&r, 1).cause_code, CEASE_EDEADLINE);
    close_all();
}

/* The client opens no window for it. */
TEST(deadline_whoseAnswerCannotBeWritten_isStillTheDeadline)
{
    open_with(&(cease_http_server_opts){.size = sizeof(cease_http_server_opts),
                                        .write_budget = cease_ms(20)});
    wire_setting(&p.out, 4, 0);
    request_with("/end", "grpc-timeout", "20m", NULL);
    CHECK_EQ(peer_u32(peer_wait(&p, WIRE_RST_STREAM, 1).payload), NGHTTP2_INTERNAL_ERROR);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.cause_code, CEASE_EDEADLINE);
    CHECK_EQ(l.status, 504);
    CHECK_EQ(l.bytes, 0);
    close_all();
}

/* Answers although its time is over, to a client that has not waited. */
static cease_error too_late(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                            void *arg)
{
    int one = 1;
    int got;
    (void)req;
    (void)cease_wait(ctx);
    CHECK_OK(cease_chan_send(cease_background(), arg, &one)); /* "it is over", and waits for */
    CHECK_OK(cease_chan_recv(cease_background(), arg, &got)); /* "I have reset it" */
    return cease_http_response_write(cease_background(), res, "late", 4);
}

TEST(deadline_whoseAnswerComesTooLate_isNotAClientThatHasGone)
{
    int one;
    cease_chan *chan = cease_chan_new(sizeof one, 0);
    begin_opts(NULL, NULL);
    CHECK_OK(cease_http_server_route(r.server, "GET", "/late", too_late, chan));
    rig_start(&r);
    peer_open(&p, &r);
    request_with("/late", "grpc-timeout", "20m", NULL);
    CHECK_OK(cease_chan_recv(cease_background(), chan, &one));
    wire_u32(&p.out, WIRE_RST_STREAM, 1, NGHTTP2_CANCEL);
    peer_get(&p, 3, "/hello"); /* when this has come, that has been heard */
    free(peer_response(&p, 3));
    CHECK_EQ(rig_logged(&r, 1).status, 200);
    CHECK_OK(cease_chan_send(cease_background(), chan, &one));
    struct rig_log l = rig_logged(&r, 2);
    CHECK_EQ(l.cause_code, CEASE_EDEADLINE);
    CHECK_EQ(l.status, 504);
    close_all();
    cease_chan_unref(chan);
}

static cease_error show(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    const char *name;
    const char *value;
    (void)arg;
    for (size_t i = 0; cease_http_request_header_at(req, i, &name, &value); i++) {
        CHECK_OK(cease_http_response_print(ctx, res, "%s=%s|", name, value));
    }
    CHECK_OK(cease_http_response_trailer(res, "X-Sum", "42"));
    CHECK_ERR(cease_http_response_trailer(res, "Content-Length", "1"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_trailer(res, "a b", "1"), CEASE_EINVAL);
    return cease_http_response_print(ctx, res, "%s|%s|%s", cease_http_request_method(req),
                                     cease_http_request_path(req), cease_http_request_query(req));
}

TEST(request_itsFields_areWhatAHandlerOfHttp1Sees)
{
    struct wire_frame f;
    begin_opts(NULL, NULL);
    CHECK_OK(cease_http_server_route(r.server, "GET", "/s/{a}", show, NULL));
    rig_start(&r);
    peer_open(&p, &r);
    request_with("/s/a%20b?c=d", "cookie", "e=f", "g=h");
    peer_wait(&p, WIRE_HEADERS, 1);
    CHECK_HAS(p.head, ":status: 200\n");
    f = peer_wait(&p, WIRE_DATA, 1);
    char text[200] = "";
    CHECK(f.size < sizeof text);
    memcpy(text, f.payload, f.size);
    CHECK_STR(text, "host=localhost|cookie=e=f; g=h|GET|/s/a b|c=d");
    CHECK_EQ(f.flags & WIRE_END_STREAM, 0);
    f = peer_wait(&p, WIRE_HEADERS, 1);
    CHECK_STR(p.head, "x-sum: 42\n");
    CHECK(f.flags & WIRE_END_STREAM);
    close_all();
}

TEST(head_method_hasALengthAndNoBody)
{
    open_with(NULL);
    wire_request(&p.out, 1, "HEAD", "/hello", WIRE_END_STREAM);
    peer_flush(&p);
    struct wire_frame f = peer_wait(&p, WIRE_HEADERS, 1);
    CHECK(f.flags & WIRE_END_STREAM);
    CHECK_HAS(p.head, "content-length: 13\n");
    close_all();
}

TEST(expect_100_isAnsweredWhenTheBodyIsRead)
{
    struct wire head = {0};
    open_with(NULL);
    wire_pseudo(&head, "POST", "/echo");
    wire_field(&head, "expect", "100-continue");
    wire_frame(&p.out, WIRE_HEADERS, WIRE_END_HEADERS, 1, head.data, head.size);
    peer_flush(&p);
    peer_wait(&p, WIRE_HEADERS, 1);
    CHECK_STR(p.head, ":status: 100\n");
    wire_frame(&p.out, WIRE_DATA, WIRE_END_STREAM, 1, "ab", 2);
    peer_flush(&p);
    char *body = peer_response(&p, 1);
    CHECK_STR(body, "ab");
    free(body);
    wire_free(&head);
    close_all();
}

TEST(connect_method_isRefused)
{
    struct wire head = {0};
    open_with(NULL);
    wire_field(&head, ":method", "CONNECT");
    wire_field(&head, ":authority", "a:1");
    wire_frame(&p.out, WIRE_HEADERS, WIRE_END_HEADERS, 1, head.data, head.size);
    peer_flush(&p);
    peer_wait(&p, WIRE_HEADERS, 1);
    CHECK_HAS(p.head, ":status: 501\n");
    wire_free(&head);
    close_all();
}

/* ---- beside HTTP/1.1 ---- */

TEST(preface_byteByByte_isHttp2AndEverythingElseIsNot)
{
    static const char text[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    begin(NULL);
    CHECK_EQ(nghttp2_hd_inflate_new(&p.inflater), 0);
    p.fd = rig_connect(&r);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        CHECK_EQ(send(p.fd, text + i, 1, MSG_NOSIGNAL), 1);
    }
    wire_frame(&p.out, WIRE_SETTINGS, 0, 0, NULL, 0);
    peer_get(&p, 1, "/hello");
    free(peer_response(&p, 1));
    peer_close(&p);
    char *old = rig_ask(&r, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_HAS(old, "HTTP/1.1 200 OK\r\n");
    free(old);
    old = rig_ask(&r, "PRI * HTTP/2.0\r\nHost: a\r\n\r\n");
    CHECK_HAS(old, "HTTP/1.1 505 ");
    free(old);
    int fd = rig_connect(&r); /* the preface counts at the beginning only */
    rig_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    free(rig_response(fd, false));
    old = rig_rest(fd);
    CHECK_HAS(old, "HTTP/1.1 ");
    free(old);
    close(fd);
    rig_stop(&r);
}

TEST(enable_twiceOrWhileServing_isRefused)
{
    begin_opts(NULL, NULL);
    CHECK_ERR(cease_http2_enable(r.server, NULL), CEASE_EEXIST);
    CHECK_ERR(cease_http2_enable(NULL, NULL), CEASE_ENOMEM);
    rig_start(&r);
    peer_open(&p, &r);
    peer_get(&p, 1, "/hello");
    free(peer_response(&p, 1));
    CHECK_ERR(cease_http2_enable(r.server, NULL), CEASE_EBUSY);
    cease_http_server *other = cease_http_server_new(NULL);
    CHECK_ERR(cease_http2_enable(other, &(cease_http2_opts){.stream_window = UINT32_MAX}),
              CEASE_EINVAL);
    cease_http_server_free(other);
    close_all();
}

/* ---- limits and floods ---- */

TEST(streams_aboveTheMost_areRefusedAndHandlersBounded)
{
    begin_opts(NULL, &(cease_http2_opts){.size = sizeof(cease_http2_opts), .stream_max = 4});
    rig_start(&r);
    peer_open(&p, &r);
    for (uint32_t i = 0; i < 5; i++) {
        wire_request(&p.out, 1 + 2 * i, "GET", "/end", WIRE_END_STREAM);
    }
    peer_flush(&p);
    struct wire_frame f = peer_wait(&p, WIRE_RST_STREAM, 9);
    CHECK_EQ(peer_u32(f.payload), NGHTTP2_REFUSED_STREAM);
    peer_close(&p);
    CHECK_EQ(rig_logged(&r, 4).status, 499);
    CHECK_EQ(rig_counts(&r).requests_total, 4);
    rig_stop(&r);
}

/* Answers, and does not return until it is told. */
static cease_error lingering(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    int value;
    (void)req;
    CHECK_OK(cease_http_response_write(ctx, res, "x", 1));
    CHECK_OK(cease_http_response_end(ctx, res));
    cease_error e = cease_chan_recv(cease_background(), arg, &value);
    CHECK_ERR(e, CEASE_ECLOSED);
    return CEASE_OK;
}

TEST(streams_ended_leaveTheirPlaceBeforeTheHandlerReturns)
{
    cease_chan *gate = cease_chan_new(sizeof(int), 0);
    begin_opts(NULL, &(cease_http2_opts){.size = sizeof(cease_http2_opts), .stream_max = 4});
    CHECK_OK(cease_http_server_route(r.server, "GET", "/lingering", lingering, gate));
    rig_start(&r);
    peer_open(&p, &r);
    for (uint32_t i = 0; i < 8; i++) { /* never two open */
        wire_request(&p.out, 1 + 2 * i, "GET", "/lingering", WIRE_END_STREAM);
        peer_flush(&p);
        struct wire_frame f;
        do {
            f = peer_wait(&p, WIRE_DATA, 1 + 2 * i);
        } while (!(f.flags & WIRE_END_STREAM));
    }
    wire_request(&p.out, 17, "GET", "/lingering",
                 WIRE_END_STREAM); /* handlers are bounded all the same */
    peer_flush(&p);
    struct wire_frame f = peer_wait(&p, WIRE_RST_STREAM, 17);
    CHECK_EQ(peer_u32(f.payload), NGHTTP2_REFUSED_STREAM);
    cease_chan_close(gate);
    CHECK_EQ(rig_logged(&r, 8).status, 200);
    CHECK_EQ(rig_counts(&r).requests_total, 8);
    close_all();
    cease_chan_unref(gate);
}

/* Does not stop for its context until it is told. */
static cease_error stubborn(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                            void *arg)
{
    int value;
    (void)ctx;
    (void)req;
    (void)res;
    return cease_chan_recv(cease_background(), arg, &value);
}

TEST(resets_rapid_neverRunMoreHandlersThanStreams)
{
    cease_chan *gate = cease_chan_new(sizeof(int), 0);
    begin_opts(NULL, &(cease_http2_opts){.size = sizeof(cease_http2_opts), .stream_max = 4});
    CHECK_OK(cease_http_server_route(r.server, "GET", "/stubborn", stubborn, gate));
    rig_start(&r);
    peer_open(&p, &r);
    for (uint32_t i = 0; i < 100; i++) { /* CVE-2023-44487 */
        wire_request(&p.out, 1 + 2 * i, "GET", "/stubborn", WIRE_END_STREAM);
        wire_u32(&p.out, WIRE_RST_STREAM, 1 + 2 * i, 8);
    }
    wire_frame(&p.out, WIRE_PING, 0, 0, "12345678", 8);
    peer_flush(&p);
    peer_wait(&p, WIRE_PING, 0); /* everything has been taken */
    CHECK(rig_counts(&r).requests_total <= 4);
    for (uint32_t i = 100; i < 1000; i++) {
        wire_request(&p.out, 1 + 2 * i, "GET", "/stubborn", WIRE_END_STREAM);
        wire_u32(&p.out, WIRE_RST_STREAM, 1 + 2 * i, 8);
    }
    peer_flush(&p);
    struct wire_frame f = peer_wait(&p, WIRE_GOAWAY, 0);
    CHECK_EQ(peer_u32(f.payload + 4), NGHTTP2_ENHANCE_YOUR_CALM);
    cease_chan_close(gate);
    peer_check_end(&p);
    CHECK(rig_counts(&r).requests_total <= 4);
    close_all();
    cease_chan_unref(gate);
}

TEST(flood_ofPings_endsTheConnectionAndItsStreams)
{
    open_with(NULL);
    peer_get(&p, 1, "/end");
    for (int i = 0; i < 3000; i++) {
        wire_frame(&p.out, WIRE_PING, 0, 0, "12345678", 8);
    }
    peer_flush(&p);
    struct wire_frame f = peer_wait(&p, WIRE_GOAWAY, 0);
    CHECK_EQ(peer_u32(f.payload + 4), NGHTTP2_ENHANCE_YOUR_CALM);
    peer_check_end(&p);
    CHECK_EQ(rig_logged(&r, 1).cause_code, CEASE_EPEERGONE);
    close_all();
}

TEST(head_tooLarge_is431AndTheConnectionGoesOn)
{
    char value[600];
    begin(&(cease_http_server_opts){.size = sizeof(cease_http_server_opts), .head_max = 512});
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    peer_open(&p, &r);
    request_with("/hello", "a", value, NULL);
    free(peer_response(&p, 1));
    CHECK_HAS(p.head, ":status: 431\n");
    peer_get(&p, 3, "/hello");
    free(peer_response(&p, 3));
    CHECK_EQ(rig_counts(&r).bad_total, 1);
    close_all();
}

TEST(reader_thatDoesNotRead_isGivenUpWhenTheBudgetIsOver)
{
    open_with(&(cease_http_server_opts){.size = sizeof(cease_http_server_opts),
                                        .write_budget = cease_ms(50)});
    wire_u32(&p.out, WIRE_WINDOW_UPDATE, 0, 1u << 30);
    wire_setting(&p.out, 4, 1u << 30);
    for (uint32_t i = 0; i < 100; i++) { /* 120 MB, more than the socket holds */
        wire_request(&p.out, 1 + 2 * i, "GET", "/huge", WIRE_END_STREAM);
    }
    peer_flush(&p);
    CHECK_EVENTUALLY(rig_counts(&r).requests_total > 0);
    CHECK_EVENTUALLY(rig_counts(&r).connections == 0);
    close_all();
}

/* Heads that do not go out at once must not be read from where their handlers had them. */
TEST(heads_thatWaitForAReader_areEachTheirOwn)
{
    enum { HUGE = 20, SMALL = 40 };
    open_with(NULL);
    wire_u32(&p.out, WIRE_WINDOW_UPDATE, 0, 1u << 30);
    wire_setting(&p.out, 4, 1u << 30);
    for (uint32_t i = 0; i < HUGE; i++) { /* 24 MB, more than the socket holds */
        wire_request(&p.out, 1 + 2 * i, "GET", "/huge", WIRE_END_STREAM);
    }
    peer_flush(&p);
    CHECK_EVENTUALLY(rig_counts(&r).requests_total == HUGE);
    for (uint32_t i = HUGE; i < HUGE + SMALL; i++) {
        wire_request(&p.out, 1 + 2 * i, "HEAD", i % 2 == 0 ? "/hello" : "/none", WIRE_END_STREAM);
    }
    peer_flush(&p);
    CHECK_EVENTUALLY(rig_counts(&r).requests_total == HUGE + SMALL);
    for (int left = SMALL; left > 0;) { /* in whatever order they were answered */
        uint32_t stream = peer_wait(&p, WIRE_HEADERS, UINT32_MAX).stream;
        if (stream < 1 + 2 * HUGE) {
            continue;
        }
        bool hello = stream / 2 % 2 == 0;
        CHECK(strstr(p.head, hello ? ":status: 200\n" : ":status: 404\n") != NULL);
        CHECK(strstr(p.head, hello ? "content-length: 13\n" : "content-length: 14\n") != NULL);
        left--;
    }
    close_all();
}

TEST(connection_withoutStreams_isEndedWhenItIsIdleTooLong)
{
    open_with(&(cease_http_server_opts){.size = sizeof(cease_http_server_opts),
                                        .idle_timeout = cease_ms(30)});
    peer_get(&p, 1, "/hello");
    free(peer_response(&p, 1));
    struct wire_frame f = peer_wait(&p, WIRE_GOAWAY, 0);
    CHECK_EQ(peer_u32(f.payload + 4), 0);
    peer_check_end(&p);
    close_all();
}

/* ---- stopping ---- */

TEST(stop_whileStreamsRun_saysGoawayAndServesThem)
{
    cease_chan *gate = cease_chan_new(sizeof(int), 0);
    begin_opts(NULL, NULL);
    CHECK_OK(cease_http_server_route(r.server, "GET", "/gate", gated, gate));
    rig_start(&r);
    peer_open(&p, &r);
    peer_get(&p, 1, "/gate");
    peer_get(&p, 3, "/hello");
    free(peer_response(&p, 3));
    rig_cancel(&r);
    struct wire_frame f = peer_wait(&p, WIRE_GOAWAY, 0);
    CHECK_EQ(peer_u32(f.payload), 0x7fffffff);
    peer_get(&p, 5, "/gate"); /* sent before it knew: is served */
    f = peer_wait(&p, WIRE_PING, 0);
    wire_frame(&p.out, WIRE_PING, WIRE_ACK, 0, f.payload, 8);
    peer_flush(&p);
    f = peer_wait(&p, WIRE_GOAWAY, 0);
    CHECK_EQ(peer_u32(f.payload), 5);
    CHECK_EQ(peer_u32(f.payload + 4), 0);
    peer_get(&p, 7, "/gate"); /* sent after: is not */
    int value = 7;
    CHECK_OK(cease_chan_send(cease_background(), gate, &value));
    CHECK_OK(cease_chan_send(cease_background(), gate, &value));
    for (int ended = 0; ended < 2;) {
        CHECK(peer_next(&p, &f));
        CHECK(f.stream != 7);
        ended += f.type == WIRE_DATA && f.flags & WIRE_END_STREAM;
    }
    peer_check_end(&p);
    peer_close(&p);
    rig_join(&r);
    cease_chan_unref(gate);
}

TEST(stop_graceOver_endsContextsAndAnswers503)
{
    open_with(
        &(cease_http_server_opts){.size = sizeof(cease_http_server_opts), .grace = cease_ms(-1)});
    peer_get(&p, 1, "/end");
    CHECK_EVENTUALLY(rig_counts(&r).requests == 1);
    rig_cancel(&r);
    peer_wait(&p, WIRE_HEADERS, 1);
    CHECK_HAS(p.head, ":status: 503\n");
    CHECK_EQ(rig_logged(&r, 1).cause_code, CEASE_ESTOPPING);
    peer_close(&p);
    rig_join(&r);
}

TEST(stop_ofAnIdleConnection_saysGoawayAndEndsIt)
{
    open_with(NULL);
    peer_get(&p, 1, "/hello");
    free(peer_response(&p, 1));
    rig_cancel(&r);
    struct wire_frame f = peer_wait(&p, WIRE_PING, 0);
    wire_frame(&p.out, WIRE_PING, WIRE_ACK, 0, f.payload, 8);
    peer_flush(&p);
    peer_wait(&p, WIRE_GOAWAY, 0);
    peer_check_end(&p);
    peer_close(&p);
    rig_join(&r);
}
