/* SPDX-License-Identifier: MIT
 *
 * Fetches a quick URL and a slow one at the same time, with half a second for both: the slow one's transfer is
 * over, its connection closed, when the call returns.
 *
 *     example-curl-many http://quick/ http://slow/
 */
#include <cease/cease.h>
#include <cease/curl.h>
#include <stdio.h>

struct download {
    cease_curl *client;
    const char *url;
    long long bytes;
    cease_error err;
};

static cease_error count(const void *data, size_t size, void *arg)
{
    struct download *d = arg;
    (void)data;
    d->bytes += (long long)size;
    return CEASE_OK;
}

static cease_error fetch(cease_ctx *ctx, void *arg)
{
    struct download *d = arg;
    cease_curl_request request = {.size = sizeof request, .url = d->url, .sink = count, .arg = d};
    d->err = cease_curl_fetch(ctx, d->client, &request, NULL);
    return CEASE_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    cease_curl *client = cease_curl_new(NULL);
    struct download all[] = {{.client = client, .url = argv[1]},
                             {.client = client, .url = argv[2]}};
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(500), &stop);
    cease_group *group = cease_group_new(ctx, NULL);
    for (int i = 0; i < 2; i++)
        cease_group_go(group, fetch, &all[i]);
    cease_group_wait(group);
    cease_group_free(group);
    cease_curl_free(client);
    for (int i = 0; i < 2; i++)
        printf("%s: %lld bytes, %s\n", all[i].url, all[i].bytes, cease_strerror(all[i].err));
    return all[0].err != CEASE_OK || all[1].err != CEASE_EDEADLINE;
}
