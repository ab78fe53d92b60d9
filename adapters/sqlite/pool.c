/* SPDX-License-Identifier: MIT
 *
 * pool.c: one writer and several readers of one file, in WAL mode.
 *
 * The writer is a value in a channel of capacity one: taking it is receiving it, so writers queue in the
 * order of coming, under their contexts, and never meet each other's lock. It is NULL there when it broke and has
 * to be made anew. For readers there are permits in a channel, as many as may be open; with one in hand
 * one takes the idle reader that was given back last, or opens a new one.
 *
 * Who guards what: `lock` guards the idle readers, `lent_writer` and `closed`; everything else is set at birth.
 * The pool is counted: its maker has one reference, each connection that is lent another.
 */
#include "base/atomic.h"
#include "base/lock.h"
#include "connection.h"

#include <cease/chan.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READERS_MAX_DEFAULT 4

struct cease_sqlite_pool {
    char *path;
    cease_sqlite_pool_opts opts;
    cease_chan *writer;  /* of cease_sqlite *, room for one */
    cease_chan *permits; /* for readers */
    uint32_t references; /* atomic; the last one frees */

    struct ceasei_lock lock;
    bool closed;               /* under lock, like the rest */
    cease_sqlite *lent_writer; /* tells who is given back */
    uint32_t idle_count;
    cease_sqlite *idle[]; /* readers_max of them; the last given on top */
};

static void pool_unref(cease_sqlite_pool *pool)
{
    if (ceasei_sub(&pool->references, 1, ACQ_REL) != 1)
        return;
    cease_chan_unref(pool->writer);
    cease_chan_unref(pool->permits);
    free(pool->path);
    free(pool);
}

/* ---- opening ---- */

static cease_error take_mode(cease_sqlite_row *row, void *arg)
{
    *(bool *)arg = strcmp(cease_sqlite_row_text(row, 0, NULL), "wal") == 0;
    return CEASE_OK;
}

static cease_error set_wal(cease_ctx *ctx, cease_sqlite *db)
{
    bool wal = false;
    cease_error e =
        cease_sqlite_query(ctx, db, "PRAGMA journal_mode=WAL", NULL, 0, take_mode, &wal);
    if (e == CEASE_OK && !wal)
        e = CEASE_ENOTSUP;
    /* What WAL allows: the file stays whole without a sync for each commit. */
    return e == CEASE_OK ? cease_sqlite_exec(ctx, db, "PRAGMA synchronous=NORMAL") : e;
}

static cease_error open_one(cease_ctx *ctx, cease_sqlite_pool *pool, bool writer, char *message,
                            size_t message_size, cease_sqlite **ret_db)
{
    cease_sqlite_opts opts = {.size = sizeof opts,
                              .read_only = !writer,
                              .busy_max = pool->opts.busy_max,
                              .message = message,
                              .message_size = message_size};
    cease_sqlite *db;
    cease_error e = cease_sqlite_open(ctx, pool->path, &opts, &db);
    if (e != CEASE_OK)
        return e;
    if (writer)
        e = set_wal(ctx, db);
    if (e == CEASE_OK && pool->opts.setup)
        e = pool->opts.setup(ctx, db, writer, pool->opts.setup_arg);
    if (e == CEASE_OK) {
        *ret_db = db;
        return e;
    }
    if (message_size > 0) {
        const char *text = cease_sqlite_message(db);
        snprintf(message, message_size, "%s", *text ? text : cease_strerror(e));
    }
    cease_sqlite_close(db);
    return e;
}

static cease_sqlite_pool *pool_new(const char *path, const cease_sqlite_pool_opts *opts)
{
    uint32_t readers_max = opts && opts->readers_max ? opts->readers_max : READERS_MAX_DEFAULT;
    cease_sqlite_pool *pool = calloc(1, sizeof *pool + readers_max * sizeof pool->idle[0]);
    if (!pool)
        return NULL;
    pool->references = 1;
    if (opts)
        pool->opts = *opts;
    pool->path = strdup(path);
    pool->writer = cease_chan_new(sizeof(cease_sqlite *), 1);
    pool->permits = cease_chan_new(0, readers_max);
    if (!pool->path || !pool->writer || !pool->permits) {
        pool_unref(pool);
        return NULL;
    }
    for (uint32_t i = 0; i < readers_max; i++)
        cease_chan_try_send(pool->permits, NULL);
    return pool;
}

cease_error cease_sqlite_pool_open(cease_ctx *ctx, const char *path,
                                   const cease_sqlite_pool_opts *opts, cease_sqlite_pool **ret_pool)
{
    char *message = opts ? opts->message : NULL;
    size_t message_size = message ? opts->message_size : 0;
    cease_sqlite_pool *pool = pool_new(path, opts);
    cease_sqlite *writer = NULL;
    cease_error e = pool ? open_one(ctx, pool, true, message, message_size, &writer) : CEASE_ENOMEM;
    if (e != CEASE_OK) {
        if (!pool && message_size > 0)
            snprintf(message, message_size, "%s", cease_strerror(e));
        if (pool)
            pool_unref(pool);
        return e;
    }
    cease_chan_try_send(pool->writer, &writer);
    *ret_pool = pool;
    return CEASE_OK;
}

/* ---- take ---- */

/* What is in a closed channel stays there until it is taken, so a take can get here after the end. */
static bool is_closed(cease_sqlite_pool *pool)
{
    ceasei_lock(&pool->lock);
    bool closed = pool->closed;
    ceasei_unlock(&pool->lock);
    return closed;
}

cease_error cease_sqlite_pool_take_writer(cease_ctx *ctx, cease_sqlite_pool *pool,
                                          cease_sqlite **ret_db)
{
    cease_sqlite *db = NULL;
    ceasei_add(&pool->references, 1, RELAXED); /* the pool is there, or the call would be a bug */
    cease_error e = cease_chan_recv(ctx, pool->writer, &db);
    if (e == CEASE_OK && !db) {
        e = is_closed(pool) ? CEASE_ECLOSED : open_one(ctx, pool, true, NULL, 0, &db);
        if (e != CEASE_OK)
            cease_chan_try_send(pool->writer, &db); /* NULL still */
    }
    if (e != CEASE_OK) {
        pool_unref(pool);
        return e;
    }
    ceasei_lock(&pool->lock);
    pool->lent_writer = db;
    ceasei_unlock(&pool->lock);
    *ret_db = db;
    return CEASE_OK;
}

/* With a permit in hand. */
static cease_error find_reader(cease_ctx *ctx, cease_sqlite_pool *pool, cease_sqlite **ret_db)
{
    ceasei_lock(&pool->lock);
    bool closed = pool->closed;
    cease_sqlite *db = pool->idle_count > 0 ? pool->idle[--pool->idle_count] : NULL;
    ceasei_unlock(&pool->lock);
    if (closed)
        return CEASE_ECLOSED;
    if (!db)
        return open_one(ctx, pool, false, NULL, 0, ret_db);
    *ret_db = db;
    return CEASE_OK;
}

cease_error cease_sqlite_pool_take_reader(cease_ctx *ctx, cease_sqlite_pool *pool,
                                          cease_sqlite **ret_db)
{
    ceasei_add(&pool->references, 1, RELAXED); /* as above */
    cease_error e = cease_chan_recv(ctx, pool->permits, NULL);
    if (e == CEASE_OK) {
        e = find_reader(ctx, pool, ret_db);
        if (e != CEASE_OK)
            cease_chan_try_send(pool->permits, NULL);
    }
    if (e != CEASE_OK)
        pool_unref(pool);
    return e;
}

/* ---- give ---- */

static int roll_back(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    (void)ctx;
    (void)arg;
    return sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
}

void cease_sqlite_pool_give(cease_sqlite_pool *pool, cease_sqlite *take_db)
{
    if (!take_db)
        return;
    if (!ceasei_sqlite_is_at_rest(take_db))
        cease_sqlite_run(cease_background(), take_db, roll_back, NULL);
    bool usable = ceasei_sqlite_is_at_rest(take_db);
    ceasei_lock(&pool->lock);
    bool writer = pool->lent_writer == take_db;
    if (writer)
        pool->lent_writer = NULL;
    usable = usable && !pool->closed;
    if (usable && !writer)
        pool->idle[pool->idle_count++] = take_db;
    ceasei_unlock(&pool->lock);
    if (!usable) {
        cease_sqlite_close(take_db);
        take_db = NULL;
    }
    /* There is room: what goes in came out of it. */
    if (writer)
        cease_chan_try_send(pool->writer, &take_db);
    else
        cease_chan_try_send(pool->permits, NULL);
    pool_unref(pool);
}

void cease_sqlite_pool_free(cease_sqlite_pool *pool)
{
    if (!pool)
        return;
    ceasei_lock(&pool->lock);
    pool->closed = true;
    uint32_t count = pool->idle_count;
    pool->idle_count = 0;
    ceasei_unlock(&pool->lock);
    cease_chan_close(pool->writer);
    cease_chan_close(pool->permits);
    for (uint32_t i = 0; i < count; i++) /* nobody takes or puts any more */
        cease_sqlite_close(pool->idle[i]);
    cease_sqlite *writer = NULL;
    if (cease_chan_try_recv(pool->writer, &writer) == CEASE_OK)
        cease_sqlite_close(writer); /* the last one: it writes the log back */
    pool_unref(pool);
}
