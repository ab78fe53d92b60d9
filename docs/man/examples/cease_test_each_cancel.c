#include "harness.h"

/* [example] */
#include <cease/cease.h>
#include <cease/test.h>
#include <stdlib.h>

/* Hands a string over and receives it. Whoever has it when the context ends frees it. */
static void free_text(void *value)
{
    free(*(char **)value);
}

static cease_error send_text(cease_ctx *ctx, void *arg)
{
    char *text = calloc(1, 8);
    cease_error err = text != NULL ? cease_chan_send(ctx, arg, &text) : CEASE_ENOMEM;
    if (err != CEASE_OK)
        free(text);
    return err;
}

static cease_error hand_over(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_chan *texts = cease_chan_new(sizeof(char *), 0);
    cease_chan_on_drop(texts, free_text);
    cease_group *g = cease_group_new(ctx, NULL);
    char *text;
    cease_error err = cease_group_go(g, send_text, texts);
    if (err == CEASE_OK)
        err = cease_chan_recv(ctx, texts, &text);
    if (err == CEASE_OK)
        free(text);
    (void)cease_group_stop(g);
    cease_group_free(g);
    cease_chan_unref(texts);
    return err;
}

/* In a hundred orders, and cut short at each of its waits: nothing may be left behind. */
static cease_error survives_everything(void)
{
    cease_error err = cease_test_each_seed(NULL, 100, hand_over, NULL);
    return err != CEASE_OK ? err : cease_test_each_cancel(NULL, hand_over, NULL);
}
/* [end] */

TEST(example_test_each_cancel)
{
    CHECK_OK(survives_everything());
}
