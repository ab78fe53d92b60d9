/* SPDX-License-Identifier: MIT
 *
 * million_test.c: a million tasks that wait at once, ended by one cancel: out to find one that does not return, and
 * memory that is not given back. By itself, because it takes some gigabytes for some seconds.
 */
#include "harness.h"

#include <cease/cease.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MILLION = 1000 * 1000 };

/* Of the whole system, in MiB. */
static long available_mib(void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %ld", &kib) != 1) {
    }
    if (f) {
        fclose(f);
    }
    return kib / 1024;
}

/* What this process has in memory, in MiB. */
static long resident_mib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "%*d %ld", &pages), 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

struct counts {
    atomic_long begun, cancelled;
};

static cease_error wait_for_end(cease_ctx *ctx, void *arg)
{
    struct counts *c = arg;
    atomic_fetch_add_explicit(&c->begun, 1, memory_order_relaxed);
    if (cease_wait(ctx) == CEASE_ECANCELED) {
        atomic_fetch_add_explicit(&c->cancelled, 1, memory_order_relaxed);
    }
    return CEASE_OK;
}

static cease_error start_all(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_group *all = *(cease_group **)arg;
    struct counts *c = ((void **)arg)[1];
    for (int i = 0; i < MILLION; i++) {
        cease_error e = cease_group_go(all, wait_for_end, c);
        if (e != CEASE_OK) {
            return e;
        }
    }
    return CEASE_OK;
}

TEST(million_parked_tasks_all_return_and_their_memory_too)
{
    if (harness_is_slow()) {
        SKIP("an emulator, or a sanitizer with shadow memory for each stack");
    }
    if (available_mib() < 6 * 1024) {
        SKIP("less than 6 GiB of memory are free");
    }
    struct counts c = {0};
    long before = resident_mib();
    setenv("CEASE_STACK", "64K", 1);
    harness_mark();
    cease_group *all = cease_group_new(cease_background(), NULL);
    cease_group *starter = cease_group_new(cease_background(), NULL);
    void *args[2] = {all, &c};
    CHECK_OK(cease_group_go(starter, start_all, args));
    cease_error e = cease_group_wait(starter);
    cease_group_free(starter);
    if (e == CEASE_EAGAIN) {
        cease_group_free(all);
        SKIP("the kernel has no MADV_GUARD_INSTALL, so vm.max_map_count bounds the tasks");
    }
    CHECK_OK(e);
    CHECK_EVENTUALLY(atomic_load(&c.begun) == MILLION);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    cease_runtime_count(&counts);
    CHECK_EQ(counts.tasks, MILLION);
    long during = resident_mib();
    printf("%ld MiB before, %ld MiB while they wait\n", before, during);
    CHECK(during > before + MILLION / 1024 * 4); /* each has a page: they are all there */
    CHECK_OK(cease_group_stop(all));
    cease_group_free(all);
    CHECK_EQ(atomic_load(&c.cancelled), MILLION);
    cease_runtime_count(&counts);
    CHECK_EQ(counts.tasks, 0);
    CHECK_OK(cease_runtime_stop());
    cease_runtime_count(&counts);
    CHECK_EQ(counts.stacks, 0);
    printf("%ld MiB afterwards\n", resident_mib());
    CHECK(resident_mib() < before + 64);
}
