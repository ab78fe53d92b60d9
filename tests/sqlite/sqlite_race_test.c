/*
 * Breaks the promise that no interrupt hits the next statement: see race.h. On a pool's one writer and its readers,
 * fewer than there are racers.
 */
#include "race.h"
#include "sqlite_common.h"

#include <cease/task.h>

/* How many commits there were: only the writer's holder counts. */
static int64_t commits;

static cease_error add_up(cease_sqlite_row *row, void *arg)
{
    *(int64_t *)arg += cease_sqlite_row_int(row, 0);
    return CEASE_OK;
}

/* Rows that are computed one by one, in a sum or handed over. */
static cease_error ask_for_rows(cease_ctx *ctx, cease_sqlite *db, struct racer *r)
{
    static const char *const statements[] = {
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
        "SELECT sum(i) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
        "SELECT i FROM n",
    };
    int64_t n = (int64_t)(race_random(r) % 2000) + 1, sum = 0;
    cease_sqlite_value args[] = {cease_sqlite_int(n)};
    cease_error e =
        cease_sqlite_query(ctx, db, statements[race_random(r) % 2], args, 1, add_up, &sum);
    if (e == CEASE_OK)
        CHECK_EQ(sum, n * (n + 1) / 2);
    return e;
}

static cease_error commit_or_leave_nothing(cease_ctx *ctx, cease_sqlite *db)
{
    CHECK_EQ(ask_int(db, "SELECT n FROM counted"), commits);
    cease_error e = cease_sqlite_exec(ctx, db, "BEGIN IMMEDIATE; UPDATE counted SET n = n + 1");
    if (e == CEASE_OK)
        e = cease_sqlite_exec(ctx, db, "COMMIT");
    commits += e == CEASE_OK;
    CHECK_EQ(ask_int(db, "SELECT n FROM counted"), commits);
    return e;
}

struct lent {
    cease_sqlite *db;
    bool writer;
};

static cease_error ask(cease_ctx *ctx, void *arg, struct racer *r)
{
    struct lent *lent = arg;
    if (lent->writer)
        return commit_or_leave_nothing(ctx, lent->db);
    if (race_random(r) % 3 == 0)
        return cease_sqlite_query(ctx, lent->db, ENDLESS, NULL, 0, NULL, NULL);
    return ask_for_rows(ctx, lent->db, r);
}

static void *take(struct racer *r)
{
    static struct lent lent[RACERS];
    struct lent *mine = &lent[r->index];
    cease_ctx *bg = cease_background();
    mine->writer = race_random(r) % 4 == 0;
    CHECK_OK(mine->writer ? cease_sqlite_pool_take_writer(bg, r->race->arg, &mine->db)
                          : cease_sqlite_pool_take_reader(bg, r->race->arg, &mine->db));
    return mine;
}

static void give(struct racer *r, void *arg)
{
    struct lent *lent = arg;
    cease_sqlite_pool_give(r->race->arg, lent->db);
}

static void check(void *arg)
{
    struct lent *lent = arg;
    check_alive(lent->db);
}

static cease_error set_up(cease_ctx *ctx, cease_sqlite *db, bool writer, void *arg)
{
    (void)arg;
    return writer ? cease_sqlite_exec(ctx, db, "CREATE TABLE counted AS SELECT 0 AS n") : CEASE_OK;
}

TEST(race_of_cancels_on_a_pool_never_hits_the_next_user)
{
    warm_up();
    cease_sqlite_pool *pool;
    cease_sqlite_pool_opts opts = {.size = sizeof opts, .readers_max = 2, .setup = set_up};
    CHECK_OK(cease_sqlite_pool_open(cease_background(), temp_file("race.db"), &opts, &pool));
    race_run(&(struct race){.what = "operations",
                            .rounds = race_rounds(10000),
                            .time_max_us = 600,
                            .take = take,
                            .give = give,
                            .ask = ask,
                            .check = check,
                            .arg = pool});
    printf(", %lld commits\n", (long long)commits);
    struct cease_sqlite_counts counts;
    cease_sqlite_count(&counts);
    CHECK_EQ(counts.running, 0);
    cease_sqlite_pool_free(pool);
}
