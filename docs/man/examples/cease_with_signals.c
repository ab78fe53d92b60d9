#include "harness.h"

#include <signal.h>

/* [example] */
#include <cease/signal.h>
#include <stdio.h>

/* The frame of a program that stops well on Ctrl-C, and at once on a second one. */
static int run_until_signal(cease_error (*serve)(cease_ctx *ctx))
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_error err = serve(ctx);
    if (err == CEASE_ECANCELED && cease_done(ctx))
        fprintf(stderr, "stopped by %s\n", cease_cause_of(ctx)->text);
    cease_end(stop);
    return err == CEASE_OK || err == CEASE_ECANCELED ? 0 : 1;
}
/* [end] */

static cease_error serve_until_told(cease_ctx *ctx)
{
    raise(SIGTERM);
    cease_error err = cease_wait(ctx);
    CHECK_EQ(cease_cause_of(ctx)->code, SIGTERM);
    CHECK_STR(cease_cause_of(ctx)->text, "SIGTERM");
    return err;
}

TEST(example_with_signals)
{
    CHECK_EQ(run_until_signal(serve_until_told), 0);
}
