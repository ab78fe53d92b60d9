/* SPDX-License-Identifier: MIT
 *
 * semaphore.c: weighted semaphores and wait groups.
 *
 * A semaphore's units go to the head of the queue alone; whoever comes while somebody waits stands
 * behind. serve() is the one place that hands units out to those who wait, and runs whenever that may
 * have become possible: after a release, and after somebody has left the queue without being served.
 *
 * Invariants, under the lock: free_ <= size_; after serve() the head wants more than free_, or
 * nobody waits.
 */
#include "base/panic.h"
#include "runtime/sync.h"

/* ---- semaphore ---------------------------------------------------------------------------------- */

CEASE_PUBLIC void cease_semaphore_init(cease_semaphore *s, uint64_t units)
{
    *s = (cease_semaphore)CEASE_SEMAPHORE(units);
}

CEASE_PUBLIC void cease_semaphore_deinit(cease_semaphore *s)
{
    if (!s) {
        return;
    }
    ceasei_sync_lock(&s->sync_); /* the last release may be about to give it back */
    bool is_idle = s->free_ == s->size_ && !s->sync_.first_;
    ceasei_sync_unlock(&s->sync_);
    if (!is_idle) {
        ceasei_panic_at(NULL, 0, __func__, "somebody still waits for, or has, units of it");
    }
}

/* Under the lock: those who can be served now, to be woken without it. */
static struct cease_sync_node_ *serve(cease_semaphore *s)
{
    struct cease_sync_node_ *n, *chain = NULL, **last = &chain;
    while ((n = s->sync_.first_) && n->amount <= s->free_) {
        if (ceasei_sync_claim(&s->sync_, n)) {
            s->free_ -= n->amount;
            n->next = NULL;
            *last = n;
            last = &n->next;
        }
    }
    return chain;
}

CEASE_PUBLIC cease_error cease_semaphore_acquire(cease_ctx *ctx, cease_semaphore *s, uint64_t units)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e != CEASE_OK || units > s->size_) {
        return e ? e : CEASE_EINVAL;
    }
    ceasei_sync_lock(&s->sync_);
    if (!s->sync_.first_ && units <= s->free_) {
        s->free_ -= units;
        ceasei_sync_unlock(&s->sync_);
        return CEASE_OK;
    }
    struct cease_sync_node_ n = {.amount = units};
    ceasei_sync_enqueue(&s->sync_, &n, ctx);
    ceasei_waits(n.waiter.parker.owner, ctx, CEASEI_WAIT_NAMED, (uintptr_t) "a semaphore");
    if (ceasei_sync_wait(&s->sync_, &n, ctx)) {
        return CEASE_OK;
    }
    struct cease_sync_node_ *chain = CEASE_SEED_BUG(BUG_SEMAPHORE) ? NULL : serve(s);
    ceasei_sync_unlock(&s->sync_);
    ceasei_sync_wake_all(chain);
    return cease_err(ctx);
}

CEASE_PUBLIC cease_error cease_semaphore_try_acquire(cease_semaphore *s, uint64_t units)
{
    if (units > s->size_) {
        return CEASE_EINVAL;
    }
    ceasei_sync_lock(&s->sync_);
    bool fits = !s->sync_.first_ && units <= s->free_;
    s->free_ -= fits ? units : 0;
    ceasei_sync_unlock(&s->sync_);
    return fits ? CEASE_OK : CEASE_EAGAIN;
}

CEASE_PUBLIC void cease_semaphore_release_at(cease_semaphore *s, uint64_t units,
                                             const cease_place *place)
{
    ceasei_sync_lock(&s->sync_);
    uint64_t taken = s->size_ - s->free_;
    if (CEASE_UNLIKELY(units > taken)) {
        ceasei_sync_unlock(&s->sync_);
        ceasei_panic(place, "cease_semaphore_release: %llu units are given back, %llu are taken",
                     (unsigned long long)units, (unsigned long long)taken);
    }
    s->free_ += units;
    struct cease_sync_node_ *chain = serve(s);
    ceasei_sync_unlock(&s->sync_);
    ceasei_sync_wake_all(chain);
}

/* ---- wait group --------------------------------------------------------------------------------- */

CEASE_PUBLIC void cease_wait_group_init(cease_wait_group *w)
{
    *w = (cease_wait_group)CEASE_WAIT_GROUP;
}

CEASE_PUBLIC void cease_wait_group_deinit(cease_wait_group *w)
{
    if (!w) {
        return;
    }
    ceasei_sync_lock(&w->sync_);
    bool is_idle = w->count_ == 0 && !w->sync_.first_;
    ceasei_sync_unlock(&w->sync_);
    if (!is_idle) {
        ceasei_panic_at(NULL, 0, __func__, "something is still counted, or somebody waits");
    }
}

CEASE_PUBLIC void cease_wait_group_add(cease_wait_group *w, uint64_t count)
{
    ceasei_sync_lock(&w->sync_);
    w->count_ += count;
    ceasei_sync_unlock(&w->sync_);
}

CEASE_PUBLIC void cease_wait_group_done_at(cease_wait_group *w, const cease_place *place)
{
    struct cease_sync_node_ *chain = NULL;
    ceasei_sync_lock(&w->sync_);
    if (CEASE_UNLIKELY(w->count_ == 0)) {
        ceasei_sync_unlock(&w->sync_);
        ceasei_panic(place, "cease_wait_group_done: more is done than was counted");
    }
    if (--w->count_ == 0) {
        if (CEASE_SEED_BUG(BUG_WAIT_GROUP)) {
            ceasei_sync_unlock(&w->sync_);
            ceasei_sync_lock(&w->sync_);
        }
        chain = ceasei_sync_claim_all(&w->sync_);
    }
    ceasei_sync_unlock(&w->sync_);
    ceasei_sync_wake_all(chain);
}

CEASE_PUBLIC cease_error cease_wait_group_wait(cease_ctx *ctx, cease_wait_group *w)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e != CEASE_OK) {
        return e;
    }
    ceasei_sync_lock(&w->sync_);
    if (w->count_ == 0) {
        ceasei_sync_unlock(&w->sync_);
        return CEASE_OK;
    }
    struct cease_sync_node_ n = {0};
    ceasei_sync_enqueue(&w->sync_, &n, ctx);
    ceasei_waits(n.waiter.parker.owner, ctx, CEASEI_WAIT_NAMED, (uintptr_t) "a wait group");
    if (ceasei_sync_wait(&w->sync_, &n, ctx)) {
        return CEASE_OK;
    }
    ceasei_sync_unlock(&w->sync_);
    return cease_err(ctx);
}

/* The same as functions, for bindings of other languages. */

#undef cease_semaphore_release
CEASE_PUBLIC void cease_semaphore_release(cease_semaphore *s, uint64_t units)
{
    cease_semaphore_release_at(s, units, CEASE_HERE);
}

#undef cease_wait_group_done
CEASE_PUBLIC void cease_wait_group_done(cease_wait_group *w)
{
    cease_wait_group_done_at(w, CEASE_HERE);
}
