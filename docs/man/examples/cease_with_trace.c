#include "harness.h"
#include "served.h"

/* [example] */
#include <cease/http_client.h>
#include <cease/propagate.h>
#include <stdio.h>
#include <string.h>

/* Asks under a new span of the trace that ctx carries, or of a new trace, and says whose request it is. */
static cease_error ask_traced(cease_ctx *ctx, cease_http_client *client, const char *url,
                              const char *user)
{
    cease_trace_context span;
    char text[CEASE_TRACEPARENT_SIZE];
    cease_trace_child(cease_trace_from_context(ctx), &span);
    cease_trace_format(&span, text);
    printf("span %s\n", text);
    cease_ctx *traced = cease_with_trace(ctx, &span);
    cease_ctx *named;
    cease_error err = cease_with_baggage_member(traced, "user", user, &named);
    cease_unref(traced);
    if (err != CEASE_OK)
        return err;
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_reply reply = {0};
    err = cease_http_client_do(named, client, &call, &reply); /* sends traceparent and baggage */
    cease_http_reply_deinit(&reply);
    cease_unref(named);
    return err;
}
/* [end] */

TEST(example_with_trace)
{
    const char *url = served_start();
    cease_http_client *client = cease_http_client_new(NULL);
    CHECK_OK(ask_traced(cease_background(), client, url, "anna"));
    CHECK_STR(served_baggage(), "user=anna");
    cease_http_client_free(client);
    served_stop();
}
