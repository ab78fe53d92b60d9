/* SPDX-License-Identifier: MIT
 *
 * statement.c: what SQL is run with: exec, query, the statements that a connection keeps, rows.
 *
 * A query is one job with all of its rows: handing them to the caller one by one would cost a switch between
 * threads each. Who looks at a row does so inside the job.
 *
 * The cache belongs to the call under way, like the handle. A statement in it is at rest between calls: reset, and
 * without bindings, which point into the caller's memory.
 */
#include "connection.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* ---- exec ---- */

static int exec_run(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    const char *rest = arg;
    int code = SQLITE_OK;
    while (*rest && code == SQLITE_OK) {
        if (cease_done(ctx))
            return SQLITE_INTERRUPT;
        sqlite3_stmt *stmt = NULL;
        code = sqlite3_prepare_v2(handle, rest, -1, &stmt, &rest);
        if (code != SQLITE_OK || !stmt)
            continue; /* no statement: a comment, or only space */
        do {
            code = sqlite3_step(stmt);
        } while (code == SQLITE_ROW);
        int end = sqlite3_finalize(stmt);
        code = code == SQLITE_DONE ? SQLITE_OK : end;
    }
    return code;
}

cease_error cease_sqlite_exec(cease_ctx *ctx, cease_sqlite *db, const char *sql)
{
    return cease_sqlite_run(ctx, db, exec_run, (void *)(uintptr_t)sql); /* only read */
}

/* ---- the statements that are kept ---- */

static struct ceasei_sqlite_cached *cache_slot(cease_sqlite *db, const char *sql)
{
    struct ceasei_sqlite_cached *oldest = &db->cache[0];
    for (size_t i = 0; i < CEASEI_SQLITE_CACHE_MAX; i++) {
        struct ceasei_sqlite_cached *c = &db->cache[i];
        if (c->sql && strcmp(c->sql, sql) == 0)
            return c;
        if (!c->sql || (oldest->sql && c->used < oldest->used))
            oldest = c;
    }
    sqlite3_finalize(oldest->stmt);
    free(oldest->sql);
    *oldest = (struct ceasei_sqlite_cached){0};
    return oldest;
}

static int prepare(cease_sqlite *db, const char *sql, sqlite3_stmt **ret_stmt)
{
    struct ceasei_sqlite_cached *c = cache_slot(db, sql);
    if (!c->stmt) {
        const char *rest;
        int code =
            sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &c->stmt, &rest);
        if (code != SQLITE_OK)
            return code;
        if (!c->stmt || rest[strspn(rest, " \t\r\n;")] != '\0') { /* none, or more than one */
            sqlite3_finalize(c->stmt);
            c->stmt = NULL;
            return SQLITE_MISUSE;
        }
        c->sql = strdup(sql);
        if (!c->sql) {
            sqlite3_finalize(c->stmt);
            c->stmt = NULL;
            return SQLITE_NOMEM;
        }
    }
    c->used = ++db->uses;
    *ret_stmt = c->stmt;
    return SQLITE_OK;
}

void ceasei_sqlite_forget(cease_sqlite *db)
{
    /* Only our own: sqlite3_next_stmt also gives those that FTS5 keeps for itself. */
    for (size_t i = 0; i < CEASEI_SQLITE_CACHE_MAX; i++) {
        sqlite3_finalize(db->cache[i].stmt);
        free(db->cache[i].sql);
        db->cache[i] = (struct ceasei_sqlite_cached){0};
    }
}

/* ---- query ---- */

struct query {
    cease_sqlite *db;
    const char *sql;
    const cease_sqlite_value *args;
    size_t arg_count;
    cease_sqlite_row_fn *fn;
    void *arg;
    cease_error row_error; /* what fn said, when it ended the query */
};

static int bind_one(sqlite3_stmt *stmt, int index, const cease_sqlite_value *v)
{
    switch (v->type) {
    case CEASE_SQLITE_INT:
        return sqlite3_bind_int64(stmt, index, v->integer);
    case CEASE_SQLITE_REAL:
        return sqlite3_bind_double(stmt, index, v->real);
    case CEASE_SQLITE_TEXT:
        return sqlite3_bind_text64(stmt, index, v->data, v->size, SQLITE_STATIC, SQLITE_UTF8);
    case CEASE_SQLITE_BLOB:
        return sqlite3_bind_blob64(stmt, index, v->data, v->size, SQLITE_STATIC);
    case CEASE_SQLITE_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, index);
}

static int step_all(sqlite3_stmt *stmt, struct query *q)
{
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        cease_error e = q->fn ? q->fn(stmt, q->arg) : CEASE_OK;
        if (e == CEASE_OK)
            continue;
        q->row_error = e == CEASE_EOF ? CEASE_OK : e;
        return SQLITE_DONE;
    }
    return code;
}

static int query_run(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    struct query *q = arg;
    (void)handle;
    if (cease_done(ctx))
        return SQLITE_INTERRUPT; /* ended on the way to this thread: do not begin */
    sqlite3_stmt *stmt;
    int code = prepare(q->db, q->sql, &stmt);
    if (code != SQLITE_OK)
        return code;
    for (size_t i = 0; i < q->arg_count && code == SQLITE_OK; i++)
        code = bind_one(stmt, (int)i + 1, &q->args[i]);
    if (code == SQLITE_OK)
        code = step_all(stmt, q);
    int end = sqlite3_reset(stmt); /* repeats the step's error, and so keeps its words */
    sqlite3_clear_bindings(stmt);
    return code == SQLITE_DONE || end == SQLITE_OK ? code : end;
}

cease_error cease_sqlite_query(cease_ctx *ctx, cease_sqlite *db, const char *sql,
                               const cease_sqlite_value *args, size_t arg_count,
                               cease_sqlite_row_fn *fn, void *arg)
{
    struct query q = {
        .db = db, .sql = sql, .args = args, .arg_count = arg_count, .fn = fn, .arg = arg};
    ceasei_sqlite_claim(db);
    cease_error e = ceasei_sqlite_run(ctx, db, query_run, &q);
    if (e == CEASE_OK && q.row_error != CEASE_OK) {
        e = q.row_error;
        ceasei_sqlite_say(db, cease_strerror(e));
    }
    ceasei_sqlite_release(db);
    return e;
}

/* ---- rows ---- */

int64_t cease_sqlite_row_int(cease_sqlite_row *row, int column)
{
    return sqlite3_column_int64(row, column);
}

double cease_sqlite_row_real(cease_sqlite_row *row, int column)
{
    return sqlite3_column_double(row, column);
}

const char *cease_sqlite_row_text(cease_sqlite_row *row, int column, size_t *ret_size)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    if (ret_size)
        *ret_size = text ? (size_t)sqlite3_column_bytes(row, column) : 0;
    return text ? (const char *)text : "";
}

bool cease_sqlite_row_null(cease_sqlite_row *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL;
}
