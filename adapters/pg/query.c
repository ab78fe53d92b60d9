/* SPDX-License-Identifier: MIT
 *
 * query.c: statements, their parameters and rows, and transactions.
 *
 * A query is one pipeline, hence one round trip:
 *
 *     SET statement_timeout …    if the server does not know it; a transaction of its own
 *     DEALLOCATE …               if a statement has to make room
 *     Parse                      if it is to be prepared and is not yet
 *     Bind, Execute              the statement
 *
 * Which statements are prepared: those that are asked for again while they are among the last 32.
 * A statement that was asked for once costs the server nothing that lasts. When the server no longer has a
 * statement (DISCARD ALL, a pooler) or its result has another shape (ALTER TABLE), it is parsed
 * anew, once, if no row has been seen and no transaction is spoiled by the attempt.
 */
#include "base/panic.h"
#include "connection.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARGS_MAX = 65535, /* of the protocol: a 16-bit count */
    NUMBER_SIZE = 32,
    BYTEA = 17, /* the type's OID, the same on every server */
};

/* ---- parameters ---- */

struct params {
    Oid *types;
    const char **values;
    int *sizes;
    int *formats; /* 0: text, 1: binary */
    char (*numbers)[NUMBER_SIZE];
};

static void params_free(struct params *p)
{
    free(p->types);
    free(p->values);
    free(p->sizes);
    free(p->formats);
    free(p->numbers);
}

/* As SQL wants it, whatever the program's locale. */
static void print_real(char text[NUMBER_SIZE], double real)
{
    snprintf(text, NUMBER_SIZE, "%.17g", real);
    char point = *localeconv()->decimal_point;
    char *found = point != '.' ? strchr(text, point) : NULL;
    if (found)
        *found = '.';
}

static void params_set(struct params *p, size_t i, const cease_pg_value *v)
{
    switch (v->type) {
    case CEASE_PG_INT:
        snprintf(p->numbers[i], NUMBER_SIZE, "%lld", (long long)v->integer);
        p->values[i] = p->numbers[i];
        break;
    case CEASE_PG_REAL:
        print_real(p->numbers[i], v->real);
        p->values[i] = p->numbers[i];
        break;
    case CEASE_PG_BOOL:
        p->values[i] = v->integer ? "t" : "f";
        break;
    case CEASE_PG_TEXT:
        p->values[i] = v->data;
        break;
    case CEASE_PG_BYTES:
        p->types[i] = BYTEA;
        p->values[i] = v->data;
        p->sizes[i] = (int)v->size;
        p->formats[i] = 1;
        break;
    case CEASE_PG_NULL:
        break;
    }
}

/* On an error too, to be freed. */
static cease_error params_init(struct params *p, const cease_pg_value *args, size_t count)
{
    *p = (struct params){0};
    if (count == 0)
        return CEASE_OK;
    p->types = calloc(count, sizeof *p->types);
    p->values = calloc(count, sizeof *p->values);
    p->sizes = calloc(count, sizeof *p->sizes);
    p->formats = calloc(count, sizeof *p->formats);
    p->numbers = calloc(count, sizeof *p->numbers);
    if (!p->types || !p->values || !p->sizes || !p->formats || !p->numbers)
        return CEASE_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (args[i].type == CEASE_PG_BYTES && args[i].size > INT32_MAX)
            return CEASE_EMSGSIZE;
        params_set(p, i, &args[i]);
    }
    return CEASE_OK;
}

/* ---- prepared statements ---- */

static struct ceasei_pg_statement *oldest_statement(cease_pg *db)
{
    struct ceasei_pg_statement *oldest = &db->statements[0];
    for (size_t i = 0; i < CEASEI_PG_STATEMENT_MAX; i++) {
        struct ceasei_pg_statement *s = &db->statements[i];
        if (!s->sql)
            return s;
        if (s->used < oldest->used)
            oldest = s;
    }
    return oldest;
}

/* The entry for a text, new if need be; NULL: do without. */
static struct ceasei_pg_statement *statement_of(cease_pg *db, const char *sql)
{
    if (db->no_prepare || PQtransactionStatus(db->conn) == PQTRANS_INERROR)
        return NULL;
    for (size_t i = 0; i < CEASEI_PG_STATEMENT_MAX; i++) {
        struct ceasei_pg_statement *s = &db->statements[i];
        if (s->sql && strcmp(s->sql, sql) == 0) {
            s->used = ++db->uses;
            return s;
        }
    }
    struct ceasei_pg_statement *s = oldest_statement(db);
    if (s->prepared)
        db->drop = s->number;
    free(s->sql);
    *s = (struct ceasei_pg_statement){
        .sql = strdup(sql), .number = ++db->numbers, .used = ++db->uses};
    return s->sql ? s : NULL;
}

/* ---- a query ---- */

/* A failure here leaves half a pipeline: the connection is closed. */
static cease_error put_query(struct ceasei_pg_exchange *x, const char *sql, const struct params *p,
                             int count)
{
    cease_pg *db = x->db;
    PGconn *conn = db->conn;
    struct ceasei_pg_statement *s = statement_of(db, sql);
    char name[32];
    bool ok = true;
    if (db->drop != 0) {
        snprintf(name, sizeof name, "DEALLOCATE cease%u", db->drop);
        ok = PQsendQueryParams(conn, name, 0, NULL, NULL, NULL, NULL, 0) && PQpipelineSync(conn);
        db->drop = 0;
        ceasei_pg_put_step(x, CEASEI_PG_DROP);
        ceasei_pg_put_step(x, CEASEI_PG_SYNC);
    }
    if (ok && s && (s->asked || s->prepared)) {
        snprintf(name, sizeof name, "cease%u", s->number);
        if (!s->prepared) {
            x->statement = s;
            ceasei_pg_put_step(x, CEASEI_PG_PREPARE);
            ok = PQsendPrepare(conn, name, sql, count, p->types);
        }
        ok = ok && PQsendQueryPrepared(conn, name, count, p->values, p->sizes, p->formats, 0);
    } else if (ok) {
        ok = PQsendQueryParams(conn, sql, count, p->types, p->values, p->sizes, p->formats, 0);
        if (s)
            s->asked = true;
    }
    ceasei_pg_put_step(x, CEASEI_PG_RUN);
    ceasei_pg_put_step(x, CEASEI_PG_SYNC);
    if (!ok || !PQpipelineSync(conn))
        return ceasei_pg_break(db, NULL);
    return CEASE_OK;
}

/* Whether the statement that was prepared before is no good any more; then it is forgotten. */
static bool is_stale(cease_pg *db, const char *sql, const struct ceasei_pg_exchange *x)
{
    bool gone = strcmp(db->sqlstate, "26000") == 0;
    if (!db->conn || x->rows > 0 || (!gone && strcmp(db->sqlstate, "0A000") != 0))
        return false;
    struct ceasei_pg_statement *s = statement_of(db, sql);
    if (!s || !s->prepared || x->statement == s)
        return false;
    if (!gone)
        db->drop = s->number;
    s->prepared = false;
    s->number = ++db->numbers;
    return PQtransactionStatus(db->conn) == PQTRANS_IDLE;
}

static cease_error query(struct ceasei_pg_exchange *x, const char *sql, const struct params *p,
                         int count)
{
    if (!PQenterPipelineMode(x->db->conn))
        return ceasei_pg_break(x->db, NULL);
    cease_error e = ceasei_pg_put_timeout(x);
    if (e == CEASE_OK)
        e = put_query(x, sql, p, count);
    return e == CEASE_OK ? ceasei_pg_run(x) : e;
}

cease_error cease_pg_query(cease_ctx *ctx, cease_pg *db, const char *sql,
                           const cease_pg_value *args, size_t arg_count, cease_pg_row_fn *fn,
                           void *arg)
{
    cease_error e = ceasei_pg_enter(ctx, db);
    if (e != CEASE_OK)
        return e;
    struct params p;
    e = arg_count > ARGS_MAX ? CEASE_EINVAL : params_init(&p, args, arg_count);
    if (e != CEASE_OK) {
        ceasei_pg_say(db, "", cease_strerror(e));
    } else {
        struct ceasei_pg_exchange x = {.db = db, .ctx = ctx, .fn = fn, .arg = arg};
        e = query(&x, sql, &p, (int)arg_count);
        if (e != CEASE_OK && is_stale(db, sql, &x)) {
            x = (struct ceasei_pg_exchange){.db = db, .ctx = ctx, .fn = fn, .arg = arg};
            e = query(&x, sql, &p, (int)arg_count);
        }
    }
    if (arg_count <= ARGS_MAX)
        params_free(&p);
    return ceasei_pg_leave(db, e);
}

cease_error cease_pg_exec(cease_ctx *ctx, cease_pg *db, const char *sql)
{
    cease_error e = ceasei_pg_enter(ctx, db);
    if (e != CEASE_OK)
        return e;
    e = ceasei_pg_set_timeout(ctx, db);
    if (e == CEASE_OK)
        e = ceasei_pg_command(ctx, db, sql);
    return ceasei_pg_leave(db, e);
}

/* ---- transactions ---- */

cease_error cease_pg_rollback(cease_ctx *parent, cease_pg *db)
{
    ceasei_pg_claim(db);
    ceasei_pg_say(db, "", "");
    return ceasei_pg_leave(db, ceasei_pg_rollback(parent, db));
}

static cease_error commit(cease_ctx *ctx, cease_pg *db)
{
    cease_error e = ceasei_pg_enter(ctx, db);
    if (e != CEASE_OK)
        return e;
    if (PQtransactionStatus(db->conn) == PQTRANS_INERROR) {
        ceasei_pg_say(db, "25P02", "a statement of the transaction had failed");
        return ceasei_pg_leave(db, CEASE_ESQL);
    }
    e = ceasei_pg_set_timeout(ctx, db);
    if (e == CEASE_OK)
        e = ceasei_pg_command(ctx, db, "COMMIT");
    return ceasei_pg_leave(db, e);
}

cease_error cease_pg_transaction(cease_ctx *ctx, cease_pg *db, const char *begin, cease_pg_fn *fn,
                                 void *arg)
{
    char state[sizeof db->sqlstate];
    char message[sizeof db->message];
    if (db->conn && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
        ceasei_pg_say(db, "25001", "a transaction is open already");
        return CEASE_EBUSY;
    }
    cease_error e = cease_pg_exec(ctx, db, begin ? begin : "BEGIN");
    if (e != CEASE_OK)
        return e;
    e = fn(ctx, db, arg);
    if (e == CEASE_OK)
        e = commit(ctx, db);
    if (e == CEASE_OK)
        return e;
    memcpy(state, db->sqlstate, sizeof state);
    memcpy(message, db->message, sizeof message);
    cease_pg_rollback(ctx, db);
    ceasei_pg_say(db, state, message);
    return e;
}

/* ---- rows ---- */

bool cease_pg_row_null(cease_pg_row *row, int column)
{
    return column < 0 || column >= PQnfields(row) || PQgetisnull(row, 0, column);
}

const char *cease_pg_row_text(cease_pg_row *row, int column, size_t *ret_size)
{
    bool null = cease_pg_row_null(row, column);
    if (ret_size)
        *ret_size = null ? 0 : (size_t)PQgetlength(row, 0, column);
    return null ? "" : PQgetvalue(row, 0, column);
}

int64_t cease_pg_row_int(cease_pg_row *row, int column)
{
    return strtoll(cease_pg_row_text(row, column, NULL), NULL, 10);
}

double cease_pg_row_real(cease_pg_row *row, int column)
{
    char text[64];
    snprintf(text, sizeof text, "%s", cease_pg_row_text(row, column, NULL));
    char *found = strchr(text, '.');
    if (found)
        *found = *localeconv()->decimal_point;
    return strtod(text, NULL);
}

bool cease_pg_row_bool(cease_pg_row *row, int column)
{
    return *cease_pg_row_text(row, column, NULL) == 't';
}
