#include "harness.h"
#include "served.h"

/* [example] */
#include <cease/http_client.h>
#include <stdio.h>

/* Says how long a page is. The client is the program's only one; ctx says how long this may take. */
static cease_error say_length(cease_ctx *ctx, cease_http_client *client, const char *url)
{
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_reply reply = {0};
    cease_error err = cease_http_client_do(ctx, client, &call, &reply);
    if (err == CEASE_OK)
        printf("%s: %d, %zu bytes\n", url, reply.status, reply.body_size);
    cease_http_reply_deinit(&reply);
    return err;
}

/* Two pages, over one connection. */
static cease_error say_both(cease_ctx *ctx, const char *first, const char *second)
{
    cease_http_client *client = cease_http_client_new(NULL);
    cease_error err = say_length(ctx, client, first);
    if (err == CEASE_OK)
        err = say_length(ctx, client, second);
    cease_http_client_free(client);
    return err;
}
/* [end] */

TEST(example_http_client_do)
{
    const char *url = served_start();
    CHECK_OK(say_both(cease_background(), url, url));
    served_stop();
}
