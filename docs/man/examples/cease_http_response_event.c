#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* GET /ticks: one event a tick, as long as somebody listens. */
static cease_error ticks(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    char text[32];
    unsigned count = 0;
    (void)req;
    (void)arg;
    for (;;) {
        snprintf(text, sizeof text, "%u", ++count);
        cease_error err = cease_http_response_event(ctx, res, "tick", text, text);
        if (err == CEASE_OK)
            err = cease_sleep(ctx, cease_ms(1));
        if (err != CEASE_OK)
            return err; /* the client has gone, or the server stops */
    }
}

static cease_error add_ticks(cease_http_server *server)
{
    const cease_http_route route = {.size = sizeof route,
                                    .method = "GET",
                                    .pattern = "/ticks",
                                    .fn = ticks,
                                    .request_timeout = CEASE_FOREVER};
    return cease_http_server_add(server, &route);
}
/* [end] */

TEST(example_http_response_event)
{
    static const char request[] = "GET /ticks HTTP/1.0\r\n\r\n";
    char text[2048] = "";
    size_t size = 0, n;
    struct shown s;
    cease_conn *conn;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(add_ticks(server));
    shown_start(&s, server);
    CHECK_OK(cease_dial(cease_background(), s.address, NULL, &conn));
    CHECK_OK(cease_conn_write(cease_background(), conn, request, sizeof request - 1, NULL));
    while (!strstr(text, "\n\nevent: tick\nid: 2\ndata: 2\n\n")) {
        CHECK_OK(
            cease_conn_read(cease_background(), conn, text + size, sizeof text - 1 - size, &n));
        text[size += n] = '\0';
    }
    cease_conn_close(conn);
    shown_stop(&s);
}
