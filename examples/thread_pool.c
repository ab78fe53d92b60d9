/* SPDX-License-Identifier: MIT
 *
 * Contexts without tasks: a thread pool of one's own whose workers obey them. Uses the core library
 * alone (libcease), which starts no thread here: only a deadline that somebody could notice would
 * start one, for all deadlines of the process.
 *
 * What a pool must do for contexts: hold a reference to the context of each job from before it is
 * handed over until it is done; not start a job whose context has ended meanwhile; pass the context
 * to the job, which asks it now and then; and let go of those that wait for a job when their context
 * ends, without the job's memory going away under it.
 */
#include <cease/context.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

struct job {
    cease_error (*fn)(cease_ctx *ctx, struct job *job);
    cease_ctx *ctx; /* referenced while the pool has the job */
    int input, output;
    cease_error result; /* under the pool's mutex; valid when done */
    bool done;          /* under the pool's mutex                  */
    struct job *next;   /* under the pool's mutex                  */
};

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t work, finished;
    struct job *first, **last; /* under mutex */
    bool closing;              /* under mutex */
    pthread_t threads[WORKERS];
};

static struct job *pool_take(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->first == NULL && !pool->closing)
        pthread_cond_wait(&pool->work, &pool->mutex);
    struct job *job = pool->first;
    if (job != NULL && (pool->first = job->next) == NULL)
        pool->last = &pool->first;
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

static void *pool_work(void *arg)
{
    struct pool *pool = arg;
    for (struct job *job; (job = pool_take(pool)) != NULL;) {
        cease_ctx *ctx = job->ctx;
        cease_error e = cease_err(ctx); /* it may have waited for long: is it still wanted? */
        if (e == CEASE_OK)
            e = job->fn(ctx, job);
        pthread_mutex_lock(&pool->mutex);
        job->result = e;
        job->done = true; /* from here on the job is its owner's */
        pthread_cond_broadcast(&pool->finished);
        pthread_mutex_unlock(&pool->mutex);
        cease_unref(ctx);
    }
    return NULL;
}

static bool pool_open(struct pool *pool)
{
    *pool = (struct pool){.mutex = PTHREAD_MUTEX_INITIALIZER,
                          .work = PTHREAD_COND_INITIALIZER,
                          .finished = PTHREAD_COND_INITIALIZER,
                          .last = &pool->first};
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&pool->threads[i], NULL, pool_work, pool) != 0)
            return false;
    return true;
}

static void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(pool->threads[i], NULL);
}

static void pool_submit(struct pool *pool, cease_ctx *ctx, struct job *job)
{
    job->ctx = cease_ref(ctx); /* before another thread can see it */
    pthread_mutex_lock(&pool->mutex);
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

/* Joins: the job's context makes the *job* stop, so this wait is short, and when it returns nothing
 * uses the job's memory any more. */
static cease_error pool_join(struct pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->mutex);
    while (!job->done)
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    return job->result;
}

/* A job that works in small steps and asks between two of them. */
static cease_error count_primes(cease_ctx *ctx, struct job *job)
{
    for (int n = 2; n < job->input; n++) {
        if (cease_done(ctx)) /* two loads */
            return cease_err(ctx);
        int d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        job->output += d * d > n;
    }
    return CEASE_OK;
}

/* A job that would never end by itself; it says when it has begun. */
static pthread_barrier_t both_begun;
static cease_error go_on_for_ever(cease_ctx *ctx, struct job *job)
{
    pthread_barrier_wait(&both_begun);
    while (!cease_done(ctx))
        job->output++;
    return cease_err(ctx);
}

int main(void)
{
    struct pool pool;
    struct job primes = {.fn = count_primes, .input = 1000};
    struct job endless[WORKERS] = {{.fn = go_on_for_ever}, {.fn = go_on_for_ever}};
    struct job queued = {.fn = count_primes, .input = 1000};
    pthread_barrier_init(&both_begun, NULL, WORKERS + 1);
    if (!pool_open(&pool))
        return EXIT_FAILURE;

    pool_submit(&pool, cease_background(), &primes);
    cease_error e = pool_join(&pool, &primes);
    printf("primes below 1000: %d (%s)\n", primes.output, cease_strerror(e));

    /* One request keeps both workers busy, a third job waits in the queue; then it is cancelled. */
    cease_canceler *stop;
    cease_ctx *request = cease_with_cancel(cease_background(), &stop);
    for (int i = 0; i < WORKERS; i++)
        pool_submit(&pool, request, &endless[i]);
    pthread_barrier_wait(&both_begun);
    pool_submit(&pool, request, &queued);
    cease_end(stop); /* our share goes; the jobs have references of their own */

    bool stopped = true;
    for (int i = 0; i < WORKERS; i++)
        stopped = pool_join(&pool, &endless[i]) == CEASE_ECANCELED && stopped;
    cease_error never_begun = pool_join(&pool, &queued);
    printf("running jobs: %s\n", stopped ? "stopped" : "not stopped");
    printf("job in the queue: %s, %d primes\n", cease_strerror(never_begun), queued.output);
    pool_close(&pool);
    pthread_barrier_destroy(&both_begun);
    return e == CEASE_OK && primes.output == 168 && stopped && never_begun == CEASE_ECANCELED &&
                   queued.output == 0
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
