/* client_test.c: out to break the HTTP client: against our own server, and against a raw one that says
 * whatever a row of a table says. */
#include "handlers.h"
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

/* ---- a raw server: reads a head, says `text`, closes ---- */

struct raw {
    cease_listener *l;
    const char *text;
    char address[CEASE_ADDRESS_SIZE];
    char url[CEASE_ADDRESS_SIZE + 16];
    char request[4096];   /* what the client sent */
    bool hold;            /* keep the connection until the client closes it */
    cease_canceler *stop; /* cancelled once the text is sent; or NULL */
};

static cease_error raw_task(cease_ctx *ctx, void *arg)
{
    struct raw *r = arg;
    cease_conn *c = NULL;
    size_t size = 0;
    size_t n = 0;
    cease_error e = cease_listener_accept(ctx, r->l, &c);
    r->request[0] = '\0';
    while (e == CEASE_OK && !strstr(r->request, "\r\n\r\n")) {
        e = cease_conn_read(ctx, c, r->request + size, sizeof r->request - 1 - size, &n);
        size += e == CEASE_OK ? n : 0;
        r->request[size] = '\0';
    }
    if (e == CEASE_OK) {
        e = cease_conn_write(ctx, c, r->text, strlen(r->text), NULL);
    }
    if (r->stop) {
        cease_cancel(r->stop);
    }
    char byte;
    while (e == CEASE_OK && r->hold) {
        e = cease_conn_read(ctx, c, &byte, 1, &n);
    }
    cease_conn_close(c);
    return CEASE_OK;
}

static void raw_init(struct raw *r, const char *text)
{
    *r = (struct raw){.text = text};
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &r->l));
    CHECK_OK(cease_listener_address(r->l, r->address, sizeof r->address));
    snprintf(r->url, sizeof r->url, "http://%s/x?y=1#z", r->address);
}

/* What the client makes of a server that says `text`. */
static cease_error ask_raw(const char *text, const cease_http_call *call, cease_http_reply *ret,
                           char *ret_request)
{
    static struct raw r;
    cease_http_call own = call ? *call : (cease_http_call){.size = sizeof own};
    raw_init(&r, text);
    own.url = own.url ? own.url : r.url;
    own.address = r.address;
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, raw_task, &r));
    cease_error e = cease_http_do(root(), &own, ret);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_listener_close(r.l);
    if (ret_request) {
        strcpy(ret_request, r.request);
    }
    return e;
}

TEST(client_reads_every_kind_of_body)
{
    static const struct {
        const char *text;
        int status;
        const char *reason, *body;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcde", 200, "OK", "abc"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "OK", ""},
        {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 200,
         "", "abcd"},
        {"HTTP/1.0 404 Not There\r\n\r\nuntil the end", 404, "Not There", "until the end"},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", 204, "No Content", ""},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", 304, "Not Modified", ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Content-Length: 1\r\n\r\nx",
         200, "OK", "x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_http_reply reply = {0};
        CHECK_OK(ask_raw(rows[i].text, NULL, &reply, NULL));
        CHECK_EQ(reply.status, rows[i].status);
        CHECK_STR(reply.reason, rows[i].reason);
        CHECK_STR(reply.body, rows[i].body);
        CHECK_EQ(reply.body_size, strlen(rows[i].body));
        cease_http_reply_deinit(&reply);
        cease_http_reply_deinit(&reply);
    }
}

TEST(client_refuses_what_is_not_http)
{
    static const char *const rows[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "220 mail ready\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_http_reply reply = {0};
        CHECK_ERR(ask_raw(rows[i], NULL, &reply, NULL), CEASE_EPROTO);
        CHECK_PTR(reply.body, NULL);
    }
}

TEST(client_sends_what_the_call_says)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-One: 1\r\nx-one: 2\r\n\r\n";
    static const cease_http_header headers[] = {{"Accept", "text/plain"}, {NULL, NULL}};
    char request[4096];
    cease_http_reply reply = {0};
    cease_http_call call = {.size = sizeof call, .headers = headers};
    CHECK_OK(ask_raw(ok, &call, &reply, request));
    CHECK_HAS(request, "GET /x?y=1 HTTP/1.1\r\nAccept: text/plain\r\nHost: 127.0.0.1:");
    CHECK_HAS_NOT(request, "Content-Length");
    CHECK_HAS_NOT(request, "Timeout");
    CHECK_STR(cease_http_reply_header(&reply, "X-ONE"), "1");
    CHECK_PTR(cease_http_reply_header(&reply, "X-Two"), NULL);
    CHECK_STR(reply.headers[2].value, "2");
    CHECK_PTR(reply.headers[3].name, NULL);
    cease_http_reply_deinit(&reply);
    call = (cease_http_call){
        .size = sizeof call, .url = "http://example.com?q", .body = "{}", .body_size = 2};
    CHECK_OK(ask_raw(ok, &call, &reply, request));
    CHECK_HAS(request, "POST /?q HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n");
    cease_http_reply_deinit(&reply);
}

TEST(client_refuses_wrong_calls)
{
    static const cease_http_header bad[][2] = {
        {{"X\r\nY", "a"}, {NULL, NULL}},
        {{"X", "a\nb"}, {NULL, NULL}},
        {{"", "a"}, {NULL, NULL}},
        {{"X", NULL}, {NULL, NULL}},
        {{"Content-Length", "1"}, {NULL, NULL}},
        {{"transfer-encoding", "chunked"}, {NULL, NULL}},
    };
    cease_http_reply reply = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ERR(cease_http_get(root(), "http://127.0.0.1:1/", bad[i], &reply), CEASE_EINVAL);
    }
    CHECK_ERR(cease_http_get(root(), "gopher://a/", NULL, &reply), CEASE_EINVAL);
    CHECK_ERR(cease_http_get(root(), "http://a/ b", NULL, &reply), CEASE_EINVAL);
    CHECK_ERR(cease_http_get(root(), "https://127.0.0.1/", NULL, &reply), CEASE_ENOTSUP);
    cease_http_call call = {.size = sizeof call, .url = "http://127.0.0.1:1/", .method = "A B"};
    CHECK_ERR(cease_http_do(root(), &call, &reply), CEASE_EINVAL);
}

TEST(client_takes_no_more_than_it_should)
{
    cease_http_call call = {.size = sizeof call, .reply_max = 3};
    cease_http_reply reply = {0};
    CHECK_OK(ask_raw("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", &call, &reply, NULL));
    cease_http_reply_deinit(&reply);
    CHECK_ERR(ask_raw("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", &call, &reply, NULL),
              CEASE_EMSGSIZE);
    CHECK_ERR(ask_raw("HTTP/1.0 200 OK\r\n\r\nabcd", &call, &reply, NULL), CEASE_EMSGSIZE);
    CHECK_ERR(ask_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", &call,
                      &reply, NULL),
              CEASE_EMSGSIZE);
}

TEST(client_ends_with_its_context)
{
    static struct raw r;
    raw_init(&r, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    r.hold = true;
    cease_ctx *ctx = cease_with_timeout(root(), cease_min(10), &r.stop);
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, raw_task, &r));
    cease_http_reply reply = {0};
    CHECK_ERR(cease_http_get(ctx, r.url, NULL, &reply), CEASE_ECANCELED);
    CHECK_ERR(cease_http_get(ctx, r.url, NULL, &reply), CEASE_ECANCELED);
    CHECK_OK(cease_group_wait(g)); /* the server has seen the close */
    CHECK_HAS(r.request, "X-Request-Timeout-Ms: ");
    int ms = atoi(strstr(r.request, "Timeout-Ms: ") + 12);
    CHECK(ms > 0 && ms <= 600000 - 2); /* less its reserve */
    cease_group_free(g);
    cease_end(r.stop);
    cease_listener_close(r.l);
}

/* ---- against our own server ---- */

static cease_error deadline_left(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                 void *arg)
{
    cease_time deadline;
    (void)req;
    CHECK(cease_deadline(ctx, &deadline));
    *(int64_t *)arg = cease_until(deadline).ns;
    return cease_http_response_write(ctx, res, "ok", 2);
}

static struct rig rig;

TEST(client_hands_its_deadline_on_and_the_server_keeps_it)
{
    static int64_t left_ns;
    char url[96];
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/", deadline_left, &left_ns));
    rig_start(&rig);
    snprintf(url, sizeof url, "%s/", rig.url);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_sec(20), &stop);
    cease_http_reply reply = {0};
    CHECK_OK(cease_http_get(ctx, url, NULL, &reply));
    cease_http_reply_deinit(&reply);
    CHECK(left_ns > 0 && left_ns <= INT64_C(20) * 1000000000 - 2000000);
    cease_end(stop);
    CHECK_OK(cease_http_get(root(), url, NULL, &reply));
    cease_http_reply_deinit(&reply);
    CHECK(left_ns > INT64_C(20) * 1000000000); /* the server's own limit of 30 s */
    rig_stop(&rig);
}

TEST(client_posts_a_large_body_and_hears_a_refusal)
{
    enum { SIZE = 900 * 1000 };
    char *body = malloc(4 * SIZE);
    CHECK(body != NULL);
    for (size_t i = 0; i < 4 * SIZE; i++) {
        body[i] = (char)(i * 31 + i / 997);
    }
    char url[96];
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "POST", "/", handle_echo, NULL));
    rig_start(&rig);
    snprintf(url, sizeof url, "%s/", rig.url);
    cease_http_call call = {.size = sizeof call, .url = url, .body = body, .body_size = 15 * 1024};
    cease_http_reply reply = {0};
    CHECK_OK(cease_http_do(root(), &call, &reply));
    CHECK_EQ(reply.body_size, call.body_size);
    CHECK(memcmp(reply.body, body, reply.body_size) == 0);
    cease_http_reply_deinit(&reply);
    call.body_size = 4 * SIZE; /* over body_max */
    cease_error e = cease_http_do(root(), &call, &reply);
    CHECK(e == CEASE_OK || e == CEASE_EPIPE || e == CEASE_ECONNRESET);
    CHECK(e != CEASE_OK || reply.status == 413);
    cease_http_reply_deinit(&reply);
    free(body);
    rig_stop(&rig);
}

TEST(client_every_allocation_failing_leaves_nothing)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n0\r\n\r\n";
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        static struct raw r;
        cease_http_reply reply = {0};
        r = (struct raw){.text = text};
        cease_group *g = cease_group_new(root(), NULL);
        cease_error e = g ? cease_listen(root(), "127.0.0.1:0", NULL, &r.l) : CEASE_ENOMEM;
        if (e == CEASE_OK) {
            e = cease_listener_address(r.l, r.address, sizeof r.address);
        }
        if (e == CEASE_OK) {
            snprintf(r.url, sizeof r.url, "http://%s/", r.address);
            e = cease_group_go(g, raw_task, &r);
        }
        if (e == CEASE_OK) {
            e = cease_http_get(root(), r.url, NULL, &reply);
        }
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN || e == CEASE_EPROTO ||
              e == CEASE_ECONNRESET);
        cease_http_reply_deinit(&reply);
        cease_group_free(g);
        cease_listener_close(r.l);
    }
}
