/* server_test.c: out to break the HTTP server from the client's side: order, pieces, limits, bodies,
 * what is refused, clients that go away, deadlines, slow readers, and stopping. Clients are raw sockets
 * on the test's own thread; what the server thought is read from its access log. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: a\r\n"

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    CHECK_OK(cease_http_response_header(res, "Content-Type", "text/plain"));
    return cease_http_response_write(ctx, res, "Hello, world\n", 13);
}

/* Says back what the request was. */
static cease_error show(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char value[16];
    cease_error e = cease_http_request_query_value(req, "q", value, sizeof value, NULL);
    const char *x = cease_http_request_header(req, "x-one");
    const char *a = cease_http_request_param(req, "a");
    const char *b = cease_http_request_param(req, "b");
    (void)arg;
    return cease_http_response_print(
        ctx, res, "%s|%s|%s|%s|%s|%s|%s|%s\n", cease_http_request_method(req),
        cease_http_request_path(req), cease_http_request_query(req), e == CEASE_OK ? value : "-",
        x ? x : "-", a ? a : "-", b ? b : "-", cease_http_request_header(req, "none") ? "?" : "-");
}

/* Copies the body; the read's error is the handler's. */
static cease_error echo(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char buf[700];
    size_t n = 0;
    cease_error e;
    (void)arg;
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_http_response_write(ctx, res, buf, n);
        if (e != CEASE_OK) {
            return e;
        }
    }
    CHECK_ERR(cease_http_request_read(ctx, req, buf, sizeof buf, &n), e);
    return e == CEASE_EOF ? CEASE_OK : e;
}

/* Waits for the end of its context, after saying so. */
static cease_error wait_for_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    (void)req;
    (void)res;
    if (arg) {
        __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
    }
    return cease_wait(ctx);
}

static void routes(struct rig *r, int *waiting)
{
    CHECK_OK(cease_http_server_route(r->server, "GET", "/hello", hello, NULL));
    CHECK_OK(cease_http_server_route(r->server, "GET", "/show/{a}/x/{b...}", show, NULL));
    CHECK_OK(cease_http_server_route(r->server, "GET", "/show", show, NULL));
    CHECK_OK(cease_http_server_route(r->server, "POST", "/echo", echo, NULL));
    CHECK_OK(cease_http_server_route(r->server, NULL, "/wait", wait_for_end, waiting));
}

static struct rig rig;

static void start(const cease_http_server_opts *opts, int *waiting)
{
    rig_init(&rig, opts);
    routes(&rig, waiting);
    rig_start(&rig);
}

static void check_ask(const char *request, const char *status_line, const char *part)
{
    char *text = rig_ask(&rig, request);
    if (strncmp(text, status_line, strlen(status_line)) != 0) {
        harness_fail(__FILE__, __LINE__, "%.60s: not %s but %s", request, status_line, text);
    }
    CHECK_HAS(text, part);
    free(text);
}

TEST(server_keepalive_serves_on_one_connection)
{
    start(NULL, NULL);
    int fd = rig_connect(&rig);
    for (int i = 0; i < 10; i++) {
        rig_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        char *text = rig_response(fd, false);
        CHECK_HAS(text, "HTTP/1.1 200 OK\r\nDate: ");
        CHECK_HAS(text, " GMT\r\n");
        CHECK_HAS(text, "\r\nContent-Length: 13\r\nContent-Type: text/plain\r\n\r\nHello, world\n");
        CHECK_HAS_NOT(text, "Connection");
        free(text);
    }
    CHECK_EQ(rig_counts(&rig).connections_total, 1);
    CHECK_EQ(rig_counts(&rig).requests_total, 10);
    struct rig_log l = rig_logged(&rig, 10);
    CHECK_EQ(l.status, 200);
    CHECK_EQ(l.bytes, 13);
    CHECK_EQ(l.cause_code, CEASE_ERETURNED);
    close(fd);
    rig_stop(&rig);
}

TEST(server_pipelined_requests_are_answered_in_order)
{
    start(NULL, NULL);
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /show?q=1 HTTP/1.1\r\n" HOST "\r\n"
                 "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                 "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                 "3\r\ndef\r\n0\r\n\r\n"
                 "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nxxxxx"
                 "GET /show?q=2 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
                 "GET /show?q=never HTTP/1.1\r\n" HOST "\r\n");
    static const char *const parts[] = {"GET|/show|q=1|1|", "\r\n\r\nabc", "\r\n\r\ndef", " 405 ",
                                        "GET|/show|q=2|2|"};
    for (size_t i = 0; i < 5; i++) {
        char *text = rig_response(fd, false);
        CHECK_HAS(text, parts[i]);
        CHECK_EQ(strstr(text, "Connection: close") != NULL, i == 4);
        free(text);
    }
    rig_check_end(fd);
    close(fd);
    rig_stop(&rig);
}

TEST(server_requests_in_single_bytes_are_served)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "a\r\n0123456789\r\n2;x=y\r\nab\r\n0\r\nT: u\r\n\r\n";
    start(NULL, NULL);
    int fd = rig_connect(&rig);
    int on = 1;
    CHECK_EQ(setsockopt(fd, 6 /* TCP */, 1 /* NODELAY */, &on, sizeof on), 0);
    for (const char *p = request; *p; p++) {
        char byte[2] = {*p, '\0'};
        rig_send(fd, byte);
    }
    char *text = rig_response(fd, false);
    CHECK_HAS(text, "\r\n\r\n0123456789ab");
    free(text);
    close(fd);
    rig_stop(&rig);
}

TEST(server_old_clients_and_head_get_what_they_can_read)
{
    start(NULL, NULL);
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    char *text = rig_response(fd, false);
    CHECK_HAS(text, "Connection: keep-alive\r\n");
    free(text);
    rig_send(fd, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n");
    text = rig_response(fd, true);
    CHECK_HAS(text, "Content-Length: 13\r\n");
    CHECK_HAS_NOT(text, "Hello");
    free(text);
    rig_send(fd, "GET /hello HTTP/1.0\r\n\r\n");
    text = rig_rest(fd);
    CHECK_HAS(text, "Connection: close\r\n");
    CHECK_HAS(text, "Hello, world\n");
    free(text);
    close(fd);
    rig_stop(&rig);
}

TEST(server_refuses_what_cannot_be_read_in_one_way)
{
    static const cease_http_server_opts opts = {
        .size = sizeof opts, .head_max = 1024, .header_count_max = 4};
    static const struct {
        const char *request;
        const char *status;
    } rows[] = {
        {"GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /hello HTTP/1.1\n", "HTTP/1.1 400 "},
        {"GET /hello HTTP/3.0\r\n" HOST "\r\n", "HTTP/1.1 505 "},
        {"GET /%00 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 "},
        {"GET /a/../hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 "},
        {"GET /none HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404 "},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404 "},
        {"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 501 "},
        {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 "},
        {"GET /hello HTTP/1.1\r\n" HOST "A: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", "HTTP/1.1 431 "},
        {"GET /hello HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", "HTTP/1.1 417 "},
    };
    start(&opts, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_ask(rows[i].request, rows[i].status, "Content-Type: text/plain\r\n");
    }
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    memcpy(big, "GET /", 5);
    check_ask(big, "HTTP/1.1 414 ", "Connection: close\r\n");
    memcpy(big, "GET / HTTP/1.1\r\nX: ", 19);
    check_ask(big, "HTTP/1.1 431 ", "Connection: close\r\n");
    struct rig_log l = rig_logged(&rig, 1);
    CHECK_STR(l.method, "-");
    CHECK_EQ(l.cause_code, CEASE_EPROTO);
    rig_stop(&rig);
}

TEST(server_heads_larger_than_the_stack_room_are_served)
{
    enum { SIZE = 100 * 1024 };
    static const cease_http_server_opts opts = {.size = sizeof opts, .head_max = SIZE + 1024};
    start(&opts, NULL);
    char *request = malloc(SIZE + 512);
    CHECK(request != NULL);
    int n = sprintf(request, "GET /show HTTP/1.1\r\n" HOST "X-Long: ");
    memset(request + n, 'y', SIZE);
    strcpy(request + n + SIZE, "\r\nX-One: 1\r\n\r\n");
    check_ask(request, "HTTP/1.1 200 ", "GET|/show||-|1|");
    free(request);
    rig_stop(&rig);
}

TEST(server_routes_by_segment_and_literals_win)
{
    rig_init(&rig, NULL);
    routes(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/{a}", show, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/", show, NULL));
    CHECK_ERR(cease_http_server_route(rig.server, "GET", "/{c}", show, NULL), CEASE_EEXIST);
    CHECK_OK(cease_http_server_route(rig.server, "PUT", "/{c}", show, NULL));
    static const char *const bad[] = {"",      "x",     "/{",        "/{}",
                                      "/a{b}", "/{a}b", "/{a...}/b", "/{a b}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ERR(cease_http_server_route(rig.server, "GET", bad[i], show, NULL), CEASE_EINVAL);
    }
    rig_start(&rig);
    check_ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "Hello");
    check_ask("GET /h%65llo HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "Hello");
    check_ask("GET / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "GET|/||-|-|-|-|-\n");
    check_ask("GET http://b/?q=%41+%42 HTTP/1.1\r\n" HOST "X-One:  1 \r\n\r\n", "HTTP/1.1 200 ",
              "GET|/|q=%41+%42|A B|1|-|-|-\n");
    check_ask("GET http://b?q=1 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "GET|/|q=1|1|");
    check_ask("GET /x%2fy HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "GET|/x/y||-|-|x/y|-|-\n");
    check_ask("GET /show/%20a/x/b/c%20/d HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ",
              "GET|/show/ a/x/b/c /d||-|-| a|b/c /d|-\n");
    check_ask("GET /show//x/b HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404 ", "404 Not Found\n");
    check_ask("DELETE /z HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD, PUT\r\n");
    rig_stop(&rig);
}

/* ---- bodies ---- */

TEST(server_expect_continue_is_answered_when_the_body_is_read)
{
    start(NULL, NULL);
    int fd = rig_connect(&rig);
    rig_send(fd,
             "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    char *text = rig_response(fd, false);
    CHECK_STR(text, "HTTP/1.1 100 Continue\r\n\r\n");
    free(text);
    rig_send(fd, "abc");
    text = rig_response(fd, false);
    CHECK_HAS(text, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(text, "\r\n\r\nabc");
    free(text);
    /* a handler that does not read it: no interim response, and the connection ends */
    rig_send(fd,
             "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    text = rig_response(fd, false);
    CHECK_HAS(text, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(text, "Connection: close\r\n");
    free(text);
    close(fd);
    rig_stop(&rig);
}

TEST(server_bodies_over_the_limit_are_413)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .body_max = 10};
    start(&opts, NULL);
    check_ask("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789",
              "HTTP/1.1 200 ", "0123456789");
    check_ask("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n0123456789a",
              "HTTP/1.1 413 ", "413 ");
    check_ask("POST /echo HTTP/1.1\r\n" HOST
              "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n",
              "HTTP/1.1 413 ", "Connection: close\r\n");
    check_ask("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n",
              "HTTP/1.1 400 ", "Connection: close\r\n");
    rig_stop(&rig);
}

TEST(server_body_that_does_not_come_in_time_is_408)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .body_timeout = {30 * 1000 * 1000}};
    start(&opts, NULL);
    check_ask("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n012", "HTTP/1.1 408 ",
              "Connection: close\r\n");
    rig_stop(&rig);
}

TEST(server_body_that_is_cut_off_is_a_client_that_is_gone)
{
    start(NULL, NULL);
    int fd = rig_connect(&rig);
    rig_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n012");
    close(fd);
    struct rig_log l = rig_logged(&rig, 1);
    CHECK_EQ(l.status, 499);
    CHECK_EQ(l.cause_code, CEASE_EPEERGONE);
    rig_stop(&rig);
}

TEST(server_unread_body_is_skipped_or_ends_the_connection)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .body_timeout = {50 * 1000 * 1000}};
    rig_init(&rig, &opts);
    routes(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/hello", hello, NULL));
    rig_start(&rig);
    int fd = rig_connect(&rig);
    rig_send(fd, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde"
                 "GET /show HTTP/1.1\r\n" HOST "\r\n");
    char *text = rig_response(fd, false);
    CHECK_HAS(text, "Hello");
    CHECK_HAS_NOT(text, "close");
    free(text);
    text = rig_response(fd, false);
    CHECK_HAS(text, "GET|/show|");
    free(text);
    rig_send(fd, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    text = rig_rest(fd);
    CHECK_HAS(text, "Hello");
    CHECK_HAS(text, "Connection: close\r\n");
    free(text);
    close(fd);
    rig_stop(&rig);
}

/* ---- timeouts of input ---- */

TEST(server_slow_head_is_408_and_an_idle_connection_closed)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .head_timeout = {40 * 1000 * 1000},
                                                .idle_timeout = {40 * 1000 * 1000}};
    start(&opts, NULL);
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /hello HT");
    char *text = rig_rest(fd);
    CHECK_HAS(text, "HTTP/1.1 408 ");
    free(text);
    close(fd);
    fd = rig_connect(&rig);
    rig_check_end(fd);
    close(fd);
    fd = rig_connect(&rig);
    rig_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    text = rig_rest(fd);
    CHECK_HAS(text, "HTTP/1.1 200 ");
    CHECK_HAS_NOT(text, " 408 ");
    free(text);
    close(fd);
    rig_stop(&rig);
}

/* ---- the request's context ---- */

TEST(server_client_that_goes_ends_the_context)
{
    static int waiting;
    static const struct {
        const char *request;
        bool reset;
    } rows[] = {
        {"GET /wait HTTP/1.1\r\n" HOST "\r\n", false},
        {"GET /wait HTTP/1.1\r\n" HOST "\r\n", true},
        {"POST /wait HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab", false},
        {"GET /wait HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n", false},
    };
    start(NULL, &waiting);
    for (int i = 0; i < 4; i++) {
        int fd = rig_connect(&rig);
        rig_send(fd, rows[i].request);
        CHECK_EVENTUALLY(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == i + 1);
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        if (rows[i].reset) {
            CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        }
        close(fd);
        struct rig_log l = rig_logged(&rig, i + 1);
        CHECK_EQ(l.status, 499);
        CHECK_EQ(l.cause_code, CEASE_EPEERGONE);
        CHECK_STR(l.cause_text, "the client went away");
        CHECK_ERR(l.error, CEASE_ECANCELED);
        CHECK_STR(l.target, "/wait");
    }
    rig_stop(&rig);
}

static cease_error answer_later(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    (void)req;
    (void)arg;
    cease_error e = cease_sleep(ctx, cease_ms(30));
    return e == CEASE_OK ? cease_http_response_write(ctx, res, "late\n", 5) : e;
}

TEST(server_half_closed_client_is_served_where_the_route_says_so)
{
    rig_init(&rig, NULL);
    cease_http_route route = {.size = sizeof route, .method = "GET", .fn = answer_later};
    route.pattern = "/strict";
    CHECK_OK(cease_http_server_add(rig.server, &route));
    route.pattern = "/half";
    route.half_closed = true;
    CHECK_OK(cease_http_server_add(rig.server, &route));
    rig_start(&rig);
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /half HTTP/1.1\r\n" HOST "\r\n");
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    char *text = rig_rest(fd);
    CHECK_HAS(text, "late\n");
    free(text);
    close(fd);
    CHECK_EQ(rig_logged(&rig, 1).status, 200);
    fd = rig_connect(&rig);
    rig_send(fd, "GET /strict HTTP/1.1\r\n" HOST "\r\n");
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    rig_check_end(fd);
    close(fd);
    CHECK_EQ(rig_logged(&rig, 2).cause_code, CEASE_EPEERGONE);
    rig_stop(&rig);
}

TEST(server_deadline_is_the_smallest_of_all)
{
    cease_http_route route = {.size = sizeof route, .method = "GET", .fn = wait_for_end};
    rig_init(&rig, NULL);
    routes(&rig, NULL);
    route.pattern = "/short";
    route.request_timeout = cease_ms(20);
    CHECK_OK(cease_http_server_add(rig.server, &route));
    rig_start(&rig);
    static const char expired[] = "X-Request-Deadline-Expired: 1\r\n";
    check_ask("GET /short HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 504 ", expired);
    check_ask("GET /wait HTTP/1.1\r\n" HOST "grpc-timeout: 20m\r\n\r\n", "HTTP/1.1 504 ", expired);
    check_ask("GET /wait HTTP/1.1\r\n" HOST "X-Request-Timeout-Ms: 20\r\n\r\n", "HTTP/1.1 504 ",
              expired);
    check_ask("GET /short HTTP/1.1\r\n" HOST "X-Request-Timeout-Ms: 99999\r\n\r\n", "HTTP/1.1 504 ",
              expired);
    struct rig_log l = rig_logged(&rig, 4);
    CHECK_EQ(l.status, 504);
    CHECK_EQ(l.cause_code, CEASE_EDEADLINE);
    /* nothing is left: the handler is not started */
    check_ask("GET /hello HTTP/1.1\r\n" HOST "grpc-timeout: 0n\r\n\r\n", "HTTP/1.1 504 ", expired);
    CHECK_EQ(rig_logged(&rig, 5).cause_code, CEASE_EDEADLINE);
    /* malformed: ignored and counted */
    check_ask("GET /hello HTTP/1.1\r\n" HOST "grpc-timeout: soon\r\nConnect-Timeout-Ms: -1\r\n\r\n",
              "HTTP/1.1 200 ", "Hello");
    CHECK_EQ(rig_counts(&rig).bad_deadline_total, 2);
    rig_stop(&rig);
}

/* What a client may write where a duration belongs (trap 18): nothing left is answered without the
 * handler, nonsense is ignored and counted, and too much is the server's own limit. */
TEST(server_deadline_fields_that_are_absurd_never_start_or_stretch_a_handler)
{
    static const char *const over[] = {"grpc-timeout: 0n", "grpc-timeout: 00000000H",
                                       "Connect-Timeout-Ms: 0", "X-Request-Timeout-Ms: 0000000000",
                                       "x-envoy-expected-rq-timeout-ms: 0"};
    static const char *const bad[] = {
        "grpc-timeout: -1S",         "grpc-timeout: 1s",
        "grpc-timeout: n",           "grpc-timeout: 123456789n",
        "grpc-timeout: 1.5S",        "X-Request-Timeout-Ms: -1",
        "X-Request-Timeout-Ms: ",    "X-Request-Timeout-Ms: 0x1",
        "Connect-Timeout-Ms: 5 000", "Connect-Timeout-Ms: 12345678901"};
    static const char *const huge[] = {"grpc-timeout: 99999999H",
                                       "X-Request-Timeout-Ms: 9999999999"};
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .request_timeout = {20 * 1000 * 1000}};
    static int waiting;
    char request[160];
    start(&opts, &waiting);
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        snprintf(request, sizeof request, "GET /wait HTTP/1.1\r\n" HOST "%s\r\n\r\n", over[i]);
        check_ask(request, "HTTP/1.1 504 ", "X-Request-Deadline-Expired: 1\r\n");
    }
    CHECK_EQ(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST), 0);
    CHECK_EQ(rig_counts(&rig).bad_deadline_total, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(request, sizeof request, "GET /wait HTTP/1.1\r\n" HOST "%s\r\n\r\n", bad[i]);
        check_ask(request, "HTTP/1.1 504 ", "X-Request-Deadline-Expired: 1\r\n");
        CHECK_EQ(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST), (int)i + 1);
        CHECK_EQ(rig_counts(&rig).bad_deadline_total, i + 1);
    }
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        snprintf(request, sizeof request, "GET /wait HTTP/1.1\r\n" HOST "%s\r\n\r\n", huge[i]);
        check_ask(request, "HTTP/1.1 504 ", "X-Request-Deadline-Expired: 1\r\n");
    }
    CHECK_EQ(rig_counts(&rig).bad_deadline_total, sizeof bad / sizeof *bad);
    rig_stop(&rig);
}

static cease_error ctx_is_done(cease_ctx *ctx, void *arg)
{
    cease_wait(ctx);
    return cease_chan_send(cease_background(), arg, cease_cause_of(ctx));
}

static cease_chan *causes;
static cease_key the_key = CEASE_KEY("test");

static cease_error leave_behind(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    (void)req;
    (void)arg;
    CHECK_STR(cease_value(ctx, &the_key), "value");
    CHECK_OK(cease_go(ctx, ctx_is_done, causes));
    return cease_http_response_write(ctx, res, "x", 1);
}

static uint64_t task_count(void)
{
    struct cease_runtime_counts counts = {.size = sizeof counts};
    cease_runtime_count(&counts);
    return counts.tasks;
}

TEST(server_context_has_the_values_of_serves_and_ends_with_the_handler)
{
    rig_init(&rig, NULL);
    causes = cease_chan_new(sizeof(struct cease_cause), 1);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/", leave_behind, NULL));
    cease_ctx *plain = rig.ctx;
    rig.ctx = cease_with_value(plain, &the_key, (void *)(uintptr_t) "value");
    rig_start(&rig);
    check_ask("GET / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "x");
    struct cease_cause left;
    CHECK_OK(cease_chan_recv(cease_background(), causes, &left));
    CHECK_EQ(left.code, CEASE_ERETURNED);
    cease_ctx *with_value = rig.ctx;
    rig_stop(&rig);
    cease_chan_unref(causes);
    cease_unref(with_value);
}

/* ---- responses ---- */

static cease_error try_everything_wrong(cease_ctx *ctx, cease_http_request *req,
                                        cease_http_response *res, void *arg)
{
    (void)req;
    (void)arg;
    CHECK_ERR(cease_http_response_status(res, 199), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_status(res, 600), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_header(res, "X", "a\r\nSet-Cookie: b"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_header(res, "X Y", "a"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_header(res, "", "a"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_header(res, "Date", "now"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_header(res, "transfer-encoding", "gzip"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_header(res, "content-length", "-1"), CEASE_EINVAL);
    char long_value[17000];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    CHECK_ERR(cease_http_response_header(res, "X", long_value), CEASE_EMSGSIZE);
    CHECK_OK(cease_http_response_status(res, 201));
    CHECK_OK(cease_http_response_header(res, "Content-Length", "3"));
    CHECK_ERR(cease_http_response_header(res, "Content-Length", "3"), CEASE_EINVAL);
    CHECK_OK(cease_http_response_write(ctx, res, "ab", 2));
    CHECK_ERR(cease_http_response_end(ctx, res), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_write(ctx, res, "cd", 2), CEASE_EINVAL);
    CHECK_OK(cease_http_response_flush(ctx, res));
    CHECK_ERR(cease_http_response_status(res, 200), CEASE_EBUSY);
    CHECK_ERR(cease_http_response_header(res, "X", "y"), CEASE_EBUSY);
    CHECK_OK(cease_http_response_write(ctx, res, "c", 1));
    CHECK_OK(cease_http_response_end(ctx, res));
    CHECK_ERR(cease_http_response_write(ctx, res, "d", 1), CEASE_EBUSY);
    return CEASE_OK;
}

static cease_error no_content(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                              void *arg)
{
    (void)req;
    (void)arg;
    CHECK_OK(cease_http_response_status(res, 204));
    return cease_http_response_write(ctx, res, "dropped", 7);
}

static cease_error fail_early(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                              void *arg)
{
    (void)req;
    (void)arg;
    CHECK_OK(cease_http_response_header(res, "X-Secret", "1"));
    CHECK_OK(cease_http_response_write(ctx, res, "secret", 6));
    return CEASE_EIO;
}

static cease_error fail_late(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    (void)req;
    (void)arg;
    CHECK_OK(cease_http_response_write(ctx, res, "part", 4));
    CHECK_OK(cease_http_response_flush(ctx, res));
    return CEASE_EIO;
}

TEST(server_response_calls_refuse_what_is_wrong)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/wrong", try_everything_wrong, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/204", no_content, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/early", fail_early, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/late", fail_late, NULL));
    rig_start(&rig);
    check_ask("GET /wrong HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 201 ", "\r\n\r\nabc");
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /204 HTTP/1.1\r\n" HOST "\r\nGET /early HTTP/1.1\r\n" HOST "\r\n");
    char *text = rig_response(fd, false);
    CHECK_HAS_NOT(text, "Content-Length");
    free(text);
    text = rig_response(fd, false);
    CHECK_HAS(text, "HTTP/1.1 500 ");
    CHECK_HAS_NOT(text, "ecret");
    free(text);
    rig_send(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    text = rig_rest(fd);
    CHECK_HAS(text, "4\r\npart\r\n");
    CHECK_HAS_NOT(text, "\r\n0\r\n"); /* cut off, not ended */
    free(text);
    close(fd);
    rig_stop(&rig);
}

static cease_error large_fields(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    char value[4001];
    (void)req;
    (void)arg;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 4; i++) {
        CHECK_OK(cease_http_response_header(res, "Set-Cookie", value));
    }
    return cease_http_response_write(ctx, res, "large", 5);
}

TEST(server_heads_of_16_kib_are_sent)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/", large_fields, NULL));
    rig_start(&rig);
    char *text = rig_ask(&rig, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(strlen(text) > 16000);
    CHECK_HAS(text, "\r\n\r\nlarge");
    free(text);
    rig_stop(&rig);
}

enum { BIG = 3 * 1000 * 1000 };

static cease_error write_big(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    static const char line[] = "0123456789012345678901234567890123456789012345678\n";
    cease_error *ret = arg;
    (void)req;
    for (int i = 0; i < BIG / 50; i++) {
        cease_error e = cease_http_response_write(ctx, res, line, 50);
        if (e != CEASE_OK) {
            if (ret) {
                __atomic_store_n(ret, e, __ATOMIC_SEQ_CST);
            }
            CHECK_ERR(cease_http_response_write(ctx, res, line, 50), e);
            return e;
        }
    }
    return CEASE_OK;
}

TEST(server_large_responses_are_chunked_or_end_with_the_connection)
{
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/big", write_big, NULL));
    rig_start(&rig);
    cease_http_reply reply = {0};
    char url[96];
    snprintf(url, sizeof url, "%s/big", rig.url);
    CHECK_OK(cease_http_get(cease_background(), url, NULL, &reply));
    CHECK_EQ(reply.body_size, BIG);
    CHECK_STR(cease_http_reply_header(&reply, "transfer-encoding"), "chunked");
    cease_http_reply_deinit(&reply);
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /big HTTP/1.0\r\n\r\n");
    char *text = rig_rest(fd);
    CHECK_HAS_NOT(text, "chunked");
    CHECK_EQ(strlen(strstr(text, "\r\n\r\n") + 4), BIG);
    free(text);
    close(fd);
    fd = rig_connect(&rig);
    rig_send(fd, "HEAD /big HTTP/1.1\r\n" HOST "\r\nGET /big HTTP/1.0\r\n\r\n");
    text = rig_rest(fd);
    CHECK_HAS(text, "Content-Length: 3000000\r\n");
    free(text);
    close(fd);
    CHECK_EQ(rig_logged(&rig, 1).bytes, BIG);
    CHECK_EQ(rig_logged(&rig, 2).bytes, BIG);
    CHECK_EQ(rig_logged(&rig, 3).bytes, 0);
    rig_stop(&rig);
}

TEST(server_reader_that_does_not_read_uses_up_the_budget)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .write_budget = {50 * 1000 * 1000}};
    static cease_error seen;
    rig_init(&rig, &opts);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/big", write_big, &seen));
    rig_start(&rig);
    int fd = rig_connect(&rig);
    int small = 4096;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (int i = 0; i < 20; i++) { /* more than all buffers between us hold */
        rig_send(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    }
    CHECK_EVENTUALLY(__atomic_load_n(&seen, __ATOMIC_SEQ_CST) != CEASE_OK);
    CHECK_ERR(__atomic_load_n(&seen, __ATOMIC_SEQ_CST), CEASE_ETIMEDOUT);
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    int last = (int)rig_counts(&rig).requests_total;
    struct rig_log l = rig_logged(&rig, last);
    CHECK_EQ(l.status, 499);
    CHECK_EQ(l.cause_code, CEASE_EPIPE);
    close(fd);
    rig_stop(&rig);
}

/* ---- too many ---- */

TEST(server_above_its_connections_answers_503)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .connection_max = 2};
    start(&opts, NULL);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = rig_connect(&rig);
        rig_send(fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        char *text = rig_response(fds[i], false);
        CHECK_HAS(text, "Hello");
        free(text);
    }
    int fd = rig_connect(&rig);
    char *text = rig_rest(fd);
    CHECK_HAS(text, "HTTP/1.1 503 ");
    CHECK_HAS(text, "Connection: close\r\n");
    CHECK_HAS(text, "Retry-After: 1\r\n");
    free(text);
    close(fd);
    CHECK_EQ(rig_counts(&rig).busy_total, 1);
    close(fds[0]);
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 1);
    check_ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "Hello");
    close(fds[1]);
    rig_stop(&rig);
}

/* ---- connections that wait ---- */

enum { RESTING = 50 };

static void rest_all(int fds[RESTING])
{
    for (int i = 0; i < RESTING; i++) {
        fds[i] = rig_connect(&rig);
        rig_send(fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        char *text = rig_response(fds[i], false);
        CHECK_HAS(text, "Hello");
        free(text);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).idle == RESTING);
}

/* Between two requests a connection has neither task nor buffer, and is served again all the same. */
TEST(server_connections_that_wait_hold_no_task)
{
    int fds[RESTING];
    start(NULL, NULL);
    rest_all(fds);
    CHECK_EVENTUALLY(task_count() == 1); /* who accepts */
    for (int i = 0; i < RESTING; i++) {
        rig_send(fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        char *text = rig_response(fds[i], false);
        CHECK_HAS(text, "Hello");
        free(text);
    }
    for (int i = 0; i < RESTING / 2; i++) {
        close(fds[i]);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).connections == RESTING - RESTING / 2);
    CHECK_EVENTUALLY(rig_counts(&rig).idle == RESTING - RESTING / 2);
    rig_stop(&rig);
    for (int i = RESTING / 2; i < RESTING; i++) {
        rig_check_end(fds[i]);
        close(fds[i]);
    }
}

TEST(server_connections_idle_too_long_are_closed_and_busy_ones_are_not)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .idle_timeout = {100 * 1000 * 1000}};
    static int waiting;
    int fds[RESTING];
    start(&opts, &waiting);
    int busy = rig_connect(&rig);
    rig_send(busy, "GET /wait HTTP/1.1\r\n" HOST "X-Request-Timeout-Ms: 400\r\n\r\n");
    CHECK_EVENTUALLY(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 1);
    for (int i = 0; i < RESTING; i++) {
        fds[i] = rig_connect(&rig);
    }
    for (int i = 0; i < RESTING; i++) {
        rig_check_end(fds[i]);
        close(fds[i]);
    }
    char *text = rig_response(busy, false); /* four times as long as the others may rest */
    CHECK_HAS(text, "HTTP/1.1 504 ");
    free(text);
    rig_check_end(busy);
    close(busy);
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    rig_stop(&rig);
}

/* Requests that come just when their connection begins to rest, or expires. */
TEST(server_requests_racing_the_rest_are_served_or_see_the_end)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .idle_timeout = {2 * 1000 * 1000}};
    start(&opts, NULL);
    int served = 0;
    for (int i = 0; i < 200; i++) {
        int fd = rig_connect(&rig);
        for (int round = 0; round < 20; round++) {
            rig_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
            char *text = rig_response(fd, false);
            bool whole = strstr(text, "\r\n\r\nHello, world\n") != NULL;
            CHECK(whole || text[0] == '\0');
            free(text);
            if (!whole) {
                break;
            }
            served++;
            usleep((useconds_t)(round * 200 % 2100));
        }
        close(fd);
    }
    CHECK(served > 0);
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    rig_stop(&rig);
}

/* ---- stopping ---- */

static cease_semaphore released = CEASE_SEMAPHORE(1);

static cease_error wait_for_release(cease_ctx *ctx, cease_http_request *req,
                                    cease_http_response *res, void *arg)
{
    (void)req;
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
    cease_error e = cease_semaphore_acquire(ctx, &released, 1);
    if (e != CEASE_OK) {
        return e;
    }
    return cease_http_response_write(ctx, res, "finished", 8);
}

TEST(server_stop_lets_requests_finish_and_closes_idle_connections)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .grace = {INT64_MAX}};
    static int waiting;
    CHECK_OK(cease_semaphore_try_acquire(&released, 1));
    rig_init(&rig, &opts);
    routes(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/release", wait_for_release, &waiting));
    rig_start(&rig);
    int idle = rig_connect(&rig);
    rig_send(idle, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    char *text = rig_response(idle, false);
    free(text);
    int busy = rig_connect(&rig);
    rig_send(busy, "GET /release HTTP/1.1\r\n" HOST "\r\n");
    CHECK_EVENTUALLY(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 1);
    rig_cancel(&rig);
    rig_check_end(idle);
    close(idle);
    cease_semaphore_release(&released, 1);
    text = rig_rest(busy);
    CHECK_HAS(text, "HTTP/1.1 200 ");
    CHECK_HAS(text, "Connection: close\r\n");
    CHECK_HAS(text, "finished");
    free(text);
    close(busy);
    rig_join(&rig);
}

TEST(server_stop_cancels_what_does_not_finish)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .grace = {20 * 1000 * 1000}};
    static int waiting;
    start(&opts, &waiting);
    int fd = rig_connect(&rig);
    rig_send(fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    CHECK_EVENTUALLY(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 1);
    rig_cancel(&rig);
    char *text = rig_rest(fd);
    CHECK_HAS(text, "HTTP/1.1 503 ");
    CHECK_HAS(text, "Retry-After: 1\r\n");
    free(text);
    close(fd);
    struct rig_log l = rig_logged(&rig, 1);
    CHECK_EQ(l.status, 503);
    CHECK_EQ(l.cause_code, CEASE_ESTOPPING);
    CHECK_STR(l.cause_text, "server stopping");
    rig_join(&rig);
}

TEST(server_stop_gives_up_on_a_client_that_does_not_read)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .grace = {-1}};
    rig_init(&rig, &opts);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/big", write_big, NULL));
    rig_start(&rig);
    int fd = rig_connect(&rig);
    for (int i = 0; i < 20; i++) {
        rig_send(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    }
    CHECK_EVENTUALLY(rig_counts(&rig).requests == 1);
    rig_stop(&rig);
    close(fd);
}

TEST(server_listener_closed_by_somebody_else_is_an_error)
{
    rig_init(&rig, NULL);
    rig_start(&rig);
    cease_listener *l = rig.listener;
    (void)l;
    rig_cancel(&rig);
    rig_join(&rig);
    cease_http_server *s = cease_http_server_new(NULL);
    CHECK_ERR(cease_http_server_serve(cease_background(), s, NULL), CEASE_ENOMEM);
    CHECK_ERR(cease_http_server_serve(cease_background(), NULL, NULL), CEASE_ENOMEM);
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &l));
    cease_listener *share = cease_listener_ref(l);
    cease_listener_close(share);
    CHECK_ERR(cease_http_server_serve(cease_background(), s, l), CEASE_ECLOSED);
    cease_http_server_free(s);
}

/* ---- many ---- */

/* Requests of which a third are cut at a place that moves through them, and through their answers. */
TEST(server_clients_that_break_off_anywhere_leave_nothing)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "a\r\n0123456789\r\n0\r\n\r\nGET /wait HTTP/1.1\r\n" HOST "\r\n";
    static int waiting;
    const int rounds = harness_is_slow() ? 300 : 1500;
    start(NULL, &waiting);
    for (int i = 0; i < rounds; i++) {
        if (i % 3 != 0) {
            check_ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ", "Hello");
            continue;
        }
        char part[sizeof request];
        size_t cut = (size_t)i / 3 % sizeof request;
        memcpy(part, request, cut);
        part[cut] = '\0';
        int fd = rig_connect(&rig);
        rig_send(fd, part);
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        if (i % 2) {
            CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        }
        close(fd);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    rig_stop(&rig);
}

static cease_error with_trailers(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                 void *arg)
{
    char value[1100];
    (void)req;
    (void)arg;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    CHECK_OK(cease_http_response_write(ctx, res, "body", 4));
    CHECK_OK(cease_http_response_trailer(res, "X-Sum", "42"));
    CHECK_OK(cease_http_response_trailer(res, "X-Long", value));
    CHECK_ERR(cease_http_response_trailer(res, "X-Long", value), CEASE_EMSGSIZE);
    CHECK_ERR(cease_http_response_trailer(res, "Content-Length", "4"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_trailer(res, "a:", "4"), CEASE_EINVAL);
    CHECK_ERR(cease_http_response_trailer(res, "a", "4\n5"), CEASE_EINVAL);
    CHECK_OK(cease_http_response_end(ctx, res));
    CHECK_ERR(cease_http_response_trailer(res, "a", "4"), CEASE_EBUSY);
    return CEASE_OK;
}

TEST(trailers_followAChunkedBodyAndAreLostWhereThereIsNone)
{
    struct rig r;
    rig_init(&r, NULL);
    CHECK_OK(cease_http_server_route(r.server, "GET", "/t", with_trailers, NULL));
    rig_start(&r);
    char *text = rig_ask(&r, "GET /t HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK_HAS(text, "Transfer-Encoding: chunked\r\n");
    CHECK_HAS_NOT(text, "Content-Length");
    free(text);
    int fd = rig_connect(&r);
    rig_send(fd, "GET /t HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    text = rig_rest(fd);
    CHECK_HAS(text, "\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 42\r\nX-Long: vvv");
    CHECK_STR(text + strlen(text) - 5, "v\r\n\r\n");
    free(text);
    close(fd);
    text = rig_ask(&r, "GET /t HTTP/1.0\r\n\r\n");
    CHECK_HAS(text, "Content-Length: 4\r\n");
    CHECK_HAS_NOT(text, "X-Sum");
    free(text);
    text = rig_ask(&r, "HEAD /t HTTP/1.1\r\n" HOST "\r\n");
    CHECK_HAS_NOT(text, "X-Sum");
    free(text);
    rig_stop(&r);
}

TEST(server_every_allocation_failing_answers_or_closes)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_http_server *s = cease_http_server_new(NULL);
        cease_listener *l = NULL;
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
        cease_error e = cease_http_server_route(s, "GET", "/hello", hello, NULL);
        if (e == CEASE_OK) {
            e = cease_listen(ctx, "127.0.0.1:0", NULL, &l);
        }
        char address[CEASE_ADDRESS_SIZE] = "";
        if (e == CEASE_OK) {
            e = cease_listener_address(l, address, sizeof address);
        }
        int fd = -1;
        if (e == CEASE_OK) {
            rig.port = atoi(strchr(address, ':') + 1);
            fd = rig_connect(&rig);
            rig_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
            e = cease_http_server_serve(ctx, s, l);
        }
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN || e == CEASE_ECANCELED ||
              e == CEASE_EDEADLINE);
        if (fd >= 0) {
            close(fd);
        }
        cease_http_server_free(s);
        cease_end(stop);
    }
}
