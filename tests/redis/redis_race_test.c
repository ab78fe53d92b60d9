/*
 * Breaks the promise that no reply goes to the wrong command: see race.h. With TLS and without.
 */
#include "race.h"
#include "redis_tls.h"

SERVERS("redis");

static cease_error pipeline(cease_ctx *ctx, cease_redis *db, struct racer *r)
{
    int count = (int)(race_random(r) % 40) + 1;
    int base = (int)race_random(r) & 0xffff;
    for (int i = 0; i < count; i++)
        check_ok(db, cease_redis_put(db, "ECHO %d", base + i));
    for (int i = 0; i < count; i++) {
        cease_redis_reply *reply;
        cease_error e = cease_redis_get(ctx, db, &reply);
        if (e != CEASE_OK)
            return e;
        CHECK_EQ(cease_redis_reply_int(reply), base + i);
        cease_redis_reply_free(reply);
    }
    return CEASE_OK;
}

static cease_error increment(cease_ctx *ctx, cease_redis *db)
{
    static const char *const commands[] = {"MULTI", "INCR n", "INCR n", "EXEC"};
    for (int i = 0; i < 4; i++)
        check_ok(db, cease_redis_put(db, commands[i]));
    for (int i = 0; i < 4; i++) {
        cease_redis_reply *reply;
        cease_error e = cease_redis_get(ctx, db, &reply);
        if (e != CEASE_OK)
            return e;
        CHECK_EQ(cease_redis_reply_count(reply), i == 3 ? 2 : 0);
        cease_redis_reply_free(reply);
    }
    return CEASE_OK;
}

static cease_error ask(cease_ctx *ctx, void *db, struct racer *r)
{
    switch (race_random(r) % 4) {
    case 0:
        return cease_redis_command(ctx, db, NULL, "BLPOP nothing 0");
    case 1:
        return pipeline(ctx, db, r);
    case 2:
        return increment(ctx, db);
    default:
        return cease_redis_command(ctx, db, NULL, "SET key-%d %s", (int)(race_random(r) % 100),
                                   "a value");
    }
}

static void *take(struct racer *r)
{
    cease_redis *db;
    CHECK_OK(cease_redis_pool_take(cease_background(), r->race->arg, &db));
    return db;
}

static void give(struct racer *r, void *db)
{
    cease_redis_pool_give(r->race->arg, db);
}

static void check(void *db)
{
    check_alive(db);
}

static void race(const char *url, cease_tls_config *trust, long rounds)
{
    cease_redis_opts opts = {.size = sizeof opts, .cancel_max = cease_sec(10), .tls = trust};
    cease_redis_pool *pool = cease_redis_pool_new(url, &opts, 3);
    race_run(&(struct race){.what = "commands",
                            .rounds = rounds,
                            .time_max_us = 600,
                            .take = take,
                            .give = give,
                            .ask = ask,
                            .check = check,
                            .arg = pool});
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    printf(", %llu unblocked, %llu connections closed\n", (unsigned long long)counts.unblocked,
           (unsigned long long)counts.abandoned);
    CHECK_EQ(counts.abandoned, 0);
    cease_redis *db;
    CHECK_OK(cease_redis_pool_take(cease_background(), pool, &db));
    CHECK_EQ(ask_int(db, "GET n") % 2, 0); /* whole transactions only */
    cease_redis_pool_give(pool, db);
    cease_redis_pool_free(pool);
}

TEST(race_of_cancels_never_gives_a_reply_to_another_command)
{
    warm_up();
    race(redis_url(), NULL, race_rounds(10000));
}

/* A tenth: each cut of a blocked command shakes hands. */
TEST(race_of_cancels_over_tls_never_gives_a_reply_to_another_command)
{
    warm_up_tls();
    cease_tls_config *trust = trust_redis();
    race(redis_tls_url(), trust, race_rounds(10000) / 10);
    cease_tls_config_unref(trust);
}
