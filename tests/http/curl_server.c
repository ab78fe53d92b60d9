/* curl_server.c: a server for curl_test.py: prints its address, serves until SIGTERM, logs to stderr,
 * and says at the end what it holds. */
#include "handlers.h"

static cease_error serve(cease_ctx *ctx)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *l = NULL;
    const cease_http_server_opts opts = {
        .size = sizeof opts, .grace = cease_ms(100), .body_max = 64 << 20, .log = log_to_stderr};
    cease_http_server *s = cease_http_server_new(&opts);
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
        e = cease_http_server_serve(ctx, s, l);
    }
    cease_http_server_free(s);
    return e;
}

int main(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_error e = serve(ctx);
    cease_end(stop);
    cease_error stopped = cease_runtime_stop();
    printf("served: %s, stopped: %s, contexts: %zu\n", cease_strerror(e), cease_strerror(stopped),
           cease_live_count());
    return e == CEASE_OK && stopped == CEASE_OK && cease_live_count() == 0 ? 0 : 1;
}
