#include "harness.h"

/* [example] */
#include <cease/group.h>

struct question {
    cease_dur takes; /* stands for a backend */
    bool answered;
};

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct question *q = arg;
    cease_error err = cease_sleep(ctx, q->takes);
    q->answered = err == CEASE_OK;
    return err; /* the first error ends the context of all */
}

/* Asks all at once. When this returns no task is left, whatever came of it. */
static cease_error ask_all(cease_ctx *ctx, struct question *questions, int count)
{
    cease_group *group = cease_group_new(ctx, NULL);
    cease_error err = CEASE_OK;
    for (int i = 0; i < count && err == CEASE_OK; i++)
        err = cease_group_go(group, ask, &questions[i]);
    if (err == CEASE_OK)
        err = cease_group_wait(group); /* the first error of all */
    cease_group_free(group);           /* stops what still runs */
    return err;
}
/* [end] */

TEST(example_group_go)
{
    struct question questions[2] = {{cease_ms(1), false}, {cease_ms(1), false}};
    CHECK_OK(ask_all(cease_background(), questions, 2));
    CHECK(questions[0].answered && questions[1].answered);
    questions[1].takes = CEASE_FOREVER;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    CHECK_ERR(ask_all(ctx, questions, 2), CEASE_EDEADLINE);
    CHECK(!questions[1].answered);
    cease_end(stop);
}
