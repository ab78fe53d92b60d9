#include "harness.h"

/* [example] */
#include <cease/chan.h>
#include <stdlib.h>
#include <string.h>

static void free_text(void *value)
{
    free(*(char **)value); /* the address of what was sent */
}

/* A channel that hands over strings: what nobody has received is freed with it. */
static cease_chan *text_channel(void)
{
    cease_chan *texts = cease_chan_new(sizeof(char *), 16);
    cease_chan_on_drop(texts, free_text);
    return texts;
}

/* From a callback too: it never waits. On an error the text is still the caller's. */
static cease_error post(cease_chan *texts, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return CEASE_ENOMEM;
    cease_error err = cease_chan_try_send(texts, &copy);
    if (err != CEASE_OK)
        free(copy);
    return err;
}

/* The oldest text, to be freed; NULL when there is none. */
static char *take(cease_chan *texts)
{
    char *text = NULL;
    return cease_chan_try_recv(texts, &text) == CEASE_OK ? text : NULL;
}
/* [end] */

TEST(example_chan_on_drop)
{
    cease_chan *texts = text_channel();
    CHECK_OK(post(texts, "one"));
    CHECK_OK(post(texts, "two"));
    char *one = take(texts);
    CHECK_STR(one, "one");
    free(one);
    cease_chan_unref(texts);
}
