#include "redis_common.h"

SERVERS("redis");

/* [example] */
#include <cease/redis.h>
#include <stdio.h>

/* A page from the cache, "" when it is not there. */
static cease_error print_cached(cease_ctx *ctx, cease_redis *db, const char *key)
{
    cease_redis_reply *reply;
    cease_error err = cease_redis_command(ctx, db, &reply, "GET page:%s", key);
    if (err != CEASE_OK) {
        fprintf(stderr, "%s\n", cease_redis_message(db));
        return err;
    }
    if (!cease_redis_reply_null(reply))
        puts(cease_redis_reply_text(reply, NULL));
    cease_redis_reply_free(reply);
    return CEASE_OK;
}

static cease_error cache(cease_ctx *ctx, cease_redis *db, const char *key, const void *page,
                         size_t size)
{
    return cease_redis_command(ctx, db, NULL, "SET page:%s %b EX %d", key, page, size, 60);
}

static cease_error cache_and_print(cease_ctx *ctx, const char *url)
{
    char message[128];
    cease_redis_opts opts = {
        .size = sizeof opts, .message = message, .message_size = sizeof message};
    cease_redis *db;
    cease_error err = cease_redis_open(ctx, url, &opts, &db);
    if (err != CEASE_OK) {
        fprintf(stderr, "%s\n", message);
        return err;
    }
    err = cache(ctx, db, "a key", "<p>hello", 8);
    if (err == CEASE_OK)
        err = print_cached(ctx, db, "a key");
    cease_redis_close(db);
    return err;
}
/* [end] */

TEST(example_redis_command)
{
    warm_up();
    CHECK_OK(cache_and_print(cease_background(), redis_url()));
    CHECK_ERR(cache_and_print(cease_background(), "nonsense://x"), CEASE_EINVAL);
}
