/* SPDX-License-Identifier: MIT
 *
 * Asks PostgreSQL from several tasks through one pool, each with its own budget: the statement that takes too
 * long is cancelled on the server, and its connection serves the next.
 *
 *     example-pg-rows 'host=/run/postgresql dbname=postgres'
 */
#include <cease/cease.h>
#include <cease/pg.h>
#include <stdio.h>

struct question {
    cease_pg_pool *pool;
    double takes; /* seconds */
    cease_error err;
};

static cease_error print(cease_pg_row *row, void *arg)
{
    struct question *q = arg;
    printf("the one of %.3f s: %s\n", q->takes, cease_pg_row_text(row, 0, NULL));
    return CEASE_OK;
}

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct question *q = arg;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *limited = cease_with_timeout(ctx, cease_ms(500), &stop);
    cease_pg *db;
    q->err = cease_pg_pool_take(limited, q->pool, &db);
    if (q->err != CEASE_OK)
        return CEASE_OK;
    cease_pg_value args[] = {cease_pg_real(q->takes)};
    q->err = cease_pg_query(limited, db, "SELECT 'slept', pg_sleep($1)", args, 1, print, q);
    if (q->err != CEASE_OK)
        printf("the one of %.3f s: %s\n", q->takes, cease_pg_message(db));
    cease_pg_pool_give(q->pool, db); /* at rest, whatever happened */
    return CEASE_OK;
}

int main(int argc, char **argv)
{
    cease_pg_pool_opts opts = {.size = sizeof opts, .connections_max = 2};
    cease_pg_pool *pool = cease_pg_pool_new(argc > 1 ? argv[1] : "", &opts);
    struct question all[] = {
        {pool, 0.001, CEASE_OK}, {pool, 600, CEASE_OK}, {pool, 0.002, CEASE_OK}};
    cease_group *group = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 3; i++)
        cease_group_go(group, ask, &all[i]);
    cease_group_wait(group);
    cease_group_free(group);
    cease_pg_pool_free(pool);
    return all[0].err || all[1].err != CEASE_EDEADLINE || all[2].err;
}
