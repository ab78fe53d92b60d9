/* SPDX-License-Identifier: MIT
 *
 * worker.c: a worker's thread between tasks: looking around, stealing, sleeping, waking others.
 *
 * The idea: a worker sleeps in epoll_wait of its own epoll instance, so that one system call waits for
 * sockets, for its earliest timer and for other threads (an eventfd, edge-triggered, never read); or,
 * while it has no sockets, on a futex (bell.h).
 * Nobody waits for another worker's sockets.
 *
 * Falling asleep without missing anything is Dekker's handshake over runtime.idle: the worker sets its
 * bit, then looks at all sources once more; who brings something (to the inbox, to the outside queue, an
 * earlier deadline) publishes it, then looks at the bit. One of them sees the other. Who takes the bit
 * away writes the eventfd. Both sides are SEQ_CST. A worker whose thread has not been made yet has
 * its bit set from the start: to wake it is to make it.
 *
 * Un-started tasks are no reason to wake somebody at once (see sched.c). Instead, while any worker is
 * awake, one of the sleepers is the *watcher*: it looks at the others' rings every WATCH_NS. When all
 * sleep nobody watches, and no processor time is used. Nobody watches either while no tasks are started: a
 * sleep that must end makes the wake slower by a timer. Who starts one then wakes a sleeper, who watches
 * from then on. Who gives the watch up makes every thread pass a fence, and looks once more: so a task
 * whose starter took it for a watcher is seen. A watcher that is woken by work of its own looks once, and
 * wakes somebody else if there is a new task. A worker that was woken to look for work is
 * the *searcher*; nobody else is woken until it has found some or sleeps again (Go's rule). So who
 * gives the search up, in whatever way, first clears `searching` and then looks at all queues once
 * more: others may have relied on it.
 *
 * One worker at a time may spin before it sleeps, and only if its last sleep was ended by another
 * thread so soon that spinning would have caught it.
 */
#include "base/panic.h"
#include "runtime/bias.h"
#include "runtime/long_run.h"
#include "runtime/queue.h"
#include "runtime/runtime.h"
#include "runtime/see.h"
#include "runtime/virtual.h"

#include <cease/hooks.h>

enum {
    WATCH_NS = 10 * 1000 * 1000,
    POLL_NS = 50 * 1000, /* how long sockets are not looked at while there is work */
    POLL_ROUNDS = 16,    /* the same in rounds of maintenance, for a clock that stands */
    SPIN_NS = 30 * 1000,
    SPIN_WORTH_NS = 50 * 1000,
    QUICK_NS = 10 * 1000, /* a turn that is over so soon may be longer */
    SLOW_NS = 40 * 1000,
    TRIM_AFTER_NS = 1000 * 1000 * 1000, /* surplus stacks stay for the next burst, */
    TRIM_NS = 10 * 1000 * 1000,         /* then go, some at a time */
    HALT_NS = 1000 * 1000,
    OUTSIDE_BATCH = 32,
    STEAL_MAX = 64,
#ifdef CEASE_INTERLEAVE
    VAIN_MAX = 1,
#else
    VAIN_MAX = 16, /* sleeps during which nobody started a task */
#endif
};

static uint64_t bit_of(const struct ceasei_worker *w)
{
    return UINT64_C(1) << w->index;
}

/* ---- waking --------------------------------------------------------------------------------- */

void ceasei_worker_wake(struct ceasei_worker *w)
{
    uint64_t bit = bit_of(w);
    if ((ceasei_load(&ceasei_runtime.idle, SEQ_CST) & bit) &&
        (ceasei_and(&ceasei_runtime.idle, ~bit, SEQ_CST) & bit)) {
        ceasei_worker_ring(w);
    }
}

void ceasei_worker_socket_comes(struct ceasei_worker *w)
{
    ceasei_add(&w->bell.sockets, 1, SEQ_CST);
    if (w != ceasei_worker_self && !CEASE_SEED_BUG(BUG_NAP)) {
        ceasei_worker_wake(w); /* from a nap that no socket would end */
    }
}

void ceasei_worker_socket_goes(struct ceasei_worker *w)
{
    ceasei_sub(&w->bell.sockets, 1, RELAXED);
}

/* Takes the bit of one idle worker and wakes or makes it. False when all are awake. */
static bool wake_one_idle(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    uint64_t idle = ceasei_load(&rt->idle, SEQ_CST);
    while (idle) {
        uint32_t index = (uint32_t)__builtin_ctzll(idle);
        uint64_t bit = UINT64_C(1) << index;
        idle = ceasei_and(&rt->idle, ~bit, SEQ_CST);
        if (!(idle & bit)) {
            continue;
        }
        idle &= ~bit;
        ceasei_store(&rt->searching, index + 1, SEQ_CST);
        struct ceasei_worker *w = ceasei_load(&rt->workers[index], ACQUIRE);
        if (w) {
            ceasei_worker_ring(w);
            return true;
        }
        if (ceasei_runtime_start_worker(index) == CEASE_OK) {
            return true;
        }
        ceasei_and(&rt->all, ~bit, RELAXED); /* we do without it */
    }
    return false;
}

/* Whether there are tasks somewhere that nobody has started. */
static bool is_new_work(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    if (ceasei_load(&rt->outside_count, SEQ_CST) > 0) {
        return true;
    }
    for (uint32_t i = 0; i < rt->max; i++) {
        struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
        if (w && ceasei_ring_count(w) > 0) {
            return true;
        }
    }
    return false;
}

void ceasei_worker_wake_any(void)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    do {
        uint32_t nobody = 0;
        if (ceasei_load(&rt->idle, SEQ_CST) == 0 || ceasei_load(&rt->halt, RELAXED) ||
            !ceasei_cas(&rt->searching, &nobody, UINT32_MAX, SEQ_CST) || wake_one_idle()) {
            return;
        }
        ceasei_store(&rt->searching, 0, SEQ_CST);
        /* While it was taken somebody else may have come, left it to us, and a worker have gone to
         * sleep just before that. */
    } while (is_new_work());
}

/* The search is over for w, if it was searching. */
static bool search_end(struct ceasei_worker *w)
{
    if (ceasei_load(&ceasei_runtime.searching, RELAXED) != w->index + 1) {
        return false;
    }
    ceasei_store(&ceasei_runtime.searching, 0, SEQ_CST);
    return true;
}

/* ---- finding work --------------------------------------------------------------------------- */

/* Some of what plain threads have started, into the ring. */
static void take_outside(struct ceasei_worker *w)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    if (ceasei_load(&rt->outside_count, RELAXED) == 0) {
        return;
    }
    struct ceasei_pending_queue mine = {0};
    uint32_t n = 0;
    ceasei_lock(&rt->outside_lock);
    while (n < OUTSIDE_BATCH && rt->outside.first) {
        ceasei_pending_push(&mine, ceasei_pending_pop(&rt->outside));
        n++;
    }
    ceasei_store(&rt->outside_count, rt->outside_count - n, RELAXED);
    ceasei_unlock(&rt->outside_lock);
    for (struct ceasei_pending *p; (p = ceasei_pending_pop(&mine));) {
        ceasei_sched_push_new(w, p);
    }
}

/* Of `wanted` tasks without a stack, how many w can take over: their stacks are the victim's (pending.h). */
static uint32_t stacks_for(struct ceasei_worker *w, uint32_t wanted)
{
    uint32_t taken = ceasei_queue_new_count(w);
    uint32_t few =
        4 + 2 * w->stacks.count; /* not many new ones at once, while a task waits for us */
    wanted = wanted < few ? wanted : few;
    struct ceasei_task *task;
    struct ceasei_arena *arena;
    while (w->stacks.count < taken + wanted && ceasei_stack_take(&task, &arena) == CEASE_OK) {
        task->arena = arena;
        ceasei_stack_give(&w->stacks, task);
    }
    if (CEASE_UNLIKELY(w->stacks.count <= taken)) {
        ceasei_worker_poll(w, HALT_NS); /* the victim has some: no reason to look all the time */
        return 0;
    }
    uint32_t has = w->stacks.count - taken;
    return has < wanted ? has : wanted;
}

/* Half of what another worker has not started yet. The first of them is the result, to be run at once
 * and not by way of the ring: two thieves could take one task from each other for ever. */
static struct ceasei_task *steal_from(struct ceasei_worker *w, struct ceasei_worker *victim)
{
    uint32_t aim = (ceasei_ring_count(victim) + 1) / 2;
    aim = aim > 0 ? stacks_for(w, aim < STEAL_MAX ? aim : STEAL_MAX) : 0;
    struct ceasei_pending *first = aim > 0 ? ceasei_ring_take(victim) : NULL, *p;
    if (!first) {
        return NULL;
    }
    struct ceasei_task *task = ceasei_queue_unfold(w, first);
    for (uint32_t n = 1; n < aim && (p = ceasei_ring_take(victim)); n++) {
        p->order = w->order++;
        if (!ceasei_ring_push(w, p)) {
            ceasei_pending_push(&w->overflow, p);
        }
    }
    return task;
}

static struct ceasei_task *steal(struct ceasei_worker *w)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    for (uint32_t i = 1; i < rt->max; i++) {
        struct ceasei_worker *victim = ceasei_load(&rt->workers[(w->index + i) % rt->max], ACQUIRE);
        struct ceasei_task *task = victim ? steal_from(w, victim) : NULL;
        if (task) {
            return task;
        }
    }
    return NULL;
}

static bool is_halted(void)
{
    uint32_t halt = ceasei_load(&ceasei_runtime.halt, SEQ_CST);
    return halt == CEASEI_HALT_NOW || (halt == CEASEI_HALT_IDLE && ceasei_runtime_is_quiet());
}

/* w has something to run: if it was woken to find that, or was the watcher until now, somebody else may
 * look for the rest. (Who starts one while the watch ends has no fence, and may be missed until somebody
 * looks again.) */
static void found_work(struct ceasei_worker *w)
{
    bool is_relied_on = search_end(w) || (w->has_watched && !CEASE_SEED_BUG(BUG_WATCH_LEFT));
    w->has_watched = false;
    if (is_relied_on && is_new_work() && !CEASE_SEED_BUG(BUG_SEARCH)) {
        ceasei_worker_wake_any();
    }
}

/* Whether there is anything but timers and sockets that w could do. Asked after its bit is set. */
static bool has_work(const struct ceasei_worker *w)
{
    return ceasei_load(&w->inbox, SEQ_CST) || is_halted() || is_new_work() ||
           ceasei_load(&w->ask, SEQ_CST) || ceasei_load(&ceasei_virtual.poked, SEQ_CST);
}

/* ---- sleeping ------------------------------------------------------------------------------- */

static bool spin(struct ceasei_worker *w)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    uint32_t nobody = 0;
    if (!w->spin || rt->max < 2 || !ceasei_cas(&rt->spinner, &nobody, w->index + 1, RELAXED)) {
        return false;
    }
    int64_t end_ns = cease_now().ns + SPIN_NS;
    bool found = false;
    do {
        for (int i = 0; i < 32 && !found; i++) {
            found = ceasei_load(&w->inbox, RELAXED) || ceasei_load(&rt->outside_count, RELAXED);
            ceasei_relax();
        }
    } while (!found && cease_now().ns < end_ns);
    ceasei_store(&rt->spinner, 0, RELAXED);
    w->spin = found;
    return found;
}

/* How long w may sleep: to its next deadline, of a sleeper or a context, or to the next duty. */
static int64_t sleep_length(struct ceasei_worker *w, bool watching)
{
    int64_t at = ceasei_heap_next(&w->sleepers).ns;
    int64_t deadline = cease_timers_next(w->index + 1).ns;
    at = deadline < at ? deadline : at;
    if (w->trim_at_ns != 0 && w->trim_at_ns < at) {
        at = w->trim_at_ns;
    }
    int64_t length = INT64_MAX;
    if (at != INT64_MAX && !ceasei_virtual_is_on()) {
        length = at - cease_now().ns;
        length = length > 0 ? length : 0;
    }
    if (watching && length > WATCH_NS) {
        length = WATCH_NS;
    }
    /* A task that came in while the runtime was being stopped: nobody says when it has ended. */
    if (length > HALT_NS && ceasei_load(&ceasei_runtime.halt, RELAXED)) {
        length = HALT_NS;
    }
    return length;
}

/* Others start tasks, or have done so until lately. Asked before w looks for the last time. */
static bool is_watch_worth_it(struct ceasei_worker *w)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    uint32_t started = 0;
    for (uint32_t i = 0; i < rt->max; i++) {
        const struct ceasei_worker *other = ceasei_load(&rt->workers[i], ACQUIRE);
        started += other && other != w ? ceasei_load(&other->tail, ACQUIRE) : 0;
    }
    if (started != w->started_seen) {
        w->started_seen = started;
        w->in_vain = 0;
        return true;
    }
    if (w->in_vain < VAIN_MAX && ++w->in_vain == VAIN_MAX && !ceasei_fence_all()) {
        w->in_vain--;
    }
    return w->in_vain < VAIN_MAX;
}

static bool watch_begin(struct ceasei_worker *w)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    uint32_t nobody = 0;
    bool others_awake =
        (~ceasei_load(&rt->idle, RELAXED) & ceasei_load(&rt->all, RELAXED)) & ~bit_of(w);
    return others_awake && ceasei_cas(&rt->watcher, &nobody, w->index + 1, RELAXED);
}

/* Stacks that nobody has needed for a while give their memory back, some before each sleep. */
static void trim_stacks(struct ceasei_worker *w)
{
    ceasei_stack_spill(&w->stacks, CEASEI_CACHE_KEEP + ceasei_queue_new_count(w));
    ceasei_pending_spill(&w->pendings, CEASEI_CACHE_KEEP);
    if (!ceasei_stack_is_surplus()) {
        w->trim_at_ns = 0;
        return;
    }
    int64_t now_ns = cease_now().ns;
    if (w->trim_at_ns == 0) {
        w->trim_at_ns = now_ns + TRIM_AFTER_NS;
    } else if (now_ns >= w->trim_at_ns) {
        w->trim_at_ns = now_ns + TRIM_NS;
        ceasei_stack_trim();
    }
}

/* Gives the time when it is over. */
static cease_time sleep_until_something(struct ceasei_worker *w)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    if ((ceasei_virtual_is_on() && ceasei_virtual_idle(w)) || spin(w)) {
        return cease_now();
    }
    trim_stacks(w);
    ceasei_or(&rt->idle, bit_of(w), SEQ_CST);
    (void)search_end(w);
    bool worth_it = is_watch_worth_it(w);
    if (has_work(w) && !CEASE_SEED_BUG(BUG_SLEEP)) {
        ceasei_and(&rt->idle, ~bit_of(w), SEQ_CST);
        if (!CEASE_SEED_BUG(BUG_LONG_RUN)) {
            ceasei_long_run_begin(); /* the monitor may just have seen the bit */
        }
        return cease_now();
    }
    bool watching = worth_it && watch_begin(w);
    int64_t length = sleep_length(w, watching);
    int64_t since_ns = cease_now().ns;
    ceasei_worker_poll(w, length);
    bool woken = !(ceasei_and(&rt->idle, ~bit_of(w), SEQ_CST) & bit_of(w));
    if (watching) {
        ceasei_store(&rt->watcher, 0, SEQ_CST);
    }
    w->has_watched = watching;
    ceasei_long_run_begin();
    cease_time now = cease_now();
    w->rounds = 0;
    w->poll_at = cease_time_add(now, cease_ns(POLL_NS)); /* it has been looked at */
    if (woken) {
        w->spin = now.ns - since_ns < SPIN_WORTH_NS;
    }
    return now;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* How many switches come before the next look: to look costs as much as some ten of them, and who
 * waits for it counts in time. */
static uint32_t next_turn(const struct ceasei_worker *w, cease_time now)
{
    int64_t took_ns = now.ns - w->looked_at.ns;
    if (w->turn == 0 || w->switches > 0 || took_ns > SLOW_NS) {
        return CEASEI_SWITCHES;
    }
    bool longer = took_ns < QUICK_NS && w->turn < CEASEI_SWITCHES_MAX;
    return longer ? w->turn * 2 : w->turn;
}

/* Timers, sockets, what others have started: at least every CEASEI_SWITCHES switches, or more that are
 * quick. */
static void look_around(struct ceasei_worker *w, cease_time now)
{
    if (CEASE_UNLIKELY(cease_callback_place() != NULL)) { /* a cheap call has not looked */
        cease_park_forbidden("cease_yield");
    }
    w->turn = next_turn(w, now);
    w->looked_at = now;
    ceasei_store(&w->switches, w->turn, RELAXED);
    ceasei_store(&w->looks, w->looks + 1, RELAXED);
    w->now_ms = (uint32_t)(now.ns / 1000000);
    if (CEASE_UNLIKELY(ceasei_load(&w->ask, RELAXED) != NULL)) {
        ceasei_see_answer(w);
    }
    if (ceasei_heap_next(&w->sleepers).ns <= now.ns) {
        ceasei_timer_fire(w, now);
    }
    if (cease_timers_next(w->index + 1).ns <= now.ns) {
        (void)cease_timers_run(w->index + 1, now);
    }
    if (now.ns >= w->poll_at.ns || ++w->rounds >= POLL_ROUNDS) {
        w->rounds = 0;
        w->poll_at = cease_time_add(now, cease_ns(POLL_NS));
        ceasei_worker_poll(w, 0);
    }
    take_outside(w);
    if (w->stacks.count > 2 * CEASEI_CACHE_MAX) {
        ceasei_stack_spill(&w->stacks, CEASEI_CACHE_MAX + ceasei_queue_new_count(w));
    }
    if (w->pendings.count > 2 * CEASEI_CACHE_MAX) {
        ceasei_pending_spill(&w->pendings, CEASEI_CACHE_MAX);
    }
}

void *ceasei_worker_main(void *arg)
{
    struct ceasei_worker *w = arg;
    /* Before it can look idle: whoever takes an idle bit and finds no worker makes another one. */
    ceasei_store(&ceasei_runtime.workers[w->index], w, RELEASE);
    ceasei_worker_set_up(w);
    ceasei_long_run_begin();
    cease_time now = cease_now();
    while (!is_halted()) {
        look_around(w, now);
        struct ceasei_task *task =
            ceasei_virtual_is_on() ? ceasei_virtual_next(w) : ceasei_sched_next(w);
        if (!task) {
            task = steal(w);
        }
        if (task) {
            found_work(w);
            ceasei_sched_run(w, task);
            if (ceasei_virtual_is_on()) {
                ceasei_virtual_ran(w, task);
            }
            now = cease_now();
        } else {
            now = sleep_until_something(w);
        }
    }
    ceasei_worker_tear_down(w);
    return NULL;
}
