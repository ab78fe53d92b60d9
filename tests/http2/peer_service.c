/* peer_service.c: a server for the tests with real peers. */
#include "peer_service.h"

#include "../http/handlers.h"

#include <cease/cease.h>
#include <cease/http2.h>
#include <stdio.h>

static cease_error serve(cease_ctx *ctx, peer_serve_fn *fn, void *arg)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *l = NULL;
    const cease_http_server_opts opts = {
        .size = sizeof opts, .grace = cease_ms(100), .body_max = 64 << 20, .log = log_to_stderr};
    cease_http_server *s = cease_http_server_new(&opts);
    cease_http2_enable(s, NULL);
    cease_http_server_route(s, "GET", "/hello", handle_hello, NULL);
    cease_http_server_route(s, "GET", "/wait", handle_wait, NULL);
    cease_http_server_route(s, NULL, "/echo", handle_echo, NULL);
    cease_error e = cease_listen(ctx, "127.0.0.1:0", NULL, &l);
    if (e == CEASE_OK) {
        e = cease_listener_address(l, address, sizeof address);
    }
    if (e == CEASE_OK) {
        printf("%s\n", address);
        fflush(stdout);
        e = fn(ctx, s, l, arg);
    }
    cease_http_server_free(s);
    return e;
}

int peer_service_run(peer_serve_fn *fn, void *arg)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_error e = serve(ctx, fn, arg);
    cease_end(stop);
    cease_error stopped = cease_runtime_stop();
    printf("served: %s, stopped: %s, contexts: %zu\n", cease_strerror(e), cease_strerror(stopped),
           cease_live_count());
    return e == CEASE_OK && stopped == CEASE_OK && cease_live_count() == 0 ? 0 : 1;
}
