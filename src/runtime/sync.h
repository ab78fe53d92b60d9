/* SPDX-License-Identifier: MIT
 *
 * sync.h: what mutexes, conditions, semaphores and wait groups have in common: a small lock, and a
 * queue of those who wait, oldest first.
 *
 * A node is on the stack of whoever waits; its claim word (wait.h) is the commit point. Whoever
 * serves a node takes it off the queue under the lock, wins its claim, writes what the waiter now has
 * into the object (its owner, its units) under the same hold of the lock, and wakes the waiter after
 * that. So what is handed over belongs to the waiter before anybody else can look, and nobody gets in
 * between. A waiter whose context was faster unlinks its node itself, under the lock.
 *
 * After the wake neither the node nor the object is touched: both may be gone.
 *
 * Left out on purpose: a fast path without the lock, but for the mutex (mutex.c), which has one word to
 * change. Taking the lock is one locked operation and giving it back a store, which is what a
 * compare-and-swap of a state word would cost.
 */
#ifndef CEASE_RUNTIME_SYNC_H
#define CEASE_RUNTIME_SYNC_H

#include "base/lock.h"
#include "runtime/queue.h"
#include "runtime/task.h"
#include "runtime/wait.h"

#include <cease/sync.h>
#include <pthread.h>

struct cease_sync_node_ {
    struct cease_sync_node_ *next,
        *prev;                /* under the lock; next is the claimer's after the claim */
    bool linked;              /* under the lock */
    uint64_t amount;          /* set at birth: units, or who waits */
    const void *tag;          /* set at birth */
    const cease_place *place; /* set at birth */
    struct ceasei_waiter waiter;
};

/* cease_mutex_lock; `what` is it that a snapshot says is waited for, NULL: this mutex. */
cease_error ceasei_mutex_lock(cease_ctx *ctx, cease_mutex *m, const char *what,
                              const cease_place *place);
/* The same, never cut short. */
void ceasei_mutex_lock_always(cease_mutex *m, const cease_place *place);

static inline void ceasei_sync_lock(cease_sync_ *s)
{
    ceasei_lock((struct ceasei_lock *)(void *)&s->lock_);
}

static inline void ceasei_sync_unlock(cease_sync_ *s)
{
    ceasei_unlock((struct ceasei_lock *)(void *)&s->lock_);
}

/* Who calls: a task's number, or a number of a plain thread's that is no task's. Never 0. */
static inline uint64_t ceasei_sync_self(void)
{
    const struct ceasei_task *self = ceasei_queue_self();
    return self ? self->id : (uint64_t)pthread_self() | UINT64_C(1) << 63;
}

/* Under the lock. */
static inline void ceasei_sync_unlink(cease_sync_ *s, struct cease_sync_node_ *n)
{
    if (n->prev) {
        n->prev->next = n->next;
    } else {
        s->first_ = n->next;
    }
    if (n->next) {
        n->next->prev = n->prev;
    } else {
        s->last_ = n->prev;
    }
    n->linked = false;
}

/* Under the lock: takes n off the queue; whether it is now ours to serve and to wake. */
static inline bool ceasei_sync_claim(cease_sync_ *s, struct cease_sync_node_ *n)
{
    ceasei_sync_unlink(s, n);
    return ceasei_waiter_claim(&n->waiter, CEASEI_BY_PEER);
}

/* Under the lock: claims all, and gives them as a list by `next`, oldest first. */
static inline struct cease_sync_node_ *ceasei_sync_claim_all(cease_sync_ *s)
{
    struct cease_sync_node_ *n, *chain = NULL, **last = &chain;
    while ((n = s->first_)) {
        if (ceasei_sync_claim(s, n)) {
            *last = n;
            n->next = NULL;
            last = &n->next;
        }
    }
    return chain;
}

/* Without the lock: wakes such a list, and says how many those were. */
static inline size_t ceasei_sync_wake_all(struct cease_sync_node_ *chain)
{
    size_t count = 0;
    while (chain) {
        struct cease_sync_node_ *n = chain;
        chain = n->next; /* n is gone once it is woken */
        ceasei_wake(&n->waiter.parker);
        count++;
    }
    return count;
}

/* Enters with the lock, gives it back after n stands in the queue. What follows must be
 * ceasei_sync_wait(), or only what cannot switch in between. */
static inline void ceasei_sync_enqueue(cease_sync_ *s, struct cease_sync_node_ *n, cease_ctx *ctx)
{
    ceasei_waiter_init(&n->waiter);
    n->waiter.sole = ceasei_never_ends(ctx);
    n->next = NULL;
    n->prev = s->last_;
    n->linked = true;
    if (s->last_) {
        s->last_->next = n;
    } else {
        s->first_ = n;
    }
    s->last_ = n;
    ceasei_sync_unlock(s);
}

/* Waits until n has been served: true. False: ctx has ended first; then the lock is held, and n is in
 * no queue, so that its owner can see to those behind it. */
static inline bool ceasei_sync_wait(cease_sync_ *s, struct cease_sync_node_ *n, cease_ctx *ctx)
{
    if (ceasei_waiter_wait(&n->waiter, ctx) != CEASEI_BY_CTX) {
        return true;
    }
    ceasei_sync_lock(s);
    if (n->linked) {
        ceasei_sync_unlink(s, n);
    }
    return false;
}

#endif
