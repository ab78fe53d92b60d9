/* exchange_test.c: out to break what surrounds a handler: each reason for which its context ends, at each
 * point at which it can come (in the queue, with an unread body, while the response is being written), the
 * queue itself, middleware, trailers, server-sent events. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST    "Host: a\r\n"
#define GET(at) "GET " at " HTTP/1.1\r\n" HOST "\r\n"

static struct rig rig;
static int waiting;

static int load(const int *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "hello\n", 6);
}

/* Waits for the end of its context, after saying so. */
static cease_error wait_for_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    (void)req;
    (void)res;
    (void)arg;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    return cease_wait(ctx);
}

/* Reads a body that never ends, after saying so. */
static cease_error read_on(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    char byte;
    size_t n = 0;
    cease_error e = CEASE_OK;
    (void)res;
    (void)arg;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    while (e == CEASE_OK) {
        e = cease_http_request_read(ctx, req, &byte, 1, &n);
    }
    return e;
}

/* Writes until it cannot. */
static cease_error write_on(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                            void *arg)
{
    static const char block[64 * 1024];
    cease_error e = CEASE_OK;
    (void)req;
    (void)arg;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    while (e == CEASE_OK) {
        e = cease_http_response_write(ctx, res, block, sizeof block);
    }
    return e;
}

static void start(const cease_http_server_opts *opts)
{
    cease_http_server_opts o = {.size = sizeof o, .grace = cease_ns(-1)};
    if (opts) {
        o = *opts;
    }
    waiting = 0;
    rig_init(&rig, &o);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/hello", hello, NULL));
    CHECK_OK(cease_http_server_route(rig.server, NULL, "/wait", wait_for_end, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/read", read_on, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/write", write_on, NULL));
    rig_start(&rig);
}

static int ask(const char *request)
{
    int fd = rig_connect(&rig);
    rig_send(fd, request);
    return fd;
}

static void check_logged(int count, int status, int code)
{
    struct rig_log l = rig_logged(&rig, count);
    CHECK_EQ(l.status, status);
    CHECK_EQ(l.cause_code, code);
}

/* ---- each reason, at each point ---- */

static const struct point {
    const char *request; /* the deadline is 60 ms where the row says so */
    bool response_begun;
} points[] = {
    {"GET /wait HTTP/1.1\r\n" HOST "%s\r\n", false},
    {"POST /wait HTTP/1.1\r\n" HOST "%sContent-Length: 10\r\n\r\nabc", false}, /* body unread */
    {"POST /wait HTTP/1.1\r\n" HOST "%sTransfer-Encoding: chunked\r\n\r\n5\r\nab", false},
    {"POST /read HTTP/1.1\r\n" HOST "%sContent-Length: 10\r\n\r\nabc", false}, /* being read */
    {"POST /read HTTP/1.1\r\n" HOST "%sTransfer-Encoding: chunked\r\n\r\n5\r\nab", false},
    {"GET /write HTTP/1.1\r\n" HOST "%s\r\n", true}, /* the response is being written */
};
enum { POINTS = sizeof points / sizeof *points };

static int ask_at(size_t i, const char *fields)
{
    char request[200];
    snprintf(request, sizeof request, points[i].request, fields);
    int before = load(&waiting);
    int fd = ask(request);
    CHECK_EVENTUALLY(load(&waiting) == before + 1);
    return fd;
}

TEST(cause_clientGoes_isThatAtEveryPoint)
{
    start(NULL);
    for (size_t i = 0; i < POINTS; i++) {
        close(ask_at(i, ""));
        struct rig_log l = rig_logged(&rig, (int)i + 1);
        CHECK_EQ(l.status, 499);
        /* a write may learn of it before the poller does */
        CHECK(l.cause_code == CEASE_EPEERGONE ||
              (points[i].response_begun && l.cause_code == CEASE_EPIPE));
    }
    rig_stop(&rig);
}

TEST(cause_clientResets_isThatAtEveryPoint)
{
    start(NULL);
    for (size_t i = 0; i < POINTS; i++) {
        int fd = ask_at(i, "");
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        close(fd);
        struct rig_log l = rig_logged(&rig, (int)i + 1);
        CHECK_EQ(l.status, 499);
        CHECK(l.cause_code == CEASE_EPEERGONE ||
              (points[i].response_begun && l.cause_code == CEASE_EPIPE));
    }
    rig_stop(&rig);
}

TEST(cause_deadlineComes_isThatAtEveryPoint)
{
    start(NULL);
    for (size_t i = 0; i < POINTS; i++) {
        int fd = ask_at(i, "X-Request-Timeout-Ms: 60\r\n");
        check_logged((int)i + 1, points[i].response_begun ? 200 : 504, CEASE_EDEADLINE);
        if (!points[i].response_begun) {
            char *text = rig_response(fd, false);
            CHECK_HAS(text, "HTTP/1.1 504 ");
            CHECK_HAS(text, "X-Request-Deadline-Expired: 1\r\n");
            free(text);
        }
        close(fd);
    }
    rig_stop(&rig);
}

TEST(cause_serverStops_isThatAtEveryPoint)
{
    for (size_t i = 0; i < POINTS; i++) {
        start(NULL);
        int fd = ask_at(i, "");
        rig_cancel(&rig);
        check_logged(1, points[i].response_begun ? 200 : 503, CEASE_ESTOPPING);
        close(fd);
        rig_join(&rig);
    }
}

/* ---- the queue ---- */

static const cease_http_server_opts one_at_a_time = {
    .size = sizeof one_at_a_time, .grace = {-1}, .request_max = 1, .queue_max = 2};

/* One request that runs, and `count` that wait behind it, with `fields` of their own. */
static int fill_queue(int fds[2], uint32_t count, const char *fields)
{
    char request[200];
    snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\n" HOST "%s\r\n", fields);
    int running = ask(GET("/wait"));
    CHECK_EVENTUALLY(load(&waiting) == 1);
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = ask(request);
        CHECK_EVENTUALLY(rig_counts(&rig).queued == i + 1);
    }
    CHECK_EQ(rig_counts(&rig).requests, 1);
    return running;
}

TEST(queue_placeIsFree_servesInOrderOfArrival)
{
    int fds[2];
    start(&one_at_a_time);
    close(fill_queue(fds, 2, "")); /* the one that runs goes */
    for (int i = 0; i < 2; i++) {
        char *text = rig_response(fds[i], false);
        CHECK_HAS(text, "hello");
        free(text);
        close(fds[i]);
    }
    rig_logged(&rig, 3);
    int gone = 0;
    for (int i = 1; i <= 3; i++) { /* the log's order is not the queue's: they run elsewhere */
        struct rig_log l = rig_logged(&rig, i);
        CHECK_EQ(l.status, l.cause_code == CEASE_EPEERGONE ? 499 : 200);
        gone += l.status == 499;
    }
    CHECK_EQ(gone, 1);
    rig_stop(&rig);
}

TEST(queue_full_answers503WithRetryAfter)
{
    int fds[2];
    start(&one_at_a_time);
    int running = fill_queue(fds, 2, "");
    char *text = rig_ask(&rig, GET("/hello"));
    CHECK_HAS(text, "HTTP/1.1 503 ");
    CHECK_HAS(text, "Retry-After: 1\r\n");
    CHECK_HAS_NOT(text, "Connection: close"); /* the next request may be luckier */
    free(text);
    check_logged(1, 503, CEASE_EAGAIN);
    CHECK_EQ(rig_counts(&rig).busy_total, 1);
    rig_stop(&rig);
    close(running);
    close(fds[0]);
    close(fds[1]);
}

TEST(queue_clientGoes_leavesItWithThatCause)
{
    int fds[2];
    start(&one_at_a_time);
    int running = fill_queue(fds, 2, "");
    close(fds[0]);
    check_logged(1, 499, CEASE_EPEERGONE);
    CHECK_EQ(rig_counts(&rig).queued, 1);
    close(running);
    char *text = rig_response(fds[1], false); /* nobody's place was lost */
    CHECK_HAS(text, "hello");
    free(text);
    close(fds[1]);
    rig_stop(&rig);
}

TEST(queue_deadlineComes_is504WithoutTheHandler)
{
    int fds[2];
    start(&one_at_a_time);
    int running = fill_queue(fds, 1, "X-Request-Timeout-Ms: 50\r\n");
    char *text = rig_response(fds[0], false);
    CHECK_HAS(text, "HTTP/1.1 504 ");
    CHECK_HAS(text, "X-Request-Deadline-Expired: 1\r\n");
    free(text);
    check_logged(1, 504, CEASE_EDEADLINE);
    CHECK_EQ(rig_counts(&rig).queued, 0);
    CHECK_EQ(load(&waiting), 1);
    close(fds[0]);
    close(running);
    rig_stop(&rig);
}

TEST(queue_serverStops_is503)
{
    int fds[2];
    start(&one_at_a_time);
    int running = fill_queue(fds, 2, "");
    rig_cancel(&rig);
    for (int i = 0; i < 2; i++) {
        char *text = rig_rest(fds[i]);
        CHECK_HAS(text, "HTTP/1.1 503 ");
        CHECK_HAS(text, "Retry-After: 1\r\n");
        free(text);
        close(fds[i]);
    }
    close(running);
    for (int i = 1; i <= 3; i++) {
        check_logged(i, 503, CEASE_ESTOPPING);
    }
    rig_join(&rig);
}

TEST(queue_ofNone_answersAtOnce)
{
    static const cease_http_server_opts opts = {
        .size = sizeof opts, .grace = {-1}, .request_max = 1, .queue_max = -1};
    int none[2];
    start(&opts);
    int running = fill_queue(none, 0, "");
    char *text = rig_ask(&rig, GET("/hello"));
    CHECK_HAS(text, "HTTP/1.1 503 ");
    free(text);
    close(running);
    rig_stop(&rig);
}

/* Clients that come and go while places are given away: none may be lost. */
TEST(queue_clientsThatLeaveAtAnyMoment_loseNoPlace)
{
    static const cease_http_server_opts opts = {
        .size = sizeof opts, .grace = {-1}, .request_max = 2, .queue_max = 1000};
    enum { CLIENTS = 40 };
    int rounds = harness_is_slow() ? 5 : 25;
    start(&opts);
    for (int round = 0; round < rounds; round++) {
        int fds[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = ask(i % 4 == 0 ? GET("/wait") : GET("/hello"));
        }
        for (int i = 0; i < CLIENTS; i++) {
            close(fds[(i * 7 + round) % CLIENTS]);
        }
    }
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    CHECK_EQ(rig_counts(&rig).requests, 0);
    CHECK_EQ(rig_counts(&rig).queued, 0);
    char *text = rig_ask(&rig, GET("/hello"));
    CHECK_HAS(text, "hello");
    free(text);
    rig_stop(&rig);
}

/* ---- middleware ---- */

static cease_key who = CEASE_KEY("who");

static cease_error outer(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         const cease_http_next *next, void *arg)
{
    CHECK_STR(arg, "outer");
    cease_error e = cease_http_response_header(res, "X-Order", "outer");
    CEASE_AUTO_UNREF cease_ctx *with =
        cease_with_value(ctx, &who, (void *)(uintptr_t)cease_http_request_header(req, "X-Who"));
    return e == CEASE_OK ? cease_http_next_call(with, next, req, res) : e;
}

static cease_error inner(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         const cease_http_next *next, void *arg)
{
    CHECK(arg == NULL);
    CHECK_OK(cease_http_response_header(res, "X-Order", "inner"));
    if (!cease_value(ctx, &who)) {
        return cease_http_response_status(res, 401);
    }
    cease_error e = cease_http_next_call(ctx, next, req, res);
    return e == CEASE_OK ? cease_http_response_print(ctx, res, "after\n") : e;
}

static cease_error greet(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    return cease_http_response_print(ctx, res, "%s %s\n", (const char *)arg,
                                     (const char *)cease_value(ctx, &who));
}

TEST(use_twoLayers_wrapTheHandlerFirstOutermost)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_use(rig.server, outer, (void *)(uintptr_t) "outer"));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/", greet, (void *)(uintptr_t) "hi"));
    CHECK_OK(cease_http_server_use(rig.server, inner, NULL));
    CHECK_ERR(cease_http_server_use(rig.server, NULL, NULL), CEASE_EINVAL);
    CHECK_ERR(cease_http_server_use(NULL, inner, NULL), CEASE_ENOMEM);
    rig_start(&rig);
    char *text = rig_ask(&rig, "GET / HTTP/1.1\r\n" HOST "X-Who: me\r\n\r\n");
    CHECK_HAS(text, "X-Order: outer\r\nX-Order: inner\r\n");
    CHECK_HAS(text, "\r\n\r\nhi me\nafter\n");
    free(text);
    CHECK_ERR(cease_http_server_use(rig.server, inner, NULL), CEASE_EBUSY);
    text = rig_ask(&rig, GET("/"));
    CHECK_HAS(text, "HTTP/1.1 401 ");
    free(text);
    text = rig_ask(&rig, GET("/none"));
    CHECK_HAS(text, "HTTP/1.1 404 ");
    CHECK_HAS_NOT(text, "X-Order");
    free(text);
    rig_stop(&rig);
}

/* ---- trailers of a request ---- */

static cease_error show_trailers(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                 void *arg)
{
    char buf[16];
    size_t n = 0;
    cease_error e;
    (void)arg;
    CHECK(cease_http_request_trailer(req, "X-Sum") == NULL);
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &n)) == CEASE_OK) {
        continue;
    }
    if (e != CEASE_EOF) {
        return e;
    }
    for (int twice = 0; twice < 2; twice++) {
        const char *sum = cease_http_request_trailer(req, "x-sum");
        const char *empty = cease_http_request_trailer(req, "X-Empty");
        e = cease_http_response_print(ctx, res, "<%s><%s>", sum ? sum : "none",
                                      empty ? empty : "none");
    }
    return e;
}

static void check_trailers(const char *body, bool in_pieces, const char *part)
{
    int fd = ask("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (const char *p = body; in_pieces && *p; p++) {
        char byte[2] = {*p, '\0'};
        rig_send(fd, byte);
    }
    if (!in_pieces) {
        rig_send(fd, body);
    }
    char *text = rig_response(fd, false);
    CHECK_HAS(text, part);
    free(text);
    close(fd);
}

TEST(trailers_ofARequest_areThereOnceTheBodyHasEnded)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/", show_trailers, NULL));
    rig_start(&rig);
    for (int pieces = 0; pieces < 2; pieces++) {
        check_trailers("3\r\nabc\r\n0\r\nX-Sum:  12 3 \t\r\nX-Empty:\r\n\r\n", pieces,
                       "\r\n\r\n<12 3><><12 3><>");
        check_trailers("0\r\n\r\n", pieces, "\r\n\r\n<none><none><none><none>");
        check_trailers("0\r\nX-Sum : 1\r\n\r\n", pieces, "HTTP/1.1 400 ");
    }
    /* what follows is the next request, not a trailer */
    int fd = ask("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                 "0\r\nX-Sum: 1\r\n\r\nPOST / HTTP/1.1\r\n" HOST "X-Sum: 2\r\n\r\n");
    char *text = rig_response(fd, false);
    CHECK_HAS(text, "<1><none>");
    free(text);
    text = rig_response(fd, false);
    CHECK_HAS(text, "<none><none>");
    free(text);
    close(fd);
    rig_stop(&rig);
}

TEST(trailers_withoutEnd_are400)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/", show_trailers, NULL));
    rig_start(&rig);
    char *body = malloc(64 * 1024);
    CHECK(body != NULL);
    strcpy(body, "0\r\nX: ");
    memset(body + 6, 'y', 60000);
    body[60006] = '\0';
    check_trailers(body, false, "HTTP/1.1 400 ");
    free(body);
    rig_stop(&rig);
}

/* ---- 100 Continue ---- */

static cease_error answer_then_read(cease_ctx *ctx, cease_http_request *req,
                                    cease_http_response *res, void *arg)
{
    char buf[8];
    size_t n = 0;
    (void)arg;
    CHECK_OK(cease_http_response_write(ctx, res, "begun ", 6));
    CHECK_OK(cease_http_response_flush(ctx, res));
    cease_error e = cease_http_request_read(ctx, req, buf, sizeof buf, &n);
    return e == CEASE_OK ? cease_http_response_write(ctx, res, buf, n) : e;
}

/* An interim response after the final one's head would be taken for its body. */
static void in_its_own_words(cease_http_response *res, int status, void *arg)
{
    CHECK_OK(cease_http_response_status(res, 200));
    CHECK_OK(cease_http_response_header(res, "X-Status", status == 504 ? arg : "another"));
}

TEST(page_ofARoute_standsForTheServersOwn)
{
    rig_init(&rig, NULL);
    const cease_http_route route = {.size = sizeof route,
                                    .method = "POST",
                                    .pattern = "/",
                                    .fn = read_on,
                                    .body_max = 5,
                                    .page = in_its_own_words,
                                    .arg = "late"};
    CHECK_OK(cease_http_server_add(rig.server, &route));
    rig_start(&rig);
    int fd = rig_connect(&rig);
    rig_send(fd, "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Timeout-Ms: 0\r\n\r\n");
    char *text = rig_response(fd, false);
    CHECK_HAS(text, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(text, "X-Status: late\r\n");
    CHECK_HAS(text, "X-Request-Deadline-Expired: 1\r\n");
    CHECK_HAS(text, "Content-Length: 0\r\n");
    free(text);
    rig_send(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef");
    text = rig_response(fd, false);
    CHECK_HAS(text, "X-Status: another\r\n");
    free(text);
    close(fd);
    fd = rig_connect(&rig);
    rig_send(fd, "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Timeout-Ms: 0\r\n\r\n");
    free(rig_response(fd, false));
    rig_send(fd, "what is this\r\n\r\n"); /* of no route: not in the former one's words */
    text = rig_rest(fd);
    CHECK_HAS(text, "HTTP/1.1 400 ");
    free(text);
    close(fd);
    rig_stop(&rig);
}

TEST(expect_answeredBeforeTheBodyIsRead_getsNoInterimResponse)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/", answer_then_read, NULL));
    rig_start(&rig);
    int fd = ask("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    CHECK_EVENTUALLY(rig_counts(&rig).requests == 1);
    rig_send(fd, "abc");
    char *text = rig_rest(fd);
    CHECK_HAS_NOT(text, "100 Continue");
    CHECK_HAS(text, "Connection: close\r\n");
    CHECK_HAS(text, "6\r\nbegun \r\n3\r\nabc\r\n0\r\n\r\n");
    free(text);
    close(fd);
    rig_stop(&rig);
}

/* ---- server-sent events ---- */

static cease_error events(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                          void *arg)
{
    (void)req;
    (void)arg;
    CHECK_ERR(cease_http_response_event(ctx, res, "a\nb", NULL, ""), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_event(ctx, res, NULL, "1\r", ""), CEASE_EINVAL);
    CHECK_OK(cease_http_response_event(ctx, res, "greeting", "1", "two\r\nlines\n"));
    CHECK_OK(cease_http_response_event(ctx, res, NULL, NULL, ""));
    CHECK_OK(cease_http_response_event(ctx, res, NULL, NULL, NULL));
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    cease_wait(ctx);
    return cease_http_response_event(ctx, res, "bye", NULL, "x");
}

TEST(event_written_isSentAtOnceInTheStandardsForm)
{
    rig_init(&rig, NULL);
    cease_http_route route = {.size = sizeof route, .method = "GET", .pattern = "/", .fn = events};
    route.request_timeout = CEASE_FOREVER;
    CHECK_OK(cease_http_server_add(rig.server, &route));
    rig_start(&rig);
    waiting = 0;
    int fd = ask("GET / HTTP/1.0\r\n\r\n"); /* no chunks to look through */
    char text[1024] = "";
    size_t size = 0;
    while (!strstr(text, ":\n\n")) {
        ssize_t n = recv(fd, text + size, sizeof text - 1 - size, 0);
        CHECK(n > 0);
        size += (size_t)n;
        text[size] = '\0';
    }
    CHECK_HAS(text, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n");
    CHECK_HAS(text, "\r\n\r\nevent: greeting\nid: 1\ndata: two\ndata: lines\ndata: \n\n"
                    "data: \n\n:\n\n");
    close(fd);
    check_logged(1, 499, CEASE_EPEERGONE);
    rig_stop(&rig);
}
