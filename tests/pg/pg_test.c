/*
 * Breaks the PostgreSQL adapter against a real server: values and errors of every kind, refused connections, TLS,
 * statements that the server forgot, COPY and notifications, memory that runs out. What a context that ends leaves
 * behind is pg_cancel_test.c, pools are pg_pool_test.c.
 *
 * Each scenario runs on a plain thread and in a task: the ways of waiting differ.
 */
#include "pg_common.h"

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
    CHECK_ERR(cease_pg_open(ctx, "mysql://x", &opts, &db), CEASE_EINVAL); /* this it looks at */
    CHECK(strstr(message, "missing \"=\"") != NULL);
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
