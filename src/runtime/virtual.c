/* SPDX-License-Identifier: MIT
 *
 * virtual.c: time that jumps, and an order of tasks that repeats, for the one worker of a test run.
 *
 * The idea: with one worker "nothing can run" is something that this worker knows exactly, on its own
 * stack between two tasks: its queues are empty, and nobody holds time. That is the only moment at
 * which time moves, and it moves to the next deadline, so the ordinary code that fires timers does the
 * rest. In the same place the end of the run and a deadlock are noticed.
 *
 *     idle --> what the run's own connections have to say is heard
 *          --> who waits for rest goes on           (settle; nothing may be held)
 *          --> whose moment has come goes on        (advance)
 *          --> time jumps to the next deadline      (held: at most to where somebody advances to)
 *          --> nothing is held and no deadline is left: no task lives: over; else a deadlock
 *          --> sleeps in epoll_wait: something is held, the world is going to speak
 *
 * `switches` of the worker stays 0 meanwhile, which makes every task that stops switch to the worker's
 * own stack. So the choice of the next task and the counting of waits are here, and the fast paths of
 * the scheduler know nothing of it.
 *
 * Who guards what: `on`, `holds`, `poked` and `now_ns` are atomic; all else is the worker's while
 * the run lasts, and test.c's before and after, ordered by the start and the join of its thread. A hold
 * that goes on another thread sets `poked` and wakes the worker, which looks at `poked` after it has said
 * that it sleeps (worker.c), so the last unhold is not missed.
 */
#include "runtime/virtual.h"

#include "base/panic.h"
#include "runtime/runtime.h"

#include <cease/hooks.h>
#include <cease/test.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW = 32 }; /* a seed chooses among so many tasks that wait to run, the oldest */

static const int64_t START_NS = INT64_C(3600) * 1000000000;
static const int64_t AFTER_LIMIT_NS = INT64_C(3600) * 1000000000;

/* A task in cease_test_settle or _advance, on its stack. */
struct rest {
    struct rest *next;
    cease_parker parker;
    int64_t at_ns; /* of an advance */
};

struct ceasei_virtual ceasei_virtual;

static struct {
    struct ceasei_virtual_run *run;
    int64_t now_ns;            /* atomic */
    uint64_t random;           /* the generator's state */
    uint64_t id_base;          /* the first task's id */
    struct ceasei_queue ready; /* everything that can run, in the order in which it got ready */
    struct rest *settling, *advancing;
    bool is_over;
    cease_parker over;
} v;

/* ---- holds --------------------------------------------------------------------------------------- */

void ceasei_virtual_hold(void)
{
    ceasei_add(&ceasei_virtual.holds, 1, SEQ_CST);
}

void ceasei_virtual_unhold(void)
{
    if (ceasei_sub(&ceasei_virtual.holds, 1, SEQ_CST) != 1 || !ceasei_virtual_is_on()) {
        return;
    }
    ceasei_store(&ceasei_virtual.poked, 1, SEQ_CST);
    if (!ceasei_worker_self && ceasei_runtime_try_enter()) {
        struct ceasei_worker *w = ceasei_load(&ceasei_runtime.workers[0], ACQUIRE);
        if (w) {
            ceasei_worker_wake(w);
        }
        ceasei_runtime_leave();
    }
}

CEASE_PUBLIC void cease_test_hold(void)
{
    ceasei_virtual_hold();
}

CEASE_PUBLIC void cease_test_unhold(void)
{
    ceasei_virtual_unhold();
}

/* ---- order --------------------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

uint32_t ceasei_virtual_random(void)
{
    v.random += 0x9e3779b97f4a7c15U;
    return (uint32_t)(mix(v.random) >> 32);
}

/* What has become ready, behind the rest. */
static void gather(struct ceasei_worker *w)
{
    struct ceasei_task *task;
    do {
        w->switches = 1;
        task = ceasei_sched_next(w);
        if (task) {
            ceasei_queue_push(&v.ready, task);
        }
    } while (task);
    w->switches = 0;
}

/* The n-th of a queue, out of it. */
static struct ceasei_task *take_nth(struct ceasei_queue *q, uint32_t n)
{
    struct ceasei_task *before = NULL, *task = q->first;
    while (n-- > 0) {
        before = task;
        task = task->next;
    }
    if (!before) {
        q->first = task->next;
    } else {
        before->next = task->next;
    }
    if (q->last == task) {
        q->last = before;
    }
    return task;
}

struct ceasei_task *ceasei_virtual_next(struct ceasei_worker *w)
{
    gather(w);
    uint32_t count = 0;
    for (const struct ceasei_task *t = v.ready.first; t && count < WINDOW; t = t->next) {
        count++;
    }
    if (count == 0) {
        return NULL;
    }
    uint32_t n = v.run->seed == 0 ? 0 : (uint32_t)((uint64_t)ceasei_virtual_random() * count >> 32);
    return take_nth(&v.ready, n);
}

void ceasei_virtual_ran(struct ceasei_worker *w, struct ceasei_task *task)
{
    struct ceasei_virtual_run *run = v.run;
    run->switches++;
    v.id_base = v.id_base ? v.id_base : task->id;
    uint64_t now = (uint64_t)ceasei_load(&v.now_ns, RELAXED);
    run->schedule = mix(run->schedule + mix(task->id - v.id_base + 1) + now);
    bool has_ended = task->state == CEASEI_TASK_FREE;
    bool has_yielded = w->ready.first && w->ready.last == task;
    if (has_ended || has_yielded) {
        return;
    }
    if (++run->waits == run->cancel_at) {
        run->cancelled = true;
        cease_cancel(run->stop);
    }
}

/* ---- reports ------------------------------------------------------------------------------------- */

void ceasei_virtual_report(int kind, const cease_place *place, uint64_t task, const char *format,
                           ...)
{
    char text[512];
    const char *round = v.run && v.run->round ? v.run->round : "";
    int used = snprintf(text, sizeof text, "%s", round);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    if (ceasei_runtime_report(&(cease_report){(cease_report_kind)kind, text, place, task})) {
        return;
    }
    if (place) {
        dprintf(STDERR_FILENO, "cease: %s:%d: %s: %s\n", place->file, place->line, place->function,
                text);
    } else {
        dprintf(STDERR_FILENO, "cease: %s\n", text);
    }
}

static void report_deadlock(const char *what)
{
    struct cease_runtime_counts counts = {.size = sizeof counts};
    cease_runtime_count(&counts);
    ceasei_virtual_report(CEASE_REPORT_DEADLOCK, NULL, 0, "%s: %zu %s (seed %llu)", what,
                          counts.tasks, counts.tasks == 1 ? "task waits" : "tasks wait",
                          (unsigned long long)v.run->seed);
}

/* The run cannot go on by itself: its context ends, the tasks unwind. */
static void give_up(cease_error why, const char *what)
{
    report_deadlock(what);
    if (v.run->failed != CEASE_OK) {
        ceasei_panic_at(NULL, 0, NULL, "the run was cancelled for that, and tasks still wait");
    }
    v.run->failed = why;
    cease_cancel_cause(v.run->stop, why, "%s", what);
}

/* ---- nothing can run ----------------------------------------------------------------------------- */

static void wake_all(struct rest *list)
{
    while (list) {
        struct rest *r = list;
        list = r->next;
        cease_wake(&r->parker);
    }
}

/* Those of the list whose moment has come. */
static bool wake_advanced(int64_t now_ns)
{
    struct rest **p = &v.advancing, *due = NULL, **last = &due;
    while (*p) {
        struct rest *r = *p;
        if (r->at_ns > now_ns) {
            p = &r->next;
            continue;
        }
        *p = r->next;
        r->next = NULL;
        *last = r;
        last = &r->next;
    }
    wake_all(due);
    return due != NULL;
}

static int64_t next_deadline(const struct ceasei_worker *w)
{
    int64_t next = ceasei_heap_next(&w->sleepers).ns;
    int64_t deadline = cease_timers_next(w->index + 1).ns;
    return deadline < next ? deadline : next;
}

/* Up to where time may move now. */
static int64_t horizon(bool held)
{
    if (!held) {
        return INT64_MAX - 1;
    }
    int64_t furthest = 0;
    for (const struct rest *r = v.advancing; r; r = r->next) {
        furthest = r->at_ns > furthest ? r->at_ns : furthest;
    }
    return furthest;
}

static bool jump(int64_t to_ns, int64_t now_ns)
{
    if (to_ns > v.run->limit_ns) {
        give_up(CEASE_ETIMEDOUT, "the run's limit of virtual time is over");
        v.run->limit_ns = to_ns + AFTER_LIMIT_NS;
        return true;
    }
    ceasei_store(&v.now_ns, to_ns > now_ns ? to_ns : now_ns, RELAXED);
    return true;
}

bool ceasei_virtual_idle(struct ceasei_worker *w)
{
    ceasei_store(&ceasei_virtual.poked, 0, SEQ_CST);
    bool held = ceasei_load(&ceasei_virtual.holds, SEQ_CST) != 0;
    /* In this order: who makes a task ready for somebody holds until that is done. */
    if (ceasei_load(&w->inbox, SEQ_CST) || ceasei_load(&ceasei_runtime.outside_count, SEQ_CST)) {
        return true;
    }
    if (v.is_over) {
        return false;
    }
    /* What tasks have done to each other's connections (cease_test_conn_pair) the kernel knows by now. */
    ceasei_worker_poll(w, 0);
    if (w->ready.first || w->overflow.first || ceasei_ring_count(w) > 0) {
        return true;
    }
    int64_t now_ns = ceasei_load(&v.now_ns, RELAXED);
    if (!held && v.settling) {
        struct rest *all = v.settling;
        v.settling = NULL;
        wake_all(all);
        return true;
    }
    if (wake_advanced(now_ns)) {
        return true;
    }
    int64_t next = next_deadline(w);
    for (const struct rest *r = v.advancing; r; r = r->next) {
        next = r->at_ns < next ? r->at_ns : next;
    }
    if (next <= horizon(held)) {
        return jump(next, now_ns);
    }
    if (held) {
        return false;
    }
    if (ceasei_runtime_is_quiet()) {
        v.is_over = true;
        cease_wake_thread(&v.over);
        return false;
    }
    give_up(CEASE_EDEADLK, "deadlock: nothing can run and no deadline is left");
    return true;
}

/* ---- the run ------------------------------------------------------------------------------------- */

void ceasei_virtual_begin(struct ceasei_virtual_run *run)
{
    memset(&v, 0, sizeof v);
    v.run = run;
    v.now_ns = START_NS;
    v.random = run->seed;
    cease_parker_init(&v.over);
    ceasei_store(&ceasei_virtual.on, 1, SEQ_CST);
}

void ceasei_virtual_join(void)
{
    cease_park_thread(&v.over);
}

void ceasei_virtual_end(void)
{
    ceasei_store(&ceasei_virtual.on, 0, SEQ_CST);
    v.run = NULL;
}

cease_time ceasei_virtual_now(void)
{
    return (cease_time){ceasei_load(&v.now_ns, RELAXED)};
}

static void rest(struct rest **list, int64_t at_ns, const char *function)
{
    if (!ceasei_virtual_is_on() || !ceasei_worker_task()) {
        ceasei_panic_at(NULL, 0, function, "only a task of a cease_test_run can call this");
    }
    struct rest r = {.at_ns = at_ns};
    cease_parker_init(&r.parker);
    while (*list) { /* at the end: they go on in the order in which they came */
        list = &(*list)->next;
    }
    *list = &r;
    cease_park(&r.parker);
}

CEASE_PUBLIC void cease_test_settle(void)
{
    rest(&v.settling, 0, __func__);
}

CEASE_PUBLIC void cease_test_advance(cease_dur d)
{
    rest(&v.advancing, cease_time_add(cease_now(), d).ns, __func__);
}
