#include "harness.h"

/* [example] */
#include <cease/group.h>
#include <cease/sync.h>

struct account {
    cease_mutex mutex;
    long balance;
};

/* The lock is the task's, so it may be held over a wait. */
static cease_error deposit(cease_ctx *ctx, struct account *account, long amount)
{
    cease_error err = cease_mutex_lock(ctx, &account->mutex);
    if (err != CEASE_OK)
        return err; /* ctx ended while somebody else had it: nothing to give back */
    CEASE_AUTO_UNLOCK cease_mutex *held = &account->mutex;
    long balance = account->balance;
    err = cease_sleep(ctx, cease_ms(1)); /* ask a database, say */
    if (err == CEASE_OK)
        account->balance = balance + amount;
    (void)held; /* given back here, whatever happened */
    return err;
}

/* For a metric that may be left out: not worth a wait. */
static bool peek(struct account *account, long *ret_balance)
{
    if (cease_mutex_try_lock(&account->mutex) != CEASE_OK)
        return false;
    *ret_balance = account->balance;
    cease_mutex_unlock(&account->mutex);
    return true;
}

static void account_init(struct account *account)
{
    account->balance = 0;
    cease_mutex_init(&account->mutex);
}

static void account_deinit(struct account *account)
{
    cease_mutex_deinit(&account->mutex); /* aborts if somebody still holds it */
}
/* [end] */

static cease_error deposit_one(cease_ctx *ctx, void *arg)
{
    return deposit(ctx, arg, 1);
}

TEST(example_mutex_lock)
{
    struct account account;
    account_init(&account);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 10; i++)
        CHECK_OK(cease_group_go(g, deposit_one, &account));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    long balance = 0;
    CHECK(peek(&account, &balance));
    CHECK_EQ(balance, 10);
    CHECK_OK(cease_mutex_try_lock(&account.mutex));
    CHECK(!peek(&account, &balance));
    cease_mutex_unlock(&account.mutex);
    account_deinit(&account);
}
