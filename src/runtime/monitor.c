/* SPDX-License-Identifier: MIT
 *
 * monitor.c: deadlines of contexts, for workers that do not come round to them.
 *
 * A worker that runs one task for long does not look at its timers, and the very task may be looking
 * at a context whose deadline is one of them. So there is one thread more: it sleeps until GRACE_NS
 * after the earliest deadline of all workers, and ends what is still there. A worker that works as it
 * should has been faster. With no deadline it sleeps for ever; the thread is made with the first.
 *
 * While somebody hears reports it also looks for tasks that run too long (long_run.c).
 *
 * `planned` is when it wakes. Who adds a deadline compares with it, without the lock, and rings only
 * if it is earlier. While the thread makes its plan, `planned` is "never", so that whoever adds one
 * meanwhile rings, and the thread plans again.
 *
 * What somebody has rung for stays in the plan (`asked`), although it may be gone when the thread has woken:
 * whoever makes, looks at and ends one context after the other, all with the same timeout, would else
 * wake it for each. The price is one wake-up for nothing.
 */
#include "base/panic.h"
#include "runtime/aside.h"
#include "runtime/long_run.h"
#include "runtime/runtime.h"
#include "runtime/virtual.h"

#include <cease/hooks.h>
#include <pthread.h>
#include <time.h>

enum { GRACE_NS = 10 * 1000 * 1000 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t bell;
    pthread_t thread;
    bool is_running;  /* under lock */
    bool quit;        /* under lock */
    bool is_rung;     /* under lock: since the plan was begun */
    int64_t asked;    /* under lock: the earliest that was rung for, until it is overdue */
    int64_t planned;  /* atomic; written under lock */
    uint32_t is_gone; /* atomic: the thread is about to return */
} monitor = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = INT64_MAX, .planned = INT64_MAX};

/* Runs what is overdue, and gives the earliest deadline that is left. Without the lock. Callbacks may
 * start tasks, so it counts as a plain thread that uses the runtime, and does nothing when that is
 * about to stop. */
static int64_t run_overdue(int64_t now_ns, int64_t *ret_look_at_ns)
{
    *ret_look_at_ns = INT64_MAX;
    if (!ceasei_runtime_try_enter()) {
        return INT64_MAX;
    }
    *ret_look_at_ns = ceasei_long_run_look(now_ns);
    int64_t earliest = INT64_MAX;
    for (unsigned shard = 1; shard <= ceasei_runtime.max; shard++) {
        int64_t next = cease_timers_next(shard).ns;
        if (next != INT64_MAX && next + GRACE_NS <= now_ns) {
            (void)cease_timers_run(shard, (cease_time){now_ns});
            next = cease_timers_next(shard).ns;
        }
        earliest = next < earliest ? next : earliest;
    }
    ceasei_runtime_leave();
    return earliest;
}

static void *monitor_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&monitor.lock);
    while (!monitor.quit) {
        monitor.is_rung = false;
        ceasei_store(&monitor.planned, INT64_MAX, SEQ_CST);
        pthread_mutex_unlock(&monitor.lock);
        int64_t now_ns = cease_now().ns;
        int64_t look_at_ns, earliest = run_overdue(now_ns, &look_at_ns);
        pthread_mutex_lock(&monitor.lock);
        if (monitor.quit || monitor.is_rung) {
            continue;
        }
        if (monitor.asked != INT64_MAX && monitor.asked + GRACE_NS <= now_ns) {
            monitor.asked = INT64_MAX;
        }
        earliest = monitor.asked < earliest ? monitor.asked : earliest;
        if (earliest == INT64_MAX && look_at_ns == INT64_MAX) {
            pthread_cond_wait(&monitor.bell, &monitor.lock);
            continue;
        }
        int64_t until =
            earliest == INT64_MAX ? INT64_MAX : (earliest > now_ns ? earliest : now_ns) + GRACE_NS;
        until = look_at_ns < until ? look_at_ns : until;
        struct timespec ts = {until / 1000000000, until % 1000000000};
        ceasei_store(&monitor.planned, until, SEQ_CST);
        pthread_cond_clockwait(&monitor.bell, &monitor.lock, CLOCK_MONOTONIC, &ts);
    }
    pthread_mutex_unlock(&monitor.lock);
    ceasei_long_run_end();
    cease_trim();
    ceasei_store(&monitor.is_gone, 1, RELEASE);
    return NULL;
}

/* Makes it plan anew, with this deadline among the others. */
static void ring(int64_t deadline_ns)
{
    pthread_mutex_lock(&monitor.lock);
    monitor.is_rung = true;
    monitor.asked = deadline_ns < monitor.asked ? deadline_ns : monitor.asked;
    if (monitor.is_running) {
        pthread_cond_signal(&monitor.bell);
    } else if (!monitor.quit) {
        monitor.is_running =
            ceasei_aside_start(&monitor.thread, "cease-monitor", monitor_main, NULL) == CEASE_OK;
    }
    pthread_mutex_unlock(&monitor.lock);
}

void ceasei_monitor_notice(cease_time deadline)
{
    if (ceasei_virtual_is_on() || deadline.ns == INT64_MAX ||
        deadline.ns + GRACE_NS >= ceasei_load(&monitor.planned, SEQ_CST)) {
        return;
    }
    ring(deadline.ns);
}

void ceasei_monitor_ring(void)
{
    ring(INT64_MAX);
}

bool ceasei_monitor_quit(void)
{
    pthread_mutex_lock(&monitor.lock);
    bool running = monitor.is_running;
    monitor.quit = true;
    pthread_cond_signal(&monitor.bell);
    pthread_mutex_unlock(&monitor.lock);
    return !running || ceasei_load(&monitor.is_gone, ACQUIRE);
}

void ceasei_monitor_join(void)
{
    pthread_mutex_lock(&monitor.lock);
    bool running = monitor.is_running;
    pthread_mutex_unlock(&monitor.lock);
    if (running) {
        pthread_join(monitor.thread, NULL);
    }
    pthread_mutex_lock(&monitor.lock);
    monitor.is_running = monitor.quit = false;
    monitor.asked = INT64_MAX;
    ceasei_store(&monitor.is_gone, 0, RELAXED);
    ceasei_store(&monitor.planned, INT64_MAX, SEQ_CST);
    pthread_mutex_unlock(&monitor.lock);
}
