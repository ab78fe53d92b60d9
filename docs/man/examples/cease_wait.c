#include "harness.h"

/* [example] */
#include <cease/context.h>

/* Sleeps for `d`, or until the request ends. True when it was the whole time. */
static bool pause_for(cease_ctx *request, cease_dur d)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(request, d, &stop);
    return cease_wait(ctx) == CEASE_EDEADLINE && cease_err(request) == CEASE_OK;
}
/* [end] */

TEST(example_wait)
{
    CHECK(pause_for(cease_background(), cease_ms(1)));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK(!pause_for(ctx, cease_hour(1)));
    cease_end(stop);
}
