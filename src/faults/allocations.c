/* SPDX-License-Identifier: MIT
 *
 * allocations.c: the program's malloc: glibc's, counted, and failing on demand.
 *
 * Blocks of the dynamic linker (the table of a thread's variables, mostly) are neither counted nor refused: glibc keeps
 * them with the stacks of ended threads. They are told by the caller's address, on both sides.
 */
#include <cease/faults.h>
#include <cease/test.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

void cease_faults_allocations(void) {}

#else

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static long blocks;                            /* atomic */
static uint64_t fail_in;                       /* atomic: counts down to the one that fails */
static bool has_failed;                        /* atomic */
static uintptr_t linker_begin, linker_end = 0; /* set before main */

__attribute__((constructor(101))) static void find_linker(void)
{
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)getauxval(AT_BASE);
    if (!head) {
        return;
    }
    const ElfW(Phdr) *part = (const ElfW(Phdr) *)((uintptr_t)head + head->e_phoff);
    uintptr_t end = 0;
    for (int i = 0; i < head->e_phnum; i++) {
        if (part[i].p_type == PT_LOAD && part[i].p_vaddr + part[i].p_memsz > end) {
            end = part[i].p_vaddr + part[i].p_memsz;
        }
    }
    linker_begin = (uintptr_t)head;
    linker_end = linker_begin + end;
}

static bool is_linker(const void *caller)
{
    return (uintptr_t)caller >= linker_begin && (uintptr_t)caller < linker_end;
}

/* Whether this is the one that fails. */
static bool refuses(const void *caller)
{
    uint64_t left = __atomic_load_n(&fail_in, __ATOMIC_RELAXED);
    if (left == 0 || is_linker(caller)) {
        return false;
    }
    while (left > 0 && !__atomic_compare_exchange_n(&fail_in, &left, left - 1, false,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    if (left != 1) {
        return false;
    }
    __atomic_store_n(&has_failed, true, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return true;
}

static void *counted(void *block, const void *caller)
{
    if (block && !is_linker(caller)) {
        __atomic_fetch_add(&blocks, 1, __ATOMIC_RELAXED);
    }
    return block;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    return refuses(CALLER) ? NULL : counted(__libc_malloc(size), CALLER);
}

void *calloc(size_t count, size_t size)
{
    return refuses(CALLER) ? NULL : counted(__libc_calloc(count, size), CALLER);
}

void *realloc(void *block, size_t size)
{
    if (size > 0 && refuses(CALLER)) {
        return NULL;
    }
    bool is_new = !block, is_end = block && size == 0;
    void *moved = __libc_realloc(block, size);
    if (is_end && !moved && !is_linker(CALLER)) {
        __atomic_fetch_sub(&blocks, 1, __ATOMIC_RELAXED);
    }
    return is_new ? counted(moved, CALLER) : moved;
}

void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

void *memalign(size_t alignment, size_t size)
{
    return refuses(CALLER) ? NULL : counted(__libc_memalign(alignment, size), CALLER);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return refuses(CALLER) ? NULL : counted(__libc_memalign(alignment, size), CALLER);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    void *block = refuses(CALLER) ? NULL : counted(__libc_memalign(alignment, size), CALLER);
    if (!block) {
        return ENOMEM;
    }
    *ret_block = block;
    return 0;
}

void free(void *block)
{
    if (block && !is_linker(CALLER)) {
        __atomic_fetch_sub(&blocks, 1, __ATOMIC_RELAXED);
    }
    __libc_free(block);
}

/* ---- for the runner ------------------------------------------------------------------------------------ */

static void arm(uint64_t n)
{
    if (n > 0) {
        __atomic_store_n(&has_failed, false, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&fail_in, n, __ATOMIC_RELAXED);
}

static bool failed(void)
{
    return __atomic_load_n(&has_failed, __ATOMIC_RELAXED);
}

static long held(void)
{
    return __atomic_load_n(&blocks, __ATOMIC_RELAXED);
}

void cease_faults_allocations(void)
{
    static const cease_test_faults faults = {sizeof faults, arm, failed, held};
    cease_test_faults_use(CEASE_TEST_ALLOCATION, &faults);
}

#endif
