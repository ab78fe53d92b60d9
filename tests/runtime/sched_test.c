/* SPDX-License-Identifier: MIT
 *
 * sched_test.c: storms. Sets out to lose a wake-up, a task or a stack: many tasks, started from
 * everywhere, woken from other workers and from plain threads, on one worker and on several.
 */
#include "base/futex.h"
#include "harness.h"

#include <cease/cease.h>
#include <cease/chan.h>
#include <cease/group.h>
#include <cease/test.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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

/* Operations that are always ready: whoever makes them gets no more than a turn. Each row makes one of them once, or
 * what leaves everything as it was. */
struct ready {
    cease_chan *buffered, *closed;
    cease_mutex mutex;
    cease_semaphore semaphore;
    cease_wait_group wait_group;
    cease_once once;
    cease_limiter limiter;
    cease_ticker ticker;
    cease_group *group;
    cease_file *file;
    cease_conn *conns[2];
    int pipe[2];
};

static void use_chan(cease_ctx *ctx, struct ready *r)
{
    int value = 0;
    CHECK_OK(cease_chan_send(ctx, r->buffered, &value));
    CHECK_OK(cease_chan_recv(ctx, r->buffered, &value));
}

static void use_closed_chan(cease_ctx *ctx, struct ready *r)
{
    int value = 0;
    CHECK_ERR(cease_chan_recv(ctx, r->closed, &value), CEASE_ECLOSED);
}

static void use_select(cease_ctx *ctx, struct ready *r)
{
    int value = 0;
    size_t fired;
    cease_case one = CEASE_RECV(r->closed, &value);
    CHECK_OK(cease_select(ctx, &one, 1, &fired));
}

static void use_mutex(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_mutex_lock(ctx, &r->mutex));
    cease_mutex_unlock(&r->mutex);
}

static void use_semaphore(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_semaphore_acquire(ctx, &r->semaphore, 1));
    cease_semaphore_release(&r->semaphore, 1);
}

static void use_wait_group(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_wait_group_wait(ctx, &r->wait_group));
}

static cease_error succeed(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_err(ctx);
}

static void use_once(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_once_do(ctx, &r->once, succeed, NULL));
}

static void use_limiter(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_limiter_wait(ctx, &r->limiter, 1));
}

static void use_ticker(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_ticker_wait(ctx, &r->ticker)); /* a nanosecond has passed */
}

static void use_sleep(cease_ctx *ctx, struct ready *r)
{
    (void)r;
    CHECK_OK(cease_sleep(ctx, cease_ns(0)));
}

static void use_group(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_group_go_wait(ctx, r->group, succeed, NULL));
}

static void use_fd(cease_ctx *ctx, struct ready *r)
{
    CHECK_OK(cease_fd_wait(ctx, r->pipe[1], CEASE_WRITABLE));
}

static void use_file(cease_ctx *ctx, struct ready *r)
{
    char byte;
    size_t n;
    CHECK_OK(cease_file_read(ctx, r->file, &byte, 1, 0, &n));
}

static void use_conn(cease_ctx *ctx, struct ready *r)
{
    char byte = 1;
    size_t n;
    CHECK_OK(cease_conn_write(ctx, r->conns[0], &byte, 1, NULL));
    CHECK_OK(cease_conn_read(ctx, r->conns[1], &byte, 1, &n));
}

static void ready_init(struct ready *r)
{
    *r = (struct ready){.buffered = cease_chan_new(sizeof(int), 1),
                        .closed = cease_chan_new(sizeof(int), 0),
                        .group = cease_group_new(cease_background(), NULL)};
    cease_chan_close(r->closed);
    cease_semaphore_init(&r->semaphore, 1);
    cease_limiter_init(&r->limiter, cease_ns(1), 1000000000);
    cease_ticker_init(&r->ticker, cease_ns(1));
    CHECK_OK(cease_file_open(cease_background(), "/proc/self/exe", O_RDONLY, 0, &r->file));
    CHECK_OK(cease_test_conn_pair(&r->conns[0], &r->conns[1]));
    CHECK_EQ(pipe(r->pipe), 0);
}

static void ready_deinit(struct ready *r)
{
    CHECK_OK(cease_group_wait(r->group));
    cease_group_free(r->group);
    cease_conn_close(r->conns[0]);
    cease_conn_close(r->conns[1]);
    cease_file_close(r->file);
    cease_chan_unref(r->buffered);
    cease_chan_unref(r->closed);
    close(r->pipe[0]);
    close(r->pipe[1]);
}

struct always_ready {
    const char *name;
    void (*use)(cease_ctx *ctx, struct ready *r);
    struct ready *ready;
    atomic_bool over;
};

static cease_error use_until_over(cease_ctx *ctx, void *arg)
{
    struct always_ready *a = arg;
    while (!atomic_load(&a->over)) {
        a->use(ctx, a->ready);
    }
    return CEASE_OK;
}

static cease_error set_over(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_store(&((struct always_ready *)arg)->over, true);
    return CEASE_OK;
}

TEST(sched_operations_that_are_always_ready_let_others_run)
{
    static struct always_ready rows[] = {
        {.name = "a channel with space", .use = use_chan},
        {.name = "a closed channel", .use = use_closed_chan},
        {.name = "a select", .use = use_select},
        {.name = "a free mutex", .use = use_mutex},
        {.name = "a semaphore with units", .use = use_semaphore},
        {.name = "a wait group at 0", .use = use_wait_group},
        {.name = "what was done once", .use = use_once},
        {.name = "a rate limiter with tokens", .use = use_limiter},
        {.name = "a ticker that is late", .use = use_ticker},
        {.name = "a sleep of nothing", .use = use_sleep},
        {.name = "a group under its limit", .use = use_group},
        {.name = "an fd that is ready", .use = use_fd},
        {.name = "a file in the cache", .use = use_file},
        {.name = "connections in memory", .use = use_conn},
    };
    struct ready ready;
    use_workers("1");
    ready_init(&ready);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf("%s\n", rows[i].name); /* seen when it hangs */
        fflush(stdout);
        rows[i].ready = &ready;
        cease_group *g = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(g, use_until_over, &rows[i]));
        CHECK_OK(cease_group_go(g, set_over, &rows[i]));
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
    }
    ready_deinit(&ready);
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

/* The same for tasks that have no stack yet, because the worker that computes has warm ones: who takes them
 * needs stacks of its own. */
static cease_error compute_until_all_counted(cease_ctx *ctx, void *arg)
{
    enum { COUNT = 100 };
    atomic_long *count = arg;
    for (int round = 0; round < 3; round++) {
        cease_group *g = cease_group_new(ctx, NULL);
        atomic_store(count, 0);
        for (int i = 0; i < COUNT; i++) {
            CHECK_OK(cease_group_go(g, count_one, count));
        }
        while (round > 0 && atomic_load(count) < COUNT) {
            sched_yield();
        }
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
    }
    return CEASE_OK;
}

TEST(sched_new_tasks_without_stacks_do_not_wait_for_one_that_computes)
{
    atomic_long count;
    use_workers("2");
    in_task(compute_until_all_counted, &count);
    CHECK_EQ(atomic_load(&count), 100);
}

/* ---- one stack after the other ------------------------------------------------------------------ */

struct place {
    uintptr_t at; /* the stack of its task, by its slot */
    uint64_t id;
};

static cease_error note_place(cease_ctx *ctx, void *arg)
{
    struct place *p = arg;
    (void)ctx;
    *p = (struct place){(uintptr_t)__builtin_frame_address(0) >> 16, cease_task_id()};
    return CEASE_OK;
}

static cease_error note_place_and_yield(cease_ctx *ctx, void *arg)
{
    (void)note_place(ctx, arg);
    cease_yield();
    struct place before = *(struct place *)arg;
    (void)note_place(ctx, arg);
    CHECK_EQ(((struct place *)arg)->at, before.at);
    CHECK_EQ(((struct place *)arg)->id, before.id);
    return CEASE_OK;
}

enum { PLACES = 40 };

/* Tasks that do not park begin one after the other where the one before has returned; those that do each keep a stack
 * of their own, and nobody begins on one that is in use. */
static cease_error compare_places(cease_ctx *ctx, void *arg)
{
    static struct place places[PLACES];
    (void)arg;
    for (int round = 0; round < 4; round++) {
        bool parks = round % 2 == 0; /* the first leaves as many warm stacks */
        cease_group *g = cease_group_new(ctx, NULL);
        for (int i = 0; i < PLACES; i++) {
            CHECK_OK(cease_group_go(g, parks ? note_place_and_yield : note_place, &places[i]));
        }
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
        for (int i = 0; i < PLACES; i++) {
            for (int j = 0; j < i; j++) {
                CHECK(places[i].id != places[j].id);
                CHECK(parks == (places[i].at != places[j].at));
            }
        }
    }
    return CEASE_OK;
}

TEST(sched_tasks_that_do_not_park_begin_on_one_stack)
{
    use_workers("1");
    set_env("CEASE_STACK", "64K");
    in_task(compare_places, NULL);
}

/* What waits to begin takes memory, which is given back when it has begun. */
static cease_error start_many_at_once(cease_ctx *ctx, void *arg)
{
    enum { COUNT = 12000 }; /* where each guard is a mapping there are no more than 16,000 */
    long *during = arg;
    atomic_long count = 0;
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(cease_group_go(g, count_one, &count));
    }
    *during = harness_heap_blocks();
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(atomic_load(&count), COUNT);
    return CEASE_OK;
}

TEST(sched_memory_of_many_new_tasks_is_given_back)
{
    atomic_long count = 0;
    long during;
    if (!harness_heap_is_ours()) {
        SKIP("blocks are not counted here");
    }
    use_workers("1");
    in_task(count_one, &count);
    long before = harness_heap_blocks();
    in_task(start_many_at_once, &during);
    CHECK(during > before + 180);
    CHECK_EVENTUALLY(harness_heap_blocks() < before + 50); /* some are kept */
}

/* What a task has done to its thread's modes and errno is nothing to the next one on the same stack. */
static cease_error leave_a_mess(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    CHECK_EQ(errno, 0);
    CHECK_EQ(fegetround(), FE_TONEAREST);
    errno = EDOM;
    fesetround(FE_UPWARD);
    atomic_fetch_add((atomic_long *)arg, 1);
    return CEASE_OK;
}

static cease_error leave_messes(cease_ctx *ctx, void *arg)
{
    for (int round = 0; round < 3; round++) {
        cease_group *g = cease_group_new(ctx, NULL);
        for (int i = 0; i < 10; i++) {
            CHECK_OK(cease_group_go(g, leave_a_mess, arg));
        }
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
    }
    return CEASE_OK;
}

TEST(sched_a_task_begins_without_what_the_one_before_has_left)
{
    atomic_long count = 0;
    use_workers("1");
    in_task(leave_messes, &count);
    CHECK_EQ(atomic_load(&count), 30);
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

/* Whether a thread is in an epoll_wait or a futex wait that no time ends; -1 when the system does not tell. */
static int sleeps_without_end(const char *thread)
{
    char path[300];
    long number = -1;
    unsigned long timeout = 1;
    snprintf(path, sizeof path, "/proc/self/task/%s/syscall", thread);
    FILE *f = fopen(path, "re");
    if (!f) {
        return -1;
    }
    bool known = fscanf(f, "%ld %*x %*x %*x %lx", &number, &timeout) == 2; /* else: "running" */
    fclose(f);
    bool sleeps = number == SYS_futex && timeout == 0;
#ifdef SYS_epoll_wait
    sleeps |= number == SYS_epoll_wait && (int)timeout == -1;
#endif
    sleeps |= number == SYS_epoll_pwait && (int)timeout == -1;
#ifdef SYS_epoll_pwait2
    sleeps |= number == SYS_epoll_pwait2 && timeout == 0;
#endif
    return known && sleeps;
}

/* How many workers' threads sleep until something comes; -1 when the system does not tell. */
static int idle_workers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *d; (d = readdir(tasks));) {
        char path[300];
        unsigned index;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", d->d_name);
        FILE *f = fopen(path, "re");
        if (f) {
            int sleeps = fscanf(f, "cease-%u", &index) == 1 ? sleeps_without_end(d->d_name) : 0;
            count = count < 0 || sleeps < 0 ? -1 : count + sleeps;
            fclose(f);
        }
    }
    closedir(tasks);
    return count;
}

TEST(sched_idle_workers_sleep_until_something_comes)
{
#ifdef CEASEI_SIGNALS_WAIT
    SKIP("ThreadSanitizer: futex.h waits in pieces");
#endif
    atomic_long count = 0;
    use_workers("4");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_group_go(g, count_and_wait, &count));
    }
    CHECK_EVENTUALLY(atomic_load(&count) == 100);
    if (idle_workers() < 0 || getenv("HARNESS_EMULATOR")) {
        SKIP("the system does not tell in which calls threads are");
    }
    struct cease_runtime_counts c = {.size = sizeof c};
    CHECK_EVENTUALLY((cease_runtime_count(&c), (size_t)idle_workers() == c.workers));
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
}

/* A worker whose task starts no more is watched no more; when it does start one, somebody comes all the same. */
static cease_error compute_until_unwatched(cease_ctx *ctx, void *arg)
{
    for (int i = 0; i < 3; i++) {
        atomic_store((atomic_long *)arg, 0);
        CHECK_OK(compute_until_counted(ctx, arg)); /* who has come watches now, for a while */
        CHECK_EVENTUALLY(idle_workers() == 1);
    }
    return CEASE_OK;
}

TEST(sched_a_worker_that_computes_alone_is_not_watched_and_found_when_it_starts_a_task)
{
#ifdef CEASEI_SIGNALS_WAIT
    SKIP("ThreadSanitizer: futex.h waits in pieces");
#endif
    if (idle_workers() < 0 || getenv("HARNESS_EMULATOR")) {
        SKIP("the system does not tell in which calls threads are");
    }
    atomic_long count = 0;
    use_workers("2");
    in_task(compute_until_unwatched, &count);
}
