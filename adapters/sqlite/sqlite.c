/* SPDX-License-Identifier: MIT
 *
 * sqlite.c: SQLite's blocking calls as jobs of the block pool, which end when their context does.
 *
 * The one idea: everything is cease_sqlite_run(), a job that lends SQLite's handle to a function.
 * Opening, and what statement.c does, are such functions. So there is one place where a context is attached to
 * a connection, and one where it is taken off.
 *
 * A call's life:
 *
 *     claim     the caller takes `in_use`; who finds it taken has a bug, and the program ends
 *     attach    on the pool's thread: `ctx` is set (the progress and busy handlers look at it), and
 *               `open_to_interrupt`
 *     work      fn uses the handle; sqlite3_interrupt may come from any thread
 *     detach    `open_to_interrupt` is taken down under the lock: no interrupt comes from here on
 *     settle    the error is put into words; after a cancel the transaction is rolled back, which
 *               needs SQLite to work undisturbed, hence after detach
 *     release   the caller gives `in_use` back
 *
 * Three ways to stop, because none is enough. sqlite3_interrupt is prompt, but SQLite drops it when
 * no statement is under way yet, and a left-over one would end the next user's statement (SQLite
 * clears it at the first step of a connection at rest). The progress
 * handler is never lost, but is asked only every PROGRESS_STEPS steps. The busy handler covers the
 * time in which SQLite sleeps. Between them no statement outlives its context by more than
 * PROGRESS_STEPS steps.
 *
 * Who guards what: `interrupt_lock` guards open_to_interrupt, and the handle against being
 * interrupted before it is there; everything else in a connection belongs to whoever holds in_use
 * (the pool's thread while its caller is parked; the pool orders the two).
 *
 * Left out on purpose: BLOB streams.
 */
#include <cease/block.h>
#include <cease/sqlite.h>
#include <cease/task.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "base/panic.h"
#include "connection.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of SQLite's virtual machine, some 10 ns each: the handler costs a few permille. */
enum { PROGRESS_STEPS = 128 };

struct job {
    cease_sqlite *db;
    cease_ctx *ctx;
    cease_sqlite_fn *fn;
    void *arg;
    cease_error result;
};

/* For cease_sqlite_count; RELAXED: they order nothing. */
static struct cease_sqlite_counts counts;

/* ---- errors ---- */

static cease_error error_of_system(int number, cease_error otherwise)
{
    switch (number) {
    case 0:
        return otherwise;
    case EDQUOT:
    case EFBIG:
    case ENOSPC:
        return CEASE_ENOSPC;
    default:
        return (cease_error)-number;
    }
}

/* The errno behind a failure of I/O; 0: unknown. SQLite has one for the connection, which it forgets
 * on the way out of some calls, and one for each file. */
static int system_errno(sqlite3 *handle)
{
    int number = sqlite3_system_errno(handle);
    if (number == 0)
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &number);
    sqlite3_file *journal = NULL; /* the write-ahead log, where there is one */
    if (number == 0)
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
    if (journal && journal->pMethods)
        journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}

/* SQLite's result code as ours. `handle` may be NULL. */
static cease_error error_of_code(int code, sqlite3 *handle)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return CEASE_OK;
    case SQLITE_NOMEM:
        return CEASE_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CEASE_EBUSY;
    case SQLITE_FULL:
        return CEASE_ENOSPC;
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM)
            return CEASE_ENOMEM;
        return error_of_system(handle ? system_errno(handle) : 0, CEASE_EIO);
    case SQLITE_CANTOPEN:
        return error_of_system(handle ? sqlite3_system_errno(handle) : 0, CEASE_ENOENT);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return CEASE_EACCES;
    case SQLITE_CONSTRAINT:
        return CEASE_EEXIST;
    case SQLITE_TOOBIG:
        return CEASE_EMSGSIZE;
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
        return CEASE_EINVAL;
    default:
        return CEASE_ESQL;
    }
}

void ceasei_sqlite_say(cease_sqlite *db, const char *text)
{
    snprintf(db->message, sizeof db->message, "%s", text);
}

static void say_cause(cease_sqlite *db, cease_ctx *ctx, cease_error e)
{
    const cease_cause *cause = cease_cause_of(ctx);
    ceasei_sqlite_say(db, cause ? cause->text : cease_strerror(e));
}

/* ---- the three ways to stop ---- */

static int progress(void *arg)
{
    cease_sqlite *db = arg;
    return db->ctx && cease_done(db->ctx);
}

/* SQLite asks whether to try again, for the `attempt`-th time: yes, after a short sleep under the
 * context. */
static int busy(void *arg, int attempt)
{
    static const uint8_t pause_ms[] = {1, 2, 5, 10, 15, 20, 25};
    cease_sqlite *db = arg;
    if (!db->ctx)
        return 0; /* only while settling: a rollback takes no lock */
    if (attempt == 0)
        db->busy_since = cease_now();
    size_t step = (size_t)attempt < sizeof pause_ms ? (size_t)attempt : sizeof pause_ms - 1;
    if (db->busy_max.ns > 0 && cease_until(cease_time_add(db->busy_since, db->busy_max)).ns <= 0)
        return 0;
    return cease_sleep(db->ctx, cease_ms(pause_ms[step])) == CEASE_OK;
}

/* The block pool calls this when the context ends while the job runs: from any thread, perhaps
 * after SQLite is done. */
static void interrupt(void *arg)
{
    struct job *job = arg;
    cease_sqlite *db = job->db;
    ceasei_lock(&db->interrupt_lock);
    if (db->open_to_interrupt && db->handle)
        sqlite3_interrupt(db->handle);
    ceasei_unlock(&db->interrupt_lock);
}

/* ---- a call ---- */

void ceasei_sqlite_claim(cease_sqlite *db)
{
    if (ceasei_swap(&db->in_use, 1, ACQUIRE) != 0)
        ceasei_panic_at(NULL, 0, NULL, "a cease_sqlite connection is used by two tasks at once");
}

void ceasei_sqlite_release(cease_sqlite *db)
{
    ceasei_store(&db->in_use, 0, RELEASE);
}

static void attach(cease_sqlite *db, cease_ctx *ctx)
{
    db->ctx = ctx;
    ceasei_lock(&db->interrupt_lock);
    db->open_to_interrupt = true;
    ceasei_unlock(&db->interrupt_lock);
}

static void detach(cease_sqlite *db)
{
    ceasei_lock(&db->interrupt_lock);
    db->open_to_interrupt = false;
    ceasei_unlock(&db->interrupt_lock);
    db->ctx = NULL;
}

/* Whether the context is why the work ended with this code. SQLite reports an interrupt as
 * INTERRUPT, and as ABORT where one statement runs inside another; a wait for a lock that the busy
 * handler gave up comes back as BUSY or LOCKED. */
static bool was_cut(int code, cease_ctx *ctx)
{
    switch (code & 0xff) {
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return cease_done(ctx);
    default:
        return false;
    }
}

/* Leaves the connection without a transaction that its owner was cut off from. */
static void settle(cease_sqlite *db, bool cut)
{
    if (!cut || sqlite3_get_autocommit(db->handle))
        return;
    sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    db->broken = !sqlite3_get_autocommit(db->handle);
}

/* On the pool's thread. */
static void job_run(void *arg)
{
    struct job *job = arg;
    cease_sqlite *db = job->db;
    ceasei_add(&counts.running, 1, RELAXED);
    attach(db, job->ctx);
    int code = job->fn(job->ctx, db->handle, job->arg);
    detach(db);

    bool cut = was_cut(code, job->ctx);
    db->code = code;
    job->result = cut ? cease_err(job->ctx) : error_of_code(code, db->handle);
    if (cut) {
        say_cause(db, job->ctx, job->result);
        ceasei_add(&counts.interrupted, 1, RELAXED);
    } else if (job->result == CEASE_OK) {
        ceasei_sqlite_say(db, "");
    } else {
        bool known = db->handle && (sqlite3_errcode(db->handle) & 0xff) == (code & 0xff);
        ceasei_sqlite_say(db, known ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
    }
    if (db->handle)
        settle(db, cut);
    ceasei_sub(&counts.running, 1, RELAXED);
}

static void settle_job(void *arg)
{
    settle(arg, true);
}

/* A call that has not begun ends like one that was cut short: without its transaction. */
static void settle_unstarted(cease_ctx *ctx, cease_sqlite *db)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    if (!db->handle || sqlite3_get_autocommit(db->handle))
        return;
    if (cease_block(cease_with_grace(ctx, CEASE_FOREVER, &stop), settle_job, NULL, db) != CEASE_OK)
        db->broken = true;
}

cease_error ceasei_sqlite_run(cease_ctx *ctx, cease_sqlite *db, cease_sqlite_fn *fn, void *arg)
{
    if (db->broken) {
        ceasei_sqlite_say(db, "the connection is unusable: a rollback failed");
        return CEASE_EIO;
    }
    struct job job = {.db = db, .ctx = ctx, .fn = fn, .arg = arg};
    cease_error e = cease_block(ctx, job_run, interrupt, &job);
    if (e == CEASE_OK)
        return job.result;
    db->code = SQLITE_INTERRUPT; /* it was never started */
    say_cause(db, ctx, e);
    if (e == cease_err(ctx)) {
        settle_unstarted(ctx, db);
        ceasei_add(&counts.interrupted, 1, RELAXED);
    }
    return e;
}

cease_error cease_sqlite_run(cease_ctx *ctx, cease_sqlite *db, cease_sqlite_fn *fn, void *arg)
{
    ceasei_sqlite_claim(db);
    cease_error e = ceasei_sqlite_run(ctx, db, fn, arg);
    ceasei_sqlite_release(db);
    return e;
}

/* ---- open and close ---- */

struct opening {
    cease_sqlite *db;
    const char *path;
    int flags;
};

static int open_run(cease_ctx *ctx, sqlite3 *none, void *arg)
{
    struct opening *o = arg;
    (void)ctx;
    (void)none;
    sqlite3 *handle = NULL;
    int code = sqlite3_open_v2(o->path, &handle, o->flags, NULL);
    ceasei_lock(&o->db->interrupt_lock);
    o->db->handle = handle; /* also after a failure: it has the words */
    ceasei_unlock(&o->db->interrupt_lock);
    if (code != SQLITE_OK)
        return code;
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_progress_handler(handle, PROGRESS_STEPS, progress, o->db);
    sqlite3_busy_handler(handle, busy, o->db);
    /* The second one reads the file's first page: now is the time to hear that it is no database.
     */
    return sqlite3_exec(handle, "PRAGMA foreign_keys=ON; PRAGMA schema_version", NULL, NULL, NULL);
}

static void close_run(void *arg)
{
    cease_sqlite *db = arg;
    ceasei_sqlite_forget(db);
    sqlite3_close_v2(db->handle); /* v2: a statement that somebody forgot keeps it, leaking */
}

static void free_connection(cease_sqlite *db)
{
    if (db->handle && cease_block(cease_background(), close_run, NULL, db) != CEASE_OK)
        close_run(db);
    free(db);
}

static int open_flags(const cease_sqlite_opts *opts)
{
    /* NOMUTEX: one task at a time is our own rule, and sqlite3_interrupt needs no mutex. */
    if (opts && opts->read_only)
        return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    int create = opts && opts->existing ? 0 : SQLITE_OPEN_CREATE;
    return SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | create;
}

static void tell_opener(const cease_sqlite_opts *opts, const char *text)
{
    if (opts && opts->message && opts->message_size > 0)
        snprintf(opts->message, opts->message_size, "%s", text);
}

cease_error cease_sqlite_open(cease_ctx *ctx, const char *path, const cease_sqlite_opts *opts,
                              cease_sqlite **ret_db)
{
    cease_sqlite *db = calloc(1, sizeof *db);
    if (!db) {
        tell_opener(opts, cease_strerror(CEASE_ENOMEM));
        return CEASE_ENOMEM;
    }
    if (opts)
        db->busy_max = opts->busy_max;
    struct opening opening = {.db = db, .path = path, .flags = open_flags(opts)};
    cease_error e = ceasei_sqlite_run(ctx, db, open_run, &opening);
    if (e != CEASE_OK) {
        tell_opener(opts, db->message);
        free_connection(db);
        return e;
    }
    ceasei_add(&counts.connections, 1, RELAXED);
    *ret_db = db;
    return CEASE_OK;
}

void cease_sqlite_close(cease_sqlite *db)
{
    if (!db)
        return;
    ceasei_sqlite_claim(db);
    free_connection(db);
    ceasei_sub(&counts.connections, 1, RELAXED);
}

/* ---- looking ---- */

bool ceasei_sqlite_is_at_rest(const cease_sqlite *db)
{
    return !db->broken && sqlite3_get_autocommit(db->handle);
}

cease_ctx *ceasei_sqlite_ctx(const cease_sqlite *db)
{
    return db->ctx ? db->ctx : cease_background();
}

const char *cease_sqlite_message(const cease_sqlite *db)
{
    return db->message;
}

int cease_sqlite_code(const cease_sqlite *db)
{
    return db->code;
}

void cease_sqlite_count(struct cease_sqlite_counts *ret_counts)
{
    ret_counts->connections = ceasei_load(&counts.connections, RELAXED);
    ret_counts->running = ceasei_load(&counts.running, RELAXED);
    ret_counts->interrupted = ceasei_load(&counts.interrupted, RELAXED);
}
