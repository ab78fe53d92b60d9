/* SPDX-License-Identifier: MIT
 *
 * long_run.c: reports of tasks that run for long without parking.
 *
 * Such a task keeps its worker from everybody else. Nothing can be done about it but to say where it was
 * started, to whom cease_set_report has named. While there is nobody, nothing happens here.
 *
 * The monitor looks at each worker every LOOK_NS. A worker's number of looks around and the switches that are
 * left until the next one change with every switch; if both are what they were, the task that runs is the same,
 * and has not let anybody else run. When all workers sleep the looks end, so that an idle process uses no
 * processor time; a worker that wakes begins them again.
 *
 * Ending them without missing one is a handshake: `goes_on` is cleared, then the idle bits are looked at; a worker
 * clears its idle bit, then looks at `goes_on`. Both are SEQ_CST.
 *
 * The task is another thread's: its stack is pinned, and what was read of it counts only if it still runs
 * afterwards. The table is the monitor's alone.
 */
#include "runtime/long_run.h"

#include "runtime/runtime.h"
#include "runtime/virtual.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_NS = 20 * 1000 * 1000, LONG_NS = 100 * 1000 * 1000 };

static uint32_t goes_on; /* atomic */

static struct seen {
    uint32_t looks, switches;
    int64_t since_ns; /* 0: no task ran */
    bool told;
} seen[CEASEI_WORKERS_MAX];

void ceasei_long_run_begin(void)
{
    if (ceasei_runtime_reports() && !ceasei_virtual_is_on() && !ceasei_load(&goes_on, SEQ_CST)) {
        ceasei_monitor_ring();
    }
}

void ceasei_long_run_end(void)
{
    memset(seen, 0, sizeof seen);
    ceasei_store(&goes_on, 0, SEQ_CST);
}

static bool is_anybody_awake(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    return (~ceasei_load(&rt->idle, SEQ_CST) & ceasei_load(&rt->all, RELAXED)) != 0;
}

static bool runs_still(const struct ceasei_worker *w, const struct seen *s,
                       const struct ceasei_task *task)
{
    return ceasei_load(&w->current, RELAXED) == task &&
           ceasei_load(&w->looks, RELAXED) == s->looks &&
           ceasei_load(&w->switches, RELAXED) == s->switches;
}

static void tell(const struct ceasei_worker *w, const struct seen *s,
                 const struct ceasei_task *task, int64_t now_ns)
{
    struct ceasei_stack_walk pin = {0};
    if (!ceasei_stack_pin(&pin, task)) {
        return;
    }
    uint64_t id = ceasei_load(&task->id, RELAXED);
    const cease_place *place = ceasei_load(&task->place, RELAXED);
    bool same = runs_still(w, s, task);
    ceasei_stack_walk_stop(&pin);
    if (same) {
        char text[128];
        snprintf(text, sizeof text,
                 "task %llu, which was started here, has run for %lld ms without parking",
                 (unsigned long long)id, (long long)(now_ns - s->since_ns) / 1000000);
        ceasei_runtime_report(&(cease_report){CEASE_REPORT_LONG_RUN, text, place, id});
    }
}

static void look_at(const struct ceasei_worker *w, struct seen *s, int64_t now_ns)
{
    const struct ceasei_task *task = ceasei_load(&w->current, RELAXED);
    if (!task || s->since_ns == 0 || !runs_still(w, s, task)) {
        *s = (struct seen){.looks = ceasei_load(&w->looks, RELAXED),
                           .switches = ceasei_load(&w->switches, RELAXED),
                           .since_ns = task ? now_ns : 0};
    } else if (!s->told && now_ns - s->since_ns >= LONG_NS) {
        s->told = true;
        tell(w, s, task, now_ns);
    }
}

int64_t ceasei_long_run_look(int64_t now_ns)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    bool wanted = ceasei_runtime_reports() && !ceasei_virtual_is_on();
    ceasei_store(&goes_on, 0, SEQ_CST);
    if (!wanted || !is_anybody_awake()) {
        return INT64_MAX;
    }
    ceasei_store(&goes_on, 1, SEQ_CST);
    for (uint32_t i = 0; i < rt->max; i++) {
        const struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
        if (w) {
            look_at(w, &seen[i], now_ns);
        }
    }
    return now_ns + LOOK_NS;
}
