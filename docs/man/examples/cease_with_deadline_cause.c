#include "harness.h"

#include <string.h>

/* [example] */
#include <cease/context.h>
#include <stdio.h>

enum { SLOW_INDEX = 1, SLOW_STORE = 2 };

static void say_why(const cease_ctx *ctx)
{
    const cease_cause *cause = cease_cause_of(ctx);
    if (cause != NULL)
        printf("%s (code %d)\n", cause->text, cause->code);
}

static cease_error look_up(cease_ctx *request, cease_time until)
{
    CEASE_AUTO_END cease_canceler *stop = NULL, *stop_store = NULL;
    cease_ctx *index =
        cease_with_deadline_cause(request, until, SLOW_INDEX, "the index is slow", &stop);
    if (cease_done(index)) {
        say_why(index); /* the request's own cause, if that has ended first */
        return cease_err(index);
    }
    cease_ctx *store =
        cease_with_timeout_cause(index, cease_ms(20), SLOW_STORE, "the store is slow", &stop_store);
    return cease_err(store);
}
/* [end] */

TEST(example_with_deadline_cause)
{
    CHECK_ERR(look_up(cease_background(), cease_now()), CEASE_EDEADLINE);
    CHECK_OK(look_up(cease_background(), CEASE_NEVER));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout_cause(cease_background(), cease_ms(1), SLOW_STORE,
                                              "the store is slow", &stop);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    CHECK_EQ(cease_cause_of(ctx)->code, SLOW_STORE);
    CHECK_STR(cease_cause_of(ctx)->text, "the store is slow");
    cease_end(stop);
}
