/* SPDX-License-Identifier: MIT
 *
 * ctx.c: what contexts cost. Each bench states its question; bench/go and bench/stop_token.cc ask the
 * same of the peers.
 */
#include "bench.h"

#include <cease/context.h>
#include <cease/hooks.h>
#include <stdlib.h>

/* Every derivation is made from here: open, shared, never ended. */
static cease_ctx *parent(void)
{
    static cease_ctx *ctx;
    if (!ctx) {
        cease_canceler *stop;
        ctx = cease_with_cancel(cease_background(), &stop);
    }
    return ctx;
}

static void cancel_child(uint64_t n)
{
    cease_ctx *up = parent();
    while (n-- > 0) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(up, &stop);
        BENCH_KEEP(ctx);
        cease_cancel(stop);
        cease_end(stop);
    }
}

static void timeout_child(uint64_t n)
{
    cease_ctx *up = parent();
    while (n-- > 0) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(up, cease_hour(1), &stop);
        BENCH_KEEP(ctx);
        cease_cancel(stop);
        cease_end(stop);
    }
}

static void timeout_child_checked(uint64_t n)
{
    cease_ctx *up = parent();
    while (n-- > 0) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(up, cease_hour(1), &stop);
        BENCH_KEEP(cease_err(ctx));
        cease_cancel(stop);
        cease_end(stop);
    }
}

BENCH(ctx_cancel, cancel_child,
      "What does a request cost: derive from a shared open parent, cancel, end and free?")
BENCH(ctx_timeout, timeout_child, "The same with a timeout of one hour that nobody looks at?")
BENCH(ctx_timeout_armed, timeout_child_checked,
      "The same with one look at the error in between, which arms the timer?")

/* ---- two threads, one parent ------------------------------------------------------------------ */

static double two_threads(bench_fn *fn)
{
    const uint64_t n = 200000;
    double best[5];
    parent();
    bench_threads(fn, n, 2);
    for (int i = 0; i < 5; i++) {
        best[i] = (double)bench_threads(fn, n, 2) / (double)(2 * n);
        for (int j = i; j > 0 && best[j] < best[j - 1]; j--) {
            double swap = best[j];
            best[j] = best[j - 1];
            best[j - 1] = swap;
        }
    }
    return best[2];
}

static double cancel_two(void)
{
    return two_threads(cancel_child);
}

static double timeout_two(void)
{
    return two_threads(timeout_child);
}

BENCH_VALUE(ctx_cancel_2t, cancel_two, "ns",
            "ctx_cancel in two threads under one parent: wall time by all operations?")
BENCH_VALUE(ctx_timeout_2t, timeout_two, "ns", "The same with a timeout of one hour?")

/* ---- the check -------------------------------------------------------------------------------- */

static void done_open(uint64_t n)
{
    cease_ctx *ctx = parent();
    while (n-- > 0) {
        bool done = cease_done(ctx);
        BENCH_KEEP(done);
    }
}

static void done_cancelled(uint64_t n)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(parent(), &stop);
    cease_cancel(stop);
    while (n-- > 0) {
        bool done = cease_done(ctx);
        BENCH_KEEP(done);
    }
    cease_end(stop);
}

BENCH(ctx_done_open, done_open, "What does it cost to ask an open context whether it is done?")
BENCH(ctx_done_cancelled, done_cancelled, "And a cancelled one?")

static uint64_t word;

static void locked_add(uint64_t n)
{
    while (n-- > 0)
        __atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
}

BENCH(rmw, locked_add, "What does one uncontended locked operation cost here?")

/* ---- values ----------------------------------------------------------------------------------- */

static cease_key keys[100];

static void value_once(uint64_t n)
{
    cease_ctx *up = parent();
    while (n-- > 0) {
        cease_ctx *ctx = cease_with_value(up, &keys[0], &word);
        BENCH_KEEP(cease_value(ctx, &keys[0]));
        cease_unref(ctx);
    }
}

static cease_ctx *hundred(void)
{
    static cease_ctx *ctx;
    if (!ctx) {
        ctx = parent();
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            keys[i].name = "key";
            ctx = cease_with_value(ctx, &keys[i], &keys[i]);
        }
    }
    return ctx;
}

static void value_hit(uint64_t n)
{
    cease_ctx *ctx = hundred();
    while (n-- > 0)
        BENCH_KEEP(cease_value(ctx, &keys[0]));
}

static void value_miss(uint64_t n)
{
    static cease_key absent = CEASE_KEY("absent");
    cease_ctx *ctx = hundred();
    while (n-- > 0)
        BENCH_KEEP(cease_value(ctx, &absent));
}

BENCH(ctx_value, value_once, "What does it cost to attach a value, look it up once and let go?")
BENCH(ctx_value_hit_100, value_hit, "A lookup of the outermost of 100 values?")
BENCH(ctx_value_miss_100, value_miss, "A lookup under 100 values that finds nothing?")

/* ---- watches ---------------------------------------------------------------------------------- */

static void on_end(void *arg)
{
    BENCH_KEEP(arg);
}

static void watch(uint64_t n)
{
    cease_ctx *ctx = parent();
    while (n-- > 0) {
        cease_watch w;
        cease_watch_add(&w, ctx, on_end, NULL);
        cease_watch_remove(&w);
    }
}

BENCH(ctx_watch, watch, "What does it cost to register a callback and remove it again?")

/* ---- many children ---------------------------------------------------------------------------- */

static double fan_out(size_t count, int rounds)
{
    cease_canceler **stops = malloc(count * sizeof *stops);
    bench_need(stops != NULL, "malloc");
    int64_t took = 0;
    for (int round = 0; round < rounds; round++) {
        cease_canceler *stop;
        cease_ctx *up = cease_with_cancel(cease_background(), &stop);
        for (size_t i = 0; i < count; i++)
            cease_with_cancel(up, &stops[i]);
        int64_t from = bench_now_ns();
        cease_cancel(stop);
        took += bench_now_ns() - from;
        for (size_t i = 0; i < count; i++)
            cease_end(stops[i]);
        cease_end(stop);
    }
    free(stops);
    return (double)took / (double)rounds / (double)count;
}

static double fan_out_1k(void)
{
    fan_out(1000, 10);
    return fan_out(1000, 200);
}

static double fan_out_1m(void)
{
    return fan_out(1000000, 3);
}

BENCH_VALUE(ctx_fanout_1k, fan_out_1k, "ns", "Cancelling a parent of 1,000: by child?")
BENCH_VALUE(ctx_fanout_1m, fan_out_1m, "ns", "Cancelling a parent of a million: by child?")

static void depth(uint64_t n)
{
    cease_canceler *stops[1000];
    while (n-- > 0) {
        cease_ctx *ctx = parent();
        for (size_t i = 0; i < 1000; i++)
            ctx = cease_with_cancel(ctx, &stops[i]);
        cease_cancel(stops[0]);
        for (size_t i = 1000; i-- > 0;)
            cease_end(stops[i]);
    }
}

BENCH(ctx_depth_1k, depth, "Building, cancelling and freeing a chain of 1,000?")

/* Cancelling alone, as for ctx_fanout; the ends that follow are not counted. */
static double depth_1m(void)
{
    enum { COUNT = 1000000, TIMES = 3 };
    cease_canceler **stops = malloc(COUNT * sizeof *stops);
    bench_need(stops != NULL, "malloc");
    int64_t took = 0;
    for (int t = 0; t < TIMES; t++) {
        cease_ctx *ctx = parent();
        for (size_t i = 0; i < COUNT; i++)
            ctx = cease_with_cancel(ctx, &stops[i]);
        int64_t from = bench_now_ns();
        cease_cancel(stops[0]);
        took += bench_now_ns() - from;
        bench_need(cease_done(ctx), "the deepest to be done");
        for (size_t i = COUNT; i-- > 0;)
            cease_end(stops[i]);
    }
    free(stops);
    return (double)took / TIMES / COUNT;
}

BENCH_VALUE(ctx_depth_1m, depth_1m, "ns", "Cancelling a chain of a million: by level?")

static double bytes(cease_dur timeout)
{
    enum { COUNT = 1000000 };
    cease_canceler **stops = calloc(COUNT, sizeof *stops);
    bench_need(stops != NULL, "calloc");
    for (size_t i = 0; i < COUNT; i++)
        stops[i] = (cease_canceler *)(void *)stops; /* its pages are there before */
    cease_ctx *up = parent();
    double before = bench_resident();
    for (size_t i = 0; i < COUNT; i++)
        if (timeout.ns != INT64_MAX)
            cease_with_timeout(up, timeout, &stops[i]);
        else
            cease_with_cancel(up, &stops[i]);
    return (bench_resident() - before) / COUNT;
}

static double bytes_cancel(void)
{
    return bytes(CEASE_FOREVER);
}

static double bytes_timeout(void)
{
    return bytes(cease_hour(1));
}

BENCH_VALUE(ctx_bytes, bytes_cancel, "bytes", "Resident memory by live child, a million of them?")
BENCH_VALUE(ctx_bytes_timeout, bytes_timeout, "bytes", "The same with a timeout each?")
