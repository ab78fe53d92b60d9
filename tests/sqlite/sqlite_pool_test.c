/*
 * Breaks the pool of SQLite connections, and functions that see the query's context: writers that meet, readers beside
 * a writer in the middle of a transaction, transactions that are left open, takes that are cut, functions that wait under a
 * context that ends, memory that runs out.
 */
#include "sqlite_common.h"

#include <cease/task.h>

static cease_error set_up(cease_ctx *ctx, cease_sqlite *db, bool writer, void *arg)
{
    (void)arg;
    return writer ? cease_sqlite_exec(ctx, db, "CREATE TABLE IF NOT EXISTS t(x)") : CEASE_OK;
}

static cease_sqlite_pool *open_pool(uint32_t readers_max)
{
    cease_sqlite_pool *pool = NULL;
    cease_sqlite_pool_opts opts = {
        .size = sizeof opts, .readers_max = readers_max, .setup = set_up};
    CHECK_OK(cease_sqlite_pool_open(cease_background(), temp_file("pool.db"), &opts, &pool));
    return pool;
}

/* ---- the pool ---- */

BOTH(pool_readers_go_on_beside_a_writer_in_a_transaction)
{
    cease_ctx *bg = cease_background();
    cease_sqlite_pool *pool = open_pool(2);
    cease_sqlite *writer, *a, *b;
    CHECK_OK(cease_sqlite_pool_take_writer(bg, pool, &writer));
    CHECK_OK(cease_sqlite_exec(bg, writer,
                               "INSERT INTO t VALUES(1); BEGIN IMMEDIATE;"
                               "INSERT INTO t VALUES(2)"));
    CHECK_OK(cease_sqlite_pool_take_reader(bg, pool, &a));
    CHECK_OK(cease_sqlite_pool_take_reader(bg, pool, &b));
    CHECK(a != b);
    CHECK_EQ(ask_int(a, "SELECT count(*) FROM t"), 1); /* what is not committed is not seen */
    CHECK_OK(cease_sqlite_exec(bg, writer, "COMMIT"));
    CHECK_EQ(ask_int(b, "SELECT count(*) FROM t"), 2);
    CHECK_ERR(cease_sqlite_exec(bg, a, "INSERT INTO t VALUES(3)"), CEASE_EACCES);
    CHECK_EQ(ask_int(writer, "PRAGMA synchronous"), 1);
    cease_sqlite_pool_give(pool, a);
    cease_sqlite_pool_give(pool, b);
    cease_sqlite_pool_give(pool, writer);
    cease_sqlite_pool_give(pool, NULL);
    CHECK_OK(cease_sqlite_pool_take_reader(bg, pool, &a));
    CHECK_PTR(a, b); /* the last one given */
    cease_sqlite_pool_give(pool, a);
    cease_sqlite_pool_free(pool);
}

BOTH(pool_take_waits_under_its_context)
{
    cease_ctx *bg = cease_background();
    cease_sqlite_pool *pool = open_pool(1);
    cease_sqlite *writer, *reader, *other;
    CHECK_OK(cease_sqlite_pool_take_writer(bg, pool, &writer));
    CHECK_OK(cease_sqlite_pool_take_reader(bg, pool, &reader));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_ms(5), &stop);
    CHECK_ERR(cease_sqlite_pool_take_writer(ctx, pool, &other), CEASE_EDEADLINE);
    CHECK_ERR(cease_sqlite_pool_take_reader(ctx, pool, &other), CEASE_EDEADLINE);
    cease_end(stop);
    cease_sqlite_pool_give(pool, reader);
    cease_sqlite_pool_give(pool, writer);
    CHECK_OK(cease_sqlite_pool_take_writer(bg, pool, &other));
    CHECK_PTR(other, writer);
    cease_sqlite_pool_give(pool, other);
    cease_sqlite_pool_free(pool);
}

BOTH(pool_rolls_back_what_was_left_open)
{
    cease_ctx *bg = cease_background();
    cease_sqlite_pool *pool = open_pool(1);
    cease_sqlite *db;
    CHECK_OK(cease_sqlite_pool_take_writer(bg, pool, &db));
    CHECK_OK(cease_sqlite_exec(bg, db, "BEGIN; INSERT INTO t VALUES(1)"));
    cease_sqlite_pool_give(pool, db);
    CHECK_OK(cease_sqlite_pool_take_reader(bg, pool, &db));
    CHECK_OK(cease_sqlite_exec(bg, db, "BEGIN; SELECT * FROM t"));
    cease_sqlite_pool_give(pool, db);
    CHECK_OK(cease_sqlite_pool_take_writer(bg, pool, &db));
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 0);
    CHECK_OK(cease_sqlite_exec(bg, db, "BEGIN; INSERT INTO t VALUES(1); COMMIT"));
    cease_sqlite_pool_give(pool, db);
    CHECK_OK(cease_sqlite_pool_take_reader(bg, pool, &db));
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 1); /* its old view is gone, too */
    cease_sqlite_pool_give(pool, db);
    cease_sqlite_pool_free(pool);
}

BOTH(pool_that_cannot_be_opened_says_why)
{
    char message[128] = "";
    cease_sqlite_pool *pool = NULL;
    cease_sqlite_pool_opts opts = {
        .size = sizeof opts, .message = message, .message_size = sizeof message};
    CHECK_ERR(cease_sqlite_pool_open(cease_background(), "/no/such/folder/x.db", &opts, &pool),
              CEASE_ENOENT);
    CHECK_STR(message, "unable to open database file");
    CHECK_ERR(cease_sqlite_pool_open(cease_background(), ":memory:", &opts, &pool), CEASE_ENOTSUP);
    CHECK_STR(message, cease_strerror(CEASE_ENOTSUP));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_sqlite_pool_open(ctx, temp_file("pool.db"), NULL, &pool), CEASE_ECANCELED);
    cease_end(stop);
}

enum { WRITERS = 6, ROUNDS = 40 };

static cease_error add_one(cease_ctx *ctx, cease_sqlite *db, int64_t *committed)
{
    cease_error e = cease_sqlite_exec(ctx, db, "BEGIN; INSERT INTO t VALUES(1)");
    if (e == CEASE_OK)
        e = cease_sqlite_exec(ctx, db, "COMMIT");
    if (e == CEASE_OK)
        __atomic_add_fetch(committed, 1, __ATOMIC_RELAXED);
    return e;
}

struct shared {
    cease_sqlite_pool *pool;
    int64_t committed;
};

static cease_error write_and_read(cease_ctx *ctx, void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        cease_sqlite *db;
        cease_canceler *stop;
        cease_ctx *limited = cease_with_timeout(ctx, cease_us(i * 100), &stop);
        cease_error e = cease_sqlite_pool_take_writer(limited, s->pool, &db);
        if (e == CEASE_OK) {
            e = add_one(limited, db, &s->committed);
            cease_sqlite_pool_give(s->pool, db);
        }
        if (e != CEASE_OK)
            CHECK_ERR(e, CEASE_EDEADLINE); /* never busy */
        cease_end(stop);
        CHECK_OK(cease_sqlite_pool_take_reader(ctx, s->pool, &db));
        CHECK(ask_int(db, "SELECT count(*) FROM t") >= 0);
        cease_sqlite_pool_give(s->pool, db);
    }
    return CEASE_OK;
}

TEST(pool_of_many_writers_and_readers_loses_nothing_to_cancels)
{
    warm_up();
    struct shared s = {.pool = open_pool(3)};
    cease_group *group = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < WRITERS; i++)
        CHECK_OK(cease_group_go(group, write_and_read, &s));
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_sqlite *db;
    CHECK_OK(cease_sqlite_pool_take_writer(cease_background(), s.pool, &db));
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), s.committed);
    cease_sqlite_pool_give(s.pool, db);
    cease_sqlite_pool_free(s.pool);
}

static cease_error wait_for_closing(cease_ctx *ctx, void *arg)
{
    cease_sqlite *db;
    CHECK_ERR(cease_sqlite_pool_take_writer(ctx, arg, &db), CEASE_ECLOSED);
    return CEASE_OK;
}

TEST(pool_freed_turns_waiters_away_and_lives_until_the_last_is_given)
{
    warm_up();
    cease_sqlite_pool *pool = open_pool(1);
    cease_sqlite *writer, *reader;
    CHECK_OK(cease_sqlite_pool_take_writer(cease_background(), pool, &writer));
    CHECK_OK(cease_sqlite_pool_take_reader(cease_background(), pool, &reader));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, wait_for_closing, pool));
    cease_sqlite_pool_free(pool);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    CHECK_EQ(ask_int(writer, "SELECT 7"), 7);
    cease_sqlite_pool_give(pool, reader);
    cease_sqlite_pool_give(pool, writer);
}

/* ---- functions ---- */

static void twice(cease_ctx *ctx, sqlite3_context *call, int count, sqlite3_value **values,
                  void *arg)
{
    (void)ctx;
    CHECK_EQ(count, 1);
    ++*(int *)arg;
    sqlite3_result_int64(call, 2 * sqlite3_value_int64(values[0]));
}

static void released(void *arg)
{
    *(int *)arg += 1000;
}

BOTH(function_is_called_and_released_once)
{
    int calls = 0;
    cease_sqlite *db = open_memory();
    cease_sqlite_function_opts opts = {.size = sizeof opts,
                                       .name = "twice",
                                       .arg_count = 1,
                                       .deterministic = true,
                                       .fn = twice,
                                       .arg = &calls,
                                       .release = released};
    CHECK_OK(cease_sqlite_function(cease_background(), db, &opts));
    CHECK_EQ(ask_int(db, "SELECT sum(twice(value)) FROM json_each('[1,2,3]')"), 12);
    CHECK_EQ(calls, 3);
    cease_sqlite_close(db);
    CHECK_EQ(calls, 1003);
}

BOTH(function_that_cannot_be_defined_is_released_too)
{
    int calls = 0;
    cease_sqlite *db = open_memory();
    cease_sqlite_function_opts opts = {.size = sizeof opts,
                                       .name = "twice",
                                       .arg_count = 1000,
                                       .fn = twice,
                                       .arg = &calls,
                                       .release = released};
    CHECK_ERR(cease_sqlite_function(cease_background(), db, &opts), CEASE_EINVAL);
    CHECK_EQ(calls, 1000);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_sqlite_function(ctx, db, &opts), CEASE_ECANCELED);
    CHECK_EQ(calls, 2000);
    cease_end(stop);
    cease_sqlite_close(db);
}

static cease_key user = CEASE_KEY("user");

static void user_of_query(cease_ctx *ctx, sqlite3_context *call, int count, sqlite3_value **values,
                          void *arg)
{
    (void)count;
    (void)values;
    (void)arg;
    sqlite3_result_text(call, cease_value(ctx, &user), -1, SQLITE_STATIC);
}

static void wait_for_the_end(cease_ctx *ctx, sqlite3_context *call, int count,
                             sqlite3_value **values, void *arg)
{
    (void)count;
    (void)values;
    if (arg)
        cease_cancel(arg);
    CHECK(cease_sleep(ctx, CEASE_FOREVER) != CEASE_OK);
    sqlite3_result_int(call, 1); /* is not used */
}

static void define(cease_sqlite *db, const char *name, cease_sqlite_call_fn *fn, void *arg)
{
    cease_sqlite_function_opts opts = {.size = sizeof opts, .name = name, .fn = fn, .arg = arg};
    CHECK_OK(cease_sqlite_function(cease_background(), db, &opts));
}

static cease_error take_text(cease_sqlite_row *row, void *arg)
{
    snprintf(arg, 32, "%s", cease_sqlite_row_text(row, 0, NULL));
    return CEASE_OK;
}

BOTH(function_sees_the_context_of_its_query)
{
    char text[32] = "";
    cease_sqlite *db = open_memory();
    define(db, "me", user_of_query, NULL);
    char name[] = "anna";
    cease_ctx *ctx = cease_with_value(cease_background(), &user, name);
    CHECK_OK(cease_sqlite_query(ctx, db, "SELECT me()", NULL, 0, take_text, text));
    CHECK_STR(text, "anna");
    cease_unref(ctx);
    CHECK_OK(cease_sqlite_query(cease_background(), db, "SELECT coalesce(me(), 'nobody')", NULL, 0,
                                take_text, text));
    CHECK_STR(text, "nobody");
    cease_sqlite_close(db);
}

BOTH(function_that_waits_ends_with_the_context_of_its_query)
{
    cease_sqlite *db = open_memory();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    define(db, "forever", wait_for_the_end, NULL);
    define(db, "cancelled", wait_for_the_end, stop);
    CHECK_ERR(cease_sqlite_query(ctx, db, "SELECT cancelled()", NULL, 0, NULL, NULL),
              CEASE_ECANCELED);
    cease_end(stop);
    ctx = cease_with_timeout(cease_background(), cease_ms(5), &stop);
    CHECK_ERR(cease_sqlite_query(ctx, db, "SELECT forever()", NULL, 0, NULL, NULL),
              CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_EQ(ask_int(db, "SELECT 5"), 5);
    cease_sqlite_close(db);
}

/* ---- shortage ---- */

static void scenario(void)
{
    cease_sqlite_pool *pool = NULL;
    cease_error e = cease_sqlite_pool_open(cease_background(), temp_file("pool.db"), NULL, &pool);
    cease_sqlite *db = NULL;
    int calls = 0;
    if (e == CEASE_OK)
        e = cease_sqlite_pool_take_reader(cease_background(), pool, &db);
    if (e == CEASE_OK) {
        cease_sqlite_function_opts opts = {.size = sizeof opts,
                                           .name = "twice",
                                           .arg_count = 1,
                                           .fn = twice,
                                           .arg = &calls,
                                           .release = released};
        e = cease_sqlite_function(cease_background(), db, &opts);
        CHECK_EQ(calls, e == CEASE_OK ? 0 : 1000);
        cease_sqlite_pool_give(pool, db);
    }
    if (e != CEASE_OK)
        CHECK_ERR(e, CEASE_ENOMEM);
    cease_sqlite_pool_free(pool);
}

TEST(each_failing_allocation_is_an_error_and_leaves_nothing)
{
    warm_up();
    scenario();
    harness_mark();
    HARNESS_EACH_ALLOC_FAILS(n)
    scenario();
}
