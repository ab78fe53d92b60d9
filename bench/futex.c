/* SPDX-License-Identifier: MIT
 *
 * futex.c: the kernel's own lateness, which is the limit: of a thread in a timed futex wait, and of one
 * that another thread wakes.
 */
#include "bench.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 400 };

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double late_idle(void)
{
    static int64_t late[COUNT];
    static uint32_t word;
    for (int i = 0; i < COUNT; i++) {
        int64_t due = bench_now_ns() + (2000 + i * 37 % 4000) * 1000;
        struct timespec at = {due / 1000000000, due % 1000000000};
        long rc = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL,
                          FUTEX_BITSET_MATCH_ANY);
        bench_need(rc == -1 && errno == ETIMEDOUT, "futex");
        late[i] = bench_now_ns() - due;
    }
    qsort(late, COUNT, sizeof *late, ascending);
    return (double)late[COUNT * 99 / 100];
}

BENCH_VALUE(ctx_late_idle, late_idle, "ns", "How late does a timed futex wait end (p99 of 400)?")

/* ---- woken by another thread -------------------------------------------------------------------- */

static atomic_uint turn; /* rounds that were begun */
static atomic_llong ran; /* when the woken thread ran; 0: not yet */

static void *wait_and_tell(void *arg)
{
    unsigned rounds = *(unsigned *)arg;
    for (unsigned seen = 0; seen < rounds; seen++) {
        while (atomic_load(&turn) == seen)
            syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        atomic_store(&ran, bench_now_ns());
    }
    return NULL;
}

static void spin_gap(void)
{
    for (int64_t from = bench_now_ns(); bench_now_ns() - from < 10000;) {
    }
}

static void sleep_gap(void)
{
    struct timespec ts = {.tv_nsec = 1000000};
    nanosleep(&ts, NULL);
}

static double wake(unsigned rounds, void (*gap)(void))
{
    pthread_t waiter;
    int64_t *took = calloc(rounds, sizeof *took);
    bench_need(took && pthread_create(&waiter, NULL, wait_and_tell, &rounds) == 0, "a thread");
    for (unsigned i = 0; i < rounds; i++) {
        gap();
        atomic_store(&ran, 0);
        int64_t from = bench_now_ns();
        atomic_fetch_add(&turn, 1);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        while (atomic_load(&ran) == 0) {
        }
        took[i] = atomic_load(&ran) - from;
    }
    pthread_join(waiter, NULL);
    qsort(took, rounds, sizeof *took, ascending);
    double p50 = (double)took[rounds / 2];
    free(took);
    return p50;
}

static double wake_other(void)
{
    return wake(20000, spin_gap);
}

static double wake_other_idle(void)
{
    return wake(1000, sleep_gap);
}

BENCH_VALUE(cancel_wake_other, wake_other, "ns",
            "How soon does a thread run that a futex wakes (p50)?")
BENCH_VALUE(cancel_wake_other_idle, wake_other_idle, "ns", "The same after a pause of 1 ms (p50)?")
