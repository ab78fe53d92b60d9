/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/contexts.md that uses threads: the core without the runtime.
 */
#include "harness.h"

/* [pool] */
#include <cease/context.h>
#include <pthread.h>

struct job {
    struct job *next;
    cease_ctx *ctx; /* a reference: the submitter may end its share at any time */
    cease_error (*fn)(cease_ctx *ctx, void *arg);
    void *arg;
    cease_error result;
};

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct job *first;
    cease_ctx *lifetime; /* done: the workers leave as soon as they have nothing to do */
};

static struct job *next_job(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->first == NULL && !cease_done(pool->lifetime))
        pthread_cond_wait(&pool->changed, &pool->mutex);
    struct job *job = pool->first;
    if (job != NULL)
        pool->first = job->next;
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

static void wake_workers(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker(void *arg)
{
    struct pool *pool = arg;
    cease_watch watch = {0};
    cease_watch_add(&watch, pool->lifetime, wake_workers, pool);
    for (struct job *job; (job = next_job(pool)) != NULL;) {
        job->result = cease_err(job->ctx); /* whoever asked may have gone while the job waited */
        if (job->result == CEASE_OK)
            job->result = job->fn(job->ctx, job->arg);
        job->ctx = cease_unref(job->ctx);
    }
    cease_watch_remove_sync(&watch);
    return NULL;
}

static void submit(struct pool *pool, cease_ctx *ctx, struct job *job)
{
    job->ctx = cease_ref(ctx); /* before another thread can see it */
    pthread_mutex_lock(&pool->mutex);
    job->next = pool->first;
    pool->first = job;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}
/* [end] */

static cease_error wait_until_done(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}
static cease_error count(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
    return CEASE_OK;
}

TEST(guide_pool)
{
    int ran = 0;
    pthread_t threads[2];
    cease_canceler *stop_pool, *stop, *stop_slow;
    struct pool pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL,
                        cease_with_cancel(cease_background(), &stop_pool)};
    cease_ctx *gone = cease_with_cancel(cease_background(), &stop);
    cease_ctx *slow = cease_with_timeout(cease_background(), cease_ms(1), &stop_slow);
    struct job jobs[3] = {
        {.fn = wait_until_done}, {.fn = count, .arg = &ran}, {.fn = count, .arg = &ran}};
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, worker, &pool), 0);
    cease_cancel(stop);
    submit(&pool, slow, &jobs[0]);
    submit(&pool, gone, &jobs[1]);
    submit(&pool, cease_background(), &jobs[2]);
    cease_end(stop);
    cease_end(stop_slow); /* ends the first job, if its time has not done so */
    cease_cancel(stop_pool);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cease_end(stop_pool);
    CHECK(jobs[0].result == CEASE_EDEADLINE || jobs[0].result == CEASE_ECANCELED);
    CHECK_ERR(jobs[1].result, CEASE_ECANCELED);
    CHECK_OK(jobs[2].result);
    CHECK_EQ(ran, 1);
}
