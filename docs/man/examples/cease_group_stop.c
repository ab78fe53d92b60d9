#include "harness.h"

/* [example] */
#include <cease/group.h>

/* A server's group: one task that fails stops nobody, and results are dropped. */
static cease_group *server_tasks(cease_ctx *ctx)
{
    cease_group_opts opts = {.size = sizeof opts, .supervise = true};
    return cease_group_new(ctx, &opts);
}

/* Tells all tasks to stop and waits until they have. */
static cease_error server_stop(cease_group *tasks)
{
    cease_error err = cease_group_stop(tasks);
    cease_group_free(tasks);
    return err;
}
/* [end] */

static cease_error serve(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}
static cease_error fail(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_EIO;
}

TEST(example_group_stop)
{
    cease_group *tasks = server_tasks(cease_background());
    CHECK_OK(cease_group_go(tasks, serve, NULL));
    CHECK_OK(cease_group_go(tasks, fail, NULL));
    CHECK_OK(server_stop(tasks));
}
