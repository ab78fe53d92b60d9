/* SPDX-License-Identifier: MIT
 *
 * lock.c: what the locks under a context cost tasks, beside Go's, which no context cuts short. What Go's library
 * lacks is what its users write: a semaphore is a channel of tokens there.
 */
#include "bench.h"

#include <cease/cease.h>

enum { TASKS = 8 };

static struct {
    cease_mutex mutex;
    cease_semaphore semaphore;
    cease_wait_group wait_group;
    cease_once once;
} shared;

struct loop {
    void (*fn)(cease_ctx *ctx, uint64_t n);
    uint64_t n;
};

static cease_error run(cease_ctx *ctx, void *arg)
{
    const struct loop *loop = arg;
    loop->fn(ctx, loop->n);
    return CEASE_OK;
}

/* In `tasks` tasks at once, n in all; under the context of a group, which can end. */
static void in_tasks(void (*fn)(cease_ctx *ctx, uint64_t n), uint64_t n, int tasks)
{
    struct loop loop = {fn, n / (uint64_t)tasks + 1};
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < tasks; i++)
        bench_need(cease_group_go(g, run, &loop) == CEASE_OK, "cease_group_go");
    bench_need(cease_group_wait(g) == CEASE_OK, "cease_group_wait");
    cease_group_free(g);
}

static void lock_and_unlock(cease_ctx *ctx, uint64_t n)
{
    while (n-- > 0) {
        bench_need(cease_mutex_lock(ctx, &shared.mutex) == CEASE_OK, "cease_mutex_lock");
        cease_mutex_unlock(&shared.mutex);
    }
}

static void mutex_free(uint64_t n)
{
    in_tasks(lock_and_unlock, n, 1);
}

static void lock_over_a_yield(cease_ctx *ctx, uint64_t n)
{
    while (n-- > 0) {
        bench_need(cease_mutex_lock(ctx, &shared.mutex) == CEASE_OK, "cease_mutex_lock");
        cease_yield();
        cease_mutex_unlock(&shared.mutex);
    }
}

static void mutex_wanted(uint64_t n)
{
    in_tasks(lock_over_a_yield, n, TASKS);
}

static void acquire_and_release(cease_ctx *ctx, uint64_t n)
{
    while (n-- > 0) {
        bench_need(cease_semaphore_acquire(ctx, &shared.semaphore, 1) == CEASE_OK,
                   "cease_semaphore_acquire");
        cease_semaphore_release(&shared.semaphore, 1);
    }
}

static void semaphore(uint64_t n)
{
    cease_semaphore_init(&shared.semaphore, TASKS);
    in_tasks(acquire_and_release, n, 1);
}

static void count_and_wait(cease_ctx *ctx, uint64_t n)
{
    while (n-- > 0) {
        cease_wait_group_add(&shared.wait_group, 1);
        cease_wait_group_done(&shared.wait_group);
        bench_need(cease_wait_group_wait(ctx, &shared.wait_group) == CEASE_OK,
                   "cease_wait_group_wait");
    }
}

static void wait_group(uint64_t n)
{
    in_tasks(count_and_wait, n, 1);
}

static cease_error nothing(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_OK;
}

static void do_again(cease_ctx *ctx, uint64_t n)
{
    while (n-- > 0)
        bench_need(cease_once_do(ctx, &shared.once, nothing, NULL) == CEASE_OK, "cease_once_do");
}

static void once(uint64_t n)
{
    in_tasks(do_again, n, 1);
}

BENCH(lock_mutex, mutex_free,
      "What do a lock and an unlock of a mutex cost that nobody else wants?")
BENCH(lock_mutex_wanted, mutex_wanted,
      "The same when eight tasks want it all the time, and each holds it over a yield?")
BENCH(lock_semaphore, semaphore, "What does it cost to take and give back a unit of a semaphore?")
BENCH(lock_wait_group, wait_group, "What do an add, a done and a wait for nobody cost?")
BENCH(lock_once, once, "What does it cost to find that something was done once?")
