#include "harness.h"

/* [example] */
#include <cease/hooks.h>

/* A latch: who waits for it gives up when the context ends. */
struct latch {
    cease_parker parker; /* one waiter's */
    uint32_t woken;      /* 0: by nobody; who makes it 1 wakes */
};

static void latch_wake(void *arg)
{
    struct latch *l = arg;
    if (__atomic_exchange_n(&l->woken, 1, __ATOMIC_ACQ_REL) == 0)
        cease_wake(&l->parker);
}

/* Waits until latch_wake(l) is called, or ctx ends. Nobody is told anything else, so it may be a moment
 * later that the waiters of a large crowd are woken. */
static void latch_wait(cease_ctx *ctx, struct latch *l)
{
    cease_watch watch = {0};
    cease_parker_init(&l->parker);
    cease_watch_add_waiter(&watch, ctx, latch_wake, l);
    cease_park(&l->parker);
    cease_watch_remove_sync(&watch);
}
/* [end] */

TEST(example_watch_add_waiter)
{
    struct latch l = {.woken = 0};
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    latch_wait(ctx, &l);
    CHECK_EQ(l.woken, 1);
    CHECK(cease_done(ctx));
    cease_end(stop);
}
