/* SPDX-License-Identifier: MIT
 *
 * cease/sqlite.h: SQLite under a context (libcease-sqlite).
 *
 * SQLite's calls block: on the disk, on another writer's lock, on their own computing. Here each of
 * them is one job of the block pool, and the calling task parks until the job has ended. When the
 * context ends first, the statement ends:
 *
 *   - a progress handler looks at the context every hundred-odd steps of SQLite's virtual machine;
 *   - a busy handler waits for another writer's lock under the context, not for a fixed time;
 *   - sqlite3_interrupt makes both prompt. It is called under a lock that the end of the job takes
 *     too, so that it never reaches the next user of the connection; and because SQLite forgets an
 *     interrupt that comes before the first step, it is never relied upon alone.
 *
 * What is promised on cancel: the call returns the context's error when, and only when, the work
 * was cut short. By then the job has ended, no statement is under way, a transaction that was open
 * has been rolled back, and the connection may be used by the next request at once. Work that was
 * complete when the context ended is a success.
 *
 * A connection is used by one task (or thread) at a time; a second one aborts the program with a
 * sentence, because the results would be somebody else's. Programs that ask in parallel take
 * connections from a pool, which has one that writes and several that read.
 *
 *     cease_sqlite *db;
 *     cease_error err = cease_sqlite_open(ctx, "pages.db", NULL, &db);
 *     if (err) return err;
 *     cease_sqlite_value args[] = {cease_sqlite_text("signal")};
 *     err = cease_sqlite_query(ctx, db, "SELECT title FROM page WHERE name = ?", args, 1,
 *                              print_row, NULL);
 *     if (err) fprintf(stderr, "%s\n", cease_sqlite_message(db));
 *     cease_sqlite_close(db);
 */
#ifndef CEASE_SQLITE_H
#define CEASE_SQLITE_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

struct sqlite3;      /* SQLite's own connection, from <sqlite3.h>    */
struct sqlite3_stmt; /* its prepared statement                       */

typedef struct cease_sqlite cease_sqlite;
/* A result's row, seen from inside a cease_sqlite_row_fn: SQLite's own statement, so that
 * sqlite3_column_… works on it. */
typedef struct sqlite3_stmt cease_sqlite_row;

/* Options of cease_sqlite_open. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_sqlite_opts {
    size_t size;         /* sizeof(cease_sqlite_opts)         */
    bool read_only;      /* the file must exist and is not written      */
    bool existing;       /* the file must exist       */
    cease_dur busy_max;  /* how long another writer's lock is waited for at most; 0: until the
                            context ends         */
    char *message;       /* where a failing open leaves what went wrong, in words, as there is no
                            connection to ask */
    size_t message_size; /* its room in bytes, NUL included; 0: nowhere */
} cease_sqlite_opts;

typedef enum cease_sqlite_type {
    CEASE_SQLITE_NULL,
    CEASE_SQLITE_INT,
    CEASE_SQLITE_REAL,
    CEASE_SQLITE_TEXT,
    CEASE_SQLITE_BLOB,
} cease_sqlite_type;

/* A value that is bound to a statement's parameter. Text and blobs are borrowed until the call
 * returns. */
typedef struct cease_sqlite_value {
    cease_sqlite_type type;
    int64_t integer;  /* of an INT                                   */
    double real;      /* of a REAL                                   */
    const void *data; /* of a TEXT (UTF-8) or BLOB; NULL binds NULL  */
    size_t size;      /* bytes in data                               */
} cease_sqlite_value;

/* Values for the argument array. _text takes a string that ends in NUL, or NULL; _text_n its first
 * `size` bytes.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing; text and data are borrowed
 * Errors: none
 * Since: 0.1
 */
static inline cease_sqlite_value cease_sqlite_null(void)
{
    cease_sqlite_value v = {CEASE_SQLITE_NULL, 0, 0, NULL, 0};
    return v;
}
static inline cease_sqlite_value cease_sqlite_int(int64_t integer)
{
    cease_sqlite_value v = {CEASE_SQLITE_INT, integer, 0, NULL, 0};
    return v;
}
static inline cease_sqlite_value cease_sqlite_real(double real)
{
    cease_sqlite_value v = {CEASE_SQLITE_REAL, 0, real, NULL, 0};
    return v;
}
static inline cease_sqlite_value cease_sqlite_text_n(const char *text, size_t size)
{
    cease_sqlite_value v = {CEASE_SQLITE_TEXT, 0, 0, text, size};
    return v;
}
static inline cease_sqlite_value cease_sqlite_text(const char *text)
{
    return cease_sqlite_text_n(text, text ? __builtin_strlen(text) : 0);
}
static inline cease_sqlite_value cease_sqlite_blob(const void *data, size_t size)
{
    cease_sqlite_value v = {CEASE_SQLITE_BLOB, 0, 0, data, size};
    return v;
}

/* Sees one row of a result, on a thread of the block pool, while the caller of cease_sqlite_query
 * is parked: what it stores needs no lock. Read the columns with cease_sqlite_row_… or SQLite's own
 * functions; what they point to is gone when this returns. CEASE_OK asks for the next row,
 * CEASE_EOF wants no more (the query then succeeds), anything else ends the query with that error.
 * It must not use the connection. */
typedef cease_error cease_sqlite_row_fn(cease_sqlite_row *row, void *arg);

/* Works with SQLite's own handle on a thread of the block pool. Returns SQLite's result code:
 * SQLITE_OK, SQLITE_ROW and SQLITE_DONE are success. When a statement of it ends in
 * SQLITE_INTERRUPT it should return that at once. `ctx` is the caller's: a loop over many short
 * statements looks at it. */
typedef int cease_sqlite_fn(cease_ctx *ctx, struct sqlite3 *handle, void *arg);

/* What all connections of this process are doing at this moment; for tests and status pages. */
struct cease_sqlite_counts {
    uint64_t connections; /* open                                                             */
    uint64_t running;     /* jobs that are inside SQLite                                      */
    uint64_t interrupted; /* calls so far that ended with their context's error               */
};

/* Opens the database in `path`, making it when it is missing, unless the options say otherwise.
 *
 * ":memory:" and "" have SQLite's meaning (a database of this connection alone). Nothing of the
 * file's content is changed or looked at yet, beyond what tells a database from something else.
 * Foreign keys are enforced, extended result codes are on; the journal mode stays what the file
 * says ("PRAGMA journal_mode=WAL" through cease_sqlite_exec).
 *
 * Parks: until it is open.
 * Callers: tasks and threads
 * Owns: *ret_db is yours: cease_sqlite_close
 * Errors: CEASE_ENOENT (no such file or folder), CEASE_EACCES, CEASE_EBUSY, CEASE_ENOMEM,
 * CEASE_EIO, CEASE_ESQL (not a database), -EISDIR; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_open(cease_ctx *ctx, const char *path,
                                           const cease_sqlite_opts *opts, cease_sqlite **ret_db);

/* Closes, rolling back what was not committed. The last connection to a file in WAL mode writes the
 * log back, which takes its time: it is done in the block pool, and no context cuts it short. NULL
 * is fine.
 *
 * Parks: until it is closed.
 * Callers: tasks and threads; not while another one uses db
 * Owns: consumes db
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_sqlite_close(cease_sqlite *db);

/* Runs statements, separated by semicolons, that take no parameters; rows are thrown away.
 *
 * Parks: until they have run.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: as cease_sqlite_query
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_exec(cease_ctx *ctx, cease_sqlite *db, const char *sql);

/* Runs one statement with the values of `args` for its parameters ?1, ?2, …, and calls fn for every
 * row; fn may be NULL.
 *
 * The whole statement, all of its rows included, is one job. Prepared statements are kept (the last
 * 16 by text), so asking again costs no parsing.
 *
 * Parks: until the last row.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: CEASE_ESQL (the statement is wrong; its words are in cease_sqlite_message), CEASE_EINVAL
 * (more values than parameters), CEASE_EBUSY (busy_max is over, or waiting could never help),
 * CEASE_EEXIST (a constraint), CEASE_ENOSPC, CEASE_EIO, CEASE_EACCES (read-only), CEASE_ENOMEM;
 * what fn returned; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_query(cease_ctx *ctx, cease_sqlite *db, const char *sql,
                                            const cease_sqlite_value *args, size_t arg_count,
                                            cease_sqlite_row_fn *fn, void *arg);

/* Runs fn with SQLite's own handle, as one job: for transactions of many statements, backups,
 * functions of one's own.
 *
 * fn resets or finalizes each statement that it has stepped. A transaction may stay open from one call to the
 * next; it is rolled back when a call ends with the context's error, also if it had not begun.
 *
 * Parks: until fn has returned.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: the one that fn's result code stands for, as cease_sqlite_query; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_run(cease_ctx *ctx, cease_sqlite *db, cease_sqlite_fn *fn,
                                          void *arg);

/* What the last call on db ended with, in words ("no such table: page"; the context's cause, when
 * it was that).
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: the text is db's, until the next call
 * Errors: never NULL; "" after a success
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_sqlite_message(const cease_sqlite *db);

/* SQLite's extended result code of the last call (SQLITE_CONSTRAINT_UNIQUE, SQLITE_IOERR_WRITE, …).
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC int cease_sqlite_code(const cease_sqlite *db);

/* A column of the row, from 0: as an integer, a floating-point number, or text (never NULL, "" for
 * SQL's NULL; its length in bytes goes to *ret_size, which may be NULL), converted as SQLite
 * converts. A column that the row does not have is NULL.
 *
 * Parks: no
 * Callers: only inside the cease_sqlite_row_fn
 * Owns: the text is the row's, until the function returns
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC int64_t cease_sqlite_row_int(cease_sqlite_row *row, int column);
CEASE_PUBLIC double cease_sqlite_row_real(cease_sqlite_row *row, int column);
CEASE_PUBLIC const char *cease_sqlite_row_text(cease_sqlite_row *row, int column, size_t *ret_size);

/* Whether the column is SQL's NULL (or not there).
 *
 * Parks: no
 * Callers: only inside the cease_sqlite_row_fn
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_sqlite_row_null(cease_sqlite_row *row, int column);

/* Counts what all connections of this process are doing. The three numbers are not of one instant.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_sqlite_count(struct cease_sqlite_counts *ret_counts);

/* ---- functions of one's own ---- */

struct sqlite3_context; /* SQLite's, of one call of a function */
struct sqlite3_value;

/* A function that SQL can call. It runs on the thread of the query's job, and `ctx` is the query's: what
 * takes long looks at it, or waits under it (it may block). It gives its result by sqlite3_result_…; once
 * ctx has ended, what it gives is not used, and the query ends with the context's error. It must not use the
 * connection. */
typedef void cease_sqlite_call_fn(cease_ctx *ctx, struct sqlite3_context *call, int count,
                                  struct sqlite3_value **values, void *arg);

/* What cease_sqlite_function defines. */
typedef struct cease_sqlite_function_opts {
    size_t size;        /* sizeof(cease_sqlite_function_opts)                                   */
    const char *name;   /* as SQL calls it                                                      */
    int arg_count;      /* -1: any number                                                       */
    bool deterministic; /* the same arguments always give the same result: may be in an index  */
    cease_sqlite_call_fn *fn;
    void *arg;
    void (*release)(void *arg); /* when the function goes, with its connection; also when the
                                   definition fails; may be NULL */
} cease_sqlite_function_opts;

/* Defines a function for the statements of db.
 *
 * Parks: until it is defined.
 * Callers: tasks and threads, one at a time
 * Owns: opts->arg passes to the connection, on an error to release
 * Errors: CEASE_EINVAL (the name, the count), CEASE_ENOMEM; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_function(cease_ctx *ctx, cease_sqlite *db,
                                               const cease_sqlite_function_opts *opts);

/* ---- pools ---- */

/* One file, one connection that writes, several that read: in WAL mode a reader never waits for the writer,
 * nor the writer for readers, and who wants to write waits in a queue, not in SQLite's busy handler. */
typedef struct cease_sqlite_pool cease_sqlite_pool;

/* Options of cease_sqlite_pool_open. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_sqlite_pool_opts {
    size_t size;          /* sizeof(cease_sqlite_pool_opts)                                      */
    uint32_t readers_max; /* open at a time; 0: 4                                                */
    cease_dur busy_max;   /* of each connection, for writers of other processes; see
                             cease_sqlite_opts */
    cease_error (*setup)(cease_ctx *ctx, cease_sqlite *db, bool writer, void *arg);
    /* runs once on each new connection, as for functions; NULL: nothing   */
    void *setup_arg;
    char *message;       /* where a failing open leaves what went wrong, in words               */
    size_t message_size; /* its room in bytes, NUL included; 0: nowhere                         */
} cease_sqlite_pool_opts;

/* Opens the file, making it when it is missing, sets its journal to WAL, and makes the writer. Readers are
 * made when they are wanted.
 *
 * Parks: until the writer is open and set up.
 * Callers: tasks and threads
 * Owns: *ret_pool is yours: cease_sqlite_pool_free; path and opts are copied
 * Errors: as cease_sqlite_open; CEASE_ENOTSUP for what cannot have a WAL (":memory:", some network file systems);
 * what setup returned; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_pool_open(cease_ctx *ctx, const char *path,
                                                const cease_sqlite_pool_opts *opts,
                                                cease_sqlite_pool **ret_pool);

/* Takes the writer, or a reader, which cannot write. Who waits for either is served in the order of coming.
 *
 * Parks: until there is one.
 * Callers: tasks and threads
 * Owns: *ret_db is lent to you: cease_sqlite_pool_give
 * Errors: CEASE_ECLOSED when the pool is being freed; as cease_sqlite_open; what setup returned; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sqlite_pool_take_writer(cease_ctx *ctx, cease_sqlite_pool *pool,
                                                       cease_sqlite **ret_db);
CEASE_PUBLIC cease_error cease_sqlite_pool_take_reader(cease_ctx *ctx, cease_sqlite_pool *pool,
                                                       cease_sqlite **ret_db);

/* Gives a connection back. A transaction that is still open is rolled back first.
 *
 * Parks: while a transaction is rolled back; not cut short by anything
 * Callers: tasks and threads
 * Owns: consumes take_db; NULL is fine
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_sqlite_pool_give(cease_sqlite_pool *pool, cease_sqlite *take_db);

/* Closes the pool: who waits for a connection gets CEASE_ECLOSED, idle ones are closed now, and those that are
 * lent when they are given back; with the last one the memory goes. NULL is fine.
 *
 * Parks: while connections are closed
 * Callers: tasks and threads, once; others may still give back, but not take
 * Owns: consumes the pool
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_sqlite_pool_free(cease_sqlite_pool *pool);

CEASE_END_DECLS

#endif
