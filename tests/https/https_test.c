/* https_test.c: out to break the HTTP client over TLS: connections that are kept, certificates that are for
 * somebody else, servers that cut the stream. The certificate is made here. */
#include "certificate.h"

#include <cease/cease.h>
#include <cease/https.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cease_ctx *root(void)
{
    return cease_background();
}

/* A TLS server that answers each request on each connection with `text`, then closes if `cut`. */
struct server {
    cease_listener *listener;
    cease_tls_config *config;
    cease_group *group;
    const char *text;
    bool cut;
    int connections, requests;        /* atomic */
    char address[CEASE_ADDRESS_SIZE]; /* asked for by number: a resolver keeps memory */
    char url[CEASE_ADDRESS_SIZE + 16];
};

struct serving {
    struct server *s;
    cease_conn *c;
};

static cease_error hear(cease_ctx *ctx, cease_tls *t)
{
    char text[4096];
    size_t size = 0;
    text[0] = '\0';
    while (!strstr(text, "\r\n\r\n")) {
        size_t n = 0;
        cease_error e = cease_tls_read(ctx, t, text + size, sizeof text - 1 - size, &n);
        if (e != CEASE_OK) {
            return e;
        }
        size += n;
        text[size] = '\0';
    }
    return CEASE_OK;
}

static cease_error serve_one(cease_ctx *ctx, void *arg)
{
    struct serving s = *(struct serving *)arg;
    free(arg);
    cease_tls *t = cease_tls_server(s.s->config, s.c);
    while (hear(ctx, t) == CEASE_OK) {
        __atomic_add_fetch(&s.s->requests, 1, __ATOMIC_SEQ_CST);
        cease_tls_write(ctx, t, s.s->text, strlen(s.s->text), NULL);
        if (s.s->cut) {
            break;
        }
    }
    cease_tls_close(t);
    return CEASE_OK;
}

static cease_error accept_all(cease_ctx *ctx, void *arg)
{
    struct server *s = arg;
    cease_conn *c;
    while (cease_listener_accept(ctx, s->listener, &c) == CEASE_OK) {
        struct serving *one = malloc(sizeof *one);
        CHECK(one != NULL);
        *one = (struct serving){s, c};
        __atomic_add_fetch(&s->connections, 1, __ATOMIC_SEQ_CST);
        CHECK_OK(cease_group_go(s->group, serve_one, one));
    }
    return CEASE_OK;
}

static void server_start(struct server *s, const char *text)
{
    static const cease_group_opts supervise = {.size = sizeof supervise, .supervise = true};
    *s = (struct server){.text = text};
    make_certificate();
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = cert_file, .key_file = key_file};
    CHECK_OK(cease_tls_server_new(&opts, &s->config));
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &s->listener));
    CHECK_OK(cease_listener_address(s->listener, s->address, sizeof s->address));
    snprintf(s->url, sizeof s->url, "https://localhost%s/", strchr(s->address, ':'));
    s->group = cease_group_new(root(), &supervise);
    CHECK_OK(cease_group_go(s->group, accept_all, s));
}

static void server_stop(struct server *s)
{
    cease_group_free(s->group);
    cease_listener_close(s->listener);
    cease_tls_config_unref(s->config);
    CHECK_OK(cease_runtime_stop()); /* OpenSSL frees what it keeps for a thread when it ends */
    OPENSSL_cleanup();              /* what it keeps for the life of a process */
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static struct server server;

static cease_error get(cease_http_client *c, const char *url, cease_http_reply *ret)
{
    const cease_http_call call = {.size = sizeof call, .url = url, .address = server.address};
    return cease_http_client_do(root(), c, &call, ret);
}

static cease_http_client *client_new(cease_tls_config *trust)
{
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .tls = cease_https(), .tls_arg = trust};
    cease_http_client *c = cease_http_client_new(&opts);
    CHECK(c != NULL);
    return c;
}

TEST(calls_overTls_useOneConnection)
{
    server_start(&server, ok);
    const cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = cert_file};
    cease_tls_config *trust = cease_tls_client_new(&opts);
    cease_http_client *c = client_new(trust);
    for (int i = 0; i < 3; i++) {
        cease_http_reply reply = {0};
        CHECK_OK(get(c, server.url, &reply));
        CHECK_STR(reply.body, "ok");
        cease_http_reply_deinit(&reply);
    }
    CHECK_EQ(__atomic_load_n(&server.connections, __ATOMIC_SEQ_CST), 1);
    cease_http_client_free(c);
    cease_tls_config_unref(trust);
    server_stop(&server);
}

static void check_refused(cease_http_client *c, const char *url, const char *want)
{
    char why[100] = "before";
    char small[5];
    cease_http_reply reply = {0};
    cease_http_call call = {.size = sizeof call,
                            .url = url,
                            .address = server.address,
                            .why = why,
                            .why_size = sizeof why};
    CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_ETLS);
    CHECK(strstr(why, want) != NULL);
    call.why = small;
    call.why_size = sizeof small;
    CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_ETLS);
    CHECK_EQ(strlen(small), 4);
    call.why = NULL;
    CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_ETLS);
}

TEST(certificate_ofSomebodyElseOrNobody_isRefused)
{
    char url[200];
    server_start(&server, ok);
    const cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = cert_file};
    cease_tls_config *trust = cease_tls_client_new(&opts);
    cease_tls_config *nobody = cease_tls_client_new(NULL);
    snprintf(url, sizeof url, "https://127.0.0.1%s", strrchr(server.url, ':'));
    cease_http_client *c = client_new(trust);
    check_refused(c, url, "mismatch: it is for localhost");
    cease_http_client_free(c);
    c = client_new(nobody);
    check_refused(c, server.url, "certificate: self");
    cease_http_client_free(c);
    CHECK_EQ(__atomic_load_n(&server.requests, __ATOMIC_SEQ_CST), 0);
    cease_tls_config_unref(trust);
    cease_tls_config_unref(nobody);
    server_stop(&server);
}

TEST(answer_thatEndsWithoutGoodbye_isCutOff)
{
    cease_http_reply reply = {0};
    server_start(&server, "HTTP/1.0 200 OK\r\n\r\nall of it?");
    server.cut = true;
    const cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = cert_file};
    cease_tls_config *trust = cease_tls_client_new(&opts);
    cease_http_client *c = client_new(trust);
    CHECK_ERR(get(c, server.url, &reply), CEASE_ETLS); /* RFC 9112, 9.8 */
    server.text = ok;
    for (int i = 0; i < 3; i++) { /* each on a connection of its own: the server closes them */
        CHECK_OK(get(c, server.url, &reply));
        cease_http_reply_deinit(&reply);
        cease_http_client_counts counts;
        do {
            cease_yield();
            cease_http_client_count(c, &counts);
        } while (counts.idle + counts.busy > 0);
    }
    cease_http_client_free(c);
    cease_tls_config_unref(trust);
    server_stop(&server);
}

TEST(body_largeAndSentByAFunction_goesFirst)
{
    enum { SIZE = 300 * 1000 };
    char *body = calloc(1, SIZE);
    cease_http_reply reply = {0};
    CHECK(body != NULL);
    server_start(&server, ok);
    const cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = cert_file};
    cease_tls_config *trust = cease_tls_client_new(&opts);
    cease_http_client *c = client_new(trust);
    const cease_http_call call = {.size = sizeof call,
                                  .url = server.url,
                                  .address = server.address,
                                  .body = body,
                                  .body_size = SIZE};
    /* it answers after the head and then takes the body for garbage: any outcome but a hang */
    cease_error e = cease_http_client_do(root(), c, &call, &reply);
    CHECK(e == CEASE_OK || e == CEASE_ECONNRESET || e == CEASE_EPIPE || e == CEASE_ETLS);
    cease_http_reply_deinit(&reply);
    free(body);
    cease_http_client_free(c);
    cease_tls_config_unref(trust);
    server_stop(&server);
}
