#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <pthread.h>

struct counter {
    cease_ctx *ctx;
    unsigned long count;
};

static void *count_up(void *arg)
{
    struct counter *c = arg;
    do
        c->count++;
    while (!cease_done(c->ctx));
    return NULL;
}

static unsigned long count_for_a_while(cease_ctx *parent)
{
    cease_canceler *stop;
    struct counter c = {.ctx = cease_with_cancel(parent, &stop)};
    pthread_t thread;
    if (pthread_create(&thread, NULL, count_up, &c) == 0) {
        cease_cancel(stop); /* the thread sees it when it looks next */
        pthread_join(thread, NULL);
    }
    cease_end(stop); /* gives the context back; it would cancel it too */
    return c.count;
}
/* [end] */

TEST(example_with_cancel)
{
    CHECK(count_for_a_while(cease_background()) > 0);
}
