/* SPDX-License-Identifier: MIT
 *
 * copy.c: COPY in both directions, and notifications.
 *
 * A COPY is an exchange of the simple protocol that stops in the middle (`copying`), lets the data pass, and goes
 * on. Cut short, a COPY into the server is ended by the client's own word for failure, after which the server
 * undoes it; one out of the server by a cancel request, as any statement.
 */
#include "connection.h"

#include <cease/fd.h>
#include <string.h>

enum { PIECE_MAX = 1 << 20 }; /* handed to libpq at a time, which copies it */

static cease_error copy_begin(struct ceasei_pg_exchange *x, const char *sql)
{
    cease_error e = ceasei_pg_enter(x->ctx, x->db);
    if (e != CEASE_OK)
        return e;
    e = ceasei_pg_set_timeout(x->ctx, x->db);
    if (e == CEASE_OK && !PQsendQuery(x->db->conn, sql))
        e = ceasei_pg_break(x->db, NULL);
    if (e == CEASE_OK) {
        ceasei_pg_put_step(x, CEASEI_PG_RUN);
        e = ceasei_pg_run(x);
    }
    if (e == CEASE_OK && !x->copying) {
        ceasei_pg_say(x->db, "", "this is not a COPY of that direction");
        e = CEASE_EINVAL;
    }
    return e == CEASE_OK ? e : ceasei_pg_leave(x->db, e);
}

/* ---- in ---- */

/* What libpq has not sent yet is waited for: a COPY takes no more memory than a piece. */
static cease_error put_piece(struct ceasei_pg_exchange *x, const char *data, int size)
{
    PGconn *conn = x->db->conn;
    if (cease_done(x->ctx))
        return cease_err(x->ctx);
    if (PQputCopyData(conn, data, size) <= 0)
        return PQstatus(conn) == CONNECTION_BAD ? CEASE_ECONNRESET : CEASE_ENOMEM;
    cease_error e = CEASE_OK;
    while (e == CEASE_OK && PQflush(conn) > 0)
        e = ceasei_pg_pump(x->ctx, conn, true);
    return e;
}

static cease_error put_all(struct ceasei_pg_exchange *x, cease_pg_source_fn *source, void *arg)
{
    for (;;) {
        const void *data = NULL;
        size_t size = 0;
        cease_error e = source(arg, &data, &size);
        if (e != CEASE_OK)
            return e == CEASE_EOF ? CEASE_OK : (x->row_error = e);
        while (size > 0 && e == CEASE_OK) {
            int piece = size < PIECE_MAX ? (int)size : PIECE_MAX;
            e = put_piece(x, data, piece);
            data = (const char *)data + piece;
            size -= (size_t)piece;
        }
        if (e != CEASE_OK)
            return e;
    }
}

cease_error cease_pg_copy_in(cease_ctx *ctx, cease_pg *db, const char *sql,
                             cease_pg_source_fn *source, void *arg)
{
    struct ceasei_pg_exchange x = {.db = db, .ctx = ctx, .simple = true, .copy = PGRES_COPY_IN};
    cease_error e = copy_begin(&x, sql);
    if (e != CEASE_OK)
        return e;
    e = put_all(&x, source, arg);
    x.copying = false;
    if (e != CEASE_ECONNRESET && PQputCopyEnd(db->conn, e == CEASE_OK ? NULL : "cut short") < 0)
        e = e == CEASE_OK ? CEASE_ECONNRESET : e;
    return ceasei_pg_leave(db, ceasei_pg_run_rest(&x, e));
}

/* ---- out ---- */

static cease_error take_all(struct ceasei_pg_exchange *x, cease_pg_sink_fn *sink, void *arg)
{
    PGconn *conn = x->db->conn;
    for (;;) {
        if (cease_done(x->ctx))
            return cease_err(x->ctx);
        char *data = NULL;
        cease_error e = CEASE_OK;
        int size = PQgetCopyData(conn, &data, 1);
        if (size > 0 && !x->enough)
            e = sink(data, (size_t)size, arg);
        else if (size == 0)
            e = ceasei_pg_pump(x->ctx, conn, false);
        PQfreemem(data);
        if (size < 0)
            return CEASE_OK; /* the rest of the exchange says how it ended */
        if (size > 0 && e == CEASE_EOF)
            x->enough = true;
        else if (size > 0 && e != CEASE_OK)
            return x->row_error = e;
        else if (e != CEASE_OK)
            return e;
        if (PQstatus(conn) == CONNECTION_BAD)
            return CEASE_OK;
    }
}

cease_error cease_pg_copy_out(cease_ctx *ctx, cease_pg *db, const char *sql, cease_pg_sink_fn *sink,
                              void *arg)
{
    struct ceasei_pg_exchange x = {.db = db, .ctx = ctx, .simple = true, .copy = PGRES_COPY_OUT};
    cease_error e = copy_begin(&x, sql);
    if (e != CEASE_OK)
        return e;
    e = take_all(&x, sink, arg);
    if (e == CEASE_OK)
        x.copying = false;
    else
        x.lost_rows = true;
    return ceasei_pg_leave(db, ceasei_pg_run_rest(&x, e));
}

/* ---- notifications ---- */

cease_error cease_pg_notified(cease_ctx *ctx, cease_pg *db, cease_pg_notify_fn *fn, void *arg)
{
    cease_error e = ceasei_pg_enter(ctx, db);
    if (e != CEASE_OK)
        return e;
    PGnotify *note;
    while (!(note = PQnotifies(db->conn))) {
        e = ceasei_pg_pump(ctx, db->conn, false);
        if (e == CEASE_OK && PQstatus(db->conn) == CONNECTION_BAD)
            e = ceasei_pg_break(db, NULL);
        if (e != CEASE_OK) {
            if (e == cease_err(ctx))
                ceasei_pg_say_context(db, ctx, e);
            return ceasei_pg_leave(db, e);
        }
    }
    fn(note->relname, note->extra, note->be_pid, arg);
    PQfreemem(note);
    return ceasei_pg_leave(db, CEASE_OK);
}
