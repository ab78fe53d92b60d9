#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* Lets only one administrator in: with the server's client_ca_file, TLS has proved who the client is. */
static cease_error restart(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    const char *subject = cease_http_request_subject(req);
    (void)arg;
    if (!subject || strcmp(subject, "CN=admin,O=Example") != 0)
        return cease_http_response_status(res, 403);
    return cease_http_response_print(ctx, res, "as you wish\n");
}
/* [end] */

TEST(example_http_request_subject)
{
    char body[256];
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http_server_route(server, "POST", "/restart", restart, NULL));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/restart", NULL, "now", body), 403); /* there is no TLS */
    shown_stop(&s);
}
