#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* GET /rows: rows as they are made, and how many there were when that is known. */
static cease_error rows(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    const int *count = arg;
    char text[16];
    cease_error err = CEASE_OK;
    (void)req;
    for (int i = 0; i < *count && err == CEASE_OK; i++)
        err = cease_http_response_print(ctx, res, "row %d\n", i);
    snprintf(text, sizeof text, "%d", *count);
    return err == CEASE_OK ? cease_http_response_trailer(res, "X-Rows", text) : err;
}
/* [end] */

TEST(example_http_response_trailer)
{
    static int count = 2;
    char body[256];
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http_server_route(server, "GET", "/rows", rows, &count));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/rows", NULL, NULL, body), 200);
    CHECK_STR(body, "row 0\nrow 1\n");
    shown_stop(&s);
}
