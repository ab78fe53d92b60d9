/* SPDX-License-Identifier: MIT
 *
 * task_wake.c: how long it takes until somebody runs who was woken: by a cancel on the same worker, by
 * one on another, which spins or sleeps; and messages between two workers.
 */
#include "bench.h"

#include <cease/cease.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { SHORT_GAPS = 20000, LONG_GAPS = 1000 };

/* One woken by another, again and again. */
struct relay {
    cease_chan *next;       /* contexts to wait for; NULL: no more */
    atomic_llong ran;       /* when the woken one ran; 0: not yet  */
    atomic_bool is_started; /* on its worker                       */
    int count;
    int64_t *took;
    void (*gap)(void);
    double p50;
};

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static cease_error wait_and_tell(cease_ctx *unused, void *arg)
{
    struct relay *r = arg;
    cease_ctx *ctx;
    (void)unused;
    atomic_store(&r->is_started, true);
    for (;;) {
        bench_need(cease_chan_recv(cease_background(), r->next, &ctx) == CEASE_OK, "recv");
        if (!ctx)
            return CEASE_OK;
        (void)cease_wait(ctx);
        atomic_store(&r->ran, bench_now_ns());
    }
}

static void let_run_here(struct relay *r)
{
    while (atomic_load(&r->ran) == 0)
        cease_yield();
}

static void let_run_elsewhere(struct relay *r)
{
    while (atomic_load(&r->ran) == 0) {
    }
}

static void no_gap(void)
{
    cease_yield(); /* it parks meanwhile */
}

static void spin_gap(void)
{
    for (int64_t from = bench_now_ns(); bench_now_ns() - from < 10000;) {
    }
}

static void sleep_gap(void)
{
    bench_need(cease_sleep(cease_background(), cease_ms(1)) == CEASE_OK, "sleep");
}

static cease_error cancel_again_and_again(cease_ctx *unused, void *arg)
{
    struct relay *r = arg;
    bool here = r->gap == no_gap;
    (void)unused;
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, wait_and_tell, r) == CEASE_OK, "cease_group_go");
    while (!here && !atomic_load(&r->is_started)) { /* an idle worker takes it */
    }
    cease_ctx *none = NULL;
    for (int i = 0; i < r->count; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        bench_need(cease_chan_send(cease_background(), r->next, &ctx) == CEASE_OK, "send");
        r->gap();
        atomic_store(&r->ran, 0);
        int64_t from = bench_now_ns();
        cease_cancel(stop);
        (here ? let_run_here : let_run_elsewhere)(r);
        r->took[i] = atomic_load(&r->ran) - from;
        cease_end(stop);
    }
    bench_need(cease_chan_send(cease_background(), r->next, &none) == CEASE_OK, "send");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    return CEASE_OK;
}

static double relay(const char *workers, int count, void (*gap)(void))
{
    struct relay r = {.count = count, .gap = gap};
    setenv("CEASE_WORKERS", workers, 1);
    r.took = calloc((size_t)count, sizeof *r.took);
    r.next = cease_chan_new(sizeof(cease_ctx *), 0);
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, cancel_again_and_again, &r) == CEASE_OK, "cease_group_go");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    cease_chan_unref(r.next);
    qsort(r.took, (size_t)count, sizeof *r.took, ascending);
    r.p50 = (double)r.took[count / 2];
    free(r.took);
    return r.p50;
}

static double wake_here(void)
{
    return relay("1", SHORT_GAPS, no_gap);
}

static double wake_other(void)
{
    return relay("2", SHORT_GAPS, spin_gap);
}

static double wake_other_idle(void)
{
    return relay("2", LONG_GAPS, sleep_gap);
}

BENCH_VALUE(cancel_wake, wake_here, "ns",
            "From a cancel until a task on the same worker runs that waited for it (p50)?")
BENCH_VALUE(cancel_wake_other, wake_other, "ns",
            "The same on another worker, idle for 10 us (p50)?")
BENCH_VALUE(cancel_wake_other_idle, wake_other_idle, "ns",
            "The same on another worker, idle for 1 ms (p50)?")

/* ---- messages between two workers ------------------------------------------------------------- */

enum { MESSAGES = 100000, TIMES = 9 };

static cease_chan *there, *back;
static atomic_bool is_elsewhere;

static cease_error echo(cease_ctx *ctx, void *unused)
{
    uint64_t value;
    (void)unused;
    atomic_store(&is_elsewhere, true);
    for (int i = 0; i < MESSAGES / 2; i++) {
        bench_need(cease_chan_recv(ctx, there, &value) == CEASE_OK, "recv");
        bench_need(cease_chan_send(ctx, back, &value) == CEASE_OK, "send");
    }
    return CEASE_OK;
}

/* From when the other is on its worker, which takes some ms: an idle worker looks for new tasks now and then. */
static cease_error ping_pong(cease_ctx *ctx, void *ret_took)
{
    uint64_t value = 7;
    cease_group *g = cease_group_new(cease_background(), NULL);
    atomic_store(&is_elsewhere, false);
    bench_need(cease_group_go(g, echo, NULL) == CEASE_OK, "cease_group_go");
    while (!atomic_load(&is_elsewhere)) {
    }
    int64_t from = bench_now_ns();
    for (int i = 0; i < MESSAGES / 2; i++) {
        bench_need(cease_chan_send(ctx, there, &value) == CEASE_OK, "send");
        bench_need(cease_chan_recv(ctx, back, &value) == CEASE_OK, "recv");
    }
    *(int64_t *)ret_took = bench_now_ns() - from;
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    return CEASE_OK;
}

static double two_workers(void)
{
    int64_t took[TIMES];
    setenv("CEASE_WORKERS", "2", 1);
    there = cease_chan_new(sizeof(uint64_t), 0);
    back = cease_chan_new(sizeof(uint64_t), 0);
    for (int i = 0; i < TIMES; i++) {
        cease_group *g = cease_group_new(cease_background(), NULL);
        bench_need(cease_group_go(g, ping_pong, &took[i]) == CEASE_OK, "cease_group_go");
        bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
        cease_group_free(g);
    }
    qsort(took, TIMES, sizeof *took, ascending);
    cease_chan_unref(there);
    cease_chan_unref(back);
    return (double)took[TIMES / 2] / MESSAGES;
}

BENCH_VALUE(chan_pingpong_2w, two_workers, "ns",
            "One way through an unbuffered channel between two workers?")
