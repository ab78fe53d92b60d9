/* SPDX-License-Identifier: MIT
 *
 * hooks.c: the door to a runtime, and what stands in its place without one.
 */
#include "context/ctx.h"

#include <string.h>
#include <time.h>

static const cease_hooks none = {.size = sizeof none};
const cease_hooks *ceasei_hooks = &none;

void cease_hooks_install(const cease_hooks *hooks)
{
    ceasei_store(&ceasei_hooks, hooks != NULL ? hooks : &none, SEQ_CST);
    ceasei_timer_take_over();
}

const cease_hooks *cease_hooks_installed(void)
{
    return ceasei_load(&ceasei_hooks, ACQUIRE);
}

cease_end_fn *ceasei_on_end;

void cease_on_end(cease_end_fn *fn)
{
    ceasei_store(&ceasei_on_end, fn, RELEASE);
}

/* ----- time ----- */

cease_time cease_now(void)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    if (CEASE_UNLIKELY(hooks->clock != NULL))
        return hooks->clock();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (cease_time){(int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

cease_dur cease_until(cease_time t)
{
    return cease_time_sub(t, cease_now());
}

/* ----- parking a thread ----- */

enum { PARKER_EMPTY, PARKER_WAITING, PARKER_WOKEN };

void cease_parker_init(cease_parker *p)
{
    *p = (cease_parker){.state = PARKER_EMPTY};
}

void cease_park_thread(cease_parker *p)
{
    uint32_t state = PARKER_EMPTY;
    if (!ceasei_cas(&p->state, &state, PARKER_WAITING, ACQ_REL))
        return; /* woken before */
    while (ceasei_load(&p->state, ACQUIRE) != PARKER_WOKEN)
        ceasei_futex_wait(&p->state, PARKER_WAITING);
}

void cease_wake_thread(cease_parker *p)
{
    /* After the swap *p may be gone: the futex call then wakes nobody, or somebody who looks again.
     */
    if (ceasei_swap(&p->state, PARKER_WOKEN, ACQ_REL) == PARKER_WAITING)
        ceasei_futex_wake(&p->state, 1);
}

void cease_park(cease_parker *p)
{
    const cease_place *place = cease_callback_place();
    if (CEASE_UNLIKELY(place != NULL))
        cease_park_forbidden("cease_park");
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    if (hooks->park != NULL)
        hooks->park(p);
    else
        cease_park_thread(p);
}

void cease_wake(cease_parker *p)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    if (hooks->wake != NULL)
        hooks->wake(p);
    else
        cease_wake_thread(p);
}
