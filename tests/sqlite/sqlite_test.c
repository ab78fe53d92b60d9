/*
 * Breaks the SQLite adapter: contexts that end before, in the middle of, and just when a statement
 * ends; another writer's lock; memory that runs out; two users of one connection. After every cut
 * the same connection must answer a control query.
 *
 * Each scenario runs on a plain thread and in a task, because the adapter's two paths through the
 * block pool differ.
 */
#include "sqlite_common.h"

#include <cease/chan.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The connection works, and no job is inside SQLite. */
static void check_at_rest(cease_sqlite *db)
{
    check_alive(db);
    struct cease_sqlite_counts counts;
    cease_sqlite_count(&counts);
    CHECK_EQ(counts.running, 0);
}

/* ---- plain use ---- */

struct collected {
    int rows;
    char text[256];
};

static cease_error collect(cease_sqlite_row *row, void *arg)
{
    struct collected *c = arg;
    size_t size;
    const char *text = cease_sqlite_row_text(row, 1, &size);
    c->rows++;
    snprintf(c->text + strlen(c->text), sizeof c->text - strlen(c->text), "%lld:%.*s:%d;",
             (long long)cease_sqlite_row_int(row, 0), (int)size, text,
             cease_sqlite_row_null(row, 1));
    return CEASE_OK;
}

BOTH(query_binds_values_and_gives_rows_in_order)
{
    cease_sqlite *db = open_memory();
    cease_ctx *ctx = cease_background();
    CHECK_OK(cease_sqlite_exec(ctx, db,
                               "CREATE TABLE t(i, s); -- a comment\n CREATE INDEX ti ON t(i);"));
    for (int i = 0; i < 3; i++) {
        cease_sqlite_value args[] = {cease_sqlite_int(i),
                                     i == 1 ? cease_sqlite_null()
                                            : cease_sqlite_text_n("xyz", (size_t)i + 1)};
        CHECK_OK(cease_sqlite_query(ctx, db, "INSERT INTO t VALUES(?1, ?2)", args, 2, NULL, NULL));
    }
    struct collected c = {0};
    CHECK_OK(cease_sqlite_query(ctx, db, "SELECT i, s FROM t ORDER BY i", NULL, 0, collect, &c));
    CHECK_EQ(c.rows, 3);
    CHECK_STR(c.text, "0:x:0;1::1;2:xyz:0;");
    CHECK_STR(cease_sqlite_message(db), "");
    cease_sqlite_close(db);
}

static cease_error stop_at_two(cease_sqlite_row *row, void *arg)
{
    int *seen = arg;
    (void)row;
    return ++*seen == 2 ? CEASE_EOF : CEASE_OK;
}

static cease_error refuse(cease_sqlite_row *row, void *arg)
{
    (void)row;
    (void)arg;
    return CEASE_EMSGSIZE;
}

BOTH(row_function_ends_the_query_or_fails_it)
{
    cease_sqlite *db = open_memory();
    int seen = 0;
    CHECK_OK(cease_sqlite_query(cease_background(), db, ENDLESS " UNION ALL SELECT 1 LIMIT 0", NULL,
                                0, stop_at_two, &seen));
    CHECK_OK(cease_sqlite_query(cease_background(), db,
                                "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", NULL, 0,
                                stop_at_two, &seen));
    CHECK_EQ(seen, 2);
    CHECK_ERR(cease_sqlite_query(cease_background(), db, "SELECT 1", NULL, 0, refuse, NULL),
              CEASE_EMSGSIZE);
    check_at_rest(db);
    cease_sqlite_close(db);
}

BOTH(errors_come_in_words)
{
    cease_sqlite *db = open_memory();
    cease_ctx *ctx = cease_background();
    CHECK_ERR(cease_sqlite_exec(ctx, db, "SELECT * FROM nowhere"), CEASE_ESQL);
    CHECK_STR(cease_sqlite_message(db), "no such table: nowhere");
    CHECK_ERR(cease_sqlite_query(ctx, db, "SELECT 1; SELECT 2", NULL, 0, NULL, NULL), CEASE_EINVAL);
    cease_sqlite_value one[] = {cease_sqlite_int(1)};
    CHECK_ERR(cease_sqlite_query(ctx, db, "SELECT 1", one, 1, NULL, NULL), CEASE_EINVAL);
    CHECK_OK(cease_sqlite_exec(ctx, db, "CREATE TABLE u(x UNIQUE); INSERT INTO u VALUES(1)"));
    CHECK_ERR(cease_sqlite_exec(ctx, db, "INSERT INTO u VALUES(1)"), CEASE_EEXIST);
    CHECK_EQ(cease_sqlite_code(db), SQLITE_CONSTRAINT_UNIQUE);
    check_at_rest(db);
    cease_sqlite_close(db);
}

BOTH(open_says_what_is_wrong)
{
    char words[128] = "";
    cease_sqlite_opts opts = {.size = sizeof opts, .message = words, .message_size = sizeof words};
    cease_sqlite *db = NULL;
    CHECK_ERR(cease_sqlite_open(cease_background(), temp_file("no/such/folder/x.db"), &opts, &db),
              CEASE_ENOENT);
    CHECK_STR(words, "unable to open database file");
    const char *path = temp_file("text.db");
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database, but long enough to be taken for one\n", f);
    fclose(f);
    CHECK_ERR(cease_sqlite_open(cease_background(), path, &opts, &db), CEASE_ESQL);
    CHECK_STR(words, "file is not a database");
    CHECK(db == NULL);
    opts.existing = true;
    CHECK_ERR(cease_sqlite_open(cease_background(), temp_file("missing.db"), &opts, &db),
              CEASE_ENOENT);
    struct cease_sqlite_counts counts;
    cease_sqlite_count(&counts);
    CHECK_EQ(counts.connections, 0);
}

/* ---- contexts that end ---- */

struct canceling {
    cease_canceler *stop;
    int64_t after_us;
    uint32_t running_first; /* wait until a statement runs */
};

static void *cancel_thread(void *arg)
{
    struct canceling *c = arg;
    struct cease_sqlite_counts counts = {0};
    while (c->running_first && counts.running == 0)
        cease_sqlite_count(&counts);
    for (volatile int64_t i = 0; i < c->after_us * 100; i++) {
    }
    cease_cancel_cause(c->stop, 7, "enough");
    cease_end(c->stop);
    return NULL;
}

static pthread_t cancel_soon(struct canceling *c)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, cancel_thread, c), 0);
    return thread;
}

BOTH(query_cancelled_in_the_middle_ends_with_the_contexts_error)
{
    cease_sqlite *db = open_memory();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    struct canceling c = {.stop = cease_canceler_ref(stop), .after_us = 2000, .running_first = 1};
    pthread_t thread = cancel_soon(&c);
    CHECK_ERR(cease_sqlite_query(ctx, db, ENDLESS, NULL, 0, NULL, NULL), CEASE_ECANCELED);
    CHECK_STR(cease_sqlite_message(db), "enough");
    pthread_join(thread, NULL);
    check_at_rest(db);
    cease_end(stop);
    cease_sqlite_close(db);
}

BOTH(query_past_its_deadline_ends_with_the_deadline)
{
    cease_sqlite *db = open_memory();
    for (int i = 0; i < 5; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(i * 5), &stop);
        CHECK_ERR(cease_sqlite_query(ctx, db, ENDLESS, NULL, 0, NULL, NULL), CEASE_EDEADLINE);
        cease_end(stop);
        check_at_rest(db);
    }
    struct cease_sqlite_counts counts;
    cease_sqlite_count(&counts);
    CHECK_EQ(counts.interrupted, 5);
    cease_sqlite_close(db);
}

BOTH(context_done_before_the_first_step_runs_nothing)
{
    cease_sqlite *db = open_memory();
    CHECK_OK(cease_sqlite_exec(cease_background(), db, "CREATE TABLE t(x)"));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_sqlite_exec(ctx, db, "INSERT INTO t VALUES(1)"), CEASE_ECANCELED);
    CHECK_ERR(cease_sqlite_query(ctx, db, "INSERT INTO t VALUES(2)", NULL, 0, NULL, NULL),
              CEASE_ECANCELED);
    cease_sqlite *other = NULL;
    CHECK_ERR(cease_sqlite_open(ctx, ":memory:", NULL, &other), CEASE_ECANCELED);
    cease_end(stop);
    int64_t count = -1;
    CHECK_OK(cease_sqlite_query(cease_background(), db, "SELECT count(*) FROM t", NULL, 0, take_int,
                                &count));
    CHECK_EQ(count, 0);
    cease_sqlite_close(db);
}

/* The interrupt comes when the job has begun and SQLite has not: it forgets such an interrupt, and
 * the progress handler must end the statement. The function below is that moment, made long. */
static int cancel_then_run(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    cease_cancel(arg);
    CHECK(cease_done(ctx));
    return sqlite3_exec(handle, ENDLESS, NULL, NULL, NULL);
}

BOTH(interrupt_before_the_first_step_is_not_lost)
{
    cease_sqlite *db = open_memory();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_ERR(cease_sqlite_run(ctx, db, cancel_then_run, stop), CEASE_ECANCELED);
    cease_end(stop);
    check_at_rest(db);
    cease_sqlite_close(db);
}

/* The other end: the work is complete, then the context ends. It succeeded, and the next user is
 * not interrupted. */
static int run_then_cancel(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    (void)ctx;
    int code = sqlite3_exec(handle, "INSERT INTO t VALUES(1)", NULL, NULL, NULL);
    cease_cancel(arg);
    return code;
}

BOTH(work_complete_when_the_context_ends_is_a_success)
{
    cease_sqlite *db = open_memory();
    CHECK_OK(cease_sqlite_exec(cease_background(), db, "CREATE TABLE t(x)"));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(cease_sqlite_run(ctx, db, run_then_cancel, stop));
    cease_end(stop);
    check_at_rest(db);
    int64_t count = 0;
    CHECK_OK(cease_sqlite_query(cease_background(), db, "SELECT count(*) FROM t", NULL, 0, take_int,
                                &count));
    CHECK_EQ(count, 1);
    cease_sqlite_close(db);
}

/* The heart: a cancel at every moment around a statement's life. Whatever it hit, the next query on
 * the connection, under another context, succeeds; and the query itself either succeeded whole or
 * says that it was cancelled. */
BOTH(interrupt_race_never_hits_the_next_user)
{
    cease_sqlite *db = open_memory();
    int rounds = harness_is_slow() ? 1000 : 10000;
    int cut = 0;
    for (int i = 0; i < rounds; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        /* A deadline of some microseconds on every fourth round, a second thread's cancel on the
         * others. */
        struct canceling c = {.stop = cease_canceler_ref(stop), .after_us = i % 40};
        pthread_t thread = cancel_soon(&c);
        int64_t sum = 0;
        cease_sqlite_value args[] = {cease_sqlite_int(20 + i % 7 * 300)};
        cease_error e = cease_sqlite_query(
            ctx, db,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
            "SELECT sum(i) FROM n",
            args, 1, take_int, &sum);
        int64_t n = args[0].integer;
        if (e == CEASE_OK)
            CHECK_EQ(sum, n * (n + 1) / 2);
        else
            CHECK_ERR(e, CEASE_ECANCELED);
        cut += e != CEASE_OK;
        check_at_rest(db); /* the canceller may still be on its way */
        pthread_join(thread, NULL);
        cease_end(stop);
        check_at_rest(db);
    }
    CHECK(cut > 0);
    cease_sqlite_close(db);
}

/* ---- transactions ---- */

static cease_sqlite *open_in_transaction(void)
{
    cease_sqlite *db = open_memory();
    CHECK_OK(cease_sqlite_exec(cease_background(), db,
                               "CREATE TABLE t(x); BEGIN; INSERT INTO t VALUES(1)"));
    return db;
}

static void check_rolled_back(cease_sqlite *db)
{
    cease_ctx *bg = cease_background();
    int64_t count = -1;
    CHECK_OK(cease_sqlite_query(bg, db, "SELECT count(*) FROM t", NULL, 0, take_int, &count));
    CHECK_EQ(count, 0);
    CHECK_OK(cease_sqlite_exec(bg, db, "BEGIN; COMMIT")); /* none was left open */
}

BOTH(cut_transaction_is_rolled_back)
{
    cease_sqlite *db = open_in_transaction();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    struct canceling c = {.stop = cease_canceler_ref(stop), .after_us = 100, .running_first = 1};
    pthread_t thread = cancel_soon(&c);
    CHECK_ERR(cease_sqlite_query(ctx, db, ENDLESS, NULL, 0, NULL, NULL), CEASE_ECANCELED);
    pthread_join(thread, NULL);
    cease_end(stop);
    check_rolled_back(db);
    cease_sqlite_close(db);
}

/* By the time of the call the context has ended, so the statement never runs. */
BOTH(transaction_whose_next_call_comes_too_late_is_rolled_back)
{
    cease_sqlite *db = open_in_transaction();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ns(0), &stop);
    CHECK_ERR(cease_sqlite_exec(ctx, db, "INSERT INTO t VALUES(2)"), CEASE_EDEADLINE);
    cease_end(stop);
    check_rolled_back(db);
    cease_sqlite_close(db);
}

/* ---- another writer ---- */

static cease_sqlite *open_file(const char *path, cease_dur busy_max)
{
    cease_sqlite *db = NULL;
    cease_sqlite_opts opts = {.size = sizeof opts, .busy_max = busy_max};
    CHECK_OK(cease_sqlite_open(cease_background(), path, &opts, &db));
    return db;
}

BOTH(waiting_for_a_lock_ends_with_the_context)
{
    cease_ctx *bg = cease_background();
    const char *path = temp_file("locked.db");
    cease_sqlite *holder = open_file(path, (cease_dur){0});
    CHECK_OK(cease_sqlite_exec(bg, holder, "CREATE TABLE t(x); BEGIN EXCLUSIVE"));
    /* A reader would meet the lock on opening: it waits for it under its context, too. */
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_ms(20), &stop);
    cease_sqlite *other = NULL;
    CHECK_ERR(cease_sqlite_open(ctx, path, NULL, &other), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_OK(cease_sqlite_exec(bg, holder, "COMMIT"));
    other = open_file(path, (cease_dur){0});
    CHECK_OK(cease_sqlite_exec(bg, holder, "BEGIN IMMEDIATE"));
    ctx = cease_with_timeout(bg, cease_ms(20), &stop);
    CHECK_ERR(cease_sqlite_exec(ctx, other, "INSERT INTO t VALUES(1)"), CEASE_EDEADLINE);
    cease_end(stop);
    check_at_rest(other);
    CHECK_OK(cease_sqlite_exec(bg, holder, "COMMIT"));
    CHECK_OK(cease_sqlite_exec(bg, other, "INSERT INTO t VALUES(1)"));
    cease_sqlite_close(other);
    cease_sqlite_close(holder);
}

BOTH(busy_max_bounds_the_wait_for_a_lock)
{
    cease_ctx *bg = cease_background();
    const char *path = temp_file("busy.db");
    cease_sqlite *holder = open_file(path, (cease_dur){0});
    CHECK_OK(cease_sqlite_exec(bg, holder, "CREATE TABLE t(x)"));
    cease_sqlite *other = open_file(path, cease_ms(5));
    CHECK_OK(cease_sqlite_exec(bg, holder, "BEGIN IMMEDIATE"));
    CHECK_ERR(cease_sqlite_exec(bg, other, "INSERT INTO t VALUES(1)"), CEASE_EBUSY);
    CHECK_STR(cease_sqlite_message(other), "database is locked");
    cease_sqlite_close(holder); /* rolls back, and so lets go */
    CHECK_OK(cease_sqlite_exec(bg, other, "INSERT INTO t VALUES(1)"));
    cease_sqlite_close(other);
}

/* ---- shortage ---- */

static void scenario(void)
{
    cease_sqlite *db = NULL;
    cease_error e = cease_sqlite_open(cease_background(), ":memory:", NULL, &db);
    if (e != CEASE_OK) {
        CHECK_ERR(e, CEASE_ENOMEM);
        return;
    }
    int64_t answer = 0;
    e = cease_sqlite_exec(cease_background(), db,
                          "CREATE TABLE t(x, y); INSERT INTO t VALUES(1, 'abc')");
    if (e == CEASE_OK)
        e = cease_sqlite_query(cease_background(), db, "SELECT x, y FROM t ORDER BY y", NULL, 0,
                               take_int, &answer);
    if (e == CEASE_OK)
        CHECK_EQ(answer, 1);
    else
        CHECK_ERR(e, CEASE_ENOMEM);
    cease_sqlite_close(db);
}

TEST(each_failing_allocation_is_an_error_and_leaves_nothing)
{
    warm_up();
    scenario();
    harness_mark();
    HARNESS_EACH_ALLOC_FAILS(n)
    scenario();
}

TEST(file_size_limit_is_no_space_and_loses_nothing)
{
    warm_up();
    signal(SIGXFSZ, SIG_IGN);
    cease_ctx *bg = cease_background();
    const char *path = temp_file("full.db");
    cease_sqlite *db = open_file(path, (cease_dur){0});
    CHECK_OK(cease_sqlite_exec(bg, db, "CREATE TABLE t(x); INSERT INTO t VALUES('kept')"));
    struct rlimit limit = {.rlim_cur = 64 << 10, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    limit.rlim_max = before.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_ERR(cease_sqlite_exec(bg, db, "INSERT INTO t VALUES(zeroblob(1000000))"), CEASE_ENOSPC);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    int64_t count = 0;
    CHECK_OK(cease_sqlite_query(bg, db, "SELECT count(*) FROM t WHERE x = 'kept'", NULL, 0,
                                take_int, &count));
    CHECK_EQ(count, 1);
    cease_sqlite_close(db);
}

/* ---- misuse ---- */

static int use_again(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    (void)handle;
    cease_sqlite_exec(ctx, arg, "SELECT 1");
    return SQLITE_OK;
}

TEST_ABORTS(connection_used_twice_at_once_aborts, "used by two tasks at once")
{
    cease_sqlite *db = open_memory();
    cease_sqlite_run(cease_background(), db, use_again, db);
}

/* ---- many at once ---- */

enum { ASKERS = 8 };

static cease_error ask_and_give_up(cease_ctx *ctx, void *arg)
{
    cease_chan *pool = arg;
    for (int i = 0; i < 50; i++) {
        cease_sqlite *db;
        cease_canceler *stop;
        cease_ctx *limited = cease_with_timeout(ctx, cease_us(i * 40), &stop);
        cease_error e = cease_chan_recv(limited, pool, &db);
        if (e == CEASE_OK) {
            CHECK_ERR(cease_sqlite_query(limited, db, ENDLESS, NULL, 0, NULL, NULL),
                      CEASE_EDEADLINE);
            int64_t answer = 0;
            CHECK_OK(cease_sqlite_query(ctx, db, "SELECT 5", NULL, 0, take_int, &answer));
            CHECK_EQ(answer, 5);
            CHECK_OK(cease_chan_send(cease_background(), pool, &db));
        }
        cease_end(stop);
    }
    return CEASE_OK;
}

TEST(pool_of_connections_survives_abandoned_queries)
{
    warm_up();
    cease_chan *pool = cease_chan_new(sizeof(cease_sqlite *), 3);
    CHECK(pool != NULL);
    for (int i = 0; i < 3; i++) {
        cease_sqlite *db = open_memory();
        CHECK_OK(cease_chan_try_send(pool, &db));
    }
    cease_group *group = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < ASKERS; i++)
        CHECK_OK(cease_group_go(group, ask_and_give_up, pool));
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_sqlite *db;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_chan_try_recv(pool, &db));
        cease_sqlite_close(db);
    }
    cease_chan_unref(pool);
}
