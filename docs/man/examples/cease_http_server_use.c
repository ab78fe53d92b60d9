#include "http_shown.h"

/* [example] */
#include <cease/http.h>
#include <string.h>

static cease_key user_key = CEASE_KEY("user");

/* Around every handler: who is it? Nobody comes through without a name, and nobody gets more than 5 s. */
static cease_error only_known(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                              const cease_http_next *next, void *arg)
{
    const char *token = cease_http_request_header(req, "Authorization");
    if (!token || strcmp(token, arg) != 0)
        return cease_http_response_status(res, 401);
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *limited = cease_with_timeout(ctx, cease_sec(5), &stop);
    CEASE_AUTO_UNREF cease_ctx *with = cease_with_value(limited, &user_key, "ann");
    return cease_http_next_call(with, next, req, res);
}

static cease_error whoami(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                          void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_print(ctx, res, "%s\n", (const char *)cease_value(ctx, &user_key));
}

static cease_error add_all(cease_http_server *server, char *secret)
{
    cease_error err = cease_http_server_use(server, only_known, secret);
    return err == CEASE_OK ? cease_http_server_route(server, "GET", "/me", whoami, NULL) : err;
}
/* [end] */

TEST(example_http_server_use)
{
    static char secret[] = "Bearer 1";
    static const cease_http_header known[] = {{"Authorization", "Bearer 1"}, {0}};
    char body[256];
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(add_all(server, secret));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/me", known, NULL, body), 200);
    CHECK_STR(body, "ann\n");
    CHECK_EQ(shown_ask(&s, "/me", NULL, NULL, body), 401);
    shown_stop(&s);
}
