/* SPDX-License-Identifier: MIT
 *
 * bias.h: a lock that costs next to nothing while the tasks of one worker are all who take it.
 *
 * Most channels and groups are used by tasks of one worker, which never run at the same time: a lock
 * between them is needed only because somebody else might come. So such a lock can be *its worker's*:
 * then this worker takes it by two plain stores, and whoever else comes first makes it a lock for
 * everybody, for good. (Biased locking, with the fence all on the side of the one who comes.)
 *
 * The word `entered` of each worker says which lock of its own it is inside of: its address, 0 for none,
 * CEASEI_ENTERED_MANY for any number of them.
 *
 *     the worker                           somebody else, who holds b->lock
 *     1. entered becomes b                 1. owner becomes 0
 *     2. owner is looked at                2. every thread of the process passes a fence (membarrier)
 *        mine: inside; else entered is 0   3. waits until that worker's entered is neither b nor MANY
 *        again, and b->lock is taken
 *     3. leaving: entered becomes 0
 *
 * Either 1 of the worker comes before the fence, and is seen by 3; or 2 of the worker comes after it, and
 * sees that the lock is its own no more. The worker has no fence; the compiler may not swap its 1 and 2.
 *
 *  - owner is written under b->lock only. So who has taken b->lock and made owner 0 is alone, and
 *    stays so until it gives b->lock back.
 *  - between entering and leaving, a worker waits for nothing and switches to no other task. So others may
 *    wait for it whatever they hold, and it can be inside several of its locks at once.
 *  - what the worker did inside is seen by who comes: every store to entered releases, 3 acquires. What others did under b->lock before the worker became owner was before its own hold of it.
 *
 * A lock becomes a worker's when that has been alone with it CEASEI_BIAS_AFTER times, or at its
 * birth (ceasei_bias_born); it stops being so once. A fence costs some
 * microseconds on all processors that the process runs on, so it must be rare.
 *
 * Without membarrier (an old kernel, a sandbox) no lock is ever a worker's.
 */
#ifndef CEASE_RUNTIME_BIAS_H
#define CEASE_RUNTIME_BIAS_H

#include "base/lock.h"
#include "runtime/worker.h"

struct ceasei_bias {
    struct ceasei_lock lock;
    uint8_t owner;   /* atomic: index + 1 of its worker, 0: everybody's; written under lock */
    uint8_t shared;  /* under lock: somebody else has come; never an owner again */
    uint8_t last;    /* under lock: who held lock last; 0: nobody yet, or a plain thread */
    uint8_t touches; /* under lock: how often in a row */
    uint8_t mixed;   /* under lock: it has had two holders at least */
};

#ifdef CEASE_INTERLEAVE
enum { CEASEI_ENTERED_MANY = 1, CEASEI_BIAS_AFTER = 2 };
/* The explorer has no membarrier: there, who relies on another's ceasei_fence_all() has a fence too. */
#define CEASEI_LIGHT_FENCE(bug) (CEASE_SEED_BUG(bug) ? (void)0 : ceasei_fence(SEQ_CST))
#else
enum { CEASEI_ENTERED_MANY = 1, CEASEI_BIAS_AFTER = 250 };
#define CEASEI_LIGHT_FENCE(bug) __atomic_signal_fence(__ATOMIC_SEQ_CST)
#endif

/* One that has to be made everybody's costs as much as a hundred save. */
enum { CEASEI_TRUST_MAX = 64, CEASEI_TRUST_LOST = 32 };

/* One for each worker, by its index; they outlive the workers. */
struct ceasei_entered {
    _Alignas(64) uintptr_t word; /* atomic: the worker's; see above */
};
extern struct ceasei_entered ceasei_entered[CEASEI_WORKERS_MAX];

extern uint32_t ceasei_bias_is_possible; /* atomic: set before the first worker */

/* Once before the first worker: asks the kernel for its help. */
void ceasei_bias_set_up(void);
/* Returns when every thread of this process, this one included, has passed a full fence since the call. False: the
 * kernel does not help. */
bool ceasei_fence_all(void);
/* In a forked child, where no worker is left to leave. */
void ceasei_bias_in_child(void);

/* The slow half of ceasei_bias_lock(): takes b->lock, which holds everybody off, also when it is the caller's own. */
void ceasei_bias_lock_shared(struct ceasei_bias *b);

/* Goes inside, of a lock or of CEASEI_ENTERED_MANY. What is owned by the caller from then on is held. Only for a
 * worker that is not inside. (It stores and does not count: a chain of loads and stores of one word would be
 * as slow as a locked operation.) */
static inline uintptr_t *ceasei_bias_enter(const struct ceasei_worker *w, uintptr_t what)
{
    uintptr_t *entered = w->entered;
    /* RELEASE: who waits may see this one in place of the leaving before it. */
    ceasei_store(entered, what, RELEASE);
    CEASEI_LIGHT_FENCE(BUG_BIAS_FENCE);
    return entered;
}

static inline void ceasei_bias_leave(uintptr_t *entered)
{
    ceasei_store(entered, 0, RELEASE); /* pairs with the wait of who makes it everybody's */
}

static inline bool ceasei_bias_is_mine(const struct ceasei_bias *b, const struct ceasei_worker *w)
{
    return ceasei_load(&b->owner, RELAXED) == w->number;
}

/* Takes the lock; what comes back is for ceasei_bias_unlock(): NULL when b->lock is held. */
static inline uintptr_t *ceasei_bias_lock(struct ceasei_bias *b)
{
    const struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w != NULL)) {
        uintptr_t *entered = ceasei_bias_enter(w, (uintptr_t)b);
        if (CEASE_LIKELY(ceasei_bias_is_mine(b, w))) {
            return entered;
        }
        ceasei_bias_leave(entered);
    }
    ceasei_bias_lock_shared(b);
    return NULL;
}

/* For a lock that does not live long, and is zero: it is the calling worker's from its birth if that has lately
 * been right for most of those that it has made, which _gone() tells. */
static inline void ceasei_bias_born(struct ceasei_bias *b)
{
    const struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w != NULL)) {
        b->last = (uint8_t)w->number;
        b->owner = w->trust >= 0 && ceasei_load(&ceasei_bias_is_possible, RELAXED)
                       ? (uint8_t)w->number
                       : 0;
    }
}

static inline void ceasei_bias_gone(const struct ceasei_bias *b)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_UNLIKELY(!w)) {
        return;
    }
    if (CEASE_LIKELY(!b->mixed)) {
        w->trust += w->trust < CEASEI_TRUST_MAX;
    } else if (w->trust > -CEASEI_TRUST_MAX) {
        w->trust -= CEASEI_TRUST_LOST;
    }
}

static inline void ceasei_bias_unlock(struct ceasei_bias *b, uintptr_t *entered)
{
    if (CEASE_LIKELY(entered != NULL)) {
        ceasei_bias_leave(entered);
    } else {
        ceasei_unlock(&b->lock);
    }
}

#endif
