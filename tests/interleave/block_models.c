/* SPDX-License-Identifier: MIT
 *
 * block_models.c: jobs of cease_block and cease_block_leave (src/runtime/block.c) under every interleaving.
 * Thread 0 is the task that calls, thread 1 the pool's thread, thread 2 cancels.
 *
 * The pool's mutex is the explorer's lock, its conditions are one word to sleep on, and a wait for work
 * ends when the caller is back for good.
 *
 * Checked: a job runs once or not at all, as its caller is told; an interrupt begins while its own job runs and is over
 * before the caller is back and before the thread has its next job; what a job that was left has is
 * released, once, and nobody else touches it.
 */
#include "base/futex.h"
#include "runtime/aside.h"
#include "runtime/virtual.h"
#include "runtime_glue.h"

#include <cease/block.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* ---- what block.c calls: meson gives these names to it ------------------------------------------ */

static void *(*pool_fn)(void *arg); /* of the thread that was asked for */
static uint32_t is_started;         /* atomic: pool_fn is set, or stays NULL */
static uint32_t bell, is_closing;   /* atomic: for all conditions */
static bool pool_threads[EXPLORE_THREADS];

bool *explore_pool_thread(void)
{
    return &pool_threads[explore_current()];
}

int explored_mutex_lock(pthread_mutex_t *m)
{
    ceasei_lock((struct ceasei_lock *)(void *)m);
    return 0;
}

int explored_mutex_unlock(pthread_mutex_t *m)
{
    ceasei_unlock((struct ceasei_lock *)(void *)m);
    return 0;
}

static void ring(void)
{
    ceasei_add(&bell, 1, SEQ_CST);
    ceasei_futex_wake(&bell, EXPLORE_THREADS);
}

int explored_cond_signal(pthread_cond_t *c)
{
    (void)c;
    ring();
    return 0;
}

int explored_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    (void)c;
    (void)until;
    uint32_t seen = ceasei_load(&bell, SEQ_CST);
    if (ceasei_load(&is_closing, SEQ_CST))
        return ETIMEDOUT;
    explored_mutex_unlock(m);
    ceasei_futex_wait(&bell, seen);
    explored_mutex_lock(m);
    return 0;
}

int explored_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    static const struct timespec never;
    return explored_cond_timedwait(c, m, &never);
}

int explored_join(pthread_t thread, void **ret_value)
{
    (void)thread;
    (void)ret_value;
    explore_fail("no thread has ended before");
}

uint64_t explored_task_id(void)
{
    const struct ceasei_task *self = ceasei_task_self();
    return self ? self->id : 0;
}

cease_error ceasei_aside_start(pthread_t *ret_id, const char *name, void *(*fn)(void *), void *arg)
{
    (void)ret_id;
    (void)name;
    (void)arg;
    if (pool_fn)
        return CEASE_ENOMEM; /* there is one thread */
    pool_fn = fn;
    ceasei_store(&is_started, 1, RELEASE);
    ceasei_futex_wake(&is_started, 1);
    return CEASE_OK;
}

static void pool_thread(void)
{
    while (!ceasei_load(&is_started, ACQUIRE))
        ceasei_futex_wait(&is_started, 0);
    if (pool_fn)
        pool_fn(NULL);
}

/* The caller is back for good. */
static void close_pool(void)
{
    ceasei_store(&is_closing, 1, SEQ_CST);
    ring();
    ceasei_store(&is_started, 1, RELEASE);
    ceasei_futex_wake(&is_started, 1);
}

/* ---- models ------------------------------------------------------------------------------------- */

/* A job, plain: the race detector sees whether the protocol orders it. */
struct work {
    int runs, interrupts;
    bool is_over;
};
static struct work works[2];

static void start(void)
{
    glue_start();
    ceasei_virtual.on = 0;
}

static uint32_t is_working; /* atomic, and a futex */

static void work(void *arg)
{
    struct work *w = arg;
    w->runs++;
    ceasei_store(&is_working, 1, RELEASE);
    ceasei_futex_wake(&is_working, 1);
    explore_note("works");
}

/* Reads and writes what the caller reads when it is back, and what the next job writes. */
static void interrupt(void *arg)
{
    struct work *w = arg;
    EXPLORE_CHECK(!w->is_over);
    w->interrupts++;
    for (int i = 0; i < 4; i++) { /* so that in many orders others come in between */
        explore_note("interrupts");
        EXPLORE_CHECK(!w->is_over);
    }
}

static cease_error block(cease_ctx *ctx, struct work *w)
{
    cease_error e = cease_block(ctx, work, interrupt, w);
    w->is_over = true;
    EXPLORE_CHECK(w->runs == (e == CEASE_OK));
    EXPLORE_CHECK(w->interrupts <= w->runs);
    return e;
}

static void block_one(void)
{
    (void)block(glue_root, &works[0]);
    close_pool();
}

static void block_two(void)
{
    (void)block(glue_root, &works[0]);
    EXPLORE_CHECK(block(cease_background(), &works[1]) == CEASE_OK);
    EXPLORE_CHECK(works[1].interrupts == 0);
    close_pool();
}

/* Not before: so that most orders have an interrupt. */
static void cancel_once_it_works(void)
{
    while (!ceasei_load(&is_working, ACQUIRE))
        ceasei_futex_wait(&is_working, 0);
    glue_cancel();
}

MODEL(block_cancel, .setup = start, .threads = {block_one, pool_thread, glue_cancel},
      .check = glue_end, .seeds = {{BUG_BLOCK_TAKE, false, "a job that was dropped is run"}});
MODEL(block_cancel_while_it_works, .setup = start,
      .threads = {block_one, pool_thread, cancel_once_it_works}, .check = glue_end,
      .seeds = {
          {BUG_BLOCK_WAIT, false, "an interrupt that was waited for does not wake who waits"}});
MODEL(block_cancel_next, .setup = start, .threads = {block_two, pool_thread, glue_cancel},
      .check = glue_end);

/* On a plain thread, which runs the job itself. */
MODEL(block_here_cancel, .setup = start, .threads = {glue_cancel, glue_nothing, block_one},
      .check = glue_end);

/* A job that may be left: what it has is on the heap. */
static void work_left(void *arg)
{
    ((struct work *)arg)->runs++;
    explore_note("works");
}

static uint32_t released; /* atomic */

static void release(void *arg)
{
    free(arg);
    ceasei_add(&released, 1, RELAXED);
}

static void block_and_leave(void)
{
    struct work *w = calloc(1, sizeof *w);
    cease_error e = cease_block_leave(glue_root, work_left, release, w);
    if (e == CEASE_OK) {
        EXPLORE_CHECK(w->runs == 1);
        release(w);
    }
    close_pool();
}

static void check_released(void)
{
    EXPLORE_CHECK(released == 1);
    glue_end();
}

MODEL(block_leave_cancel, .setup = start, .threads = {block_and_leave, pool_thread, glue_cancel},
      .check = check_released,
      .seeds = {{BUG_BLOCK_LEAVE, false, "a job that has finished is left all the same"}});
