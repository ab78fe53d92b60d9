#include "http_shown.h"

/* [example] */
#include <cease/http.h>

/* Waits for news of what the client has seen last; says 204 when there is none in time. */
static cease_error poll_news(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    const char *news;
    (void)req;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *shorter = cease_with_timeout(ctx, cease_ms(20), &stop);
    cease_error err = cease_chan_recv(shorter, arg, &news);
    if (err == CEASE_EDEADLINE && !cease_done(ctx)) /* that was our own limit, not the request's */
        return cease_http_response_status(res, 204);
    return err == CEASE_OK ? cease_http_response_print(ctx, res, "%s\n", news) : err;
}

static cease_error add_news(cease_http_server *server, cease_chan *news)
{
    const cease_http_route route = {.size = sizeof route,
                                    .method = "GET",
                                    .pattern = "/news",
                                    .fn = poll_news,
                                    .arg = news,
                                    .request_timeout = cease_min(2), /* not the server's 30 s */
                                    .half_closed = true};
    return cease_http_server_add(server, &route);
}

/* Whether the server has nothing to do, for a script that waits before it stops it. */
static bool is_quiet(cease_http_server *server)
{
    cease_http_server_counts counts;
    cease_http_server_count(server, &counts);
    return counts.requests == 0 && counts.queued == 0;
}
/* [end] */

TEST(example_http_server_add)
{
    char body[256];
    struct shown s;
    const char *text = "it rains";
    cease_chan *news = cease_chan_new(sizeof text, 1);
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(add_news(server, news));
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/news", NULL, NULL, body), 204);
    CHECK_OK(cease_chan_try_send(news, &text));
    CHECK_EQ(shown_ask(&s, "/news", NULL, NULL, body), 200);
    CHECK_STR(body, "it rains\n");
    CHECK_EVENTUALLY(is_quiet(server));
    shown_stop(&s);
    cease_chan_unref(news);
}
