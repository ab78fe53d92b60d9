#include "harness.h"

/* [example] */
#include <cease/task.h>

/* A long computation in a task: nothing takes the processor away from it, so it gives it up itself,
 * and looks whether it is still wanted. */
static cease_error sum_squares(cease_ctx *ctx, void *arg)
{
    uint64_t *total = arg;
    for (uint64_t i = 0; i < 100000; i++) {
        if (i % 8192 == 0) {
            cease_yield();
            if (cease_done(ctx))
                return cease_err(ctx);
        }
        *total += i * i;
    }
    return CEASE_OK;
}
/* [end] */

TEST(example_yield)
{
    uint64_t total = 0;
    CHECK_OK(sum_squares(cease_background(), &total)); /* on a plain thread as well */
    CHECK_EQ(total, UINT64_C(333328333350000));
}
