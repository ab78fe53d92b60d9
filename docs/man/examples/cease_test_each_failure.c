#include "harness.h"

/* [example] */
#include <cease/test.h>
#include <stdlib.h>

/* A pool of the program's own. That of the C library needs only cease_faults_allocations() of
 * cease/faults.h. */
static uint64_t pool_fail_in;
static bool pool_failed;
static long pool_blocks;

static void *pool_take(size_t size)
{
    if (pool_fail_in > 0 && --pool_fail_in == 0) {
        pool_failed = true;
        return NULL;
    }
    pool_blocks++;
    return malloc(size);
}

static void pool_give(void *block)
{
    pool_blocks -= block != NULL;
    free(block);
}

static void pool_arm(uint64_t n)
{
    pool_failed = n > 0 ? false : pool_failed;
    pool_fail_in = n;
}

static bool pool_has_failed(void)
{
    return pool_failed;
}

static long pool_held(void)
{
    return pool_blocks;
}

/* What is tested: two blocks or none. */
static cease_error take_two(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    void *one = pool_take(10), *two = pool_take(20);
    cease_error err = one != NULL && two != NULL ? CEASE_OK : CEASE_ENOMEM;
    pool_give(one);
    pool_give(two);
    return err;
}

static cease_error test_take_two(void)
{
    static const cease_test_faults pool = {sizeof pool, pool_arm, pool_has_failed, pool_held};
    cease_test_faults_use(CEASE_TEST_ALLOCATION, &pool);
    return cease_test_each_failure(NULL, take_two, NULL); /* undisturbed, then two that fail */
}
/* [end] */

TEST(example_test_each_failure)
{
    CHECK_OK(test_take_two());
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    CHECK_EQ(r.rounds, 4);
}
