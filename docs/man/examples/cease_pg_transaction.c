#include "pg_common.h"

/* [example] */
#include <cease/pg.h>

struct transfer {
    int64_t from, to, amount;
};

static cease_error move(cease_ctx *ctx, cease_pg *db, void *arg)
{
    const struct transfer *t = arg;
    cease_pg_value take[] = {cease_pg_int(t->amount), cease_pg_int(t->from)};
    cease_pg_value give[] = {cease_pg_int(t->amount), cease_pg_int(t->to)};
    cease_error err = cease_pg_query(ctx, db, "UPDATE account SET sum = sum - $1 WHERE id = $2",
                                     take, 2, NULL, NULL);
    if (err != CEASE_OK)
        return err; /* rolls back */
    return cease_pg_query(ctx, db, "UPDATE account SET sum = sum + $1 WHERE id = $2", give, 2, NULL,
                          NULL);
}

/* By hand: what was begun is rolled back, if nothing has committed it. */
static void clean_up(cease_ctx *ctx, cease_pg *db)
{
    cease_pg_rollback(ctx, db);
}

/* CEASE_EAGAIN: somebody else was at it at the same time. */
static cease_error transfer(cease_ctx *ctx, cease_pg *db, struct transfer *t)
{
    cease_error err;
    do {
        err = cease_pg_transaction(ctx, db, "BEGIN ISOLATION LEVEL SERIALIZABLE", move, t);
    } while (err == CEASE_EAGAIN);
    return err;
}
/* [end] */

TEST(example_pg_transaction)
{
    warm_up();
    cease_pg *db = open_pg();
    struct transfer t = {1, 2, 30};
    CHECK_OK(cease_pg_exec(cease_background(), db,
                           "CREATE TEMP TABLE account(id int, sum int CHECK (sum >= 0));"
                           "INSERT INTO account VALUES(1, 40), (2, 0)"));
    CHECK_OK(transfer(cease_background(), db, &t));
    CHECK_ERR(transfer(cease_background(), db, &t), CEASE_EEXIST);
    CHECK_EQ(ask_int(db, "SELECT sum FROM account WHERE id = 2"), 30);
    clean_up(cease_background(), db);
    cease_pg_close(db);
}
