/* peer_server.c: peer_service.h without TLS. */
#include "peer_service.h"

static cease_error serve(cease_ctx *ctx, cease_http_server *s, cease_listener *take_listener,
                         void *arg)
{
    (void)arg;
    return cease_http_server_serve(ctx, s, take_listener);
}

int main(void)
{
    return peer_service_run(serve, NULL);
}
