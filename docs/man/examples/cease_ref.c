#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <pthread.h>

struct job {
    cease_ctx *ctx; /* a reference of the job's own */
    cease_error result;
};

static void *run_job(void *arg)
{
    struct job *job = arg;
    job->result = cease_err(job->ctx);
    job->ctx = cease_unref(job->ctx); /* the last use: NULL from here on */
    return NULL;
}

/* The starter may end the context before the thread has looked at it. The reference keeps it
 * valid, not open. */
static int start_job(cease_ctx *ctx, struct job *job, pthread_t *ret_thread)
{
    job->ctx = cease_ref(ctx);
    int failed = pthread_create(ret_thread, NULL, run_job, job);
    if (failed)
        job->ctx = cease_unref(job->ctx);
    return failed;
}
/* [end] */

TEST(example_ref)
{
    struct job job;
    pthread_t thread;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_EQ(start_job(ctx, &job, &thread), 0);
    cease_end(stop);
    pthread_join(thread, NULL);
    CHECK_ERR(job.result, CEASE_ECANCELED);
    CHECK_PTR(job.ctx, NULL);
}
