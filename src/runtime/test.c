/* SPDX-License-Identifier: MIT
 *
 * test.c: the runs of cease/test.h and their runners; virtual.c moves time in them.
 *
 * A run owns the runtime: it starts it with the virtual clock and stops it again, so the next tasks of
 * the process find it as ever. What is left behind is counted from outside, before and after.
 */
#include "base/panic.h"
#include "runtime/runtime.h"
#include "runtime/virtual.h"

#include <cease/hooks.h>
#include <cease/test.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t ROUNDS_MAX = 100000;

static pthread_mutex_t running = PTHREAD_MUTEX_INITIALIZER;
static cease_test_result last; /* under running */

struct scenario {
    cease_task_fn *fn;
    void *arg;
    const cease_place *place;
    struct ceasei_virtual_run *run;
    cease_error result;
    const cease_test_faults *faults; /* NULL: nothing fails */
    uint64_t fail_at;
    bool failed; /* the call of fail_at has come */
};

static const cease_test_faults *used[2]; /* by cease_test_fault; set between runs */

static cease_error scenario_main(cease_ctx *ctx, void *arg)
{
    struct scenario *s = arg;
    if (s->faults) {
        s->faults->arm(s->fail_at);
    }
    s->result = s->fn(ctx, s->arg);
    cease_cancel(s->run->stop);
    return CEASE_OK;
}

static long count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long count = 0;
    while (dir && readdir(dir)) {
        count++;
    }
    if (dir) {
        closedir(dir);
    }
    return count;
}

static cease_error stop_and_compare(const struct scenario *s, size_t contexts, long fds)
{
    if (cease_runtime_stop() != CEASE_OK) {
        ceasei_virtual_report(CEASE_REPORT_LEAK, s->place, 0,
                              "a connection, a listener or a job is left behind by the run");
        return CEASE_EBUSY;
    }
    size_t contexts_left = cease_live_count();
    long fds_left = count_fds();
    if (contexts_left <= contexts && fds_left <= fds) {
        return CEASE_OK;
    }
    ceasei_virtual_report(CEASE_REPORT_LEAK, s->place, 0,
                          "left behind by the run: %zu contexts (%zu before), %ld fds (%ld before)",
                          contexts_left, contexts, fds_left, fds);
    return CEASE_EBUSY;
}

/* Under `running`, with the clock set up. */
static cease_error run_on_clock(struct scenario *s)
{
    size_t contexts = cease_live_count();
    long fds = count_fds();
    ceasei_virtual_hold(); /* until there is a task, the worker would find the run over */
    cease_error e = ceasei_runtime_enter();
    if (e != CEASE_OK) {
        ceasei_virtual_unhold();
        return e;
    }
    /* Made on the run's clock, and under its hooks. */
    cease_ctx *ctx = cease_with_cancel(cease_background(), &s->run->stop);
    e = cease_go_at(ctx, scenario_main, s, s->place);
    ceasei_virtual_unhold();
    ceasei_runtime_leave();
    ceasei_virtual_join(); /* over at once when there is no task */
    if (s->faults) {
        s->failed = s->faults->failed();
        s->faults->arm(0);
    }
    int64_t now_ns = ceasei_virtual_now().ns;
    cease_end(s->run->stop);
    cease_error left = stop_and_compare(s, contexts, fds);
    last.elapsed = cease_ns(now_ns - cease_hour(1).ns);
    return e != CEASE_OK                ? e
           : s->run->failed != CEASE_OK ? s->run->failed
           : left                       ? left
                                        : s->result;
}

static cease_error run_once(struct ceasei_virtual_run *run, struct scenario *s)
{
    if (ceasei_worker_self) {
        return CEASE_EDEADLK;
    }
    if (pthread_mutex_trylock(&running) != 0) {
        return CEASE_EBUSY;
    }
    s->run = run;
    s->result = CEASE_OK;
    cease_error e = cease_runtime_stop();
    if (e == CEASE_OK) {
        ceasei_virtual_begin(run);
        e = run_on_clock(s);
        ceasei_virtual_end();
        last.seed = run->seed;
        last.switches = run->switches;
        last.waits = run->waits;
        last.schedule = run->schedule;
    }
    pthread_mutex_unlock(&running);
    return e;
}

static cease_test_opts copy_opts(const cease_test_opts *opts)
{
    cease_test_opts o = {0};
    if (opts) {
        memcpy(&o, opts, opts->size && opts->size < sizeof o ? opts->size : sizeof o);
    }
    o.rounds_max = o.rounds_max ? o.rounds_max : ROUNDS_MAX;
    return o;
}

/* The seed to replay. */
static bool seed_given(uint64_t *ret_seed)
{
    const char *text = getenv("CEASE_TEST_SEED");
    char *end;
    unsigned long long n = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end != '\0') {
        return false;
    }
    *ret_seed = n;
    return true;
}

static struct ceasei_virtual_run run_of(const cease_test_opts *o)
{
    struct ceasei_virtual_run run = {.seed = o->seed, .limit_ns = INT64_MAX};
    (void)seed_given(&run.seed);
    if (o->limit.ns > 0) {
        run.limit_ns = cease_time_add((cease_time){cease_hour(1).ns}, o->limit).ns;
    }
    return run;
}

CEASE_PUBLIC cease_error cease_test_run_at(const cease_test_opts *opts, cease_task_fn *fn,
                                           void *arg, const cease_place *place)
{
    cease_test_opts o = copy_opts(opts);
    struct ceasei_virtual_run run = run_of(&o);
    struct scenario s = {.fn = fn, .arg = arg, .place = place};
    last.rounds = 1;
    return run_once(&run, &s);
}

CEASE_PUBLIC void cease_test_last(cease_test_result *ret)
{
    size_t size = ret->size && ret->size < sizeof *ret ? ret->size : sizeof *ret;
    cease_test_result now = last;
    now.size = ret->size;
    memcpy(ret, &now, size);
}

CEASE_PUBLIC cease_error cease_test_each_seed_at(const cease_test_opts *opts, uint64_t count,
                                                 cease_task_fn *fn, void *arg,
                                                 const cease_place *place)
{
    cease_test_opts o = copy_opts(opts);
    struct scenario s = {.fn = fn, .arg = arg, .place = place};
    uint64_t ignored;
    cease_error e = CEASE_OK;
    count = seed_given(&ignored) ? 1 : count < o.rounds_max ? count : o.rounds_max;
    o.seed = o.seed ? o.seed : 1;
    uint64_t i = 0;
    for (; i < count && e == CEASE_OK; i++, o.seed++) {
        struct ceasei_virtual_run run = run_of(&o);
        e = run_once(&run, &s);
        if (e != CEASE_OK) {
            ceasei_virtual_report(CEASE_REPORT_DEADLOCK, place, 0,
                                  "the run gave %s; CEASE_TEST_SEED=%llu repeats it",
                                  cease_error_name(e), (unsigned long long)run.seed);
        }
    }
    last.rounds = i;
    return e;
}

static bool is_serious(cease_error e, const struct ceasei_virtual_run *run,
                       const struct scenario *s)
{
    return run->failed != CEASE_OK || (e != CEASE_OK && e != s->result);
}

CEASE_PUBLIC cease_error cease_test_each_cancel_at(const cease_test_opts *opts, cease_task_fn *fn,
                                                   void *arg, const cease_place *place)
{
    cease_test_opts o = copy_opts(opts);
    struct scenario s = {.fn = fn, .arg = arg, .place = place};
    struct ceasei_virtual_run run = run_of(&o);
    cease_error e = run_once(&run, &s);
    last.rounds = 1;
    for (uint64_t k = 1; e == CEASE_OK && k <= o.rounds_max; k++) {
        char round[64];
        snprintf(round, sizeof round, "cancelled at wait %llu: ", (unsigned long long)k);
        run = run_of(&o);
        run.round = round;
        run.cancel_at = k;
        e = run_once(&run, &s);
        last.rounds = k + 1;
        if (!is_serious(e, &run, &s)) {
            e = CEASE_OK;
        }
        if (!run.cancelled) {
            return e;
        }
    }
    return e == CEASE_OK ? CEASE_ERANGE : e;
}

/* ---- failures ------------------------------------------------------------------------------------- */

CEASE_PUBLIC void cease_test_faults_use(cease_test_fault kind, const cease_test_faults *faults)
{
    used[kind] = faults;
}

/* Blocks of the program, without what this thread keeps for its next contexts. */
static long blocks_held(void)
{
    const cease_test_faults *allocation = used[CEASE_TEST_ALLOCATION];
    if (!allocation || !allocation->held) {
        return 0;
    }
    cease_trim();
    return allocation->held();
}

/* A round: its error when that is serious, else CEASE_OK. */
static cease_error run_failing(const cease_test_opts *o, struct scenario *s, const char *round)
{
    struct ceasei_virtual_run run = run_of(o);
    run.round = round;
    long before = blocks_held();
    cease_error e = run_once(&run, s);
    e = is_serious(e, &run, s) ? e : CEASE_OK;
    long left = blocks_held() - before;
    if (e == CEASE_OK && left > 0) {
        ceasei_virtual_report(CEASE_REPORT_LEAK, s->place, 0,
                              "%sleft behind by the run: %ld blocks", round, left);
        e = CEASE_EBUSY;
    }
    return e;
}

static cease_error each_failure_of(cease_test_fault kind, const cease_test_opts *o,
                                   struct scenario *s)
{
    static const char *const names[] = {"allocation", "system call"};
    s->faults = used[kind];
    for (uint64_t n = 1; n <= o->rounds_max; n++) {
        char round[64];
        snprintf(round, sizeof round, "%s %llu failed: ", names[kind], (unsigned long long)n);
        s->fail_at = n;
        cease_error e = run_failing(o, s, round);
        last.rounds++;
        if (e != CEASE_OK || !s->failed) {
            return e;
        }
    }
    return CEASE_ERANGE;
}

CEASE_PUBLIC cease_error cease_test_each_failure_at(const cease_test_opts *opts, cease_task_fn *fn,
                                                    void *arg, const cease_place *place)
{
    cease_test_opts o = copy_opts(opts);
    struct scenario s = {.fn = fn, .arg = arg, .place = place};
    struct ceasei_virtual_run run = run_of(&o);
    cease_error e = run_once(&run, &s); /* also makes what is made once in a process */
    last.rounds = 1;
    if (e != CEASE_OK) {
        return e;
    }
    if (!used[CEASE_TEST_ALLOCATION] && !used[CEASE_TEST_SYSTEM_CALL]) {
        return CEASE_ENOTSUP;
    }
    for (int kind = CEASE_TEST_ALLOCATION; e == CEASE_OK && kind <= CEASE_TEST_SYSTEM_CALL;
         kind++) {
        e = used[kind] ? each_failure_of((cease_test_fault)kind, &o, &s) : CEASE_OK;
    }
    return e;
}

#undef cease_test_run
#undef cease_test_each_failure
#undef cease_test_each_seed
#undef cease_test_each_cancel
/* For bindings of other languages. */
CEASE_PUBLIC cease_error cease_test_run(const cease_test_opts *opts, cease_task_fn *fn, void *arg)
{
    return cease_test_run_at(opts, fn, arg, CEASE_HERE);
}
CEASE_PUBLIC cease_error cease_test_each_seed(const cease_test_opts *opts, uint64_t count,
                                              cease_task_fn *fn, void *arg)
{
    return cease_test_each_seed_at(opts, count, fn, arg, CEASE_HERE);
}
CEASE_PUBLIC cease_error cease_test_each_cancel(const cease_test_opts *opts, cease_task_fn *fn,
                                                void *arg)
{
    return cease_test_each_cancel_at(opts, fn, arg, CEASE_HERE);
}
CEASE_PUBLIC cease_error cease_test_each_failure(const cease_test_opts *opts, cease_task_fn *fn,
                                                 void *arg)
{
    return cease_test_each_failure_at(opts, fn, arg, CEASE_HERE);
}
