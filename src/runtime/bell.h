/* SPDX-License-Identifier: MIT
 *
 * bell.h: how a worker sleeps that has no sockets, and is woken.
 *
 * A worker with sockets sleeps in epoll_wait, and an eventfd ends that. One without sleeps on a futex,
 * which is woken in half the time. Its word:
 *
 *     QUIET --nap--> NAPS --ring--> RUNG --> QUIET     who rings wakes the futex
 *     QUIET --ring--> RUNG                             and writes the eventfd: it may be in epoll_wait
 *
 *  - A ring ends the current sleep or the next one, whichever kind that is; one that has ended a sleep in
 *    epoll_wait ends the next nap as well, which costs a look around.
 *  - `sockets` is counted up before one is registered, then who does so for another worker wakes it. A worker
 *    says that it sleeps (runtime.idle), then looks whether it has any. All of that is SEQ_CST: so it is
 *    woken from a nap, or sleeps in epoll_wait.
 */
#ifndef CEASE_RUNTIME_BELL_H
#define CEASE_RUNTIME_BELL_H

#include "base/atomic.h"
#include "base/futex.h"

#include <stdbool.h>
#include <stdint.h>

enum { CEASEI_BELL_QUIET = 0, CEASEI_BELL_NAPS, CEASEI_BELL_RUNG };

struct ceasei_bell {
    uint32_t word;    /* atomic */
    uint32_t sockets; /* atomic */
};

/* False: the eventfd must be written. */
static inline bool ceasei_bell_ring(struct ceasei_bell *b)
{
    if (ceasei_swap(&b->word, CEASEI_BELL_RUNG, SEQ_CST) != CEASEI_BELL_NAPS) {
        return false;
    }
    ceasei_futex_wake(&b->word, 1);
    return true;
}

/* The owner's, before it sleeps: whether that may be a nap. True: it must wait, then end it. */
static inline bool ceasei_bell_nap_begin(struct ceasei_bell *b)
{
    uint32_t seen = CEASEI_BELL_QUIET;
    return ceasei_cas(&b->word, &seen, CEASEI_BELL_NAPS, SEQ_CST);
}

static inline bool ceasei_bell_naps(const struct ceasei_bell *b)
{
    return ceasei_load(&b->word, ACQUIRE) == CEASEI_BELL_NAPS;
}

/* A ring that comes just before was for the sleep that is over. */
static inline void ceasei_bell_nap_end(struct ceasei_bell *b)
{
    ceasei_store(&b->word, CEASEI_BELL_QUIET, RELEASE);
}

#endif
