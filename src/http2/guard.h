/* SPDX-License-Identifier: MIT
 *
 * guard.h: the canceler that the end of a stream cancels, and how its user takes it back.
 *
 * It belongs to whoever takes it out by a swap. Its user does so when he wants to hear no more, without
 * the connection's lock; who cancels does so under the lock, and holds it until he has a reference of his
 * own. A user who comes too late therefore takes the lock once, and then may let go of his reference.
 */
#ifndef CEASE_HTTP2_GUARD_H
#define CEASE_HTTP2_GUARD_H

#include "base/atomic.h"

#include <cease/context.h>
#include <stdbool.h>

struct ceasei_h2_guard {
    cease_canceler *stop; /* atomic; set under the lock */
};

/* Its user's, under the lock. */
static inline void ceasei_h2_guard_set(struct ceasei_h2_guard *g, cease_canceler *stop)
{
    ceasei_store(&g->stop, stop, RELAXED);
}

/* At this moment; under the lock, where it does not become set. */
static inline bool ceasei_h2_guard_is_set(const struct ceasei_h2_guard *g)
{
    return ceasei_load(&g->stop, RELAXED) != NULL;
}

/* For who is to cancel, under the lock: a reference, or NULL. */
static inline cease_canceler *ceasei_h2_guard_take(struct ceasei_h2_guard *g)
{
    cease_canceler *stop = ceasei_swap(&g->stop, NULL, RELAXED);
    return stop ? cease_canceler_ref(stop) : NULL;
}

/* Its user's, without the lock. False: somebody has taken it, so he must take the lock and give it back. */
static inline bool ceasei_h2_guard_drop(struct ceasei_h2_guard *g)
{
    return ceasei_swap(&g->stop, NULL, RELAXED) != NULL || CEASE_SEED_BUG(BUG_GUARD);
}

#endif
