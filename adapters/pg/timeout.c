/* SPDX-License-Identifier: MIT
 *
 * timeout.c: what a context has left, told to the server as statement_timeout.
 *
 * It is a setting of the session, so it is set only when the server has another value, and the books
 * (cease_pg.timeout_ms) say which it has: exchange.c keeps them, from the answers.
 */
#include "connection.h"

#include <stdio.h>

enum { TIMEOUT_MIN_MS = 1000 };

/* statement_timeout in ms for what ctx has left: not shorter, so that it is the context that ends first. And never a
 * moment: the command that takes it back, and a ROLLBACK, run under what is left of it, and on a busy server a few
 * milliseconds were too short for them. The statement behind was hit then, under a context that had all the time in
 * the world. */
static int64_t timeout_for(cease_ctx *ctx)
{
    cease_time deadline;
    if (!cease_deadline(ctx, &deadline))
        return CEASEI_PG_TIMEOUT_DEFAULT;
    int64_t left = cease_until(deadline).ns;
    int64_t ms = left > 0 ? left / 1000000 + 1 : 0;
    if (ms < TIMEOUT_MIN_MS)
        ms = TIMEOUT_MIN_MS;
    return ms <= INT32_MAX ? ms : CEASEI_PG_TIMEOUT_DEFAULT;
}

/* Whether the server has to be told; not inside a failed transaction, where it would not listen. */
static bool wants_timeout(cease_ctx *ctx, cease_pg *db, int64_t *ret_ms)
{
    *ret_ms = timeout_for(ctx);
    return !db->no_timeout && *ret_ms != db->timeout_ms &&
           PQtransactionStatus(db->conn) != PQTRANS_INERROR;
}

static const char *timeout_text(int64_t ms, char *text, size_t size)
{
    if (ms == CEASEI_PG_TIMEOUT_DEFAULT)
        return "SET statement_timeout TO DEFAULT";
    snprintf(text, size, "SET statement_timeout TO %lld", (long long)ms);
    return text;
}

cease_error ceasei_pg_put_timeout(struct ceasei_pg_exchange *x)
{
    char text[64];
    PGconn *conn = x->db->conn;
    if (!wants_timeout(x->ctx, x->db, &x->timeout_ms))
        return CEASE_OK;
    const char *sql = timeout_text(x->timeout_ms, text, sizeof text);
    if (!PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0) || !PQpipelineSync(conn))
        return ceasei_pg_break(x->db, NULL);
    ceasei_pg_put_step(x, CEASEI_PG_SETTING);
    ceasei_pg_put_step(x, CEASEI_PG_SYNC);
    return CEASE_OK;
}

cease_error ceasei_pg_set_timeout(cease_ctx *ctx, cease_pg *db)
{
    char text[64];
    int64_t ms;
    if (!wants_timeout(ctx, db, &ms))
        return CEASE_OK;
    return ceasei_pg_simple(ctx, db, timeout_text(ms, text, sizeof text), CEASEI_PG_SETTING, ms);
}
