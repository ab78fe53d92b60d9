#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <limits.h>

/* The time that is left, in the milliseconds of poll(2): -1 for ever, never negative otherwise, and
 * rounded up, so that it does not wake too early. */
static int poll_timeout(const cease_ctx *ctx)
{
    cease_time deadline;
    if (!cease_deadline(ctx, &deadline))
        return -1;
    cease_dur left = cease_until(deadline);
    if (left.ns <= 0)
        return 0;
    int64_t ms = (left.ns - 1) / (1000 * 1000) + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}
/* [end] */

TEST(example_deadline)
{
    CHECK_EQ(poll_timeout(cease_background()), -1);
    cease_canceler *stop, *stop_late;
    cease_ctx *over = cease_with_timeout(cease_background(), cease_ms(-1), &stop);
    cease_ctx *late = cease_with_timeout(cease_background(), cease_hour(24 * 365), &stop_late);
    CHECK_EQ(poll_timeout(over), 0);
    CHECK_EQ(poll_timeout(late), INT_MAX);
    cease_end(stop_late);
    cease_end(stop);
}
