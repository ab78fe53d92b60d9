#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <pthread.h>

struct box {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool full;
};

/* Runs on whatever thread ends the context: short, and nothing in it waits for long. */
static void wake_waiters(void *arg)
{
    struct box *box = arg;
    pthread_mutex_lock(&box->mutex);
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->mutex);
}

/* Waits on a condition variable under a context. */
static cease_error wait_full(cease_ctx *ctx, struct box *box)
{
    cease_watch watch = {0};
    cease_watch_add(&watch, ctx, wake_waiters, box); /* without the mutex: it may run here */
    pthread_mutex_lock(&box->mutex);
    while (!box->full && !cease_done(ctx))
        pthread_cond_wait(&box->changed, &box->mutex);
    cease_error err = box->full ? CEASE_OK : cease_err(ctx);
    pthread_mutex_unlock(&box->mutex);
    cease_watch_remove_sync(&watch); /* without the mutex: the callback may want it */
    return err;
}
/* [end] */

TEST(example_watch_add)
{
    struct box box = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(wait_full(ctx, &box), CEASE_EDEADLINE);
    CHECK_ERR(wait_full(ctx, &box), CEASE_EDEADLINE);
    cease_end(stop);
    box.full = true;
    CHECK_OK(wait_full(cease_background(), &box));
}
