/* SPDX-License-Identifier: MIT
 *
 * pending.c: the memory of tasks that have not begun. It comes in slabs, each with a list of its free ones, under
 * one lock; workers have caches. A slab of which none is used goes, but for SPARES_MAX, and while somebody walks.
 */
#include "runtime/pending.h"

#include "base/lock.h"

#include <stddef.h>
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

enum { SLAB_COUNT = 64, REFILL = 32, SPARES_MAX = 16 };

struct ceasei_pending_slab {
    struct ceasei_pending_slab *next, **pprev; /* under lock: all; next: a walk's, too       */
    struct ceasei_pending_slab *next_some,
        **pprev_some;            /* under lock: those with free ones         */
    struct ceasei_pending *free; /* under lock */
    uint32_t used;               /* under lock: those that are in use or in a worker's cache */
    struct ceasei_pending pending[SLAB_COUNT];
};

static struct {
    struct ceasei_lock lock;
    struct ceasei_pending_slab *slabs; /* under lock: the newest first */
    struct ceasei_pending_slab *some;  /* under lock: those with free ones */
    uint32_t spares;                   /* under lock: slabs of which none is used */
    uint32_t walks;                    /* under lock: while there are any no slab goes */
} pool;

/* ---- slabs: under the lock ----------------------------------------------------------------------- */

static void some_link(struct ceasei_pending_slab *slab)
{
    slab->next_some = pool.some;
    slab->pprev_some = &pool.some;
    if (slab->next_some) {
        slab->next_some->pprev_some = &slab->next_some;
    }
    pool.some = slab;
}

static void some_unlink(struct ceasei_pending_slab *slab)
{
    *slab->pprev_some = slab->next_some;
    if (slab->next_some) {
        slab->next_some->pprev_some = slab->pprev_some;
    }
}

static void slab_link(struct ceasei_pending_slab *slab)
{
    slab->next = pool.slabs;
    slab->pprev = &pool.slabs;
    if (slab->next) {
        slab->next->pprev = &slab->next;
    }
    pool.slabs = slab;
    some_link(slab);
    pool.spares++;
}

/* Out of both lists; NULL: it stays. */
static struct ceasei_pending_slab *slab_unlink(struct ceasei_pending_slab *slab)
{
    if (pool.spares <= SPARES_MAX || pool.walks > 0) {
        return NULL;
    }
    pool.spares--;
    some_unlink(slab);
    *slab->pprev = slab->next;
    if (slab->next) {
        slab->next->pprev = slab->pprev;
    }
    return slab;
}

static struct ceasei_pending *cut(void)
{
    struct ceasei_pending_slab *slab = pool.some;
    if (!slab) {
        return NULL;
    }
    struct ceasei_pending *p = slab->free;
    slab->free = p->next;
    pool.spares -= slab->used == 0;
    if (++slab->used == SLAB_COUNT) {
        some_unlink(slab);
    }
    return p;
}

/* The result is to be freed, without the lock; mostly NULL. */
static struct ceasei_pending_slab *give(struct ceasei_pending *p)
{
    struct ceasei_pending *first = p - p->number;
    struct ceasei_pending_slab *slab =
        (struct ceasei_pending_slab *)(void *)((char *)first -
                                               offsetof(struct ceasei_pending_slab, pending));
    p->next = slab->free;
    slab->free = p;
    if (slab->used == SLAB_COUNT) {
        some_link(slab);
    }
    if (--slab->used > 0) {
        return NULL;
    }
    pool.spares++;
    return slab_unlink(slab);
}

/* ---- for everybody ------------------------------------------------------------------------------- */

static bool slab_add(void)
{
    struct ceasei_pending_slab *slab = calloc(1, sizeof *slab);
    if (!slab) {
        return false;
    }
    for (uint8_t i = SLAB_COUNT; i-- > 0;) { /* in ascending order */
        slab->pending[i].number = i;
        slab->pending[i].next = slab->free;
        slab->free = &slab->pending[i];
    }
    ceasei_lock(&pool.lock);
    slab_link(slab);
    ceasei_unlock(&pool.lock);
    return true;
}

struct ceasei_pending *ceasei_pending_new_slow(struct ceasei_pending_cache *cache)
{
    struct ceasei_pending *first = NULL, **last = &first, *p;
    uint32_t wanted = cache ? REFILL : 1, count = 0;
    do {
        ceasei_lock(&pool.lock);
        while (count < wanted && (p = cut())) {
            *last = p;
            last = &p->next;
            count++;
        }
        ceasei_unlock(&pool.lock);
    } while (count == 0 && slab_add());
    *last = NULL;
    if (first && cache) {
        *cache = (struct ceasei_pending_cache){first->next, count - 1};
    }
    return first;
}

void ceasei_pending_spill(struct ceasei_pending_cache *cache, uint32_t keep)
{
    struct ceasei_pending_slab *slab;
    while (cache->count > keep) {
        ceasei_lock(&pool.lock);
        do {
            struct ceasei_pending *p = cache->free;
            cache->free = p->next;
            cache->count--;
            slab = give(p);
        } while (!slab && cache->count > keep && cache->count % REFILL != 0);
        ceasei_unlock(&pool.lock);
        free(slab);
    }
}

size_t ceasei_pending_walk(struct ceasei_pending_walk *walk, struct ceasei_pending **ret_pending,
                           size_t max)
{
    size_t count = 0;
    if (!walk->begun) {
        ceasei_lock(&pool.lock);
        pool.walks++;
        *walk = (struct ceasei_pending_walk){pool.slabs, 0, true};
        ceasei_unlock(&pool.lock);
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

void ceasei_pending_walk_stop(void)
{
    ceasei_lock(&pool.lock);
    pool.walks--;
    ceasei_unlock(&pool.lock);
}

void ceasei_pending_unmap(void)
{
    while (pool.slabs) {
        struct ceasei_pending_slab *slab = pool.slabs;
        pool.slabs = slab->next;
        free(slab);
    }
    pool.some = NULL;
    pool.spares = 0;
}

#endif
