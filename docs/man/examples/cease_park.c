#include "harness.h"

#include <pthread.h>

/* [example] */
#include <cease/hooks.h>

/* A blocking function of one's own that obeys contexts, from tasks and threads alike: one waiter,
 * and two who may end its wait. Whoever claims it wakes it, so that it is woken once. */
struct waiter {
    cease_parker parker;
    uint32_t claimed;
    cease_error result;
};

static void finish(struct waiter *w, cease_error result)
{
    if (__atomic_exchange_n(&w->claimed, 1, __ATOMIC_ACQ_REL) == 0) {
        w->result = result;
        cease_wake(&w->parker); /* *w may be gone from here on */
    }
}

static void context_ended(void *arg)
{
    finish(arg, CEASE_ECANCELED);
}

static void waiter_init(struct waiter *w)
{
    w->claimed = 0;
    cease_parker_init(&w->parker); /* before anybody can find it */
}

/* Waits until somebody calls finish(), or the context ends. */
static cease_error wait_for_result(cease_ctx *ctx, struct waiter *w)
{
    cease_watch watch = {0};
    cease_watch_add(&watch, ctx, context_ended, w); /* done already: it runs here */
    cease_park(&w->parker);
    cease_watch_remove_sync(&watch);
    return w->result == CEASE_ECANCELED ? cease_err(ctx) : w->result;
}
/* [end] */

static void *finish_well(void *arg)
{
    finish(arg, CEASE_OK);
    return NULL;
}

TEST(example_park)
{
    struct waiter w;
    pthread_t thread;
    waiter_init(&w);
    CHECK_EQ(pthread_create(&thread, NULL, finish_well, &w), 0);
    CHECK_OK(wait_for_result(cease_background(), &w));
    pthread_join(thread, NULL);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    waiter_init(&w);
    CHECK_ERR(wait_for_result(ctx, &w), CEASE_EDEADLINE);
    cease_end(stop);
}
