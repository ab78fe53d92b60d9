/*
 * Breaks the pool of PostgreSQL connections: its limit, the order of who waits, transactions left open, sessions that died
 * while nobody used them, old and long idle ones, a setup that fails, a pool that is freed while others wait.
 */
#include "pg_common.h"

#include <cease/chan.h>
#include <cease/task.h>
#include <stdlib.h>

SERVERS("pg");

static cease_pg_pool *pool_of(uint32_t connections)
{
    cease_pg_pool_opts opts = {.size = sizeof opts, .connections_max = connections};
    cease_pg_pool *pool = cease_pg_pool_new(conninfo(), &opts);
    CHECK(pool != NULL);
    return pool;
}

static struct cease_pg_pool_counts counts_of(cease_pg_pool *pool)
{
    struct cease_pg_pool_counts counts;
    cease_pg_pool_count(pool, &counts);
    return counts;
}

BOTH(pool_lends_the_last_given_and_keeps_its_limit)
{
    cease_ctx *bg = cease_background();
    cease_pg_pool *pool = pool_of(2);
    CHECK_EQ(counts_of(pool).open, 0);
    cease_pg *a, *b, *c;
    CHECK_OK(cease_pg_pool_take(bg, pool, &a));
    CHECK_OK(cease_pg_pool_take(bg, pool, &b));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_ms(5), &stop);
    CHECK_ERR(cease_pg_pool_take(ctx, pool, &c), CEASE_EDEADLINE);
    cease_end(stop);
    cease_pg_pool_give(pool, a);
    cease_pg_pool_give(pool, b);
    CHECK_EQ(counts_of(pool).idle, 2);
    CHECK_OK(cease_pg_pool_take(bg, pool, &c));
    CHECK_PTR(c, b);
    CHECK_EQ(counts_of(pool).open, 2);
    cease_pg_pool_give(pool, c);
    cease_pg_pool_give(pool, NULL);
    cease_pg_pool_free(pool);
}

BOTH(pool_rolls_back_before_reuse)
{
    cease_ctx *bg = cease_background();
    cease_pg_pool *pool = pool_of(1);
    cease_pg *db;
    CHECK_OK(cease_pg_pool_take(bg, pool, &db));
    CHECK_OK(cease_pg_exec(bg, db, "CREATE TEMP TABLE t(i int)"));
    CHECK_OK(cease_pg_exec(bg, db, "BEGIN; INSERT INTO t VALUES(1)"));
    cease_pg_pool_give(pool, db);
    CHECK_OK(cease_pg_pool_take(bg, pool, &db));
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 0);
    cease_pg_pool_give(pool, db);
    cease_pg_pool_free(pool);
}

BOTH(pool_never_lends_a_dead_connection)
{
    cease_ctx *bg = cease_background();
    cease_pg_pool *pool = pool_of(3);
    cease_pg *all[3], *other = open_pg();
    char sql[80];
    for (int i = 0; i < 3; i++)
        CHECK_OK(cease_pg_pool_take(bg, pool, &all[i]));
    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 10000)",
                 PQbackendPID(cease_pg_handle(all[i])));
        CHECK_OK(cease_pg_exec(bg, other, sql));
    }
    CHECK_ERR(cease_pg_exec(bg, all[0], "SELECT 1"), CEASE_ECONNRESET); /* known to be dead */
    for (int i = 0; i < 3; i++)
        cease_pg_pool_give(pool, all[i]); /* two of them still look alive */
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_pg_pool_take(bg, pool, &all[i]));
        check_alive(all[i]);
    }
    CHECK_EQ(counts_of(pool).dropped, 3);
    CHECK_EQ(counts_of(pool).opened, 6);
    for (int i = 0; i < 3; i++)
        cease_pg_pool_give(pool, all[i]);
    cease_pg_close(other);
    cease_pg_pool_free(pool);
}

TEST(pool_asks_long_idle_ones_and_closes_old_ones)
{
    warm_up();
    cease_ctx *bg = cease_background();
    cease_pg_pool_opts opts = {.size = sizeof opts,
                               .connections_max = 2,
                               .idle_max = cease_ns(1),
                               .check_after = cease_ns(1)};
    cease_pg_pool *pool = cease_pg_pool_new(conninfo(), &opts);
    cease_pg *a, *b;
    CHECK_OK(cease_pg_pool_take(bg, pool, &a));
    CHECK_OK(cease_pg_pool_take(bg, pool, &b));
    cease_pg_pool_give(pool, a);
    cease_pg_pool_give(pool, b);
    CHECK_EQ(counts_of(pool).open, 0); /* each was too old as soon as it was given */
    CHECK_EQ(counts_of(pool).dropped, 0);
    cease_pg_pool_free(pool);
    opts.idle_max = cease_hour(1);
    pool = cease_pg_pool_new(conninfo(), &opts);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_pg_pool_take(bg, pool, &a));
        check_alive(a);
        cease_pg_pool_give(pool, a);
    }
    CHECK_EQ(counts_of(pool).opened, 1);
    cease_pg_pool_free(pool);
}

static cease_error set_up(cease_ctx *ctx, cease_pg *db, void *arg)
{
    ++*(int *)arg;
    return *(int *)arg == 2 ? CEASE_EPROTO : cease_pg_exec(ctx, db, "CREATE TEMP TABLE ready()");
}

TEST(pool_sets_each_new_connection_up)
{
    warm_up();
    int calls = 0;
    cease_pg_pool_opts opts = {
        .size = sizeof opts, .connections_max = 2, .setup = set_up, .setup_arg = &calls};
    cease_pg_pool *pool = cease_pg_pool_new(conninfo(), &opts);
    cease_pg *a, *b;
    CHECK_OK(cease_pg_pool_take(cease_background(), pool, &a));
    CHECK_EQ(ask_int(a, "SELECT count(*) FROM ready"), 0);
    CHECK_ERR(cease_pg_pool_take(cease_background(), pool, &b), CEASE_EPROTO);
    CHECK_OK(cease_pg_pool_take(cease_background(), pool, &b)); /* the place is free again */
    CHECK_EQ(counts_of(pool).open, 2);
    cease_pg_pool_give(pool, a);
    cease_pg_pool_give(pool, b);
    cease_pg_pool_free(pool);
}

struct queueing {
    cease_pg_pool *pool;
    cease_chan *order;
    int number;
};

static cease_error queue_up(cease_ctx *ctx, void *arg)
{
    struct queueing *q = arg;
    cease_pg *db;
    cease_error e = cease_pg_pool_take(ctx, q->pool, &db);
    if (e != CEASE_OK)
        return e;
    CHECK_OK(cease_chan_send(ctx, q->order, &q->number));
    check_alive(db);
    cease_pg_pool_give(q->pool, db);
    return CEASE_OK;
}

static void pool_serves_body(void)
{
    cease_ctx *bg = cease_background();
    struct queueing all[20];
    cease_pg_pool *pool = pool_of(1);
    cease_chan *order = cease_chan_new(sizeof(int), 20);
    cease_group *group = cease_group_new(bg, NULL);
    cease_pg *db;
    CHECK_OK(cease_pg_pool_take(bg, pool, &db));
    for (int i = 0; i < 20; i++) {
        all[i] = (struct queueing){pool, order, i};
        CHECK_OK(cease_group_go(group, queue_up, &all[i]));
        cease_yield();
    }
    cease_pg_pool_give(pool, db);
    CHECK_OK(cease_group_wait(group));
    for (int i = 0, number; i < 20; i++) {
        CHECK_OK(cease_chan_try_recv(order, &number));
        CHECK_EQ(number, i);
    }
    cease_group_free(group);
    cease_chan_unref(order);
    cease_pg_pool_free(pool);
}

static cease_error pool_serves_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    pool_serves_body();
    return CEASE_OK;
}

TEST(pool_serves_who_waits_in_the_order_of_coming)
{
    setenv("CEASE_WORKERS", "1", 1); /* so that the order of coming is known */
    warm_up();
    run_in_task(pool_serves_task);
}

static cease_error wait_for_closing(cease_ctx *ctx, void *arg)
{
    cease_pg *db;
    CHECK_ERR(cease_pg_pool_take(ctx, arg, &db), CEASE_ECLOSED);
    return CEASE_OK;
}

TEST(pool_freed_turns_waiters_away_and_lives_until_the_last_is_given)
{
    warm_up();
    cease_pg_pool *pool = pool_of(1);
    cease_pg *db;
    CHECK_OK(cease_pg_pool_take(cease_background(), pool, &db));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, wait_for_closing, pool));
    cease_pg_pool_free(pool);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    check_alive(db);
    cease_pg_pool_give(pool, db);
}
