#include "harness.h"

/* [example] */
#include <cease/sync.h>

static cease_once connected = CEASE_ONCE;
static int connection;

static cease_error connect_it(cease_ctx *ctx, void *arg)
{
    cease_error err = cease_sleep(ctx, cease_ms(1)); /* dial, authenticate, ... */
    if (err == CEASE_OK)
        connection = *(const int *)arg;
    return err; /* an error does not count: the next one who needs it tries again */
}

static cease_error query(cease_ctx *ctx, int server, int *ret_answer)
{
    cease_error err = cease_once_do(ctx, &connected, connect_it, &server);
    if (err == CEASE_OK)
        *ret_answer = connection;
    return err;
}
/* [end] */

TEST(example_once_do)
{
    cease_canceler *stop;
    cease_ctx *brief = cease_with_timeout(cease_background(), cease_us(1), &stop);
    int answer = 0;
    CHECK_ERR(query(brief, 1, &answer), CEASE_EDEADLINE);
    CHECK_OK(query(cease_background(), 2, &answer));
    CHECK_OK(query(cease_background(), 3, &answer));
    CHECK_EQ(answer, 2);
    cease_end(stop);
}
