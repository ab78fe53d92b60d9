#include "harness.h"

/* [example] */
#include <cease/sqlite.h>
#include <sqlite3.h>

/* Copies the database a few pages at a time: one job, which looks at its context between them. */
static int copy(cease_ctx *ctx, sqlite3 *from, void *arg)
{
    sqlite3_backup *backup = sqlite3_backup_init(arg, "main", from, "main");
    int code = backup ? SQLITE_OK : SQLITE_NOMEM;
    while (code == SQLITE_OK)
        code = cease_done(ctx) ? SQLITE_INTERRUPT : sqlite3_backup_step(backup, 64);
    sqlite3_backup_finish(backup);
    return code; /* SQLITE_DONE is a success */
}

static cease_error back_up(cease_ctx *ctx, cease_sqlite *db, sqlite3 *to)
{
    return cease_sqlite_run(ctx, db, copy, to);
}
/* [end] */

TEST(example_sqlite_run)
{
    sqlite3 *to;
    cease_sqlite *db;
    sqlite3_initialize();
    harness_mark();
    CHECK_OK(cease_sqlite_open(cease_background(), ":memory:", NULL, &db));
    CHECK_OK(cease_sqlite_exec(cease_background(), db,
                               "CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(1000000))"));
    CHECK_EQ(sqlite3_open(":memory:", &to), SQLITE_OK);
    CHECK_OK(back_up(cease_background(), db, to));
    CHECK_EQ(sqlite3_exec(to, "SELECT x FROM t", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(to);
    cease_sqlite_close(db);
}
