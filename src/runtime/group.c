/* SPDX-License-Identifier: MIT
 *
 * group.c: groups of tasks.
 *
 * The idea: a counter of live tasks under a small lock, which mostly is the worker's own that made the group
 * (bias.h), and a context of the group's own. A task of
 * a group is a task like any other with the group as its owner, which is told of its end; so a task
 * costs the group no memory, and a wait by one of the group's own tasks is noticed.
 *
 * States, under the lock:
 *
 *     OPEN --> CLOSED    live == 0 while somebody waits; never back
 *
 *  - live counts tasks that have been let in and have not been reported by task_ended(), those
 *    included whose start is about to be tried;
 *  - admission is queued (a go_wait) only while live == limit > 0; a task that ends hands its place
 *    to the one that has waited longest, live unchanged, so nobody overtakes and a group cannot
 * close while somebody queues;
 *  - error is the first that counts, and is set before the context is cancelled with it.
 *
 * Who may free. The last task's last touch of the group is the unlock in task_ended(), after which
 * it wakes the joiners, whose parkers are on their own stacks. A joiner that did not need to park
 * has taken the lock itself after that unlock. Either way nobody but the joiner knows the group
 * when its wait returns.
 *
 * The context is cancelled without the lock: callbacks of foreigners run there.
 */
#include "runtime/group.h"
#include "base/panic.h"
#include "runtime/bias.h"
#include "runtime/fiber.h"
#include "runtime/queue.h"
#include "runtime/task.h"
#include "runtime/wait.h"

#include <cease/group.h>
#include <stdlib.h>
#include <string.h>

/* Somebody in cease_group_go_wait, on its stack. */
struct admission {
    struct admission *next, *prev; /* under the group's lock */
    bool linked;                   /* under the group's lock */
    struct ceasei_waiter waiter;
};

/* Somebody who joins, on its stack. */
struct joiner {
    struct joiner *next; /* under the group's lock; after closing, the last task's until the wake */
    cease_parker parker;
};

enum { SPARE_MAX = 32 }; /* groups that a worker keeps */

struct cease_group {
    struct ceasei_bias lock;
    cease_ctx *ctx;                 /* set at birth; valid by the canceler's share */
    cease_canceler *canceler;       /* set at birth */
    const cease_place *place;       /* set at birth: where the group was made */
    uint32_t limit;                 /* set at birth; 0: none */
    bool supervise;                 /* set at birth */
    bool closed;                    /* under lock, once */
    bool stopping;                  /* under lock, once: CEASE_ECANCELED is no error from now on */
    cease_error error;              /* under lock, once: the first that counts */
    size_t live;                    /* under lock */
    struct admission *first, *last; /* under lock, oldest first */
    struct joiner *joiners;         /* under lock */
    struct cease_group *next_spare; /* the worker's that keeps it */
};

/* ---- memory ----------------------------------------------------------------------------------- */

/* A group mostly goes on the worker on which it came: that keeps the memory for the next one. Not where a
 * use after the end should be found. */
static struct cease_group *group_alloc(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    struct cease_group *g = w ? w->spare_groups : NULL;
    if (CEASE_UNLIKELY(!g)) {
        return malloc(sizeof *g);
    }
    w->spare_groups = g->next_spare;
    w->spare_count--;
    return g;
}

/* All but its context. Field by field: the instruction for a block of memory takes longer to begin. */
static inline void group_init(struct cease_group *g, const cease_place *place)
{
    g->lock = (struct ceasei_bias){.owner = 0};
    ceasei_bias_born(&g->lock);
    g->place = place;
    g->limit = 0;
    g->supervise = g->closed = g->stopping = false;
    g->error = CEASE_OK;
    g->live = 0;
    g->first = g->last = NULL;
    g->joiners = NULL;
}

static void group_release(struct cease_group *g)
{
    struct ceasei_worker *w = ceasei_worker_self;
#if defined(CEASEI_ASAN) || defined(CEASE_INTERLEAVE)
    w = NULL;
#endif
    if (!w || w->spare_count >= SPARE_MAX || CEASE_UNLIKELY(ceasei_rt_debug)) {
        free(g);
        return;
    }
    g->next_spare = w->spare_groups;
    w->spare_groups = g;
    w->spare_count++;
}

void ceasei_groups_trim(struct ceasei_worker *w)
{
    while (w->spare_groups) {
        struct cease_group *g = w->spare_groups;
        w->spare_groups = g->next_spare;
        free(g);
    }
    w->spare_count = 0;
}

/* ---- who waits -------------------------------------------------------------------------------- */

static void admission_push(struct cease_group *g, struct admission *a)
{
    a->next = NULL;
    a->prev = g->last;
    a->linked = true;
    if (g->last) {
        g->last->next = a;
    } else {
        g->first = a;
    }
    g->last = a;
}

static void admission_unlink(struct cease_group *g, struct admission *a)
{
    if (a->prev) {
        a->prev->next = a->next;
    } else {
        g->first = a->next;
    }
    if (a->next) {
        a->next->prev = a->prev;
    } else {
        g->last = a->prev;
    }
    a->linked = false;
}

/* The one who gets the place of a task that has ended; those whose context was faster are skipped.
 */
static __attribute__((noinline)) struct admission *admission_claim(struct cease_group *g)
{
    struct admission *a;
    while ((a = g->first)) {
        admission_unlink(g, a);
        if (ceasei_waiter_claim(&a->waiter, CEASEI_BY_PEER)) {
            return a;
        }
    }
    return NULL;
}

/* Under the lock: closes the group if that is due, and gives the joiners that its closer must wake.
 */
static inline struct joiner *close_if_due(struct cease_group *g)
{
    if (g->live > 0 || !g->joiners) {
        return NULL;
    }
    struct joiner *woken = g->joiners;
    g->joiners = NULL;
    g->closed = true;
    return woken;
}

/* A place among the live ones is free: the next in line gets it, or the count goes down. The group
 * may be gone when this returns. */
static inline void leave(struct cease_group *g)
{
    uintptr_t *hold = ceasei_bias_lock(&g->lock);
    struct admission *next = CEASE_UNLIKELY(g->first != NULL) ? admission_claim(g) : NULL;
    if (CEASE_UNLIKELY(next != NULL)) {
        ceasei_bias_unlock(&g->lock, hold);
        ceasei_wake(&next->waiter.parker);
        return;
    }
    g->live--;
    struct joiner *woken = close_if_due(g);
    ceasei_bias_unlock(&g->lock, hold);
    while (woken) {
        struct joiner *j = woken;
        woken = j->next;
        ceasei_queue_wake(&j->parker);
    }
}

/* A task has returned e. If it is the first error that counts, the others are told. */
static void note_error(struct cease_group *g, cease_error e, const cease_place *place)
{
    uintptr_t *hold = ceasei_bias_lock(&g->lock);
    bool first = !g->error && !(g->stopping && e == CEASE_ECANCELED);
    if (first) {
        g->error = e;
    }
    ceasei_bias_unlock(&g->lock, hold);
    if (first) {
        cease_cancel_cause_at(g->canceler, place, e, "a task of the group failed: %s",
                              cease_strerror(e));
    }
}

/* The scheduler's call at the end of a task: it does not count as alive any more. */
static void task_ended(void *owner, cease_error e)
{
    struct cease_group *g = owner;
    if (CEASE_UNLIKELY(e) && !g->supervise) {
        note_error(g, e, ceasei_task_self()->place);
    }
    leave(g);
}

/* Starts a task in a place that its caller has taken; on failure the place is free again. The group
 * outlives the task, and its context the group, so the task borrows it. */
static inline cease_error start(struct cease_group *g, cease_task_fn *fn, void *arg,
                                const cease_place *place)
{
    cease_error e = ceasei_queue_start(&(struct ceasei_task_start){.ctx = g->ctx,
                                                                   .fn = fn,
                                                                   .arg = arg,
                                                                   .done = task_ended,
                                                                   .owner = g,
                                                                   .place = place,
                                                                   .borrows_ctx = true});
    if (CEASE_UNLIKELY(e)) {
        leave(g);
    }
    return e;
}

/* Under the lock: takes a place if there is one. */
static cease_error enter(struct cease_group *g)
{
    if (g->closed) {
        return CEASE_ECLOSED;
    }
    if (g->limit && g->live >= g->limit) {
        return CEASE_EAGAIN;
    }
    g->live++;
    return CEASE_OK;
}

static bool is_own_task(const struct cease_group *g)
{
    const struct ceasei_task *self = ceasei_queue_task();
    return self && self->done == task_ended && self->owner == g;
}

static void join(struct cease_group *g)
{
    struct joiner j;
    bool park = false;
    if (CEASE_SEED_BUG(BUG_GROUP) && ceasei_load(&g->live, ACQUIRE) == 0) {
        g->closed = true;
        return;
    }
    uintptr_t *hold = ceasei_bias_lock(&g->lock);
    if (g->live == 0) {
        g->closed = true;
    } else {
        ceasei_parker_init_for(&j.parker, ceasei_queue_self());
        j.next = g->joiners;
        g->joiners = &j;
        park = true;
    }
    ceasei_bias_unlock(&g->lock, hold);
    if (park) {
        ceasei_waits(j.parker.owner, NULL, CEASEI_WAIT_JOIN, (uintptr_t)g->place);
        ceasei_park_born(&j.parker);
    }
    if (!cease_done(g->ctx)) { /* without a text: formatting one would cost more than the rest */
        cease_cancel_cause_at(g->canceler, g->place, CEASE_ECLOSED, NULL);
    }
}

CEASE_PUBLIC cease_group *cease_group_new_at(cease_ctx *parent, const cease_group_opts *opts,
                                             const cease_place *place)
{
    if (!parent) {
        ceasei_panic(place, "cease_group_new: the parent is NULL");
    }
    struct cease_group *g = group_alloc();
    if (!g) {
        return NULL;
    }
    group_init(g, place);
    if (opts) { /* a caller of an older version has a shorter struct: what it lacks stays default */
        cease_group_opts o = {0};
        memcpy(&o, opts, opts->size && opts->size < sizeof o ? opts->size : sizeof o);
        g->limit = o.limit;
        g->supervise = o.supervise;
    }
    g->ctx = cease_with_cancel_at(parent, &g->canceler, place);
    return g;
}

CEASE_PUBLIC cease_ctx *cease_group_ctx(cease_group *g)
{
    return g ? g->ctx : cease_nomem();
}

CEASE_PUBLIC cease_error cease_group_go_at(cease_group *g, cease_task_fn *fn, void *arg,
                                           const cease_place *place)
{
    if (!g) {
        return CEASE_ENOMEM;
    }
    uintptr_t *hold = ceasei_bias_lock(&g->lock);
    cease_error e = enter(g);
    ceasei_bias_unlock(&g->lock, hold);
    return e ? e : start(g, fn, arg, place);
}

CEASE_PUBLIC cease_error cease_group_go_wait_at(cease_ctx *ctx, cease_group *g, cease_task_fn *fn,
                                                void *arg, const cease_place *place)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e || !g) {
        return e ? e : CEASE_ENOMEM;
    }
    struct admission a;
    uintptr_t *hold = ceasei_bias_lock(&g->lock);
    e = enter(g);
    if (e == CEASE_EAGAIN) {
        ceasei_waiter_init(&a.waiter);
        admission_push(g, &a);
    }
    ceasei_bias_unlock(&g->lock, hold);
    if (e == CEASE_EAGAIN) {
        e = CEASE_OK;
        ceasei_waits(a.waiter.parker.owner, ctx, CEASEI_WAIT_LIMIT, (uintptr_t)g->place);
        if (ceasei_waiter_wait(&a.waiter, ctx) == CEASEI_BY_CTX) {
            hold = ceasei_bias_lock(&g->lock);
            if (a.linked) {
                admission_unlink(g, &a);
            }
            ceasei_bias_unlock(&g->lock, hold);
            e = cease_err(ctx);
        }
    }
    return e ? e : start(g, fn, arg, place);
}

CEASE_PUBLIC cease_error cease_group_wait_at(cease_group *g, const cease_place *place)
{
    if (!g) {
        return CEASE_ENOMEM;
    }
    if (is_own_task(g)) {
        ceasei_panic(place,
                     "cease_group_wait in a task of the group that was made at %s:%d: it "
                     "would wait for itself",
                     g->place->file, g->place->line);
    }
    join(g);
    return g->error; /* nobody is left who could change it */
}

CEASE_PUBLIC cease_error cease_group_stop_at(cease_group *g, const cease_place *place)
{
    if (!g) {
        return CEASE_ENOMEM;
    }
    uintptr_t *hold = ceasei_bias_lock(&g->lock);
    g->stopping = true;
    ceasei_bias_unlock(&g->lock, hold);
    if (!cease_done(g->ctx)) {
        cease_cancel_cause_at(g->canceler, place, CEASE_ECANCELED, "the group was stopped");
    }
    if (is_own_task(g)) {
        return CEASE_EDEADLK;
    }
    join(g);
    return g->error; /* nobody is left who could change it */
}

CEASE_PUBLIC void cease_group_free_at(cease_group *g, const cease_place *place)
{
    if (!g) {
        return;
    }
    if (is_own_task(g)) {
        ceasei_panic(place,
                     "cease_group_free in a task of the group that was made at %s:%d: it "
                     "would wait for itself",
                     g->place->file, g->place->line);
    }
    uintptr_t *hold = ceasei_bias_lock(&g->lock); /* the closer may be about to give it back */
    bool closed = g->closed;
    ceasei_bias_unlock(&g->lock, hold);
    if (!closed) {
        (void)cease_group_stop_at(g, place);
    }
    cease_end(g->canceler);
    ceasei_bias_gone(&g->lock);
    group_release(g);
}

/* The same as functions, for bindings of other languages. */

#undef cease_group_new
CEASE_PUBLIC cease_group *cease_group_new(cease_ctx *parent, const cease_group_opts *opts)
{
    return cease_group_new_at(parent, opts, CEASE_HERE);
}

#undef cease_group_go
CEASE_PUBLIC cease_error cease_group_go(cease_group *g, cease_task_fn *fn, void *arg)
{
    return cease_group_go_at(g, fn, arg, CEASE_HERE);
}

#undef cease_group_go_wait
CEASE_PUBLIC cease_error cease_group_go_wait(cease_ctx *ctx, cease_group *g, cease_task_fn *fn,
                                             void *arg)
{
    return cease_group_go_wait_at(ctx, g, fn, arg, CEASE_HERE);
}

#undef cease_group_wait
CEASE_PUBLIC cease_error cease_group_wait(cease_group *g)
{
    return cease_group_wait_at(g, CEASE_HERE);
}

#undef cease_group_stop
CEASE_PUBLIC cease_error cease_group_stop(cease_group *g)
{
    return cease_group_stop_at(g, CEASE_HERE);
}

#undef cease_group_free
CEASE_PUBLIC void cease_group_free(cease_group *g)
{
    cease_group_free_at(g, CEASE_HERE);
}
