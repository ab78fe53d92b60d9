/* SPDX-License-Identifier: MIT
 *
 * lock_explore.h: what lock.h is when a source is compiled for the interleaving explorer.
 *
 * Taking the lock is one blocking step: it can be chosen only while the word is 0, so no execution
 * is spent on waiting, and a cycle of waiters is a deadlock that the explorer reports. Giving it
 * back is a release store, as in the real lock: with store buffers others may see it held a while
 * longer. Who is served first is left open: more orders than the ticket lock's are explored.
 */
#ifndef CEASE_BASE_LOCK_EXPLORE_H
#define CEASE_BASE_LOCK_EXPLORE_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

struct ceasei_lock {
    uint32_t word; /* 1: held */
};

void explore_lock(const struct explore_site *site, uint32_t *word);
void explore_unlock(const struct explore_site *site, uint32_t *word);

#define ceasei_lock(l)      explore_lock(EXPLORE_SITE(#l), &(l)->word)
#define ceasei_unlock(l)    explore_unlock(EXPLORE_SITE(#l), &(l)->word)
#define ceasei_lock_held(l) (ceasei_load(&(l)->word, SEQ_CST) != 0)
#define ceasei_lock_told(l)                                                      \
    (__extension__({                                                             \
        bool explore_held_ = ceasei_lock_held(l);                                \
        explore_lock(EXPLORE_SITE(#l), &(l)->word);                              \
        (enum ceasei_lock_wait)(explore_held_ ? LOCK_AFTER_WAIT : LOCK_AT_ONCE); \
    }))

#endif
