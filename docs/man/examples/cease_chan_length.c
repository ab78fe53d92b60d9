#include "harness.h"

/* [example] */
#include <cease/chan.h>
#include <stdio.h>

/* One line of metrics for a queue. */
static void print_load(const cease_chan *queue, FILE *out)
{
    fprintf(out, "queue_length %zu\nqueue_capacity %zu\n", cease_chan_length(queue),
            cease_chan_capacity(queue));
}
/* [end] */

TEST(example_chan_length)
{
    cease_chan *queue = cease_chan_new(sizeof(int), 4);
    CHECK_OK(cease_chan_try_send(queue, &(int){1}));
    char text[100] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    print_load(queue, out);
    fclose(out);
    CHECK_STR(text, "queue_length 1\nqueue_capacity 4\n");
    cease_chan_unref(queue);
}
