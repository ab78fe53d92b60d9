#include "harness.h"

#include <sqlite3.h>

/* [example] */
#include <cease/sqlite.h>
#include <stdio.h>

static cease_error print_item(cease_sqlite_row *row, void *arg)
{
    int *left = arg;
    printf("%lld %s\n", (long long)cease_sqlite_row_int(row, 0),
           cease_sqlite_row_text(row, 1, NULL));
    return --*left > 0 ? CEASE_OK : CEASE_EOF; /* no more than that */
}

static cease_error print_items(cease_ctx *ctx, cease_sqlite *db, const char *kind, int64_t from)
{
    int left = 3;
    cease_sqlite_value args[] = {cease_sqlite_text(kind), cease_sqlite_int(from)};
    cease_error err =
        cease_sqlite_query(ctx, db, "SELECT id, name FROM item WHERE kind = ?1 AND id >= ?2", args,
                           2, print_item, &left);
    if (err != CEASE_OK)
        fprintf(stderr, "%d %s\n", cease_sqlite_code(db), cease_sqlite_message(db));
    return err;
}

static cease_error print_lamps_of(cease_ctx *ctx, const char *path)
{
    char message[128];
    cease_sqlite_opts opts = {
        .size = sizeof opts, .message = message, .message_size = sizeof message};
    cease_sqlite *db;
    cease_error err = cease_sqlite_open(ctx, path, &opts, &db);
    if (err != CEASE_OK) {
        fprintf(stderr, "%s: %s\n", path, message);
        return err;
    }
    err =
        cease_sqlite_exec(ctx, db,
                          "CREATE TABLE IF NOT EXISTS item(id INTEGER PRIMARY KEY, name, kind);"
                          "INSERT INTO item(name, kind) VALUES('desk', 'lamp'), ('oak', 'table')");
    if (err == CEASE_OK)
        err = print_items(ctx, db, "lamp", 1);
    cease_sqlite_close(db);
    return err;
}
/* [end] */

TEST(example_sqlite_query)
{
    sqlite3_initialize();
    harness_mark();
    CHECK_OK(print_lamps_of(cease_background(), ":memory:"));
    CHECK_ERR(print_lamps_of(cease_background(), "/no/such/folder/x.db"), CEASE_ENOENT);
}
