#include "harness.h"

/* [example] */
#include <cease/rate.h>

/* Looks every 10 ms, whatever the looking takes, until ctx ends or there is something. */
static cease_error watch(cease_ctx *ctx, bool (*look)(void))
{
    cease_ticker ticker;
    cease_ticker_init(&ticker, cease_ms(10));
    cease_error err;
    while ((err = cease_ticker_wait(ctx, &ticker)) == CEASE_OK)
        if (look())
            break;
    return err;
}
/* [end] */

static bool third_time(void)
{
    static int times;
    return ++times == 3;
}

TEST(example_ticker_wait)
{
    CHECK_OK(watch(cease_background(), third_time));
}
