/*
 * Breaks the PostgreSQL adapter where a statement does not get to its end: contexts that end before, in the middle of
 * and just when it ends, transactions that are cut, a session that is killed or no longer answers, a server that goes.
 * After every cut the same connection must answer a control query, unless it had to be closed.
 */
#include "pg_common.h"

#include <signal.h>
#include <unistd.h>

SERVERS("pg");

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

/* What takes it back runs under it, and a ROLLBACK, too: a moment would be too short for them on a busy server. */
BOTH(time_left_is_no_moment_at_the_server)
{
    cease_pg *db = open_pg();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    cease_error e = cease_pg_exec(ctx, db, "SELECT 1");
    CHECK(e == CEASE_OK || e == CEASE_EDEADLINE);
    cease_end(stop);
    PGresult *shown = PQexec(cease_pg_handle(db), "SHOW statement_timeout");
    const char *text = PQgetvalue(shown, 0, 0);
    CHECK_STR(text,
              strcmp(text, "0") == 0 ? "0" : "1s"); /* the first: it came too late to be set */
    PQclear(shown);
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

static cease_error refuse(cease_pg_row *row, void *arg)
{
    (void)row;
    (void)arg;
    return CEASE_EMSGSIZE;
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
        if (way == 0) {
            /* Rows were lost: the server may have finished the statement all the same. */
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
