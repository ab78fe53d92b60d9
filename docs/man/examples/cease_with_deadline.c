#include "harness.h"

/* [example] */
#include <cease/context.h>

typedef cease_error step_fn(cease_ctx *ctx);

/* All steps together have two seconds: one point in time, not a timeout for each. */
static cease_error run_steps(cease_ctx *parent, step_fn *const *steps, int count)
{
    cease_time until = cease_time_add(cease_now(), cease_sec(2));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_deadline(parent, until, &stop);
    cease_error err = CEASE_OK;
    for (int i = 0; i < count && err == CEASE_OK; i++)
        err = steps[i](ctx);
    cease_end(stop);
    return err;
}
/* [end] */

static cease_error has_deadline(cease_ctx *ctx)
{
    cease_time t;
    CHECK(cease_deadline(ctx, &t));
    return t.ns > cease_now().ns ? cease_err(ctx) : CEASE_EINVAL;
}

TEST(example_with_deadline)
{
    step_fn *steps[] = {has_deadline, has_deadline};
    CHECK_OK(run_steps(cease_background(), steps, 2));
    cease_canceler *stop;
    cease_ctx *over = cease_with_deadline(cease_background(), cease_now(), &stop);
    CHECK_ERR(cease_err(over), CEASE_EDEADLINE);
    cease_end(stop);
}
