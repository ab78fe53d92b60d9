#include "harness.h"

/* [example] */
#include <cease/context.h>

struct order {
    bool reserved;
};

static cease_error release_stock(cease_ctx *ctx, struct order *order)
{
    if (cease_done(ctx))
        return cease_err(ctx); /* nothing works under a context that has ended */
    order->reserved = false;
    return CEASE_OK;
}

/* The request may have ended: that is when there is something to clean up. */
static cease_error undo(cease_ctx *request, struct order *order)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *cleanup = cease_with_grace(request, cease_sec(5), &stop);
    return release_stock(cleanup, order); /* has the request's values, and 5 s */
}
/* [end] */

TEST(example_with_grace)
{
    struct order order = {true};
    cease_canceler *stop;
    cease_ctx *request = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(release_stock(request, &order), CEASE_ECANCELED);
    CHECK_OK(undo(request, &order));
    CHECK(!order.reserved);
    cease_end(stop);
}
