/* SPDX-License-Identifier: MIT
 *
 * go_suite.c: the loops of Go's own context/benchmark_test.go, in C; bench/go/suite.go has them in
 * Go. What Go leaves to its collector is ended and freed inside the loop here; what runs in
 * b.RunParallel runs in as many threads as this process has processors.
 *
 * DeepValueNewGoRoutine needs tasks and is in ctx_task.c.
 */
#include "bench.h"

#include <cease/context.h>
#include <sched.h>
#include <stdlib.h>

enum { DEPTH_MAX = 1000 };

/* b.RunParallel */
static void parallel(bench_fn *fn, uint64_t n)
{
    cpu_set_t set;
    bench_need(sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
    int count = CPU_COUNT(&set) < 16 ? CPU_COUNT(&set) : 16;
    if (count == 1)
        fn(n);
    else
        bench_threads(fn, n / (uint64_t)count + 1, count);
}

/* ---- CommonParentCancel ----------------------------------------------------------------------- */

static cease_key key = CEASE_KEY("key");
static char value[] = "value";
static cease_ctx *shared;

/* `for i := 0; i < 100; i++ { x /= x + 1 }`: Go's compiler drops the division, whose result nobody
 * uses, and keeps the loop (go tool objdump shows it); ours would drop both. */
static void empty_loop(void)
{
    for (int i = 0; i < 100; i++)
        __asm__ __volatile__("");
}

static void common_parent_loop(uint64_t n)
{
    while (n-- > 0) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(shared, &stop);
        if (cease_value(ctx, &key) != value)
            bench_need(false, "the value");
        empty_loop();
        cease_cancel(stop);
        empty_loop();
        cease_end(stop);
    }
}

static void common_parent(uint64_t n)
{
    cease_canceler *stop;
    cease_ctx *root = cease_with_value(cease_background(), &key, value);
    shared = cease_with_cancel(root, &stop);
    parallel(common_parent_loop, n);
    cease_end(stop);
    cease_unref(root);
}

static void empty_loops(uint64_t n)
{
    while (n-- > 0) {
        empty_loop();
        empty_loop();
    }
}

BENCH(go_suite_common_parent_cancel, common_parent,
      "BenchmarkCommonParentCancel: a child of a shared parent, a lookup, two empty loops?")
BENCH(go_empty_loops, empty_loops, "What do the two empty loops of that cost alone?")

/* ---- WithTimeout ------------------------------------------------------------------------------ */

static void with_timeout_loop(uint64_t n)
{
    cease_ctx *root = cease_background();
    while (n-- > 0) {
        cease_canceler *stops[10];
        for (int i = 0; i < 10; i++)
            cease_with_timeout(root, cease_hour(1), &stops[i]);
        for (int i = 0; i < 10; i++) {
            cease_cancel(stops[i]);
            cease_end(stops[i]);
        }
    }
}

static void with_timeout(uint64_t n)
{
    parallel(with_timeout_loop, n);
}

static double with_timeout_beside(size_t count)
{
    cease_canceler **stops = malloc(count * sizeof *stops);
    bench_need(stops != NULL, "malloc");
    for (size_t i = 0; i < count; i++)
        cease_with_timeout(cease_background(), cease_hour(1), &stops[i]);
    double ns = bench_measure(with_timeout);
    for (size_t i = 0; i < count; i++)
        cease_end(stops[i]);
    free(stops);
    return ns;
}

#define WITH_TIMEOUT(count)                                                \
    static double with_timeout_##count(void)                               \
    {                                                                      \
        return with_timeout_beside(count);                                 \
    }                                                                      \
    BENCH_VALUE(go_suite_with_timeout_##count, with_timeout_##count, "ns", \
                "BenchmarkWithTimeout/concurrency=" #count                 \
                ": ten timeouts of an hour made, then cancelled?")

WITH_TIMEOUT(40)
WITH_TIMEOUT(4000)
WITH_TIMEOUT(400000)

/* ---- CancelTree ------------------------------------------------------------------------------- */

static void build_tree(cease_ctx *root, cease_canceler **ret_stops, int depth)
{
    for (int d = 0; d < depth; d++)
        root = cease_with_cancel(root, &ret_stops[d]);
}

static void end_tree(cease_canceler **stops, int depth)
{
    while (depth-- > 0)
        cease_end(stops[depth]);
}

static void tree_background(uint64_t n, int depth)
{
    cease_canceler *stops[DEPTH_MAX];
    while (n-- > 0) {
        build_tree(cease_background(), stops, depth);
        end_tree(stops, depth);
    }
}

static void tree_open(uint64_t n, int depth)
{
    cease_canceler *stops[DEPTH_MAX], *stop;
    while (n-- > 0) {
        build_tree(cease_with_cancel(cease_background(), &stop), stops, depth);
        cease_cancel(stop);
        end_tree(stops, depth);
        cease_end(stop);
    }
}

static void tree_closed(uint64_t n, int depth)
{
    cease_canceler *stops[DEPTH_MAX], *stop;
    while (n-- > 0) {
        cease_ctx *root = cease_with_cancel(cease_background(), &stop);
        cease_cancel(stop);
        build_tree(root, stops, depth);
        end_tree(stops, depth);
        cease_end(stop);
    }
}

#define CANCEL_TREE(root, depth, root_name)                             \
    static void tree_##root##_##depth(uint64_t n)                       \
    {                                                                   \
        tree_##root(n, depth);                                          \
    }                                                                   \
    BENCH(go_suite_cancel_tree_##root##_##depth, tree_##root##_##depth, \
          "BenchmarkCancelTree/depth=" #depth "/Root=" root_name ", and freed?")

CANCEL_TREE(background, 1, "Background")
CANCEL_TREE(background, 10, "Background")
CANCEL_TREE(background, 100, "Background")
CANCEL_TREE(background, 1000, "Background")
CANCEL_TREE(open, 1, "OpenCanceler")
CANCEL_TREE(open, 10, "OpenCanceler")
CANCEL_TREE(open, 100, "OpenCanceler")
CANCEL_TREE(open, 1000, "OpenCanceler")
CANCEL_TREE(closed, 1, "ClosedCanceler")
CANCEL_TREE(closed, 10, "ClosedCanceler")
CANCEL_TREE(closed, 100, "ClosedCanceler")
CANCEL_TREE(closed, 1000, "ClosedCanceler")

/* ---- CheckCanceled, ContextCancelDone, ErrOK, ErrCanceled ------------------------------------- */

static void check_err(uint64_t n)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    while (n-- > 0)
        BENCH_KEEP(cease_err(ctx));
    cease_end(stop);
}

static void check_done(uint64_t n)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    while (n-- > 0) {
        bool done = cease_done(ctx);
        BENCH_KEEP(done);
    }
    cease_end(stop);
}

static void cancel_done_loop(uint64_t n)
{
    cease_ctx *ctx = shared;
    while (n-- > 0) {
        bool done = cease_done(ctx);
        BENCH_KEEP(done);
    }
}

static void cancel_done(uint64_t n)
{
    cease_canceler *stop;
    shared = cease_with_cancel(cease_background(), &stop);
    parallel(cancel_done_loop, n);
    cease_end(stop);
}

static void err_ok(uint64_t n)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    while (n-- > 0)
        if (cease_err(ctx) != CEASE_OK)
            bench_need(false, "an open context");
    cease_end(stop);
}

static void err_canceled(uint64_t n)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    while (n-- > 0)
        if (cease_err(ctx) == CEASE_OK)
            bench_need(false, "a cancelled context");
    cease_end(stop);
}

BENCH(go_suite_check_canceled_err, check_err, "BenchmarkCheckCanceled/Err?")
BENCH(go_suite_check_canceled_done, check_done, "BenchmarkCheckCanceled/Done?")
BENCH(go_suite_context_cancel_done, cancel_done, "BenchmarkContextCancelDone: of an open one?")
BENCH(go_suite_err_ok, err_ok, "BenchmarkErrOK?")
BENCH(go_suite_err_canceled, err_canceled, "BenchmarkErrCanceled?")

/* ---- DeepValueSameGoRoutine ------------------------------------------------------------------- */

static cease_key keys[100], absent = CEASE_KEY("absent");

static void deep_value(uint64_t n, int depth)
{
    cease_ctx *chain[100], *ctx = cease_background();
    for (int i = 0; i < depth; i++) {
        keys[i].name = "i";
        ctx = chain[i] = cease_with_value(ctx, &keys[i], &keys[i]);
    }
    while (n-- > 0)
        BENCH_KEEP(cease_value(ctx, &absent));
    while (depth-- > 0)
        cease_unref(chain[depth]);
}

#define DEEP_VALUE(depth)                                                 \
    static void deep_value_##depth(uint64_t n)                            \
    {                                                                     \
        deep_value(n, depth);                                             \
    }                                                                     \
    BENCH(go_suite_deep_value_same_goroutine_##depth, deep_value_##depth, \
          "BenchmarkDeepValueSameGoRoutine/depth=" #depth "?")

DEEP_VALUE(10)
DEEP_VALUE(20)
DEEP_VALUE(30)
DEEP_VALUE(50)
DEEP_VALUE(100)
