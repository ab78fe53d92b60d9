#include "certificate.h"

#include <string.h>

/* [example] */
#include <cease/cease.h>
#include <cease/http2.h>
#include <cease/https.h>

/* What cease_http2_dial does for a table with TLS, where the connection is one's own: through a proxy, say. */
static cease_error put_on(cease_ctx *ctx, cease_tls_config *trust, cease_conn *take_conn,
                          const char *host, cease_http2_client **ret_client)
{
    cease_tls *tls = cease_tls_client(trust, take_conn, host);
    cease_error err = cease_tls_handshake(ctx, tls);
    const char *agreed = err == CEASE_OK ? cease_tls_alpn(tls) : NULL;
    if (agreed && strcmp(agreed, "h2") == 0)
        return cease_http2_client_over(cease_https(), tls, NULL, ret_client);
    cease_tls_close(tls);
    return err == CEASE_OK ? CEASE_ENOTSUP : err;
}
/* [end] */

static cease_error shake_hands(cease_ctx *ctx, void *arg)
{
    char byte;
    size_t n;
    while (cease_tls_read(ctx, arg, &byte, 1, &n) == CEASE_OK) {
    }
    return CEASE_OK;
}

TEST(example_http2_client_over)
{
    static const char *const h2[] = {"h2", NULL};
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *listener;
    cease_conn *near, *far;
    cease_tls_config *own;
    cease_http2_client *client = NULL;
    cert_names = "IP:127.0.0.1";
    make_certificate();
    CHECK_OK(cease_tls_server_new(&(cease_tls_server_opts){.size = sizeof(cease_tls_server_opts),
                                                           .certificate_file = cert_file,
                                                           .key_file = key_file,
                                                           .alpn = h2},
                                  &own));
    cease_tls_config *trust = cease_tls_client_new(&(cease_tls_client_opts){
        .size = sizeof(cease_tls_client_opts), .ca_file = cert_file, .alpn = h2});
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    CHECK_OK(cease_dial(cease_background(), address, NULL, &near));
    CHECK_OK(cease_listener_accept(cease_background(), listener, &far));
    cease_tls *server = cease_tls_server(own, far);
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, shake_hands, server));
    CHECK_OK(put_on(cease_background(), trust, near, "127.0.0.1", &client));
    CHECK(cease_http2_client_usable(client));
    cease_http2_client_close(client);
    cease_group_free(group);
    cease_tls_close(server);
    cease_listener_close(listener);
    cease_tls_config_unref(own);
    cease_tls_config_unref(trust);
    CHECK_OK(cease_runtime_stop());
    OPENSSL_cleanup(); /* what it keeps for the life of a process */
}
