#include "redis_common.h"

/* [example] */
#include <cease/redis.h>
#include <stdio.h>

/* Many commands in one round trip. */
static cease_error sum_of(cease_ctx *ctx, cease_redis *db, const char *const *keys, int count,
                          int64_t *ret_sum)
{
    int64_t sum = 0;
    cease_error err = CEASE_OK;
    for (int i = 0; i < count && err == CEASE_OK; i++)
        err = cease_redis_put(db, "GET %s", keys[i]);
    for (int i = 0; i < count && err == CEASE_OK; i++) {
        cease_redis_reply *reply;
        err = cease_redis_get(ctx, db, &reply);
        if (err == CEASE_OK) {
            sum += cease_redis_reply_int(reply);
            cease_redis_reply_free(reply);
        }
    }
    if (err == CEASE_OK)
        *ret_sum = sum;
    return err;
}
/* [end] */

TEST(example_redis_put)
{
    warm_up();
    cease_redis *db = open_redis();
    const char *keys[] = {"one", "two", "three"};
    int64_t sum = 0;
    CHECK_OK(cease_redis_command(cease_background(), db, NULL, "MSET one 1 two 20"));
    CHECK_OK(sum_of(cease_background(), db, keys, 3, &sum));
    CHECK_EQ(sum, 21);
    cease_redis_close(db);
}
