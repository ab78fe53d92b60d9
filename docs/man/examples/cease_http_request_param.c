#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* GET /doc/{backend}/{id}?from=…: says back what was asked. */
static cease_error show(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char from[32];
    const char *name, *value;
    (void)arg;
    cease_error err = cease_http_request_query_value(req, "from", from, sizeof from, NULL);
    if (err == CEASE_ERANGE || err == CEASE_EPARSE)
        return cease_http_response_status(res, 400);
    err = cease_http_response_print(
        ctx, res, "%s of %s from %s: %s, sent as %s?%s\n", cease_http_request_param(req, "id"),
        cease_http_request_param(req, "backend"), err == CEASE_OK ? from : "anywhere",
        cease_http_request_path(req), cease_http_request_target(req),
        cease_http_request_query(req));
    for (size_t i = 0; err == CEASE_OK && cease_http_request_header_at(req, i, &name, &value); i++)
        if (name[0] == 'X')
            err = cease_http_response_print(ctx, res, "%s: %s\n", name, value);
    if (err == CEASE_OK && cease_http_request_header(req, "X-Who-Asks"))
        err = cease_http_response_print(ctx, res, "%s by %s\n", cease_http_request_method(req),
                                        cease_http_request_peer(req));
    return err;
}
/* [end] */

TEST(example_http_request_param)
{
    static const cease_http_header headers[] = {{"X-Who-Asks", "?"}, {0}};
    char body[256];
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http_server_route(server, "GET", "/doc/{backend}/{id}", show, NULL));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/doc/man/a%20b?from=x+y", headers, NULL, body), 200);
    CHECK(strstr(body, "a b of man from x y: /doc/man/a b, sent as /doc/man/a%20b?from=x+y?") ==
          body);
    CHECK(strstr(body, "X-Who-Asks: ?\nGET by 127.0.0.1:") != NULL);
    shown_stop(&s);
}
