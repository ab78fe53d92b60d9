/* SPDX-License-Identifier: MIT
 *
 * lock.h: a small fair lock for critical sections of some nanoseconds.
 *
 * A ticket lock: the low half of the word is the ticket that is being served, the high half the
 * next one to be drawn. Taking it is one locked operation, giving it back a plain store, because
 * only the holder writes the low half. It is fair, which is what bounds how long a walk over a
 * million children can keep somebody waiting: who comes during one chunk of the walk is served
 * before the next chunk.
 *
 * Each half is read and written as a half. A processor cannot forward a store of two bytes from its
 * store buffer to a load of four, and waits until it is in the cache: drawing the ticket from the whole
 * word made a lock and an unlock 7 ns instead of 2. (docs/design/speed-of-contexts.md)
 *
 * Who waits spins a little, then yields the processor, then naps with growing length (at most 200
 * us): no wake-up is ever sent, so giving the lock back costs nothing, and a holder that was
 * preempted, also by a waiter of higher priority, gets to run. No system call, allocation or
 * foreign code belongs between lock and unlock.
 *
 * At most 65,535 threads may wait at a time. The word is little-endian by design (x86-64, aarch64):
 * checked below.
 */
#ifndef CEASE_BASE_LOCK_H
#define CEASE_BASE_LOCK_H

#include "base/atomic.h"

#include <cease/attr.h>
#include <stdbool.h>
#include <stdint.h>

/* One round of waiting for another thread to take some few steps: spins, then yields, then naps.
 * `*round` starts at 0. */
void ceasei_backoff(unsigned *round);

/* How long a lock was waited for: for another critical section, or for a thread that did not run. */
enum ceasei_lock_wait { LOCK_AT_ONCE, LOCK_AFTER_WAIT, LOCK_AFTER_LONG };

#ifdef CEASE_INTERLEAVE
#include "base/lock_explore.h"
#else

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the served ticket is the low half");

struct ceasei_lock {
    union {
        uint32_t word; /* atomic, for looks: next ticket << 16 | served ticket */
        struct {
            uint16_t
                served;    /* atomic: released by unlock, acquired by the waiter whose turn it is */
            uint16_t next; /* atomic: drawn by lock                                               */
        };
    };
};

/* Waits until `ticket` is served; true: for so long that it came to a nap. */
bool ceasei_lock_wait(struct ceasei_lock *lock, uint16_t ticket);

/* Takes the lock, and says how it came to that. */
static inline enum ceasei_lock_wait ceasei_lock_told(struct ceasei_lock *lock)
{
    /* SEQ_CST: a derivation takes the lock, then reads the parent's state; a canceller writes the
     * state, then looks whether the lock is held (ceasei_lock_held). One of the two must see the
     * other. */
    uint16_t ticket = ceasei_add(&lock->next, 1, SEQ_CST);
    if (CEASE_LIKELY(ceasei_load(&lock->served, ACQUIRE) == ticket))
        return LOCK_AT_ONCE;
    return ceasei_lock_wait(lock, ticket) ? LOCK_AFTER_LONG : LOCK_AFTER_WAIT;
}

static inline void ceasei_lock(struct ceasei_lock *lock)
{
    (void)ceasei_lock_told(lock);
}

static inline void ceasei_unlock(struct ceasei_lock *lock)
{
    uint16_t served = ceasei_load(&lock->served, RELAXED); /* only the holder writes it */
    ceasei_store(&lock->served, (uint16_t)(served + 1), RELEASE);
}

/* Whether somebody holds the lock or waits for it, at this moment. False synchronises with the last
 * unlock. */
static inline bool ceasei_lock_held(const struct ceasei_lock *lock)
{
    uint32_t word = ceasei_load(&lock->word, SEQ_CST);
    return (uint16_t)word != (uint16_t)(word >> 16);
}

#endif

#endif
