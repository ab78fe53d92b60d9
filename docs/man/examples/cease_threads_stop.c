#include "harness.h"

/* [example] */
#include <cease/hooks.h>

/* The last thing before exit, when a leak checker watches, or before the library is unloaded: no
 * context has a deadline or an after-func any more. */
static void give_everything_back(void)
{
    cease_trim();         /* what this thread kept for its next contexts */
    cease_threads_stop(); /* the timer thread and the helpers; they start again when needed */
}
/* [end] */

TEST(example_threads_stop)
{
    for (int i = 0; i < 2; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
        CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
        cease_end(stop);
        give_everything_back();
        CHECK_EQ(cease_live_count(), 0);
    }
}
