#include "harness.h"

/* [example] */
#include <cease/group.h>
#include <cease/sync.h>

/* A pool of four: who waits is served in the order of coming, because each signal wakes one. */
struct pool {
    cease_mutex mutex;
    cease_cond given_back;
    unsigned idle;
};

static cease_error pool_take(cease_ctx *ctx, struct pool *pool)
{
    cease_error err = cease_mutex_lock(ctx, &pool->mutex);
    if (err != CEASE_OK)
        return err;
    while (err == CEASE_OK && pool->idle == 0)
        err = cease_cond_wait(ctx, &pool->given_back, &pool->mutex);
    pool->idle -= err == CEASE_OK;
    cease_mutex_unlock(&pool->mutex);
    return err;
}

static void pool_init(struct pool *pool, unsigned connections)
{
    cease_mutex_init(&pool->mutex);
    cease_cond_init(&pool->given_back);
    pool->idle = connections;
}

static void pool_deinit(struct pool *pool)
{
    cease_cond_deinit(&pool->given_back); /* aborts if somebody still waits */
    cease_mutex_deinit(&pool->mutex);
}

static void pool_give(struct pool *pool)
{
    (void)cease_mutex_lock(cease_background(), &pool->mutex); /* must not be cut short */
    pool->idle++;
    cease_cond_signal(&pool->given_back);
    cease_mutex_unlock(&pool->mutex);
}
/* [end] */

static cease_error take_and_give(cease_ctx *ctx, void *arg)
{
    cease_error err = pool_take(ctx, arg);
    if (err == CEASE_OK) {
        cease_yield();
        pool_give(arg);
    }
    return err;
}

TEST(example_cond_signal)
{
    struct pool pool;
    pool_init(&pool, 4);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 20; i++)
        CHECK_OK(cease_group_go(g, take_and_give, &pool));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(pool.idle, 4);
    pool_deinit(&pool);
}
