#include "harness.h"

/* [example] */
#include <cease/hooks.h>

/* For a function that blocks by itself, without cease_park(), which checks this already. */
static void check_may_block(const char *name)
{
    if (cease_callback_place() != NULL)
        cease_park_forbidden(name); /* says where the callback was added, and aborts */
}
/* [end] */

static void callback(void *arg)
{
    (void)arg;
    check_may_block("flush");
}

TEST(example_callback_place)
{
    CHECK_PTR(cease_callback_place(), NULL);
    check_may_block("flush");
}

TEST_ABORTS(example_callback_place_inside, "flush inside a callback of a context")
{
    cease_watch watch = {0};
    cease_canceler *stop;
    cease_watch_add(&watch, cease_with_cancel(cease_background(), &stop), callback, NULL);
    cease_cancel(stop);
}
