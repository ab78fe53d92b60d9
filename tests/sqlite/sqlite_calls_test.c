/*
 * Breaks the SQLite adapter by letting each system call fail in turn, SQLite's among them: any error is right, but the
 * call returns, nothing is left behind, and the file is whole.
 */
#include "calls.h"
#include "sqlite_common.h"

static cease_error write_and_read(cease_ctx *ctx, cease_sqlite_pool *pool)
{
    cease_sqlite *db;
    int64_t count = 0;
    cease_error e = cease_sqlite_pool_take_writer(ctx, pool, &db);
    if (e != CEASE_OK)
        return e;
    e = cease_sqlite_exec(ctx, db,
                          "BEGIN; CREATE TABLE IF NOT EXISTS t(x);"
                          "DELETE FROM t; INSERT INTO t VALUES(zeroblob(20000)); COMMIT");
    cease_sqlite_pool_give(pool, db);
    if (e == CEASE_OK)
        e = cease_sqlite_pool_take_reader(ctx, pool, &db);
    if (e != CEASE_OK)
        return e;
    e = cease_sqlite_query(ctx, db, "SELECT count(*) FROM t", NULL, 0, take_int, &count);
    if (e == CEASE_OK)
        CHECK_EQ(count, 1);
    cease_sqlite_pool_give(pool, db);
    return e;
}

static cease_error scenario(cease_ctx *ctx, void *arg)
{
    cease_sqlite_pool *pool;
    cease_error e = cease_sqlite_pool_open(ctx, arg, NULL, &pool);
    if (e == CEASE_OK) {
        e = write_and_read(ctx, pool);
        cease_sqlite_pool_free(pool);
    }
    return e;
}

TEST(each_failing_system_call_is_an_error_and_leaves_nothing)
{
    warm_up();
    const char *path = temp_file("calls.db");
    each_system_call_fails(scenario, (void *)(uintptr_t)path);
    cease_sqlite *db;
    CHECK_OK(cease_sqlite_open(cease_background(), path, NULL, &db));
    CHECK_EQ(
        ask_int(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    cease_sqlite_close(db);
}
