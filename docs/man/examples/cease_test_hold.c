#include "harness.h"

/* [example] */
#include <cease/cease.h>
#include <cease/test.h>
#include <pthread.h>

static void *answer(void *arg)
{
    int value = 42; /* it computes, on a thread that the run knows nothing of */
    cease_error err = cease_chan_try_send(arg, &value);
    cease_test_unhold(); /* the task is on its way: from here on time may move again */
    return err == CEASE_OK ? NULL : arg;
}

/* Without the hold nothing but the timeout would be left to wait for, and time would jump to it. */
static cease_error ask_a_thread(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    cease_ctx *budget = cease_with_timeout(ctx, cease_sec(1), &stop);
    cease_chan *answers = cease_chan_new(sizeof(int), 1);
    pthread_t thread;
    cease_error err = CEASE_EAGAIN;
    cease_test_hold();
    if (pthread_create(&thread, NULL, answer, answers) == 0) {
        err = cease_chan_recv(budget, answers, arg);
        pthread_join(thread, NULL);
    } else {
        cease_test_unhold();
    }
    cease_chan_unref(answers);
    cease_end(stop);
    return err;
}
/* [end] */

TEST(example_test_hold)
{
    int value = 0;
    CHECK_OK(cease_test_run(NULL, ask_a_thread, &value));
    CHECK_EQ(value, 42);
}
