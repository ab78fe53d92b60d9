#include "harness.h"

/* [example] */
#include <cease/hooks.h>

static unsigned long cancelled, expired; /* atomic: for a status page */

static void count_end(const cease_ctx *ctx, cease_error error, const cease_place *place)
{
    (void)ctx;
    (void)place;
    __atomic_fetch_add(error == CEASE_EDEADLINE ? &expired : &cancelled, 1, __ATOMIC_RELAXED);
}

static void count_ends(bool wanted)
{
    cease_on_end(wanted ? count_end : NULL);
}
/* [end] */

TEST(example_on_end)
{
    cease_canceler *stop, *stop_late, *stop_child;
    count_ends(true);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    (void)cease_with_cancel(ctx, &stop_child);
    (void)cease_with_timeout(ctx, cease_ms(0), &stop_late);
    cease_cancel(stop);
    cease_cancel(stop); /* too late to end anything */
    count_ends(false);
    CHECK_EQ(expired, 1);
    CHECK_EQ(cancelled, 1); /* its child ended with it */
    cease_end(stop_late);
    cease_end(stop_child);
    cease_end(stop);
}
