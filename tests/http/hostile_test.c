/* hostile_test.c: clients that mean harm. Each case names the bound that holds them: heads and bodies that
 * come byte by byte or never end, what two servers could read in two ways, breaking off at every byte, and
 * ten thousand that only wait. docs/design/http.md has the table. */
#include "handlers.h"
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: a\r\n"

static struct rig rig;
static int smuggled;

/* Reads the body, answers then. */
static cease_error sink(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char buf[700];
    size_t n = 0;
    cease_error e = CEASE_OK;
    (void)arg;
    while (e == CEASE_OK) {
        e = cease_http_request_read(ctx, req, buf, sizeof buf, &n);
    }
    return e == CEASE_EOF ? cease_http_response_write(ctx, res, "read\n", 5) : e;
}

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "hello\n", 6);
}

static cease_error count_smuggled(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                  void *arg)
{
    (void)arg;
    __atomic_add_fetch(&smuggled, 1, __ATOMIC_SEQ_CST);
    return hello(ctx, req, res, NULL);
}

static void start(const cease_http_server_opts *opts)
{
    rig_init(&rig, opts);
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/echo", handle_echo, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/sink", sink, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/", hello, NULL));
    CHECK_OK(cease_http_server_route(rig.server, NULL, "/smuggled", count_smuggled, NULL));
    rig_start(&rig);
}

static void check_status(const char *text, int status, const char *what)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(text, line, strlen(line)) != 0) {
        harness_fail(__FILE__, __LINE__, "%s: not %d but %.60s", what, status, text);
    }
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

/* ---- smuggling ---- */

#define NEXT "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

/* Each hides a request from whoever reads the first one in another way. The first is refused, the
 * connection ends, and nothing behind it is looked at. */
static const struct {
    const char *name, *request;
    int status;
} shapes[] = {
    {"CL.CL, other value",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" NEXT, 400},
    {"CL.CL, same value",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" NEXT, 400},
    {"CL list", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0, 44\r\n\r\n" NEXT, 400},
    {"CL.TE",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\n" NEXT,
     400},
    {"TE.CL",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
     "0\r\n\r\n" NEXT,
     400},
    {"TE.TE",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"
     "\r\n0\r\n\r\n" NEXT,
     400},
    {"TE list",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" NEXT,
     400},
    {"TE chunked twice",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" NEXT,
     400},
    {"TE unknown", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n" NEXT, 501},
    {"TE quoted", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n" NEXT,
     400},
    {"TE space before the colon",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"TE tab before the colon",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"TE with a vertical tab",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"TE folded",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"TE on a folded line",
     "POST /echo HTTP/1.1\r\n" HOST "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
     400},
    {"TE behind a bare LF",
     "POST /echo HTTP/1.1\r\n" HOST "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"TE behind a bare CR",
     "POST /echo HTTP/1.1\r\n" HOST "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"TE in HTTP/1.0",
     "POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT, 400},
    {"a head that ends with LF LF", "GET / HTTP/1.1\r\n" HOST "\n" NEXT, 400},
    {"CL negative", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n" NEXT, 400},
    {"CL with a plus", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: +0\r\n\r\n" NEXT, 400},
    {"CL in hex", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0x0\r\n\r\n" NEXT, 400},
    {"CL empty", "POST /echo HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" NEXT, 400},
    {"CL with a space inside", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4 4\r\n\r\n" NEXT,
     400},
    {"CL that overflows",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n" NEXT, 400},
    {"chunk size in words",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" NEXT, 400},
    {"chunk size negative",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" NEXT, 400},
    {"chunk size that overflows",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "10000000000000000\r\n" NEXT,
     400},
    {"chunk size with a space",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n" NEXT, 400},
    {"chunk line that ends with LF",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\n\r\n" NEXT, 400},
    {"chunk extension with a line end",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n" NEXT, 400},
    {"chunk data without its CRLF",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n" NEXT, 400},
    {"chunk data longer than it says",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" NEXT,
     400},
    {"trailer with a space in its name",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA B: c\r\n\r\n" NEXT,
     400},
    {"trailer folded",
     "POST /echo HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n" NEXT,
     400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n" NEXT, 400},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST "Host: b\r\n\r\n" NEXT, 400},
    {"Host with a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" NEXT, 400},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n" NEXT, 400},
    {"two spaces in the request line", "GET  / HTTP/1.1\r\n" HOST "\r\n" NEXT, 400},
    {"a tab in the request line", "GET\t/ HTTP/1.1\r\n" HOST "\r\n" NEXT, 400},
    {"no version", "GET /\r\n" HOST "\r\n" NEXT, 400},
    {"a space behind the version", "GET / HTTP/1.1 \r\n" HOST "\r\n" NEXT, 400},
    {"a version with two digits", "GET / HTTP/1.10\r\n" HOST "\r\n" NEXT, 400},
    {"a version in lower case", "GET / http/1.1\r\n" HOST "\r\n" NEXT, 400},
    {"a control character in the target", "GET /\x01 HTTP/1.1\r\n" HOST "\r\n" NEXT, 400},
    {"a name with a control character", "GET / HTTP/1.1\r\n" HOST "A\x7f: b\r\n\r\n" NEXT, 400},
    {"a line without a colon", "GET / HTTP/1.1\r\n" HOST "AB\r\n\r\n" NEXT, 400},
    {"a line without a name", "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n" NEXT, 400},
};

TEST(hostile_smuggling_isRefusedAndNothingBehindItIsServed)
{
    start(NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int fd = rig_connect(&rig);
        rig_send(fd, shapes[i].request);
        char *text = rig_rest(fd); /* to the connection's end */
        check_status(text, shapes[i].status, shapes[i].name);
        CHECK_HAS(text, "Connection: close\r\n");
        if (strstr(text + 1, "HTTP/1.1 ")) {
            harness_fail(__FILE__, __LINE__, "%s: answered twice", shapes[i].name);
        }
        free(text);
        close(fd);
    }
    CHECK_EQ(__atomic_load_n(&smuggled, __ATOMIC_SEQ_CST), 0);
    rig_stop(&rig);
}

/* The same with the length said rightly: what stands in a body is a body. */
TEST(hostile_requestInABody_isNotServed)
{
    start(NULL);
    char request[512];
    snprintf(request, sizeof request,
             "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n%sGET / HTTP/1.1\r\n" HOST
             "\r\n",
             strlen(NEXT), NEXT);
    int fd = rig_connect(&rig);
    rig_send(fd, request);
    char *text = rig_response(fd, false);
    CHECK_HAS(text, "\r\n\r\n" NEXT);
    free(text);
    text = rig_response(fd, false);
    CHECK_HAS(text, "\r\n\r\nhello\n");
    free(text);
    close(fd);
    CHECK_EQ(__atomic_load_n(&smuggled, __ATOMIC_SEQ_CST), 0);
    rig_stop(&rig);
}

/* ---- slow ---- */

/* Sends a byte whenever 2 ms have brought no answer; the response, when it comes. */
static char *drip(const char *first, const char *then)
{
    int fd = rig_connect(&rig);
    rig_send(fd, first);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (size_t i = 0; poll(&p, 1, 2) == 0; i++) {
        char byte[2] = {then[i % strlen(then)], '\0'};
        rig_send(fd, byte);
    }
    char *text = rig_rest(fd);
    close(fd);
    return text;
}

TEST(hostile_headByteByByte_isBoundByHeadTimeout)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .head_timeout = {60 * 1000 * 1000}};
    start(&opts);
    char *text = drip("GET / HTTP/1.1\r\nX: ", "y");
    check_status(text, 408, "a slow value");
    free(text);
    text = drip("GET / HTTP/1.1\r\n", "A: b\r\n");
    check_status(text, 408, "slow lines");
    free(text);
    struct rig_log l = rig_logged(&rig, 2);
    CHECK_STR(l.cause_text, "the head did not come in time");
    rig_stop(&rig);
}

TEST(hostile_bodyByteByByte_isBoundByBodyTimeout)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .body_timeout = {60 * 1000 * 1000}};
    start(&opts);
    char *text = drip("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n", "y");
    check_status(text, 408, "a slow body");
    free(text);
    text = drip("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n");
    check_status(text, 408, "slow chunks");
    free(text);
    rig_stop(&rig);
}

/* ---- endless ---- */

/* Sends `first`, then `again` until the server has answered. */
static void pour(const char *first, const char *again, int status)
{
    int fd = rig_connect(&rig);
    rig_send(fd, first);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 0) == 0) {
        ssize_t n = send(fd, again, strlen(again), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            poll(&p, 1, 1);
        } else if (n < 0) {
            break;
        }
    }
    char *text = rig_rest(fd);
    check_status(text, status, first);
    free(text);
    close(fd);
}

TEST(hostile_withoutEnd_isBoundByTheLimitOfEach)
{
    static const cease_http_server_opts opts = {
        .size = sizeof opts, .head_max = 8192, .body_max = 100000};
    static char block[4097];
    memset(block, 'y', sizeof block - 1);
    start(&opts);
    pour("GET /", block, 414);                              /* head_max, by its first line */
    pour("GET / HTTP/1.1\r\n" HOST "X: ", block, 431);      /* head_max */
    pour("GET / HTTP/1.1\r\n" HOST, "A: b\r\n", 431);       /* header_count_max */
    pour("GET / HTTP/1.1\r\n" HOST "Cookie: ", block, 431); /* head_max */
    pour("POST /sink HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
         "10\r\n0123456789abcdef\r\n", 413); /* body_max */
    pour("POST /sink HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;", block,
         400); /* overhead of a chunked body */
    pour("POST /sink HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
         "1;yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\na\r\n", 400);
    pour("POST /sink HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n",
         400); /* room for trailers */
    pour("POST /sink HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0", "0",
         400); /* digits of a chunk's size */
    pour("POST /sink HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", block, 413);
    rig_stop(&rig);
}

/* ---- breaking off ---- */

static const char exchange[] = "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "5\r\nabcde\r\n0\r\nX: y\r\n\r\n";

static void send_prefix(int fd, size_t size)
{
    char part[sizeof exchange];
    memcpy(part, exchange, size);
    part[size] = '\0';
    rig_send(fd, part);
}

TEST(hostile_resetAtEveryByteOfARequest_leavesNothing)
{
    start(NULL);
    for (size_t cut = 0; cut < sizeof exchange; cut++) {
        int fd = rig_connect(&rig);
        send_prefix(fd, cut);
        reset(fd);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    CHECK_EQ(rig_counts(&rig).requests, 0);
    rig_stop(&rig);
}

TEST(hostile_resetAtEveryByteOfAResponse_leavesNothing)
{
    start(NULL);
    int fd = rig_connect(&rig);
    rig_send(fd, exchange);
    char *text = rig_response(fd, false);
    size_t size = strlen(text);
    CHECK(size > 50);
    free(text);
    close(fd);
    for (size_t cut = 0; cut <= size; cut++) {
        char byte;
        fd = rig_connect(&rig);
        rig_send(fd, exchange);
        for (size_t i = 0; i < cut; i++) {
            CHECK_EQ(recv(fd, &byte, 1, 0), 1);
        }
        reset(fd);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    rig_stop(&rig);
}

TEST(hostile_halfCloseAtEveryByteOfARequest_endsTheConnection)
{
    start(NULL);
    for (size_t cut = 0; cut < sizeof exchange; cut++) {
        int fd = rig_connect(&rig);
        send_prefix(fd, cut);
        CHECK_EQ(shutdown(fd, SHUT_WR), 0);
        char *text = rig_rest(fd);
        if (cut < sizeof exchange - 1) { /* not whole: never a success */
            CHECK_HAS_NOT(text, " 200 ");
        }
        free(text);
        close(fd);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    rig_stop(&rig);
}

/* ---- many ---- */

static size_t resident(void)
{
    unsigned long size = 0;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "%lu %lu", &size, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* How many connections this process may have both ends of, at most `wanted`. */
static int allowed(int wanted)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int room = limit.rlim_cur > 60000 ? 60000 : (int)limit.rlim_cur;
    return (room - 100) / 2 < wanted ? (room - 100) / 2 : wanted;
}

TEST(hostile_tenThousandThatOnlyWait_costNoTaskAndLittleMemory)
{
    const int count = allowed(harness_is_slow() ? 500 : 10000);
    int *fds = calloc((size_t)count + 1, sizeof *fds);
    CHECK(fds != NULL);
    const cease_http_server_opts opts = {.size = sizeof opts, .connection_max = (uint32_t)count};
    start(&opts);
    free(rig_ask(&rig, "GET / HTTP/1.1\r\n" HOST "\r\n"));
    CHECK_EVENTUALLY(rig_counts(&rig).connections == 0);
    size_t before = resident();
    for (int i = 0; i < count; i++) {
        fds[i] = rig_connect(&rig);
        rig_send(fds[i], "GET / HTTP/1.1\r\n" HOST "\r\n");
    }
    for (int i = 0; i < count; i++) {
        char *text = rig_response(fds[i], false);
        check_status(text, 200, "one of many");
        free(text);
    }
    CHECK_EVENTUALLY(rig_counts(&rig).idle == (uint32_t)count);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    cease_runtime_count(&counts);
    CHECK_EQ(counts.tasks, 1); /* who accepts */
    if (!harness_is_slow() && count >= 5000) {
        CHECK(resident() - before < (size_t)count * 4096); /* not even a page each */
    }
    fds[count] = rig_connect(&rig); /* one too many: connection_max */
    char *text = rig_rest(fds[count]);
    check_status(text, 503, "one too many");
    free(text);
    close(fds[0]);
    CHECK_EVENTUALLY(rig_counts(&rig).connections == (uint32_t)count - 1);
    free(rig_ask(&rig, "GET / HTTP/1.1\r\n" HOST "\r\n"));
    rig_stop(&rig);
    for (int i = 1; i <= count; i++) {
        close(fds[i]);
    }
    free(fds);
}
