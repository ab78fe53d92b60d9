#include "curl_common.h"

/* [example] */
#include <cease/curl.h>
#include <stdio.h>

static cease_error print_page(cease_ctx *ctx, cease_curl *client, const char *url)
{
    cease_curl_body body;
    cease_error err = cease_curl_get(ctx, client, url, 1 << 20, &body);
    if (err != CEASE_OK)
        return err;
    printf("%ld %s\n%s", body.response.status, body.response.type, body.data);
    cease_curl_body_deinit(&body);
    return CEASE_OK;
}
/* [end] */

TEST(example_curl_get)
{
    warm_up();
    cease_curl *client = cease_curl_new(NULL);
    CHECK_OK(print_page(cease_background(), client, url_of("/hello")));
    cease_curl_free(client);
}
