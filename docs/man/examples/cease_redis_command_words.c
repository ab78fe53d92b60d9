#include "redis_common.h"

/* [example] */
#include <cease/redis.h>
#include <stdio.h>

/* Waits for work until ctx ends: what was taken out of the list is never lost. */
static cease_error next_job(cease_ctx *ctx, cease_redis *db, cease_redis_reply **ret_reply)
{
    const char *words[] = {"BLPOP", "jobs:urgent", "jobs", "0"};
    return cease_redis_command_words(ctx, db, ret_reply, words, NULL, 4);
}

static cease_error work(cease_ctx *ctx, cease_redis *db)
{
    cease_redis_reply *reply;
    cease_error err;
    while ((err = next_job(ctx, db, &reply)) == CEASE_OK) {
        for (size_t i = 0; i < cease_redis_reply_count(reply); i++)
            printf("%s ", cease_redis_reply_text(cease_redis_reply_at(reply, i), NULL));
        cease_redis_reply_free(reply);
    }
    return err;
}
/* [end] */

TEST(example_redis_command_words)
{
    warm_up();
    cease_redis *db = open_redis();
    CHECK_OK(cease_redis_command(cease_background(), db, NULL, "RPUSH jobs wash dry"));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(1), &stop);
    CHECK_ERR(work(ctx, db), CEASE_EDEADLINE);
    cease_end(stop);
    cease_redis_reply *reply;
    CHECK_OK(cease_redis_command(cease_background(), db, &reply, "LLEN jobs"));
    CHECK_EQ(cease_redis_reply_int(reply), 0);
    cease_redis_reply_free(reply);
    cease_redis_close(db);
}
