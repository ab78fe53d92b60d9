#include "harness.h"

/* [example] */
#include <cease/group.h>
#include <cease/runtime.h>
#include <stdio.h>

static void print_report(const cease_report *report)
{
    fprintf(stderr, "cease: %s\n", report->text);
}

/* What a small program may want to say before its first task. */
static cease_error set_up(void)
{
    cease_runtime_opts opts = {.size = sizeof opts, .workers = 2, .stack_size = 128 << 10};
    cease_set_report(print_report);
    return cease_runtime_configure(&opts); /* the environment (CEASE_WORKERS, …) still wins */
}

/* And when its last task has been joined: no thread of ours is left. */
static cease_error tear_down(void)
{
    struct cease_runtime_counts counts = {.size = sizeof counts};
    cease_runtime_count(&counts);
    printf("%zu tasks, %zu stacks, %zu fds\n", counts.tasks, counts.stacks, counts.fds);
    return cease_runtime_stop(); /* CEASE_EBUSY while anything lives */
}
/* [end] */

static cease_error nothing(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_err(ctx);
}

TEST(example_runtime_configure)
{
    CHECK_OK(set_up());
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, nothing, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_OK(tear_down());
    cease_set_report(NULL);
}
