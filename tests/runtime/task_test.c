/* SPDX-License-Identifier: MIT
 *
 * task_test.c: sets out to break what a task is promised: that it runs if and only if its start said
 * so, sleeps to the end or to its context's, keeps its errno, floating-point modes and thread, and
 * that the runtime can be stopped, counted and started again.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/fd.h>
#include <cease/group.h>
#include <dirent.h>
#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* libc keeps the string for ever: that is not a leak. */
static void set_env(const char *name, const char *value)
{
    CHECK_EQ(setenv(name, value, 1), 0);
    harness_mark();
}

/* Runs fn as a task and waits for it. */
static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, arg));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

/* ---- start ---------------------------------------------------------------------------------- */

static cease_error count_one(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return CEASE_OK;
}

TEST(task_go_from_a_thread_runs_once)
{
    atomic_int count = 0;
    CHECK_OK(cease_go(cease_background(), count_one, &count));
    CHECK_EVENTUALLY(atomic_load(&count) == 1);
}

TEST(task_go_on_a_done_context_runs_all_the_same)
{
    cease_canceler *stop;
    atomic_int count = 0;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_OK(cease_go(ctx, count_one, &count));
    cease_end(stop); /* the task has a reference of its own */
    CHECK_EVENTUALLY(atomic_load(&count) == 1);
}

TEST_ABORTS(task_go_with_a_null_context_names_the_place, "task_test.c")
{
    atomic_int count = 0;
    (void)cease_go(NULL, count_one, &count);
}

TEST_ABORTS(task_go_with_a_null_function_aborts, "NULL function")
{
    (void)cease_go(cease_background(), NULL, NULL);
}

static cease_error note_id(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    *(uint64_t *)arg = cease_task_id();
    cease_yield();
    CHECK_EQ(cease_task_id(), *(uint64_t *)arg);
    return CEASE_OK;
}

TEST(task_id_is_unique_and_zero_on_a_thread)
{
    uint64_t ids[64];
    CHECK_EQ(cease_task_id(), 0);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 64; i++) {
        CHECK_OK(cease_group_go(g, note_id, &ids[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < 64; i++) {
        CHECK(ids[i] != 0);
        for (int j = 0; j < i; j++) {
            CHECK(ids[i] != ids[j]);
        }
    }
}

static cease_error start_detached(cease_ctx *ctx, void *arg)
{
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_go(ctx, count_one, arg));
    }
    return CEASE_OK;
}

TEST(task_go_from_a_task_runs_all)
{
    atomic_int count = 0;
    in_task(start_detached, &count);
    CHECK_EVENTUALLY(atomic_load(&count) == 100);
}

static void from_callback(void *arg)
{
    CHECK_OK(cease_go(cease_background(), count_one, arg));
}

TEST(task_go_inside_a_callback_runs)
{
    cease_canceler *stop;
    cease_watch watch;
    atomic_int count = 0;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(cease_watch_add(&watch, ctx, from_callback, &count));
    cease_cancel(stop);
    cease_end(stop);
    CHECK_EVENTUALLY(atomic_load(&count) == 1);
}

static void after(void *arg)
{
    atomic_store((_Atomic uint64_t *)arg, cease_task_id());
}

static cease_error cancel_after_func(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    cease_after *a = cease_after_func(child, after, arg);
    cease_cancel(stop);
    CHECK(!cease_after_stop(a));
    cease_end(stop);
    return CEASE_OK;
}

TEST(task_after_func_runs_as_a_task_of_its_own)
{
    _Atomic uint64_t id = 0;
    in_task(cancel_after_func, &id);
    CHECK_EVENTUALLY(atomic_load(&id) != 0);
}

static cease_error fail_starts(cease_ctx *ctx, void *arg)
{
    atomic_int *count = arg;
    int expected = 0;
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        for (int i = 0; i < 200; i++) {
            cease_error err = cease_go(ctx, count_one, count);
            CHECK(err == CEASE_OK || err == CEASE_ENOMEM);
            expected += err == CEASE_OK;
        }
    }
    while (atomic_load(count) != expected) {
        cease_yield();
    }
    return CEASE_OK;
}

TEST(task_go_without_memory_says_so_and_runs_nothing)
{
    atomic_int count = 0;
    in_task(fail_starts, &count);
}

/* ---- sleep and yield ------------------------------------------------------------------------ */

static cease_error sleep_some(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_time before = cease_now();
    CHECK_OK(cease_sleep(ctx, cease_ms(20)));
    CHECK(cease_time_sub(cease_now(), before).ns >= 20 * 1000 * 1000);
    CHECK_OK(cease_sleep(ctx, cease_ms(0)));
    CHECK_OK(cease_sleep(ctx, cease_ms(-5)));
    return CEASE_OK;
}

TEST(task_sleep_is_never_short)
{
    in_task(sleep_some, NULL);
    CHECK_OK(sleep_some(cease_background(), NULL));
}

static cease_error sleep_when_done(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    (void)arg;
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_sleep(child, cease_hour(1)), CEASE_ECANCELED);
    CHECK_ERR(cease_sleep(child, cease_ms(0)), CEASE_ECANCELED);
    CHECK_ERR(cease_sleep(child, CEASE_FOREVER), CEASE_ECANCELED);
    cease_end(stop);
    return CEASE_OK;
}

TEST(task_sleep_on_a_done_context_returns_at_once)
{
    in_task(sleep_when_done, NULL);
    CHECK_OK(sleep_when_done(cease_background(), NULL));
}

static cease_error sleep_past_deadline(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    (void)arg;
    cease_ctx *child = cease_with_timeout(ctx, cease_ms(5), &stop);
    cease_time deadline;
    CHECK(cease_deadline(child, &deadline));
    CHECK_ERR(cease_sleep(child, cease_hour(1)), CEASE_EDEADLINE);
    CHECK(cease_now().ns >= deadline.ns);
    cease_end(stop);
    child = cease_with_timeout(ctx, cease_ms(5), &stop);
    CHECK_ERR(cease_sleep(child, CEASE_FOREVER), CEASE_EDEADLINE);
    cease_end(stop);
    return CEASE_OK;
}

TEST(task_sleep_past_the_deadline_is_cut_short)
{
    in_task(sleep_past_deadline, NULL);
    CHECK_OK(sleep_past_deadline(cease_background(), NULL));
}

static cease_error sleep_and_look(cease_ctx *ctx, void *arg)
{
    cease_time until = cease_time_add(cease_now(), cease_ms(*(int *)arg));
    CHECK_OK(cease_sleep(ctx, cease_ms(*(int *)arg)));
    CHECK(cease_now().ns >= until.ns);
    return CEASE_OK;
}

TEST(task_sleepers_of_one_worker_all_wake_and_none_early)
{
    int ms[200];
    set_env("CEASE_WORKERS", "1");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 200; i++) {
        ms[i] = 1 + (i * 17) % 40;
        CHECK_OK(cease_group_go(g, sleep_and_look, &ms[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static cease_error sleep_long(cease_ctx *ctx, void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return cease_sleep(ctx, cease_hour(1));
}

TEST(task_sleepers_are_all_woken_by_a_cancel)
{
    atomic_int count = 0;
    int n = harness_is_slow() ? 500 : 20000;
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < n; i++) {
        CHECK_OK(cease_group_go(g, sleep_long, &count));
    }
    CHECK_EVENTUALLY(atomic_load(&count) == n);
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
}

static cease_error sleep_or_cancel(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_error err = cease_sleep(ctx, cease_us(200));
    CHECK(err == CEASE_OK || err == CEASE_ECANCELED);
    return CEASE_OK;
}

TEST(task_sleep_may_end_by_both_at_once)
{
    int rounds = harness_is_slow() ? 20 : 200;
    for (int i = 0; i < rounds; i++) {
        cease_group *g = cease_group_new(cease_background(), NULL);
        for (int j = 0; j < 20; j++) {
            CHECK_OK(cease_group_go(g, sleep_or_cancel, NULL));
        }
        usleep((useconds_t)(180 + i));
        CHECK_OK(cease_group_stop(g));
        cease_group_free(g);
    }
}

/* A deadline of a context ends it also while the worker is kept busy by the very task that looks. */
static cease_error compute_to_deadline(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    (void)arg;
    cease_ctx *child = cease_with_timeout(ctx, cease_ms(20), &stop);
    while (!cease_done(child)) {
    }
    CHECK_ERR(cease_err(child), CEASE_EDEADLINE);
    cease_end(stop);
    return CEASE_OK;
}

TEST(task_that_computes_sees_its_deadline)
{
    set_env("CEASE_WORKERS", "1");
    in_task(compute_to_deadline, NULL);
}

static void yields(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        cease_yield();
    }
}

TEST_ABORTS(task_yield_inside_a_callback_aborts_with_its_place, "task_test.c")
{
    cease_canceler *stop;
    cease_watch watch;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch_add(&watch, ctx, yields, NULL);
    cease_cancel(stop);
}

static cease_error cancel_with_yield_inside(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    cease_watch watch;
    (void)arg;
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    cease_watch_add(&watch, child, yields, NULL);
    cease_cancel(stop);
    return CEASE_OK;
}

static void sleeps(void *arg)
{
    (void)arg;
    (void)cease_sleep(cease_background(), cease_ms(1));
}

static cease_error cancel_with_sleep_inside(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    cease_watch watch;
    (void)arg;
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    cease_watch_add(&watch, child, sleeps, NULL);
    cease_cancel(stop);
    return CEASE_OK;
}

/* Not at once, but before the worker looks around: with the callback's place. */
TEST_ABORTS(task_yield_in_a_callback_of_a_task_aborts, "task_test.c")
{
    in_task(cancel_with_yield_inside, NULL);
    in_task(sleep_some, NULL);
}

TEST_ABORTS(task_sleep_inside_a_callback_aborts, "callback")
{
    in_task(cancel_with_sleep_inside, NULL);
}

/* ---- what a switch must keep ---------------------------------------------------------------- */

static cease_error keep_errno(cease_ctx *ctx, void *arg)
{
    int mine = *(int *)arg;
    CHECK_EQ(errno, 0);
    for (int i = 0; i < 100; i++) {
        errno = mine;
        if (i % 10 == 0) {
            CHECK_OK(cease_sleep(ctx, cease_us(10)));
        } else {
            cease_yield();
        }
        CHECK_EQ(errno, mine);
    }
    return CEASE_OK;
}

TEST(task_errno_is_its_own)
{
    int numbers[20];
    set_env("CEASE_WORKERS", "1");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 20; i++) {
        numbers[i] = i + 1;
        CHECK_OK(cease_group_go(g, keep_errno, &numbers[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static cease_error keep_rounding(cease_ctx *ctx, void *arg)
{
    int mode = *(int *)arg;
    (void)ctx;
    CHECK_EQ(fegetround(), FE_TONEAREST);
    CHECK_EQ(fesetround(mode), 0);
    for (int i = 0; i < 50; i++) {
        cease_yield();
        CHECK_EQ(fegetround(), mode);
        volatile double x = 1.5;
        CHECK_EQ((int)lrint(x), mode == FE_DOWNWARD || mode == FE_TOWARDZERO ? 1 : 2);
    }
    return CEASE_OK;
}

TEST(task_rounding_mode_is_its_own)
{
    static int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    set_env("CEASE_WORKERS", "1");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 12; i++) {
        CHECK_OK(cease_group_go(g, keep_rounding, &modes[i % 4]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static cease_error leave_rounding(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    CHECK_EQ(fegetround(), FE_TONEAREST);
    CHECK_EQ(fesetround(*(int *)arg), 0);
    return CEASE_OK; /* as it is: the next task must not find it so */
}

TEST(task_rounding_mode_ends_with_it)
{
    static int modes[] = {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    set_env("CEASE_WORKERS", "1");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 12; i++) {
        CHECK_OK(cease_group_go(g, leave_rounding, &modes[i % 3]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

#if defined(__x86_64__)
#include <xmmintrin.h>

/* Modes that are set in mxcsr alone, so that the x87 word says nothing about them. */
static cease_error keep_mxcsr(cease_ctx *ctx, void *arg)
{
    const unsigned control = 0xffc0, modes = *(unsigned *)arg;
    CHECK_EQ(_mm_getcsr() & control, 0x1f80);
    _mm_setcsr(0x1f80 | modes);
    for (int i = 0; i < 50; i++) {
        if (i % 10 == 0) {
            CHECK_OK(cease_sleep(ctx, cease_us(10)));
        } else {
            cease_yield();
        }
        CHECK_EQ(_mm_getcsr() & control, 0x1f80 | modes);
    }
    return CEASE_OK; /* and leaves it so */
}

TEST(task_denormal_modes_are_its_own)
{
    static unsigned modes[] = {0, 0x8000, 0x40, 0x8040, 0x2000, 0x4000, 0x6000};
    const size_t count = sizeof modes / sizeof modes[0];
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8000);
    bool can = (_mm_getcsr() & 0x8000) != 0;
    _mm_setcsr(before);
    if (!can) {
        SKIP("this processor is a model that knows no such modes (Valgrind)");
    }
    set_env("CEASE_WORKERS", "1");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (size_t i = 0; i < 3 * count; i++) {
        CHECK_OK(cease_group_go(g, keep_mxcsr, &modes[i % count]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}
#endif

static cease_error keep_registers(cease_ctx *ctx, void *arg)
{
    double d[8];
    uint64_t n[8];
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    (void)ctx;
    for (unsigned i = 0; i < 8; i++) {
        n[i] = seed * 1000 + i;
        d[i] = (double)n[i] + 0.5;
    }
    for (int round = 0; round < 200; round++) {
        cease_yield();
        for (unsigned i = 0; i < 8; i++) {
            CHECK_EQ(n[i], seed * 1000 + i + (unsigned)round);
            CHECK(d[i] == (double)n[i] + 0.5);
            n[i]++;
            d[i] += 1.0;
        }
    }
    return CEASE_OK;
}

TEST(task_registers_are_its_own)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (uintptr_t i = 1; i <= 30; i++) {
        CHECK_OK(cease_group_go(g, keep_registers, (void *)i));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static __thread int thread_local_mark;

static cease_error keep_thread(cease_ctx *ctx, void *arg)
{
    pthread_t thread = pthread_self();
    volatile int *mark = &thread_local_mark;
    (void)arg;
    for (int i = 0; i < 50; i++) {
        if (i % 5 == 0) {
            CHECK_OK(cease_sleep(ctx, cease_us(50)));
        } else {
            cease_yield();
        }
        CHECK(pthread_equal(thread, pthread_self()));
        CHECK(mark == &thread_local_mark);
    }
    return CEASE_OK;
}

TEST(task_stays_on_its_thread_once_started)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_group_go(g, keep_thread, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

/* ---- the runtime as a whole ----------------------------------------------------------------- */

static struct cease_runtime_counts counts(void)
{
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    return c;
}

TEST(runtime_counts_nothing_before_the_first_task)
{
    struct cease_runtime_counts c = counts();
    CHECK_EQ(c.tasks + c.stacks + c.fds + c.block_jobs + c.workers, 0);
    CHECK_OK(cease_sleep(cease_background(), cease_ms(1)));
    CHECK_EQ(counts().workers, 0);
}

TEST(runtime_stop_before_the_first_task_does_nothing)
{
    CHECK_OK(cease_runtime_stop());
}

static cease_error wait_for_end(cease_ctx *ctx, void *arg)
{
    (void)arg;
    (void)cease_wait(ctx);
    return CEASE_OK;
}

TEST(runtime_stop_with_a_task_is_busy_and_changes_nothing)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, wait_for_end, NULL));
    CHECK_ERR(cease_runtime_stop(), CEASE_EBUSY);
    CHECK_EQ(counts().tasks, 1);
    CHECK(counts().workers >= 1);
    CHECK_OK(cease_group_stop(g));
    CHECK_OK(cease_runtime_stop());
    CHECK_EQ(counts().workers, 0);
    CHECK_OK(cease_runtime_stop());
    cease_group_free(g);
}

static cease_error stop_from_inside(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    CHECK_ERR(cease_runtime_stop(), CEASE_EDEADLK);
    return CEASE_OK;
}

TEST(runtime_stop_from_a_task_is_refused)
{
    in_task(stop_from_inside, NULL);
}

TEST(runtime_starts_again_after_a_stop)
{
    int rounds = harness_is_slow() ? 20 : 300;
    for (int i = 0; i < rounds; i++) {
        atomic_int count = 0;
        cease_group *g = cease_group_new(cease_background(), NULL);
        for (int j = 0; j < 5; j++) {
            CHECK_OK(cease_group_go(g, count_one, &count));
        }
        CHECK_OK(cease_group_wait(g));
        CHECK_EQ(atomic_load(&count), 5);
        CHECK_OK(cease_runtime_stop()); /* joined means gone */
        cease_group_free(g);
    }
}

static cease_error occupy(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_int *count = arg;
    atomic_fetch_add(count, 1);
    while (atomic_load(count) < 3) {
        sched_yield(); /* the thread, not the task */
    }
    return CEASE_OK;
}

static atomic_int starters;

static void *start_again_and_again(void *arg)
{
    cease_canceler *stop;
    int rounds = harness_is_slow() ? 50 : 1000;
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        atomic_int count = 0;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i % 50 * 10), &stop);
        cease_group *g = cease_group_new(ctx, NULL);
        CHECK_OK(cease_group_go(g, count_one, &count));
        CHECK_OK(cease_group_go(g, wait_for_end, &count)); /* until the deadline, made outside */
        CHECK_OK(cease_group_wait(g));
        CHECK_EQ(atomic_load(&count), 1);
        cease_group_free(g);
        cease_end(stop);
    }
    atomic_fetch_sub(&starters, 1);
    return NULL;
}

TEST(runtime_stops_race_with_starts)
{
    pthread_t threads[3];
    atomic_store(&starters, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, start_again_and_again, NULL), 0);
    }
    while (atomic_load(&starters) > 0) {
        cease_error err = cease_runtime_stop();
        CHECK(err == CEASE_OK || err == CEASE_EBUSY);
        CHECK(counts().tasks <= 6);
        usleep(200);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void hear_after(void *arg)
{
    (void)arg;
    cease_yield();
}

static cease_error end_by_deadline(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    atomic_int *count = arg;
    cease_ctx *child = cease_with_timeout(ctx, cease_us(200), &stop);
    cease_after *a = cease_after_func(child, hear_after, NULL);
    while (!cease_done(child)) { /* the worker computes: the monitor runs the deadline */
    }
    (void)cease_after_stop(a);
    cease_end(stop);
    atomic_fetch_add(count, 1);
    return CEASE_OK;
}

TEST(runtime_stops_after_deadlines_that_the_monitor_ran)
{
    for (int i = 0; i < 10; i++) {
        atomic_int count = 0;
        in_task(end_by_deadline, &count);
        CHECK_EQ(atomic_load(&count), 1);
        CHECK_EVENTUALLY(cease_runtime_stop() == CEASE_OK); /* the after-func may be a task */
    }
}

/* How often the monitor has gone to sleep. */
static long sleeps_of_monitor(void)
{
    char path[64];
    char line[128];
    long count = -1;
    bool is_it = false;
    DIR *threads = opendir("/proc/self/task");
    CHECK(threads != NULL);
    for (struct dirent *d; !is_it && (d = readdir(threads));) {
        snprintf(path, sizeof path, "/proc/self/task/%.20s/status", d->d_name);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) {
            is_it |= strcmp(line, "Name:\tcease-monitor\n") == 0;
            if (is_it) {
                (void)sscanf(line, "voluntary_ctxt_switches: %ld", &count);
            }
        }
        if (f) {
            fclose(f);
        }
    }
    closedir(threads);
    return count;
}

/* Each time the earliest deadline there is has come and gone before the monitor is awake. */
static cease_error look_and_sleep(cease_ctx *ctx, void *arg)
{
    cease_canceler *later;
    cease_canceler *stop;
    (void)arg;
    CHECK_OK(cease_err(cease_with_timeout(ctx, cease_sec(600), &later)));
    CHECK_EVENTUALLY(sleeps_of_monitor() > 0);
    long before = sleeps_of_monitor();
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_err(cease_with_timeout(ctx, cease_sec(300), &stop)));
        cease_end(stop);
        CHECK_OK(
            cease_sleep(ctx, cease_us(100))); /* the processor is the monitor's, if it wants it */
    }
    CHECK(sleeps_of_monitor() - before < 10);
    cease_end(later);
    return CEASE_OK;
}

TEST(monitor_is_not_woken_for_each_of_many_deadlines)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    in_task(look_and_sleep, NULL);
}

TEST(runtime_configure_sets_the_workers_of_the_next_start)
{
    cease_runtime_opts opts = {.size = sizeof opts, .workers = 3};
    unsetenv("CEASE_WORKERS");
    CHECK_OK(cease_runtime_configure(&opts));
    atomic_int count = 0;
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_group_go(g, occupy, &count)); /* until all three run at once */
    }
    CHECK_OK(cease_group_wait(g));
    CHECK_EQ(counts().workers, 3);
    cease_group_free(g);
}

TEST(runtime_configure_refuses_nonsense_and_a_running_runtime)
{
    cease_runtime_opts opts = {.size = sizeof opts, .workers = 1000};
    CHECK_ERR(cease_runtime_configure(&opts), CEASE_EINVAL);
    opts.workers = 0;
    opts.stack_size = 100;
    CHECK_ERR(cease_runtime_configure(&opts), CEASE_EINVAL);
    opts.stack_size = 128 << 10;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, wait_for_end, NULL));
    CHECK_ERR(cease_runtime_configure(&opts), CEASE_EBUSY);
    cease_group_free(g);
}

static cease_error block_all_asynchronous(cease_ctx *ctx, void *arg)
{
    static const int asynchronous[] = {SIGINT,  SIGTERM, SIGHUP,  SIGALRM, SIGCHLD, SIGPIPE,
                                       SIGUSR1, SIGUSR2, SIGPROF, SIGIO,   SIGWINCH};
    sigset_t blocked;
    (void)ctx;
    (void)arg;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    for (size_t i = 0; i < sizeof asynchronous / sizeof *asynchronous; i++) {
        CHECK(sigismember(&blocked, asynchronous[i]));
    }
    CHECK(!sigismember(&blocked, SIGSEGV));
    return CEASE_OK;
}

TEST(runtime_threads_block_asynchronous_signals)
{
    in_task(block_all_asynchronous, NULL);
}

static cease_error leave_process(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    exit(0);
}

/* With tasks alive, one of them computing for ever, and the exit called from a task: it must come. */
static cease_error compute_for_ever(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_store((atomic_int *)arg, 1);
    for (;;) {
    }
    return CEASE_OK;
}

static void exit_in_child(bool from_task)
{
    static atomic_int computing;
    static atomic_int sleeping;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        set_env("CEASE_WORKERS", "2");
        (void)cease_go(cease_background(), compute_for_ever, &computing);
        while (!atomic_load(&computing)) {
            usleep(1000);
        }
        (void)cease_go(cease_background(), sleep_long, &sleeping);
        while (!atomic_load(&sleeping)) {
            usleep(1000);
        }
        if (!from_task) {
            exit(0);
        }
        (void)cease_go(cease_background(), leave_process, NULL);
        for (;;) {
            pause();
        }
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
}

TEST(runtime_does_not_hold_up_the_exit)
{
    exit_in_child(false);
}

TEST(runtime_does_not_hold_up_an_exit_from_a_task)
{
    exit_in_child(true);
}

static atomic_int reports;

static void hear(const cease_report *report)
{
    (void)report;
    atomic_fetch_add(&reports, 1);
}

TEST(runtime_report_reaches_who_was_set_with_and_without_workers)
{
    cease_report r = {.kind = CEASE_REPORT_DEPTH, .text = "test"};
    cease_set_report(hear);
    cease_hooks_installed()->report(&r);
    CHECK_EQ(atomic_load(&reports), 1);
    in_task(sleep_when_done, NULL);
    cease_hooks_installed()->report(&r);
    CHECK_EQ(atomic_load(&reports), 2);
    cease_set_report(NULL);
    cease_hooks_installed()->report(&r);
    CHECK_EQ(atomic_load(&reports), 2);
}

static cease_error park_in_a_scope(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CEASE_AUTO_NOPARK cease_nopark scope;
    cease_nopark_begin(&scope);
    return cease_sleep(ctx, cease_us(1));
}

TEST(task_nopark_scope_forbids_nothing_without_debug)
{
    if (getenv("CEASE_DEBUG")) {
        SKIP("CEASE_DEBUG is set");
    }
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, park_in_a_scope, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}
