/* SPDX-License-Identifier: MIT
 *
 * Out to break: the memory of many contexts. That a block is given out twice, that what one thread
 * frees another cannot use, that a burst of contexts costs its memory for ever, that a forked child
 * hangs in it or loses what the parent process had.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static int refuse; /* atomic: mprotect() fails */

/* What the pool gets more of its range with. */
int mprotect(void *at, size_t size, int protection)
{
    if (__atomic_load_n(&refuse, __ATOMIC_SEQ_CST)) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_mprotect, at, size, protection);
}
#else
static int refuse __attribute__((unused));
#endif

enum { MANY = 100000 };

static cease_canceler *stops[MANY];

static void make(int from, int to)
{
    for (int i = from; i < to; i++)
        cease_with_cancel(cease_background(), &stops[i]);
}

static void end(int from, int to)
{
    for (int i = from; i < to; i++)
        cease_end(stops[i]);
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    CHECK(statm != NULL && fscanf(statm, "%*s %ld", &pages) == 1);
    fclose(statm);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool is_pooled(void)
{
    const char *debug = getenv("CEASE_DEBUG");
    return harness_heap_is_ours() && (debug == NULL || strcmp(debug, "1") != 0);
}

/* The address of a context is its canceler's. */
TEST(blocks_ofManyContexts_areNeverGivenOutTwice)
{
    make(0, MANY);
    for (unsigned x = 1, i = 0; i < MANY / 2; i++) { /* holes all over */
        x = x * 1103515245u + 12345u;
        unsigned at = (x >> 8) % MANY;
        cease_end(stops[at]);
        stops[at] = NULL;
    }
    for (int i = 0; i < MANY; i++)
        if (stops[i] == NULL)
            cease_with_cancel(cease_background(), &stops[i]);
    CHECK_EQ(cease_live_count(), MANY);
    /* Each says its own number when it is cancelled: a shared block would say another's. */
    for (int i = 0; i < MANY; i++)
        cease_cancel_cause(stops[i], i + 1, NULL);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(cease_cause_of((cease_ctx *)(void *)stops[i])->code, i + 1);
    end(0, MANY);
    CHECK_EQ(cease_live_count(), 0);
}

/* What an emulator takes for itself is in every figure of memory, and in every limit. */
static bool is_measured(void)
{
    return is_pooled() && getenv("HARNESS_EMULATOR") == NULL;
}

TEST(contexts_many_takeFewAllocationsAndLittleMemory)
{
    if (!is_measured())
        SKIP("each context is malloc's here, or an emulator takes memory, too");
    memset(stops, 1, sizeof stops);
    make(0, 1); /* what comes once */
    end(0, 1);
    (void)resident_kb();
    long allocs = harness_heap_allocs(), before = resident_kb();
    make(0, MANY);
    CHECK(harness_heap_allocs() - allocs < 1000);
    CHECK((resident_kb() - before) * 1024 / MANY <= 128);
    end(0, MANY);
}

TEST(contexts_ended_giveTheirMemoryBack)
{
    if (!is_measured())
        SKIP("each context is malloc's here, or an emulator takes memory, too");
    memset(stops, 1, sizeof stops);
    (void)resident_kb();
    long before = resident_kb();
    make(0, MANY);
    long most = resident_kb();
    end(0, MANY);
    CHECK(most - before > 10000);
    CHECK(resident_kb() - before < (most - before) / 4);
    make(0, MANY); /* what was given back is there again */
    end(0, MANY);
}

/* ----- threads ----- */

enum { THREADS = 4, ROUNDS = 40, EACH = 3000 };

static pthread_barrier_t turn;

/* Each frees in every round what its neighbour has made in the one before. */
static void *make_and_end(void *arg)
{
    int self = (int)(intptr_t)arg, other = (self + 1) % THREADS;
    for (int round = 0; round < ROUNDS; round++) {
        make(self * EACH, (self + 1) * EACH);
        pthread_barrier_wait(&turn);
        end(other * EACH, (other + 1) * EACH);
        pthread_barrier_wait(&turn);
    }
    return NULL;
}

TEST(blocks_freedByAnotherThread_areUsedAgain)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&turn, NULL, THREADS);
    long before = resident_kb();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, make_and_end, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&turn);
    CHECK_EQ(cease_live_count(), 0);
    /* 480,000 went through; 12,000 lived at a time. */
    if (is_measured())
        CHECK(resident_kb() - before < 20000);
}

/* ----- what runs out; forks ----- */

TEST(range_thatCannotBeReserved_contextsAreMallocsAsBefore)
{
    if (!is_measured())
        SKIP("each context is malloc's here, or an emulator takes memory, too");
    struct rlimit all, little;
    CHECK_EQ(getrlimit(RLIMIT_AS, &all), 0);
    little = all;
    little.rlim_cur = (rlim_t)1 << 30;
    CHECK_EQ(setrlimit(RLIMIT_AS, &little), 0);
    long allocs = harness_heap_allocs();
    make(0, MANY);
    CHECK(harness_heap_allocs() - allocs >= MANY);
    CHECK_EQ(cease_live_count(), MANY);
    end(0, MANY);
    CHECK_EQ(setrlimit(RLIMIT_AS, &all), 0);
    make(0, MANY); /* nobody asks a second time */
    CHECK_EQ(cease_live_count(), MANY);
    end(0, MANY);
}

TEST(range_thatCannotBeUsed_contextsAreMallocsAndTheOthersStay)
{
    if (!is_pooled())
        SKIP("each context is malloc's here");
    make(0, MANY / 2);
    __atomic_store_n(&refuse, 1, __ATOMIC_SEQ_CST);
    long allocs = harness_heap_allocs();
    make(MANY / 2, MANY);
    __atomic_store_n(&refuse, 0, __ATOMIC_SEQ_CST);
    CHECK(harness_heap_allocs() - allocs > MANY / 4);
    CHECK_EQ(cease_live_count(), MANY);
    end(0, MANY);
    allocs = harness_heap_allocs();
    make(0, MANY);
    CHECK(harness_heap_allocs() - allocs < 1000);
    end(0, MANY);
}

static void *make_until_told(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE)) {
        make(MANY / 2, MANY / 2 + 2000);
        end(MANY / 2, MANY / 2 + 2000);
    }
    return NULL;
}

TEST(fork_whileAnotherThreadMakesContexts_childHasBothSidesOfThePool)
{
    if (!is_pooled())
        SKIP("a sanitizer's malloc does not bear a fork at any moment");
    int told = 0;
    pthread_t thread;
    make(0, 10000);
    CHECK_EQ(pthread_create(&thread, NULL, make_until_told, &told), 0);
    for (int i = 0; i < 20; i++) {
        int child = fork();
        if (child == 0) {
            make(20000, 30000);
            end(20000, 30000);
            end(0, 10000);
            _exit(0);
        }
        int status = -1;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    __atomic_store_n(&told, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    end(0, 10000);
    CHECK_EQ(cease_live_count(), 0);
}
