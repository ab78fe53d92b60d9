#include "harness.h"

/* [example] */
#include <cease/cease.h>
#include <cease/test.h>

static cease_error blink(cease_ctx *ctx, void *arg)
{
    int *blinks = arg;
    while (cease_sleep(ctx, cease_sec(10)) == CEASE_OK)
        ++*blinks;
    return cease_err(ctx);
}

/* Looks at the lamp at times that it chooses itself. */
static cease_error lamp_blinks_every_ten_seconds(cease_ctx *ctx, void *arg)
{
    int *blinks = arg;
    cease_group *g = cease_group_new(ctx, NULL);
    cease_error err = cease_group_go(g, blink, blinks);
    cease_test_settle(); /* it has begun, and sleeps */
    bool right = *blinks == 0;
    cease_test_advance(cease_ms(9999));
    right = right && *blinks == 0;
    cease_test_advance(cease_ms(1));
    right = right && *blinks == 1;
    cease_test_advance(cease_min(1));
    right = right && *blinks == 7;
    (void)cease_group_stop(g);
    cease_group_free(g);
    return err != CEASE_OK ? err : right ? CEASE_OK : CEASE_EIO;
}

static bool a_minute_takes_no_time(void)
{
    int blinks = 0;
    cease_test_result result = {.size = sizeof result};
    cease_error err = cease_test_run(NULL, lamp_blinks_every_ten_seconds, &blinks);
    cease_test_last(&result);
    return err == CEASE_OK && result.elapsed.ns == cease_sec(70).ns;
}
/* [end] */

TEST(example_test_settle)
{
    CHECK(a_minute_takes_no_time());
}
