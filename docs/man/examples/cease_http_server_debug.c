#include "http_shown.h"

/* [example] */
#include <cease/http_debug.h>

/* A listener of its own for what only operators should see; the program's own server is another. */
static cease_http_server *make_debug_server(void)
{
    cease_http_server *server = cease_http_server_new(NULL);
    if (cease_http_server_debug(server, NULL) == CEASE_OK)
        return server;
    cease_http_server_free(server);
    return NULL;
}
/* [end] */

TEST(example_http_server_debug)
{
    char body[256];
    struct shown s;
    shown_start(&s, make_debug_server());
    CHECK_EQ(shown_ask(&s, "/metrics", NULL, NULL, body), 200);
    CHECK(strstr(body, "# TYPE cease_http_responses_total counter") != NULL);
    shown_stop(&s);
}
