#include "pg_common.h"

/* [example] */
#include <cease/pg.h>
#include <stdio.h>

static cease_error prepare_session(cease_ctx *ctx, cease_pg *db, void *arg)
{
    (void)arg;
    return cease_pg_exec(ctx, db, "SET search_path = pg_catalog");
}

static cease_pg_pool *make_pool(const char *where)
{
    cease_pg_opts open = {.size = sizeof open, .cancel_max = cease_sec(1)};
    cease_pg_pool_opts opts = {
        .size = sizeof opts, .connections_max = 4, .open = &open, .setup = prepare_session};
    return cease_pg_pool_new(where, &opts); /* NULL is fine below */
}

static cease_error count_tables(cease_ctx *ctx, cease_pg_pool *pool, int64_t *ret_count)
{
    cease_pg *db;
    cease_error err = cease_pg_pool_take(ctx, pool, &db);
    if (err != CEASE_OK)
        return err;
    err = cease_pg_query(ctx, db, "SELECT count(*) FROM pg_class", NULL, 0, take_int, ret_count);
    cease_pg_pool_give(pool, db);
    return err;
}

static void print_counts(cease_pg_pool *pool)
{
    struct cease_pg_pool_counts counts;
    cease_pg_pool_count(pool, &counts);
    printf("%u open, %u of them idle\n", counts.open, counts.idle);
}

static void stop_serving(cease_pg_pool *pool)
{
    print_counts(pool);
    cease_pg_pool_free(pool);
}
/* [end] */

TEST(example_pg_pool)
{
    warm_up();
    cease_pg_pool *pool = make_pool(conninfo());
    int64_t count = 0;
    CHECK_OK(count_tables(cease_background(), pool, &count));
    CHECK(count > 100);
    stop_serving(pool);
}
