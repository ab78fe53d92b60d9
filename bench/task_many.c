/* SPDX-License-Identifier: MIT
 *
 * task_many.c: what a crowd of parked tasks costs: to start, to hold, to end by one cancel. All of
 * them wait for one context, and stacks are 64 KiB apart.
 */
#include "bench.h"

#include <cease/cease.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MILLION = 1000000, TIMES_MAX = 9 };

struct crowd {
    cease_ctx *ctx; /* what all wait for */
    cease_canceler *stop;
    cease_group *group;
    uint64_t count;
    atomic_ulong parked;
};

/* What is asked of a crowd, from a task. */
struct ask {
    uint64_t count;
    unsigned times;
    double started, bytes;                      /* for each task: ns, bytes */
    double called[TIMES_MAX], ended[TIMES_MAX]; /* ns */
};

static cease_error wait_for_end(cease_ctx *ctx, void *arg)
{
    struct crowd *c = arg;
    (void)ctx;
    atomic_fetch_add_explicit(&c->parked, 1, memory_order_relaxed);
    (void)cease_wait(c->ctx);
    return CEASE_OK;
}

/* Resident memory and page tables, in bytes. */
static double footprint(void)
{
    char line[256];
    double sum = 0, kib;
    FILE *status = fopen("/proc/self/status", "re");
    bench_need(status != NULL, "/proc/self/status");
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %lf", &kib) == 1 || sscanf(line, "VmPTE: %lf", &kib) == 1)
            sum += kib * 1024;
    fclose(status);
    return sum;
}

static void crowd_gather(struct crowd *c, uint64_t count)
{
    *c = (struct crowd){.count = count};
    c->ctx = cease_with_cancel(cease_background(), &c->stop);
    c->group = cease_group_new(cease_background(), NULL);
    for (uint64_t i = 0; i < count; i++)
        bench_need(cease_group_go(c->group, wait_for_end, c) == CEASE_OK, "cease_group_go");
    while (atomic_load_explicit(&c->parked, memory_order_relaxed) < count)
        cease_yield();
}

static cease_error answer(cease_ctx *ctx, void *arg)
{
    struct ask *a = arg;
    (void)ctx;
    for (unsigned t = 0; t < a->times; t++) {
        struct crowd c;
        double before = footprint();
        int64_t from = bench_now_ns();
        crowd_gather(&c, a->count);
        if (t == 0) {
            a->started = (double)(bench_now_ns() - from) / (double)a->count;
            a->bytes = (footprint() - before) / (double)a->count;
        }
        from = bench_now_ns();
        cease_cancel(c.stop);
        a->called[t] = (double)(bench_now_ns() - from);
        bench_need(cease_group_wait(c.group) == CEASE_OK, "cease_group_wait");
        a->ended[t] = (double)(bench_now_ns() - from);
        cease_group_free(c.group);
        cease_end(c.stop);
    }
    return CEASE_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct ask asked(uint64_t count, unsigned times)
{
    struct ask a = {.count = count, .times = times};
    setenv("CEASE_STACK", "64K", 1);
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, answer, &a) == CEASE_OK, "cease_group_go");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    qsort(a.called, times, sizeof *a.called, ascending);
    qsort(a.ended, times, sizeof *a.ended, ascending);
    return a;
}

static double spawn_1m(void)
{
    return asked(MILLION, 1).started;
}

static double bytes_1m(void)
{
    return asked(MILLION, 1).bytes;
}

static double cancel_100k(void)
{
    return asked(MILLION / 10, 5).ended[2] / 1e6;
}

static double cancel_1m(void)
{
    return asked(MILLION, 1).called[0] / 1e6;
}

static double cancel_1m_done(void)
{
    return asked(MILLION, 1).ended[0] / 1e6;
}

BENCH_VALUE(task_spawn_1m, spawn_1m, "ns",
            "To start each of a million tasks that park, on new memory?")
BENCH_VALUE(task_bytes_1m, bytes_1m, "B",
            "Memory and page tables of each of a million parked tasks?")
BENCH_VALUE(cancel_100k, cancel_100k, "ms",
            "From a cancel until 100,000 parked tasks have returned?")
BENCH_VALUE(cancel_1m, cancel_1m, "ms", "The call that cancels what a million tasks wait for?")
BENCH_VALUE(cancel_1m_done, cancel_1m_done, "ms", "From that call until all of them have returned?")
