#include "harness.h"

/* [example] */
#include <cease/chan.h>
#include <cease/task.h>

/* Sends three numbers and closes. Nobody joins it, so it has a reference of its own. */
static cease_error count_to_three(cease_ctx *ctx, void *arg)
{
    cease_chan *numbers = arg;
    cease_error err = CEASE_OK;
    for (int i = 1; i <= 3 && err == CEASE_OK; i++)
        err = cease_chan_send(ctx, numbers, &i);
    cease_chan_close(numbers);
    cease_chan_unref(numbers);
    return err;
}

/* The channel of a task that counts; to be given back with cease_chan_unref. */
static cease_chan *counted(cease_ctx *ctx)
{
    cease_chan *numbers = cease_chan_new(sizeof(int), 0);
    if (numbers == NULL)
        return NULL;
    if (cease_go(ctx, count_to_three, cease_chan_ref(numbers)) != CEASE_OK) {
        cease_chan_unref(numbers); /* the task's: it will not run */
        cease_chan_close(numbers);
    }
    return numbers;
}
/* [end] */

TEST(example_chan_ref)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_chan *numbers = counted(ctx);
    int value, sum = 0;
    while (cease_chan_recv(ctx, numbers, &value) == CEASE_OK)
        sum += value;
    CHECK_EQ(sum, 6);
    cease_chan_unref(numbers);
    numbers = counted(ctx); /* given back while the task still has it */
    cease_chan_unref(numbers);
    cease_end(stop);
}
