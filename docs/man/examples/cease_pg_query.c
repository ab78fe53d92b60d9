#include "pg_common.h"

SERVERS("pg");

/* [example] */
#include <cease/pg.h>
#include <stdio.h>

static cease_error print_item(cease_pg_row *row, void *arg)
{
    int *left = arg;
    printf("%lld %s\n", (long long)cease_pg_row_int(row, 0), cease_pg_row_text(row, 1, NULL));
    return --*left > 0 ? CEASE_OK : CEASE_EOF; /* no more than that */
}

static cease_error print_items(cease_ctx *ctx, cease_pg *db, const char *kind)
{
    int left = 3;
    cease_pg_value args[] = {cease_pg_text(kind), cease_pg_int(left)};
    cease_error err =
        cease_pg_query(ctx, db, "SELECT id, name FROM item WHERE kind = $1 ORDER BY id LIMIT $2",
                       args, 2, print_item, &left);
    if (err != CEASE_OK)
        fprintf(stderr, "%s %s\n", cease_pg_sqlstate(db), cease_pg_message(db));
    return err;
}

static cease_error print_items_of(cease_ctx *ctx, const char *where)
{
    char message[256];
    cease_pg_opts opts = {.size = sizeof opts, .message = message, .message_size = sizeof message};
    cease_pg *db;
    cease_error err = cease_pg_open(ctx, where, &opts, &db);
    if (err != CEASE_OK) {
        fprintf(stderr, "%s\n", message);
        return err;
    }
    err = cease_pg_exec(ctx, db,
                        "CREATE TEMP TABLE item(id int, name text, kind text);"
                        "INSERT INTO item VALUES(1, 'desk', 'lamp'), (2, 'floor', 'lamp')");
    if (err == CEASE_OK)
        printf("%lld items\n", (long long)cease_pg_affected(db));
    if (err == CEASE_OK)
        err = print_items(ctx, db, "lamp");
    cease_pg_close(db);
    return err;
}
/* [end] */

TEST(example_pg_query)
{
    warm_up();
    CHECK_OK(print_items_of(cease_background(), conninfo()));
    CHECK_ERR(print_items_of(cease_background(), "host=/nowhere/at/all"), CEASE_ECONNREFUSED);
}
