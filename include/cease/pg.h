/* SPDX-License-Identifier: MIT
 *
 * cease/pg.h: PostgreSQL under a context (libcease-pg, on libpq).
 *
 * libpq is driven without blocking: who asks is parked until the server has answered, and reads the
 * rows one by one as they come, on its own stack. Connecting, passwords, TLS, service files and the
 * environment (PGHOST and so on) are as libpq does them; a connection string is what libpq takes, a
 * URL ("postgres://app@db.example.com/shop?sslmode=require") or words ("host=/run/postgresql").
 *
 * What happens on cancel. When the context ends while a statement is under way, a cancel request
 * goes to the server (libpq can send one only by a blocking call, so it is a job of the block pool),
 * and what the server still answers is read and thrown away. Only when the server has acknowledged both,
 * the request and the statement's end, the call returns, and the connection may be used again at
 * once: no request is on its way any more that could hit the next statement. A request that came
 * before the server had begun the statement is void, so it is repeated until the statement has ended.
 * All this has a budget (cancel_max); when it is over the connection is closed, and every later
 * call on it says CEASE_ENOTCONN. The time that the context has left also goes to the server, as
 * `statement_timeout`, at least a second, in the same packet as the statement: should this process die or the network
 * break, the statement still ends.
 *
 * What is promised: a call returns the context's error when, and only when, its work was cut short.
 * A statement that the server completed although the cancel was on its way is a success, if no row of it
 * was thrown away.
 *
 * Transactions. After a statement inside a transaction has failed or was cut short, every statement
 * fails until the transaction is rolled back, whatever the context: none can slip out of it and
 * commit by itself. cease_pg_transaction() does begin, commit and rollback; a pool rolls back before
 * it gives a connection to the next.
 *
 * A connection is used by one task (or thread) at a time; a second one aborts the program with a sentence.
 *
 *     cease_pg_pool *pool = cease_pg_pool_new("postgres:///shop", NULL);
 *     …
 *     cease_pg *db;
 *     cease_error err = cease_pg_pool_take(ctx, pool, &db);
 *     if (err) return err;
 *     cease_pg_value args[] = {cease_pg_text("lamp"), cease_pg_int(10)};
 *     err = cease_pg_query(ctx, db, "SELECT name FROM item WHERE kind = $1 LIMIT $2", args, 2,
 *                          print_row, NULL);
 *     if (err) fprintf(stderr, "%s\n", cease_pg_message(db));
 *     cease_pg_pool_give(pool, db);
 */
#ifndef CEASE_PG_H
#define CEASE_PG_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

struct pg_conn;   /* libpq's PGconn, from <libpq-fe.h>   */
struct pg_result; /* libpq's PGresult                    */

typedef struct cease_pg cease_pg;           /* a connection            */
typedef struct cease_pg_pool cease_pg_pool; /* connections for many    */
/* A row, seen from inside a cease_pg_row_fn: a PGresult with this one row, so that PQgetvalue(row, 0, …)
 * and the like work on it. */
typedef struct pg_result cease_pg_row;

/* Options of cease_pg_open. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_pg_opts {
    size_t size;          /* sizeof(cease_pg_opts)                                              */
    cease_dur cancel_max; /* budget for a cancel or rollback to be acknowledged; 0: 5 s         */
    bool no_prepare;      /* keep no prepared statements (behind a pooler that cannot have them) */
    bool no_timeout;      /* do not send statement_timeout                                      */
    char *message;        /* where a failing open leaves what went wrong, in words              */
    size_t message_size;  /* its room in bytes, NUL included; 0: nowhere                        */
} cease_pg_opts;

typedef enum cease_pg_type {
    CEASE_PG_NULL,
    CEASE_PG_INT,
    CEASE_PG_REAL,
    CEASE_PG_BOOL,
    CEASE_PG_TEXT,
    CEASE_PG_BYTES,
} cease_pg_type;

/* A value for a statement's parameter. All but bytes are sent as text, whose type the server takes from
 * the statement (write $1::int where it cannot know). Text and bytes are borrowed until the call returns. */
typedef struct cease_pg_value {
    cease_pg_type type;
    int64_t integer;  /* of an INT; of a BOOL 0 or 1                     */
    double real;      /* of a REAL                                       */
    const void *data; /* of a TEXT, ended by NUL, or BYTES; NULL is NULL */
    size_t size;      /* of BYTES                                        */
} cease_pg_value;

/* Values for the argument array.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing; text and data are borrowed
 * Errors: none
 * Since: 0.1
 */
static inline cease_pg_value cease_pg_null(void)
{
    cease_pg_value v = {CEASE_PG_NULL, 0, 0, NULL, 0};
    return v;
}
static inline cease_pg_value cease_pg_int(int64_t integer)
{
    cease_pg_value v = {CEASE_PG_INT, integer, 0, NULL, 0};
    return v;
}
static inline cease_pg_value cease_pg_real(double real)
{
    cease_pg_value v = {CEASE_PG_REAL, 0, real, NULL, 0};
    return v;
}
static inline cease_pg_value cease_pg_bool(bool truth)
{
    cease_pg_value v = {CEASE_PG_BOOL, truth, 0, NULL, 0};
    return v;
}
static inline cease_pg_value cease_pg_text(const char *text)
{
    cease_pg_value v = {CEASE_PG_TEXT, 0, 0, text, 0};
    return v;
}
static inline cease_pg_value cease_pg_bytes(const void *data, size_t size)
{
    cease_pg_value v = {CEASE_PG_BYTES, 0, 0, data, size};
    return v;
}

/* Sees one row, in the caller's own task, as soon as it is there; it may park, and the server then waits.
 * What it reads from the row is valid until it returns, whatever becomes of the context meanwhile.
 * CEASE_OK asks for the next row; CEASE_EOF wants no more (the statement still runs to its end, so that what it
 * changes is kept; say LIMIT when there is much); anything else cancels the statement, and the call
 * returns that error. It must not use the connection. */
typedef cease_error cease_pg_row_fn(cease_pg_row *row, void *arg);

/* Works inside a transaction. CEASE_OK commits, anything else rolls back. */
typedef cease_error cease_pg_fn(cease_ctx *ctx, cease_pg *db, void *arg);

/* Sees one notification; the texts are valid until it returns. `pid` is the server process that sent it. */
typedef void cease_pg_notify_fn(const char *channel, const char *payload, int pid, void *arg);

/* Gives the next piece of what COPY … FROM STDIN reads: the address and size of up to 1 GiB, valid until
 * the next call; CEASE_EOF at the end; any other error undoes the whole COPY. It may park. */
typedef cease_error cease_pg_source_fn(void *arg, const void **ret_data, size_t *ret_size);

/* Takes the next piece (in text format one line with its newline) of what COPY … TO STDOUT writes. Results as
 * for a row. It may park. */
typedef cease_error cease_pg_sink_fn(const void *data, size_t size, void *arg);

/* What all connections of this process have done; for tests and status pages. */
struct cease_pg_counts {
    uint64_t connections; /* open now                                                            */
    uint64_t cut;         /* statements so far that were cut short                               */
    uint64_t cancels;     /* cancel requests so far that the server took                         */
    uint64_t abandoned;   /* connections so far that were closed because a budget was over       */
};

/* Connects.
 *
 * Names are resolved and passwords hashed in the block pool: no worker is held up. What is still at it when
 * ctx ends (a name server that does not answer) is left behind and cleaned up there.
 *
 * Parks: until the server has accepted.
 * Callers: tasks and threads
 * Owns: *ret_db is yours: cease_pg_close
 * Errors: CEASE_ECONNREFUSED (no server was reached), CEASE_EACCES (password, or database, refused), CEASE_EINVAL
 * (the string is malformed, whatever the context), CEASE_EAGAIN (too many connections, or the server is starting or
 * stopping), CEASE_ENOENT (no such database), CEASE_ENOMEM; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_open(cease_ctx *ctx, const char *conninfo,
                                       const cease_pg_opts *opts, cease_pg **ret_db);

/* Closes; the server rolls back what was not committed. NULL is fine.
 *
 * Parks: no
 * Callers: tasks and threads; not while another one uses db
 * Owns: consumes db
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_pg_close(cease_pg *db);

/* Runs statements, separated by semicolons, that take no parameters; rows are thrown away. Several at
 * once are one transaction, unless they say BEGIN and COMMIT themselves.
 *
 * Parks: until they have run.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: as cease_pg_query
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_exec(cease_ctx *ctx, cease_pg *db, const char *sql);

/* Runs one statement with the values of `args` for its parameters $1, $2, …, and calls fn for every row
 * as it comes; fn may be NULL.
 *
 * A statement that is asked for the second time is prepared, and kept so (the last 32 by text), unless the
 * options say otherwise.
 *
 * Parks: until the last row, and as fn does
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: CEASE_ESQL (the statement failed; cease_pg_sqlstate and cease_pg_message say how), and for
 * states that a caller is likely to ask about CEASE_EEXIST (a constraint), CEASE_EAGAIN (serialization,
 * deadlock: do the transaction again), CEASE_EBUSY (a lock is not available), CEASE_EACCES, CEASE_ENOSPC;
 * CEASE_ECONNRESET (the connection broke, or the server is shutting down), CEASE_ENOTCONN (it broke
 * before), CEASE_EINVAL, CEASE_ENOMEM; what fn returned; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_query(cease_ctx *ctx, cease_pg *db, const char *sql,
                                        const cease_pg_value *args, size_t arg_count,
                                        cease_pg_row_fn *fn, void *arg);

/* Runs `begin` (NULL: "BEGIN"; or such as "BEGIN ISOLATION LEVEL SERIALIZABLE"), then fn, then COMMIT if
 * fn returned CEASE_OK and ctx is not done, else ROLLBACK, which has a budget of its own (cancel_max).
 *
 * The message and state are of what failed first.
 *
 * Parks: until it is committed or rolled back.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: what fn returned; CEASE_ESQL when a statement in it had failed, though fn returned CEASE_OK;
 * CEASE_EBUSY inside a transaction; as cease_pg_query. After CEASE_ECONNRESET from the COMMIT nobody
 * knows whether it took place
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_transaction(cease_ctx *ctx, cease_pg *db, const char *begin,
                                              cease_pg_fn *fn, void *arg);

/* Rolls back the transaction that is open, if one is. It does not feel the end of `parent`, and has a
 * budget of its own (cancel_max); when that is over, the connection is closed, which rolls back too.
 *
 * Parks: until the server has done so.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: CEASE_ECONNRESET, CEASE_ENOTCONN: the server rolls back by itself
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_rollback(cease_ctx *parent, cease_pg *db);

/* Runs a COPY … FROM STDIN and sends what `source` gives. When ctx ends, or source fails, the whole
 * COPY is undone.
 *
 * Parks: until the server has taken it all, and as source does
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: what source returned; CEASE_EINVAL when sql is no such COPY; as cease_pg_query
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_copy_in(cease_ctx *ctx, cease_pg *db, const char *sql,
                                          cease_pg_source_fn *source, void *arg);

/* Runs a COPY … TO STDOUT and hands what comes to `sink`.
 *
 * Parks: until the end, and as sink does
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: what sink returned; CEASE_EINVAL when sql is no such COPY; as cease_pg_query
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_copy_out(cease_ctx *ctx, cease_pg *db, const char *sql,
                                           cease_pg_sink_fn *sink, void *arg);

/* Waits for the next notification of a channel that LISTEN was said for on this connection, and gives it to fn. None is lost
 * by a context that ends: it stays for the next call.
 *
 * Parks: until there is one.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: CEASE_ECONNRESET, CEASE_ENOTCONN; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_notified(cease_ctx *ctx, cease_pg *db, cease_pg_notify_fn *fn,
                                           void *arg);

/* What the last call on db ended with, in words (the server's, or the context's cause).
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: the text is db's, until the next call
 * Errors: never NULL; "" after a success
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_pg_message(const cease_pg *db);

/* The SQLSTATE of the last call, five characters ("23505"), or "" when the server gave none.
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: the text is db's, until the next call
 * Errors: never NULL
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_pg_sqlstate(const cease_pg *db);

/* How many rows the last statement has changed, or given.
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: nothing
 * Errors: none; 0 when the statement counts nothing
 * Since: 0.1
 */
CEASE_PUBLIC int64_t cease_pg_affected(const cease_pg *db);

/* libpq's own connection, at rest: for what is not wrapped here (PQescapeLiteral, PQsslInUse,
 * PQbackendPID, …). Whoever sends something by it reads the answer to its end before the next call here.
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: the connection stays db's
 * Errors: NULL when the connection broke
 * Since: 0.1
 */
CEASE_PUBLIC struct pg_conn *cease_pg_handle(const cease_pg *db);

/* A column of the row, from 0: as an integer, a floating-point number, a truth ("t"), or text (never NULL, ""
 * for SQL's NULL; its length in bytes goes to *ret_size, which may be NULL). What is no number is 0; a
 * column that the row does not have is NULL.
 *
 * Parks: no
 * Callers: only inside the cease_pg_row_fn
 * Owns: the text is the row's, until the function returns
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC int64_t cease_pg_row_int(cease_pg_row *row, int column);
CEASE_PUBLIC double cease_pg_row_real(cease_pg_row *row, int column);
CEASE_PUBLIC bool cease_pg_row_bool(cease_pg_row *row, int column);
CEASE_PUBLIC const char *cease_pg_row_text(cease_pg_row *row, int column, size_t *ret_size);

/* Whether the column is SQL's NULL (or not there).
 *
 * Parks: no
 * Callers: only inside the cease_pg_row_fn
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_pg_row_null(cease_pg_row *row, int column);

/* Counts what all connections of this process have done. The numbers are not of one instant.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_pg_count(struct cease_pg_counts *ret_counts);

/* ---- pools ---- */

/* Options of cease_pg_pool_new. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_pg_pool_opts {
    size_t size; /* sizeof(cease_pg_pool_opts)                                        */
    uint32_t
        connections_max;   /* open at a time; 0: 8                                              */
    cease_dur idle_max;    /* one that nobody took for so long is closed; 0: 5 min              */
    cease_dur check_after; /* one idle for so long is asked a question before use; 0: 10 s      */
    const cease_pg_opts
        *open;          /* for each connection, copied; its message buffer is not used       */
    cease_pg_fn *setup; /* runs once on each new connection; NULL: nothing                   */
    void *setup_arg;
} cease_pg_pool_opts;

struct cease_pg_pool_counts {
    uint32_t open;    /* connections                        */
    uint32_t idle;    /* of them, those that nobody has     */
    uint64_t opened;  /* so far                             */
    uint64_t dropped; /* so far, because they were broken   */
};

/* Makes a pool; no connection is made yet.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the pool is yours: cease_pg_pool_free; conninfo and opts are copied
 * Errors: NULL when memory is short
 * Since: 0.1
 */
CEASE_PUBLIC cease_pg_pool *cease_pg_pool_new(const char *conninfo, const cease_pg_pool_opts *opts);

/* Takes a connection: the one that was given back last, else a new one, else it waits until somebody gives one
 * back. Who waits is served in the order of coming.
 *
 * A connection that the server has closed meanwhile is never handed out.
 *
 * Parks: until there is one.
 * Callers: tasks and threads
 * Owns: *ret_db is lent to you: cease_pg_pool_give
 * Errors: CEASE_ECLOSED when the pool is being freed; CEASE_ENOMEM for a NULL pool; what cease_pg_open and setup
 * say; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_pg_pool_take(cease_ctx *ctx, cease_pg_pool *pool, cease_pg **ret_db);

/* Gives a connection back. A transaction that is still open is rolled back first; a connection that broke is
 * closed and makes room for a new one.
 *
 * Parks: while a transaction is rolled back, at most cancel_max; not cut short by anything
 * Callers: tasks and threads
 * Owns: consumes take_db; NULL is fine
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_pg_pool_give(cease_pg_pool *pool, cease_pg *take_db);

/* Closes the pool: who waits for a connection gets CEASE_ECLOSED, idle ones are closed now, and those
 * that are lent when they are given back; with the last one the memory goes. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, once; others may still give back, but not take
 * Owns: consumes the pool
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_pg_pool_free(cease_pg_pool *pool);

/* Counts the pool's connections.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_pg_pool_count(cease_pg_pool *pool, struct cease_pg_pool_counts *ret_counts);

CEASE_END_DECLS

#endif
