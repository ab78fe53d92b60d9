/* SPDX-License-Identifier: MIT
 *
 * exchange.c: sending, reading the answers, and what happens when the context ends in between.
 *
 * An exchange's life:
 *
 *     put      its maker fills libpq's send buffer and writes the steps down
 *     read     answers are taken one by one; between two of them the context is looked at
 *     cut      only when the context ended, or a row function failed: a cancel request goes out, then
 *              answers are read for a while, then the next request goes out, until the last answer has been read or
 *              the budget is over
 *     settle   out of pipeline mode; what became of it is decided from what the server said
 *
 * Why several requests: one that reaches the session before it has begun the statement is void, and
 * when SET statement_timeout goes in front, a request may hit that and leave the statement alone. Each one is
 * waited for before the next (see connection.h).
 *
 * In a pipeline libpq ends each command's answers by NULL and gives one result for each
 * synchronisation point; in the simple protocol one NULL ends it all. A command that follows a failed
 * one before the same point is answered by PGRES_PIPELINE_ABORTED. When the connection broke, libpq
 * gives what it had received, then an error of its own, then NULL for ever.
 *
 * Left out on purpose: several statements of the user's in one pipeline.
 */
#include "base/atomic.h"
#include "base/panic.h"
#include "connection.h"

#include <cease/block.h>
#include <cease/fd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the answers are awaited before the cancel is sent again: doubled each time. */
#define PATIENCE_FIRST cease_ms(5)
#define PATIENCE_MAX   cease_sec(1)

static bool is_broken(const cease_pg *db)
{
    return !db->conn || PQstatus(db->conn) == CONNECTION_BAD;
}

/* ---- steps ---- */

void ceasei_pg_put_step(struct ceasei_pg_exchange *x, enum ceasei_pg_step step)
{
    ceasei_assert(x->count < CEASEI_PG_STEP_MAX);
    x->steps[x->count++] = (uint8_t)step;
}

static enum ceasei_pg_step step_of(const struct ceasei_pg_exchange *x)
{
    return x->at < x->count ? (enum ceasei_pg_step)x->steps[x->at] : CEASEI_PG_SYNC;
}

/* Has to come after libpq has turned to a command and before its first answer is taken. */
static void enter_step(struct ceasei_pg_exchange *x)
{
    if (!x->simple && x->at == x->count)
        x->finished = true;
    else if (step_of(x) == CEASEI_PG_RUN)
        PQsetSingleRowMode(x->db->conn);
}

static void next_step(struct ceasei_pg_exchange *x)
{
    if (x->simple) {
        x->finished = true;
        return;
    }
    x->at++;
    enter_step(x);
}

/* ---- answers ---- */

static void take_row(struct ceasei_pg_exchange *x, PGresult *result)
{
    x->rows++;
    if (!x->fn || x->enough)
        return;
    if (x->discard) {
        x->lost_rows = true;
        return;
    }
    cease_error e = x->fn(result, x->arg);
    if (e == CEASE_EOF)
        x->enough = true;
    else
        x->row_error = e;
}

static void take_success(struct ceasei_pg_exchange *x, PGresult *result)
{
    cease_pg *db = x->db;
    switch (step_of(x)) {
    case CEASEI_PG_SETTING:
        db->timeout_ms = x->timeout_ms;
        break;
    case CEASEI_PG_PREPARE:
        x->statement->prepared = true;
        break;
    case CEASEI_PG_RUN:
        x->completed = true;
        db->affected = strtoll(PQcmdTuples(result), NULL, 10);
        break;
    case CEASEI_PG_DROP:
    case CEASEI_PG_SYNC:
        break;
    }
}

static void take_failure(struct ceasei_pg_exchange *x, PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool canceled = state && strcmp(state, "57014") == 0;
    enum ceasei_pg_step step = step_of(x);
    if (step == CEASEI_PG_SYNC && x->at > 0) /* its commit failed */
        step = (enum ceasei_pg_step)x->steps[x->at - 1];
    if (step == CEASEI_PG_SETTING)
        x->db->timeout_ms = CEASEI_PG_TIMEOUT_UNKNOWN;
    if (!x->simple && state && (step == CEASEI_PG_SETTING || step == CEASEI_PG_DROP)) {
        x->prelude_canceled |= canceled;
        return; /* what becomes of the statement itself, it says */
    }
    x->canceled |= canceled;
    x->completed = false; /* of several statements an earlier one had succeeded */
    if (x->error == CEASE_OK)
        x->error = ceasei_pg_fail(x->db, result);
}

/* A COPY begins. One that nobody wanted is ended. */
static void take_copy(struct ceasei_pg_exchange *x, ExecStatusType status)
{
    if (x->copy == status && !x->discard) {
        x->copying = true;
        return;
    }
    if (x->error == CEASE_OK) {
        x->error = CEASE_EINVAL;
        ceasei_pg_say(x->db, "", "this is a COPY: see cease_pg_copy_in and cease_pg_copy_out");
    }
    if (!x->simple)
        ceasei_pg_break(x->db, "a COPY is no query: see cease_pg_copy_in and cease_pg_copy_out");
    else if (status == PGRES_COPY_IN)
        PQputCopyEnd(x->db->conn, "nothing to copy");
    else
        x->copying = true; /* receive() reads it away */
}

/* One answer, NULL included, of which it is the owner. */
static void take(struct ceasei_pg_exchange *x, PGresult *result)
{
    if (!result) {
        /* A cancel can hit the commit that a synchronisation point is: then an error and a NULL come in front of the
         * point's own result. */
        if (x->simple || step_of(x) != CEASEI_PG_SYNC)
            next_step(x);
        return;
    }
    ExecStatusType status = PQresultStatus(result);
    switch (status) {
    case PGRES_SINGLE_TUPLE:
        take_row(x, result);
        break;
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        take_success(x, result);
        break;
    case PGRES_PIPELINE_SYNC:
        next_step(x);
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        take_copy(x, status);
        break;
    case PGRES_PIPELINE_ABORTED:
    case PGRES_NONFATAL_ERROR:
        break;
    case PGRES_BAD_RESPONSE:
    case PGRES_FATAL_ERROR:
        take_failure(x, result);
        break;
    }
    PQclear(result);
}

/* ---- reading ---- */

cease_error ceasei_pg_pump(cease_ctx *ctx, PGconn *conn, bool writing)
{
    unsigned events = CEASE_READABLE | (writing ? (unsigned)CEASE_WRITABLE : 0);
    cease_error e = cease_fd_wait(ctx, PQsocket(conn), events);
    if (e == CEASE_OK && !PQconsumeInput(conn) && PQstatus(conn) != CONNECTION_BAD)
        e = CEASE_ENOMEM;
    return e;
}

/* libpq 14 and 15 forget to report it when memory is short for the result of a synchronisation point,
 * and would wait for ever. Its own words have a line to themselves; the server's follow a severity. */
static bool lacks_memory(const PGconn *conn)
{
    static const char words[] = "out of memory";
    const char *text = PQerrorMessage(conn);
    if (!*text)
        return false;
    const char *found = strstr(text, words);
    return found && (found == text || found[-1] == '\n');
}

/* Until the next answer can be taken without blocking; at once when the connection broke. */
static cease_error await(cease_ctx *ctx, PGconn *conn)
{
    while (PQstatus(conn) != CONNECTION_BAD) {
        int left = PQflush(conn);
        if (left <= 0 && !PQisBusy(conn))
            break;
        if (lacks_memory(conn))
            return CEASE_ENOMEM;
        cease_error e = ceasei_pg_pump(ctx, conn, left > 0);
        if (e != CEASE_OK)
            return e;
    }
    return CEASE_OK;
}

/* What a broken connection still has to say. */
static void take_last_words(struct ceasei_pg_exchange *x)
{
    for (int i = 0; i < 4 && x->error == CEASE_OK; i++) {
        PGresult *result = PQgetResult(x->db->conn);
        if (result && PQresultStatus(result) == PGRES_FATAL_ERROR)
            take_failure(x, result);
        PQclear(result);
    }
}

/* Reads a COPY that nobody wants: some of it. */
static cease_error read_away(cease_ctx *ctx, struct ceasei_pg_exchange *x)
{
    char *data = NULL;
    int size = PQgetCopyData(x->db->conn, &data, 1);
    PQfreemem(data);
    if (size == 0)
        return ceasei_pg_pump(ctx, x->db->conn, false);
    if (size < 0)
        x->copying = false;
    return CEASE_OK;
}

/* Reads until the last step is over, a wanted COPY begins, the row function fails, or ctx ends. */
static cease_error receive(cease_ctx *ctx, struct ceasei_pg_exchange *x)
{
    while (!x->finished) {
        if (x->copying && x->copy && !x->discard && x->error == CEASE_OK)
            return CEASE_OK;
        cease_error e = x->copying ? read_away(ctx, x) : await(ctx, x->db->conn);
        if (e != CEASE_OK)
            return e;
        if (is_broken(x->db)) {
            take_last_words(x);
            return CEASE_ECONNRESET;
        }
        if (!x->copying)
            take(x, PQgetResult(x->db->conn));
        if (!x->db->conn)
            return CEASE_ECONNRESET;
        if (x->row_error != CEASE_OK && !x->discard)
            return x->row_error;
        if (!x->finished && cease_done(ctx))
            return cease_err(ctx);
    }
    return CEASE_OK;
}

/* ---- the cancel ---- */

struct request {
    PGcancel *cancel;
    bool taken;
};

static void request_run(void *arg)
{
    struct request *r = arg;
    char words[256];
    r->taken = PQcancel(r->cancel, words, sizeof words);
}

static void request_free(void *arg)
{
    struct request *r = arg;
    PQfreeCancel(r->cancel);
    free(r);
}

/* Sends one cancel request and waits until the server has taken it. An error says that it may still be on its
 * way. */
static cease_error send_cancel(cease_ctx *grace, cease_pg *db)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r || !(r->cancel = PQgetCancel(db->conn))) {
        free(r);
        return CEASE_ENOMEM;
    }
    cease_error e = cease_block_leave(grace, request_run, request_free, r);
    if (e != CEASE_OK)
        return e;
    if (r->taken)
        ceasei_add(&ceasei_pg_counts.cancels, 1, RELAXED);
    request_free(r);
    return CEASE_OK;
}

/* Cancels until the last answer has been read. False: the budget is over, or nothing helps. */
static bool drain(struct ceasei_pg_exchange *x, cease_ctx *grace)
{
    cease_dur patience = PATIENCE_FIRST;
    x->discard = true;
    while (!is_broken(x->db) && send_cancel(grace, x->db) == CEASE_OK) {
        cease_canceler *stop;
        cease_ctx *limited = cease_with_timeout(grace, patience, &stop);
        cease_error e = receive(limited, x);
        bool again = e != CEASE_OK && e == cease_err(limited) && !cease_done(grace);
        cease_end(stop);
        if (!again)
            return e == CEASE_OK;
        if (patience.ns < PATIENCE_MAX.ns)
            patience.ns *= 2;
    }
    return false;
}

static void cut(struct ceasei_pg_exchange *x)
{
    cease_pg *db = x->db;
    cease_canceler *stop;
    cease_ctx *grace = cease_with_grace(x->ctx, db->cancel_max, &stop);
    ceasei_add(&ceasei_pg_counts.cut, 1, RELAXED);
    if (!drain(x, grace) && db->conn) {
        ceasei_add(&ceasei_pg_counts.abandoned, 1, RELAXED);
        ceasei_pg_break(db, "the server did not acknowledge the cancel in time");
    }
    cease_end(stop);
}

/* ---- settling ---- */

/* Keeps the books on what the server still knows. */
static void settle(struct ceasei_pg_exchange *x, cease_error why)
{
    cease_pg *db = x->db;
    if (!x->simple && !PQexitPipelineMode(db->conn)) {
        ceasei_pg_break(db, NULL);
        return;
    }
    PGTransactionStatusType status = PQtransactionStatus(db->conn);
    if (status == PQTRANS_IDLE) {
        if (db->timeout_in_block) /* a rollback has undone it, perhaps */
            db->timeout_ms = CEASEI_PG_TIMEOUT_UNKNOWN;
        db->timeout_in_block = false;
        db->cut = false;
        return;
    }
    if (x->count > 0 && x->steps[0] == CEASEI_PG_SETTING)
        db->timeout_in_block = true;
    if (status == PQTRANS_INTRANS && why != CEASE_OK && (x->lost_rows || x->row_error != CEASE_OK))
        db->cut = true;
}

/* What the call returns. `why`: what cut it short, if anything did. */
static cease_error conclude(struct ceasei_pg_exchange *x, cease_error why)
{
    cease_pg *db = x->db;
    if (x->row_error != CEASE_OK) {
        ceasei_pg_say(db, "", cease_strerror(x->row_error));
        return x->row_error;
    }
    bool canceled = x->canceled || (x->error != CEASE_OK && x->prelude_canceled);
    bool was_cut = why != CEASE_OK && (!db->conn || canceled || x->lost_rows ||
                                       (!x->completed && x->error == CEASE_OK));
    if (was_cut) {
        ceasei_pg_say_context(db, x->ctx, why);
        return why;
    }
    if (x->error == CEASE_OK)
        ceasei_pg_say(db, "", "");
    return x->error;
}

/* The server's statement_timeout was faster than our timer, which is late on a busy machine: it is the
 * context's deadline all the same. */
static cease_error was_deadline(struct ceasei_pg_exchange *x)
{
    cease_time deadline;
    if (!x->canceled || !cease_deadline(x->ctx, &deadline) || cease_until(deadline).ns > 0)
        return CEASE_OK;
    ceasei_add(&ceasei_pg_counts.cut, 1, RELAXED);
    return cease_wait(x->ctx);
}

static cease_error finish(struct ceasei_pg_exchange *x, cease_error why)
{
    cease_pg *db = x->db;
    if (is_broken(db) && why == CEASE_ECONNRESET) {
        if (x->error == CEASE_OK)
            return ceasei_pg_break(db, NULL);
        ceasei_pg_shut(db); /* the words are there already */
        return x->error;
    }
    if (why != CEASE_OK)
        cut(x);
    else
        why = was_deadline(x);
    if (is_broken(db))
        ceasei_pg_break(db, NULL);
    else
        settle(x, why);
    return conclude(x, why);
}

cease_error ceasei_pg_run(struct ceasei_pg_exchange *x)
{
    enter_step(x);
    cease_error why = receive(x->ctx, x);
    if (why == CEASE_OK && x->copying)
        return CEASE_OK;
    return finish(x, why);
}

cease_error ceasei_pg_run_rest(struct ceasei_pg_exchange *x, cease_error why)
{
    return finish(x, why != CEASE_OK ? why : receive(x->ctx, x));
}

/* ---- commands of the simple protocol ---- */

cease_error ceasei_pg_simple(cease_ctx *ctx, cease_pg *db, const char *sql,
                             enum ceasei_pg_step step, int64_t timeout_ms)
{
    struct ceasei_pg_exchange x = {.db = db, .ctx = ctx, .simple = true, .timeout_ms = timeout_ms};
    if (!PQsendQuery(db->conn, sql))
        return ceasei_pg_break(db, NULL);
    ceasei_pg_put_step(&x, step);
    return ceasei_pg_run(&x);
}

cease_error ceasei_pg_command(cease_ctx *ctx, cease_pg *db, const char *sql)
{
    return ceasei_pg_simple(ctx, db, sql, CEASEI_PG_RUN, 0);
}

cease_error ceasei_pg_rollback(cease_ctx *parent, cease_pg *db)
{
    if (!db->conn)
        return CEASE_ENOTCONN;
    if (PQtransactionStatus(db->conn) == PQTRANS_IDLE)
        return CEASE_OK;
    cease_canceler *stop;
    cease_ctx *grace = cease_with_grace(parent, db->cancel_max, &stop);
    cease_error e;
    do { /* again: what is left of statement_timeout cannot be set in a failed transaction, and may hit this, too */
        e = ceasei_pg_command(grace, db, "ROLLBACK");
    } while (e != CEASE_OK && db->conn && !cease_done(grace));
    if (e != CEASE_OK && db->conn)
        e = ceasei_pg_break(db, "the server did not roll back");
    cease_end(stop);
    return e;
}
