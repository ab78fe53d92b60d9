/* SPDX-License-Identifier: MIT
 *
 * One file, one writer, many readers: the readers count while the writer is in the middle of its transaction, and a
 * query that would never end takes no reader away for longer than its context lasts.
 */
#include <cease/cease.h>
#include <cease/sqlite.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ENDLESS \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

static cease_error print(cease_sqlite_row *row, void *arg)
{
    printf("%s: %s\n", (const char *)arg, cease_sqlite_row_text(row, 0, NULL));
    return CEASE_OK;
}

static cease_error read_all(cease_ctx *ctx, void *arg)
{
    cease_sqlite *db;
    char who[] = "a reader";
    cease_error err = cease_sqlite_pool_take_reader(ctx, arg, &db);
    if (err != CEASE_OK)
        return err;
    err = cease_sqlite_query(ctx, db, "SELECT count(*) FROM visit", NULL, 0, print, who);
    if (err == CEASE_OK)
        err = cease_sqlite_query(ctx, db, ENDLESS, NULL, 0, print, who);
    printf("a reader: %s\n", cease_sqlite_message(db));
    cease_sqlite_pool_give(arg, db);
    return err;
}

int main(void)
{
    char folder[] = "/tmp/cease-example-XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    cease_sqlite_pool *pool;
    cease_sqlite *writer;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *bg = cease_background(), *ctx = cease_with_timeout(bg, cease_ms(500), &stop);
    if (cease_sqlite_pool_open(bg, "visits.db", NULL, &pool) != CEASE_OK ||
        cease_sqlite_pool_take_writer(bg, pool, &writer) != CEASE_OK)
        return 1;
    cease_sqlite_exec(bg, writer, "CREATE TABLE visit(n); BEGIN; INSERT INTO visit VALUES(1)");
    cease_group *readers = cease_group_new(ctx, NULL);
    for (int i = 0; i < 3; i++)
        cease_group_go(readers, read_all, pool);
    cease_error err = cease_group_wait(readers);
    cease_group_free(readers);
    cease_sqlite_pool_give(pool, writer); /* what it has not committed is rolled back */
    cease_sqlite_pool_free(pool);
    return unlink("visits.db") != 0 || rmdir(folder) != 0 || err != CEASE_EDEADLINE;
}
