#include "harness.h"

/* [example] */
#include <cease/group.h>
#include <cease/sync.h>

/* Answers by number: each asker waits for its own. */
struct answers {
    cease_mutex mutex;
    cease_cond came;
    int value[8];
    bool is_there[8];
    bool closed;
};

static cease_error answer_wait(cease_ctx *ctx, struct answers *a, int number, int *ret_value)
{
    cease_error err = cease_mutex_lock(ctx, &a->mutex);
    if (err != CEASE_OK)
        return err;
    while (err == CEASE_OK && !a->is_there[number] && !a->closed)
        err = cease_cond_wait_tag(ctx, &a->came, &a->mutex, &a->value[number]);
    if (a->is_there[number])
        *ret_value = a->value[number];
    else if (err == CEASE_OK)
        err = CEASE_ECLOSED;
    cease_mutex_unlock(&a->mutex); /* held in any case, also after an error */
    return err;
}

static cease_error answer_put(cease_ctx *ctx, struct answers *a, int number, int value)
{
    cease_error err = cease_mutex_lock(ctx, &a->mutex);
    if (err != CEASE_OK)
        return err;
    a->value[number] = value;
    a->is_there[number] = true;
    cease_cond_signal_tag(&a->came,
                          &a->value[number]); /* the one who waits for this, nobody else */
    cease_mutex_unlock(&a->mutex);
    return CEASE_OK;
}

static void answers_close(struct answers *a)
{
    (void)cease_mutex_lock(cease_background(), &a->mutex);
    a->closed = true;
    cease_mutex_unlock(&a->mutex);
    cease_cond_broadcast(&a->came);
}
/* [end] */

static struct answers answers = {.mutex = CEASE_MUTEX, .came = CEASE_COND};

static cease_error want(cease_ctx *ctx, void *arg)
{
    int number = *(int *)arg, value = 0;
    cease_error err = answer_wait(ctx, &answers, number, &value);
    if (err == CEASE_OK)
        CHECK_EQ(value, number * 10);
    return err;
}

TEST(example_cond_wait)
{
    static int numbers[] = {1, 2, 3};
    cease_group *g = cease_group_new(cease_background(), &(cease_group_opts){.supervise = true});
    for (int i = 0; i < 3; i++)
        CHECK_OK(cease_group_go(g, want, &numbers[i]));
    CHECK_OK(answer_put(cease_background(), &answers, 2, 20));
    CHECK_OK(answer_put(cease_background(), &answers, 1, 10));
    answers_close(&answers);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_cond_deinit(&answers.came);
    cease_mutex_deinit(&answers.mutex);
}
