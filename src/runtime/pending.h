/* SPDX-License-Identifier: MIT
 *
 * pending.h: tasks that have been started and have not begun.
 *
 * Most tasks do not begin before who starts them parks, and many end without ever having parked. So what
 * waits is not a stack but what a start has said, a line and a half of memory, and a stack is given to a task
 * when it begins: the one that was used last, which is in the cache; a batch of short tasks has one for all.
 *
 * That there will be a stack is certain when a task is started. A worker has as many in its own cache as
 * there are tasks without one in its ring and overflow; for one more than that a stack is taken at once,
 * and waits with the task. A thief looks for stacks first.
 *
 *     FREE --start--> NEW --it begins, on a worker--> FREE
 *
 * While somebody walks over them from outside no memory of theirs goes.
 */
#ifndef CEASE_RUNTIME_PENDING_H
#define CEASE_RUNTIME_PENDING_H

#include "base/atomic.h"
#include "runtime/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ceasei_worker;

struct ceasei_pending {
    struct ceasei_pending *next; /* in the one queue or list that it is in                     */
    uint64_t order;              /* when it was queued, counted by the worker whose queue it is */
    cease_ctx *ctx;
    cease_task_fn *fn; /* atomic, as place and state: looked at from outside, by see.c */
    void *arg;
    ceasei_task_done *done;
    void *owner;
    const cease_place *place;
    struct ceasei_task *task;   /* its stack; NULL: it gets one when it begins               */
    struct ceasei_arena *arena; /* of that stack, whose memory nobody has touched yet        */
    uint8_t state;              /* atomic: CEASEI_TASK_FREE or CEASEI_TASK_NEW                 */
    bool borrows_ctx;
    uint8_t number; /* pending.c: set at birth, in its slab */
};

/* With what has been said at the start. `task` may be NULL. */
static inline void ceasei_pending_fill(struct ceasei_pending *p,
                                       const struct ceasei_task_start *start,
                                       struct ceasei_task *task, struct ceasei_arena *arena)
{
    p->ctx = start->borrows_ctx ? start->ctx : cease_ref(start->ctx);
    ceasei_store(&p->fn, start->fn, RELAXED); /* these: see.c looks from outside */
    ceasei_store(&p->place, start->place, RELAXED);
    p->arg = start->arg;
    p->done = start->done;
    p->owner = start->owner;
    p->task = task;
    p->arena = arena;
    p->borrows_ctx = start->borrows_ctx;
    ceasei_store(&p->state, CEASEI_TASK_NEW, RELEASE);
}

/* First in, first out; by next. Zero-initialised is empty. */
struct ceasei_pending_queue {
    struct ceasei_pending *first, *last;
    uint32_t count;
};

static inline void ceasei_pending_push(struct ceasei_pending_queue *q, struct ceasei_pending *p)
{
    p->next = NULL;
    if (q->first) {
        q->last->next = p;
    } else {
        q->first = p;
    }
    q->last = p;
    q->count++;
}

static inline struct ceasei_pending *ceasei_pending_pop(struct ceasei_pending_queue *q)
{
    struct ceasei_pending *p = q->first;
    if (p) {
        q->first = p->next;
        q->count--;
    }
    return p;
}

/* A worker's own free ones; zero-initialised is empty. */
struct ceasei_pending_cache {
    struct ceasei_pending *free;
    uint32_t count;
};

/* One with nothing in it, FREE; NULL without memory. `cache` may be NULL. */
struct ceasei_pending *ceasei_pending_new_slow(struct ceasei_pending_cache *cache);

static inline struct ceasei_pending *ceasei_pending_new(struct ceasei_pending_cache *cache)
{
    struct ceasei_pending *p = cache ? cache->free : NULL;
    if (CEASE_UNLIKELY(!p)) {
        return ceasei_pending_new_slow(cache);
    }
    cache->free = p->next;
    cache->count--;
    return p;
}

#ifdef CEASE_INTERLEAVE
void ceasei_pending_free(struct ceasei_pending_cache *cache, struct ceasei_pending *p);
#else
/* Back into the worker's own cache. */
static inline void ceasei_pending_free(struct ceasei_pending_cache *cache, struct ceasei_pending *p)
{
    ceasei_store(&p->state, CEASEI_TASK_FREE, RELAXED);
    p->next = cache->free;
    cache->free = p;
    cache->count++;
}
#endif

/* Moves what a cache has beyond `keep` to where every thread looks. */
void ceasei_pending_spill(struct ceasei_pending_cache *cache, uint32_t keep);

/* A walk over all that are NEW. It sees every one that is so all the while, and may see one that comes or goes. Begins
 * as zero. The runtime is kept from being stopped. */
struct ceasei_pending_walk {
    struct ceasei_pending_slab *slab;
    uint32_t number;
    bool begun;
};
/* The next ones; 0: that was all. Not after ceasei_pending_walk_stop(), which must follow. */
size_t ceasei_pending_walk(struct ceasei_pending_walk *walk, struct ceasei_pending **ret_pending,
                           size_t max);

void ceasei_pending_walk_stop(void);

/* Frees the memory of all. None is in use, no cache is used any more. */
void ceasei_pending_unmap(void);

#endif
