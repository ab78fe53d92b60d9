#include "harness.h"

/* [example] */
#include <cease/task.h>
#include <stdio.h>

/* Runs by itself until the context ends: nobody waits for it. */
static cease_error tick(cease_ctx *ctx, void *arg)
{
    unsigned *ticks = arg;
    while (cease_sleep(ctx, cease_ms(1)) == CEASE_OK)
        __atomic_add_fetch(ticks, 1, __ATOMIC_RELEASE);
    printf("task %llu ends: %s\n", (unsigned long long)cease_task_id(), cease_cause_of(ctx)->text);
    return cease_err(ctx);
}

static cease_error start_ticking(cease_ctx *ctx, unsigned *ticks)
{
    return cease_go(ctx, tick, ticks); /* CEASE_OK: it will run, and `ticks` is its own now */
}
/* [end] */

TEST(example_go)
{
    unsigned ticks = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(start_ticking(ctx, &ticks));
    CHECK_EVENTUALLY(__atomic_load_n(&ticks, __ATOMIC_ACQUIRE) > 2);
    cease_end(stop);
}
