/* tls_server.c: peer_service.h over TLS, where the client chooses between HTTP/2 and HTTP/1.1.
 *
 *     tls_server CERTIFICATE_FILE KEY_FILE
 */
#include "peer_service.h"

#include <cease/https.h>

static cease_error serve(cease_ctx *ctx, cease_http_server *s, cease_listener *take_listener,
                         void *arg)
{
    return cease_http_server_serve_tls(ctx, s, take_listener, cease_https_server(), arg);
}

int main(int argc, char **argv)
{
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    cease_tls_config *own = NULL;
    if (argc != 3) {
        return 2;
    }
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = argv[1], .key_file = argv[2], .alpn = protocols};
    if (cease_tls_server_new(&opts, &own) != CEASE_OK) {
        return 1;
    }
    int status = peer_service_run(serve, own);
    cease_tls_config_unref(own);
    return status;
}
