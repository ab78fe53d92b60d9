/* SPDX-License-Identifier: MIT
 *
 * pool.c: the memory of contexts, once there are many.
 *
 * Few contexts are blocks of malloc(), as anybody would expect who looks for leaks with other tools.
 * From MALLOCED_MAX on, blocks of a node's size are cut from slabs: without malloc's eight bytes a
 * block, and 32 at a time for the cache of a thread (thread.c), so that a burst of a thousand contexts
 * costs no thousand calls.
 *
 * Slabs lie one behind the other in a range of addresses that is reserved once. So an address says
 * whether it is a block of a slab, and of which. A slab without blocks in use gives its pages back,
 * but for the first, which links it to others of its kind; SPARES_MAX are kept as they are. When the range is
 * full, or could not be had, blocks are malloc's again.
 *
 * The mutex guards all of it but the two counts that are looked at without. It is taken under no other
 * lock.
 */
#include "context/ctx.h"

#if CEASEI_CACHES
#include <sys/mman.h>

enum { MALLOCED_MAX = 512, SPARES_MAX = 16, SLAB_SIZE = 64 * 1024, FIRST_PAGE = 4096 };
enum { STEP = 16 * SLAB_SIZE };
#define RANGE_SIZE ((size_t)SLAB_SIZE << (sizeof(void *) == 8 ? 18 : 12)) /* 16 GiB */

struct block {
    struct block *next;
};

struct slab {
    struct slab *next, **pprev; /* among those with free blocks; empty ones: next alone */
    struct block *free;         /* given back                                         */
    uint32_t used;
    uint32_t cut; /* so many blocks have been cut from it; the rest is as the system gave it */
    char blocks[] __attribute__((aligned(16)));
};

enum { SLAB_BLOCKS = (SLAB_SIZE - sizeof(struct slab)) / sizeof(struct ceasei_node) };

static struct {
    pthread_mutex_t mutex;
    uint32_t malloced;  /* atomic: blocks that are malloc's                              */
    uint32_t active;    /* atomic: released by who made the range, and stays             */
    char *base;         /* set before active: the range                                  */
    size_t usable;      /* of the range: bytes that may be written                       */
    size_t begun;       /* of these: bytes in slabs that have been begun                 */
    struct slab *some;  /* slabs with free blocks                                        */
    struct slab *empty; /* slabs without pages                                           */
    uint32_t spares;    /* slabs among `some` of which no block is used                  */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ----- slabs: under the mutex ----- */

static void link_slab(struct slab *slab)
{
    slab->next = pool.some;
    slab->pprev = &pool.some;
    if (slab->next != NULL)
        slab->next->pprev = &slab->next;
    pool.some = slab;
}

static void unlink_slab(struct slab *slab)
{
    *slab->pprev = slab->next;
    if (slab->next != NULL)
        slab->next->pprev = slab->pprev;
}

/* A slab that has no block in use; NULL: no memory. It counts as a spare one. */
static struct slab *begin_slab(void)
{
    struct slab *slab = pool.empty;
    if (slab != NULL) {
        pool.empty = slab->next;
    } else {
        if (pool.begun == pool.usable) {
            /* not taken: the end of the range: 16 GiB of contexts */
            if (pool.usable == RANGE_SIZE ||
                mprotect(pool.base + pool.usable, STEP, PROT_READ | PROT_WRITE) != 0)
                return NULL;
            pool.usable += STEP;
        }
        slab = (struct slab *)(void *)(pool.base + pool.begun);
        pool.begun += SLAB_SIZE;
    }
    *slab = (struct slab){.used = 0};
    link_slab(slab);
    pool.spares++;
    return slab;
}

/* No block of it is used. Some such slabs are kept, others give their pages back. */
static void end_slab(struct slab *slab)
{
    if (pool.spares < SPARES_MAX) {
        pool.spares++;
        return;
    }
    unlink_slab(slab);
    (void)madvise((char *)slab + FIRST_PAGE, SLAB_SIZE - FIRST_PAGE, MADV_DONTNEED);
    slab->next = pool.empty;
    pool.empty = slab;
}

static void *cut(struct slab *slab)
{
    struct block *block = slab->free;
    if (block != NULL)
        slab->free = block->next;
    else
        block = (struct block *)(void *)(slab->blocks + sizeof(struct ceasei_node) * slab->cut++);
    if (slab->used++ == 0)
        pool.spares--;
    if (slab->used == SLAB_BLOCKS)
        unlink_slab(slab);
    return block;
}

static void give(void *memory)
{
    size_t at = (size_t)((char *)memory - pool.base);
    struct slab *slab = (struct slab *)(void *)(pool.base + at - at % SLAB_SIZE);
    struct block *block = memory;
    block->next = slab->free;
    slab->free = block;
    if (slab->used-- == SLAB_BLOCKS)
        link_slab(slab);
    if (slab->used == 0)
        end_slab(slab);
}

/* ----- blocks ----- */

/* Reserves the range. Without it, and in a program with few contexts, all stays malloc's. */
static void activate(void)
{
    pthread_mutex_lock(&pool.mutex);
    if (pool.base == NULL) {
        char *at =
            mmap(NULL, RANGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        pool.base = at;
        if (at != MAP_FAILED)
            ceasei_store(&pool.active, 1, RELEASE);
    }
    pthread_mutex_unlock(&pool.mutex);
}

static void *malloc_block(void)
{
    void *block = malloc(sizeof(struct ceasei_node));
    if (block != NULL && ceasei_add(&pool.malloced, 1, RELAXED) == MALLOCED_MAX)
        activate();
    return block;
}

void *ceasei_block_new(struct ceasei_thread *self)
{
    if (ceasei_load(&pool.active, ACQUIRE) == 0)
        return malloc_block();
    void *blocks[CEASEI_BATCH];
    /* not taken: 1: a thread without memory of its own, when there are many contexts */
    size_t wanted = self->node_limit >= CEASEI_BATCH ? CEASEI_BATCH : 1, count = 0;
    pthread_mutex_lock(&pool.mutex);
    for (struct slab *slab; count < wanted; count++) {
        if ((slab = pool.some) == NULL && (slab = begin_slab()) == NULL)
            break;
        blocks[count] = cut(slab);
    }
    pthread_mutex_unlock(&pool.mutex);
    if (count == 0)
        return malloc_block();
    while (count > 1) /* so that they are used in the order of their addresses */
        self->nodes[self->node_count++] = blocks[--count];
    return blocks[0];
}

static bool is_pooled(const void *block)
{
    return ceasei_load(&pool.active, ACQUIRE) != 0 &&
           (uintptr_t)block - (uintptr_t)pool.base < RANGE_SIZE;
}

void ceasei_blocks_free(void **blocks, size_t count)
{
    size_t pooled = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_pooled(blocks[i])) {
            blocks[pooled++] = blocks[i];
        } else {
            ceasei_sub(&pool.malloced, 1, RELAXED);
            free(blocks[i]);
        }
    }
    if (pooled == 0)
        return;
    pthread_mutex_lock(&pool.mutex);
    while (pooled > 0)
        give(blocks[--pooled]);
    pthread_mutex_unlock(&pool.mutex);
}

void ceasei_pool_fork(int phase)
{
    if (phase == FORK_PREPARE)
        pthread_mutex_lock(&pool.mutex);
    else
        pthread_mutex_unlock(&pool.mutex); /* in the child too: this thread has locked it */
}

#endif
