/* http2_test.c: out to break the choice between HTTP/2 and HTTP/1.1 over TLS: sides that offer one, the other or
 * both, and peers that agree on one and speak the other. */
#include "certificate.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <cease/http2.h>
#include <cease/https.h>
#include <stdlib.h>
#include <string.h>

static const char *const both[] = {"h2", "http/1.1", NULL};
static const char *const only_h2[] = {"h2", NULL};
static const char *const only_h1[] = {"http/1.1", NULL};

/* A server, and one client's trust. */
struct site {
    cease_http_server *server;
    cease_tls_config *own, *trust;
    cease_listener *listener;
    cease_group *group;
    cease_chan *ended; /* what has ended a request to /wait: an int */
    char address[CEASE_ADDRESS_SIZE];
};

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

static cease_error wait_for_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    (void)req;
    (void)res;
    int code = 0; /* it has begun */
    CHECK_OK(cease_chan_send(root(), arg, &code));
    cease_error e = cease_wait(ctx);
    code = cease_cause_of(ctx)->code;
    CHECK_OK(cease_chan_send(root(), arg, &code));
    return e;
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct site *s = arg;
    return cease_http_server_serve_tls(ctx, s->server, s->listener, cease_https_server(), s->own);
}

static void start(struct site *s, const char *const *server_alpn, const char *const *client_alpn)
{
    static const cease_http_server_opts opts = {.size = sizeof opts, .grace = {-1}};
    char address[CEASE_ADDRESS_SIZE];
    cert_names = "IP:127.0.0.1"; /* a name would have to be looked up */
    make_certificate();
    const cease_tls_server_opts own = {.size = sizeof own,
                                       .certificate_file = cert_file,
                                       .key_file = key_file,
                                       .alpn = server_alpn};
    const cease_tls_client_opts trust = {
        .size = sizeof trust, .ca_file = cert_file, .alpn = client_alpn};
    CHECK_OK(cease_tls_server_new(&own, &s->own));
    s->trust = cease_tls_client_new(&trust);
    CHECK(s->trust != NULL);
    s->ended = cease_chan_new(sizeof(int), 4);
    s->server = cease_http_server_new(&opts);
    CHECK_OK(cease_http2_enable(s->server, NULL));
    CHECK_OK(cease_http_server_route(s->server, "GET", "/", hello, NULL));
    CHECK_OK(cease_http_server_route(s->server, "GET", "/wait", wait_for_end, s->ended));
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &s->listener));
    CHECK_OK(cease_listener_address(s->listener, address, sizeof address));
    snprintf(s->address, sizeof s->address, "%s", address);
    s->group = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(s->group, serve, s));
}

static void stop(struct site *s)
{
    CHECK_OK(cease_group_stop(s->group));
    cease_group_free(s->group);
    cease_http_server_free(s->server);
    cease_chan_unref(s->ended);
    cease_tls_config_unref(s->own);
    cease_tls_config_unref(s->trust);
    CHECK_OK(cease_runtime_stop()); /* OpenSSL frees what it keeps for a thread when it ends */
    OPENSSL_cleanup();              /* what it keeps for the life of a process */
}

static cease_error dial(struct site *s, cease_http2_client **ret)
{
    const cease_http2_opts opts = {.size = sizeof opts, .tls = cease_https(), .tls_arg = s->trust};
    return cease_http2_dial(root(), s->address, &opts, ret);
}

/* By the client that speaks HTTP/1.1. */
static void check_http1(struct site *s)
{
    char url[CEASE_ADDRESS_SIZE + 20];
    const cease_http_client_opts opts = {
        .size = sizeof opts, .tls = cease_https(), .tls_arg = s->trust};
    cease_http_client *c = cease_http_client_new(&opts);
    cease_http_reply reply = {0};
    snprintf(url, sizeof url, "https://%s/", s->address);
    const cease_http_call call = {.size = sizeof call, .url = url};
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_STR(reply.body, "hello\n");
    cease_http_reply_deinit(&reply);
    cease_http_client_free(c);
}

/* By the client that speaks what the server chooses; only HTTP/1.1 has a reason. */
static void check_either(struct site *s, const char *reason)
{
    char url[CEASE_ADDRESS_SIZE + 20];
    const cease_http_client_opts opts = {
        .size = sizeof opts, .tls = cease_https(), .tls_arg = s->trust, .multiplex = cease_http2()};
    cease_http_client *c = cease_http_client_new(&opts);
    cease_http_client_counts counts;
    snprintf(url, sizeof url, "https://%s/", s->address);
    const cease_http_call call = {.size = sizeof call, .url = url};
    for (int i = 0; i < 3; i++) {
        cease_http_reply reply = {0};
        CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
        CHECK_STR(reply.body, "hello\n");
        CHECK_STR(reply.reason, reason);
        cease_http_reply_deinit(&reply);
    }
    cease_http_client_count(c, &counts);
    CHECK_EQ(counts.dials_total, 1);
    cease_http_client_free(c);
}

TEST(pool_overTls_speaksWhatTheServerChooses)
{
    struct site s;
    start(&s, both, both);
    check_either(&s, "");
    cease_tls_config_unref(s.trust);
    const cease_tls_client_opts old = {.size = sizeof old, .ca_file = cert_file, .alpn = only_h1};
    s.trust = cease_tls_client_new(&old);
    check_either(&s, "OK");
    stop(&s);
}

static void check_http2(struct site *s, cease_http2_client *c)
{
    char url[CEASE_ADDRESS_SIZE + 20];
    cease_http_reply reply = {0};
    snprintf(url, sizeof url, "https://%s/", s->address);
    const cease_http_call call = {.size = sizeof call, .url = url};
    CHECK_OK(cease_http2_do(root(), c, &call, &reply));
    CHECK_STR(reply.body, "hello\n");
    cease_http_reply_deinit(&reply);
}

TEST(listener_thatOffersBoth_servesBothOnTheSameHandlers)
{
    struct site s;
    cease_http2_client *c;
    start(&s, both, only_h2);
    CHECK_OK(dial(&s, &c));
    check_http2(&s, c);
    check_http2(&s, c);
    cease_http2_client_close(c);
    cease_tls_config_unref(s.trust);
    const cease_tls_client_opts old = {.size = sizeof old, .ca_file = cert_file, .alpn = only_h1};
    s.trust = cease_tls_client_new(&old);
    check_http1(&s);
    CHECK_ERR(dial(&s, &c), CEASE_ENOTSUP);
    cease_tls_config_unref(s.trust);
    const cease_tls_client_opts silent = {.size = sizeof silent, .ca_file = cert_file};
    s.trust = cease_tls_client_new(&silent);
    check_http1(&s);
    CHECK_ERR(dial(&s, &c), CEASE_ENOTSUP);
    stop(&s);
}

TEST(dial_whatCannotBe_isSaidSo)
{
    struct site s;
    cease_http2_client *c;
    cease_http2_opts opts = {.size = sizeof opts, .tls = cease_https()};
    start(&s, only_h1, both);
    CHECK_ERR(dial(&s, &c), CEASE_ENOTSUP);
    opts.tls_arg = cease_tls_client_new(NULL);
    CHECK_ERR(cease_http2_dial(root(), s.address, &opts, &c), CEASE_ETLS); /* it trusts nobody */
    CHECK_ERR(cease_http2_dial(root(), "unix:/nowhere", &opts, &c), CEASE_EINVAL);
    CHECK_ERR(cease_http2_dial(root(), ":443", &opts, &c), CEASE_EINVAL);
    CHECK_ERR(cease_http2_dial(root(), "nowhere", &opts, &c), CEASE_EINVAL);
    cease_tls_config_unref(opts.tls_arg);
    stop(&s);
}

/* Says `text` after `agreed` was agreed on; what is answered until the end, to be freed. */
static char *answer_to(struct site *s, const char *agreed, const char *text)
{
    cease_conn *conn;
    size_t size = 0;
    size_t n = 0;
    CHECK_OK(cease_dial(root(), s->address, NULL, &conn));
    cease_tls *tls = cease_tls_client(s->trust, conn, "127.0.0.1");
    CHECK_OK(cease_tls_handshake(root(), tls));
    CHECK_STR(cease_tls_alpn(tls), agreed);
    CHECK_OK(cease_tls_write(root(), tls, text, strlen(text), NULL));
    char *all = calloc(1, 4096);
    CHECK(all != NULL);
    while (size < 4095 && cease_tls_read(root(), tls, all + size, 4095 - size, &n) == CEASE_OK) {
        size += n;
    }
    for (size_t i = 0; i < size; i++) {
        all[i] = all[i] != '\0' ? all[i] : '0';
    }
    cease_tls_close(tls);
    return all;
}

TEST(peer_thatSpeaksOtherThanAgreed_isRefused)
{
    struct site s;
    start(&s, both, both);
    char *text = answer_to(&s, "h2", "GET / HTTP/1.1\r\nHost: a\r\n\r\n0123456789");
    CHECK(strstr(text, "HTTP/1.1") == NULL);
    CHECK(strstr(text, "hello") == NULL);
    free(text);
    cease_tls_config_unref(s.trust);
    const cease_tls_client_opts old = {.size = sizeof old, .ca_file = cert_file, .alpn = only_h1};
    s.trust = cease_tls_client_new(&old);
    text = answer_to(&s, "http/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    CHECK_EQ(strncmp(text, "HTTP/1.1 505", 12), 0);
    free(text);
    stop(&s);
}

static int next_code(struct site *s)
{
    int code = -1;
    CHECK_OK(cease_chan_recv(root(), s->ended, &code));
    return code;
}

static cease_http2_stream *wait_stream(struct site *s, cease_http2_client *c)
{
    char url[CEASE_ADDRESS_SIZE + 20];
    cease_http2_stream *stream;
    snprintf(url, sizeof url, "https://%s/wait", s->address);
    const cease_http_call call = {.size = sizeof call, .url = url};
    CHECK_OK(cease_http2_stream_open(root(), c, &call, true, &stream));
    CHECK_EQ(next_code(s), 0);
    return stream;
}

TEST(stream_overTls_endsWithItsResetItsConnectionAndTheServer)
{
    struct site s;
    cease_http2_client *c;
    int status = 0;
    start(&s, both, only_h2);
    CHECK_OK(dial(&s, &c));
    cease_http2_stream_close(wait_stream(&s, c));
    CHECK_EQ(next_code(&s), 8); /* CANCEL */
    cease_http2_stream *left = wait_stream(&s, c);
    cease_http2_client_close(c);
    CHECK_EQ(next_code(&s), CEASE_EPEERGONE);
    cease_http2_stream_close(left);
    CHECK_OK(dial(&s, &c));
    cease_http2_stream *stream = wait_stream(&s, c);
    CHECK_OK(cease_group_stop(s.group)); /* the grace is over at its end */
    CHECK_EQ(next_code(&s), CEASE_ESTOPPING);
    CHECK_OK(cease_http2_stream_wait(root(), stream, &status));
    CHECK_EQ(status, 503);
    CHECK(!cease_http2_client_usable(c));
    cease_http2_stream_close(stream);
    cease_http2_client_close(c);
    stop(&s);
}
