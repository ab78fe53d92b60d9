/* SPDX-License-Identifier: MIT
 *
 * Out to break limiters and tickers: a token that comes early or twice, somebody who overtakes, a wait that was
 * hopeless from the start, tokens that go with whoever gives up, a beat that drifts.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/test.h>
#include <stdint.h>

static cease_limiter limiter;
static cease_time begin;

static int64_t since_ms(void)
{
    return cease_time_sub(cease_now(), begin).ns / 1000000;
}

static void run(cease_task_fn *fn)
{
    CHECK_OK(cease_test_run(NULL, fn, NULL));
}

static cease_error burst_then_steady(cease_ctx *ctx, void *arg)
{
    (void)arg;
    static cease_limiter mails = CEASE_LIMITER(100000000, 3);
    begin = cease_now();
    static const int64_t at[] = {0, 0, 0, 100, 200, 300};
    for (int i = 0; i < 6; i++) {
        CHECK_OK(cease_limiter_wait(ctx, &mails, 1));
        CHECK_EQ(since_ms(), at[i]);
    }
    CHECK_ERR(cease_limiter_try(&mails, 1), CEASE_EAGAIN);
    CHECK_OK(cease_sleep(ctx, cease_sec(3600)));
    begin = cease_now();
    CHECK_OK(cease_limiter_wait(ctx, &mails, 3)); /* not more than the bucket holds */
    CHECK_OK(cease_limiter_wait(ctx, &mails, 2));
    CHECK_EQ(since_ms(), 200);
    cease_limiter_deinit(&mails);
    return CEASE_OK;
}

TEST(limiter_gives_a_burst_and_then_one_at_a_time)
{
    run(burst_then_steady);
}

static cease_error hopeless(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_limiter_init(&limiter, cease_sec(1), 1);
    begin = cease_now();
    CHECK_OK(cease_limiter_wait(ctx, &limiter, 1));
    cease_canceler *stop;
    cease_ctx *soon = cease_with_timeout(ctx, cease_ms(999), &stop);
    CHECK_ERR(cease_limiter_wait(soon, &limiter, 1), CEASE_EDEADLINE);
    CHECK_EQ(since_ms(), 0);
    CHECK_OK(cease_err(soon)); /* it is still open */
    cease_end(stop);
    soon = cease_with_timeout(ctx, cease_ms(1001), &stop);
    CHECK_OK(cease_limiter_wait(soon, &limiter, 1)); /* the failure has taken nothing */
    CHECK_EQ(since_ms(), 1000);
    cease_end(stop);
    return CEASE_OK;
}

TEST(limiter_wait_past_the_deadline_fails_at_once_and_takes_nothing)
{
    run(hopeless);
}

static char order[16];
static size_t order_length;

static cease_error take_digit(cease_ctx *ctx, void *arg)
{
    char digit = *(const char *)arg;
    cease_error e = cease_limiter_wait(ctx, &limiter, (uint64_t)(digit - '0'));
    if (e == CEASE_OK) {
        order[order_length++] = digit;
    }
    return e;
}

static void go_digit(cease_group *g, const char *digit)
{
    CHECK_OK(cease_group_go(g, take_digit, (void *)(uintptr_t)digit));
    cease_test_settle();
}

static cease_error in_line(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_limiter_init(&limiter, cease_sec(1), 4);
    begin = cease_now();
    CHECK_OK(cease_limiter_try(&limiter, 4));
    cease_group *first = cease_group_new(ctx, NULL), *second = cease_group_new(ctx, NULL),
                *third = cease_group_new(ctx, NULL);
    go_digit(first, "4");
    go_digit(second, "3");
    go_digit(third, "1");
    /* Those in line count: 4 + 3 + 1 + 1 seconds. */
    cease_canceler *stop;
    cease_ctx *soon = cease_with_timeout(ctx, cease_ms(8999), &stop);
    CHECK_ERR(cease_limiter_wait(soon, &limiter, 1), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_OK(cease_sleep(ctx, cease_ms(1500)));
    CHECK_ERR(cease_limiter_try(&limiter, 1), CEASE_EAGAIN); /* one is there, but others wait */
    (void)cease_group_stop(first);                           /* who sleeps for the first four */
    (void)cease_group_stop(second);                          /* and one in the middle of the line */
    CHECK_OK(cease_group_wait(third));
    CHECK_EQ(since_ms(), 1500); /* they have taken nothing with them */
    CHECK_STR(order, "1");
    cease_group_free(first);
    cease_group_free(second);
    cease_group_free(third);
    cease_limiter_deinit(&limiter);
    return CEASE_OK;
}

TEST(limiter_serves_in_line_and_those_who_leave_it_cost_nothing)
{
    run(in_line);
}

TEST(limiter_sizes_at_their_edges)
{
    cease_ctx *ctx = cease_background();
    cease_limiter_init(&limiter, cease_sec(1), 2);
    CHECK_ERR(cease_limiter_wait(ctx, &limiter, 3), CEASE_EINVAL);
    CHECK_ERR(cease_limiter_try(&limiter, 3), CEASE_EINVAL);
    cease_limiter_init(&limiter, cease_ns(0), 0); /* limits nothing */
    CHECK_OK(cease_limiter_wait(ctx, &limiter, UINT64_MAX));
    CHECK_OK(cease_limiter_try(&limiter, UINT64_MAX));
    cease_limiter_init(&limiter, cease_hour(1000000), UINT64_MAX);
    CHECK_OK(cease_limiter_try(&limiter, 1));
    CHECK_OK(cease_limiter_try(&limiter, UINT64_MAX));
    cease_limiter_deinit(&limiter);
    cease_limiter_deinit(NULL);
    cease_canceler *stop;
    ctx = cease_with_cancel(ctx, &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_limiter_wait(ctx, &limiter, 1), CEASE_ECANCELED);
    cease_end(stop);
}

static cease_error deinit_early(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_limiter_init(&limiter, cease_sec(1), 1);
    CHECK_OK(cease_limiter_try(&limiter, 1));
    CHECK_OK(cease_go(ctx, take_digit, (void *)(uintptr_t) "1"));
    cease_test_settle();
    cease_limiter_deinit(&limiter);
    return CEASE_OK;
}

TEST_ABORTS(limiter_deinit_while_somebody_waits_aborts, "somebody still waits at this limiter")
{
    run(deinit_early);
}

static cease_error several(cease_ctx *ctx, void *arg)
{
    (void)arg;
    order_length = 0;
    cease_limiter_init(&limiter, cease_sec(1), 2);
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(cease_group_go(g, take_digit, (void *)(uintptr_t) & "1221"[i]));
    }
    cease_error e = cease_group_wait(g);
    cease_group_free(g);
    cease_limiter_deinit(&limiter);
    return e;
}

TEST(limiter_cancelled_at_every_wait_leaves_nobody_in_line)
{
    CHECK_OK(cease_test_each_cancel(NULL, several, NULL));
}

/* ---- ticker ------------------------------------------------------------------------------------- */

static cease_error beat(cease_ctx *ctx, void *arg)
{
    (void)arg;
    begin = cease_now();
    cease_ticker t;
    cease_ticker_init(&t, cease_ms(100));
    CHECK_OK(cease_ticker_wait(ctx, &t));
    CHECK_EQ(since_ms(), 100);
    CHECK_OK(cease_sleep(ctx, cease_ms(70))); /* work takes time: no drift */
    CHECK_OK(cease_ticker_wait(ctx, &t));
    CHECK_EQ(since_ms(), 200);
    CHECK_OK(cease_sleep(ctx, cease_ms(350))); /* 300, 400 and 500 pass */
    CHECK_OK(cease_ticker_wait(ctx, &t));
    CHECK_EQ(since_ms(), 550);
    CHECK_OK(cease_ticker_wait(ctx, &t));
    CHECK_EQ(since_ms(), 600);
    cease_canceler *stop;
    cease_ctx *soon = cease_with_timeout(ctx, cease_ms(10), &stop);
    CHECK_ERR(cease_ticker_wait(soon, &t), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_OK(cease_ticker_wait(ctx, &t)); /* a wait that was cut short uses up no tick */
    CHECK_EQ(since_ms(), 700);
    cease_ticker_init(&t, cease_sec(1));
    CHECK_OK(cease_ticker_wait(ctx, &t));
    CHECK_EQ(since_ms(), 1700);
    return CEASE_OK;
}

TEST(ticker_keeps_its_beat)
{
    run(beat);
}

TEST(ticker_with_a_period_beyond_time_never_ticks)
{
    cease_ticker t;
    cease_ticker_init(&t, CEASE_FOREVER);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(cease_ticker_wait(ctx, &t), CEASE_EDEADLINE);
    cease_end(stop);
}

TEST_ABORTS(ticker_without_a_period_aborts, "the period must be longer than 0")
{
    cease_ticker t;
    cease_ticker_init(&t, cease_ns(0));
}
