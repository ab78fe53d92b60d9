#include "harness.h"
#include "served.h"

#include <string.h>

/* [example] */
#include <cease/http_client.h>
#include <cease/propagate.h>
#include <stdio.h>

/* Takes up what came over a way that is not HTTP (a queue, say), and asks under it. */
static cease_error go_on(cease_ctx *ctx, cease_http_client *client, const char *url,
                         const char *traceparent, const char *baggage)
{
    cease_trace_context trace;
    cease_ctx *full;
    char user[64];
    cease_error err = cease_trace_parse(traceparent, NULL, &trace);
    if (err != CEASE_OK)
        return err;
    cease_ctx *traced = cease_with_trace(ctx, &trace);
    err = cease_with_baggage(traced, baggage, &full);
    cease_unref(traced);
    if (err != CEASE_OK)
        return err;
    if (cease_baggage_value(full, "user", user, sizeof user, NULL) == CEASE_OK)
        printf("for %s, all of it: %s\n", user, cease_baggage_from_context(full));
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_reply reply = {0};
    err = cease_http_client_do(full, client, &call, &reply);
    cease_http_reply_deinit(&reply);
    cease_unref(full);
    return err;
}
/* [end] */

TEST(example_with_baggage)
{
    const char *url = served_start();
    cease_http_client *client = cease_http_client_new(NULL);
    CHECK_OK(go_on(cease_background(), client, url,
                   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "user=anna%20b"));
    CHECK_STR(served_baggage(), "user=anna%20b");
    CHECK_ERR(go_on(cease_background(), client, url, "00-0", ""), CEASE_EPARSE);
    cease_http_client_free(client);
    served_stop();
}
