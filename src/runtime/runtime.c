/* SPDX-License-Identifier: MIT
 *
 * runtime.c: the life of the runtime: start at the first task, counts, stop, exit, fork.
 *
 *     IDLE --first task--> STARTING --> RUNNING --stop--> STOPPING --> IDLE
 *                              `-> IDLE on failure  ^--------' while something lives
 *
 * State changes happen under `life`. A worker, and a task on it, may use everything at any time: it is
 * joined before anything is freed. A plain thread says that it does by raising `users` and then
 * looking at the state; a stop sets STOPPING and then looks at `users` (both SEQ_CST): so either
 * the thread sees that it must wait for the stop, or the stop sees the thread and gives up. It looks
 * at `users` before it asks whether a task lives: a thread that has left may have started one.
 *
 * Whether a task lives is read without a lock. Every worker counts what it began and what it ended,
 * both only grow, and all the ends are read before all the beginnings: equal sums mean that at one
 * moment in between no task lived.
 *
 * Fork: the child has one thread and no worker. What the core does still works there, with its own
 * hooks; every call of the runtime aborts. A runtime that had not started, or was stopped, at the fork
 * starts in the child as ever.
 *
 * Exit: a handler registered at the first start makes the workers return before the destructors of
 * what was there earlier run. It waits for EXIT_NS at most: a task that computes does not hold up the
 * exit, and tasks that live are left as they are.
 */
#include "runtime/runtime.h"
#include "runtime/bias.h"
#include "runtime/long_run.h"

#include "base/panic.h"
#include "runtime/aside.h"
#include "runtime/park.h"
#include "runtime/see.h"
#include "runtime/virtual.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IDLE = 0, STARTING, RUNNING, STOPPING };

enum {
    STACK_DEFAULT = 256 << 10,
    STACK_MIN = 64 << 10,
    STACK_MAX = 64 << 20,
    EXIT_NS = 100 * 1000 * 1000,
};

struct ceasei_runtime ceasei_runtime;

static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static cease_runtime_opts wanted;  /* under life */
static cease_report_fn *report_to; /* atomic */
static bool is_registered;         /* under life: the handlers for exit and fork */

/* ---- hooks ---------------------------------------------------------------------------------- */

static unsigned hook_timer_shard(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    return w ? w->index + 1 : 0;
}

/* The worker looks at its deadlines before it sleeps, so only a sleeping one must be told. If it runs
 * one task for long, the monitor steps in. */
static void hook_timer_kick(unsigned shard)
{
    struct ceasei_worker *here = ceasei_worker_self;
    if (shard == 0 || shard > CEASEI_WORKERS_MAX || (!here && !ceasei_runtime_try_enter())) {
        return;
    }
    struct ceasei_worker *w = ceasei_load(&ceasei_runtime.workers[shard - 1], ACQUIRE);
    if (w && w != here) {
        ceasei_worker_wake(w);
    }
    ceasei_monitor_notice(cease_timers_next(shard));
    if (!here) {
        ceasei_runtime_leave();
    }
}

struct call {
    void (*fn)(void *arg);
    void *arg;
};

static cease_error call_main(cease_ctx *ctx, void *arg)
{
    struct call call = *(struct call *)arg;
    (void)ctx;
    free(arg);
    call.fn(call.arg);
    return CEASE_OK;
}

static cease_error hook_spawn(void (*fn)(void *arg), void *arg)
{
    bool outside = !ceasei_worker_self;
    if (outside && !ceasei_runtime_try_enter()) {
        return CEASE_EAGAIN; /* being stopped: the core has a thread of its own for it */
    }
    struct call *call = malloc(sizeof *call);
    cease_error err = CEASE_ENOMEM;
    if (call) {
        *call = (struct call){fn, arg};
        err = cease_go(cease_background(), call_main, call);
    }
    if (err != CEASE_OK) {
        free(call);
    }
    if (outside) {
        ceasei_runtime_leave();
    }
    return err;
}

bool ceasei_runtime_report(const cease_report *report)
{
    cease_report_fn *fn = ceasei_load(&report_to, ACQUIRE);
    if (fn) {
        fn(report);
    }
    return fn != NULL;
}

bool ceasei_runtime_reports(void)
{
    return ceasei_load(&report_to, RELAXED) != NULL;
}

static void hook_report(const cease_report *report)
{
    (void)ceasei_runtime_report(report);
}

static const cease_hooks hooks_running = {
    .size = sizeof(cease_hooks),
    .timer_shard = hook_timer_shard,
    .timer_kick = hook_timer_kick,
    .park = ceasei_park,
    .wake = ceasei_wake,
    .spawn = hook_spawn,
    .yield = cease_yield,
    .task_id = cease_task_id,
    .report = hook_report,
};

/* In a test run deadlines of plain threads are the worker's too: the core's thread has another clock. */
static unsigned hook_timer_shard_virtual(void)
{
    return 1;
}

static const cease_hooks hooks_virtual = {
    .size = sizeof(cease_hooks),
    .clock = ceasei_virtual_now,
    .timer_shard = hook_timer_shard_virtual,
    .timer_kick = hook_timer_kick,
    .park = ceasei_park,
    .wake = ceasei_wake,
    .spawn = hook_spawn,
    .yield = cease_yield,
    .task_id = cease_task_id,
    .report = hook_report,
};

/* Without workers the core has its own of everything but somewhere to report to. */
static const cease_hooks hooks_report = {.size = sizeof(cease_hooks), .report = hook_report};

/* Under life. */
static void hooks_without_workers(void)
{
    cease_hooks_install(ceasei_load(&report_to, RELAXED) ? &hooks_report : NULL);
}

CEASE_PUBLIC void cease_set_report(cease_report_fn *fn)
{
    pthread_mutex_lock(&life);
    ceasei_store(&report_to, fn, RELEASE);
    if (ceasei_load(&ceasei_runtime.state, RELAXED) == IDLE) {
        hooks_without_workers();
    } else {
        ceasei_long_run_begin();
    }
    pthread_mutex_unlock(&life);
}

/* ---- settings ------------------------------------------------------------------------------- */

/* A number with K or M after it; 0 when it is not one. */
static size_t parse_size(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : 0;
    if (end == text || n > (UINT64_MAX >> 24)) {
        return 0;
    }
    return (size_t)(n << shift);
}

static size_t stack_size(void)
{
    const char *text = getenv("CEASE_STACK");
    size_t asked = text ? parse_size(text) : 0;
    asked = asked ? asked : wanted.stack_size ? wanted.stack_size : STACK_DEFAULT;
    asked = asked < STACK_MIN ? STACK_MIN : asked > STACK_MAX ? STACK_MAX : asked;
    size_t size = STACK_MIN;
    while (size < asked) {
        size *= 2;
    }
    return size;
}

static uint32_t worker_count(void)
{
    const char *text = getenv("CEASE_WORKERS");
    if (ceasei_virtual_is_on()) {
        return 1;
    }
    size_t n = text ? parse_size(text) : 0;
    n = n ? n : wanted.workers ? wanted.workers : ceasei_cpus_usable();
    return n > CEASEI_WORKERS_MAX ? CEASEI_WORKERS_MAX : (uint32_t)n;
}

static bool explains_overflow(void)
{
    const char *text = getenv("CEASE_SEGV");
    return text ? strcmp(text, "0") != 0 : !wanted.leave_sigsegv;
}

CEASE_PUBLIC cease_error cease_runtime_configure(const cease_runtime_opts *opts)
{
    cease_runtime_opts o = {0};
    memcpy(&o, opts, opts->size && opts->size < sizeof o ? opts->size : sizeof o);
    if (o.workers > CEASEI_WORKERS_MAX ||
        (o.stack_size && (o.stack_size < STACK_MIN || o.stack_size > STACK_MAX))) {
        return CEASE_EINVAL;
    }
    ceasei_runtime_check_fork();
    pthread_mutex_lock(&life);
    bool busy = ceasei_load(&ceasei_runtime.state, RELAXED) != IDLE;
    if (!busy) {
        wanted = o;
    }
    pthread_mutex_unlock(&life);
    return busy ? CEASE_EBUSY : CEASE_OK;
}

/* ---- fork and exit -------------------------------------------------------------------------- */

static void in_child(void)
{
    if (ceasei_load(&ceasei_runtime.state, RELAXED) != IDLE) {
        ceasei_runtime.forked = 1;
    }
    ceasei_worker_self = NULL;
    ceasei_bias_in_child();
    life = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Sleeps a little, unless there is no time left. */
static bool nap(int64_t *left_ns)
{
    struct timespec ts = {.tv_nsec = 50 * 1000};
    if (*left_ns <= 0) {
        return false;
    }
    nanosleep(&ts, NULL);
    *left_ns -= ts.tv_nsec;
    return true;
}

static void at_exit(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    int64_t left_ns = EXIT_NS;
    if (rt->forked) {
        return;
    }
    if (ceasei_load(&rt->state, SEQ_CST) != RUNNING) {
        ceasei_stack_depth_exit();
        return;
    }
    ceasei_store(&rt->halt, CEASEI_HALT_NOW, SEQ_CST);
    for (uint32_t i = 0; i < rt->max; i++) {
        struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
        if (w) {
            ceasei_worker_ring(w);
        }
    }
    for (uint32_t i = 0; i < rt->max; i++) {
        struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
        if (!w || w == ceasei_worker_self) {
            continue;
        }
        while (!ceasei_load(&w->gone, ACQUIRE) && nap(&left_ns)) {
        }
        if (ceasei_load(&w->gone, ACQUIRE)) {
            pthread_join(w->thread, NULL);
        }
    }
    ceasei_see_exit();
    ceasei_stack_depth_exit();
    while (!ceasei_monitor_quit() && nap(&left_ns)) {
    }
    if (ceasei_monitor_quit()) {
        ceasei_monitor_join();
    }
}

void ceasei_runtime_check_fork(void)
{
    if (CEASE_UNLIKELY(ceasei_runtime.forked)) {
        ceasei_panic_at(NULL, 0, NULL,
                        "this process was forked from one that runs tasks, and has no workers: "
                        "fork before the first task, or exec");
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

cease_error ceasei_runtime_start_worker(uint32_t index)
{
    struct ceasei_worker *w;
    char name[16];
    cease_error err = ceasei_worker_new(index, &w);
    if (err != CEASE_OK) {
        return err;
    }
    snprintf(name, sizeof name, "cease-%u", (unsigned)index);
    err = ceasei_aside_start(&w->thread, name, ceasei_worker_main, w);
    if (err != CEASE_OK) {
        ceasei_worker_free(w);
        return err;
    }
    ceasei_store(&ceasei_runtime.workers[index], w, RELEASE);
    return CEASE_OK;
}

/* Under life, in the state IDLE. */
static cease_error start(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    ceasei_store(&rt->state, STARTING, SEQ_CST);
    if (!is_registered) {
        is_registered = pthread_atfork(NULL, NULL, in_child) == 0 && atexit(at_exit) == 0;
    }
    rt->max = worker_count();
    rt->all = rt->max == 64 ? UINT64_MAX : (UINT64_C(1) << rt->max) - 1;
    ceasei_store(&rt->idle, rt->all & ~UINT64_C(1), SEQ_CST);
    ceasei_stack_configure(stack_size());
    ceasei_bias_set_up();
    cease_hooks_install(ceasei_virtual_is_on() ? &hooks_virtual : &hooks_running);
    cease_error err = ceasei_runtime_start_worker(0);
    if (err != CEASE_OK) {
        hooks_without_workers();
        ceasei_store(&rt->state, IDLE, SEQ_CST);
        return err == CEASE_ENOMEM ? CEASE_ENOMEM : CEASE_EAGAIN;
    }
    if (explains_overflow()) {
        ceasei_overflow_install();
    }
    ceasei_store(&rt->state, RUNNING, SEQ_CST);
    return CEASE_OK;
}

cease_error ceasei_runtime_enter(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    ceasei_runtime_check_fork();
    if (CEASE_LIKELY(ceasei_runtime_try_enter())) {
        return CEASE_OK;
    }
    pthread_mutex_lock(&life);
    cease_error err = CEASE_OK;
    if (ceasei_load(&rt->state, RELAXED) != RUNNING) {
        err = start();
    }
    if (err == CEASE_OK) {
        ceasei_add(&rt->users, 1, SEQ_CST);
    }
    pthread_mutex_unlock(&life);
    return err;
}

bool ceasei_runtime_try_enter(void)
{
    ceasei_add(&ceasei_runtime.users, 1, SEQ_CST);
    if (CEASE_LIKELY(ceasei_load(&ceasei_runtime.state, SEQ_CST) == RUNNING)) {
        return true;
    }
    ceasei_sub(&ceasei_runtime.users, 1, RELEASE);
    return false;
}

void ceasei_runtime_leave(void)
{
    ceasei_sub(&ceasei_runtime.users, 1, RELEASE);
}

struct ceasei_worker *ceasei_runtime_some_worker(void)
{
    static uint32_t turn; /* atomic */
    struct ceasei_runtime *rt = &ceasei_runtime;
    struct ceasei_worker *w;
    do {
        uint32_t index = ceasei_add(&turn, 1, RELAXED) % rt->max;
        w = ceasei_load(&rt->workers[index], ACQUIRE);
    } while (!w);
    return w;
}

/* ---- counts --------------------------------------------------------------------------------- */

static size_t live_tasks(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    uint64_t begun = 0, ended = 0;
    for (uint32_t i = 0; i < rt->max; i++) {
        struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
        ended += w ? ceasei_load(&w->ended, ACQUIRE) : 0;
    }
    for (uint32_t i = 0; i < rt->max; i++) {
        struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
        begun += w ? ceasei_load(&w->begun, ACQUIRE) : 0;
    }
    begun += ceasei_load(&rt->outside_begun, ACQUIRE);
    return (size_t)(begun - ended);
}

bool ceasei_runtime_is_quiet(void)
{
    return live_tasks() == 0;
}

CEASE_PUBLIC void cease_runtime_count(struct cease_runtime_counts *ret)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    struct cease_runtime_counts now = {0};
    size_t size = ret->size && ret->size < sizeof now ? ret->size : sizeof now;
    now.size = ret->size;
    ceasei_runtime_check_fork();
    ceasei_add(&rt->users, 1, SEQ_CST);
    if (ceasei_worker_self || ceasei_load(&rt->state, SEQ_CST) == RUNNING) {
        now.tasks = live_tasks();
        now.stacks = ceasei_stack_count();
        now.fds = ceasei_poller_count();
        now.block_jobs = ceasei_block_jobs();
        for (uint32_t i = 0; i < rt->max; i++) {
            now.workers += ceasei_load(&rt->workers[i], ACQUIRE) != NULL;
        }
    }
    ceasei_sub(&rt->users, 1, RELEASE);
    memcpy(ret, &now, size);
}

/* ---- stop ----------------------------------------------------------------------------------- */

/* Whether plain threads are inside, after some patience: most stay for less than a microsecond. */
static bool has_users(void)
{
    int64_t patience_ns = 1000 * 1000;
    while (ceasei_load(&ceasei_runtime.users, SEQ_CST) != 0) {
        if (!nap(&patience_ns)) {
            return true;
        }
    }
    return false;
}

/* All workers; one that is still being made by another is found in a later round. */
static void join_workers(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    uint64_t joined = 0, found;
    do {
        found = 0;
        for (uint32_t i = 0; i < rt->max; i++) {
            struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
            if (w && !(joined >> i & 1)) {
                ceasei_worker_ring(w);
                pthread_join(w->thread, NULL);
                found |= UINT64_C(1) << i;
            }
        }
        joined |= found;
    } while (found);
}

/* Under life, with no worker left. */
static void give_back(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    ceasei_store(&rt->state, IDLE, SEQ_CST);
    while (has_users()) { /* a count, or a late wake, for a moment */
    }
    for (uint32_t i = 0; i < rt->max; i++) {
        if (rt->workers[i]) {
            ceasei_worker_free(rt->workers[i]);
            ceasei_store(&rt->workers[i], NULL, RELAXED);
        }
    }
    ceasei_poller_unmap();
    ceasei_stack_unmap();
    ceasei_pending_unmap();
    rt->outside_begun = 0;
    ceasei_store(&rt->idle, 0, RELAXED);
    ceasei_store(&rt->searching, 0, RELAXED);
    ceasei_store(&rt->watcher, 0, RELAXED);
    ceasei_store(&rt->halt, CEASEI_HALT_NOT, RELAXED);
}

/* Under life, in the state RUNNING. */
static cease_error stop(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    ceasei_store(&rt->state, STOPPING, SEQ_CST);
    /* Users first: one that came in before STOPPING may start a task until it leaves. */
    if (has_users() || !ceasei_runtime_is_quiet() || ceasei_poller_count() != 0 ||
        ceasei_block_stop() != CEASE_OK) {
        ceasei_store(&rt->state, RUNNING, SEQ_CST);
        return CEASE_EBUSY;
    }
    /* A deadline may still start an after-func on a worker: that is run to its end. */
    ceasei_store(&rt->halt, CEASEI_HALT_IDLE, SEQ_CST);
    join_workers();
    hooks_without_workers(); /* the core takes over the workers' deadlines */
    (void)ceasei_monitor_quit();
    ceasei_monitor_join();
    ceasei_overflow_remove();
    give_back();
    return CEASE_OK;
}

CEASE_PUBLIC cease_error cease_runtime_stop(void)
{
    if (ceasei_worker_self) {
        return CEASE_EDEADLK;
    }
    ceasei_runtime_check_fork();
    cease_error err = CEASE_OK;
    pthread_mutex_lock(&life);
    if (ceasei_load(&ceasei_runtime.state, RELAXED) == RUNNING) {
        err = stop();
    } else {
        err = ceasei_block_stop(); /* plain threads use the pool too (cease_block_leave) */
    }
    if (err == CEASE_OK) {
        ceasei_block_signal_stop();
        ceasei_signal_stop();
        ceasei_see_quit_stop();
    }
    pthread_mutex_unlock(&life);
    return err;
}
