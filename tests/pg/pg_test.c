/*
 * Breaks the PostgreSQL adapter against a real server: contexts that end before, in the middle of and just when
 * a statement ends; transactions that are cut; a session that is killed, or no longer answers;
 * statements that the server forgot; memory that runs out. After every cut the same connection must
 * answer a control query, unless it had to be closed.
 *
 * Each scenario runs on a plain thread and in a task: the ways of waiting differ.
 */
#include "pg_common.h"

#include <cease/chan.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

SERVERS("pg");

/* ---- plain use ---- */

struct collected {
    int rows;
    char text[512];
};

static cease_error collect(cease_pg_row *row, void *arg)
{
    struct collected *c = arg;
    size_t size;
    const char *text = cease_pg_row_text(row, 1, &size);
    size_t used = strlen(c->text);
    c->rows++;
    snprintf(c->text + used, sizeof c->text - used, "%lld:%.*s:%d;",
             (long long)cease_pg_row_int(row, 0), (int)size, text, cease_pg_row_null(row, 1));
    return CEASE_OK;
}

BOTH(query_binds_values_and_gives_rows_in_order)
{
    cease_pg *db = open_pg();
    cease_ctx *ctx = cease_background();
    CHECK_OK(cease_pg_exec(ctx, db, "CREATE TEMP TABLE t(i int, s text); CREATE INDEX ON t(i)"));
    for (int i = 0; i < 3; i++) {
        cease_pg_value args[] = {cease_pg_int(i),
                                 i == 1 ? cease_pg_null() : cease_pg_text(&"xyz"[2 - i])};
        CHECK_OK(cease_pg_query(ctx, db, "INSERT INTO t VALUES($1, $2)", args, 2, NULL, NULL));
        CHECK_EQ(cease_pg_affected(db), 1);
    }
    struct collected c = {0};
    CHECK_OK(cease_pg_query(ctx, db, "SELECT i, s FROM t ORDER BY i", NULL, 0, collect, &c));
    CHECK_STR(c.text, "0:z:0;1::1;2:xyz:0;");
    CHECK_STR(cease_pg_message(db), "");
    CHECK_STR(cease_pg_sqlstate(db), "");
    CHECK_OK(cease_pg_exec(ctx, db, "UPDATE t SET i = i + 1"));
    CHECK_EQ(cease_pg_affected(db), 3);
    cease_pg_close(db);
}

static cease_error check_values(cease_pg_row *row, void *arg)
{
    *(int *)arg += 1;
    CHECK_EQ(cease_pg_row_int(row, 0), INT64_MIN);
    CHECK(cease_pg_row_real(row, 1) == -0.1);
    CHECK(cease_pg_row_bool(row, 2));
    CHECK(!cease_pg_row_bool(row, 3));
    CHECK_STR(cease_pg_row_text(row, 4, NULL), "it's \\ \"so\"");
    CHECK_STR(cease_pg_row_text(row, 5, NULL), "\\x006100ff");
    CHECK(cease_pg_row_null(row, 6));
    CHECK(cease_pg_row_null(row, 7)); /* there is none */
    CHECK_STR(PQgetvalue(row, 0, 2), "t");
    return CEASE_OK;
}

BOTH(values_of_every_kind_come_back)
{
    cease_pg *db = open_pg();
    int seen = 0;
    cease_pg_value args[] = {
        cease_pg_int(INT64_MIN),
        cease_pg_real(-0.1),
        cease_pg_bool(true),
        cease_pg_bool(false),
        cease_pg_text("it's \\ \"so\""),
        cease_pg_bytes("\0a\0\xff", 4),
        cease_pg_text(NULL),
    };
    CHECK_OK(
        cease_pg_query(cease_background(), db,
                       "SELECT $1::bigint, $2::float8, $3::bool, $4::bool, $5::text, $6::bytea,"
                       " $7::text",
                       args, 7, check_values, &seen));
    CHECK_EQ(seen, 1);
    cease_pg_close(db);
}

static cease_error stop_at_two(cease_pg_row *row, void *arg)
{
    (void)row;
    return ++*(int *)arg == 2 ? CEASE_EOF : CEASE_OK;
}

static cease_error refuse(cease_pg_row *row, void *arg)
{
    (void)row;
    (void)arg;
    return CEASE_EMSGSIZE;
}

BOTH(row_function_ends_the_rows_or_fails_the_query)
{
    cease_pg *db = open_pg();
    int seen = 0;
    CHECK_OK(cease_pg_exec(cease_background(), db, "CREATE TEMP TABLE t(i int)"));
    CHECK_OK(cease_pg_query(cease_background(), db,
                            "INSERT INTO t SELECT generate_series(1, 500) RETURNING i", NULL, 0,
                            stop_at_two, &seen));
    CHECK_EQ(seen, 2);
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 500); /* what it changed is kept */
    CHECK_ERR(cease_pg_query(cease_background(), db, "SELECT generate_series(1, 1000000000)", NULL,
                             0, refuse, NULL),
              CEASE_EMSGSIZE);
    check_alive(db);
    cease_pg_close(db);
}

BOTH(errors_come_with_state_and_words)
{
    cease_pg *db = open_pg();
    cease_ctx *ctx = cease_background();
    CHECK_ERR(cease_pg_query(ctx, db, "SELEC 1", NULL, 0, NULL, NULL), CEASE_ESQL);
    CHECK_STR(cease_pg_sqlstate(db), "42601");
    CHECK_STR(cease_pg_message(db), "syntax error at or near \"SELEC\"");
    CHECK_ERR(cease_pg_exec(ctx, db,
                            "CREATE TEMP TABLE t(i int PRIMARY KEY);"
                            "INSERT INTO t VALUES(1), (1)"),
              CEASE_EEXIST);
    CHECK_STR(cease_pg_sqlstate(db), "23505");
    CHECK_ERR(cease_pg_query(ctx, db, "SELECT 1; SELECT 2", NULL, 0, NULL, NULL), CEASE_ESQL);
    CHECK_ERR(cease_pg_query(ctx, db, "SELECT $1::int", NULL, 0, NULL, NULL), CEASE_EINVAL);
    CHECK_ERR(cease_pg_exec(ctx, db, "BEGIN READ ONLY; CREATE TABLE t(i int)"), CEASE_EACCES);
    CHECK_OK(cease_pg_rollback(ctx, db));
    CHECK_ERR(cease_pg_exec(ctx, db, "COPY pg_class TO STDOUT"), CEASE_EINVAL);
    CHECK_ERR(cease_pg_exec(ctx, db, "CREATE TEMP TABLE u(i int); COPY u FROM STDIN"),
              CEASE_EINVAL);
    check_alive(db);
    CHECK_OK(cease_pg_exec(ctx, db, "  -- nothing\n"));
    cease_pg_close(db);
}

/* ---- connecting ---- */

static cease_error try_open(const char *format, char *message, size_t size)
{
    char text[4400];
    const char *where = servers_where("pg");
    conninfo();
    snprintf(text, sizeof text, format, where);
    cease_pg *db = NULL;
    cease_pg_opts opts = {.size = sizeof opts, .message = message, .message_size = size};
    cease_error e = cease_pg_open(cease_background(), text, &opts, &db);
    cease_pg_close(db);
    return e;
}

BOTH(open_refused_says_why)
{
    char message[256];
    CHECK_ERR(try_open("host=/nowhere/%s user=cease", message, sizeof message), CEASE_ECONNREFUSED);
    CHECK(strstr(message, "No such file or directory") != NULL);
    CHECK_ERR(try_open("host=%s user=secret dbname=cease password=wrong", message, sizeof message),
              CEASE_EACCES);
    CHECK(strstr(message, "FATAL:  password authentication failed for user \"secret\"") != NULL);
    CHECK_ERR(try_open("host=%s user=secret dbname=cease", message, sizeof message), CEASE_EACCES);
    CHECK(strstr(message, "no password supplied") != NULL);
    CHECK_ERR(try_open("host=%s user=cease dbname=nowhere", message, sizeof message), CEASE_ENOENT);
    CHECK_ERR(try_open("host=%s nonsense=1", message, sizeof message), CEASE_EINVAL);
    CHECK_ERR(try_open("postgres://ho%%st/", message, sizeof message), CEASE_EINVAL);
    CHECK_ERR(try_open("host=127.0.0.1 port=1 user=%s", message, sizeof message),
              CEASE_ECONNREFUSED);
    CHECK_OK(try_open("host=%s user=secret dbname=cease password='open sesame'", message,
                      sizeof message));
    CHECK_STR(message, "");
    CHECK_OK(try_open("postgres://secret:open%%20sesame@/cease?host=%s", message, sizeof message));
}

BOTH(open_under_a_context_that_has_ended_connects_to_nothing)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 7, "enough");
    char message[64];
    cease_pg_opts opts = {.size = sizeof opts, .message = message, .message_size = sizeof message};
    cease_pg *db = NULL;
    CHECK_ERR(cease_pg_open(ctx, conninfo(), &opts, &db), CEASE_ECANCELED);
    CHECK_STR(message, "enough");
    cease_end(stop);
}

/* ---- TLS ---- */

static cease_error count_sizes(cease_pg_row *row, void *arg)
{
    size_t size;
    cease_pg_row_text(row, 0, &size);
    *(size_t *)arg += size;
    return CEASE_OK;
}

/* Verified to the end, with a password; rows that fill many records, statements that are cut. */
BOTH(tls_connection_streams_rows_and_cancels)
{
    char text[9000], root[4300];
    conninfo();
    snprintf(root, sizeof root, "%s/root.crt", servers_where("pg"));
    if (access(root, R_OK) != 0)
        SKIP("there is no openssl to make a certificate");
    snprintf(text, sizeof text,
             "host=127.0.0.1 user=secret password='open sesame' dbname=cease sslmode=verify-full"
             " sslrootcert=%s",
             root);
    cease_pg *db = NULL;
    CHECK_OK(cease_pg_open(cease_background(), text, NULL, &db)); /* OpenSSL keeps some memory */
    cease_pg_close(db);
    harness_mark();
    CHECK_OK(cease_pg_open(cease_background(), text, NULL, &db));
    CHECK(PQsslInUse(cease_pg_handle(db)));
    size_t size = 0;
    CHECK_OK(cease_pg_query(cease_background(), db,
                            "SELECT repeat('x', 10000) FROM generate_series(1, 200)", NULL, 0,
                            count_sizes, &size));
    CHECK_EQ(size, 2000000);
    for (int i = 0; i < 5; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(i + 1), &stop);
        CHECK_ERR(cease_pg_query(ctx, db, "SELECT repeat('x', 10000), generate_series(1, 1000000)",
                                 NULL, 0, count_sizes, &size),
                  CEASE_EDEADLINE);
        cease_end(stop);
        check_alive(db);
    }
    cease_pg_close(db);
}

/* ---- prepared statements ---- */

static int64_t count_prepared(cease_pg *db)
{
    int64_t count = -1;
    char sql[80];
    static int unique; /* asked once, so that it is not prepared itself */
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_prepared_statements -- %d",
             __atomic_add_fetch(&unique, 1, __ATOMIC_RELAXED));
    CHECK_OK(cease_pg_query(cease_background(), db, sql, NULL, 0, take_int, &count));
    return count;
}

BOTH(statement_asked_for_again_is_prepared_and_the_oldest_make_room)
{
    cease_pg *db = open_pg();
    for (int round = 0; round < 40; round++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT %d + $1::int", round);
        for (int again = 0; again < 3; again++) {
            int64_t sum = 0;
            cease_pg_value args[] = {cease_pg_int(again)};
            CHECK_OK(cease_pg_query(cease_background(), db, sql, args, 1, take_int, &sum));
            CHECK_EQ(sum, round + again);
        }
    }
    int64_t count = count_prepared(db);
    CHECK(count > 25 && count <= 32);
    cease_pg_close(db);
}

BOTH(statement_that_the_server_forgot_is_parsed_anew)
{
    cease_pg *db = open_pg();
    cease_ctx *ctx = cease_background();
    CHECK_OK(cease_pg_exec(ctx, db, "CREATE TEMP TABLE t AS SELECT 5 AS i"));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(ask_int(db, "SELECT * FROM t"), 5);
    CHECK_OK(cease_pg_exec(ctx, db, "ALTER TABLE t ALTER i TYPE text")); /* another shape */
    CHECK_EQ(ask_int(db, "SELECT * FROM t"), 5);
    CHECK_OK(cease_pg_exec(ctx, db, "DEALLOCATE ALL"));
    CHECK_EQ(ask_int(db, "SELECT * FROM t"), 5);
    CHECK_OK(cease_pg_exec(ctx, db, "DEALLOCATE ALL; BEGIN"));
    CHECK_ERR(cease_pg_query(ctx, db, "SELECT * FROM t", NULL, 0, NULL, NULL), CEASE_ESQL);
    CHECK_OK(cease_pg_rollback(ctx, db));
    CHECK_EQ(ask_int(db, "SELECT * FROM t"), 5);
    cease_pg_close(db);
}

TEST(no_prepare_keeps_nothing_on_the_server)
{
    warm_up();
    cease_pg *db = NULL;
    cease_pg_opts opts = {.size = sizeof opts, .no_prepare = true};
    CHECK_OK(cease_pg_open(cease_background(), conninfo(), &opts, &db));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(ask_int(db, "SELECT 3"), 3);
    CHECK_EQ(count_prepared(db), 0);
    cease_pg_close(db);
}

/* ---- cancel ---- */

/* How many statements with this mark the server is working at. */
static int64_t count_active(cease_pg *db, const char *mark)
{
    int64_t count = -1;
    cease_pg_value args[] = {cease_pg_text(mark)};
    CHECK_OK(cease_pg_query(
        cease_background(), db,
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'active' AND strpos(query, $1) > 0 AND pid <> pg_backend_pid()",
        args, 1, take_int, &count));
    return count;
}

struct canceling {
    cease_pg *watcher;
    const char *mark;
    cease_canceler *stop;
};

/* Cancels once the server is at it. */
static cease_error cancel_when_active(cease_ctx *ctx, void *arg)
{
    struct canceling *c = arg;
    (void)ctx;
    CHECK_EVENTUALLY(count_active(c->watcher, c->mark) == 1);
    cease_cancel_cause(c->stop, 42, "enough");
    return CEASE_OK;
}

BOTH(query_cancelled_is_gone_from_the_server_when_the_call_returns)
{
    cease_pg *db = open_pg(), *watcher = open_pg();
    const char *sql[] = {"SELECT pg_sleep(1000) /* mark-%d */",
                         "SELECT generate_series(1, 1000000000) /* mark-%d */"};
    for (int i = 0; i < 4; i++) {
        char text[100], mark[40];
        snprintf(mark, sizeof mark, "mark-%d", i + getpid());
        snprintf(text, sizeof text, sql[i % 2], i + getpid());
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        struct canceling c = {watcher, mark, stop};
        cease_group *group = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(group, cancel_when_active, &c));
        cease_error e = i < 2 ? cease_pg_query(ctx, db, text, NULL, 0, NULL, NULL)
                              : cease_pg_exec(ctx, db, text);
        CHECK_ERR(e, CEASE_ECANCELED);
        CHECK_STR(cease_pg_message(db), "enough");
        CHECK_OK(cease_group_wait(group));
        CHECK_EQ(count_active(watcher, mark), 0);
        check_alive(db);
        cease_group_free(group);
        cease_end(stop);
    }
    struct cease_pg_counts counts;
    cease_pg_count(&counts);
    CHECK_EQ(counts.cut, 4);
    CHECK(counts.cancels >= 4);
    CHECK_EQ(counts.abandoned, 0);
    cease_pg_close(db);
    cease_pg_close(watcher);
}

BOTH(query_past_its_deadline_ends_with_the_deadline)
{
    cease_pg *db = open_pg();
    for (int i = 0; i < 8; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i * 700), &stop);
        CHECK_ERR(cease_pg_query(ctx, db, "SELECT pg_sleep(1000)", NULL, 0, NULL, NULL),
                  CEASE_EDEADLINE);
        cease_end(stop);
        check_alive(db);
    }
    cease_pg_close(db);
}

BOTH(context_done_before_the_query_runs_nothing)
{
    cease_pg *db = open_pg();
    CHECK_OK(cease_pg_exec(cease_background(), db, "CREATE TEMP SEQUENCE s"));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_pg_query(ctx, db, "SELECT nextval('s')", NULL, 0, NULL, NULL), CEASE_ECANCELED);
    CHECK_ERR(cease_pg_exec(ctx, db, "SELECT nextval('s')"), CEASE_ECANCELED);
    cease_end(stop);
    CHECK_EQ(ask_int(db, "SELECT nextval('s')"), 1);
    struct cease_pg_counts counts;
    cease_pg_count(&counts);
    CHECK_EQ(counts.cut, 0);
    cease_pg_close(db);
}

static cease_error take_text(cease_pg_row *row, void *arg)
{
    snprintf(arg, 64, "%s", cease_pg_row_text(row, 0, NULL));
    return CEASE_OK;
}

static int64_t timeout_at_server(cease_ctx *ctx, cease_pg *db)
{
    int64_t ms = -1;
    CHECK_OK(cease_pg_query(ctx, db,
                            "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'",
                            NULL, 0, take_int, &ms));
    return ms;
}

BOTH(time_left_goes_to_the_server_and_is_taken_back)
{
    cease_pg *db = open_pg();
    cease_ctx *bg = cease_background();
    CHECK_EQ(timeout_at_server(bg, db), 0);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_sec(1000), &stop);
    int64_t ms = timeout_at_server(ctx, db);
    CHECK(ms > 0 && ms <= 1000001);
    /* A rollback undoes what was set inside the transaction. */
    CHECK_OK(cease_pg_exec(bg, db, "BEGIN"));
    CHECK(timeout_at_server(ctx, db) > 0);
    CHECK_OK(cease_pg_rollback(ctx, db));
    CHECK_EQ(timeout_at_server(bg, db), 0);
    CHECK_OK(cease_pg_exec(ctx, db,
                           "CREATE TEMP TABLE t AS SELECT current_setting("
                           "'statement_timeout') AS s"));
    char text[64] = "";
    CHECK_OK(cease_pg_query(bg, db, "SELECT s FROM t", NULL, 0, take_text, text));
    CHECK(strcmp(text, "0") != 0);
    cease_end(stop);
    /* And without us it would end there. */
    CHECK_OK(cease_pg_exec(bg, db, "BEGIN; SET LOCAL statement_timeout = 1"));
    CHECK_ERR(cease_pg_exec(bg, db, "SELECT pg_sleep(1000)"), CEASE_ESQL);
    CHECK_STR(cease_pg_sqlstate(db), "57014");
    cease_pg_close(db);
}

struct reading {
    cease_canceler *stop;
    int rows;
};

/* The context ends while the row is read: the row stays. */
static cease_error cancel_then_read(cease_pg_row *row, void *arg)
{
    struct reading *r = arg;
    cease_cancel(r->stop);
    size_t size;
    const char *text = cease_pg_row_text(row, 0, &size);
    CHECK_EQ(size, 10000);
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(text[i], 'x');
    r->rows++;
    return CEASE_OK;
}

BOTH(row_is_readable_though_its_context_has_ended)
{
    cease_pg *db = open_pg();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    struct reading r = {.stop = stop};
    CHECK_ERR(cease_pg_query(ctx, db, "SELECT repeat('x', 10000), generate_series(1, 1000000)",
                             NULL, 0, cancel_then_read, &r),
              CEASE_ECANCELED);
    CHECK_EQ(r.rows, 1);
    cease_end(stop);
    check_alive(db);
    cease_pg_close(db);
}

static cease_error cancel_at_the_row(cease_pg_row *row, void *arg)
{
    (void)row;
    cease_cancel(arg);
    return CEASE_OK;
}

/* The call says what the server did, though the cancel was on its way. */
BOTH(result_agrees_with_what_the_server_did)
{
    cease_pg *db = open_pg();
    CHECK_OK(cease_pg_exec(cease_background(), db, "CREATE TEMP TABLE t(i int)"));
    int64_t count = 0;
    for (int i = 0; i < 50; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        cease_error e = cease_pg_query(ctx, db, "INSERT INTO t VALUES(1) RETURNING i", NULL, 0,
                                       cancel_at_the_row, stop);
        if (e != CEASE_OK)
            CHECK_ERR(e, CEASE_ECANCELED);
        count += e == CEASE_OK;
        CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), count);
        cease_end(stop);
    }
    cease_pg_close(db);
}

/* A session that does not answer, as behind a network that broke: the budget bounds the wait. */
BOTH(cancel_that_nobody_acknowledges_closes_the_connection)
{
    cease_pg *db = NULL;
    cease_pg_opts opts = {.size = sizeof opts, .cancel_max = cease_ms(30)};
    CHECK_OK(cease_pg_open(cease_background(), conninfo(), &opts, &db));
    pid_t session = (pid_t)ask_int(db, "SELECT pg_backend_pid()");
    CHECK_EQ(kill(session, SIGSTOP), 0);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(50), &stop);
    CHECK_ERR(cease_pg_query(ctx, db, "SELECT 1", NULL, 0, NULL, NULL), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_EQ(kill(session, SIGCONT), 0);
    CHECK_ERR(cease_pg_exec(cease_background(), db, "SELECT 1"), CEASE_ENOTCONN);
    CHECK(cease_pg_handle(db) == NULL);
    struct cease_pg_counts counts;
    cease_pg_count(&counts);
    CHECK_EQ(counts.abandoned, 1);
    cease_pg_close(db);
}

/* ---- transactions ---- */

static cease_error insert_and_end(cease_ctx *ctx, cease_pg *db, void *arg)
{
    CHECK_OK(cease_pg_exec(ctx, db, "INSERT INTO t VALUES(1)"));
    return *(cease_error *)arg;
}

static cease_error fail_and_go_on(cease_ctx *ctx, cease_pg *db, void *arg)
{
    (void)arg;
    CHECK_ERR(cease_pg_exec(ctx, db, "SELECT 1/0"), CEASE_ESQL);
    CHECK_ERR(cease_pg_exec(ctx, db, "INSERT INTO t VALUES(1)"), CEASE_ESQL);
    return CEASE_OK;
}

static cease_error insert_then_sleep(cease_ctx *ctx, cease_pg *db, void *arg)
{
    CHECK_OK(cease_pg_exec(ctx, db, "INSERT INTO t VALUES(1)"));
    cease_cancel(arg);
    return cease_pg_exec(ctx, db, "SELECT pg_sleep(1000)");
}

BOTH(transaction_commits_or_leaves_nothing)
{
    cease_pg *db = open_pg();
    cease_ctx *bg = cease_background();
    CHECK_OK(cease_pg_exec(bg, db, "CREATE TEMP TABLE t(i int)"));
    cease_error e = CEASE_OK;
    CHECK_OK(cease_pg_transaction(bg, db, NULL, insert_and_end, &e));
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 1);
    e = CEASE_EPROTO;
    CHECK_ERR(
        cease_pg_transaction(bg, db, "BEGIN ISOLATION LEVEL SERIALIZABLE", insert_and_end, &e),
        CEASE_EPROTO);
    CHECK_ERR(cease_pg_transaction(bg, db, NULL, fail_and_go_on, NULL), CEASE_ESQL);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(bg, &stop);
    CHECK_ERR(cease_pg_transaction(ctx, db, NULL, insert_then_sleep, stop), CEASE_ECANCELED);
    cease_end(stop);
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 1);
    CHECK_EQ(PQtransactionStatus(cease_pg_handle(db)), PQTRANS_IDLE);
    cease_pg_close(db);
}

static cease_error cancel_and_go_on(cease_pg_row *row, void *arg)
{
    (void)row;
    cease_cancel(arg);
    return CEASE_OK;
}

/* Go's 34775: after the cut a statement under another context must not run outside the transaction. */
BOTH(statement_after_a_cut_transaction_does_not_slip_out_of_it)
{
    cease_pg *db = open_pg();
    cease_ctx *bg = cease_background();
    CHECK_OK(cease_pg_exec(bg, db, "CREATE TEMP TABLE t(i int)"));
    for (int way = 0; way < 2; way++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(bg, &stop);
        CHECK_OK(cease_pg_exec(bg, db, "BEGIN; INSERT INTO t VALUES(1)"));
        if (way ==
            0) { /* rows were lost: the server may have finished the statement all the same */
            CHECK_ERR(cease_pg_query(ctx, db, "SELECT generate_series(1, 20000)", NULL, 0,
                                     cancel_and_go_on, stop),
                      CEASE_ECANCELED);
        } else {
            CHECK_ERR(
                cease_pg_query(bg, db, "SELECT generate_series(1, 20000)", NULL, 0, refuse, NULL),
                CEASE_EMSGSIZE);
        }
        CHECK_ERR(cease_pg_exec(bg, db, "INSERT INTO t VALUES(2)"), CEASE_ESQL);
        CHECK_STR(cease_pg_sqlstate(db), "25P02");
        CHECK_ERR(cease_pg_query(bg, db, "INSERT INTO t VALUES(3)", NULL, 0, NULL, NULL),
                  CEASE_ESQL);
        CHECK_OK(cease_pg_rollback(bg, db));
        CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 0);
        cease_end(stop);
    }
    cease_pg_close(db);
}

/* ---- the server goes ---- */

BOTH(session_terminated_in_the_middle_is_a_clear_error)
{
    cease_pg *db = open_pg(), *other = open_pg();
    char sql[80];
    int64_t pid = ask_int(db, "SELECT pg_backend_pid()");
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld, 10000)", (long long)pid);
    CHECK_OK(cease_pg_exec(cease_background(), other, sql));
    CHECK_ERR(cease_pg_exec(cease_background(), db, "SELECT 1"), CEASE_ECONNRESET);
    CHECK_STR(cease_pg_sqlstate(db), "57P01");
    CHECK_STR(cease_pg_message(db), "terminating connection due to administrator command");
    CHECK_ERR(cease_pg_exec(cease_background(), db, "SELECT 1"), CEASE_ENOTCONN);
    CHECK_ERR(cease_pg_rollback(cease_background(), db), CEASE_ENOTCONN);
    cease_pg_close(db);
    cease_pg_close(other);
}

static cease_error kill_at_the_row(cease_pg_row *row, void *arg)
{
    ++*(int *)arg;
    if (*(int *)arg == 1)
        CHECK_EQ(kill((pid_t)cease_pg_row_int(row, 0), SIGKILL), 0);
    return CEASE_OK;
}

/* The whole server goes down, as it does when a session dies of a signal, and comes back. */
TEST(server_killed_in_the_middle_of_the_rows_is_a_clear_error)
{
    warm_up();
    cease_pg *db = open_pg(), *other = open_pg();
    int rows = 0;
    CHECK_ERR(cease_pg_query(cease_background(), db,
                             "SELECT pg_backend_pid(), generate_series(1, 10000000)", NULL, 0,
                             kill_at_the_row, &rows),
              CEASE_ECONNRESET);
    CHECK(rows >= 1);
    CHECK(strstr(cease_pg_message(db), "closed the connection unexpectedly") != NULL);
    cease_pg_close(db);
    CHECK_EVENTUALLY(cease_pg_exec(cease_background(), other, "") != CEASE_OK);
    CHECK(strstr(cease_pg_message(other), "closed the connection unexpectedly") != NULL);
    cease_pg_close(other);
    db = NULL;
    CHECK_EVENTUALLY(cease_pg_open(cease_background(), conninfo(), NULL, &db) == CEASE_OK);
    check_alive(db);
    cease_pg_close(db);
}

/* ---- COPY ---- */

struct copying {
    int lines; /* so many are given, then `end` */
    cease_error end;
    cease_canceler *stop; /* cancelled in the middle, if any */
    size_t bytes;
    char line[64];
};

static cease_error give_line(void *arg, const void **ret_data, size_t *ret_size)
{
    struct copying *c = arg;
    if (c->lines-- == 0)
        return c->end;
    if (c->lines == 500)
        cease_cancel(c->stop);
    snprintf(c->line, sizeof c->line, "%d\tsome text\n", c->lines);
    *ret_data = c->line;
    *ret_size = strlen(c->line);
    return CEASE_OK;
}

static cease_error take_line(const void *data, size_t size, void *arg)
{
    struct copying *c = arg;
    CHECK_EQ(((const char *)data)[size - 1], '\n');
    c->bytes += size;
    if (++c->lines == 500)
        cease_cancel(c->stop);
    return c->lines == 700 ? c->end : CEASE_OK;
}

BOTH(copy_in_takes_all_or_nothing)
{
    cease_pg *db = open_pg();
    cease_ctx *bg = cease_background();
    CHECK_OK(cease_pg_exec(bg, db, "CREATE TEMP TABLE t(i int, s text)"));
    struct copying c = {.lines = 1000, .end = CEASE_EOF};
    CHECK_OK(cease_pg_copy_in(bg, db, "COPY t FROM STDIN", give_line, &c));
    CHECK_EQ(cease_pg_affected(db), 1000);
    c = (struct copying){.lines = 1000, .end = CEASE_EPROTO};
    CHECK_ERR(cease_pg_copy_in(bg, db, "COPY t FROM STDIN", give_line, &c), CEASE_EPROTO);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(bg, &stop);
    c = (struct copying){.lines = 1000, .end = CEASE_EOF, .stop = stop};
    CHECK_ERR(cease_pg_copy_in(ctx, db, "COPY t FROM STDIN", give_line, &c), CEASE_ECANCELED);
    cease_end(stop);
    CHECK_EQ(ask_int(db, "SELECT count(*) FROM t"), 1000);
    CHECK_ERR(cease_pg_copy_in(bg, db, "SELECT 1", give_line, &c), CEASE_EINVAL);
    CHECK_ERR(cease_pg_copy_in(bg, db, "COPY t TO STDOUT", give_line, &c), CEASE_EINVAL);
    /* One that is still under way when it is noticed: it is read away, not taken for one of ours. */
    const char *longer = "COPY (SELECT i, pg_sleep(0.0001) FROM t) TO STDOUT";
    CHECK_ERR(cease_pg_copy_in(bg, db, longer, give_line, &c), CEASE_EINVAL);
    c = (struct copying){.lines = 10, .end = CEASE_EOF};
    CHECK_ERR(cease_pg_copy_in(bg, db, "COPY t(s, i) FROM STDIN", give_line, &c), CEASE_ESQL);
    check_alive(db);
    cease_pg_close(db);
}

BOTH(copy_out_gives_all_and_ends_with_its_context)
{
    cease_pg *db = open_pg();
    cease_ctx *bg = cease_background();
    const char *sql = "COPY (SELECT 'x' FROM generate_series(1, 1000)) TO STDOUT";
    const char *endless = "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT";
    struct copying c = {.end = CEASE_OK};
    CHECK_OK(cease_pg_copy_out(bg, db, sql, take_line, &c));
    CHECK_EQ(c.lines, 1000);
    CHECK_EQ(c.bytes, 2000);
    c = (struct copying){.end = CEASE_EOF};
    CHECK_OK(cease_pg_copy_out(bg, db, sql, take_line, &c));
    CHECK_EQ(c.lines, 700);
    c = (struct copying){.end = CEASE_EPROTO};
    CHECK_ERR(cease_pg_copy_out(bg, db, endless, take_line, &c), CEASE_EPROTO);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(bg, &stop);
    c = (struct copying){.end = CEASE_OK, .stop = stop};
    CHECK_ERR(cease_pg_copy_out(ctx, db, endless, take_line, &c), CEASE_ECANCELED);
    CHECK_EQ(c.lines, 500);
    cease_end(stop);
    CHECK_ERR(cease_pg_copy_out(bg, db, "SELECT 1", take_line, &c), CEASE_EINVAL);
    check_alive(db);
    cease_pg_close(db);
}

/* ---- notifications ---- */

static void take_note(const char *channel, const char *payload, int pid, void *arg)
{
    CHECK(pid > 0);
    snprintf(arg, 64, "%s=%s", channel, payload);
}

BOTH(notification_arrives_and_none_is_lost_by_a_cancel)
{
    cease_pg *db = open_pg(), *other = open_pg();
    cease_ctx *bg = cease_background();
    char text[64] = "";
    CHECK_OK(cease_pg_exec(bg, db, "LISTEN news"));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_ms(5), &stop);
    CHECK_ERR(cease_pg_notified(ctx, db, take_note, text), CEASE_EDEADLINE);
    CHECK_OK(cease_pg_exec(bg, other, "NOTIFY news, 'one'; NOTIFY news, 'two'"));
    CHECK_ERR(cease_pg_notified(ctx, db, take_note, text), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_OK(cease_pg_notified(bg, db, take_note, text));
    CHECK_STR(text, "news=one");
    check_alive(db);
    CHECK_OK(cease_pg_notified(bg, db, take_note, text));
    CHECK_STR(text, "news=two");
    cease_pg_close(other);
    cease_pg_close(db);
}

/* ---- shortage and misuse ---- */

static bool is_shortage(cease_error e)
{
    return e == CEASE_ENOMEM || e == CEASE_ECONNRESET || e == CEASE_ENOTCONN || e == CEASE_ESQL;
}

static void scenario(void)
{
    cease_pg *db = NULL;
    cease_error e = cease_pg_open(cease_background(), conninfo(), NULL, &db);
    if (e != CEASE_OK) {
        CHECK(e == CEASE_ENOMEM || e == CEASE_ECONNREFUSED || e == CEASE_EACCES);
        return;
    }
    int64_t sum = 0;
    cease_pg_value args[] = {cease_pg_int(20), cease_pg_text("22")};
    for (int i = 0; i < 2 && e == CEASE_OK; i++)
        e = cease_pg_query(cease_background(), db, "SELECT $1::int + $2::int", args, 2, take_int,
                           &sum);
    if (e == CEASE_OK)
        CHECK_EQ(sum, 42);
    else
        CHECK(is_shortage(e));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(300), &stop);
    e = cease_pg_exec(ctx, db, "SELECT pg_sleep(1000)");
    CHECK(e == cease_err(ctx) || is_shortage(e));
    cease_end(stop);
    cease_pg_close(db);
}

TEST(each_failing_allocation_is_an_error_and_leaves_nothing)
{
    warm_up();
    scenario();
    harness_mark();
    HARNESS_EACH_ALLOC_FAILS(n)
    scenario();
}

static cease_error use_again(cease_pg_row *row, void *arg)
{
    (void)row;
    return cease_pg_exec(cease_background(), arg, "SELECT 1");
}

TEST_ABORTS(connection_used_twice_at_once_aborts, "used by two tasks at once")
{
    cease_pg *db = open_pg();
    cease_pg_query(cease_background(), db, "SELECT 1", NULL, 0, use_again, db);
}

/* ---- pools ---- */

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
