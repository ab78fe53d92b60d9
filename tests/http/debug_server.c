/* SPDX-License-Identifier: MIT
 *
 * debug_server.c: a server with /metrics and /debug/cease, for debug_test.py: says its address, serves
 * until SIGTERM.
 */
#include <cease/cease.h>
#include <cease/http.h>
#include <cease/http_debug.h>
#include <stdio.h>
#include <string.h>

static cease_error waits_for_its_end(cease_ctx *ctx, cease_http_request *req,
                                     cease_http_response *res, void *arg)
{
    (void)req;
    (void)res;
    (void)arg;
    return cease_sleep(ctx, cease_hour(1));
}

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_print(ctx, res, "hello\n");
}

int main(int argc, char **argv)
{
    cease_canceler *stop;
    cease_listener *listener;
    char address[CEASE_ADDRESS_SIZE];
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_http_server *s = cease_http_server_new(
        &(cease_http_server_opts){.size = sizeof(cease_http_server_opts), .grace = cease_ns(-1)});
    cease_http_debug_opts opts = {.size = sizeof opts,
                                  .anywhere = argc > 1 && strcmp(argv[1], "anywhere") == 0};
    if (cease_http_server_debug(s, &opts) != CEASE_OK ||
        cease_http_server_debug(s, &opts) != CEASE_EEXIST ||
        cease_http_server_route(s, "GET", "/wait", waits_for_its_end, NULL) != CEASE_OK ||
        cease_http_server_route(s, "GET", "/hello", hello, NULL) != CEASE_OK ||
        cease_listen(ctx, "127.0.0.1:0", NULL, &listener) != CEASE_OK ||
        cease_listener_address(listener, address, sizeof address) != CEASE_OK) {
        return 1;
    }
    puts(address);
    fflush(stdout);
    cease_error e = cease_http_server_serve(ctx, s, listener);
    cease_http_server_free(s);
    cease_end(stop);
    while (cease_runtime_stop() == CEASE_EBUSY) { /* a task may be about to be gone */
    }
    return e == CEASE_OK && cease_live_count() == 0 ? 0 : 1;
}
