#include "harness.h"

#include <string.h>

/* [example] */
#include <cease/context.h>
#include <stdio.h>

static cease_error print_greeting(cease_ctx *ctx, const char *name)
{
    if (cease_done(ctx))
        return cease_err(ctx);
    printf("hello, %s\n", name);
    return CEASE_OK;
}

/* Its callers have no context yet: cease_todo() says so to whoever comes by. */
static cease_error greet_old_way(const char *name)
{
    return print_greeting(cease_todo(), name);
}

static int program(void)
{
    cease_ctx *root = cease_background(); /* main starts here; there is nothing to give back */
    cease_error err = print_greeting(root, "world");
    return err == CEASE_OK && greet_old_way("again") == CEASE_OK ? 0 : 1;
}
/* [end] */

TEST(example_background)
{
    CHECK_EQ(program(), 0);
    CHECK_OK(cease_err(cease_background()));
    CHECK_OK(cease_err(cease_todo()));
}
