#include "harness.h"

/* [example] */
#include <cease/hooks.h>
#include <stdio.h>

/* For a test of one's own: whether a function gives back every context that it makes, and leaves
 * nothing registered with the one that it got. */
static bool leaves_nothing(cease_ctx *ctx, void (*fn)(cease_ctx *ctx))
{
    size_t alive = cease_live_count(), children = cease_child_count(ctx);
    fn(ctx);
    if (cease_live_count() == alive && cease_child_count(ctx) == children)
        return true;
    fprintf(stderr, "%zu contexts, %zu children before; %zu and %zu after\n", alive, children,
            cease_live_count(), cease_child_count(ctx));
    return false;
}
/* [end] */

static cease_canceler *left;
static void tidy(cease_ctx *ctx)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    (void)cease_with_cancel(ctx, &stop);
}
static void untidy(cease_ctx *ctx)
{
    (void)cease_with_cancel(ctx, &left);
}

TEST(example_live_count)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(leaves_nothing(ctx, tidy));
    CHECK(!leaves_nothing(ctx, untidy));
    cease_end(left);
    cease_end(stop);
}
