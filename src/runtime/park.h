/* SPDX-License-Identifier: MIT
 *
 * park.h: how a task waits: the protocol between cease_park() and cease_wake().
 *
 * A cease_parker is one wait: one park by its maker, one wake by whoever. Its state word decides
 * which came first.
 *
 *     EMPTY ---park---> PARKED_TASK ---wake---> NOTIFIED   the task sleeps, and is made ready
 *     EMPTY ---wake---> NOTIFIED                           the wake came first: park returns at once
 *     EMPTY ---park of a plain thread---> PARKED_THREAD    the core's own business (its futex)
 *
 *  - park moves EMPTY to PARKED_TASK by compare-and-swap while it still runs on its own stack. That
 *    is early enough for everybody: a waker elsewhere can only queue the task at its own worker,
 *    which looks at that queue after the task has switched out, because a started task never moves
 *    to another worker. So no "is about to switch" state is needed.
 *  - wake moves EMPTY to NOTIFIED by compare-and-swap. When that fails the state is PARKED_*, and
 *    nobody but this one waker will ever change it again: from there on plain stores do. So waking
 * a task that is parked, the common case, is no locked operation on the parker.
 *  - For the same reason a task that is going to park whatever happens may have its parker born in
 *    PARKED_TASK (ceasei_parker_init): then neither park nor wake is a locked operation. A wake that comes
 *    before the park queues the task, which finds itself there. It must not switch in between.
 *  - `owner` is written before PARKED_TASK is released and read after it was acquired.
 *  - After EMPTY → NOTIFIED the parker may be gone at once. After PARKED_TASK it stays until the
 *    task has been made ready, which is the waker's last step.
 *  - What the waker wrote before wake is seen by the waiter after park: by release and acquire of
 *    the state in the one case, of the worker's queue in the other.
 *
 * The numbers of EMPTY, PARKED_THREAD and NOTIFIED are the core's (src/context): a thread that
 * parked before a runtime was there is woken through these functions too.
 *
 * This file and park.c use base/atomic.h and the three functions below, nothing else, so that the
 * interleaving explorer can run them against its own scheduler.
 */
#ifndef CEASE_RUNTIME_PARK_H
#define CEASE_RUNTIME_PARK_H

#include <cease/hooks.h>
#include <stddef.h>

struct ceasei_task;

enum {
    CEASEI_PARKER_EMPTY = 0,
    CEASEI_PARKER_PARKED_THREAD = 1,
    CEASEI_PARKER_NOTIFIED = 2,
    CEASEI_PARKER_PARKED_TASK = 3,
};

/* cease_park and cease_wake, as hooks. */
void ceasei_park(cease_parker *p);
void ceasei_wake(cease_parker *p);

/* cease_park() on a parker from ceasei_parker_init(), with fewer steps. */
void ceasei_park_born(cease_parker *p);

/* What the protocol needs from the scheduler. */

/* The calling task; NULL on a plain thread. */
struct ceasei_task *ceasei_sched_self(void);
/* Switches out of the calling task until somebody has called ceasei_sched_ready() on it, once. */
void ceasei_sched_block(struct ceasei_task *self);
/* Lets a task go on that has called ceasei_sched_block() or is just about to. Any thread. */
void ceasei_sched_ready(struct ceasei_task *task);

/* An operation is done that could have parked: counts towards the end of the calling task's turn, and lets
 * others run when that has come. So a task whose operations are always ready starves nobody. Before the
 * operation, since it may switch; nothing on a plain thread or in a callback. */
void ceasei_spend(void);

/* cease_parker_init() for who parks on *p next, and does nothing in between that could switch. `self` is
 * what ceasei_sched_self() says. */
static inline void ceasei_parker_init_for(cease_parker *p, struct ceasei_task *self)
{
    *p = (cease_parker){.state = self ? CEASEI_PARKER_PARKED_TASK : CEASEI_PARKER_EMPTY,
                        .owner = self};
}

static inline void ceasei_parker_init(cease_parker *p)
{
    ceasei_parker_init_for(p, ceasei_sched_self());
}

#endif
