/* peer_server.c: a gRPC server for the test with another implementation: prints its address, serves until
 * SIGTERM, logs to stderr, and says at the end what it holds. */
#include "service.h"

#include <cease/cease.h>
#include <stdio.h>

static void on_log(const cease_http_log_entry *entry, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s %d %s\n", entry->target, entry->status, entry->cause_text);
}

static cease_error serve(cease_ctx *ctx)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *l = NULL;
    const cease_http_server_opts opts = {
        .size = sizeof opts, .grace = cease_ms(100), .log = on_log};
    cease_http_server *s = cease_http_server_new(&opts);
    cease_error e = cease_http2_enable(s, NULL);
    e = e == CEASE_OK ? service_add(s) : e;
    e = e == CEASE_OK ? cease_listen(ctx, "127.0.0.1:0", NULL, &l) : e;
    e = e == CEASE_OK ? cease_listener_address(l, address, sizeof address) : e;
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
