/* SPDX-License-Identifier: MIT
 *
 * virtual.h: the clock and the order of a test run, as the scheduler and what waits outside of it see
 * them. See virtual.c; test.c starts and ends a run.
 *
 * Outside of a run `on` is 0 and nothing else here is looked at.
 */
#ifndef CEASE_RUNTIME_VIRTUAL_H
#define CEASE_RUNTIME_VIRTUAL_H

#include "base/atomic.h"

#include <cease/attr.h>
#include <cease/context.h>
#include <stdbool.h>
#include <stdint.h>

struct ceasei_task;
struct ceasei_worker;

struct ceasei_virtual {
    uint32_t on;    /* atomic: set before the worker starts, cleared after it has ended */
    uint32_t holds; /* atomic: what counts as running though no task runs */
    uint32_t poked; /* atomic: the last hold went; the worker looks again */
};
extern struct ceasei_virtual ceasei_virtual;

static inline bool ceasei_virtual_is_on(void)
{
    /* Who does not see it yet is not part of the run. */
    return CEASE_UNLIKELY(ceasei_load(&ceasei_virtual.on, RELAXED) != 0);
}

/* ---- for what waits for the world: time stands in between ------------------------------------- */

void ceasei_virtual_hold(void);
void ceasei_virtual_unhold(void);

/* Both, around a wait of a task or thread that the world ends. */
static inline bool ceasei_virtual_wait_begin(void)
{
    bool held = ceasei_virtual_is_on();
    if (held) {
        ceasei_virtual_hold();
    }
    return held;
}
static inline void ceasei_virtual_wait_end(bool held)
{
    if (held) {
        ceasei_virtual_unhold();
    }
}

/* The next number of the seed's sequence. */
uint32_t ceasei_virtual_random(void);

/* ---- for the one worker of a run, between tasks ------------------------------------------------ */

/* The task that runs next; NULL when none can. From then on the worker comes back here after it. */
struct ceasei_task *ceasei_virtual_next(struct ceasei_worker *w);
/* `task` has run, and has waited, yielded or ended. */
void ceasei_virtual_ran(struct ceasei_worker *w, struct ceasei_task *task);
/* Nothing can run. True: something can now, or time has moved; false: sleep until the world speaks. */
bool ceasei_virtual_idle(struct ceasei_worker *w);

/* ---- for test.c and runtime.c ------------------------------------------------------------------ */

/* What a run is to do, and what it did. */
struct ceasei_virtual_run {
    uint64_t seed;
    int64_t limit_ns;     /* virtual time at which it ends; INT64_MAX: none */
    uint64_t cancel_at;   /* the number of the wait at which it is cancelled; 0: none */
    cease_canceler *stop; /* of the run's context */
    const char *round;    /* what reports say before their text */
    /* Written by the worker. */
    uint64_t switches, waits, schedule;
    cease_error failed; /* CEASE_EDEADLK, CEASE_ETIMEDOUT or CEASE_OK */
    bool cancelled;     /* the wait of cancel_at has come */
};

/* Before the runtime starts; `run` stays until _end. */
void ceasei_virtual_begin(struct ceasei_virtual_run *run);
/* Blocks until no task lives. */
void ceasei_virtual_join(void);
/* When the runtime has stopped. */
void ceasei_virtual_end(void);
cease_time ceasei_virtual_now(void);

/* Tells whoever listens, or stderr. */
void ceasei_virtual_report(int kind, const cease_place *place, uint64_t task, const char *format,
                           ...) CEASE_PRINTF(4, 5);

#endif
