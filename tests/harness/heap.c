/*
 * malloc of the test program: glibc's, counted, and failing on demand.
 *
 * The one idea: an executable's malloc is everybody's malloc, so counting here sees the blocks of
 * every library, and "nothing left behind" is an exact number instead of a hope.
 *
 * Blocks of the dynamic linker (a thread's TLS vector, mostly) are not counted: glibc caches them
 * with the stacks of ended threads. They are told by the caller's address, on both sides.
 *
 * With HARNESS_TRACE=1 every live block is remembered with its caller, for the report after a leak;
 * the runner sets it when it runs a leaking case a second time. The table is static, guarded by a
 * spin lock; blocks that find no room in it are missing in the report, never in the count.
 *
 * All of it is off under sanitizers and Valgrind, which bring their own malloc.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "internal.h"

static long live_blocks;      /* atomic, relaxed: read when the program is quiet */
static long allocations;      /* atomic, relaxed                                 */
static unsigned long fail_in; /* atomic: counts down to the one that fails       */
static bool failed;           /* atomic                                          */

#if !HARNESS_SANITIZED

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

enum { TRACE_SLOTS = 1 << 17 };
struct trace_slot {
    void *block;
    void *caller;
    size_t size;
};
static struct trace_slot trace_slots[TRACE_SLOTS]; /* under trace_lock */
static bool trace_lock;
static bool trace_on;

static uintptr_t linker_begin, linker_end; /* set by the first constructor */

static void trace_enter(void)
{
    while (__atomic_test_and_set(&trace_lock, __ATOMIC_ACQUIRE)) {
    }
}

static void trace_leave(void)
{
    __atomic_clear(&trace_lock, __ATOMIC_RELEASE);
}

static size_t trace_hash(const void *block)
{
    return (size_t)(((uintptr_t)block >> 4) * 0x9E3779B97F4A7C15u >> 40) % TRACE_SLOTS;
}

static void trace_add(void *block, size_t size, void *caller)
{
    trace_enter();
    size_t at = trace_hash(block);
    for (size_t tries = 0; tries < 64; tries++, at = (at + 1) % TRACE_SLOTS) {
        if (trace_slots[at].block == NULL) {
            trace_slots[at] = (struct trace_slot){block, caller, size};
            break;
        }
    }
    trace_leave();
}

static void trace_remove(void *block)
{
    trace_enter();
    size_t at = trace_hash(block);
    for (size_t tries = 0; tries < 64; tries++, at = (at + 1) % TRACE_SLOTS) {
        if (trace_slots[at].block == block) {
            trace_slots[at].block = NULL;
            break;
        }
    }
    trace_leave();
}

static bool is_linker(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    return at >= linker_begin && at < linker_end;
}

/* Runs before the tests' constructors register themselves; what was allocated earlier is counted
 * on both sides or on neither. */
__attribute__((constructor(101))) static void find_linker(void)
{
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)getauxval(AT_BASE);
    if (head == NULL)
        return;
    const ElfW(Phdr) *part = (const ElfW(Phdr) *)((uintptr_t)head + head->e_phoff);
    uintptr_t end = 0;
    for (int i = 0; i < head->e_phnum; i++) {
        if (part[i].p_type == PT_LOAD && part[i].p_vaddr + part[i].p_memsz > end)
            end = part[i].p_vaddr + part[i].p_memsz;
    }
    linker_begin = (uintptr_t)head;
    linker_end = linker_begin + end;
    const char *trace = getenv("HARNESS_TRACE");
    trace_on = trace != NULL && trace[0] == '1';
}

/* Whether this allocation is the chosen one. */
static bool must_fail(void)
{
    unsigned long left = __atomic_load_n(&fail_in, __ATOMIC_RELAXED);
    while (left != 0) {
        if (__atomic_compare_exchange_n(&fail_in, &left, left - 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            if (left == 1)
                __atomic_store_n(&failed, true, __ATOMIC_SEQ_CST);
            return left == 1;
        }
    }
    return false;
}

static void *counted(void *block, size_t size, void *caller)
{
    if (block != NULL && !is_linker(caller)) {
        __atomic_fetch_add(&live_blocks, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
        if (trace_on)
            trace_add(block, size, caller);
    }
    return block;
}

static bool refused(const void *caller)
{
    if (is_linker(caller) || !must_fail())
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    void *caller = __builtin_return_address(0);
    return refused(caller) ? NULL : counted(__libc_malloc(size), size, caller);
}

void *calloc(size_t count, size_t size)
{
    void *caller = __builtin_return_address(0);
    return refused(caller) ? NULL : counted(__libc_calloc(count, size), count * size, caller);
}

static void *align(size_t alignment, size_t size, void *caller)
{
    return refused(caller) ? NULL : counted(__libc_memalign(alignment, size), size, caller);
}

void *memalign(size_t alignment, size_t size)
{
    return align(alignment, size, __builtin_return_address(0));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return align(alignment, size, __builtin_return_address(0));
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    void *block = align(alignment, size, __builtin_return_address(0));
    if (block == NULL)
        return ENOMEM;
    *ret = block;
    return 0;
}

static void forget(void *block, void *caller)
{
    if (block == NULL || is_linker(caller))
        return;
    __atomic_fetch_sub(&live_blocks, 1, __ATOMIC_RELAXED);
    if (trace_on)
        trace_remove(block);
}

static void *resize(void *block, size_t size, void *caller)
{
    if (refused(caller))
        return NULL;
    if (block == NULL)
        return counted(__libc_malloc(size), size, caller);
    if (trace_on)
        trace_remove(block);
    void *moved = __libc_realloc(block, size);
    if (moved == NULL && size == 0)
        forget(block, caller);
    else if (trace_on && !is_linker(caller))
        trace_add(moved == NULL ? block : moved, size, caller);
    if (moved != NULL && !is_linker(caller))
        __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return moved;
}

void *realloc(void *block, size_t size)
{
    return resize(block, size, __builtin_return_address(0));
}

void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize(block, bytes, __builtin_return_address(0));
}

void free(void *block)
{
    int saved = errno;
    forget(block, __builtin_return_address(0));
    __libc_free(block);
    errno = saved;
}

void harness_heap_report(void)
{
    if (!trace_on)
        return;
    trace_on = false; /* what follows may allocate */
    for (size_t i = 0; i < TRACE_SLOTS; i++) {
        const struct trace_slot *slot = &trace_slots[i];
        Dl_info info = {0};
        if (slot->block == NULL)
            continue;
        if (dladdr(slot->caller, &info) == 0)
            info.dli_fname = "?";
        dprintf(STDERR_FILENO, "  live block: %zu bytes at %p, allocated by %s%s%s+0x%zx\n",
                slot->size, slot->block, info.dli_fname, info.dli_sname ? " " : "",
                info.dli_sname ? info.dli_sname : "",
                (size_t)((uintptr_t)slot->caller - (uintptr_t)info.dli_fbase));
    }
}

/* Valgrind replaces malloc in the libraries, not here: then counting is off. */
bool harness_heap_is_ours(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload == NULL || strstr(preload, "vgpreload") == NULL;
}

#else

void harness_heap_report(void) {}

bool harness_heap_is_ours(void)
{
    return false;
}

#endif

long harness_heap_blocks(void)
{
    return __atomic_load_n(&live_blocks, __ATOMIC_RELAXED);
}

long harness_heap_allocs(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

void harness_fail_alloc(unsigned long n)
{
    __atomic_store_n(&failed, false, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fail_in, n, __ATOMIC_SEQ_CST);
}

bool harness_alloc_failed(void)
{
    return __atomic_load_n(&failed, __ATOMIC_SEQ_CST);
}

bool harness_torture_next(unsigned long n)
{
    bool go_on = n == 1 || harness_alloc_failed();
    harness_fail_alloc(go_on ? n : 0);
    return go_on;
}
