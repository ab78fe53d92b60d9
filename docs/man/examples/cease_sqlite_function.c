#include "harness.h"

/* [example] */
#include <cease/sqlite.h>
#include <cease/task.h>
#include <sqlite3.h>

/* SELECT nap(ms): waits, but not longer than the query may. */
static void nap(cease_ctx *ctx, sqlite3_context *call, int count, sqlite3_value **values, void *arg)
{
    (void)count;
    (void)arg;
    if (cease_sleep(ctx, cease_ms(sqlite3_value_int64(values[0]))) == CEASE_OK)
        sqlite3_result_text(call, "slept", -1, SQLITE_STATIC);
}

static cease_error define_nap(cease_ctx *ctx, cease_sqlite *db)
{
    cease_sqlite_function_opts opts = {
        .size = sizeof opts, .name = "nap", .arg_count = 1, .fn = nap};
    return cease_sqlite_function(ctx, db, &opts);
}
/* [end] */

TEST(example_sqlite_function)
{
    sqlite3_initialize();
    harness_mark();
    cease_sqlite *db;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    CHECK_OK(cease_sqlite_open(cease_background(), ":memory:", NULL, &db));
    CHECK_OK(define_nap(cease_background(), db));
    CHECK_OK(cease_sqlite_exec(cease_background(), db, "SELECT nap(1)"));
    CHECK_ERR(cease_sqlite_exec(ctx, db, "SELECT nap(100000)"), CEASE_EDEADLINE);
    cease_end(stop);
    cease_sqlite_close(db);
}
