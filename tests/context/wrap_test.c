/* SPDX-License-Identifier: MIT
 *
 * Out to break: what counts up for ever. A counter that begins anew would free what is in use, give two
 * keys one slot, or let two threads into a lock. Has the values (value.c) in itself, and sets the
 * counters near their ends by hand.
 */
#include "../../src/context/value.c"

#include "harness.h"

#include <pthread.h>

TEST_ABORTS(ref_moreThanCanBeCounted_aborts, "cease_ref: two thousand million references")
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    ctx->refs = COUNT_MAX - 1;
    cease_ref(ctx); /* the last that is counted */
    cease_ref(ctx);
}

TEST_ABORTS(cancelerRef_moreThanCanBeCounted_abortsAndSaysWhereItWasMade, "wrap_test.c:")
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    as_node(ctx)->shares = COUNT_MAX - 1;
    cease_canceler_ref(stop);
    cease_canceler_ref(stop);
}

TEST_ABORTS(keys_moreThanHaveSlots_abort, "four thousand million keys")
{
    static cease_key last = CEASE_KEY("last"), one_more = CEASE_KEY("one more");
    slots = UINT32_MAX - 1;
    cease_ctx *ctx = cease_with_value(cease_background(), &last, &last);
    CHECK_PTR(cease_value(ctx, &last), &last);
    (void)cease_with_value(ctx, &one_more, NULL);
}

/* The tickets of a lock are 16 bits, beside each other: the next one must not run over into anything. */
static struct {
    struct ceasei_lock lock;
    uint32_t beside;
    long counted;
} shared = {.beside = 0x5a5a5a5a};

static void *lock_and_count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        ceasei_lock(&shared.lock);
        shared.counted++;
        ceasei_unlock(&shared.lock);
    }
    return NULL;
}

TEST(lock_ticketsBeginAnew_staysALock)
{
    pthread_t other;
    CHECK_EQ(pthread_create(&other, NULL, lock_and_count, NULL), 0);
    lock_and_count(NULL);
    pthread_join(other, NULL);
    CHECK_EQ(shared.counted, 200000);
    CHECK(!ceasei_lock_held(&shared.lock));
    CHECK_EQ(shared.beside, 0x5a5a5a5a);
    ceasei_lock(&shared.lock);
    CHECK(ceasei_lock_held(&shared.lock));
    ceasei_unlock(&shared.lock);
}
