#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <pthread.h>

/* A watchdog on a thread of its own may cancel the request, while the request may end first: each
 * holder has a share, and ends it when it has no more use for it. */
static void *watchdog(void *arg)
{
    cease_canceler *share = arg;
    cease_cancel_cause(share, 0, "the watchdog barked");
    cease_end(share);
    return NULL;
}

static cease_error run_watched(cease_ctx *parent)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(parent, &stop);
    pthread_t thread;
    cease_canceler *share = cease_canceler_ref(stop); /* before it is handed over */
    if (pthread_create(&thread, NULL, watchdog, share) != 0) {
        cease_end(share);
        return CEASE_EAGAIN;
    }
    cease_error err = cease_wait(ctx); /* stands for the work */
    pthread_join(thread, NULL);
    return err;
}
/* [end] */

TEST(example_canceler_ref)
{
    CHECK_ERR(run_watched(cease_background()), CEASE_ECANCELED);
}
