#include "harness.h"

/* [example] */
#include <cease/rate.h>

struct sender {
    cease_limiter limiter;
    int sent;
};

static void sender_init(struct sender *sender)
{
    sender->sent = 0;
    cease_limiter_init(&sender->limiter, cease_us(100), 3); /* 10,000 a second, 3 at once */
}

static void sender_deinit(struct sender *sender)
{
    cease_limiter_deinit(&sender->limiter);
}

static cease_error send_mail(cease_ctx *ctx, struct sender *sender)
{
    cease_error err = cease_limiter_wait(ctx, &sender->limiter, 1);
    if (err == CEASE_OK)
        sender->sent++;
    return err; /* CEASE_EDEADLINE at once when the turn would come too late for ctx */
}

static bool send_advertisement(struct sender *sender)
{
    if (cease_limiter_try(&sender->limiter, 1) != CEASE_OK)
        return false; /* others need the rate more */
    sender->sent++;
    return true;
}
/* [end] */

TEST(example_limiter_wait)
{
    struct sender sender;
    sender_init(&sender);
    CHECK(send_advertisement(&sender));
    for (int i = 0; i < 5; i++)
        CHECK_OK(send_mail(cease_background(), &sender));
    CHECK_EQ(sender.sent, 6);
    cease_limiter_init(&sender.limiter, cease_hour(1), 1);
    CHECK(send_advertisement(&sender));
    CHECK(!send_advertisement(&sender));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_min(1), &stop);
    CHECK_ERR(send_mail(ctx, &sender), CEASE_EDEADLINE);
    cease_end(stop);
    sender_deinit(&sender);
}
