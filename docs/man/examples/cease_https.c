#include "certificate.h"

#include <string.h>

/* [example] */
#include <cease/cease.h>
#include <cease/http2.h>
#include <cease/https.h>
#include <stdio.h>

/* Serves HTTP/1.1 and HTTP/2 on one listener, over TLS: the client chooses. */
static cease_error serve_tls(cease_ctx *ctx, cease_http_server *server, cease_listener *listener,
                             const char *certificate, const char *key)
{
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = certificate, .key_file = key, .alpn = protocols};
    cease_tls_config *own;
    cease_error err = cease_tls_server_new(&opts, &own);
    if (err != CEASE_OK) {
        cease_listener_close(listener);
        return err;
    }
    err = cease_http_server_serve_tls(ctx, server, listener, cease_https_server(), own);
    cease_tls_config_unref(own);
    return err;
}

/* Asks over HTTP/2 where the server chooses it, else over HTTP/1.1; `trust` offers both. */
static cease_error ask(cease_ctx *ctx, const char *url, cease_tls_config *trust)
{
    char why[200] = "";
    const cease_http_client_opts opts = {
        .size = sizeof opts, .tls = cease_https(), .tls_arg = trust, .multiplex = cease_http2()};
    const cease_http_call call = {
        .size = sizeof call, .url = url, .why = why, .why_size = sizeof why};
    cease_http_reply reply = {0};
    cease_http_client *client = cease_http_client_new(&opts); /* keep it: it has connections */
    cease_error err = cease_http_client_do(ctx, client, &call, &reply);
    cease_http_client_free(client);
    if (err == CEASE_ETLS)
        fprintf(stderr, "%s: %s\n", url, why);
    else if (err == CEASE_OK)
        printf("%d %s\n", reply.status, reply.body);
    cease_http_reply_deinit(&reply);
    return err;
}
/* [end] */

struct serving {
    cease_http_server *server;
    cease_listener *listener;
};

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "hello", 5);
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct serving *s = arg;
    return serve_tls(ctx, s->server, s->listener, cert_file, key_file);
}

TEST(example_https)
{
    static const char *const h2[] = {"h2", "http/1.1", NULL};
    static const char *const old[] = {"http/1.1", NULL};
    struct serving s = {.server = cease_http_server_new(NULL)};
    char address[CEASE_ADDRESS_SIZE], url[CEASE_ADDRESS_SIZE + 20];
    cert_names = "IP:127.0.0.1";
    make_certificate();
    CHECK_OK(cease_http2_enable(s.server, NULL));
    CHECK_OK(cease_http_server_route(s.server, "GET", "/", hello, NULL));
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &s.listener));
    CHECK_OK(cease_listener_address(s.listener, address, sizeof address));
    snprintf(url, sizeof url, "https://%s/", address);
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve, &s));
    cease_tls_config *trust = cease_tls_client_new(&(cease_tls_client_opts){
        .size = sizeof(cease_tls_client_opts), .ca_file = cert_file, .alpn = h2});
    cease_tls_config *plain = cease_tls_client_new(&(cease_tls_client_opts){
        .size = sizeof(cease_tls_client_opts), .ca_file = cert_file, .alpn = old});
    cease_tls_config *nobody = cease_tls_client_new(NULL);
    CHECK_OK(ask(cease_background(), url, trust));
    CHECK_OK(ask(cease_background(), url, plain)); /* it offers no "h2" */
    CHECK_ERR(ask(cease_background(), url, nobody), CEASE_ETLS);
    cease_group_free(group);
    cease_http_server_free(s.server);
    cease_tls_config_unref(trust);
    cease_tls_config_unref(plain);
    cease_tls_config_unref(nobody);
    CHECK_OK(cease_runtime_stop());
    OPENSSL_cleanup(); /* what it keeps for the life of a process */
}
