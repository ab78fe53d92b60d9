#include "harness.h"
#include "served.h"

/* [example] */
#include <cease/http_client.h>
#include <stdio.h>

/* One request, on a connection of its own: enough for a tool. */
static cease_error look_up(cease_ctx *ctx, const char *base, const char *word)
{
    static const cease_http_header headers[] = {{"Accept", "text/plain"}, {NULL, NULL}};
    char url[400], quoted[200];
    cease_http_reply reply = {0};
    cease_error err = cease_http_encode(word, quoted, sizeof quoted);
    if (err != CEASE_OK)
        return err;
    snprintf(url, sizeof url, "%s?q=%s", base, quoted);
    err = cease_http_get(ctx, url, headers, &reply);
    if (err == CEASE_OK) {
        const char *type = cease_http_reply_header(&reply, "Content-Type");
        printf("%d, %s: %s\n", reply.status, type ? type : "of no type", reply.body);
    }
    cease_http_reply_deinit(&reply);
    return err;
}

/* The same with another method and a body. */
static cease_error store(cease_ctx *ctx, const char *url, const char *text, size_t size)
{
    const cease_http_call call = {
        .size = sizeof call, .method = "PUT", .url = url, .body = text, .body_size = size};
    cease_http_reply reply = {0};
    cease_error err = cease_http_do(ctx, &call, &reply);
    if (err == CEASE_OK && reply.status >= 300)
        err = CEASE_EPROTO; /* any status is an answer: what it means is for us to say */
    cease_http_reply_deinit(&reply);
    return err;
}
/* [end] */

TEST(example_http_get)
{
    const char *url = served_start();
    CHECK_OK(look_up(cease_background(), url, "two words"));
    CHECK_OK(store(cease_background(), url, "text", 4));
    served_stop();
}
