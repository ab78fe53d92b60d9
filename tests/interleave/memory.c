/* SPDX-License-Identifier: MIT
 *
 * memory.c: where the code under test may read and write, and in what order.
 *
 * Its blocks come from an arena that is used up from the front and starts anew with each execution:
 * addresses repeat exactly, and a freed block is never handed out again, so that every later access
 * to it is seen. For the arena, the data segment and the threads' stacks, a cell for each 4 bytes
 * remembers the last write and each thread's last read, with the vector clock's entry of that
 * moment; an access that conflicts with one that is not before it, by release and acquire, is a
 * race, in whatever order the two came (Djit+; FastTrack, PLDI 2009). A free counts as a write to
 * the whole block: who reads a block and does not tell the one who frees it is found even where the
 * read came first. Two atomic accesses never race.
 *
 * Plain accesses come from the calls that -fsanitize=thread makes the compiler insert (tsan.c).
 * Left out: reads of bytes that were never written; they hold 0xa5.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern char __data_start, _end;

enum { UNIT = 16, GAP = 16, BLOCKS_MAX = 2048 };

struct cell {
    uint32_t generation; /* of another execution: empty */
    uint32_t write_clock;
    const void *write_where;
    uint8_t write_thread, write_mask;
    bool write_atomic, write_is_site;
    struct {
        uint32_t clock;
        uint8_t mask;
        bool atomic, is_site;
        const void *where;
    } reads[EXPLORE_THREADS];
    struct epoch sync; /* what an acquire of this place learns */
};

struct block {
    uint32_t at, size;
    int freed_by; /* -1: live */
    const void *made_at, *freed_at;
};

static struct memory {
    uint32_t generation;
    uint32_t used;
    int block_count;
    struct block blocks[BLOCKS_MAX];
    uint16_t block_of[ARENA_SIZE / UNIT]; /* + 1; 0: none */
    char arena[ARENA_SIZE] __attribute__((aligned(4096)));
} * M;

struct region {
    uintptr_t from, to;
    struct cell *cells;
};
static struct {
    struct region of[3];
} * R;

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

void memory_init(void)
{
    M = map(sizeof *M);
    R = map(sizeof *R);
    char *stacks = E->threads[0].stack;
    struct region of[3] = {
        {(uintptr_t)M->arena, (uintptr_t)M->arena + ARENA_SIZE, NULL},
        {(uintptr_t)&__data_start, (uintptr_t)&_end, NULL},
        {(uintptr_t)stacks, (uintptr_t)stacks + (uintptr_t)EXPLORE_THREADS * STACK_SIZE, NULL},
    };
    for (int i = 0; i < 3; i++)
        of[i].cells = map(((of[i].to - of[i].from) / 4 + 2) * sizeof(struct cell));
    memcpy(R->of, of, sizeof of);
}

void memory_reset(void)
{
    M->generation++;
    memset(M->block_of, 0, (M->used / UNIT + 1) * sizeof M->block_of[0]);
    M->used = 0;
    M->block_count = 0;
}

bool memory_is_arena(const volatile void *p)
{
    uintptr_t a = (uintptr_t)p;
    return M && a - (uintptr_t)M->arena < ARENA_SIZE;
}

static struct cell *cell_of(uintptr_t addr)
{
    for (int i = 0; i < 3; i++) {
        const struct region *r = &R->of[i];
        if (addr < r->from || addr >= r->to)
            continue;
        struct cell *cell = &r->cells[(addr - (r->from & ~(uintptr_t)3)) / 4];
        if (cell->generation != M->generation) {
            memset(cell, 0, sizeof *cell);
            cell->generation = M->generation;
        }
        return cell;
    }
    return NULL;
}

struct epoch *memory_sync(uintptr_t addr)
{
    struct cell *cell = cell_of(addr);
    return cell ? &cell->sync : NULL;
}

/* ---- races ------------------------------------------------------------------------------------
 */

struct access {
    int thread;
    uint32_t clock; /* the thread's when it issued the access */
    uint8_t mask;
    bool write, atomic, is_site;
    const void *where;
};

static void race(uintptr_t addr, const struct access *a, const char *what, int other,
                 const void *where, bool is_site)
{
    char here[200], there[200];
    snprintf(here, sizeof here, "%s", report_place(a->where, a->is_site));
    snprintf(there, sizeof there, "%s", report_place(where, is_site));
    if (E->ignored_race) {
        char places[2 * 200 + 2], names[1024];
        snprintf(places, sizeof places, "%s %s", here, there);
        report_named(places, names, sizeof names);
        if (strstr(names, E->ignored_race))
            return;
    }
    explore_fail("race: thread %d %s%s at %s; thread %d %s at %s; nothing orders the two (%p)",
                 a->thread, a->atomic ? "atomically " : "", a->write ? "writes" : "reads", here,
                 other, what, there, (void *)addr);
}

static void check_cell(struct cell *c, uintptr_t addr, const struct access *a)
{
    const struct epoch *hb = &E->threads[a->thread].hb;
    if (c->write_mask & a->mask && c->write_thread != a->thread &&
        !(a->atomic && c->write_atomic) && c->write_clock > hb->of[c->write_thread])
        race(addr, a, "wrote", c->write_thread, c->write_where, c->write_is_site);
    for (int t = 0; a->write && t < EXPLORE_THREADS; t++)
        if (t != a->thread && c->reads[t].mask & a->mask && !(a->atomic && c->reads[t].atomic) &&
            c->reads[t].clock > hb->of[t])
            race(addr, a, "read", t, c->reads[t].where, c->reads[t].is_site);
}

static void note_cell(struct cell *c, const struct access *a)
{
    if (a->write) {
        c->write_clock = a->clock;
        c->write_thread = (uint8_t)a->thread;
        c->write_mask = a->mask;
        c->write_atomic = a->atomic;
        c->write_where = a->where;
        c->write_is_site = a->is_site;
    } else {
        c->reads[a->thread].clock = a->clock;
        c->reads[a->thread].where = a->where;
        c->reads[a->thread].is_site = a->is_site;
        c->reads[a->thread].mask = a->mask;
        c->reads[a->thread].atomic = a->atomic;
    }
}

static void access_cells(uintptr_t addr, size_t size, struct access a)
{
    for (uintptr_t at = addr & ~(uintptr_t)3; at < addr + size; at += 4) {
        struct cell *c = cell_of(at);
        if (!c)
            return;
        unsigned mask = 15;
        if (at < addr)
            mask &= 15u << (addr - at);
        if (at + 4 > addr + size)
            mask &= 15u >> (at + 4 - addr - size);
        a.mask = (uint8_t)mask;
        check_cell(c, at, &a);
        note_cell(c, &a);
    }
}

static void check_block(uintptr_t addr, size_t size, const struct access *a)
{
    size_t at = addr - (uintptr_t)M->arena;
    int index = M->block_of[at / UNIT] - 1;
    const struct block *b = index < 0 ? NULL : &M->blocks[index];
    if (!b || at + size > (size_t)b->at + b->size)
        explore_fail("thread %d touches %p outside of every block, at %s", a->thread, (void *)addr,
                     report_place(a->where, a->is_site));
    if (b->freed_by < 0)
        return;
    char here[200], freed[200];
    snprintf(here, sizeof here, "%s", report_place(a->where, a->is_site));
    snprintf(freed, sizeof freed, "%s", report_place(b->freed_at, false));
    explore_fail("use after free: thread %d %s byte %zu of a block of %u, at %s; made at %s; freed "
                 "by thread %d at %s",
                 a->thread, a->write ? "writes" : "reads", at - b->at, b->size, here,
                 report_place(b->made_at, false), b->freed_by, freed);
}

void memory_access(int thread, uintptr_t addr, size_t size, bool write, bool atomic,
                   const void *where, bool where_is_site)
{
    memory_access_of(thread, E->threads[thread].hb.of[thread], addr, size, write, atomic, where,
                     where_is_site);
}

void memory_access_of(int thread, uint32_t clock, uintptr_t addr, size_t size, bool write,
                      bool atomic, const void *where, bool where_is_site)
{
    struct access a = {.thread = thread,
                       .clock = clock,
                       .write = write,
                       .atomic = atomic,
                       .where = where,
                       .is_site = where_is_site};
    if (addr < 4096)
        explore_fail("thread %d %s at address %p, at %s", thread, write ? "writes" : "reads",
                     (void *)addr, report_place(where, where_is_site));
    if (memory_is_arena((void *)addr))
        check_block(addr, size, &a);
    access_cells(addr, size, a);
}

/* ---- the heap ---------------------------------------------------------------------------------
 */

static int fail_in[EXPLORE_THREADS];

void explore_fail_alloc(int n)
{
    fail_in[E->current] = n;
}

static void *arena_alloc(size_t alignment, size_t size, const void *where)
{
    if (fail_in[E->current] > 0 && --fail_in[E->current] == 0)
        return NULL;
    size_t at = (M->used + GAP + alignment - 1) & ~(alignment - 1);
    if (at + size > ARENA_SIZE || M->block_count == BLOCKS_MAX)
        explore_fail("the model's arena is used up");
    M->used = (uint32_t)((at + size + UNIT - 1) & ~(size_t)(UNIT - 1));
    M->blocks[M->block_count++] = (struct block){
        .at = (uint32_t)at, .size = (uint32_t)size, .freed_by = -1, .made_at = where};
    for (size_t unit = at / UNIT; unit < M->used / UNIT; unit++)
        M->block_of[unit] = (uint16_t)M->block_count;
    memset(M->arena + at, 0xa5, size);
    return M->arena + at;
}

static void arena_free(void *p, const void *where)
{
    size_t at = (size_t)((char *)p - M->arena);
    int index = M->block_of[at / UNIT] - 1;
    struct block *b = index < 0 ? NULL : &M->blocks[index];
    if (!b || b->at != at)
        explore_fail("free of %p, which is no block, at %s", p, report_place(where, false));
    if (b->freed_by >= 0) {
        char first[200];
        snprintf(first, sizeof first, "%s", report_place(b->freed_at, false));
        explore_fail("double free of a block of %u by thread %d, at %s; first by thread %d at %s",
                     b->size, E->current, report_place(where, false), b->freed_by, first);
    }
    /* What this thread's buffer still holds for the block must be in memory by now: whoever gets
     * the block next does so through a later entry of the same buffer. */
    if (E->threads[E->current].buffered > 0) {
        static const struct explore_site site = {"", 0, "free", "free"};
        engine_step((struct op){.kind = OP_DRAIN, .drains = true, .site = &site});
    }
    access_cells((uintptr_t)p, b->size,
                 (struct access){.thread = E->current,
                                 .clock = E->threads[E->current].hb.of[E->current],
                                 .write = true,
                                 .where = where});
    b->freed_by = E->current;
    b->freed_at = where;
}

const char *memory_leak(void)
{
    static char text[300];
    for (int i = 0; i < M->block_count; i++)
        if (M->blocks[i].freed_by < 0) {
            snprintf(text, sizeof text, "leak: a block of %u is left, made at %s",
                     M->blocks[i].size, report_place(M->blocks[i].made_at, false));
            return text;
        }
    return NULL;
}

void *__wrap_malloc(size_t size)
{
    if (!E || !E->inside)
        return __real_malloc(size);
    return arena_alloc(16, size, __builtin_return_address(0));
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (!E || !E->inside) {
        void *p = __real_malloc(count * size);
        return p ? memset(p, 0, count * size) : NULL;
    }
    void *p = arena_alloc(16, count * size, __builtin_return_address(0));
    return p ? memset(p, 0, count * size) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (!E || !E->inside)
        return __real_aligned_alloc(alignment, size);
    return arena_alloc(alignment < 16 ? 16 : alignment, size, __builtin_return_address(0));
}

int __wrap_posix_memalign(void **ret, size_t alignment, size_t size)
{
    *ret = __wrap_aligned_alloc(alignment, size);
    return *ret ? 0 : 12;
}

void *__wrap_realloc(void *p, size_t size)
{
    if (!E || !E->inside)
        return __real_realloc(p, size);
    void *new = arena_alloc(16, size, __builtin_return_address(0));
    if (new &&p && memory_is_arena(p)) {
        const struct block *b = &M->blocks[M->block_of[((char *)p - M->arena) / UNIT] - 1];
        memcpy(new, p, b->size < size ? b->size : size);
        arena_free(p, __builtin_return_address(0));
    }
    return new;
}

void __wrap_free(void *p)
{
    if (!memory_is_arena(p))
        __real_free(p);
    else if (E->inside)
        arena_free(p, __builtin_return_address(0));
}

char *__wrap_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy =
        E && E->inside ? arena_alloc(16, size, __builtin_return_address(0)) : __real_malloc(size);
    return copy ? memcpy(copy, s, size) : NULL;
}
