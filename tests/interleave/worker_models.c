/* SPDX-License-Identifier: MIT
 *
 * worker_models.c: workers that sleep, are woken, search and steal, under every interleaving.
 *
 * The real worker.c and queue.c run, and task.c for what a plain thread starts. To run a task is to
 * count that; to sleep is to wait for the worker's bell. The time of a watcher (worker.c) is over when
 * there is something for it to see; a worker that is alone has none, which would hide a lost wake.
 *
 * Checked: every task is run, once, and nobody sleeps while there is one that he should run.
 */
#include "base/futex.h"
#include "runtime/bias.h"
#include "runtime/long_run.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/see.h"
#include "runtime/trace.h"
#include "runtime/virtual.h"
#include "runtime_glue.h"
#include "worker_glue.h"

#include <stdlib.h>

enum {
    TASKS = 3,
    WORKERS = 3,
    STACKS = 2 * TASKS
}; /* a thief has stacks of its own for what it takes */

/* meson gives queue.c and task.c these names, because runtime_glue.c has the others. */
void explored_sched_ready(struct ceasei_task *task);

struct ceasei_runtime ceasei_runtime;
uint32_t ceasei_tracing;

static struct ceasei_worker *selves[EXPLORE_THREADS];
static struct ceasei_worker *workers[WORKERS];
static uint32_t bells[WORKERS];
static struct ceasei_task tasks[STACKS];
static uint32_t runs[TASKS], run_count, wanted, taken, made;
static uint32_t socket_is_ready;
static bool watch_is_long; /* its time is not over in this model */
static bool together;      /* each of them runs until all do */

struct ceasei_worker **explore_worker(void)
{
    return &selves[explore_current()];
}

void worker_glue_two(void)
{
    glue_start();
    ceasei_bias_set_up();
    for (uint32_t i = 0; i < 2; i++) {
        selves[i] = workers[i] = calloc(1, sizeof *workers[i]);
        workers[i]->index = i;
        workers[i]->number = i + 1;
        workers[i]->entered = &ceasei_entered[i].word;
        workers[i]->budget = UINT32_MAX;
    }
}

void worker_glue_end(void)
{
    free(workers[0]);
    free(workers[1]);
    glue_end();
}

void worker_glue_as(int index)
{
    ceasei_worker_self = index < 0 ? NULL : workers[index];
}

/* ---- what worker.c, queue.c and task.c call ---------------------------------------------------- */

void ceasei_worker_set_up(struct ceasei_worker *w)
{
    ceasei_worker_self = w;
}

void ceasei_worker_tear_down(struct ceasei_worker *w)
{
    (void)w;
    ceasei_worker_self = NULL;
}

void ceasei_worker_ring(struct ceasei_worker *w)
{
    if (ceasei_bell_ring(&w->bell))
        return;
    ceasei_store(&bells[w->index], 1, SEQ_CST); /* for the eventfd */
    ceasei_futex_wake(&bells[w->index], 1);
}

static bool has_something_to_see(const struct ceasei_worker *w)
{
    for (uint32_t i = 0; i < ceasei_runtime.max; i++)
        if (workers[i] != w && ceasei_ring_count(workers[i]) > 0)
            return true;
    return ceasei_load(&ceasei_runtime.halt, RELAXED);
}

void ceasei_worker_poll(struct ceasei_worker *w, int64_t timeout_ns)
{
    if (ceasei_load(&socket_is_ready, ACQUIRE)) {
        ceasei_store(&ceasei_runtime.halt, CEASEI_HALT_NOW, SEQ_CST);
        return;
    }
    if (timeout_ns == 0)
        return;
    if (timeout_ns == INT64_MAX && ceasei_load(&w->bell.sockets, SEQ_CST) == 0) {
        if (ceasei_bell_nap_begin(&w->bell))
            while (ceasei_bell_naps(&w->bell))
                ceasei_futex_wait(&w->bell.word, CEASEI_BELL_NAPS);
        ceasei_bell_nap_end(&w->bell);
        return;
    }
    while (ceasei_swap(&bells[w->index], 0, SEQ_CST) == 0) {
        if (timeout_ns == INT64_MAX)
            ceasei_futex_wait(&bells[w->index], 0);
        else if (!watch_is_long && has_something_to_see(w))
            return; /* the watcher's time is over */
        else
            ceasei_relax();
    }
}

void ceasei_sched_run(struct ceasei_worker *w, struct ceasei_task *task)
{
    EXPLORE_CHECK(task->worker == NULL || task->worker == w);
    EXPLORE_CHECK(ceasei_add(&runs[(uintptr_t)task->arg], 1, ACQ_REL) == 0);
    uint32_t count = ceasei_add(&run_count, 1, ACQ_REL) + 1;
    if (count < wanted) {
        while (together && (count = ceasei_load(&run_count, ACQUIRE)) < wanted)
            ceasei_futex_wait(&run_count, count);
        return;
    }
    ceasei_futex_wake(&run_count, EXPLORE_THREADS);
    ceasei_store(&ceasei_runtime.halt, CEASEI_HALT_NOW, SEQ_CST);
    for (uint32_t i = 0; i < ceasei_runtime.max; i++)
        if (workers[i] != w)
            ceasei_worker_ring(workers[i]);
}

cease_error ceasei_stack_take(struct ceasei_task **ret_task, struct ceasei_arena **ret_arena)
{
    *ret_arena = NULL;
    uint32_t number = ceasei_add(&taken, 1, RELAXED);
    EXPLORE_CHECK(number < STACKS);
    *ret_task = &tasks[number];
    return CEASE_OK;
}

bool ceasei_stack_refill(struct ceasei_stack_cache *cache)
{
    (void)cache;
    return false;
}

void ceasei_stack_give_all(struct ceasei_task *task)
{
    (void)task;
    explore_fail("no start fails here");
}

struct ceasei_stack_bounds ceasei_stack_bounds(const struct ceasei_task *task)
{
    (void)task;
    return (struct ceasei_stack_bounds){0};
}

cease_error ceasei_runtime_enter(void)
{
    return CEASE_OK;
}

void ceasei_runtime_leave(void) {}

cease_error ceasei_runtime_start_worker(uint32_t index)
{
    (void)index;
    explore_fail("every worker is there already");
}

bool ceasei_runtime_is_quiet(void)
{
    return false;
}

void ceasei_stack_spill(struct ceasei_stack_cache *cache, unsigned keep)
{
    (void)cache;
    (void)keep;
}

bool ceasei_stack_is_surplus(void)
{
    return false;
}

void ceasei_stack_trim(void) {}

static bool reports; /* long_run.c looks in this model */
static uint32_t is_rung;

bool ceasei_runtime_reports(void)
{
    return reports;
}

bool ceasei_runtime_report(const cease_report *report)
{
    explore_fail("no task runs for long: %s", report->text);
}

void ceasei_monitor_ring(void)
{
    ceasei_store(&is_rung, 1, SEQ_CST);
}

bool ceasei_stack_pin(struct ceasei_stack_walk *walk, const struct ceasei_task *task)
{
    (void)walk;
    (void)task;
    return false;
}

void ceasei_stack_walk_stop(struct ceasei_stack_walk *walk)
{
    (void)walk;
}

void ceasei_see_answer(struct ceasei_worker *w)
{
    (void)w;
}

void ceasei_trace_put(enum ceasei_trace_kind kind, const struct ceasei_task *task,
                      const cease_place *place)
{
    (void)kind;
    (void)task;
    (void)place;
}

struct ceasei_task *ceasei_virtual_next(struct ceasei_worker *w)
{
    (void)w;
    explore_fail("no virtual run");
}

void ceasei_virtual_ran(struct ceasei_worker *w, struct ceasei_task *task)
{
    (void)w;
    (void)task;
}

bool ceasei_virtual_idle(struct ceasei_worker *w)
{
    (void)w;
    return false;
}

/* ---- models ----------------------------------------------------------------------------------- */

static void make_workers(uint32_t count)
{
    glue_start();
    ceasei_virtual.on = 0;
    wanted = 1;
    ceasei_runtime.max = count;
    ceasei_runtime.all = (1U << count) - 1;
    ceasei_runtime.spinner = UINT32_MAX; /* the clock stands */
    for (uint32_t i = 0; i < count; i++) {
        workers[i] = calloc(1, sizeof *workers[i]);
        workers[i]->index = i;
        ceasei_runtime.workers[i] = workers[i];
    }
}

static void make_one(void)
{
    make_workers(1);
}

static void make_both(void)
{
    make_workers(2);
}

static void work_0(void)
{
    ceasei_worker_main(workers[0]);
}

static void work_1(void)
{
    ceasei_worker_main(workers[1]);
}

static void check_all_ran(void)
{
    for (uint32_t i = 0; i < wanted; i++)
        EXPLORE_CHECK(runs[i] == 1);
    for (uint32_t i = 0; i < ceasei_runtime.max; i++)
        free(workers[i]);
    glue_end();
}

/* A task that has started there becomes ready. */
static void make_parked(void)
{
    make_one();
    tasks[0].worker = workers[0];
    tasks[0].state = CEASEI_TASK_STARTED;
}

static void wake_parked(void)
{
    explored_sched_ready(&tasks[0]);
}

MODEL(worker_sleep_wake, .setup = make_parked, .threads = {work_0, wake_parked},
      .check = check_all_ran, .mutants_found_min = 2,
      .seeds = {
          {BUG_SLEEP, false, "a worker does not look again after it has said that it sleeps"}});

/* Two from two sides: who comes second relies on the first one's wake. */
static void make_two_parked(void)
{
    make_parked();
    wanted = 2;
    tasks[1] = tasks[0];
    tasks[1].arg = (void *)1;
}

static void wake_other_parked(void)
{
    explored_sched_ready(&tasks[1]);
}

MODEL(worker_sleep_two_wakes, .setup = make_two_parked,
      .threads = {work_0, wake_parked, wake_other_parked}, .check = check_all_ran);

/* A plain thread starts one. */
static cease_error never_called(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_OK;
}

/* The argument of each task is its number. */
static void go(void)
{
    void *number = (void *)(uintptr_t)ceasei_add(&made, 1, RELAXED);
    EXPLORE_CHECK(cease_go(cease_background(), never_called, number) == CEASE_OK);
}

static void go_twice(void)
{
    go();
    go();
}

static void make_one_for_two_tasks(void)
{
    make_one();
    wanted = 2;
}

/* The monitor looks once, and ends its looks if the worker sleeps: one that goes on begins them again. */
static int64_t next_look;

static void make_one_with_monitor(void)
{
    make_one();
    reports = true;
    next_look = ceasei_long_run_look(0); /* looks go on */
}

static void look(void)
{
    next_look = ceasei_long_run_look(0);
}

static void check_looks_go_on(void)
{
    if (!(ceasei_runtime.idle & 1))
        EXPLORE_CHECK(next_look != INT64_MAX || is_rung);
    check_all_ran();
}

MODEL(worker_sleep_look, .setup = make_one_with_monitor, .threads = {work_0, go, look},
      .check = check_looks_go_on,
      .seeds = {{BUG_LONG_RUN, false, "a worker that does not sleep after all begins no looks"}});

MODEL(worker_sleep_go, .setup = make_one, .threads = {work_0, go}, .check = check_all_ran,
      .mutants_found_min = 1);
MODEL(worker_sleep_go_go, .setup = make_one_for_two_tasks, .threads = {work_0, go, go},
      .check = check_all_ran);
MODEL(worker_search_go, .setup = make_both, .threads = {work_0, work_1, go},
      .check = check_all_ran);

/* A plain thread brings a worker its first socket, and that is ready: as the kernel has it, this ends a sleep in
 * epoll_wait and no other. */
static void make_idle(void)
{
    make_one();
    wanted = 0;
}

static void bring_socket(void)
{
    ceasei_worker_socket_comes(workers[0]);
    ceasei_store(&socket_is_ready, 1, RELEASE);
    ceasei_store(&bells[0], 1, SEQ_CST);
    ceasei_futex_wake(&bells[0], 1);
}

MODEL(worker_nap_socket, .setup = make_idle, .threads = {work_0, bring_socket},
      .check = check_all_ran,
      .seeds = {{BUG_NAP, false, "a worker that naps is not told of its first socket"}});

/* Two tasks that need each other: one worker cannot run both. Both workers sleep, and nobody watches: the
 * second task relies on whoever looks for the first one. */
static void make_sleeping(void)
{
    make_both();
    wanted = 2;
    together = true;
    ceasei_runtime.idle = ceasei_runtime.all;
    ceasei_runtime.watcher = UINT32_MAX;
}

static void sleep_and_work_0(void)
{
    ceasei_worker_poll(workers[0], INT64_MAX);
    work_0();
}

static void sleep_and_work_1(void)
{
    ceasei_worker_poll(workers[1], INT64_MAX);
    work_1();
}

MODEL(worker_search_go_twice, .setup = make_sleeping,
      .threads = {sleep_and_work_0, sleep_and_work_1, go_twice}, .check = check_all_ran,
      .seeds = {{BUG_SEARCH, false, "a search that has found work does not look for more of it"}});

/* The owner takes from its ring what a thief wants, too. */
static void push_and_work(void)
{
    ceasei_worker_self = workers[0];
    for (int i = 0; i < TASKS; i++)
        go();
    work_0();
}

/* The owner has stacks, so the tasks have none until they begin, on whichever worker. */
static void make_both_for_all_tasks(void)
{
    make_both();
    wanted = TASKS;
    while (taken < TASKS)
        ceasei_stack_give(&workers[0]->stacks, &tasks[taken++]);
}

MODEL(worker_steal, .setup = make_both_for_all_tasks, .threads = {push_and_work, work_1},
      .check = check_all_ran, .mutants_found_min = 1,
      .seeds = {{BUG_STEAL, false, "a task is taken from a ring without a compare-and-swap"}});

/* The owner computes with tasks in its ring: whoever is woken, or looks, takes them. */
static void make_both_and_one_busy(void)
{
    make_both();
    wanted = 2;
}

static void push_two_and_compute(void)
{
    ceasei_worker_self = workers[0];
    go();
    go();
}

MODEL(worker_steal_from_busy, .setup = make_both_and_one_busy,
      .threads = {push_two_and_compute, work_1}, .check = check_all_ran);

/* A watcher is woken by a task of its own, and gives the watch up, while a busy worker starts one and relies
 * on it. */
static void make_watcher_and_busy(void)
{
    make_both();
    wanted = 2;
    workers[1]->started_seen =
        UINT32_MAX; /* not 0: its first sleep is a watch, its second is none */
    tasks[0].worker = workers[1];
    tasks[0].state = CEASEI_TASK_STARTED;
    made = taken = 1; /* the other one is */
}

static void push_one_and_compute(void)
{
    ceasei_worker_self = workers[0];
    go();
}

MODEL(worker_watch_given_up, .setup = make_watcher_and_busy,
      .threads = {push_one_and_compute, work_1, wake_parked}, .check = check_all_ran,
      .seeds = {{BUG_WATCH, true, "who gives the watch up does not make the others pass a fence"}});

/* A watcher is woken by a task of its own, which takes long, when a busy worker relies on it: a third one must
 * take the new task. */
static void make_watcher_and_busy_and_idle(void)
{
    make_workers(3);
    wanted = 2;
    together = watch_is_long = true;
    ceasei_runtime.idle = 6;
    ceasei_runtime.watcher = 2;
    tasks[0].worker = workers[1];
    tasks[0].state = CEASEI_TASK_STARTED;
    made = taken = 1; /* the other one is */
}

static void push_one_and_wake_the_watcher(void)
{
    push_one_and_compute();
    wake_parked();
}

/* As sleep_until_something() does, which began before the model. */
static void watch_and_work_1(void)
{
    ceasei_worker_poll(workers[1], 1);
    ceasei_store(&ceasei_runtime.watcher, 0, SEQ_CST);
    workers[1]->has_watched = true;
    work_1();
}

static void sleep_and_work_2(void)
{
    ceasei_worker_poll(workers[2], INT64_MAX);
    ceasei_worker_main(workers[2]);
}

MODEL(worker_watch_left, .setup = make_watcher_and_busy_and_idle,
      .threads = {push_one_and_wake_the_watcher, watch_and_work_1, sleep_and_work_2},
      .check = check_all_ran,
      .seeds = {{BUG_WATCH_LEFT, false, "a watcher that has work of its own does not look"}});
