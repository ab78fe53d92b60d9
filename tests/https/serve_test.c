/* serve_test.c: out to break the HTTP server over TLS: connections that wait without a task, large bodies
 * both ways, clients that go away, that are no TLS, or never finish their handshake, and stopping. */
#include "certificate.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <cease/https.h>
#include <stdlib.h>
#include <string.h>

static cease_http_server *server;
static cease_listener *listener;
static cease_group *group;
static cease_tls_config *own, *trust;
static char address[CEASE_ADDRESS_SIZE];
static int waiting, cause_code;

static cease_ctx *root(void)
{
    return cease_background();
}

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "hello\n", 6);
}

static cease_error echo(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    static char buf[20000];
    size_t n = 0;
    cease_error e;
    (void)arg;
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_http_response_write(ctx, res, buf, n);
        if (e != CEASE_OK) {
            return e;
        }
    }
    return e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error who(cease_ctx *ctx, cease_http_request *req, cease_http_response *res, void *arg)
{
    const char *subject = cease_http_request_subject(req);
    (void)arg;
    return cease_http_response_print(ctx, res, "<%s>\n", subject ? subject : "nobody");
}

static cease_error wait_for_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    (void)req;
    (void)res;
    (void)arg;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    cease_error e = cease_wait(ctx);
    __atomic_store_n(&cause_code, cease_cause_of(ctx)->code, __ATOMIC_SEQ_CST);
    return e;
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_http_server_serve_tls(ctx, server, listener, cease_https_server(), own);
}

static bool ask_clients;

static void start(const cease_http_server_opts *opts)
{
    make_certificate();
    const cease_tls_server_opts server_opts = {.size = sizeof server_opts,
                                               .certificate_file = cert_file,
                                               .key_file = key_file,
                                               .client_ca_file = ask_clients ? cert_file : NULL};
    const cease_tls_client_opts client_opts = {.size = sizeof client_opts,
                                               .ca_file = cert_file,
                                               .certificate_file = cert_file,
                                               .key_file = key_file};
    CHECK_OK(cease_tls_server_new(&server_opts, &own));
    trust = cease_tls_client_new(&client_opts);
    CHECK(trust != NULL);
    server = cease_http_server_new(opts);
    CHECK_OK(cease_http_server_route(server, "GET", "/", hello, NULL));
    CHECK_OK(cease_http_server_route(server, "POST", "/echo", echo, NULL));
    CHECK_OK(cease_http_server_route(server, "GET", "/who", who, NULL));
    CHECK_OK(cease_http_server_route(server, "GET", "/wait", wait_for_end, NULL));
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    group = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(group, serve, NULL));
}

static void stop_serving(void)
{
    CHECK_OK(cease_group_stop(group));
    cease_group_free(group);
    cease_http_server_free(server);
}

/* When every connection is closed. */
static void clean_up(void)
{
    cease_tls_config_unref(own);
    cease_tls_config_unref(trust);
    CHECK_OK(cease_runtime_stop()); /* OpenSSL frees what it keeps for a thread when it ends */
    OPENSSL_cleanup();              /* what it keeps for the life of a process */
}

static void stop(void)
{
    stop_serving();
    clean_up();
}

static cease_conn *dial(void)
{
    cease_conn *conn;
    CHECK_OK(cease_dial(root(), address, NULL, &conn));
    return conn;
}

static cease_tls *connect_tls(void)
{
    cease_tls *tls = cease_tls_client(trust, dial(), "localhost");
    CHECK_OK(cease_tls_handshake(root(), tls));
    return tls;
}

static void say(cease_tls *tls, const char *text)
{
    CHECK_OK(cease_tls_write(root(), tls, text, strlen(text), NULL));
}

/* Reads until `end` has come; to be freed. */
static char *hear(cease_tls *tls, const char *end, size_t room)
{
    char *text = malloc(room + 1);
    size_t size = 0;
    CHECK(text != NULL);
    text[0] = '\0';
    while (size < strlen(end) || memcmp(text + size - strlen(end), end, strlen(end)) != 0) {
        size_t n = 0;
        CHECK(size < room);
        CHECK_OK(cease_tls_read(root(), tls, text + size, room - size, &n));
        size += n;
        text[size] = '\0';
    }
    return text;
}

static cease_http_server_counts counts(void)
{
    cease_http_server_counts c;
    cease_http_server_count(server, &c);
    return c;
}

static size_t tasks(void)
{
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    return c.tasks;
}

TEST(serveTls_requestsOnOneConnection_waitWithoutATaskInBetween)
{
    start(NULL);
    cease_tls *tls = connect_tls();
    for (int i = 0; i < 3; i++) {
        CHECK_EVENTUALLY(counts().idle == 1);
        CHECK_EVENTUALLY(tasks() == 1); /* who accepts */
        say(tls, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        char *text = hear(tls, "\r\n\r\nhello\n", 4096);
        CHECK(strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0);
        free(text);
    }
    /* two in one record: the second one is in the session, not in the socket */
    say(tls,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *text = hear(tls, "Connection: close\r\n\r\nhello\n", 4096);
    free(text);
    CHECK_EQ(counts().connections_total, 1);
    CHECK_EQ(counts().requests_total, 5);
    char byte;
    size_t n;
    CHECK(cease_tls_read(root(), tls, &byte, 1, &n) != CEASE_OK);
    cease_tls_close(tls);
    stop();
}

enum { BIG = 500 * 1000 };

static cease_error send_big(cease_ctx *ctx, void *arg)
{
    static char block[BIG];
    cease_error e = CEASE_OK;
    memset(block, 'b', sizeof block - 1);
    block[sizeof block - 1] = '.';
    say(arg, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
    e = cease_tls_write(ctx, arg, block, sizeof block, NULL);
    return e;
}

TEST(serveTls_largeBodies_comeBackWhole)
{
    start(NULL);
    cease_tls *tls = connect_tls();
    cease_group *sending = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(sending, send_big, tls));
    char *text = hear(tls, ".\r\n0\r\n\r\n", 2 * BIG);
    CHECK(strstr(text, "Transfer-Encoding: chunked\r\n") != NULL);
    free(text);
    CHECK_OK(cease_group_wait(sending));
    cease_group_free(sending);
    cease_tls_close(tls);
    stop();
}

TEST(serveTls_clientGoes_endsTheContext)
{
    start(NULL);
    cease_tls *tls = connect_tls();
    waiting = 0;
    say(tls, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EVENTUALLY(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 1);
    cease_tls_close(tls);
    CHECK_EVENTUALLY(__atomic_load_n(&cause_code, __ATOMIC_SEQ_CST) == CEASE_EPEERGONE);
    CHECK_EVENTUALLY(counts().connections == 0);
    stop();
}

static void check_who(const char *answer)
{
    start(NULL);
    cease_tls *tls = connect_tls();
    say(tls, "GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n");
    free(hear(tls, answer, 4096));
    cease_tls_close(tls);
    stop();
}

TEST(serveTls_clientThatIsAskedForACertificate_isKnownToTheHandler)
{
    ask_clients = true;
    check_who("<CN=test>\n");
}

TEST(serveTls_clientThatIsNotAsked_isNobody)
{
    check_who("<nobody>\n");
}

TEST(serveTls_noTls_isClosedAndCounted)
{
    char buf[64];
    size_t n;
    start(NULL);
    cease_conn *conn = dial();
    CHECK_OK(cease_conn_write(root(), conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, NULL));
    while (cease_conn_read(root(), conn, buf, sizeof buf, &n) == CEASE_OK) {
        CHECK(n < 9 || memcmp(buf, "HTTP/1.1 ", 9) != 0); /* an alert, at most */
    }
    cease_conn_close(conn);
    CHECK_EVENTUALLY(counts().bad_total == 1);
    CHECK_EVENTUALLY(counts().connections == 0);
    stop();
}

TEST(serveTls_handshakeThatNeverEnds_isBoundByHeadTimeout)
{
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .head_timeout = {50 * 1000 * 1000}};
    char byte;
    size_t n;
    start(&opts);
    cease_conn *conn = dial();
    CHECK_OK(cease_conn_write(root(), conn, "\x16\x03\x01", 3, NULL)); /* a record begins */
    CHECK(cease_conn_read(root(), conn, &byte, 1, &n) != CEASE_OK);
    cease_conn_close(conn);
    CHECK_EVENTUALLY(counts().connections == 0);
    stop();
}

TEST(serveTls_requestThatNeverEnds_is408)
{
    /* the handshake has the same time, on a busy machine too */
    static const cease_http_server_opts opts = {.size = sizeof opts,
                                                .head_timeout = {INT64_C(3000) * 1000 * 1000}};
    start(&opts);
    cease_tls *tls = connect_tls();
    say(tls, "GET / HTTP/1.1\r\nHo");
    char *text = hear(tls, "408 Request Timeout\n", 4096);
    CHECK(strncmp(text, "HTTP/1.1 408 ", 13) == 0);
    free(text);
    cease_tls_close(tls);
    stop();
}

TEST(serveTls_stops_endsThoseThatWaitAndWhatRuns)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .grace = {-1}};
    start(&opts);
    cease_tls *idle = connect_tls();
    cease_tls *busy = connect_tls();
    waiting = 0;
    say(busy, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EVENTUALLY(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 1);
    CHECK_EVENTUALLY(counts().idle == 1);
    stop_serving();
    CHECK_EQ(__atomic_load_n(&cause_code, __ATOMIC_SEQ_CST), CEASE_ESTOPPING);
    char *text = hear(busy, "503 Service Unavailable\n", 4096);
    free(text);
    cease_tls_close(idle);
    cease_tls_close(busy);
    clean_up();
}

TEST(serveTls_tableWithoutWhatAServerNeeds_isRefused)
{
    cease_http_server *s = cease_http_server_new(NULL);
    cease_listener *l;
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &l));
    CHECK_ERR(cease_http_server_serve_tls(root(), s, l, cease_https(), NULL), CEASE_EINVAL);
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &l));
    CHECK_ERR(cease_http_server_serve_tls(root(), s, l, NULL, NULL), CEASE_EINVAL);
    cease_http_server_free(s);
}
