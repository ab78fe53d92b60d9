/* SPDX-License-Identifier: MIT */
#include "runtime/bias.h"

#include "base/panic.h"

#ifndef CEASE_INTERLEAVE
#include <sys/syscall.h>
#include <unistd.h>

/* <linux/membarrier.h> of the kernel that is compiled against may be older. */
enum { PRIVATE_EXPEDITED = 1 << 3, REGISTER_PRIVATE_EXPEDITED = 1 << 4 };
#endif

struct ceasei_entered ceasei_entered[CEASEI_WORKERS_MAX];

uint32_t ceasei_bias_is_possible;
static uint32_t is_child; /* set in a forked child: there is one thread */

#ifdef CEASE_INTERLEAVE
void ceasei_bias_set_up(void)
{
    ceasei_store(&ceasei_bias_is_possible, 1, RELAXED);
}

bool ceasei_fence_all(void)
{
    ceasei_fence(SEQ_CST);
    return true;
}
#else
void ceasei_bias_set_up(void)
{
    /* The second call is a trial: what a sandbox forbids it mostly forbids from the start. */
    bool works = syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
                 syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0;
    ceasei_store(&ceasei_bias_is_possible, works, RELAXED);
}

bool ceasei_fence_all(void)
{
    if (!ceasei_load(&ceasei_bias_is_possible, RELAXED)) {
        return false;
    }
    if (!is_child && syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) != 0) {
        ceasei_panic_at(NULL, 0, NULL,
                        "the system call membarrier was allowed when the first task started and "
                        "is not any more: a sandbox must allow it, or be there from the start");
    }
    return true;
}
#endif

void ceasei_bias_in_child(void)
{
    is_child = 1;
    for (uint32_t i = 0; i < CEASEI_WORKERS_MAX; i++) {
        ceasei_entered[i].word = 0;
    }
}

/* Under b->lock: it is everybody's from now on. */
static void make_shared(struct ceasei_bias *b, uint32_t owner)
{
    b->shared = b->mixed = 1;
    ceasei_store(&b->owner, 0, RELAXED);
    const uintptr_t *entered = &ceasei_entered[owner - 1].word;
    (void)ceasei_fence_all();
    for (unsigned round = 0;;) {
        uintptr_t seen = ceasei_load(entered, ACQUIRE); /* pairs with ceasei_bias_leave() */
        if ((seen != (uintptr_t)b && seen != CEASEI_ENTERED_MANY) ||
            CEASE_SEED_BUG(BUG_BIAS_WAIT)) {
            return;
        }
        ceasei_backoff(&round);
    }
}

void ceasei_bias_lock_shared(struct ceasei_bias *b)
{
    const struct ceasei_worker *w = ceasei_worker_self;
    ceasei_lock(&b->lock);
    uint8_t me = w ? (uint8_t)w->number : 0;
    uint8_t owner = ceasei_load(&b->owner, RELAXED); /* written under this lock only */
    if (owner != 0 && owner != me) {
        make_shared(b, owner);
    }
    if (b->shared || (me && owner == me)) {
        return;
    }
    if (!me || b->last != me) {
        b->mixed |= b->last != 0;
        b->last = me;
        b->touches = 0;
    } else if (++b->touches == CEASEI_BIAS_AFTER &&
               ceasei_load(&ceasei_bias_is_possible, RELAXED)) {
        ceasei_store(&b->owner, me, RELAXED); /* this time it is still held by its lock */
    }
}
