/* SPDX-License-Identifier: MIT
 *
 * stack.h: where stacks come from. See stack.c for how they are kept.
 *
 * A stack is named by its task, which lies at its top.
 */
#ifndef CEASE_RUNTIME_STACK_H
#define CEASE_RUNTIME_STACK_H

#include "base/atomic.h"
#include "runtime/task.h"

#include <cease/error.h>
#include <stdbool.h>
#include <stddef.h>

/* A worker's own warm stacks; zero-initialised is empty. */
struct ceasei_stack_cache {
    struct ceasei_task *free; /* linked by next, the one that was used last first */
    unsigned count;
};

struct ceasei_stack_bounds {
    char *guard;  /* the lowest address of the slot: the guard begins     */
    char *bottom; /* the guard ends, the usable part begins               */
    char *top;    /* the first frame is below                             */
};

/* Sets the size of every stack from the next one on. Only while none exists. */
void ceasei_stack_configure(size_t size);

/* A stack with its task, and what is to be its `arena`. Nothing has been written there: who first does so, and only
 * who needs it, waits for the system to find a page. */
cease_error ceasei_stack_take(struct ceasei_task **ret_task, struct ceasei_arena **ret_arena);

/* Some warm ones from all workers into a cache; false: there are none. */
bool ceasei_stack_refill(struct ceasei_stack_cache *cache);

/* One from the worker's own cache; false: it is empty. */
static inline bool ceasei_stack_take_own(struct ceasei_stack_cache *cache,
                                         struct ceasei_task **ret_task)
{
    struct ceasei_task *task = cache->free;
    if (CEASE_UNLIKELY(!task)) {
        return false;
    }
    cache->free = task->next;
    cache->count--;
    *ret_task = task;
    return true;
}

/* Into the worker's own cache, whose worker may stand on that very stack until it switches away, or goes on there as
 * the next task. */
static inline void ceasei_stack_give(struct ceasei_stack_cache *cache, struct ceasei_task *task)
{
    ceasei_store(&task->state, CEASEI_TASK_FREE, RELAXED);
    task->next = cache->free;
    cache->free = task;
    cache->count++;
}

/* Gives a stack that nobody stands on to all workers. */
void ceasei_stack_give_all(struct ceasei_task *task);

/* Moves what a cache has beyond `keep` to all workers. Not while standing on one of them. */
void ceasei_stack_spill(struct ceasei_stack_cache *cache, unsigned keep);

/* Whether more warm stacks are kept than is sensible. */
bool ceasei_stack_is_surplus(void);
/* Gives the memory of some of the surplus back to the system. Takes a fraction of a millisecond: for
 * a worker with nothing to do. */
void ceasei_stack_trim(void);

__attribute__((pure)) struct ceasei_stack_bounds ceasei_stack_bounds(
    const struct ceasei_task *task);

/* The bytes of a stack and its task, from the stack's bottom on. */
static inline size_t ceasei_stack_whole(const struct ceasei_task *task)
{
    return (size_t)((const char *)(task + 1) - ceasei_stack_bounds(task).bottom);
}

/* Stacks that are in use or warm. */
size_t ceasei_stack_count(void);

/* A walk over all tasks. It sees every one that lives all the while, and may see one that comes or goes.
 * Begins as zero; must be walked to its end, or stopped. The runtime is kept from being stopped. */
struct ceasei_stack_walk {
    struct ceasei_arena *arena; /* kept from being unmapped */
    uint32_t slot;
    bool begun;
};
/* The next tasks that are not FREE at the moment of the look; 0: that was all. What they are now is for
 * the caller to ask: their memory stays until the next call. Takes no lock for longer than one step. */
size_t ceasei_stack_walk(struct ceasei_stack_walk *walk, struct ceasei_task **ret_tasks,
                         size_t max);
void ceasei_stack_walk_stop(struct ceasei_stack_walk *walk);

/* Keeps the memory of a task that may have ended, until ceasei_stack_walk_stop(). *walk is zero. False: it is gone. What is
 * in there may be anything that a task can be, or zeroes. */
bool ceasei_stack_pin(struct ceasei_stack_walk *walk, const struct ceasei_task *task);

/* Unmaps everything. No stack is in use, no cache holds any. */
void ceasei_stack_unmap(void);

#endif
