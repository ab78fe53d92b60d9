/* SPDX-License-Identifier: MIT
 *
 * block.c: the pool of threads for calls that cannot park, and how such a call is interrupted.
 *
 * The idea: a job lives on its caller's stack, and one word says where it is. The caller parks
 * until the job is finished or dropped; the context's callback drops or interrupts it; a thread
 * runs it.
 *
 *     QUEUED --> RUNNING       a pool thread, under the pool's lock
 *            --> DROPPED       the context's callback; fn never runs; it wakes the caller
 *     RUNNING --> INTERRUPTING the context's callback, which then calls interrupt()
 *             --> FINISHED     the runner, after fn; it wakes the caller
 *     INTERRUPTING --> INTERRUPTED   the callback, after interrupt() has returned
 *                  --> FINISHING     the runner, after fn; it parks until the callback wakes it
 *     INTERRUPTED --> FINISHED       the runner
 *     FINISHING --> FINISHED         the runner
 *
 * Hence: interrupt() begins only in RUNNING, that is, after fn was given to its thread and before
 * the runner has said that fn returned. A runner that finds it in progress waits for it, so that an
 * interrupt that aims at the thread (pthread_kill) cannot hit the next job. The callback runs at
 * most once, so interrupt() does.
 *
 * Lifetime: a job is its caller's. Pool threads know it while it is queued, and from RUNNING to the
 * wake of its caller, which is the last thing they do with it. The caller of a dropped job unlinks
 * it under the pool's lock; a thread decides about a queued job (QUEUED to RUNNING) under the same
 * lock and forgets a dropped one there. The callback knows it until cease_watch_remove_sync has
 * returned.
 *
 * Who guards what: the pool's fields are under its lock, a job's `state` is atomic, its links are
 * under the pool's lock, the rest is set before it is queued.
 *
 * A job that may be left behind (cease_block_leave) is on the heap, has no interrupt and two more
 * steps:
 *
 *     RUNNING --> LEFT   the context's callback, if not too many are left already; it wakes the caller,
 *                        and the job is the runner's, who releases and frees it after fn
 *
 * The callback of such a job reads nothing of it after LEFT, and its caller learns of LEFT from his
 * own stack.
 *
 * A plain thread runs the job itself, with the same states from RUNNING on. So do pool threads,
 * which is why a job inside a job cannot wait for a thread that the outer one holds.
 *
 * A thread that has been idle for long ends, and joins the one that did so before: at most one
 * ended thread is left unjoined, for ceasei_block_stop.
 */
#include "base/atomic.h"
#include "base/panic.h"
#include "runtime/aside.h"
#include "runtime/task.h"
#include "runtime/virtual.h"
#include "runtime/wait.h"

#include <cease/block.h>
#include <cease/task.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_DEFAULT 64
#define THREADS_MAX     4096
#define IDLE_MS_DEFAULT 5000
#define IDLE_MS_MAX     3600000

enum job_state { QUEUED, RUNNING, INTERRUPTING, INTERRUPTED, FINISHING, FINISHED, DROPPED, LEFT };

struct job {
    struct job *next, *prev;
    bool linked;
    uint32_t state;       /* enum job_state */
    cease_parker *runner; /* set before RUNNING; on the runner's stack */
    cease_parker *caller; /* set at birth; on the caller's stack */
    cease_block_fn *fn;
    cease_interrupt_fn *interrupt;
    void (*release)(void *arg); /* of a job that may be left */
    void *arg;
};

/* Who waits for a job, on its stack. */
struct caller {
    struct job *job;
    cease_parker parker;
    cease_watch watch;
    enum job_state
        outcome; /* of a job that may be left: DROPPED or LEFT, written before the wake */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a job was queued, or stopping */
    pthread_cond_t gone; /* a thread has ended */
    struct job *first, *last;
    size_t queued, jobs;  /* jobs: queued and running */
    size_t threads, idle; /* threads: those being started included */
    size_t threads_max;   /* 0: not read yet, nor idle_ms */
    long idle_ms;         /* how long a thread waits for work before it ends */
    bool clock_set;       /* `work` measures monotonic time */
    bool stopping;
    bool has_ended;
    pthread_t ended; /* the last thread that ended, to be joined */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .gone = PTHREAD_COND_INITIALIZER};

static uint32_t left; /* atomic: jobs in LEFT */
#ifdef CEASE_INTERLEAVE
bool *explore_pool_thread(void); /* one thread plays all of a model's */
#define is_pool_thread (*explore_pool_thread())
#else
static __thread bool is_pool_thread;
#endif

static bool advance(struct job *job, uint32_t from, uint32_t to)
{
    return ceasei_cas(&job->state, &from, to, ACQ_REL);
}

/* The context's callback. */
static void on_ctx_done(void *arg)
{
    struct job *job = ((struct caller *)arg)->job;
    if (advance(job, QUEUED, DROPPED)) {
        cease_wake(job->caller);
        return;
    }
    if (!job->interrupt || !advance(job, RUNNING, INTERRUPTING)) {
        return;
    }
    job->interrupt(job->arg);
    if (!advance(job, INTERRUPTING, INTERRUPTED) && !CEASE_SEED_BUG(BUG_BLOCK_WAIT)) {
        cease_wake(job->runner); /* FINISHING */
    }
}

/* The same for a job that may be left. */
static void on_ctx_done_leave(void *arg)
{
    struct caller *c = arg;
    if (advance(c->job, QUEUED, DROPPED)) {
        c->outcome = DROPPED;
        cease_wake(&c->parker);
        return;
    }
    if (ceasei_add(&left, 1, RELAXED) < pool.threads_max / 2 &&
        (advance(c->job, RUNNING, LEFT) || CEASE_SEED_BUG(BUG_BLOCK_LEAVE))) {
        c->outcome = LEFT;
        cease_wake(&c->parker);
    } else {
        ceasei_sub(&left, 1, RELAXED); /* joined, as by cease_block; or it has finished */
    }
}

/* Runs a job that is RUNNING. False when it was left meanwhile: then it is gone. */
static bool run(struct job *job, cease_parker *runner)
{
    job->fn(job->arg);
    if (advance(job, RUNNING, FINISHED) || advance(job, INTERRUPTED, FINISHED)) {
        return true;
    }
    if (ceasei_load(&job->state, ACQUIRE) == LEFT) {
        if (job->release) {
            job->release(job->arg);
        }
        free(job);
        ceasei_sub(&left, 1, RELAXED);
        return false;
    }
    if (advance(job, INTERRUPTING, FINISHING)) {
        cease_park(runner);
    }
    /* Or the interrupt has ended between the two tries: INTERRUPTED. */
    ceasei_store(&job->state, FINISHED, RELEASE);
    return true;
}

static void job_unlink(struct job *job)
{
    if (job->prev) {
        job->prev->next = job->next;
    } else {
        pool.first = job->next;
    }
    if (job->next) {
        job->next->prev = job->prev;
    } else {
        pool.last = job->prev;
    }
    job->linked = false;
    pool.queued--;
}

static void job_push(struct job *job)
{
    job->next = NULL;
    job->prev = pool.last;
    job->linked = true;
    if (pool.last) {
        pool.last->next = job;
    } else {
        pool.first = job;
    }
    pool.last = job;
    pool.queued++;
}

/* Under the lock: the oldest job that still wants to run, now RUNNING. */
static struct job *job_take(cease_parker *runner)
{
    struct job *job;
    while ((job = pool.first)) {
        job_unlink(job);
        job->runner = runner;
        if (advance(job, QUEUED, RUNNING) || CEASE_SEED_BUG(BUG_BLOCK_TAKE)) {
            return job;
        }
    }
    return NULL;
}

/* Under the lock: waits for work. False when there was none for long, or the pool stops. */
static bool wait_for_work(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += pool.idle_ms / 1000;
    until.tv_nsec += pool.idle_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int failed = 0;
    pool.idle++;
    while (!pool.first && !pool.stopping && !failed) {
        failed = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
    }
    pool.idle--;
    return pool.first != NULL;
}

static void *pool_main(void *arg)
{
    (void)arg;
    is_pool_thread = true;
    pthread_mutex_lock(&pool.lock);
    do {
        cease_parker runner;
        cease_parker_init(&runner);
        struct job *job = job_take(&runner);
        if (job) {
            pthread_mutex_unlock(&pool.lock);
            bool joined = run(job, &runner);
            pthread_mutex_lock(&pool.lock);
            pool.jobs--; /* before the caller can know: who has joined all tasks counts none */
            if (joined) {
                pthread_mutex_unlock(&pool.lock);
                cease_wake(job->caller);
                pthread_mutex_lock(&pool.lock);
            }
        }
    } while (pool.first || wait_for_work());
    bool join_former = pool.has_ended;
    pthread_t former = pool.ended;
    pool.has_ended = true;
    pool.ended = pthread_self();
    pool.threads--;
    pthread_cond_signal(&pool.gone);
    pthread_mutex_unlock(&pool.lock);
    if (join_former) {
        pthread_join(former, NULL);
    }
    return NULL;
}

/* What the environment says, from 1 to max. */
static long number_of(const char *name, long max, long otherwise)
{
    const char *text = getenv(name);
    long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n <= max ? n : otherwise;
}

/* Under the lock, at the first job. */
static void pool_set_up(void)
{
    pool.threads_max = (size_t)number_of("CEASE_BLOCK_THREADS", THREADS_MAX, THREADS_DEFAULT);
    pool.idle_ms = number_of("CEASE_BLOCK_IDLE_MS", IDLE_MS_MAX, IDLE_MS_DEFAULT);
    if (!pool.clock_set) {
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&pool.work, &attr);
        pthread_condattr_destroy(&attr);
        pool.clock_set = true;
    }
}

/* Queues a job and sees to it that there is a thread for it, now or when one has finished. */
static cease_error submit(struct job *job)
{
    pthread_mutex_lock(&pool.lock);
    if (!pool.threads_max) {
        pool_set_up();
    }
    job_push(job);
    pool.jobs++;
    bool grow = pool.queued > pool.idle && pool.threads < pool.threads_max;
    if (grow) {
        pool.threads++;
    } else if (pool.idle > 0) {
        pthread_cond_signal(&pool.work);
    }
    pthread_mutex_unlock(&pool.lock);
    if (!grow) {
        return CEASE_OK;
    }
    pthread_t id;
    cease_error e = ceasei_aside_start(&id, "cease-block", pool_main, NULL);
    if (!e) {
        return CEASE_OK;
    }
    /* The other threads will come to it, if there are any. */
    pthread_mutex_lock(&pool.lock);
    pool.threads--;
    pthread_cond_signal(&pool.gone);
    bool hopeless = pool.threads == 0 && job->linked;
    if (hopeless) {
        job_unlink(job);
        pool.jobs--;
    }
    pthread_mutex_unlock(&pool.lock);
    return hopeless ? e : CEASE_OK;
}

static void forget(struct job *job)
{
    pthread_mutex_lock(&pool.lock);
    if (job->linked) {
        job_unlink(job);
    }
    pool.jobs--;
    pthread_mutex_unlock(&pool.lock);
}

/* On a plain thread: from QUEUED too, so that an end of ctx in this moment drops the job instead of
 * interrupting what has not begun. */
static cease_error run_here(cease_ctx *ctx, struct caller *c)
{
    struct job *job = c->job;
    if (cease_callback_place()) { /* it would not park, but block all the same */
        cease_park_forbidden("cease_block");
    }
    if (!job->interrupt) {
        job->fn(job->arg);
        return CEASE_OK;
    }
    cease_parker runner;
    cease_parker_init(&runner);
    job->runner = &runner;
    cease_watch_add(&c->watch, ctx, on_ctx_done, c);
    bool mine = advance(job, QUEUED, RUNNING);
    if (mine) {
        (void)run(job, &runner);
    } else {
        cease_park(&c->parker); /* DROPPED: takes the wake that comes with it */
    }
    cease_watch_remove_sync(&c->watch);
    return mine ? CEASE_OK : cease_err(ctx);
}

CEASE_PUBLIC cease_error cease_block(cease_ctx *ctx, cease_block_fn *fn,
                                     cease_interrupt_fn *interrupt, void *arg)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e) {
        return e;
    }
    struct caller c;
    struct job job = {
        .state = QUEUED, .caller = &c.parker, .fn = fn, .interrupt = interrupt, .arg = arg};
    c.job = &job;
    cease_parker_init(&c.parker);
    if (cease_task_id() == 0) {
        return run_here(ctx, &c);
    }
    e = submit(&job);
    if (e) {
        return e;
    }
    bool held = ceasei_virtual_wait_begin();
    cease_watch_add(&c.watch, ctx, on_ctx_done, &c);
    ceasei_waits(ceasei_task_self(), ctx, CEASEI_WAIT_BLOCK, 0);
    cease_park(&c.parker);
    ceasei_waits(ceasei_task_self(), NULL, CEASEI_WAIT_PARKED, 0);
    ceasei_virtual_wait_end(held);
    cease_watch_remove_sync(&c.watch);
    if (ceasei_load(&job.state, ACQUIRE) == DROPPED) {
        forget(&job);
        return cease_err(ctx);
    }
    return CEASE_OK;
}

/* Queues a job on the heap and waits for its end, or until it is dropped or left. With CEASE_OK it has
 * finished; *ret_left says who releases arg otherwise. */
static cease_error block_or_leave(cease_ctx *ctx, const struct job *model, bool *ret_left)
{
    struct job *job = malloc(sizeof *job);
    if (!job) {
        return CEASE_ENOMEM;
    }
    *job = *model;
    struct caller c = {.job = job, .outcome = FINISHED};
    cease_parker_init(&c.parker);
    job->caller = &c.parker;
    cease_error e = submit(job);
    if (e) {
        free(job);
        return e;
    }
    bool held = ceasei_virtual_wait_begin();
    cease_watch_add(&c.watch, ctx, on_ctx_done_leave, &c);
    ceasei_waits(ceasei_task_self(), ctx, CEASEI_WAIT_BLOCK, 0);
    cease_park(&c.parker);
    ceasei_waits(ceasei_task_self(), NULL, CEASEI_WAIT_PARKED, 0);
    ceasei_virtual_wait_end(held);
    cease_watch_remove_sync(&c.watch);
    *ret_left = c.outcome == LEFT;
    if (c.outcome == DROPPED) {
        forget(job);
    }
    if (c.outcome != LEFT) {
        free(job);
    }
    return c.outcome == FINISHED ? CEASE_OK : cease_err(ctx);
}

CEASE_PUBLIC cease_error cease_block_leave(cease_ctx *ctx, cease_block_fn *fn,
                                           void (*release)(void *arg), void *take_arg)
{
    cease_error e = ceasei_enter(ctx, __func__);
    bool is_left = false;
    if (!e && is_pool_thread) { /* which cannot be left, and might be the last one */
        fn(take_arg);
        return CEASE_OK;
    }
    if (!e) {
        struct job model = {.state = QUEUED, .fn = fn, .release = release, .arg = take_arg};
        e = block_or_leave(ctx, &model, &is_left);
    }
    if (e && !is_left && release) {
        release(take_arg);
    }
    return e;
}

size_t ceasei_block_jobs(void)
{
    pthread_mutex_lock(&pool.lock);
    size_t jobs = pool.jobs;
    pthread_mutex_unlock(&pool.lock);
    return jobs;
}

cease_error ceasei_block_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    if (pool.jobs > 0) {
        pthread_mutex_unlock(&pool.lock);
        return CEASE_EBUSY;
    }
    pool.stopping = true;
    if (pool.clock_set) {
        pthread_cond_broadcast(&pool.work);
    }
    while (pool.threads > 0) {
        pthread_cond_wait(&pool.gone, &pool.lock);
    }
    bool join = pool.has_ended;
    pthread_t ended = pool.ended;
    pool.has_ended = false;
    pool.stopping = false;
    pool.threads_max = 0; /* the environment is read again */
    pthread_mutex_unlock(&pool.lock);
    if (join) {
        pthread_join(ended, NULL);
    }
    return CEASE_OK;
}
