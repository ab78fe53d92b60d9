/* SPDX-License-Identifier: MIT
 *
 * pending.c: the memory of tasks that have not begun. It comes in slabs, which stay until the runtime is
 * stopped; free ones are in the caches of workers, and in one list for everybody, under a lock.
 */
#include "runtime/pending.h"

#include "base/lock.h"

#include <stdlib.h>

#ifdef CEASE_INTERLEAVE /* so that use after free is seen */

struct ceasei_pending *ceasei_pending_new_slow(struct ceasei_pending_cache *cache)
{
    (void)cache;
    return calloc(1, sizeof(struct ceasei_pending));
}

void ceasei_pending_free(struct ceasei_pending_cache *cache, struct ceasei_pending *p)
{
    (void)cache;
    free(p);
}

void ceasei_pending_spill(struct ceasei_pending_cache *cache, uint32_t keep)
{
    (void)cache;
    (void)keep;
}

#else

enum { SLAB_COUNT = 64, REFILL = 32 };

struct ceasei_pending_slab {
    struct ceasei_pending_slab *next; /* set at birth */
    struct ceasei_pending pending[SLAB_COUNT];
};

static struct {
    struct ceasei_lock lock;
    struct ceasei_pending *free;       /* under lock */
    struct ceasei_pending_slab *slabs; /* under lock for writing, atomic: the newest first */
} pool;

/* Under the lock: up to `count` from the list for everybody. */
static struct ceasei_pending *shared_pop(uint32_t count, uint32_t *ret_count)
{
    struct ceasei_pending *first = pool.free, **end = &pool.free;
    uint32_t n = 0;
    while (n < count && *end) {
        end = &(*end)->next;
        n++;
    }
    struct ceasei_pending *rest = *end;
    *end = NULL;
    pool.free = rest;
    *ret_count = n;
    return n > 0 ? first : NULL;
}

static struct ceasei_pending *slab_new(void)
{
    struct ceasei_pending_slab *slab = calloc(1, sizeof *slab);
    if (!slab) {
        return NULL;
    }
    for (uint32_t i = 0; i + 1 < SLAB_COUNT; i++) {
        slab->pending[i].next = &slab->pending[i + 1];
    }
    ceasei_lock(&pool.lock);
    slab->next = pool.slabs;
    ceasei_store(&pool.slabs, slab, RELEASE); /* a walk looks at it from now on */
    ceasei_unlock(&pool.lock);
    return slab->pending;
}

struct ceasei_pending *ceasei_pending_new_slow(struct ceasei_pending_cache *cache)
{
    uint32_t n;
    ceasei_lock(&pool.lock);
    struct ceasei_pending *p = shared_pop(cache ? REFILL : 1, &n);
    ceasei_unlock(&pool.lock);
    if (!p) {
        p = slab_new();
        n = SLAB_COUNT;
    }
    if (!p) {
        return NULL;
    }
    struct ceasei_pending_cache rest = {p->next, n - 1};
    if (cache) {
        *cache = rest;
    } else {
        ceasei_pending_spill(&rest, 0);
    }
    return p;
}

void ceasei_pending_spill(struct ceasei_pending_cache *cache, uint32_t keep)
{
    if (cache->count <= keep) {
        return;
    }
    struct ceasei_pending **at = &cache->free;
    for (uint32_t i = 0; i < keep; i++) {
        at = &(*at)->next;
    }
    struct ceasei_pending *first = *at, *last = first;
    *at = NULL;
    cache->count = keep;
    while (last->next) {
        last = last->next;
    }
    ceasei_lock(&pool.lock);
    last->next = pool.free;
    pool.free = first;
    ceasei_unlock(&pool.lock);
}

size_t ceasei_pending_walk(struct ceasei_pending_walk *walk, struct ceasei_pending **ret_pending,
                           size_t max)
{
    size_t count = 0;
    if (!walk->begun) {
        *walk = (struct ceasei_pending_walk){ceasei_load(&pool.slabs, ACQUIRE), 0, true};
    }
    for (; walk->slab && count < max; walk->number++) {
        if (walk->number == SLAB_COUNT) {
            *walk = (struct ceasei_pending_walk){walk->slab->next, UINT32_MAX, true};
            continue;
        }
        struct ceasei_pending *p = &walk->slab->pending[walk->number];
        if (ceasei_load(&p->state, ACQUIRE) == CEASEI_TASK_NEW) {
            ret_pending[count++] = p;
        }
    }
    return count;
}

void ceasei_pending_unmap(void)
{
    while (pool.slabs) {
        struct ceasei_pending_slab *slab = pool.slabs;
        pool.slabs = slab->next;
        free(slab);
    }
    pool.free = NULL;
}

#endif
