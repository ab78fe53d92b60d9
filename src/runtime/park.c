/* SPDX-License-Identifier: MIT */
#include "runtime/wait.h"

#include "base/atomic.h"

const uint32_t *ceasei_never_word;

__attribute__((constructor)) static void find_never_word(void)
{
    ceasei_never_word = *(const uint32_t *const *)(const void *)cease_background();
}

void ceasei_park(cease_parker *p)
{
    struct ceasei_task *self = ceasei_sched_self();
    if (!self) {
        cease_park_thread(p);
        return;
    }
    uint32_t seen = ceasei_load(&p->state, RELAXED);
    if (seen == CEASEI_PARKER_PARKED_TASK) { /* born so */
        ceasei_sched_block(self);
        return;
    }
    seen = CEASEI_PARKER_EMPTY;
    p->owner = self;
    if (CEASE_SEED_BUG(BUG_PARK)) {
        ceasei_store(&p->state, CEASEI_PARKER_PARKED_TASK, SEQ_CST);
        ceasei_sched_block(self);
        return;
    }
    if (ceasei_cas(&p->state, &seen, CEASEI_PARKER_PARKED_TASK, ACQ_REL)) {
        ceasei_sched_block(self);
    }
}

void ceasei_park_born(cease_parker *p)
{
    if (ceasei_load(&p->state, RELAXED) == CEASEI_PARKER_PARKED_TASK && !cease_callback_place()) {
        ceasei_sched_block(p->owner);
    } else {
        cease_park(p);
    }
}

void ceasei_wake(cease_parker *p)
{
    uint32_t seen = ceasei_load(&p->state, ACQUIRE);
    if (seen == CEASEI_PARKER_EMPTY &&
        ceasei_cas(&p->state, &seen, CEASEI_PARKER_NOTIFIED, ACQ_REL)) {
        return;
    }
    if (seen == CEASEI_PARKER_PARKED_TASK) {
        ceasei_sched_ready(p->owner);
    } else {
        cease_wake_thread(p);
    }
}
