#include "redis_common.h"

/* [example] */
#include <cease/redis.h>

static cease_error count_visit(cease_ctx *ctx, cease_redis_pool *pool, int64_t *ret_visits)
{
    cease_redis *db;
    cease_redis_reply *reply;
    cease_error err = cease_redis_pool_take(ctx, pool, &db);
    if (err != CEASE_OK)
        return err;
    err = cease_redis_command(ctx, db, &reply, "INCR visits");
    if (err == CEASE_OK) {
        *ret_visits = cease_redis_reply_int(reply);
        cease_redis_reply_free(reply);
    }
    cease_redis_pool_give(pool, db);
    return err;
}

static cease_error serve(cease_ctx *ctx, const char *url, int64_t *ret_visits)
{
    cease_redis_pool *pool = cease_redis_pool_new(url, NULL, 4); /* NULL is fine below */
    cease_error err = count_visit(ctx, pool, ret_visits);
    cease_redis_pool_free(pool);
    return err;
}
/* [end] */

TEST(example_redis_pool)
{
    warm_up();
    int64_t visits = 0;
    CHECK_OK(serve(cease_background(), redis_url(), &visits));
    CHECK_EQ(visits, 1);
}
