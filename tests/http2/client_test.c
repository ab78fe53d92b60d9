/* client_test.c: out to break the HTTP/2 client: against our server, in numbers and with contexts that end,
 * and against a server that is frames by hand and does everything wrong that it can. */
#include "peer.h"

#include <arpa/inet.h>
#include <cease/http2.h>
#include <cease/propagate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- against our server ---- */

static cease_error echo(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char buf[4096];
    size_t n = 0;
    cease_error e;
    (void)arg;
    const char *tag = cease_http_request_header(req, "X-Tag");
    if (tag) {
        CHECK_OK(cease_http_response_header(res, "X-Tag", tag));
        CHECK_OK(cease_http_response_trailer(res, "X-End", tag));
    }
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_http_response_write(ctx, res, buf, n);
        if (e == CEASE_OK && tag) {
            e = cease_http_response_flush(ctx, res);
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
    return e == CEASE_EOF ? CEASE_OK : e;
}

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

/* Says what the request's context carries. */
static cease_error carried(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    char parent[CEASE_TRACEPARENT_SIZE] = "none";
    const cease_trace_context *trace = cease_trace_from_context(ctx);
    cease_time deadline = CEASE_NEVER;
    (void)req;
    (void)arg;
    if (trace) {
        cease_trace_format(trace, parent);
    }
    bool soon = cease_deadline(ctx, &deadline) && cease_until(deadline).ns < cease_sec(10).ns;
    return cease_http_response_print(ctx, res, "%s %s [%s] %s", parent, trace ? trace->state : "",
                                     cease_baggage_from_context(ctx), soon ? "soon" : "late");
}

static void begin(struct rig *r, cease_http2_client **c, void *begun)
{
    const cease_http_server_opts opts = {.size = sizeof opts, .take_baggage = true};
    char address[64];
    rig_init(r, &opts);
    CHECK_OK(cease_http2_enable(r->server, NULL));
    CHECK_OK(cease_http_server_route(r->server, NULL, "/echo", echo, NULL));
    CHECK_OK(cease_http_server_route(r->server, "GET", "/end", until_end, begun));
    CHECK_OK(cease_http_server_route(r->server, "GET", "/carried", carried, NULL));
    rig_start(r);
    snprintf(address, sizeof address, "127.0.0.1:%d", r->port);
    CHECK_OK(cease_http2_dial(cease_background(), address, NULL, c));
}

static void end(struct rig *r, cease_http2_client *c)
{
    cease_http2_client_close(c);
    rig_stop(r);
}

static void call_init(cease_http_call *call, struct rig *r, char url[100], const char *path)
{
    snprintf(url, 100, "%s%s", r->url, path);
    *call = (cease_http_call){.size = sizeof *call, .url = url};
}

TEST(do_getAndPost_bringTheWholeResponse)
{
    struct rig r;
    cease_http2_client *c;
    cease_http_call call;
    cease_http_reply reply = {0};
    char url[100];
    static char big[300000];
    begin(&r, &c, NULL);
    call_init(&call, &r, url, "/nowhere?a#fragment");
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    CHECK_EQ(reply.status, 404);
    CHECK_STR(reply.body, "404 Not Found\n");
    CHECK_STR(cease_http_reply_header(&reply, "Content-Type"), "text/plain");
    cease_http_reply_deinit(&reply);
    CHECK_STR(rig_logged(&r, 1).target, "/nowhere?a");
    call_init(&call, &r, url, "/echo");
    memset(big, 'b', sizeof big);
    call.body = big;
    call.body_size = sizeof big;
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    CHECK_EQ(reply.status, 200);
    CHECK_EQ(reply.body_size, sizeof big);
    CHECK_EQ(memcmp(reply.body, big, sizeof big), 0);
    cease_http_reply_deinit(&reply);
    call.reply_max = sizeof big;
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    cease_http_reply_deinit(&reply);
    call.reply_max = sizeof big - 1;
    CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EMSGSIZE);
    CHECK(cease_http2_client_usable(c));
    end(&r, c);
}

struct source {
    size_t left, fails_at; /* that much left: an error, unless it is 0 */
};

static cease_error from_source(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_count)
{
    struct source *s = arg;
    (void)ctx;
    if (s->left == s->fails_at) {
        return s->left > 0 ? CEASE_EBADF : CEASE_EOF;
    }
    *ret_count = s->left - s->fails_at < size ? s->left - s->fails_at : size;
    memset(buf, 's', *ret_count);
    s->left -= *ret_count;
    return CEASE_OK;
}

TEST(do_withABodyOfAFunction_sendsItOrSaysItsError)
{
    struct rig r;
    struct source from = {.left = 200000};
    cease_http2_client *c;
    cease_http_call call;
    cease_http_reply reply = {0};
    char url[100];
    begin(&r, &c, NULL);
    call_init(&call, &r, url, "/echo");
    call.body_read = from_source;
    call.body_arg = &from;
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    CHECK_EQ(reply.body_size, 200000);
    cease_http_reply_deinit(&reply);
    CHECK_STR(rig_logged(&r, 1).method, "POST");
    from.left = call.body_length = 70000;
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    CHECK_EQ(reply.body_size, 70000);
    cease_http_reply_deinit(&reply);
    from.left = 70000;
    call.body_length = 69999;
    CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EINVAL);
    from.left = 70000;
    call.body_length = 70001;
    CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EINVAL);
    from = (struct source){.left = 70000, .fails_at = 10};
    call.body_length = 0;
    CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EBADF);
    CHECK(cease_http2_client_usable(c));
    end(&r, c);
}

TEST(do_whatIsNoRequest_isRefused)
{
    static const char *const urls[] = {
        NULL, "", "ftp://a/", "http://", "/a", "http://a b/", "http://u@a/", "http://a/\n"};
    static const cease_http_header fields[][2] = {
        {{"a b", "c"}, {NULL, NULL}},   {{"a", "b\nc"}, {NULL, NULL}},
        {{"a", NULL}, {NULL, NULL}},    {{"a", " b"}, {NULL, NULL}},
        {{":path", "/"}, {NULL, NULL}}, {{"Connection", "close"}, {NULL, NULL}}};
    struct rig r;
    cease_http2_client *c;
    cease_http_call call;
    cease_http_reply reply = {0};
    char url[100];
    begin(&r, &c, NULL);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        call = (cease_http_call){.size = sizeof call, .url = urls[i]};
        CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EINVAL);
    }
    call_init(&call, &r, url, "/echo");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        call.headers = fields[i];
        CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EINVAL);
    }
    call.headers = NULL;
    call.method = "A B";
    CHECK_ERR(cease_http2_do(cease_background(), c, &call, &reply), CEASE_EINVAL);
    end(&r, c);
}

struct many {
    struct rig *r;
    cease_http2_client *c;
    int done; /* atomic */
};

static cease_error ask_task(cease_ctx *ctx, void *arg)
{
    struct many *m = arg;
    char url[100];
    char body[64];
    cease_http_call call;
    call_init(&call, m->r, url, "/echo");
    for (int i = 0; i < 20; i++) {
        cease_http_reply reply = {0};
        call.body = body;
        call.body_size = (size_t)snprintf(body, sizeof body, "%p %d", (void *)&call, i);
        CHECK_OK(cease_http2_do(ctx, m->c, &call, &reply));
        CHECK_STR(reply.body, body);
        cease_http_reply_deinit(&reply);
    }
    __atomic_fetch_add(&m->done, 1, __ATOMIC_RELAXED);
    return CEASE_OK;
}

TEST(do_fromManyTasks_sharesTheConnection)
{
    struct rig r;
    struct many m = {.r = &r};
    begin(&r, &m.c, NULL);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 200; i++) { /* more than the server takes at a time */
        CHECK_OK(cease_group_go(g, ask_task, &m));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(m.done, 200);
    CHECK_EQ(rig_counts(&r).connections_total, 1);
    end(&r, m.c);
}

TEST(stream_bothWays_talksWhileItIsOpen)
{
    static const cease_http_header tag[] = {{"X-Tag", "t"}, {NULL, NULL}};
    struct rig r;
    cease_http2_client *c;
    cease_http2_stream *s;
    cease_http_call call;
    char url[100];
    char buf[16];
    const char *name;
    const char *value;
    size_t n = 0;
    int status = 0;
    cease_ctx *ctx = cease_background();
    begin(&r, &c, NULL);
    call_init(&call, &r, url, "/echo");
    call.headers = tag;
    CHECK_OK(cease_http2_stream_open(ctx, c, &call, false, &s));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_http2_stream_write(ctx, s, "ping", 4));
        if (i == 0) {
            CHECK_OK(cease_http2_stream_wait(ctx, s, &status));
            CHECK_EQ(status, 200);
        }
        CHECK_OK(cease_http2_stream_read(ctx, s, buf, sizeof buf, &n));
        CHECK_EQ(n, 4);
    }
    CHECK_STR(cease_http2_stream_header(s, "x-TAG"), "t");
    CHECK_PTR(cease_http2_stream_header(s, ":status"), NULL);
    CHECK_PTR(cease_http2_stream_trailer(s, "x-end"), NULL);
    CHECK_OK(cease_http2_stream_end(ctx, s, tag));
    CHECK_ERR(cease_http2_stream_end(ctx, s, NULL), CEASE_EINVAL);
    CHECK_ERR(cease_http2_stream_write(ctx, s, "a", 1), CEASE_EINVAL);
    CHECK_ERR(cease_http2_stream_read(ctx, s, buf, 0, &n), CEASE_EINVAL);
    CHECK_ERR(cease_http2_stream_read(ctx, s, buf, sizeof buf, &n), CEASE_EOF);
    CHECK_STR(cease_http2_stream_trailer(s, "x-end"), "t");
    CHECK(cease_http2_stream_trailer_at(s, 0, &name, &value));
    CHECK_STR(name, "x-end");
    CHECK(!cease_http2_stream_trailer_at(s, 1, &name, &value));
    CHECK(cease_http2_stream_header_at(s, 0, &name, &value));
    CHECK_EQ(cease_http2_stream_code(s), 0);
    cease_http2_stream_close(s);
    CHECK_EQ(rig_logged(&r, 1).cause_code, CEASE_ERETURNED);
    end(&r, c);
}

static cease_error cancel_task(cease_ctx *ctx, void *arg)
{
    int one;
    void **both = arg;
    (void)ctx;
    CHECK_OK(cease_chan_recv(cease_background(), both[0], &one));
    cease_cancel(both[1]);
    return CEASE_OK;
}

TEST(ctx_ended_resetsTheStreamWithCancelAndNothingElse)
{
    struct rig r;
    cease_http2_client *c;
    cease_http_call call;
    cease_http_reply reply = {0};
    char url[100];
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_chan *begun = cease_chan_new(sizeof(int), 0);
    begin(&r, &c, begun);
    void *both[] = {begun, stop};
    CHECK_OK(cease_go(cease_background(), cancel_task, both));
    call_init(&call, &r, url, "/end");
    CHECK_ERR(cease_http2_do(ctx, c, &call, &reply), CEASE_ECANCELED);
    struct rig_log l = rig_logged(&r, 1);
    CHECK_EQ(l.cause_code, 8);
    CHECK_EQ(l.status, 499);
    CHECK_ERR(cease_http2_do(ctx, c, &call, &reply), CEASE_ECANCELED);
    call_init(&call, &r, url, "/echo");
    CHECK_OK(cease_http2_do(cease_background(), c, &call, &reply));
    cease_http_reply_deinit(&reply);
    cease_end(stop);
    end(&r, c);
    cease_chan_unref(begun);
}

TEST(deadline_travelsLessItsReserve_andEndsBothSides)
{
    struct rig r;
    cease_http2_client *c;
    cease_http_call call;
    cease_http_reply reply = {0};
    char url[100];
    cease_canceler *stop;
    begin(&r, &c, NULL);
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(50), &stop);
    call_init(&call, &r, url, "/end");
    call.reserve = cease_ms(20);
    cease_error e = cease_http2_do(ctx, c, &call, &reply);
    if (e == CEASE_OK) { /* the server was first: it has less time */
        CHECK_EQ(reply.status, 504);
        CHECK_STR(cease_http_reply_header(&reply, "X-Request-Deadline-Expired"), "1");
        cease_http_reply_deinit(&reply);
    } else {
        CHECK_ERR(e, CEASE_EDEADLINE);
    }
    if (e == CEASE_OK || rig_counts(&r).requests_total > 0) { /* else it was too slow to be sent */
        int code = rig_logged(&r, 1).cause_code;
        CHECK(code == CEASE_EDEADLINE || code == 8); /* the server's time, or the client's CANCEL */
    }
    cease_end(stop);
    end(&r, c);
}

static void check_carried(struct rig *r, cease_ctx *ctx, cease_http2_client *c, const char *want)
{
    static const cease_http_header stale[] = {
        {"Traceparent", "00-11111111111111111111111111111111-1111111111111111-00"},
        {"Tracestate", "old=1"},
        {"Baggage", "old=1"},
        {"X-Request-Timeout-Ms", "999999"},
        {NULL, NULL}};
    cease_http_call call;
    cease_http_reply reply = {0};
    char url[100];
    call_init(&call, r, url, "/carried");
    call.headers = stale;
    CHECK_OK(cease_http2_do(ctx, c, &call, &reply));
    CHECK_STR(reply.body, want);
    cease_http_reply_deinit(&reply);
}

TEST(context_withTraceBaggageAndDeadline_travelsInsteadOfTheCallersFields)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char stale[] =
        "00-11111111111111111111111111111111-1111111111111111-00 old=1 [old=1] late";
    static const cease_http2_opts none = {
        .size = sizeof none, .no_trace = true, .no_baggage = true};
    struct rig r;
    cease_http2_client *c;
    cease_http2_client *silent;
    cease_trace_context trace;
    cease_canceler *stop;
    cease_ctx *full;
    char address[64];
    begin(&r, &c, NULL);
    CHECK_OK(cease_trace_parse(parent, "k=v", &trace));
    cease_ctx *timed = cease_with_timeout(cease_background(), cease_sec(10), &stop);
    cease_ctx *traced = cease_with_trace(timed, &trace);
    CHECK_OK(cease_with_baggage_member(traced, "user", "7 %", &full));
    check_carried(
        &r, full, c,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 k=v [user=7%20%25] soon");
    check_carried(&r, cease_background(), c, stale);
    snprintf(address, sizeof address, "127.0.0.1:%d", r.port);
    CHECK_OK(cease_http2_dial(timed, address, &none, &silent));
    cease_ctx *timeless = cease_without_cancel(full);
    check_carried(&r, timeless, silent, stale);
    cease_http2_client_close(silent);
    cease_unref(timeless);
    cease_unref(full);
    cease_unref(traced);
    cease_end(stop);
    end(&r, c);
}

TEST(close_withOpenStreams_endsThemAndTheyMayBeGivenBackLater)
{
    struct rig r;
    cease_http2_client *c;
    cease_http2_stream *s;
    cease_http_call call;
    char url[100];
    int status;
    begin(&r, &c, NULL);
    call_init(&call, &r, url, "/end");
    CHECK_OK(cease_http2_stream_open(cease_background(), c, &call, true, &s));
    CHECK_EVENTUALLY(rig_counts(&r).requests == 1);
    cease_http2_client_close(c);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), s, &status), CEASE_EPIPE);
    CHECK_EQ(rig_logged(&r, 1).cause_code, CEASE_EPEERGONE);
    cease_http2_stream_close(s);
    rig_stop(&r);
}

TEST(server_thatStops_isNoLongerUsableAndFinishesWhatItHas)
{
    struct rig r;
    cease_http2_client *c;
    cease_http2_stream *s;
    cease_http_call call;
    char url[100];
    char buf[16];
    size_t n = 0;
    cease_ctx *ctx = cease_background();
    begin(&r, &c, NULL);
    call_init(&call, &r, url, "/echo");
    CHECK_OK(cease_http2_stream_open(ctx, c, &call, false, &s));
    CHECK_EVENTUALLY(rig_counts(&r).requests == 1);
    rig_cancel(&r);
    CHECK_EVENTUALLY(!cease_http2_client_usable(c));
    cease_http2_stream *other;
    CHECK_ERR(cease_http2_stream_open(ctx, c, &call, true, &other), CEASE_ECLOSED);
    CHECK_OK(cease_http2_stream_write(ctx, s, "late", 4));
    CHECK_OK(cease_http2_stream_end(ctx, s, NULL));
    CHECK_OK(cease_http2_stream_read(ctx, s, buf, sizeof buf, &n));
    CHECK_EQ(n, 4);
    CHECK_ERR(cease_http2_stream_read(ctx, s, buf, sizeof buf, &n), CEASE_EOF);
    cease_http2_stream_close(s);
    cease_http2_client_close(c);
    rig_join(&r);
}

/* ---- against a server that is frames by hand ---- */

struct hostile {
    struct peer p;
    cease_http2_client *c;
    cease_http2_stream *s;
};

/* A socket pair: one end is the client's, the other ours, on this thread. */
static void hostile_begin(struct hostile *h)
{
    static const cease_http_call call = {.size = sizeof call, .url = "http://a/"};
    int fds[2];
    cease_conn *conn;
    memset(h, 0, sizeof *h);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &conn));
    CHECK_EQ(nghttp2_hd_inflate_new(&h->p.inflater), 0);
    h->p.fd = fds[1];
    CHECK_OK(cease_http2_client_new(conn, NULL, &h->c));
    char preface[24];
    CHECK_EQ(recv(fds[1], preface, sizeof preface, MSG_WAITALL), 24);
    wire_frame(&h->p.out, WIRE_SETTINGS, 0, 0, NULL, 0);
    peer_flush(&h->p);
    CHECK_OK(cease_http2_stream_open(cease_background(), h->c, &call, false, &h->s));
    peer_wait(&h->p, WIRE_HEADERS, 1);
    CHECK_HAS(h->p.head, ":method: POST\n");
}

static void hostile_end(struct hostile *h)
{
    cease_http2_stream_close(h->s);
    cease_http2_client_close(h->c);
    peer_close(&h->p);
}

static void send_head(struct hostile *h, const char *status, int flags)
{
    struct wire head = {0};
    wire_field(&head, ":status", status);
    wire_frame(&h->p.out, WIRE_HEADERS, (uint8_t)(WIRE_END_HEADERS | flags), 1, head.data,
               head.size);
    wire_free(&head);
    peer_flush(&h->p);
}

static void check_reset_as(uint32_t code, cease_error wanted)
{
    struct hostile h;
    int status;
    hostile_begin(&h);
    wire_u32(&h.p.out, WIRE_RST_STREAM, 1, code);
    peer_flush(&h.p);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), h.s, &status), wanted);
    CHECK_EQ(cease_http2_stream_code(h.s), code);
    CHECK_ERR(cease_http2_stream_write(cease_background(), h.s, "a", 1), wanted);
    CHECK(cease_http2_client_usable(h.c));
    hostile_end(&h);
}

TEST(reset_byTheServer_saysWhetherItMayBeTriedAgain)
{
    check_reset_as(NGHTTP2_REFUSED_STREAM, CEASE_EAGAIN);
    check_reset_as(NGHTTP2_INTERNAL_ERROR, CEASE_ECONNRESET);
    check_reset_as(NGHTTP2_CANCEL, CEASE_ECONNRESET);
}

TEST(reset_withCancelAfterTheDeadline_isTheDeadline)
{
    struct hostile h;
    int status;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(10), &stop);
    hostile_begin(&h);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    wire_u32(&h.p.out, WIRE_RST_STREAM, 1, NGHTTP2_CANCEL);
    peer_flush(&h.p);
    CHECK_EVENTUALLY(cease_http2_stream_code(h.s) == NGHTTP2_CANCEL);
    CHECK_ERR(cease_http2_stream_wait(ctx, h.s, &status), CEASE_EDEADLINE);
    CHECK_ERR(cease_http2_stream_write(ctx, h.s, "a", 1), CEASE_EDEADLINE);
    cease_end(stop);
    hostile_end(&h);
}

TEST(goaway_leavesOutWhatItHasNotTaken)
{
    struct hostile h;
    int status;
    hostile_begin(&h);
    wire_frame(&h.p.out, WIRE_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    peer_flush(&h.p);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), h.s, &status), CEASE_EAGAIN);
    CHECK(!cease_http2_client_usable(h.c));
    hostile_end(&h);
}

TEST(connection_lost_isToldToTheStream)
{
    struct hostile h;
    int status;
    hostile_begin(&h);
    shutdown(h.p.fd, SHUT_RDWR);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), h.s, &status), CEASE_EPIPE);
    CHECK(!cease_http2_client_usable(h.c));
    hostile_end(&h);
}

TEST(connection_withNonsense_isEnded)
{
    struct hostile h;
    int status;
    hostile_begin(&h);
    wire_bytes(&h.p.out, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    peer_flush(&h.p);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), h.s, &status), CEASE_EPIPE);
    hostile_end(&h);
}

TEST(body_cutOff_isNoEnd)
{
    struct hostile h;
    int status = 0;
    char buf[16];
    size_t n = 0;
    hostile_begin(&h);
    send_head(&h, "103", 0);
    send_head(&h, "200", 0);
    wire_frame(&h.p.out, WIRE_DATA, 0, 1, "ab", 2);
    wire_u32(&h.p.out, WIRE_RST_STREAM, 1, NGHTTP2_INTERNAL_ERROR);
    peer_flush(&h.p);
    CHECK_OK(cease_http2_stream_wait(cease_background(), h.s, &status));
    CHECK_EQ(status, 200);
    CHECK_OK(cease_http2_stream_read(cease_background(), h.s, buf, sizeof buf, &n));
    CHECK_EQ(n, 2);
    CHECK_ERR(cease_http2_stream_read(cease_background(), h.s, buf, sizeof buf, &n),
              CEASE_ECONNRESET);
    hostile_end(&h);
}

static cease_error write_task(cease_ctx *ctx, void *arg)
{
    struct hostile *h = arg;
    static const char text[100000];
    return cease_http2_stream_write(ctx, h->s, text, sizeof text);
}

TEST(write_windowClosed_parksUntilItOpensOrTheContextEnds)
{
    struct hostile h;
    struct wire_frame f;
    size_t got = 0;
    hostile_begin(&h);
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, write_task, &h));
    while (got < 65535) {
        f = peer_wait(&h.p, WIRE_DATA, 1);
        got += f.size;
    }
    wire_u32(&h.p.out, WIRE_WINDOW_UPDATE, 0, 100000);
    wire_u32(&h.p.out, WIRE_WINDOW_UPDATE, 1, 34465);
    peer_flush(&h.p);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    while (got < 100000) {
        f = peer_wait(&h.p, WIRE_DATA, 1);
        got += f.size;
    }
    g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, write_task, &h));
    CHECK_ERR(cease_group_stop(g), CEASE_OK);
    cease_group_free(g);
    cease_http2_stream_close(h.s);
    h.s = NULL;
    f = peer_wait(&h.p, WIRE_RST_STREAM, 1);
    CHECK_EQ(peer_u32(f.payload), NGHTTP2_CANCEL);
    hostile_end(&h);
}

TEST(flood_fromAServer_endsTheConnection)
{
    struct hostile h;
    int status;
    hostile_begin(&h);
    for (int i = 0; i < 3000; i++) {
        wire_frame(&h.p.out, WIRE_SETTINGS, 0, 0, NULL, 0);
    }
    peer_flush(&h.p);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), h.s, &status), CEASE_EPIPE);
    hostile_end(&h);
}

TEST(head_thatIsTooLarge_isSaidSo)
{
    struct hostile h;
    struct wire head = {0};
    int status = 0;
    static char value[16001];
    hostile_begin(&h);
    memset(value, 'v', sizeof value - 1);
    wire_field(&head, ":status", "200");
    wire_frame(&h.p.out, WIRE_HEADERS, 0, 1, head.data, head.size);
    wire_clear(&head);
    wire_field(&head, "a", value);
    for (int i = 0; i < 5; i++) {
        wire_frame(&h.p.out, WIRE_CONTINUATION, i == 4 ? WIRE_END_HEADERS : 0, 1, head.data,
                   head.size);
    }
    wire_free(&head);
    peer_flush(&h.p);
    CHECK_ERR(cease_http2_stream_wait(cease_background(), h.s, &status), CEASE_EMSGSIZE);
    hostile_end(&h);
}

/* A server and a client in this process, one request with a body, while one allocation fails. */
static cease_error serve_task(cease_ctx *ctx, void *arg)
{
    void **both = arg;
    return cease_http_server_serve(ctx, both[0], both[1]);
}

static cease_error ask_once(cease_ctx *ctx, const char *address)
{
    char url[100];
    cease_http2_client *c;
    cease_http_reply reply = {0};
    cease_http_call call = {.size = sizeof call, .url = url, .body = "ping", .body_size = 4};
    snprintf(url, sizeof url, "http://%s/echo", address);
    cease_error e = cease_http2_dial(ctx, address, NULL, &c);
    if (e == CEASE_OK) {
        e = cease_http2_do(ctx, c, &call, &reply);
        CHECK(e != CEASE_OK || reply.status != 200 || strcmp(reply.body, "ping") == 0);
        cease_http_reply_deinit(&reply);
        cease_http2_client_close(c);
    }
    return e;
}

TEST(allocations_eachFailing_giveAnErrorOrTheResponseAndLeaveNothing)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        char address[CEASE_ADDRESS_SIZE] = "";
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(100), &stop);
        cease_http_server *s = cease_http_server_new(NULL);
        cease_listener *l = NULL;
        cease_group *g = cease_group_new(ctx, NULL);
        void *both[] = {s, NULL};
        cease_error e = cease_http2_enable(s, NULL);
        if (e == CEASE_OK) {
            e = cease_http_server_route(s, NULL, "/echo", echo, NULL);
        }
        if (e == CEASE_OK) {
            e = cease_listen(ctx, "127.0.0.1:0", NULL, &l);
        }
        if (e == CEASE_OK) {
            both[1] = l;
            CHECK_OK(cease_listener_address(l, address, sizeof address));
            e = cease_group_go(g, serve_task, both);
            if (e != CEASE_OK) {
                cease_listener_close(l);
            }
        }
        if (e == CEASE_OK) {
            e = ask_once(ctx, address);
        }
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN || e == CEASE_ECANCELED ||
              e == CEASE_EDEADLINE || e == CEASE_EPIPE || e == CEASE_ECONNRESET ||
              e == CEASE_ECLOSED || e == CEASE_ECONNREFUSED);
        cease_cancel(stop);
        cease_group_free(g);
        cease_end(stop);
        cease_http_server_free(s);
    }
}
