/* SPDX-License-Identifier: MIT
 *
 * connection.c: opening, closing, who may use a connection, and what its last call ended with.
 */
#include "connection.h"
#include "base/atomic.h"
#include "base/panic.h"

#include <stdio.h>
#include <stdlib.h>

#define CANCEL_MAX_DEFAULT cease_ms(100)

/* ---- use ---- */

void ceasei_redis_claim(cease_redis *db)
{
    if (ceasei_swap(&db->in_use, 1, ACQUIRE) != 0)
        ceasei_panic_at(NULL, 0, NULL, "a cease_redis connection is used by two tasks at once");
}

void ceasei_redis_release(cease_redis *db)
{
    ceasei_store(&db->in_use, 0, RELEASE);
}

bool ceasei_redis_is_end_of(cease_ctx *ctx, cease_error e)
{
    return cease_done(ctx) && e == cease_err(ctx);
}

cease_error ceasei_redis_say(cease_redis *db, cease_ctx *ctx, cease_error e)
{
    const cease_cause *cause = ceasei_redis_is_end_of(ctx, e) ? cease_cause_of(ctx) : NULL;
    const char *text = e == CEASE_OK ? "" : cause ? cause->text : cease_strerror(e);
    snprintf(db->message, sizeof db->message, "%s", text);
    return e;
}

/* ---- open and close ---- */

static void tell_opener(const cease_redis_opts *opts, const char *text)
{
    if (opts && opts->message && opts->message_size > 0)
        snprintf(opts->message, opts->message_size, "%s", text);
}

static void free_connection(cease_redis *db)
{
    ceasei_redis_drop(db);
    ceasei_redis_place_deinit(&db->place);
    free(db->out.data);
    free(db->kinds);
    free(db);
}

cease_error cease_redis_open(cease_ctx *ctx, const char *url, const cease_redis_opts *opts,
                             cease_redis **ret_db)
{
    cease_redis *db = calloc(1, sizeof *db);
    if (!db) {
        tell_opener(opts, cease_strerror(CEASE_ENOMEM));
        return CEASE_ENOMEM;
    }
    db->cancel_max = opts && opts->cancel_max.ns > 0 ? opts->cancel_max : CANCEL_MAX_DEFAULT;
    cease_error e = ceasei_redis_place_init(&db->place, url);
    if (e == CEASE_OK)
        e = ceasei_redis_place_trust(ctx, &db->place, opts ? opts->tls : NULL);
    ceasei_redis_say(db, ctx, e);
    if (e == CEASE_OK)
        e = ceasei_redis_connect(ctx, db);
    tell_opener(opts, db->message);
    if (e != CEASE_OK) {
        free_connection(db);
        return e;
    }
    ceasei_add(&ceasei_redis_counts.connections, 1, RELAXED);
    *ret_db = db;
    return CEASE_OK;
}

void cease_redis_close(cease_redis *db)
{
    if (!db)
        return;
    ceasei_redis_claim(db);
    free_connection(db);
    ceasei_sub(&ceasei_redis_counts.connections, 1, RELAXED);
}

const char *cease_redis_message(const cease_redis *db)
{
    return db->message;
}

void cease_redis_count(struct cease_redis_counts *ret_counts)
{
    ret_counts->connections = ceasei_load(&ceasei_redis_counts.connections, RELAXED);
    ret_counts->connects = ceasei_load(&ceasei_redis_counts.connects, RELAXED);
    ret_counts->cut = ceasei_load(&ceasei_redis_counts.cut, RELAXED);
    ret_counts->unblocked = ceasei_load(&ceasei_redis_counts.unblocked, RELAXED);
    ret_counts->abandoned = ceasei_load(&ceasei_redis_counts.abandoned, RELAXED);
}
