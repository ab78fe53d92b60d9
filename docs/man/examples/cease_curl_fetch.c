#include "curl_common.h"

SERVERS("nginx");

/* [example] */
#include <cease/curl.h>
#include <stdio.h>

static cease_error print(const void *data, size_t size, void *arg)
{
    fwrite(data, 1, size, arg);
    return CEASE_OK;
}

/* The body goes to `out` as it comes; when ctx ends in between, nothing more is written. */
static cease_error download(cease_ctx *ctx, const char *url, FILE *out)
{
    char message[256];
    const char *const headers[] = {"Accept: text/plain", NULL};
    cease_curl *client = cease_curl_new(NULL); /* one for the whole program, usually */
    cease_curl_request request = {.size = sizeof request,
                                  .url = url,
                                  .headers = headers,
                                  .follow = true,
                                  .sink = print,
                                  .arg = out,
                                  .message = message,
                                  .message_size = sizeof message};
    cease_curl_response response;
    cease_error err = cease_curl_fetch(ctx, client, &request, &response);
    if (err != CEASE_OK)
        fprintf(stderr, "%s: %s\n", url, message);
    else
        fprintf(stderr, "%s: %ld, %lld bytes\n", url, response.status,
                (long long)response.received);
    cease_curl_free(client);
    return err;
}
/* [end] */

TEST(example_curl_fetch)
{
    warm_up();
    CHECK_OK(download(cease_background(), url_of("/hello"), stdout));
    CHECK_ERR(download(cease_background(), "http://127.0.0.1:1/", stdout), CEASE_ECONNREFUSED);
}
