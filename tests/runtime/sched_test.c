/* SPDX-License-Identifier: MIT
 *
 * sched_test.c: storms. Sets out to lose a wake-up, a task or a stack: many tasks, started from
 * everywhere, woken from other workers and from plain threads, on one worker and on several.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/chan.h>
#include <cease/group.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libc keeps the string for ever: that is not a leak. */
static void set_env(const char *name, const char *value)
{
    CHECK_EQ(setenv(name, value, 1), 0);
    harness_mark();
}

static int scale(int n)
{
    return harness_is_slow() ? n / 50 : n;
}

static void use_workers(const char *count)
{
    set_env("CEASE_WORKERS", count);
}

static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, arg));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static cease_error count_one(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((atomic_long *)arg, 1, memory_order_relaxed);
    return CEASE_OK;
}

static cease_error count_and_wait(cease_ctx *ctx, void *arg)
{
    atomic_fetch_add((atomic_long *)arg, 1);
    (void)cease_wait(ctx);
    return CEASE_OK;
}

/* ---- many ----------------------------------------------------------------------------------- */

TEST(sched_a_hundred_thousand_parked_tasks_all_return)
{
    long n = harness_is_slow() ? 2000 : 100000;
    atomic_long count = 0;
    set_env("CEASE_STACK", "64K");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (long i = 0; i < n; i++) {
        CHECK_OK(cease_group_go(g, count_and_wait, &count));
    }
    CHECK_EVENTUALLY(atomic_load(&count) == n);
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    CHECK_EQ(c.tasks, n);
    CHECK(c.stacks >= (size_t)n);
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
}

static cease_error spawn_and_join(cease_ctx *ctx, void *arg)
{
    for (int i = 0; i < scale(20000); i++) {
        cease_group *g = cease_group_new(ctx, NULL);
        CHECK_OK(cease_group_go(g, count_one, arg));
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
    }
    return CEASE_OK;
}

static void storm(const char *workers)
{
    atomic_long count = 0;
    use_workers(workers);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(cease_group_go(g, spawn_and_join, &count));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(atomic_load(&count), 8L * scale(20000));
}

TEST(sched_spawn_and_join_storm_on_one_worker)
{
    storm("1");
}

TEST(sched_spawn_and_join_storm_on_four_workers)
{
    storm("4");
}

/* More un-started tasks at a time than a ring holds. */
static cease_error spawn_many(cease_ctx *ctx, void *arg)
{
    for (int round = 0; round < scale(200) + 2; round++) {
        cease_group *g = cease_group_new(ctx, NULL);
        for (int i = 0; i < 1000; i++) {
            CHECK_OK(cease_group_go(g, count_one, arg));
        }
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
    }
    return CEASE_OK;
}

TEST(sched_more_new_tasks_than_a_ring_holds)
{
    atomic_long count = 0;
    use_workers("3");
    in_task(spawn_many, &count);
    CHECK_EQ(atomic_load(&count), 1000L * (scale(200) + 2));
}

struct threads_arg {
    cease_group *group;
    atomic_long *count;
};

static void *spawn_from_thread(void *arg)
{
    struct threads_arg *a = arg;
    for (int i = 0; i < scale(1000); i++) {
        CHECK_OK(cease_group_go(a->group, count_one, a->count));
    }
    return NULL;
}

TEST(sched_plain_threads_start_tasks_at_once)
{
    atomic_long count = 0;
    pthread_t threads[4];
    struct threads_arg arg = {cease_group_new(cease_background(), NULL), &count};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, spawn_from_thread, &arg), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_OK(cease_group_wait(arg.group));
    CHECK_EQ(atomic_load(&count), 4L * scale(1000));
    cease_group_free(arg.group);
}

/* ---- order ---------------------------------------------------------------------------------- */

struct order {
    int *log, *count, mine;
};

static cease_error log_twice(cease_ctx *ctx, void *arg)
{
    struct order *o = arg;
    (void)ctx;
    o->log[(*o->count)++] = o->mine;
    cease_yield();
    o->log[(*o->count)++] = o->mine + 1000;
    return CEASE_OK;
}

static cease_error start_in_order(cease_ctx *ctx, void *arg)
{
    enum { N = 700 }; /* beyond what a ring holds */
    static int log[2 * N];
    static struct order orders[N];
    int count = 0;
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < N; i++) {
        orders[i] = (struct order){log, &count, i};
        CHECK_OK(cease_group_go(g, log_twice, &orders[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(log[i], i);
        CHECK_EQ(log[N + i], i + 1000);
    }
    return CEASE_OK;
}

TEST(sched_one_worker_runs_in_the_order_of_becoming_ready)
{
    use_workers("1");
    in_task(start_in_order, NULL);
}

static cease_error set_flag(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    *(bool *)arg = true;
    return CEASE_OK;
}

static cease_error yield_once(cease_ctx *ctx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        bool ran = false;
        CHECK_OK(cease_go(ctx, set_flag, &ran));
        CHECK(!ran);
        cease_yield();
        CHECK(ran);
    }
    return CEASE_OK;
}

TEST(sched_yield_lets_everybody_ready_run)
{
    use_workers("1");
    in_task(yield_once, NULL);
}

/* Two that never stop being ready must not keep a new one, a timer or a wake from outside away. */
static cease_error yield_until(cease_ctx *ctx, void *arg)
{
    (void)arg;
    while (!cease_done(ctx)) {
        cease_yield();
    }
    return CEASE_OK;
}

static cease_error need_attention(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_sleep(ctx, cease_ms(2)));
    bool ran = false;
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(g, set_flag, &ran));
    CHECK_OK(cease_group_wait(g));
    CHECK(ran);
    cease_group_free(g);
    return CEASE_OK;
}

TEST(sched_tasks_that_never_park_do_not_starve_others)
{
    use_workers("1");
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_group *busy = cease_group_new(ctx, NULL);
    cease_group *needy = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(busy, yield_until, NULL));
    CHECK_OK(cease_group_go(busy, yield_until, NULL));
    CHECK_OK(cease_group_go(needy, need_attention, NULL));
    CHECK_OK(cease_group_wait(needy));
    cease_end(stop);
    CHECK_OK(cease_group_wait(busy));
    cease_group_free(busy);
    cease_group_free(needy);
}

/* Operations that are always ready: whoever makes them gets no more than a turn. */
static cease_error send_and_receive_until(cease_ctx *ctx, void *arg)
{
    int value = 0;
    cease_chan *ch = cease_chan_new(sizeof value, 1);
    while (!atomic_load((atomic_bool *)arg)) {
        CHECK_OK(cease_chan_send(ctx, ch, &value));
        CHECK_OK(cease_chan_recv(ctx, ch, &value));
    }
    cease_chan_unref(ch);
    return CEASE_OK;
}

static cease_error select_until(cease_ctx *ctx, void *arg)
{
    int value = 0;
    size_t fired;
    cease_chan *ch = cease_chan_new(sizeof value, 0);
    cease_chan_close(ch);
    cease_case one = CEASE_RECV(ch, &value);
    while (!atomic_load((atomic_bool *)arg)) {
        CHECK_OK(cease_select(ctx, &one, 1, &fired));
    }
    cease_chan_unref(ch);
    return CEASE_OK;
}

static cease_error set_over(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_store((atomic_bool *)arg, true);
    return CEASE_OK;
}

static void with_one_always_ready(cease_task_fn *always_ready)
{
    use_workers("1");
    atomic_bool over = false;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, always_ready, &over));
    CHECK_OK(cease_group_go(g, set_over, &over));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(sched_channels_that_are_always_ready_let_others_run)
{
    with_one_always_ready(send_and_receive_until);
}

TEST(sched_selects_that_are_always_ready_let_others_run)
{
    with_one_always_ready(select_until);
}

/* It computes until somebody has been told of it. */
static struct {
    atomic_bool is_told;
    const cease_place *place;
    uint64_t task;
    char text[128];
} told;

static void hear_of_long_runs(const cease_report *r)
{
    if (r->kind == CEASE_REPORT_LONG_RUN && !atomic_load(&told.is_told)) {
        told.place = r->place;
        told.task = r->task;
        snprintf(told.text, sizeof told.text, "%s", r->text);
        atomic_store(&told.is_told, true);
    }
}

static cease_error compute_until_told(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    *(uint64_t *)arg = cease_task_id();
    while (!atomic_load(&told.is_told)) {
    }
    return CEASE_OK;
}

static void compute_and_be_told(void)
{
    uint64_t id = 0;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, compute_until_told, &id));
    int line = __LINE__ - 1;
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(told.task, id);
    CHECK_EQ(told.place->line, line);
    CHECK_STR(told.place->function, "compute_and_be_told");
    CHECK(strstr(told.text, "without parking"));
    atomic_store(&told.is_told, false);
}

TEST(sched_a_task_that_runs_long_is_reported_with_its_place)
{
    use_workers("1");
    cease_set_report(hear_of_long_runs);
    compute_and_be_told();
    in_task(yield_once, NULL); /* the worker has slept, and wakes again */
    compute_and_be_told();
    cease_set_report(NULL);
}

static cease_error tell_while_it_computes(cease_ctx *ctx, void *arg)
{
    cease_set_report(hear_of_long_runs); /* looks begin while all this goes on */
    return compute_until_told(ctx, arg);
}

TEST(sched_a_task_that_runs_long_is_reported_to_who_comes_later)
{
    use_workers("1");
    uint64_t id = 0;
    in_task(tell_while_it_computes, &id);
    CHECK_EQ(told.task, id);
    cease_set_report(NULL);
}

/* A new task behind one that computes: an idle worker must come and take it. */
static cease_error compute_until_counted(cease_ctx *ctx, void *arg)
{
    atomic_long *count = arg;
    CHECK_OK(cease_go(ctx, count_one, count));
    while (atomic_load(count) == 0) {
        sched_yield(); /* the thread, not the task */
    }
    return CEASE_OK;
}

TEST(sched_a_new_task_does_not_wait_for_one_that_computes)
{
    use_workers("2");
    for (int i = 0; i < 20; i++) {
        atomic_long count = 0;
        in_task(compute_until_counted, &count);
    }
}

/* ---- wakes from elsewhere ------------------------------------------------------------------- */

struct pair {
    cease_chan *there, *back;
    int rounds;
};

static cease_error pinger(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        int got = -1;
        CHECK_OK(cease_chan_send(ctx, p->there, &i));
        CHECK_OK(cease_chan_recv(ctx, p->back, &got));
        CHECK_EQ(got, i + 1);
    }
    return CEASE_OK;
}

static cease_error ponger(cease_ctx *ctx, void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        int got = -1;
        CHECK_OK(cease_chan_recv(ctx, p->there, &got));
        got++;
        CHECK_OK(cease_chan_send(ctx, p->back, &got));
    }
    return CEASE_OK;
}

static void *pinging_thread(void *arg)
{
    CHECK_OK(pinger(cease_background(), arg));
    return NULL;
}

TEST(sched_pingpong_between_many_pairs_on_several_workers)
{
    enum { PAIRS = 16 };
    struct pair pairs[PAIRS];
    use_workers("4");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < PAIRS; i++) {
        pairs[i] = (struct pair){cease_chan_new(sizeof(int), 0), cease_chan_new(sizeof(int), 0),
                                 scale(10000)};
        CHECK_OK(cease_group_go(g, pinger, &pairs[i]));
    }
    for (int i = 0; i < PAIRS; i++) {
        CHECK_OK(cease_group_go(g, ponger, &pairs[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < PAIRS; i++) {
        cease_chan_unref(pairs[i].there);
        cease_chan_unref(pairs[i].back);
    }
}

TEST(sched_pingpong_between_a_thread_and_a_task)
{
    struct pair p = {cease_chan_new(sizeof(int), 0), cease_chan_new(sizeof(int), 0), scale(20000)};
    pthread_t thread;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, ponger, &p));
    CHECK_EQ(pthread_create(&thread, NULL, pinging_thread, &p), 0);
    CHECK_OK(cease_group_wait(g));
    pthread_join(thread, NULL);
    cease_group_free(g);
    cease_chan_unref(p.there);
    cease_chan_unref(p.back);
}

/* Bare parkers, woken by plain threads before, while and after the task parks. */
static cease_parker *_Atomic handed;

static void *waking_thread(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        cease_parker *p;
        while (!(p = atomic_exchange(&handed, NULL))) {
            sched_yield();
        }
        cease_wake(p);
    }
    return NULL;
}

static cease_error parking_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    for (int i = 0; i < *(int *)arg; i++) {
        cease_parker p;
        cease_parker_init(&p);
        atomic_store(&handed, &p);
        for (int spin = 0; spin < i % 200; spin++) {
            atomic_signal_fence(memory_order_seq_cst);
        }
        cease_park(&p);
    }
    return CEASE_OK;
}

TEST(sched_wakes_from_a_thread_are_never_lost)
{
    int rounds = scale(50000);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, waking_thread, &rounds), 0);
    in_task(parking_task, &rounds);
    pthread_join(thread, NULL);
}

TEST(sched_a_thread_that_parked_without_a_runtime_is_woken_with_one)
{
    int rounds = 1;
    pthread_t thread;
    cease_parker p;
    cease_parker_init(&p);
    cease_wake(&p);
    cease_park(&p);
    CHECK_EQ(pthread_create(&thread, NULL, waking_thread, &rounds), 0);
    cease_parker_init(&p);
    atomic_store(&handed, &p);
    use_workers("1");
    in_task(yield_once, NULL); /* the hooks change meanwhile */
    cease_park(&p);
    pthread_join(thread, NULL);
}

/* ---- idle ----------------------------------------------------------------------------------- */

static long cpu_ticks(void)
{
    long user = 0, kernel = 0;
    FILE *f = fopen("/proc/self/stat", "re");
    CHECK(f != NULL);
    CHECK_EQ(
        fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &kernel),
        2);
    fclose(f);
    return user + kernel;
}

TEST(sched_idle_workers_use_no_processor_time)
{
    atomic_long count = 0;
    use_workers("4");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_group_go(g, count_and_wait, &count));
    }
    CHECK_EVENTUALLY(atomic_load(&count) == 100);
    usleep(100000);
    long before = cpu_ticks();
    usleep(500000);
    CHECK(cpu_ticks() - before <= 1); /* of 50: a spinning worker takes them all */
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
}
