/*
 * Breaks the promise that no reply goes to the wrong command: contexts that end at a random moment around every kind
 * of command, and on the same connection, at once, a control command under another context that must get
 * its own token back.
 *
 * CEASE_RACE=N in the environment: N commands in all (make race-redis: a million).
 */
#include "redis_common.h"

#include <stdlib.h>

SERVERS("redis");

enum { ASKERS = 4 };

struct asker {
    uint64_t random;
    long rounds;
    long cut;
    cease_redis_pool *pool;
};

static uint64_t next_random(struct asker *a)
{
    a->random = a->random * 6364136223846793005u + 1442695040888963407u;
    return a->random >> 33;
}

static cease_error pipeline(cease_ctx *ctx, cease_redis *db, struct asker *a)
{
    int count = (int)(next_random(a) % 40) + 1;
    int base = (int)next_random(a) & 0xffff;
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

static cease_error ask(cease_ctx *ctx, cease_redis *db, struct asker *a)
{
    switch (next_random(a) % 4) {
    case 0:
        return cease_redis_command(ctx, db, NULL, "BLPOP nothing 0");
    case 1:
        return pipeline(ctx, db, a);
    case 2:
        return increment(ctx, db);
    default:
        return cease_redis_command(ctx, db, NULL, "SET key-%d %s", (int)(next_random(a) % 100),
                                   "a value");
    }
}

static cease_error ask_for_long(cease_ctx *ctx, void *arg)
{
    struct asker *a = arg;
    for (long i = 0; i < a->rounds; i++) {
        cease_redis *db;
        cease_canceler *stop;
        cease_ctx *limited =
            cease_with_timeout(ctx, cease_us((int64_t)(next_random(a) % 600)), &stop);
        CHECK_OK(cease_redis_pool_take(ctx, a->pool, &db));
        cease_error e = ask(limited, db, a);
        if (e != CEASE_OK)
            CHECK_ERR(e, CEASE_EDEADLINE);
        a->cut += e != CEASE_OK;
        check_alive(db);
        cease_end(stop);
        cease_redis_pool_give(a->pool, db);
    }
    return CEASE_OK;
}

TEST(race_of_cancels_never_gives_a_reply_to_another_command)
{
    warm_up();
    const char *wanted = getenv("CEASE_RACE");
    long rounds = wanted ? strtol(wanted, NULL, 10) : harness_is_slow() ? 2000 : 10000;
    cease_redis_opts opts = {.size = sizeof opts, .cancel_max = cease_sec(10)};
    cease_redis_pool *pool = cease_redis_pool_new(redis_url(), &opts, 3);
    struct asker askers[ASKERS];
    cease_group *group = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] =
            (struct asker){.random = (uint64_t)i + 1, .rounds = rounds / ASKERS, .pool = pool};
        CHECK_OK(cease_group_go(group, ask_for_long, &askers[i]));
    }
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    long cut = 0;
    for (int i = 0; i < ASKERS; i++)
        cut += askers[i].cut;
    printf("%ld commands, %ld cut, %llu unblocked, %llu connections closed\n", rounds, cut,
           (unsigned long long)counts.unblocked, (unsigned long long)counts.abandoned);
    CHECK(cut > 0);
    CHECK_EQ(counts.abandoned, 0);
    cease_redis *db;
    CHECK_OK(cease_redis_pool_take(cease_background(), pool, &db));
    CHECK_EQ(ask_int(db, "GET n") % 2, 0); /* whole transactions only */
    cease_redis_pool_give(pool, db);
    cease_redis_pool_free(pool);
}
