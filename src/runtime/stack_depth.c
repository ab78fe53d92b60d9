/* SPDX-License-Identifier: MIT
 *
 * stack_depth.c: under CEASE_DEBUG, how deep the tasks of each birthplace have gone in their stacks.
 *
 * A stack begins as zeroes, and here it ends as zeroes, too: when a task has returned, the lowest word that is
 * not 0 is where it has been, and everything below the current frame is given back or cleared. So a task costs some
 * system calls more, and every task begins on cold memory. (A frame that was reserved and never written is
 * not seen; nor is anything under AddressSanitizer and Valgrind, which mind.)
 *
 * The figures are told at the end of the process: to who hears reports, else with CEASE_DEBUG=stack to stderr.
 */
#include "base/lock.h"
#include "runtime/fiber.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLACES_MAX = 256, PAGES = 64, OWN_FRAMES = 1024 };

static struct {
    struct ceasei_lock lock;
    struct mark {
        const cease_place *place;
        size_t deepest, size, tasks;
    } marks[PLACES_MAX]; /* under lock */
    size_t used;         /* under lock; a place that comes when all are in use is left out */
} table;

static void note(const struct ceasei_task *task, size_t depth, size_t size)
{
    ceasei_lock(&table.lock);
    size_t i = 0;
    while (i < table.used && table.marks[i].place != task->place) {
        i++;
    }
    if (i < PLACES_MAX) {
        struct mark *m = &table.marks[i];
        table.used = i == table.used ? i + 1 : table.used;
        m->place = task->place;
        m->size = size;
        m->tasks++;
        m->deepest = depth > m->deepest ? depth : m->deepest;
    }
    ceasei_unlock(&table.lock);
}

/* The lowest page between the two that is in memory; `end` when none is. */
static char *first_resident(char *bottom, char *end, size_t page)
{
    unsigned char in_memory[PAGES];
    while (bottom < end) {
        size_t left = (size_t)(end - bottom) / page, n = left < PAGES ? left : PAGES;
        if (mincore(bottom, n * page, in_memory) != 0) {
            return end;
        }
        for (size_t i = 0; i < n; i++) {
            if (in_memory[i] & 1) {
                return bottom + i * page;
            }
        }
        bottom += n * page;
    }
    return end;
}

__attribute__((noinline)) void ceasei_stack_depth_end(struct ceasei_task *task)
{
    struct ceasei_stack_bounds b = ceasei_stack_bounds(task);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
#if defined(CEASEI_ASAN)
    return;
#endif
    if (ceasei_fiber_in_valgrind()) {
        return;
    }
    /* Below the frames of this function and of what it calls. */
    char *here = (char *)__builtin_frame_address(0) - OWN_FRAMES;
    char *last = (char *)((uintptr_t)here & ~(uintptr_t)(page - 1));
    if (last < b.bottom) {
        return;
    }
    const uint64_t *at = (const uint64_t *)(void *)first_resident(b.bottom, last, page);
    while ((const char *)at < here && *at == 0) {
        at++;
    }
    note(task, (size_t)(b.top - (const char *)at), (size_t)(b.top - b.bottom));
    (void)madvise(b.bottom, (size_t)(last - b.bottom), MADV_DONTNEED);
    for (volatile char *p = last; p < here; p++) { /* not by a call: its frame would be in there */
        *p = 0;
    }
}

void ceasei_stack_depth_exit(void)
{
    const char *wanted = secure_getenv("CEASE_DEBUG");
    bool to_stderr = wanted && strcmp(wanted, "stack") == 0;
    for (size_t i = 0;; i++) {
        char text[128];
        ceasei_lock(&table.lock); /* a worker may have been left running */
        struct mark one = i < table.used ? table.marks[i] : (struct mark){0}, *m = &one;
        ceasei_unlock(&table.lock);
        const cease_place *p = m->place;
        if (!p) {
            return;
        }
        snprintf(text, sizeof text, "%zu task%s started here used at most %zu of %zu KiB of stack",
                 m->tasks, m->tasks == 1 ? "" : "s", (m->deepest + 1023) >> 10, m->size >> 10);
        if (!ceasei_runtime_report(&(cease_report){CEASE_REPORT_STACK, text, p, 0}) && to_stderr) {
            dprintf(STDERR_FILENO, "cease: %s:%d: %s: %s\n", p->file, p->line, p->function, text);
        }
    }
}
