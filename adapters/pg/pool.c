/* SPDX-License-Identifier: MIT
 *
 * pool.c: connections for many.
 *
 * A permit is the right to have one connection. Permits are values in a channel, whose capacity is the
 * limit: who wants a connection receives one, and channels serve in the order of coming, under a
 * context. With a permit in hand one takes the idle connection that was given back last, or opens a new
 * one; giving back puts the connection on the list first and the permit into the channel second.
 * So the list never has more connections than there are permits inside, and nobody waits for a lock.
 *
 * Who guards what: `lock` guards the list and the counts; everything else is set at birth. The pool is
 * counted: its maker has one reference, each connection that is lent another.
 */
#include "base/atomic.h"
#include "base/lock.h"
#include "base/panic.h"
#include "connection.h"

#include <cease/chan.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX_DEFAULT 8
#define IDLE_MAX_DEFAULT        cease_min(5)
#define CHECK_AFTER_DEFAULT     cease_sec(10)

struct cease_pg_pool {
    char *conninfo;
    cease_pg_pool_opts opts;
    cease_pg_opts open_opts;
    cease_chan *permits;
    uint32_t references; /* atomic; the last one frees */

    struct ceasei_lock lock;
    cease_pg *idle;                     /* under lock: linked by `next`, the last given first */
    bool closed;                        /* under lock */
    struct cease_pg_pool_counts counts; /* under lock */
};

static void pool_unref(cease_pg_pool *pool)
{
    if (ceasei_sub(&pool->references, 1, ACQ_REL) != 1)
        return;
    cease_chan_unref(pool->permits);
    free(pool->conninfo);
    free(pool);
}

cease_pg_pool *cease_pg_pool_new(const char *conninfo, const cease_pg_pool_opts *opts)
{
    cease_pg_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->references = 1;
    if (opts)
        pool->opts = *opts;
    if (pool->opts.open)
        pool->open_opts = *pool->opts.open;
    pool->open_opts.message = NULL;
    if (pool->opts.connections_max == 0)
        pool->opts.connections_max = CONNECTIONS_MAX_DEFAULT;
    if (pool->opts.idle_max.ns <= 0)
        pool->opts.idle_max = IDLE_MAX_DEFAULT;
    if (pool->opts.check_after.ns <= 0)
        pool->opts.check_after = CHECK_AFTER_DEFAULT;
    pool->conninfo = strdup(conninfo);
    pool->permits = cease_chan_new(0, pool->opts.connections_max);
    if (!pool->conninfo || !pool->permits) {
        pool_unref(pool);
        return NULL;
    }
    for (uint32_t i = 0; i < pool->opts.connections_max; i++)
        cease_chan_try_send(pool->permits, NULL);
    return pool;
}

/* ---- the list ---- */

static cease_pg *pop_idle(cease_pg_pool *pool)
{
    ceasei_lock(&pool->lock);
    cease_pg *db = pool->idle;
    if (db) {
        pool->idle = db->next;
        pool->counts.idle--;
    }
    ceasei_unlock(&pool->lock);
    return db;
}

/* False: the pool has been closed. */
static bool push_idle(cease_pg_pool *pool, cease_pg *db)
{
    db->idle_since = cease_now();
    ceasei_lock(&pool->lock);
    bool open = !pool->closed;
    if (open) {
        db->next = pool->idle;
        pool->idle = db;
        pool->counts.idle++;
    }
    ceasei_unlock(&pool->lock);
    return open;
}

static void drop(cease_pg_pool *pool, cease_pg *db, bool broken)
{
    ceasei_lock(&pool->lock);
    pool->counts.open--;
    pool->counts.dropped += broken;
    ceasei_unlock(&pool->lock);
    cease_pg_close(db);
}

/* Takes those off that have been idle for too long: they are the last of the list. */
static cease_pg *cut_old(cease_pg_pool *pool)
{
    cease_time now = cease_now();
    ceasei_lock(&pool->lock);
    cease_pg **link = &pool->idle;
    while (*link && cease_time_sub(now, (*link)->idle_since).ns < pool->opts.idle_max.ns)
        link = &(*link)->next;
    cease_pg *old = *link;
    *link = NULL;
    for (cease_pg *db = old; db; db = db->next)
        pool->counts.idle--;
    ceasei_unlock(&pool->lock);
    return old;
}

static void drop_list(cease_pg_pool *pool, cease_pg *list)
{
    while (list) {
        cease_pg *next = list->next;
        drop(pool, list, false);
        list = next;
    }
}

/* ---- take ---- */

/* Whether the server still holds the other end. What it sent meanwhile (a notification, a farewell)
 * is read. */
static bool is_alive(cease_ctx *ctx, cease_pg_pool *pool, cease_pg *db)
{
    struct pollfd now = {.fd = PQsocket(db->conn), .events = POLLIN | POLLRDHUP};
    if (poll(&now, 1, 0) > 0) {
        if (now.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL) || !PQconsumeInput(db->conn))
            return false;
    }
    if (cease_time_sub(cease_now(), db->idle_since).ns < pool->opts.check_after.ns)
        return true;
    return cease_pg_exec(ctx, db, "") == CEASE_OK;
}

static cease_error open_new(cease_ctx *ctx, cease_pg_pool *pool, cease_pg **ret_db)
{
    cease_pg *db;
    cease_error e = cease_pg_open(ctx, pool->conninfo, &pool->open_opts, &db);
    if (e != CEASE_OK)
        return e;
    if (pool->opts.setup && (e = pool->opts.setup(ctx, db, pool->opts.setup_arg)) != CEASE_OK) {
        cease_pg_close(db);
        return e;
    }
    ceasei_lock(&pool->lock);
    pool->counts.open++;
    pool->counts.opened++;
    ceasei_unlock(&pool->lock);
    *ret_db = db;
    return CEASE_OK;
}

/* With a permit in hand. */
static cease_error find(cease_ctx *ctx, cease_pg_pool *pool, cease_pg **ret_db)
{
    cease_pg *db;
    while ((db = pop_idle(pool))) {
        if (is_alive(ctx, pool, db)) {
            *ret_db = db;
            return CEASE_OK;
        }
        if (cease_done(ctx) && db->conn && PQstatus(db->conn) == CONNECTION_OK) {
            if (!push_idle(pool, db))
                drop(pool, db, false);
            return cease_err(ctx);
        }
        drop(pool, db, true);
    }
    return open_new(ctx, pool, ret_db);
}

/* Permits stay in a closed channel until they are taken, so a take can get here after the end. */
static bool is_closed(cease_pg_pool *pool)
{
    ceasei_lock(&pool->lock);
    bool closed = pool->closed;
    ceasei_unlock(&pool->lock);
    return closed;
}

cease_error cease_pg_pool_take(cease_ctx *ctx, cease_pg_pool *pool, cease_pg **ret_db)
{
    if (!pool)
        return CEASE_ENOMEM;
    ceasei_add(&pool->references, 1, RELAXED); /* the pool is there, or the call would be a bug */
    cease_error e = cease_chan_recv(ctx, pool->permits, NULL);
    if (e == CEASE_OK) {
        e = is_closed(pool) ? CEASE_ECLOSED : find(ctx, pool, ret_db);
        if (e != CEASE_OK)
            cease_chan_try_send(pool->permits, NULL);
    }
    if (e != CEASE_OK)
        pool_unref(pool);
    return e;
}

/* ---- give ---- */

void cease_pg_pool_give(cease_pg_pool *pool, cease_pg *take_db)
{
    if (!take_db)
        return;
    cease_pg_rollback(cease_background(), take_db);
    if (!take_db->conn)
        drop(pool, take_db, true);
    else if (!push_idle(pool, take_db))
        drop(pool, take_db, false);
    drop_list(pool, cut_old(pool));
    cease_chan_try_send(pool->permits, NULL); /* there is room: this permit came out of it */
    pool_unref(pool);
}

void cease_pg_pool_free(cease_pg_pool *pool)
{
    if (!pool)
        return;
    ceasei_lock(&pool->lock);
    pool->closed = true;
    cease_pg *idle = pool->idle;
    pool->idle = NULL;
    pool->counts.idle = 0;
    ceasei_unlock(&pool->lock);
    cease_chan_close(pool->permits);
    drop_list(pool, idle);
    pool_unref(pool);
}

void cease_pg_pool_count(cease_pg_pool *pool, struct cease_pg_pool_counts *ret_counts)
{
    ceasei_lock(&pool->lock);
    *ret_counts = pool->counts;
    ceasei_unlock(&pool->lock);
}
