#include "harness.h"

/* [example] */
#include <cease/group.h>

static cease_error check_file(cease_ctx *ctx, void *arg)
{
    int *checked = arg;
    __atomic_add_fetch(checked, 1, __ATOMIC_RELAXED);
    return cease_err(ctx);
}

/* At most four at a time: the caller parks while the group is full. */
static cease_error check_all(cease_ctx *ctx, int count, int *checked)
{
    cease_group_opts opts = {.size = sizeof opts, .limit = 4};
    cease_group *group = cease_group_new(ctx, &opts);
    cease_error err = CEASE_OK, first;
    for (int i = 0; i < count && err == CEASE_OK; i++) /* the group's context: a failure ends it */
        err = cease_group_go_wait(cease_group_ctx(group), group, check_file, checked);
    first = cease_group_wait(group);
    cease_group_free(group);
    return first != CEASE_OK ? first : err;
}
/* [end] */

TEST(example_group_go_wait)
{
    int checked = 0;
    CHECK_OK(check_all(cease_background(), 20, &checked));
    CHECK_EQ(checked, 20);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(0), &stop);
    checked = 0;
    CHECK_ERR(check_all(ctx, 20, &checked), CEASE_EDEADLINE);
    CHECK_EQ(checked, 0);
    cease_end(stop);
}
