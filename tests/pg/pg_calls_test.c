/*
 * Breaks the PostgreSQL adapter by letting each system call fail in turn, libpq's among them: any error is right, but
 * the call returns, and nothing is left behind.
 */
#include "calls.h"
#include "pg_common.h"

SERVERS("pg");

static cease_error insert(cease_ctx *ctx, cease_pg *db, void *arg)
{
    (void)arg;
    return cease_pg_exec(ctx, db, "CREATE TEMP TABLE t(i int); INSERT INTO t VALUES(1)");
}

static cease_error use(cease_ctx *ctx, cease_pg *db)
{
    int64_t sum = 0;
    cease_pg_value args[] = {cease_pg_int(20), cease_pg_text("22")};
    cease_error e = CEASE_OK;
    for (int i = 0; i < 3 && e == CEASE_OK; i++)
        e = cease_pg_query(ctx, db, "SELECT $1::int + $2::int", args, 2, take_int, &sum);
    if (e == CEASE_OK)
        CHECK_EQ(sum, 42);
    return e == CEASE_OK ? cease_pg_transaction(ctx, db, NULL, insert, NULL) : e;
}

static cease_error scenario(cease_ctx *ctx, void *arg)
{
    cease_pg_pool *pool = cease_pg_pool_new(conninfo(), NULL);
    cease_pg *db;
    (void)arg;
    cease_error e = cease_pg_pool_take(ctx, pool, &db);
    if (e == CEASE_OK) {
        e = use(ctx, db);
        cease_pg_pool_give(pool, db);
    }
    cease_pg_pool_free(pool);
    return e;
}

TEST(each_failing_system_call_is_an_error_and_leaves_nothing)
{
    warm_up();
    each_system_call_fails(scenario, NULL);
}
