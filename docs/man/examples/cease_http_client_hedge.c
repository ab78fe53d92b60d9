#include "harness.h"
#include "served.h"

/* [example] */
#include <cease/http_client.h>
#include <stdio.h>

/* Asks a replica, and after 20 ms without an answer the other one as well. */
static cease_error ask_either(cease_ctx *ctx, cease_http_client *client, const char *one,
                              const char *other)
{
    const cease_http_call calls[] = {{.size = sizeof *calls, .url = one},
                                     {.size = sizeof *calls, .url = other}};
    cease_http_reply reply = {0};
    size_t index;
    cease_error err = cease_http_client_hedge(ctx, client, calls, 2, cease_ms(20), &reply, &index);
    if (err == CEASE_OK)
        printf("replica %zu says %s\n", index, reply.body);
    cease_http_reply_deinit(&reply);
    return err;
}
/* [end] */

TEST(example_http_client_hedge)
{
    const char *url = served_start();
    cease_http_client *client = cease_http_client_new(NULL);
    CHECK_OK(ask_either(cease_background(), client, "http://127.0.0.1:1/", url));
    cease_http_client_free(client);
    served_stop();
}
