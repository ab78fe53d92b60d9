/* SPDX-License-Identifier: MIT
 *
 * task.c: what tasks and channels cost. The measured loop runs in a task, as it would in a server.
 */
#include "bench.h"

#include <cease/cease.h>

/* Runs fn(n) in a task and waits for it. */
struct in_task {
    bench_fn *fn;
    uint64_t n;
};

static cease_error run_in_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    struct in_task *t = arg;
    t->fn(t->n);
    return CEASE_OK;
}

static void in_task(bench_fn *fn, uint64_t n)
{
    struct in_task t = {fn, n};
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, run_in_task, &t) == CEASE_OK, "cease_group_go");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
}

static cease_error nothing(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_OK;
}

/* ---- starting and joining --------------------------------------------------------------------- */

static void spawn_one(uint64_t n)
{
    while (n-- > 0) {
        cease_group *g = cease_group_new(cease_background(), NULL);
        bench_need(cease_group_go(g, nothing, NULL) == CEASE_OK, "cease_group_go");
        bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
        cease_group_free(g);
    }
}

static void spawn_batch(uint64_t n)
{
    while (n > 0) {
        uint64_t batch = n < 1000 ? n : 1000;
        n -= batch;
        cease_group *g = cease_group_new(cease_background(), NULL);
        while (batch-- > 0)
            bench_need(cease_group_go(g, nothing, NULL) == CEASE_OK, "cease_group_go");
        bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
        cease_group_free(g);
    }
}

static cease_error yield_often(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    for (uint64_t n = *(uint64_t *)arg; n > 0; n--)
        cease_yield();
    return CEASE_OK;
}

/* Two in turn, so that each yield is a switch to another stack. */
static void yield(uint64_t n)
{
    uint64_t half = n / 2 + 1;
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 2; i++)
        bench_need(cease_group_go(g, yield_often, &half) == CEASE_OK, "cease_group_go");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
}

static void task_spawn(uint64_t n)
{
    in_task(spawn_one, n);
}

static void task_spawn_batch(uint64_t n)
{
    in_task(spawn_batch, n);
}

static void task_yield(uint64_t n)
{
    in_task(yield, n);
}

BENCH(task_spawn, task_spawn, "What does it cost a task to start another and join it?")
BENCH(task_spawn_batch, task_spawn_batch, "The same, 1,000 started before they are joined?")
BENCH(task_yield, task_yield, "One switch from a task to another and back, each way?")

/* ---- channels --------------------------------------------------------------------------------- */

static cease_chan *there, *back;
static cease_ctx *messages_ctx;

static cease_error echo(cease_ctx *ctx, void *arg)
{
    uint64_t n = *(uint64_t *)arg, value;
    (void)ctx;
    while (n-- > 0) {
        bench_need(cease_chan_recv(messages_ctx, there, &value) == CEASE_OK, "recv");
        bench_need(cease_chan_send(messages_ctx, back, &value) == CEASE_OK, "send");
    }
    return CEASE_OK;
}

/* n messages: half of them there, half back. */
static void ping_pong(uint64_t n)
{
    uint64_t rounds = n / 2 + 1, value = 7;
    there = cease_chan_new(sizeof value, 0);
    back = cease_chan_new(sizeof value, 0);
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, echo, &rounds) == CEASE_OK, "cease_group_go");
    for (uint64_t i = 0; i < rounds; i++) {
        bench_need(cease_chan_send(messages_ctx, there, &value) == CEASE_OK, "send");
        bench_need(cease_chan_recv(messages_ctx, back, &value) == CEASE_OK, "recv");
    }
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    cease_chan_unref(there);
    cease_chan_unref(back);
}

static void chan_pingpong(uint64_t n)
{
    messages_ctx = cease_background();
    in_task(ping_pong, n);
}

static void chan_pingpong_ctx(uint64_t n)
{
    cease_canceler *stop;
    messages_ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    in_task(ping_pong, n);
    cease_end(stop);
}

static cease_error drain(cease_ctx *unused, void *arg)
{
    uint64_t n = *(uint64_t *)arg, value;
    cease_ctx *ctx = cease_background();
    (void)unused;
    while (n-- > 0)
        bench_need(cease_chan_recv(ctx, there, &value) == CEASE_OK, "recv");
    return CEASE_OK;
}

static void fill(uint64_t n)
{
    uint64_t value = 7;
    cease_ctx *ctx = cease_background();
    there = cease_chan_new(sizeof value, 128);
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, drain, &n) == CEASE_OK, "cease_group_go");
    for (uint64_t i = 0; i < n; i++)
        bench_need(cease_chan_send(ctx, there, &value) == CEASE_OK, "send");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    cease_chan_unref(there);
}

static void chan_buffered(uint64_t n)
{
    in_task(fill, n);
}

/* ---- select ----------------------------------------------------------------------------------- */

static cease_chan *four[4];

static cease_error send_in_turn(cease_ctx *unused, void *arg)
{
    uint64_t n = *(uint64_t *)arg, value = 7;
    cease_ctx *ctx = cease_background();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        bench_need(cease_chan_send(ctx, four[i & 3], &value) == CEASE_OK, "send");
    return CEASE_OK;
}

static void select_among(uint64_t n)
{
    uint64_t value;
    size_t fired;
    cease_case cases[4];
    for (int i = 0; i < 4; i++) {
        four[i] = cease_chan_new(sizeof value, 0);
        cases[i] = (cease_case)CEASE_RECV(four[i], &value);
    }
    cease_group *g = cease_group_new(cease_background(), NULL);
    bench_need(cease_group_go(g, send_in_turn, &n) == CEASE_OK, "cease_group_go");
    for (uint64_t i = 0; i < n; i++)
        bench_need(cease_select(cease_background(), cases, 4, &fired) == CEASE_OK, "select");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
    for (int i = 0; i < 4; i++)
        cease_chan_unref(four[i]);
}

static void select_4(uint64_t n)
{
    in_task(select_among, n);
}

BENCH(select_4, select_4, "A message on one of four unbuffered channels, to who selects over them?")
BENCH(chan_pingpong, chan_pingpong, "One way through an unbuffered channel between two tasks?")
BENCH(chan_pingpong_ctx, chan_pingpong_ctx, "The same under a context that has a deadline?")
BENCH(chan_buffered, chan_buffered, "One message through a buffer of 128?")
