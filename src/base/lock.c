/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#ifdef CEASE_INTERLEAVE
void ceasei_backoff(unsigned *round)
{
    (void)round;
    ceasei_relax();
}
#else
#include <sched.h>
#include <time.h>

enum { SPINS = 64, YIELDS = 80, NAP_MIN_NS = 10 * 1000, NAP_MAX_NS = 200 * 1000 };

void ceasei_backoff(unsigned *round)
{
    unsigned n = (*round)++;
    if (n < SPINS) {
        ceasei_relax();
    } else if (n < YIELDS) {
        sched_yield();
    } else {
        long nap_ns = (long)NAP_MIN_NS << (n - YIELDS < 8 ? n - YIELDS : 8);
        struct timespec nap = {.tv_nsec = nap_ns < NAP_MAX_NS ? nap_ns : NAP_MAX_NS};
        nanosleep(&nap,
                  NULL); /* an early return is as good as a late one: the caller looks again */
    }
}

bool ceasei_lock_wait(struct ceasei_lock *lock, uint16_t ticket)
{
    unsigned round = 0;
    while (ceasei_load(&lock->served, ACQUIRE) != ticket)
        ceasei_backoff(&round);
    return round > YIELDS;
}
#endif
