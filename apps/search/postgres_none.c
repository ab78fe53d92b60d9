/* SPDX-License-Identifier: MIT
 *
 * postgres_none.c: stands for postgres.c in a program that is built without it.
 */
#include "postgres.h"

bool postgres_is_there(void)
{
    return false;
}

bool postgres_url_is_good(const char *url)
{
    (void)url;
    return false;
}

struct backend postgres_backend(const char *url, long slow_ms)
{
    (void)url, (void)slow_ms;
    return (struct backend){.name = "postgres"};
}

cease_error postgres_fill(cease_ctx *ctx, const char *url, const struct indexes *indexes)
{
    (void)ctx, (void)url, (void)indexes;
    return CEASE_ENOTSUP;
}
