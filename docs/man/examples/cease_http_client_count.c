#include "harness.h"
#include "served.h"

/* [example] */
#include <cease/http_client.h>
#include <inttypes.h>
#include <stdio.h>

/* A line for a status page; then lets go of what is idle, before a pause say. */
static void report_and_rest(cease_http_client *client)
{
    cease_http_client_counts n;
    cease_http_client_count(client, &n);
    printf("%" PRIu64 " calls, %" PRIu64 " dials, %u idle\n", n.calls_total, n.dials_total, n.idle);
    cease_http_client_close_idle(client);
}

/* Prints what a server says of itself. */
static cease_error print_head(cease_ctx *ctx, cease_http_client *client, const char *url)
{
    const cease_http_call call = {.size = sizeof call, .method = "HEAD", .url = url};
    cease_http_answer *answer;
    cease_error err = cease_http_client_open(ctx, client, &call, &answer);
    if (err != CEASE_OK)
        return err;
    const char *name, *value;
    for (size_t i = 0; cease_http_answer_header_at(answer, i, &name, &value); i++)
        printf("%s: %s\n", name, value);
    cease_http_answer_close(answer);
    return CEASE_OK;
}
/* [end] */

TEST(example_http_client_count)
{
    const char *url = served_start();
    cease_http_client *client = cease_http_client_new(NULL);
    cease_http_client_counts counts;
    CHECK_OK(print_head(cease_background(), client, url));
    report_and_rest(client);
    CHECK_EVENTUALLY((cease_http_client_count(client, &counts), counts.idle == 0));
    cease_http_client_free(client);
    served_stop();
}
