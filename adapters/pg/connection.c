/* SPDX-License-Identifier: MIT
 *
 * connection.c: connecting, closing, and who may use a connection.
 *
 * Connecting is a loop around PQconnectPoll, which says what to wait for. Each of its steps may block for
 * a while in spite of its name: it resolves names, reads password and certificate files, and hashes
 * a password a few thousand times. So each step is a job of the block pool, of the kind that may be left
 * behind: the attempt is on the heap and is cleaned up by whoever has it last.
 *
 * The server's refusal comes only as text. With libpq's verbose form its SQLSTATE stands in it, after
 * the severity ("FATAL:  28P01: password authentication failed"), and is taken out here.
 */
#include "connection.h"
#include "base/atomic.h"
#include "base/panic.h"

#include <cease/block.h>
#include <cease/fd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANCEL_MAX_DEFAULT cease_sec(5)

struct cease_pg_counts ceasei_pg_counts;

/* ---- use ---- */

void ceasei_pg_claim(cease_pg *db)
{
    if (ceasei_swap(&db->in_use, 1, ACQUIRE) != 0)
        ceasei_panic_at(NULL, 0, NULL, "a cease_pg connection is used by two tasks at once");
}

void ceasei_pg_release(cease_pg *db)
{
    ceasei_store(&db->in_use, 0, RELEASE);
}

cease_error ceasei_pg_leave(cease_pg *db, cease_error e)
{
    ceasei_pg_release(db);
    return e;
}

cease_error ceasei_pg_enter(cease_ctx *ctx, cease_pg *db)
{
    ceasei_pg_claim(db);
    ceasei_pg_say(db, "", "");
    db->affected = 0;
    if (cease_done(ctx)) {
        cease_error e = cease_err(ctx);
        ceasei_pg_say_context(db, ctx, e);
        return ceasei_pg_leave(db, e);
    }
    if (!db->conn) {
        ceasei_pg_say(db, "", "the connection is broken");
        return ceasei_pg_leave(db, CEASE_ENOTCONN);
    }
    if (db->cut) {
        ceasei_pg_say(db, "25P02",
                      "a statement of this transaction was cut short: roll it back first");
        return ceasei_pg_leave(db, CEASE_ESQL);
    }
    return CEASE_OK;
}

/* ---- connecting ---- */

struct attempt {
    char *conninfo;
    PGconn *conn; /* NULL: not begun, or no memory */
    PostgresPollingStatusType next;
    bool reached; /* a server has answered */
};

static void attempt_free(void *arg)
{
    struct attempt *a = arg;
    PQfinish(a->conn);
    free(a->conninfo);
    free(a);
}

static void silence(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* On a thread that may block. */
static void attempt_step(void *arg)
{
    struct attempt *a = arg;
    if (a->conn) {
        a->reached |= PQstatus(a->conn) == CONNECTION_AWAITING_RESPONSE;
        a->next = PQconnectPoll(a->conn);
        return;
    }
    /* In front of dbname: what the string says wins. */
    static const char *const words[] = {"client_encoding", "fallback_application_name", "dbname",
                                        NULL};
    const char *const values[] = {"UTF8", "cease", a->conninfo, NULL};
    a->conn = PQconnectStartParams(words, values, 1);
    a->next = PGRES_POLLING_WRITING;
    if (!a->conn || PQstatus(a->conn) == CONNECTION_BAD) {
        a->next = PGRES_POLLING_FAILED;
        return;
    }
    PQsetNoticeProcessor(a->conn, silence, NULL);
    PQsetErrorVerbosity(a->conn, PQERRORS_VERBOSE);
}

/* Connects, or consumes `a`. */
static cease_error attempt_run(cease_ctx *ctx, struct attempt *a)
{
    for (;;) {
        cease_error e = cease_block_leave(ctx, attempt_step, attempt_free, a);
        if (e != CEASE_OK)
            return e; /* a is gone, or will go */
        if (a->next == PGRES_POLLING_OK || a->next == PGRES_POLLING_FAILED)
            return CEASE_OK;
        unsigned events = a->next == PGRES_POLLING_READING ? CEASE_READABLE : CEASE_WRITABLE;
        e = cease_fd_wait(ctx, PQsocket(a->conn), events);
        if (e != CEASE_OK) {
            attempt_free(a);
            return e;
        }
    }
}

/* Cuts ":  28P01: " out of a refusal and copies the state. */
static bool take_state(char *message, char ret_state[6])
{
    for (char *at = message; (at = strstr(at, ":  ")); at++) {
        char *state = at + 3;
        size_t size = strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (size != 5 || state[5] != ':' || state[6] != ' ')
            continue;
        memcpy(ret_state, state, 5);
        ret_state[5] = '\0';
        memmove(state, state + 7, strlen(state + 7) + 1);
        char *place = strstr(state, "\nLOCATION:");
        if (place)
            *place = '\0';
        return true;
    }
    return false;
}

static cease_error attempt_error(struct attempt *a, char *message, size_t size)
{
    char state[6];
    snprintf(message, size, "%s", a->conn ? PQerrorMessage(a->conn) : "out of memory");
    if (!a->conn || strstr(message, "out of memory"))
        return CEASE_ENOMEM;
    if (take_state(message, state)) {
        cease_error e = ceasei_pg_error_of_state(state);
        return e == CEASE_ECONNRESET ? CEASE_EAGAIN : e; /* 57P01: it is stopping */
    }
    return a->reached ? CEASE_EACCES : CEASE_ECONNREFUSED;
}

static void tell_opener(const cease_pg_opts *opts, const char *text)
{
    if (opts && opts->message && opts->message_size > 0) {
        int size = (int)strcspn(text, "\n");
        snprintf(opts->message, opts->message_size, "%.*s", size, text);
    }
}

/* CEASE_EINVAL when it is no connection string, in libpq's words. */
static cease_error look_at(const char *conninfo, const cease_pg_opts *opts)
{
    char *text = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &text);
    bool malformed = !options && text && !strstr(text, "out of memory");
    if (malformed)
        tell_opener(opts, text);
    PQconninfoFree(options);
    PQfreemem(text);
    return malformed ? CEASE_EINVAL : CEASE_OK;
}

static cease_error connection_new(const cease_pg_opts *opts, struct attempt *a, cease_pg **ret_db)
{
    cease_pg *db = calloc(1, sizeof *db);
    if (!db)
        return CEASE_ENOMEM;
    db->conn = a->conn;
    a->conn = NULL;
    PQsetErrorVerbosity(db->conn, PQERRORS_DEFAULT);
    PQsetnonblocking(db->conn, 1);
    db->cancel_max = opts && opts->cancel_max.ns > 0 ? opts->cancel_max : CANCEL_MAX_DEFAULT;
    db->no_prepare = opts && opts->no_prepare;
    db->no_timeout = opts && opts->no_timeout;
    db->timeout_ms = CEASEI_PG_TIMEOUT_DEFAULT;
    ceasei_add(&ceasei_pg_counts.connections, 1, RELAXED);
    *ret_db = db;
    return CEASE_OK;
}

cease_error cease_pg_open(cease_ctx *ctx, const char *conninfo, const cease_pg_opts *opts,
                          cease_pg **ret_db)
{
    cease_error e = look_at(conninfo, opts);
    if (e != CEASE_OK)
        return e;
    struct attempt *a = calloc(1, sizeof *a);
    if (!a || !(a->conninfo = strdup(conninfo))) {
        free(a);
        tell_opener(opts, cease_strerror(CEASE_ENOMEM));
        return CEASE_ENOMEM;
    }
    e = attempt_run(ctx, a);
    if (e != CEASE_OK) {
        const cease_cause *cause = cease_cause_of(ctx);
        tell_opener(opts, cause && e == cease_err(ctx) ? cause->text : cease_strerror(e));
        return e;
    }
    char message[CEASEI_PG_MESSAGE_SIZE];
    if (a->next == PGRES_POLLING_OK) {
        e = connection_new(opts, a, ret_db);
        snprintf(message, sizeof message, "%s", e == CEASE_OK ? "" : cease_strerror(e));
    } else {
        e = attempt_error(a, message, sizeof message);
    }
    tell_opener(opts, message);
    attempt_free(a);
    return e;
}

void ceasei_pg_forget_all(cease_pg *db)
{
    for (size_t i = 0; i < CEASEI_PG_STATEMENT_MAX; i++)
        free(db->statements[i].sql);
    memset(db->statements, 0, sizeof db->statements);
}

void cease_pg_close(cease_pg *db)
{
    if (!db)
        return;
    ceasei_pg_claim(db);
    PQfinish(db->conn);
    ceasei_pg_forget_all(db);
    free(db);
    ceasei_sub(&ceasei_pg_counts.connections, 1, RELAXED);
}

/* ---- looking ---- */

const char *cease_pg_message(const cease_pg *db)
{
    return db->message;
}

const char *cease_pg_sqlstate(const cease_pg *db)
{
    return db->sqlstate;
}

int64_t cease_pg_affected(const cease_pg *db)
{
    return db->affected;
}

struct pg_conn *cease_pg_handle(const cease_pg *db)
{
    return db->conn;
}
