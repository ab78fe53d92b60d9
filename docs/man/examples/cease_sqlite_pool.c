#include "harness.h"

#include <sqlite3.h>
#include <stdio.h>

/* [example] */
#include <cease/sqlite.h>

/* Writes in one transaction; who comes meanwhile waits for the writer, not for a lock. */
static cease_error note(cease_ctx *ctx, cease_sqlite_pool *pool, const char *text)
{
    cease_sqlite *db;
    cease_error err = cease_sqlite_pool_take_writer(ctx, pool, &db);
    if (err != CEASE_OK)
        return err;
    cease_sqlite_value args[] = {cease_sqlite_text(text)};
    err = cease_sqlite_exec(ctx, db, "BEGIN; CREATE TABLE IF NOT EXISTS note(text)");
    if (err == CEASE_OK)
        err = cease_sqlite_query(ctx, db, "INSERT INTO note VALUES(?)", args, 1, NULL, NULL);
    if (err == CEASE_OK)
        err = cease_sqlite_exec(ctx, db, "COMMIT");
    cease_sqlite_pool_give(pool, db); /* rolls back, if it came to that */
    return err;
}

static cease_error take_count(cease_sqlite_row *row, void *arg)
{
    *(int64_t *)arg = cease_sqlite_row_int(row, 0);
    return CEASE_OK;
}

static cease_error count_notes(cease_ctx *ctx, cease_sqlite_pool *pool, int64_t *ret_count)
{
    cease_sqlite *db;
    cease_error err = cease_sqlite_pool_take_reader(ctx, pool, &db);
    if (err != CEASE_OK)
        return err;
    err = cease_sqlite_query(ctx, db, "SELECT count(*) FROM note", NULL, 0, take_count, ret_count);
    cease_sqlite_pool_give(pool, db);
    return err;
}

static cease_error keep_notes(cease_ctx *ctx, const char *path, int64_t *ret_count)
{
    cease_sqlite_pool *pool;
    cease_error err = cease_sqlite_pool_open(ctx, path, NULL, &pool);
    if (err != CEASE_OK)
        return err;
    err = note(ctx, pool, "buy milk");
    if (err == CEASE_OK)
        err = count_notes(ctx, pool, ret_count);
    cease_sqlite_pool_free(pool);
    return err;
}
/* [end] */

TEST(example_sqlite_pool)
{
    char path[4096];
    int64_t count = 0;
    sqlite3_initialize();
    snprintf(path, sizeof path, "%s/notes.db", harness_temp_dir());
    harness_mark();
    CHECK_OK(keep_notes(cease_background(), path, &count));
    CHECK_EQ(count, 1);
}
