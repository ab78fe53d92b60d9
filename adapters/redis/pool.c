/* SPDX-License-Identifier: MIT
 *
 * pool.c: connections for many.
 *
 * A permit is the right to have one connection. Permits are values in a channel, whose capacity is the
 * limit: who wants a connection receives one, and channels serve in the order of coming, under a context. With a permit in
 * hand one takes the idle connection that was given back last, or opens a new one; giving back puts the
 * connection on the list first and the permit into the channel second. An idle connection that the server has
 * closed needs no check here: connections are made anew by the next command anyway.
 *
 * Who guards what: `lock` guards the list; everything else is set at birth. The pool is counted: its maker has
 * one reference, each connection that is lent another.
 */
#include "base/atomic.h"
#include "base/lock.h"
#include "connection.h"

#include <cease/chan.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX_DEFAULT 8

struct cease_redis_pool {
    char *url;
    cease_redis_opts opts;
    cease_chan *permits;
    uint32_t references; /* atomic; the last one frees */

    struct ceasei_lock lock;
    cease_redis *idle; /* under lock: linked by `next`, the last given first */
    bool closed;       /* under lock */
};

static void pool_unref(cease_redis_pool *pool)
{
    if (ceasei_sub(&pool->references, 1, ACQ_REL) != 1)
        return;
    cease_chan_unref(pool->permits);
    cease_tls_config_unref(pool->opts.tls);
    free(pool->url);
    free(pool);
}

cease_redis_pool *cease_redis_pool_new(const char *url, const cease_redis_opts *opts,
                                       uint32_t connections_max)
{
    cease_redis_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    if (connections_max == 0)
        connections_max = CONNECTIONS_MAX_DEFAULT;
    pool->references = 1;
    if (opts)
        pool->opts = *opts;
    pool->opts.message = NULL;
    bool tls = ceasei_redis_wants_tls(url);
    pool->opts.tls =
        tls && !pool->opts.tls ? cease_tls_client_new(NULL) : cease_tls_config_ref(pool->opts.tls);
    pool->url = strdup(url);
    pool->permits = cease_chan_new(0, connections_max);
    if (!pool->url || !pool->permits || (tls && !pool->opts.tls)) {
        pool_unref(pool);
        return NULL;
    }
    for (uint32_t i = 0; i < connections_max; i++)
        cease_chan_try_send(pool->permits, NULL);
    return pool;
}

/* With a permit in hand. */
static cease_error find(cease_ctx *ctx, cease_redis_pool *pool, cease_redis **ret_db)
{
    ceasei_lock(&pool->lock);
    bool closed = pool->closed;
    cease_redis *db = pool->idle;
    if (db)
        pool->idle = db->next;
    ceasei_unlock(&pool->lock);
    if (closed) /* permits stay in a closed channel until they are taken */
        return CEASE_ECLOSED;
    if (!db)
        return cease_redis_open(ctx, pool->url, &pool->opts, ret_db);
    *ret_db = db;
    return CEASE_OK;
}

cease_error cease_redis_pool_take(cease_ctx *ctx, cease_redis_pool *pool, cease_redis **ret_db)
{
    if (!pool)
        return CEASE_ENOMEM;
    ceasei_add(&pool->references, 1, RELAXED); /* the pool is there, or the call would be a bug */
    cease_error e = cease_chan_recv(ctx, pool->permits, NULL);
    if (e == CEASE_OK) {
        e = find(ctx, pool, ret_db);
        if (e != CEASE_OK)
            cease_chan_try_send(pool->permits, NULL);
    }
    if (e != CEASE_OK)
        pool_unref(pool);
    return e;
}

void cease_redis_pool_give(cease_redis_pool *pool, cease_redis *take_db)
{
    if (!take_db)
        return;
    ceasei_redis_claim(take_db);
    if (take_db->pending > 0 || take_db->subscriber || take_db->tie != CEASEI_REDIS_FREE)
        ceasei_redis_drop(take_db);
    take_db->tie = CEASEI_REDIS_FREE;
    ceasei_redis_release(take_db);
    ceasei_lock(&pool->lock);
    bool closed = pool->closed;
    if (!closed) {
        take_db->next = pool->idle;
        pool->idle = take_db;
    }
    ceasei_unlock(&pool->lock);
    if (closed)
        cease_redis_close(take_db);
    cease_chan_try_send(pool->permits, NULL); /* there is room: this permit came out of it */
    pool_unref(pool);
}

void cease_redis_pool_free(cease_redis_pool *pool)
{
    if (!pool)
        return;
    ceasei_lock(&pool->lock);
    pool->closed = true;
    cease_redis *idle = pool->idle;
    pool->idle = NULL;
    ceasei_unlock(&pool->lock);
    cease_chan_close(pool->permits);
    while (idle) {
        cease_redis *next = idle->next;
        cease_redis_close(idle);
        idle = next;
    }
    pool_unref(pool);
}
