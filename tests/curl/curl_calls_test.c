/*
 * Breaks the curl adapter by letting each system call fail in turn, curl's among them: any error is right, but the
 * call returns, and nothing is left behind.
 */
#include "calls.h"
#include "curl_common.h"

SERVERS("nginx");

static cease_error scenario(cease_ctx *ctx, void *arg)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_curl_body body = {0};
    (void)arg;
    cease_error e = CEASE_OK;
    for (int i = 0; i < 2 && e == CEASE_OK; i++) {
        e = cease_curl_get(ctx, client, url_of("/files/big"), 2 << 20, &body);
        if (e == CEASE_OK)
            CHECK_EQ(body.size, 1 << 20);
        cease_curl_body_deinit(&body);
    }
    cease_curl_free(client);
    return e;
}

TEST(each_failing_system_call_is_an_error_and_leaves_nothing)
{
    warm_up();
    each_system_call_fails(scenario, NULL);
}
