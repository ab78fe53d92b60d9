#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* GET /report: shows the first line at once; the client has everything before the bookkeeping begins. */
static cease_error report(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                          void *arg)
{
    int *booked = arg;
    (void)req;
    cease_error err = cease_http_response_write(ctx, res, "working\n", 8);
    if (err == CEASE_OK)
        err = cease_http_response_flush(ctx, res);
    if (err == CEASE_OK)
        err = cease_http_response_write(ctx, res, "done\n", 5);
    if (err == CEASE_OK)
        err = cease_http_response_end(ctx, res);
    if (err == CEASE_OK)
        ++*booked;
    return err;
}
/* [end] */

TEST(example_http_response_flush)
{
    char body[256];
    int booked = 0;
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http_server_route(server, "GET", "/report", report, &booked));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/report", NULL, NULL, body), 200);
    CHECK_STR(body, "working\ndone\n");
    shown_stop(&s);
    CHECK_EQ(booked, 1);
}
