/*
 * Breaks the promise that no cancel reaches the next query: see race.h. On connections of the racers' own, and on a
 * pool that has fewer than there are racers.
 */
#include "pg_common.h"
#include "race.h"

SERVERS("pg");

static cease_error add_up(cease_pg_row *row, void *arg)
{
    *(int64_t *)arg += cease_pg_row_int(row, 0);
    return CEASE_OK;
}

static cease_error in_a_transaction(cease_ctx *ctx, cease_pg *db, void *arg)
{
    int64_t sum = 0;
    struct racer *r = arg;
    cease_error e = cease_pg_exec(ctx, db, "UPDATE pg_temp.counted SET n = n + 1");
    if (e == CEASE_OK && race_random(r) % 2)
        e = cease_pg_query(ctx, db, "SELECT pg_sleep(0.001)", NULL, 0, add_up, &sum);
    return e;
}

static cease_error ask(cease_ctx *ctx, void *db, struct racer *r)
{
    int64_t n = (int64_t)(race_random(r) % 300), sum = 0;
    cease_pg_value args[] = {cease_pg_int(n)};
    cease_error e;
    switch (race_random(r) % 4) {
    case 0:
        return cease_pg_query(ctx, db, "SELECT pg_sleep($1::int * 0.00001)", args, 1, NULL, NULL);
    case 1:
        return cease_pg_exec(ctx, db, "SELECT pg_sleep(0.001); SELECT 1");
    case 2: {
        int64_t before = ask_int(db, "SELECT n FROM pg_temp.counted");
        e = cease_pg_transaction(ctx, db, NULL, in_a_transaction, r);
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

static cease_error set_up(cease_ctx *ctx, cease_pg *db, void *arg)
{
    (void)arg;
    return cease_pg_exec(ctx, db, "CREATE TEMP TABLE counted AS SELECT 0::bigint AS n");
}

static void *take_own(struct racer *r)
{
    return ((cease_pg **)r->race->arg)[r->index];
}

static void *take(struct racer *r)
{
    cease_pg *db;
    CHECK_OK(cease_pg_pool_take(cease_background(), r->race->arg, &db));
    return db;
}

static void give(struct racer *r, void *db)
{
    cease_pg_pool_give(r->race->arg, db);
}

static void check(void *db)
{
    check_alive(db);
}

/* Half of what is asked for, because there are two of them. */
static void race(struct race race)
{
    race.what = "queries";
    race.rounds = race_rounds(2000) / 2;
    race.time_max_us = 2500;
    race.some_unbounded = true;
    race.ask = ask;
    race.check = check;
    race_run(&race);
    struct cease_pg_counts counts;
    cease_pg_count(&counts);
    printf(", %llu cancel requests, %llu connections closed\n", (unsigned long long)counts.cancels,
           (unsigned long long)counts.abandoned);
    CHECK_EQ(counts.abandoned, 0);
}

TEST(race_of_cancels_on_connections_of_ones_own_never_hits_the_next_query)
{
    warm_up();
    cease_pg *all[RACERS];
    for (int i = 0; i < RACERS; i++) {
        all[i] = open_pg();
        CHECK_OK(set_up(cease_background(), all[i], NULL));
    }
    race((struct race){.take = take_own, .arg = all});
    for (int i = 0; i < RACERS; i++)
        cease_pg_close(all[i]);
}

TEST(race_of_cancels_on_a_pool_never_hits_the_next_user)
{
    warm_up();
    cease_pg_pool_opts opts = {.size = sizeof opts, .connections_max = 2, .setup = set_up};
    cease_pg_pool *pool = cease_pg_pool_new(conninfo(), &opts);
    race((struct race){.take = take, .give = give, .arg = pool});
    cease_pg_pool_free(pool);
}
