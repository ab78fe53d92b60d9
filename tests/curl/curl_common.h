/*
 * curl_common.h: what the programs of this folder share.
 */
#ifndef CURL_COMMON_H
#define CURL_COMMON_H

#include "both.h"
#include "harness.h"
#include "servers.h"

#include <cease/context.h>
#include <cease/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAYBE_UNUSED __attribute__((unused))

/* A URL of the nginx that runs beside the test; ends the case as skipped without one. */
MAYBE_UNUSED static const char *url_of(const char *path)
{
    static _Thread_local char text[4][256];
    static _Thread_local int next;
    const char *where = servers_where("nginx");
    if (!where || !*where)
        SKIP("no nginx is installed");
    char *url = text[next++ % 4];
    snprintf(url, sizeof text[0], "http://%s%s", where, path);
    return url;
}

MAYBE_UNUSED static cease_error take_size(const void *data, size_t size, void *arg)
{
    (void)data;
    *(size_t *)arg += size;
    return CEASE_OK;
}

/* The client works: a transfer gives its own answer. */
MAYBE_UNUSED static void check_alive(cease_curl *client)
{
    cease_curl_body body = {0};
    char url[256];
    snprintf(url, sizeof url, "%s", url_of("/hello")); /* other tasks of this thread ask, too */
    CHECK_OK(cease_curl_get(cease_background(), client, url, 100, &body));
    CHECK_STR(body.data, "hello, world\n");
    cease_curl_body_deinit(&body);
}

/* What curl sets up once and keeps is not a leak of ours. */
MAYBE_UNUSED static void warm_up(void)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    cease_curl *client = cease_curl_new(NULL);
    check_alive(client);
    cease_curl_free(client);
    harness_mark();
}

#endif
