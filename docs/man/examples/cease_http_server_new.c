#include "http_shown.h"

/* [example] */
#include <cease/http.h>

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    cease_error err = cease_http_response_header(res, "Content-Type", "text/plain");
    return err == CEASE_OK ? cease_http_response_write(ctx, res, "Hello, world\n", 13) : err;
}

/* Serves until ctx ends, then lets what runs finish for two seconds. */
static cease_error serve_hello(cease_ctx *ctx, const char *address)
{
    const cease_http_server_opts opts = {.size = sizeof opts, .grace = cease_sec(2)};
    cease_http_server *server = cease_http_server_new(&opts);
    cease_listener *listener;
    cease_error err = cease_http_server_route(server, "GET", "/hello", hello, NULL);
    if (err == CEASE_OK)
        err = cease_listen(ctx, address, NULL, &listener);
    if (err == CEASE_OK)
        err = cease_http_server_serve(ctx, server, listener); /* consumes the listener */
    cease_http_server_free(server);
    return err;
}
/* [end] */

TEST(example_http_server_new)
{
    char body[256];
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http_server_route(server, "GET", "/hello", hello, NULL));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/hello", NULL, NULL, body), 200);
    CHECK_STR(body, "Hello, world\n");
    shown_stop(&s);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    CHECK_OK(serve_hello(ctx, "127.0.0.1:0"));
    cease_end(stop);
}
