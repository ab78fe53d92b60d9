#include "redis_common.h"

/* [example] */
#include <cease/redis.h>
#include <stdio.h>

static void print(const char *channel, const char *payload, size_t size, void *arg)
{
    fprintf(arg, "%s: %.*s\n", channel, (int)size, payload);
}

/* Until ctx ends. */
static cease_error print_news(cease_ctx *ctx, cease_redis *db, FILE *out)
{
    cease_error err = cease_redis_subscribe(ctx, db, "news.*", true);
    while (err == CEASE_OK)
        err = cease_redis_receive(ctx, db, print, out);
    return err;
}
/* [end] */

TEST(example_redis_subscribe)
{
    warm_up();
    cease_redis *db = open_redis();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    CHECK_ERR(print_news(ctx, db, stdout), CEASE_EDEADLINE);
    cease_end(stop);
    cease_redis_close(db);
}
