#include "harness.h"

/* [example] */
#include <cease/chan.h>
#include <cease/group.h>

struct feed {
    cease_chan *numbers;
    int until;
    int sum;
};

static cease_error produce(cease_ctx *ctx, void *arg)
{
    struct feed *feed = arg;
    cease_error err = CEASE_OK;
    for (int i = 1; i <= feed->until && err == CEASE_OK; i++)
        err = cease_chan_send(ctx, feed->numbers, &i); /* parks while the channel is full */
    cease_chan_close(feed->numbers);                   /* receivers get what is inside, then stop */
    return err;
}

static cease_error consume(cease_ctx *ctx, void *arg)
{
    struct feed *feed = arg;
    int number;
    cease_error err;
    while ((err = cease_chan_recv(ctx, feed->numbers, &number)) == CEASE_OK)
        feed->sum += number;
    return err == CEASE_ECLOSED ? CEASE_OK : err;
}

static cease_error sum_up(cease_ctx *ctx, int until, int *ret_sum)
{
    struct feed feed = {.numbers = cease_chan_new(sizeof(int), 8), .until = until};
    cease_group *group = cease_group_new(ctx, NULL);
    cease_error err = cease_group_go(group, produce, &feed);
    if (err == CEASE_OK)
        err = cease_group_go(group, consume, &feed);
    if (err == CEASE_OK)
        err = cease_group_wait(group);
    cease_group_free(group);
    cease_chan_unref(feed.numbers);
    *ret_sum = feed.sum;
    return err;
}
/* [end] */

TEST(example_chan_send)
{
    int sum = 0;
    CHECK_OK(sum_up(cease_background(), 100, &sum));
    CHECK_EQ(sum, 5050);
}
