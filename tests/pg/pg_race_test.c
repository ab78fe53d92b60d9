/*
 * Breaks the promise that no cancel reaches the next query: contexts that end at a random moment around
 * every kind of statement, and on the same connection, at once, a control query under another context that
 * must succeed and give its own token back.
 *
 * CEASE_RACE=N in the environment: N queries in all (make race-pg: a million).
 */
#include "pg_common.h"

#include <stdlib.h>

SERVERS("pg");

enum { ASKERS = 4 };

struct asker {
    uint64_t random;
    long rounds;
    long cut;
    cease_pg_pool *pool; /* NULL: one connection for all rounds */
};

static uint64_t next_random(struct asker *a)
{
    a->random = a->random * 6364136223846793005u + 1442695040888963407u;
    return a->random >> 33;
}

static cease_error add_up(cease_pg_row *row, void *arg)
{
    *(int64_t *)arg += cease_pg_row_int(row, 0);
    return CEASE_OK;
}

static cease_error in_a_transaction(cease_ctx *ctx, cease_pg *db, void *arg)
{
    int64_t sum = 0;
    struct asker *a = arg;
    cease_error e = cease_pg_exec(ctx, db, "UPDATE pg_temp.counted SET n = n + 1");
    if (e == CEASE_OK && next_random(a) % 2)
        e = cease_pg_query(ctx, db, "SELECT pg_sleep(0.001)", NULL, 0, add_up, &sum);
    return e;
}

/* One statement of a random kind; a success is checked to be one. */
static cease_error ask(cease_ctx *ctx, cease_pg *db, struct asker *a)
{
    int64_t n = (int64_t)(next_random(a) % 300), sum = 0;
    cease_pg_value args[] = {cease_pg_int(n)};
    cease_error e;
    switch (next_random(a) % 4) {
    case 0:
        return cease_pg_query(ctx, db, "SELECT pg_sleep($1::int * 0.00001)", args, 1, NULL, NULL);
    case 1:
        return cease_pg_exec(ctx, db, "SELECT pg_sleep(0.001); SELECT 1");
    case 2: {
        int64_t before = ask_int(db, "SELECT n FROM pg_temp.counted");
        e = cease_pg_transaction(ctx, db, NULL, in_a_transaction, a);
        CHECK_EQ(ask_int(db, "SELECT n FROM pg_temp.counted"), before + (e == CEASE_OK));
        return e;
    }
    default:
        e = cease_pg_query(ctx, db, "SELECT generate_series(1, $1::int)", args, 1, add_up, &sum);
        if (e == CEASE_OK)
            CHECK_EQ(sum, n * (n + 1) / 2);
        return e;
    }
}

static void one_round(cease_pg *db, struct asker *a)
{
    cease_canceler *stop;
    cease_dur time = cease_us((int64_t)(next_random(a) % 2500));
    bool bounded = next_random(a) % 3 != 0;
    cease_ctx *ctx = cease_with_timeout(cease_background(), bounded ? time : CEASE_FOREVER, &stop);
    cease_error e = ask(ctx, db, a);
    if (e != CEASE_OK)
        CHECK_ERR(e, CEASE_EDEADLINE);
    a->cut += e != CEASE_OK;
    cease_end(stop);
    check_alive(db);
}

static cease_error set_up(cease_ctx *ctx, cease_pg *db, void *arg)
{
    (void)arg;
    return cease_pg_exec(ctx, db, "CREATE TEMP TABLE counted AS SELECT 0::bigint AS n");
}

static cease_error ask_for_long(cease_ctx *ctx, void *arg)
{
    struct asker *a = arg;
    cease_pg *db = NULL;
    if (!a->pool) {
        db = open_pg();
        CHECK_OK(set_up(ctx, db, NULL));
    }
    for (long i = 0; i < a->rounds; i++) {
        if (a->pool)
            CHECK_OK(cease_pg_pool_take(ctx, a->pool, &db));
        one_round(db, a);
        if (a->pool)
            cease_pg_pool_give(a->pool, db);
    }
    if (!a->pool)
        cease_pg_close(db);
    return CEASE_OK;
}

static void race(cease_pg_pool *pool)
{
    const char *wanted = getenv("CEASE_RACE");
    long rounds = wanted ? strtol(wanted, NULL, 10) : harness_is_slow() ? 1000 : 4000;
    struct asker askers[ASKERS];
    cease_group *group = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] =
            (struct asker){.random = (uint64_t)i + 1, .rounds = rounds / ASKERS / 2, .pool = pool};
        CHECK_OK(cease_group_go(group, ask_for_long, &askers[i]));
    }
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    struct cease_pg_counts counts;
    cease_pg_count(&counts);
    long cut = 0;
    for (int i = 0; i < ASKERS; i++)
        cut += askers[i].cut;
    printf("%ld queries, %ld cut, %llu cancel requests, %llu connections closed\n", rounds / 2, cut,
           (unsigned long long)counts.cancels, (unsigned long long)counts.abandoned);
    CHECK(cut > 0);
    CHECK_EQ(counts.abandoned, 0);
}

TEST(race_of_cancels_on_connections_of_ones_own_never_hits_the_next_query)
{
    warm_up();
    race(NULL);
}

TEST(race_of_cancels_on_a_pool_never_hits_the_next_user)
{
    warm_up();
    cease_pg_pool_opts opts = {.size = sizeof opts, .connections_max = 2, .setup = set_up};
    cease_pg_pool *pool = cease_pg_pool_new(conninfo(), &opts);
    race(pool);
    cease_pg_pool_free(pool);
}
