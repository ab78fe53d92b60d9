/* SPDX-License-Identifier: MIT
 *
 * mutex.c: mutexes and conditions.
 *
 * The idea: a mutex is an owner and a queue. Giving it back names the next owner at once, so a mutex
 * that somebody waits for is never free and nobody can take it in passing. While nobody waits the lock
 * is not touched. The owner's word:
 *
 *     0 --take--> owner --give back--> 0                      by compare-and-swap, with no lock
 *     owner --somebody comes--> owner | WAITED                by compare-and-swap, under the lock
 *     owner | WAITED --give back--> the next, or 0            by a store, under the lock
 *
 * Invariants:
 *  - under the lock, somebody waits only while the word is WAITED, nodes excepted that their context has
 *    claimed. So an owner that finds its own number alone in it has nobody to hand the mutex to.
 *  - a word that is WAITED is changed by the owner alone.
 *  - place_ is where the owner took it. It is written just after that, so who looks earlier sees where the
 *    one before took it, or NULL.
 *
 * A condition's node is queued before the mutex is given back. So who changes the condition under the
 * mutex, and then signals, finds it.
 *
 * Under CEASE_DEBUG each task has a list of the mutexes that it holds (task->held, by next_held_). Only the
 * task itself touches it: a mutex that was handed over is entered by its new owner when that one
 * runs again.
 *
 * Left out on purpose: moving a signalled waiter straight into the mutex's queue. It would save one
 * switch when the signal is given with the mutex held; it would also need both locks at once.
 */
#include "base/panic.h"
#include "runtime/sync.h"

/* In no task's number, nor in what ceasei_sync_self() makes of a thread's. */
#define WAITED (UINT64_C(1) << 62)

/* ---- who holds what ------------------------------------------------------------------------------ */

static void held_add(cease_mutex *m)
{
    struct ceasei_task *self = ceasei_sched_self();
    if (self) {
        m->next_held_ = self->held;
        self->held = m;
    }
}

static void held_remove(cease_mutex *m)
{
    struct ceasei_task *self = ceasei_sched_self();
    for (cease_mutex **p = self ? &self->held : NULL; p && *p; p = &(*p)->next_held_) {
        if (*p == m) {
            *p = m->next_held_;
            return;
        }
    }
}

static inline void note_taken(cease_mutex *m)
{
    if (CEASE_UNLIKELY(ceasei_rt_debug)) {
        held_add(m);
    }
}

_Noreturn void ceasei_task_holds(const struct ceasei_task *task)
{
    const cease_place *taken = task->held->place_, *started = task->place;
    ceasei_panic(
        taken,
        "the task that took a mutex here returns without giving it back; it was started at "
        "%s:%d in %s",
        started ? started->file : "unknown", started ? started->line : 0,
        started ? started->function : "unknown");
}

/* ---- mutex -------------------------------------------------------------------------------------- */

CEASE_PUBLIC void cease_mutex_init(cease_mutex *m)
{
    *m = (cease_mutex)CEASE_MUTEX;
}

CEASE_PUBLIC void cease_mutex_deinit(cease_mutex *m)
{
    if (!m) {
        return;
    }
    ceasei_sync_lock(&m->sync_); /* the last holder may be about to give it back */
    uint64_t owner = ceasei_load(&m->owner_, ACQUIRE);
    ceasei_sync_unlock(&m->sync_);
    if (owner) {
        ceasei_panic(ceasei_load(&m->place_, RELAXED),
                     "cease_mutex_deinit: the mutex that was taken here is still held");
    }
}

/* Whether it was free. */
static inline bool take_free(cease_mutex *m, uint64_t self, const cease_place *place)
{
    uint64_t nobody = 0;
    if (CEASE_UNLIKELY(!ceasei_cas(&m->owner_, &nobody, self, ACQUIRE))) {
        return false;
    }
    ceasei_store(&m->place_, place, RELAXED);
    return true;
}

/* Under the lock: makes the mutex the caller's if it is free by now, else sees to it that whoever gives it back
 * looks at the queue. Gives the owner that it had, 0 for none. */
static uint64_t take_or_mark(cease_mutex *m, uint64_t self)
{
    uint64_t seen = 0, mark = CEASE_SEED_BUG(BUG_MUTEX_MARK) ? 0 : WAITED;
    while (!ceasei_cas(&m->owner_, &seen, seen ? seen | mark : self, ACQUIRE)) {
    }
    return seen & ~WAITED;
}

/* The mutex was somebody's. */
static __attribute__((noinline)) bool wait_for_it(cease_ctx *ctx, cease_mutex *m, uint64_t self,
                                                  const char *what, const cease_place *place)
{
    ceasei_sync_lock(&m->sync_);
    uint64_t owner = take_or_mark(m, self);
    const cease_place *holder = ceasei_load(&m->place_, RELAXED);
    if (!owner) {
        ceasei_store(&m->place_, place, RELAXED);
        ceasei_sync_unlock(&m->sync_);
        return true;
    }
    if (owner == self) {
        ceasei_sync_unlock(&m->sync_);
        ceasei_panic(place,
                     "cease_mutex_lock: the caller has this mutex already; it took it at %s:%d",
                     holder->file, holder->line);
    }
    if (!what && !holder) {
        what = "a mutex";
    }
    struct cease_sync_node_ n = {.amount = self, .place = place};
    ceasei_sync_enqueue(&m->sync_, &n, ctx);
    ceasei_waits(n.waiter.parker.owner, ctx, what ? CEASEI_WAIT_NAMED : CEASEI_WAIT_MUTEX,
                 what ? (uintptr_t)what : (uintptr_t)holder);
    if (ceasei_sync_wait(&m->sync_, &n, ctx)) {
        return true; /* who gave it back has made us the owner */
    }
    ceasei_sync_unlock(&m->sync_);
    return false;
}

static inline bool take(cease_ctx *ctx, cease_mutex *m, const char *what, const cease_place *place)
{
    uint64_t self = ceasei_sync_self();
    if (!take_free(m, self, place) && !wait_for_it(ctx, m, self, what, place)) {
        return false;
    }
    note_taken(m);
    return true;
}

cease_error ceasei_mutex_lock(cease_ctx *ctx, cease_mutex *m, const char *what,
                              const cease_place *place)
{
    return take(ctx, m, what, place) ? CEASE_OK : cease_err(ctx);
}

void ceasei_mutex_lock_always(cease_mutex *m, const cease_place *place)
{
    (void)take(cease_background(), m, NULL, place);
}

CEASE_PUBLIC cease_error cease_mutex_lock_at(cease_ctx *ctx, cease_mutex *m,
                                             const cease_place *place)
{
    cease_error e = ceasei_enter(ctx, __func__);
    return CEASE_UNLIKELY(e != CEASE_OK) ? e : ceasei_mutex_lock(ctx, m, NULL, place);
}

CEASE_PUBLIC cease_error cease_mutex_try_lock_at(cease_mutex *m, const cease_place *place)
{
    if (!take_free(m, ceasei_sync_self(), place)) {
        return CEASE_EAGAIN;
    }
    note_taken(m);
    return CEASE_OK;
}

static _Noreturn void not_the_owner(const cease_mutex *m, uint64_t owner, const char *what,
                                    const cease_place *place)
{
    const cease_place *holder = ceasei_load(&m->place_, RELAXED);
    if (!owner || !holder) {
        ceasei_panic(place, "%s: %s has this mutex", what, owner ? "somebody else" : "nobody");
    }
    ceasei_panic(place, "%s: somebody else has this mutex; it was taken at %s:%d", what,
                 holder->file, holder->line);
}

/* By the owner, whose word is WAITED. */
static __attribute__((noinline)) void hand_over(cease_mutex *m)
{
    struct cease_sync_node_ *n;
    ceasei_sync_lock(&m->sync_);
    while ((n = m->sync_.first_) && !ceasei_sync_claim(&m->sync_, n)) {
    }
    uint64_t owner = 0;
    if (n && !CEASE_SEED_BUG(BUG_MUTEX)) {
        owner = n->amount | (m->sync_.first_ ? WAITED : 0);
        ceasei_store(&m->place_, n->place, RELAXED);
    }
    ceasei_store(&m->owner_, owner,
                 RELEASE); /* pairs with the compare-and-swap of who comes next */
    ceasei_sync_unlock(&m->sync_);
    if (n) {
        ceasei_wake(&n->waiter.parker);
    }
}

/* Gives it back; `what` is the caller's name. */
static void give(cease_mutex *m, const char *what, const cease_place *place)
{
    if (CEASE_UNLIKELY(ceasei_rt_debug)) {
        held_remove(m);
    }
    uint64_t self = ceasei_sync_self(), seen = self;
    if (CEASE_LIKELY(ceasei_cas(&m->owner_, &seen, 0, RELEASE))) {
        return;
    }
    if (CEASE_UNLIKELY(seen != (self | WAITED))) {
        not_the_owner(m, seen, what, place);
    }
    hand_over(m);
}

CEASE_PUBLIC void cease_mutex_unlock_at(cease_mutex *m, const cease_place *place)
{
    give(m, "cease_mutex_unlock", place);
}

/* ---- condition ---------------------------------------------------------------------------------- */

CEASE_PUBLIC void cease_cond_init(cease_cond *c)
{
    *c = (cease_cond)CEASE_COND;
}

CEASE_PUBLIC void cease_cond_deinit(cease_cond *c)
{
    if (!c) {
        return;
    }
    ceasei_sync_lock(&c->sync_);
    bool waits = c->sync_.first_ != NULL;
    ceasei_sync_unlock(&c->sync_);
    if (waits) {
        ceasei_panic_at(NULL, 0, __func__, "somebody still waits for this condition");
    }
}

CEASE_PUBLIC cease_error cease_cond_wait_at(cease_ctx *ctx, cease_cond *c, cease_mutex *m,
                                            const void *tag, const cease_place *place)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e != CEASE_OK) {
        return e;
    }
    struct cease_sync_node_ n = {.tag = tag, .place = place};
    if (CEASE_SEED_BUG(BUG_COND)) {
        give(m, "cease_cond_wait", place);
    }
    ceasei_sync_lock(&c->sync_);
    ceasei_sync_enqueue(&c->sync_, &n, ctx);
    if (!CEASE_SEED_BUG(BUG_COND)) {
        give(m, "cease_cond_wait", place);
    }
    ceasei_waits(n.waiter.parker.owner, ctx, CEASEI_WAIT_NAMED, (uintptr_t) "a condition");
    if (!ceasei_sync_wait(&c->sync_, &n, ctx)) {
        ceasei_sync_unlock(&c->sync_);
        e = cease_err(ctx);
    }
    ceasei_mutex_lock_always(m, place);
    return e;
}

CEASE_PUBLIC bool cease_cond_signal(cease_cond *c)
{
    struct cease_sync_node_ *n;
    ceasei_sync_lock(&c->sync_);
    while ((n = c->sync_.first_) && !ceasei_sync_claim(&c->sync_, n)) {
    }
    ceasei_sync_unlock(&c->sync_);
    if (n) {
        ceasei_wake(&n->waiter.parker);
    }
    return n != NULL;
}

CEASE_PUBLIC bool cease_cond_signal_tag(cease_cond *c, const void *tag)
{
    struct cease_sync_node_ *n, *next;
    ceasei_sync_lock(&c->sync_);
    for (n = c->sync_.first_; n; n = next) {
        next = n->next;
        if (n->tag == tag && ceasei_sync_claim(&c->sync_, n)) {
            break;
        }
    }
    ceasei_sync_unlock(&c->sync_);
    if (n) {
        ceasei_wake(&n->waiter.parker);
    }
    return n != NULL;
}

CEASE_PUBLIC size_t cease_cond_broadcast(cease_cond *c)
{
    ceasei_sync_lock(&c->sync_);
    struct cease_sync_node_ *chain = ceasei_sync_claim_all(&c->sync_);
    ceasei_sync_unlock(&c->sync_);
    return ceasei_sync_wake_all(chain);
}

/* ---- once --------------------------------------------------------------------------------------- */

CEASE_PUBLIC cease_error cease_once_do_at(cease_ctx *ctx, cease_once *o, cease_task_fn *fn,
                                          void *arg, const cease_place *place)
{
    cease_error e = ceasei_enter(ctx, __func__);
    /* ACQUIRE pairs with the RELEASE below: what fn did is seen. */
    if (e != CEASE_OK || CEASE_LIKELY(ceasei_load(&o->done_, ACQUIRE))) {
        return e;
    }
    e = ceasei_mutex_lock(ctx, &o->mutex_, "what is done once", place);
    if (e != CEASE_OK) {
        return e;
    }
    if (!o->done_) {
        e = fn(ctx, arg);
        ceasei_store(&o->done_, e == CEASE_OK, RELEASE);
    }
    give(&o->mutex_, "cease_once_do", place);
    return e;
}

/* The same as functions, for bindings of other languages. */

#undef cease_mutex_lock
CEASE_PUBLIC cease_error cease_mutex_lock(cease_ctx *ctx, cease_mutex *m)
{
    return cease_mutex_lock_at(ctx, m, CEASE_HERE);
}

#undef cease_mutex_try_lock
CEASE_PUBLIC cease_error cease_mutex_try_lock(cease_mutex *m)
{
    return cease_mutex_try_lock_at(m, CEASE_HERE);
}

#undef cease_mutex_unlock
CEASE_PUBLIC void cease_mutex_unlock(cease_mutex *m)
{
    cease_mutex_unlock_at(m, CEASE_HERE);
}

#undef cease_cond_wait
CEASE_PUBLIC cease_error cease_cond_wait(cease_ctx *ctx, cease_cond *c, cease_mutex *m)
{
    return cease_cond_wait_at(ctx, c, m, NULL, CEASE_HERE);
}

#undef cease_cond_wait_tag
CEASE_PUBLIC cease_error cease_cond_wait_tag(cease_ctx *ctx, cease_cond *c, cease_mutex *m,
                                             const void *tag)
{
    return cease_cond_wait_at(ctx, c, m, tag, CEASE_HERE);
}

#undef cease_once_do
CEASE_PUBLIC cease_error cease_once_do(cease_ctx *ctx, cease_once *o, cease_task_fn *fn, void *arg)
{
    return cease_once_do_at(ctx, o, fn, arg, CEASE_HERE);
}
