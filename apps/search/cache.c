/* SPDX-License-Identifier: MIT
 *
 * cache.c: see cache.h.
 *
 * An entry is a JSON array of hits under "cease-search:1:BACKEND:QUERY". Nothing found is not kept: while the index
 * fills that would be wrong soon. What is in Redis may be anybody's, so it is read as strictly as an answer over HTTP.
 */
#include "cache.h"

#include <cease/flight.h>
#include <cease/redis.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 16, PATIENCE_MS = 100 };

struct cache {
    cease_redis_pool *pool;
    cease_dur ttl;
    uint32_t away; /* atomic: 1 since it was said that Redis does not answer */
};

struct cached {
    struct backend inner;
    struct cache *cache;
    cease_flights *flights; /* by query; of struct outcome */
};

/* What a flight brings, errors of the backend included. */
struct outcome {
    struct hits hits;
    cease_error error;
    struct trouble trouble;
};

bool cache_is_there(void)
{
    return true;
}

/* ---- Redis ---- */

/* Says once that it is away, and once that it is back. */
static void note(struct cache *c, cease_error e, const char *words)
{
    uint32_t away = e != CEASE_OK;
    if (__atomic_exchange_n(&c->away, away, __ATOMIC_RELAXED) == away)
        return;
    if (away)
        fprintf(stderr, "cease-search: Redis: %s; going on without it\n", words);
    else
        fputs("cease-search: Redis is back\n", stderr);
}

/* Runs one command, for which Redis has a short time. */
static cease_error command(cease_ctx *ctx, struct cache *c, const char *const *words, int count,
                           cease_redis_reply **ret_reply)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *soon = cease_with_timeout(ctx, cease_ms(PATIENCE_MS), &stop);
    cease_redis *db;
    cease_error e = cease_redis_pool_take(soon, c->pool, &db);
    if (e == CEASE_OK) {
        e = cease_redis_command_words(soon, db, ret_reply, words, NULL, count);
        if (!cease_done(ctx))
            note(c, e, e == CEASE_OK ? "" : cease_redis_message(db));
        cease_redis_pool_give(c->pool, db);
    } else if (!cease_done(ctx)) {
        note(c, e, cease_strerror(e));
    }
    return e;
}

static void put_key(struct text *t, const struct backend *backend, const char *query)
{
    text_printf(t, "cease-search:1:%s:", backend->name);
    text_puts(t, query);
}

/* ---- entries ---- */

static cease_error read_hit(const json_t *item, struct hits *ret_hits)
{
    const char *key, *title, *summary, *snippet;
    int exact;
    if (json_unpack((json_t *)(uintptr_t)item, "[ssssb]", &key, &title, &summary, &snippet,
                    &exact) != 0)
        return CEASE_EPARSE;
    return hits_add(ret_hits, key, title, summary, snippet, exact != 0);
}

/* False: there is no such entry, or it is none of ours. */
static bool lookup(cease_ctx *ctx, struct cached *b, const char *query, struct hits *ret_hits)
{
    TEXT_AUTO key = {0};
    cease_redis_reply *reply = NULL;
    put_key(&key, &b->inner, query);
    const char *const words[] = {"GET", text_str(&key)};
    if (key.failed || command(ctx, b->cache, words, 2, &reply) != CEASE_OK)
        return false;
    size_t size;
    const char *data = cease_redis_reply_text(reply, &size);
    json_t *root = cease_redis_reply_null(reply) ? NULL : json_loadb(data, size, 0, NULL);
    cease_error e = json_is_array(root) ? CEASE_OK : CEASE_EPARSE;
    for (size_t i = 0; e == CEASE_OK && i < json_array_size(root); i++)
        e = read_hit(json_array_get(root, i), ret_hits);
    json_decref(root);
    cease_redis_reply_free(reply);
    if (e != CEASE_OK)
        hits_deinit(ret_hits);
    ret_hits->cached = e == CEASE_OK;
    return e == CEASE_OK;
}

static void keep(cease_ctx *ctx, struct cached *b, const char *query, const struct hits *hits)
{
    TEXT_AUTO key = {0};
    char ttl[24];
    json_t *root = json_array();
    for (size_t i = 0; i < hits->count; i++) {
        const struct hit *hit = &hits->data[i];
        json_array_append_new(root, json_pack("[ssssb]", hit->key, hit->title, hit->summary,
                                              hit->snippet, (int)hit->exact));
    }
    char *data = json_dumps(root, JSON_COMPACT);
    put_key(&key, &b->inner, query);
    snprintf(ttl, sizeof ttl, "%lld", (long long)(b->cache->ttl.ns / 1000000));
    /* A text that is no UTF-8 has no JSON: then it is not kept. */
    if (data && !key.failed && json_array_size(root) == hits->count) {
        const char *const words[] = {"SET", text_str(&key), data, "PX", ttl};
        cease_redis_reply *reply = NULL;
        if (command(ctx, b->cache, words, 5, &reply) == CEASE_OK)
            cease_redis_reply_free(reply);
    }
    free(data);
    json_decref(root);
}

/* ---- searching ---- */

static void outcome_free(void *value)
{
    struct outcome *f = value;
    hits_deinit(&f->hits);
    free(f);
}

static cease_error fetch(cease_ctx *ctx, const char *query, void *self, void **ret_value)
{
    struct cached *b = self;
    struct outcome *f = calloc(1, sizeof *f);
    if (!f)
        return CEASE_ENOMEM;
    if (!lookup(ctx, b, query, &f->hits)) {
        f->error = b->inner.search(ctx, b->inner.self, query, &f->hits, &f->trouble);
        if (f->error == CEASE_OK && f->hits.count > 0)
            keep(ctx, b, query, &f->hits);
    }
    *ret_value = f;
    return CEASE_OK;
}

static cease_error cached_search(cease_ctx *ctx, void *self, const char *query,
                                 struct hits *ret_hits, struct trouble *ret_trouble)
{
    struct cached *b = self;
    cease_flight *flight;
    cease_error e = cease_flight_do(ctx, b->flights, query, &flight);
    if (e != CEASE_OK)
        return e;
    const struct outcome *f = cease_flight_value(flight);
    e = f->error;
    *ret_trouble = f->trouble;
    ret_hits->cached = f->hits.cached;
    for (size_t i = 0; e == CEASE_OK && i < f->hits.count; i++) {
        const struct hit *hit = &f->hits.data[i];
        e = hits_add(ret_hits, hit->key, hit->title, hit->summary, hit->snippet, hit->exact);
    }
    cease_flight_unref(flight);
    return e;
}

static cease_error cached_read(cease_ctx *ctx, void *self, const char *key, struct page *ret_page,
                               struct trouble *ret_trouble)
{
    struct cached *b = self;
    return b->inner.read(ctx, b->inner.self, key, ret_page, ret_trouble);
}

/* ---- life ---- */

bool cache_url_is_good(const char *url)
{
    cease_canceler *stop;
    cease_redis *none;
    cease_ctx *ended = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    cease_error e = cease_redis_open(ended, url, NULL, &none); /* looks at the URL first */
    cease_end(stop);
    return e != CEASE_EINVAL;
}

struct cache *cache_new(const char *url, cease_dur ttl)
{
    struct cache *c = calloc(1, sizeof *c);
    if (c)
        *c = (struct cache){.pool = cease_redis_pool_new(url, NULL, CONNECTIONS), .ttl = ttl};
    if (c && !c->pool) {
        free(c);
        c = NULL;
    }
    return c;
}

void cache_free(struct cache *c)
{
    if (c)
        cease_redis_pool_free(c->pool);
    free(c);
}

static void cached_free(void *self)
{
    struct cached *b = self;
    if (!b)
        return;
    cease_flights_free(b->flights);
    b->inner.free(b->inner.self);
    free(b);
}

struct backend cache_wrap(struct cache *c, struct backend take_inner)
{
    struct cached *b = take_inner.self ? calloc(1, sizeof *b) : NULL;
    struct backend outer = take_inner;
    outer.self = b;
    outer.search = cached_search;
    outer.read = cached_read;
    outer.free = cached_free;
    if (b)
        *b = (struct cached){
            .inner = take_inner, .cache = c, .flights = cease_flights_new(fetch, outcome_free, b)};
    if (!b || !b->flights) {
        free(b);
        take_inner.free(take_inner.self);
        outer.self = NULL;
    }
    return outer;
}
