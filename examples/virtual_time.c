/*
 * A timeout of an hour, tested in a moment: the clock of a test run jumps when every task waits.
 */
#include <cease/cease.h>
#include <cease/test.h>
#include <stdio.h>

/* What is to be tested: it gives up after an hour. */
static cease_error ask_patiently(cease_ctx *ctx, cease_chan *answers, char *ret_answer)
{
    cease_canceler *stop;
    cease_ctx *hour = cease_with_timeout(ctx, cease_hour(1), &stop);
    cease_error e = cease_chan_recv(hour, answers, ret_answer);
    cease_end(stop);
    return e;
}

static cease_error scenario(cease_ctx *ctx, void *arg)
{
    (void)arg;
    char answer;
    cease_chan *silent = cease_chan_new(1, 0);
    cease_time begin = cease_now();
    cease_error e = ask_patiently(ctx, silent, &answer);
    cease_chan_unref(silent);
    bool exact = cease_time_sub(cease_now(), begin).ns == cease_hour(1).ns;
    return e == CEASE_EDEADLINE && exact ? CEASE_OK : CEASE_EIO;
}

int main(void)
{
    cease_error e = cease_test_run(NULL, scenario, NULL);
    printf("an hour has passed: %s\n", cease_strerror(e));
    return e == CEASE_OK ? 0 : 1;
}
