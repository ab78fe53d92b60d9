/* SPDX-License-Identifier: MIT
 *
 * ctx_task.c: what contexts cost where tasks use them: a check and a wait under a deadline, how late
 * a deadline wakes who waits for it, and the one loop of Go's suite that starts goroutines.
 */
#include "bench.h"

#include <cease/cease.h>
#include <stdlib.h>

static cease_ctx *parent(void)
{
    static cease_ctx *ctx;
    if (!ctx) {
        cease_canceler *stop;
        ctx = cease_with_cancel(cease_background(), &stop);
    }
    return ctx;
}

/* Runs fn(arg) in a task and waits for it. */
static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, fn, arg) == CEASE_OK, "cease_group_go");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
}

/* ---- a check and a short park under a timeout ------------------------------------------------- */

static cease_chan *there, *back;

static cease_error echo(cease_ctx *ctx, void *arg)
{
    uint64_t value;
    (void)arg;
    while (cease_chan_recv(ctx, there, &value) == CEASE_OK)
        bench_need(cease_chan_send(ctx, back, &value) == CEASE_OK, "send");
    return CEASE_OK;
}

/* The question fits the channel's buffer, so waiting for the answer is the only park of this side. */
static void ask(cease_ctx *ctx)
{
    uint64_t value = 7;
    bench_need(cease_chan_send(ctx, there, &value) == CEASE_OK, "send");
    bench_need(cease_chan_recv(ctx, back, &value) == CEASE_OK, "recv");
}

static cease_error ask_under_timeouts(cease_ctx *unused, void *arg)
{
    uint64_t n = *(uint64_t *)arg;
    (void)unused;
    cease_group *g = cease_group_new(cease_background(), NULL);
    there = cease_chan_new(sizeof(uint64_t), 1);
    back = cease_chan_new(sizeof(uint64_t), 1);
    bench_need(cease_group_go(g, echo, NULL) == CEASE_OK, "cease_group_go");
    while (n-- > 0) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(parent(), cease_hour(1), &stop);
        bench_need(cease_err(ctx) == CEASE_OK, "an open context");
        ask(ctx);
        cease_cancel(stop);
        cease_end(stop);
    }
    cease_chan_close(there);
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    cease_chan_unref(there);
    cease_chan_unref(back);
    return CEASE_OK;
}

static void timeout_checked(uint64_t n)
{
    in_task(ask_under_timeouts, &n);
}

BENCH(ctx_timeout_checked, timeout_checked,
      "ctx_timeout with a look at the error and a question to another task in between?")

/* ---- how late --------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double p99(int64_t *late, size_t count)
{
    qsort(late, count, sizeof *late, ascending);
    bench_need(late[0] >= 0, "a deadline that is not early");
    return (double)late[count * 99 / 100];
}

enum { ALONE = 400, AT_ONCE = 20000 };

/* 2 to 6 ms apart, so that nothing falls in step. */
static cease_error wait_alone(cease_ctx *unused, void *arg)
{
    int64_t *late = arg;
    (void)unused;
    for (int i = 0; i < ALONE; i++) {
        cease_canceler *stop;
        cease_time due = cease_time_add(cease_now(), cease_us(2000 + i * 37 % 4000));
        cease_ctx *ctx = cease_with_deadline(parent(), due, &stop);
        bench_need(cease_wait(ctx) == CEASE_EDEADLINE, "a deadline");
        late[i] = bench_now_ns() - due.ns;
        cease_end(stop);
    }
    return CEASE_OK;
}

static double late_idle(void)
{
    static int64_t late[ALONE];
    in_task(wait_alone, late);
    return p99(late, ALONE);
}

struct waiter {
    cease_ctx *ctx;
    int64_t due, late;
};

static cease_error wait_one(cease_ctx *unused, void *arg)
{
    struct waiter *w = arg;
    (void)unused;
    bench_need(cease_wait(w->ctx) == CEASE_EDEADLINE, "a deadline");
    w->late = bench_now_ns() - w->due;
    return CEASE_OK;
}

static cease_error wait_at_once(cease_ctx *unused, void *arg)
{
    int64_t *late = arg;
    (void)unused;
    struct waiter *waiters = calloc(AT_ONCE, sizeof *waiters);
    cease_canceler **stops = calloc(AT_ONCE, sizeof *stops);
    bench_need(waiters && stops, "calloc");
    cease_group *g = cease_group_new(cease_background(), NULL);
    cease_time due = cease_time_add(cease_now(), cease_ms(700));
    for (int i = 0; i < AT_ONCE; i++) {
        waiters[i].ctx = cease_with_deadline(parent(), due, &stops[i]);
        waiters[i].due = due.ns;
        bench_need(cease_group_go(g, wait_one, &waiters[i]) == CEASE_OK, "cease_group_go");
    }
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    for (int i = 0; i < AT_ONCE; i++) {
        late[i] = waiters[i].late;
        cease_end(stops[i]);
    }
    free(waiters);
    free(stops);
    return CEASE_OK;
}

static double late_at_once(void)
{
    static int64_t late[3 * AT_ONCE];
    in_task(wait_at_once, late); /* the memory is there from here on */
    for (size_t i = 0; i < 3; i++)
        in_task(wait_at_once, late + i * AT_ONCE);
    return p99(late, 3 * AT_ONCE);
}

struct watched {
    cease_watch watch;
    int64_t due, *late;
};

static void note_lateness(void *arg)
{
    struct watched *w = arg;
    *w->late = bench_now_ns() - w->due;
}

static cease_error watch_at_once(cease_ctx *unused, void *arg)
{
    int64_t *late = arg;
    (void)unused;
    struct watched *watched = calloc(AT_ONCE, sizeof *watched);
    cease_canceler **stops = calloc(AT_ONCE, sizeof *stops);
    bench_need(watched && stops, "calloc");
    cease_time due = cease_time_add(cease_now(), cease_ms(300));
    for (int i = 0; i < AT_ONCE; i++) {
        cease_ctx *ctx = cease_with_deadline(parent(), due, &stops[i]);
        watched[i].due = due.ns;
        watched[i].late = &late[i];
        cease_watch_add(&watched[i].watch, ctx, note_lateness, &watched[i]);
    }
    bench_need(cease_sleep(cease_background(), cease_ms(700)) == CEASE_OK, "cease_sleep");
    for (int i = 0; i < AT_ONCE; i++) {
        bench_need(cease_watch_remove(&watched[i].watch) == CEASE_WATCH_RAN, "the callback");
        cease_end(stops[i]);
    }
    free(watched);
    free(stops);
    return CEASE_OK;
}

static double late_watched(void)
{
    static int64_t late[3 * AT_ONCE];
    in_task(watch_at_once, late); /* the memory is there from here on */
    for (size_t i = 0; i < 3; i++)
        in_task(watch_at_once, late + i * AT_ONCE);
    return p99(late, 3 * AT_ONCE);
}

BENCH_VALUE(ctx_late_20k_watch, late_watched, "ns",
            "The same of 20,000 callbacks, each on its own context, and no task (p99)?")
BENCH_VALUE(ctx_late_idle, late_idle, "ns",
            "How late does a task wake that waits for a deadline, alone (p99 of 400)?")
BENCH_VALUE(ctx_late_20k, late_at_once, "ns",
            "The same of 20,000 tasks, each with its own context, all due at once (p99)?")

/* ---- DeepValueNewGoRoutine -------------------------------------------------------------------- */

static cease_key keys[100], absent = CEASE_KEY("absent");
static cease_ctx *deep;

static cease_error look_up(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    BENCH_KEEP(cease_value(deep, &absent));
    return CEASE_OK;
}

static cease_error look_up_in_tasks(cease_ctx *unused, void *arg)
{
    uint64_t n = *(uint64_t *)arg;
    (void)unused;
    while (n-- > 0)
        in_task(look_up, NULL);
    return CEASE_OK;
}

static void deep_value_new(uint64_t n, int depth)
{
    cease_ctx *chain[100];
    deep = cease_background();
    for (int i = 0; i < depth; i++) {
        keys[i].name = "i";
        deep = chain[i] = cease_with_value(deep, &keys[i], &keys[i]);
    }
    in_task(look_up_in_tasks, &n);
    while (depth-- > 0)
        cease_unref(chain[depth]);
}

#define DEEP_VALUE_NEW(depth)                                                \
    static void deep_value_new_##depth(uint64_t n)                           \
    {                                                                        \
        deep_value_new(n, depth);                                            \
    }                                                                        \
    BENCH(go_suite_deep_value_new_goroutine_##depth, deep_value_new_##depth, \
          "BenchmarkDeepValueNewGoRoutine/depth=" #depth ": a task started and joined for it?")

DEEP_VALUE_NEW(10)
DEEP_VALUE_NEW(20)
DEEP_VALUE_NEW(30)
DEEP_VALUE_NEW(50)
DEEP_VALUE_NEW(100)
