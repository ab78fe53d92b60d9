#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* POST /sum: adds up the body's bytes as they come; a sum that the client sent as a trailer must agree. */
static cease_error sum(cease_ctx *ctx, cease_http_request *req, cease_http_response *res, void *arg)
{
    unsigned char buf[4096];
    unsigned total = 0;
    size_t count;
    cease_error err;
    (void)arg;
    while ((err = cease_http_request_read(ctx, req, buf, sizeof buf, &count)) == CEASE_OK)
        for (size_t i = 0; i < count; i++)
            total += buf[i];
    if (err != CEASE_EOF)
        return err; /* too large, too slow, malformed, cut off: the server knows what to answer */
    const char *claimed = cease_http_request_trailer(req, "X-Sum");
    if (claimed && strtoul(claimed, NULL, 10) != total)
        return cease_http_response_status(res, 422);
    return cease_http_response_print(ctx, res, "%u\n", total);
}
/* [end] */

TEST(example_http_request_read)
{
    char body[256];
    struct shown s;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(cease_http_server_route(server, "POST", "/sum", sum, NULL));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/sum", NULL, "ab", body), 200);
    CHECK_STR(body, "195\n");
    shown_stop(&s);
}
