#include "harness.h"

/* [example] */
#include <cease/select.h>

/* The first of two answers, or an error when the request or the session ends before. */
static cease_error first_answer(cease_ctx *request, cease_ctx *session, cease_chan *fast,
                                cease_chan *slow, int *ret_answer)
{
    int answers[2];
    size_t fired;
    cease_case cases[] = {CEASE_RECV(fast, &answers[0]), CEASE_RECV(slow, &answers[1]),
                          CEASE_ENDED(session)};
    cease_error err = cease_select(request, cases, 3, &fired);
    if (err == CEASE_OK)
        err = cases[fired].result; /* CEASE_ECLOSED from a closed channel; the session's error */
    if (err == CEASE_OK)
        *ret_answer = answers[fired];
    return err;
}
/* [end] */

TEST(example_select)
{
    int answer = 7;
    cease_canceler *stop;
    cease_ctx *session = cease_with_cancel(cease_background(), &stop);
    cease_chan *fast = cease_chan_new(sizeof(int), 1), *slow = cease_chan_new(sizeof(int), 1);
    CHECK_OK(cease_chan_try_send(slow, &answer));
    answer = 0;
    CHECK_OK(first_answer(cease_background(), session, fast, slow, &answer));
    CHECK_EQ(answer, 7);
    cease_cancel(stop);
    CHECK_ERR(first_answer(cease_background(), session, fast, slow, &answer), CEASE_ECANCELED);
    cease_chan_unref(fast);
    cease_chan_unref(slow);
    cease_end(stop);
}
