/* SPDX-License-Identifier: MIT
 *
 * stack.c: arenas of stacks.
 *
 * The idea: address space is cheap and a touched page is not. An arena is one mapping of at most
 * 64 MiB, cut into slots of one size, a power of two; a slot is, upwards, a guard, the stack, and
 * the task at its top. A slot that has been used has its top page in memory, is *warm*, and is used
 * again first: by the worker that used it last (its own cache, no lock), then by any worker (the
 * shared list). When there are more warm ones than SHARED_WARM_MAX for a while, an idle worker
 * gives the memory of some back, and they are *cold*: known to their arena by number alone. An
 * arena all of whose slots are cold is unmapped, unless it is the only one.
 *
 *     cold --take--> in use --give--> cached --spill--> shared --trim--> cold
 *                      ^-----------------'----------------'
 *
 * The top of each stack is shifted by one of a few colours, so that not all tasks compete for the
 * same lines of the first-level cache.
 *
 * The guard. MADV_GUARD_INSTALL (Linux 6.13) puts markers into the page table and leaves the
 * mapping whole. While many stacks are in use the guards of several that come next are made in one call, by
 * process_madvise; a slot with a guard and no task is cold like any other. Where the kernel has none, mprotect splits the mapping twice per guard, and a
 * process has only vm.max_map_count pieces: we take guards for a quarter of that number, then
 * refuse with CEASE_EAGAIN.
 *
 * Who guards what: a cache belongs to its worker; the shared list, the arenas and their numbers are
 * under pool.lock. System calls are made outside the lock, on slots that are nobody else's by then.
 * No huge pages: one touched byte would cost 2 MiB.
 */
#include "runtime/stack.h"

#include "base/atomic.h"
#include "base/lock.h"
#include "base/panic.h"
#include "runtime/fiber.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
enum { PIDFD_SELF_PROCESS = -10001 }; /* this process, without a descriptor (Linux 6.14) */

enum {
    ARENA_SIZE_MAX = 64 << 20,
    ARENA_SLOTS_FIRST = 16, /* then twice as many each time, up to the size */
    GUARD_SIZE_MAX = 64 << 10,
    SHARED_WARM_MAX = 256,
    REFILL = 16,      /* stacks from the shared list to a cache at a time */
    TRIM_MAX = 256,   /* stacks made cold at a time */
    GUARDS_MAX = 32,  /* guards made at a time, */
    GUARDS_PART = 16, /* but not more than one for so many stacks that are in use */
    COLOURS = 4,
    COLOUR_SIZE = 512,
};

struct ceasei_arena {
    struct ceasei_arena *next;      /* under pool.lock: all arenas */
    struct ceasei_arena *next_cold; /* under pool.lock: those with cold slots */
    char *base;                     /* set at birth */
    uint32_t slots;                 /* set at birth */
    uint32_t cold_count;            /* under pool.lock */
    uint32_t pins;                  /* under pool.lock: walks that stand here */
    uint32_t *cold;                 /* under pool.lock: numbers of the cold slots */
    uint32_t *marks;                /* atomic, the slot's holder: 0: no guard yet; else Valgrind's
                                       id + 1 */
};

static struct {
    struct ceasei_lock lock;
    size_t size, guard;             /* set while there is no arena */
    struct ceasei_arena *arenas;    /* under lock */
    struct ceasei_arena *with_cold; /* under lock: cold_count > 0 exactly for these */
    uint32_t slots_next;            /* under lock: slots of the next arena */
    struct ceasei_task *warm;       /* under lock: the shared list */
    size_t warm_count;              /* under lock for writing, atomic: read anywhere */
    size_t used_count;              /* atomic: slots that are not cold */
    uint32_t use_mprotect;          /* atomic: the kernel has no MADV_GUARD_INSTALL */
    uint32_t has_no_batch;          /* atomic: nor a call for several */
    uint32_t is_tried;              /* atomic: its MADV_GUARD_INSTALL does what it should */
    size_t guards, guards_max;      /* atomic: made by mprotect; 0: not asked for yet */
} pool = {.size = 256 << 10, .guard = GUARD_SIZE_MAX};

void ceasei_stack_configure(size_t size)
{
    ceasei_assert(!pool.arenas && (size & (size - 1)) == 0);
    pool.size = size;
    pool.guard = size / 4 < GUARD_SIZE_MAX ? size / 4 : GUARD_SIZE_MAX;
}

/* ---- guards --------------------------------------------------------------------------------- */

static size_t guards_allowed(void)
{
    size_t allowed = ceasei_load(&pool.guards_max, RELAXED);
    if (allowed == 0) {
        unsigned long maps = 65530;
        FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
        if (f) {
            if (fscanf(f, "%lu", &maps) != 1) {
                maps = 65530;
            }
            fclose(f);
        }
        allowed = maps / 4 > 0 ? maps / 4 : 1;
        ceasei_store(&pool.guards_max, allowed, RELAXED);
    }
    return allowed;
}

static cease_error guard_by_mprotect(char *slot)
{
    if (ceasei_add(&pool.guards, 1, RELAXED) >= guards_allowed() ||
        mprotect(slot, pool.guard, PROT_NONE) != 0) {
        ceasei_sub(&pool.guards, 1, RELAXED);
        return CEASE_EAGAIN;
    }
    return CEASE_OK;
}

/* Whether the kernel itself cannot read a path there. */
static bool is_guarded(const char *slot)
{
    return access(slot, F_OK) != 0 && errno == EFAULT;
}

static cease_error guard_install(char *slot)
{
    /* Valgrind reads all memory that it knows to be mapped, and knows nothing of such guards. */
    if (!ceasei_load(&pool.use_mprotect, RELAXED) && !ceasei_fiber_in_valgrind()) {
        int failed = madvise(slot, pool.guard, MADV_GUARD_INSTALL);
        if (!failed && (ceasei_load(&pool.is_tried, RELAXED) || is_guarded(slot))) {
            ceasei_store(&pool.is_tried, 1, RELAXED);
            return CEASE_OK;
        }
        if (failed && errno != EINVAL) {
            return errno == ENOMEM ? CEASE_ENOMEM : CEASE_EAGAIN;
        }
        ceasei_store(&pool.use_mprotect, 1, RELAXED);
    }
    return guard_by_mprotect(slot);
}

/* Guards for several slots in one call, after a first one has been tried out; how many of them, from the first, have
 * one now. Installing a guard where there is one does nothing. */
static size_t guards_install(char *const slots[], size_t count)
{
    struct iovec guards[GUARDS_MAX];
    for (size_t i = 0; i < count; i++) {
        guards[i] = (struct iovec){slots[i], pool.guard};
    }
    long done =
        syscall(SYS_process_madvise, PIDFD_SELF_PROCESS, guards, count, MADV_GUARD_INSTALL, 0);
    return done > 0 ? (size_t)done / pool.guard : 0;
}

/* ---- arenas --------------------------------------------------------------------------------- */

/* A mapping of `size` bytes whose address is a multiple of `align`; NULL without memory. */
static char *map_aligned(size_t size, size_t align)
{
    char *at = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    size_t before = (align - ((uintptr_t)at & (align - 1))) & (align - 1);
    if (before > 0) {
        munmap(at, before);
    }
    munmap(at + before + size, align - before);
    (void)madvise(at + before, size, MADV_NOHUGEPAGE);
    return at + before;
}

static struct ceasei_arena *arena_new(uint32_t slots)
{
    struct ceasei_arena *a = calloc(1, sizeof *a + 2 * slots * sizeof(uint32_t));
    if (!a) {
        return NULL;
    }
    a->base = map_aligned(slots * pool.size, pool.size);
    if (!a->base) {
        free(a);
        return NULL;
    }
    a->slots = slots;
    a->cold = (uint32_t *)(a + 1);
    a->marks = a->cold + slots;
    for (uint32_t i = 0; i < slots; i++) {
        a->cold[i] = slots - 1 - i; /* taken from the end: in ascending order */
    }
    a->cold_count = slots;
    return a;
}

static void arena_free(struct ceasei_arena *a)
{
    for (uint32_t i = 0; i < a->slots; i++) {
        if (a->marks[i] == 0) {
            continue;
        }
        ceasei_fiber_unregister(a->marks[i] - 1);
        if (ceasei_load(&pool.use_mprotect, RELAXED)) {
            ceasei_sub(&pool.guards, 1, RELAXED);
        }
    }
    ceasei_fiber_unpoison(a->base, a->slots * pool.size); /* the addresses come again */
    munmap(a->base, a->slots * pool.size);
    free(a);
}

/* Under the lock. */
static void arena_link(struct ceasei_arena *a)
{
    a->next = pool.arenas;
    pool.arenas = a;
    a->next_cold = pool.with_cold;
    pool.with_cold = a;
}

/* Under the lock: takes an arena that is cold altogether out of both lists. */
static void arena_unlink(struct ceasei_arena *a)
{
    struct ceasei_arena **at = &pool.arenas;
    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    at = &pool.with_cold;
    while (*at != a) {
        at = &(*at)->next_cold;
    }
    *at = a->next_cold;
}

/* Makes one more arena. Two threads that come at once make two, which are used in time. */
static cease_error arena_add(void)
{
    ceasei_lock(&pool.lock);
    uint32_t most = (uint32_t)(ARENA_SIZE_MAX / pool.size);
    uint32_t slots = pool.slots_next ? pool.slots_next : ARENA_SLOTS_FIRST;
    slots = slots < most ? slots : most;
    pool.slots_next = slots * 2;
    ceasei_unlock(&pool.lock);

    struct ceasei_arena *a = arena_new(slots);
    if (!a) {
        return CEASE_ENOMEM;
    }
    ceasei_lock(&pool.lock);
    arena_link(a);
    ceasei_unlock(&pool.lock);
    return CEASE_OK;
}

/* ---- slots ---------------------------------------------------------------------------------- */

static char *slot_of(const struct ceasei_task *task)
{
    return (char *)((uintptr_t)task & ~(uintptr_t)(pool.size - 1));
}

static uint32_t slot_number(const struct ceasei_task *task)
{
    return (uint32_t)((size_t)(slot_of(task) - task->arena->base) / pool.size);
}

static struct ceasei_task *slot_task(struct ceasei_arena *a, uint32_t number)
{
    char *end = a->base + (number + (size_t)1) * pool.size;
    size_t size = (sizeof(struct ceasei_task) + 63) & ~(size_t)63;
    return (struct ceasei_task *)(end - (number % COLOURS) * COLOUR_SIZE - size);
}

struct ceasei_stack_bounds ceasei_stack_bounds(const struct ceasei_task *task)
{
    char *slot = slot_of(task);
    return (struct ceasei_stack_bounds){slot, slot + pool.guard, (char *)(uintptr_t)task};
}

/* Under the lock: back to its arena by number. */
static void slot_put_cold(struct ceasei_arena *a, uint32_t number)
{
    if (a->cold_count == 0) {
        a->next_cold = pool.with_cold;
        pool.with_cold = a;
    }
    a->cold[a->cold_count++] = number;
}

/* Under the lock: NULL when every slot of every arena is in use or warm. */
static struct ceasei_arena *slot_take_cold(uint32_t *ret_number)
{
    struct ceasei_arena *a = pool.with_cold;
    if (!a) {
        return NULL;
    }
    *ret_number = a->cold[--a->cold_count];
    if (a->cold_count == 0) {
        pool.with_cold = a->next_cold;
    }
    return a;
}

/* Many stacks are in use, so more will be: the guards of some slots that come after `number`, and have never been
 * used, in the same call. They may be taken, and prepared, by others meanwhile. False: nothing is done. */
static bool prepare_several(struct ceasei_arena *a, uint32_t number)
{
    size_t wanted = ceasei_load(&pool.used_count, RELAXED) / GUARDS_PART, count = 0;
    wanted = wanted < GUARDS_MAX ? wanted : GUARDS_MAX;
    if (wanted < 2 || !ceasei_load(&pool.is_tried, RELAXED) || ceasei_fiber_in_valgrind() ||
        ceasei_load(&pool.has_no_batch, RELAXED)) {
        return false;
    }
    char *slots[GUARDS_MAX];
    while (count < wanted && number + count < a->slots &&
           ceasei_load(&a->marks[number + count], RELAXED) == 0) {
        slots[count] = a->base + (number + count) * pool.size;
        count++;
    }
    size_t done = guards_install(slots, count);
    if (done == 0) {
        ceasei_store(&pool.has_no_batch, 1, RELAXED);
    }
    for (size_t i = 0; i < done; i++) {
        ceasei_store(&a->marks[number + i], 1,
                     RELEASE); /* a walk looks into the slot from now on */
    }
    return done > 0;
}

static cease_error slot_prepare(struct ceasei_arena *a, uint32_t number)
{
    if (ceasei_load(&a->marks[number], RELAXED) || prepare_several(a, number)) {
        return CEASE_OK;
    }
    char *slot = a->base + number * pool.size;
    cease_error err = guard_install(slot);
    if (err == CEASE_OK) {
        uint32_t id = (uint32_t)ceasei_fiber_register(slot + pool.guard, slot + pool.size);
        ceasei_store(&a->marks[number], id + 1,
                     RELEASE); /* a walk looks into the slot from now on */
    }
    return err;
}

static cease_error take_cold(struct ceasei_task **ret_task, struct ceasei_arena **ret_arena)
{
    uint32_t number;
    struct ceasei_arena *a;
    for (;;) {
        ceasei_lock(&pool.lock);
        a = slot_take_cold(&number);
        ceasei_unlock(&pool.lock);
        if (a) {
            break;
        }
        cease_error err = arena_add();
        if (err != CEASE_OK) {
            return err;
        }
    }
    cease_error err = slot_prepare(a, number);
    if (err != CEASE_OK) {
        ceasei_lock(&pool.lock);
        slot_put_cold(a, number);
        ceasei_unlock(&pool.lock);
        return err;
    }
    ceasei_add(&pool.used_count, 1, RELAXED);
    *ret_task = slot_task(a, number);
    *ret_arena = a;
    return CEASE_OK;
}

/* ---- walks ---------------------------------------------------------------------------------- */

/* To the next arena. One that is pinned stays in the list, so what follows it is right. */
static void walk_on(struct ceasei_stack_walk *walk)
{
    ceasei_lock(&pool.lock);
    struct ceasei_arena *old = walk->arena;
    walk->arena = walk->begun && old ? old->next : walk->begun ? NULL : pool.arenas;
    if (old) {
        old->pins--;
    }
    if (walk->arena) {
        walk->arena->pins++;
    }
    ceasei_unlock(&pool.lock);
    walk->begun = true;
    walk->slot = 0;
}

size_t ceasei_stack_walk(struct ceasei_stack_walk *walk, struct ceasei_task **ret_tasks, size_t max)
{
    size_t count = 0;
    while (count == 0 && (walk->arena || !walk->begun)) {
        const struct ceasei_arena *a = walk->arena;
        if (!a || walk->slot == a->slots) {
            walk_on(walk);
            continue;
        }
        for (; walk->slot < a->slots && count < max; walk->slot++) {
            if (ceasei_load(&a->marks[walk->slot], ACQUIRE) == 0) {
                continue; /* never used: its page is not even there */
            }
            struct ceasei_task *task = slot_task(walk->arena, walk->slot);
            if (ceasei_load(&task->state, ACQUIRE) != CEASEI_TASK_FREE) {
                ret_tasks[count++] = task;
            }
        }
    }
    return count;
}

void ceasei_stack_walk_stop(struct ceasei_stack_walk *walk)
{
    if (walk->arena) {
        ceasei_lock(&pool.lock);
        walk->arena->pins--;
        ceasei_unlock(&pool.lock);
        walk->arena = NULL;
    }
}

bool ceasei_stack_pin(struct ceasei_stack_walk *walk, const struct ceasei_task *task)
{
    uintptr_t at = (uintptr_t)task;
    ceasei_lock(&pool.lock);
    struct ceasei_arena *a = pool.arenas;
    while (a && (at < (uintptr_t)a->base || at >= (uintptr_t)a->base + a->slots * pool.size)) {
        a = a->next;
    }
    if (a) {
        a->pins++;
    }
    ceasei_unlock(&pool.lock);
    *walk = (struct ceasei_stack_walk){.arena = a, .begun = true};
    return a != NULL;
}

/* ---- warm ones ------------------------------------------------------------------------------ */

/* Under the lock: up to `count` from the shared list, in its order: neighbours stay neighbours. */
static struct ceasei_task *shared_pop(size_t count, size_t *ret_count)
{
    struct ceasei_task *first = pool.warm, *rest = first, **end = &first;
    size_t n = 0;
    for (; n < count && rest; n++) {
        end = &rest->next;
        rest = rest->next;
    }
    *end = NULL;
    pool.warm = rest;
    ceasei_store(&pool.warm_count, pool.warm_count - n, RELAXED);
    *ret_count = n;
    return first;
}

/* Up to `count` warm ones from the shared list; NULL: it is empty. */
static struct ceasei_task *take_warm(size_t count, size_t *ret_count)
{
    if (ceasei_load(&pool.warm_count, RELAXED) == 0) {
        return NULL;
    }
    ceasei_lock(&pool.lock);
    struct ceasei_task *first = shared_pop(count, ret_count);
    ceasei_unlock(&pool.lock);
    return first;
}

cease_error ceasei_stack_take(struct ceasei_task **ret_task, struct ceasei_arena **ret_arena)
{
    size_t n;
    struct ceasei_task *task = take_warm(1, &n);
    if (!task) {
        return take_cold(ret_task, ret_arena);
    }
    *ret_task = task;
    *ret_arena = task->arena;
    return CEASE_OK;
}

bool ceasei_stack_refill(struct ceasei_stack_cache *cache)
{
    size_t n;
    struct ceasei_task *first = take_warm(REFILL, &n), *last = first;
    if (!first) {
        return false;
    }
    while (last->next) {
        last = last->next;
    }
    last->next = cache->free;
    cache->free = first;
    cache->count += (unsigned)n;
    return true;
}

void ceasei_stack_give_all(struct ceasei_task *task)
{
    struct ceasei_stack_cache one = {0};
    ceasei_stack_give(&one, task);
    ceasei_stack_spill(&one, 0);
}

void ceasei_stack_spill(struct ceasei_stack_cache *cache, unsigned keep)
{
    if (cache->count <= keep) {
        return;
    }
    struct ceasei_task **at = &cache->free; /* the warmest, at the head, stay */
    for (unsigned i = 0; i < keep; i++) {
        at = &(*at)->next;
    }
    struct ceasei_task *first = *at, *last = first;
    size_t n = cache->count - keep;
    *at = NULL;
    cache->count = keep;
    while (last->next) {
        last = last->next;
    }
    ceasei_lock(&pool.lock);
    last->next = pool.warm;
    pool.warm = first;
    ceasei_store(&pool.warm_count, pool.warm_count + n, RELAXED);
    ceasei_unlock(&pool.lock);
}

bool ceasei_stack_is_surplus(void)
{
    return ceasei_load(&pool.warm_count, RELAXED) > SHARED_WARM_MAX;
}

/* Under the lock: one arena that is cold altogether, while there are others; out of the lists. */
static struct ceasei_arena *unlink_cold_arena(void)
{
    for (struct ceasei_arena *a = pool.with_cold; a; a = a->next_cold) {
        if (a->cold_count == a->slots && a->pins == 0 && (pool.arenas != a || a->next)) {
            arena_unlink(a);
            return a;
        }
    }
    return NULL;
}

/* Gives back the memory of stacks that nobody else knows any more. */
static void make_cold(struct ceasei_task *list)
{
    while (list) {
        struct ceasei_task *task = list;
        struct ceasei_arena *a = task->arena;
        uint32_t number = slot_number(task);
        struct ceasei_stack_bounds b = ceasei_stack_bounds(task);
        list = task->next;
        (void)madvise(b.bottom, pool.size - pool.guard, MADV_DONTNEED);
        ceasei_lock(&pool.lock);
        slot_put_cold(a, number);
        ceasei_unlock(&pool.lock);
        ceasei_sub(&pool.used_count, 1, RELAXED);
    }
}

void ceasei_stack_trim(void)
{
    size_t warm = ceasei_load(&pool.warm_count, RELAXED), n;
    size_t aim = warm > SHARED_WARM_MAX ? warm - SHARED_WARM_MAX : 0;
    ceasei_lock(&pool.lock);
    struct ceasei_task *list = shared_pop(aim < TRIM_MAX ? aim : TRIM_MAX, &n);
    ceasei_unlock(&pool.lock);
    make_cold(list);
    for (;;) {
        ceasei_lock(&pool.lock);
        struct ceasei_arena *a = unlink_cold_arena();
        ceasei_unlock(&pool.lock);
        if (!a) {
            return;
        }
        arena_free(a);
    }
}

size_t ceasei_stack_count(void)
{
    return ceasei_load(&pool.used_count, RELAXED);
}

void ceasei_stack_unmap(void)
{
    struct ceasei_arena *a = pool.arenas;
    while (a) {
        struct ceasei_arena *next = a->next;
        arena_free(a);
        a = next;
    }
    pool.arenas = pool.with_cold = NULL;
    pool.warm = NULL;
    pool.slots_next = 0;
    ceasei_store(&pool.warm_count, 0, RELAXED);
    ceasei_store(&pool.used_count, 0, RELAXED);
}
