#include "harness.h"

/* [example] */
#include <cease/group.h>
#include <cease/sync.h>

/* At most 64 MB are being decoded at a time, by however many tasks. */
static cease_semaphore megabytes = CEASE_SEMAPHORE(64);

static cease_error decode(cease_ctx *ctx, uint64_t size_mb, cease_error (*work)(cease_ctx *ctx))
{
    cease_error err = cease_semaphore_acquire(ctx, &megabytes, size_mb);
    if (err != CEASE_OK)
        return err; /* CEASE_EINVAL: it would never fit */
    err = work(ctx);
    cease_semaphore_release(&megabytes, size_mb);
    return err;
}

/* A reader-writer lock: each reader takes one unit, a writer all. Nobody starves: a reader who comes
 * after a writer waits behind it. */
enum { READERS_MAX = 100 };

struct table {
    cease_semaphore lock;
    int value;
};

static void table_init(struct table *table)
{
    table->value = 0;
    cease_semaphore_init(&table->lock, READERS_MAX);
}

static void table_deinit(struct table *table)
{
    cease_semaphore_deinit(&table->lock);
}

static cease_error table_read(cease_ctx *ctx, struct table *table, int *ret_value)
{
    cease_error err = cease_semaphore_acquire(ctx, &table->lock, 1);
    if (err != CEASE_OK)
        return err;
    *ret_value = table->value;
    cease_semaphore_release(&table->lock, 1);
    return CEASE_OK;
}

static cease_error table_write(cease_ctx *ctx, struct table *table, int value)
{
    cease_error err = cease_semaphore_acquire(ctx, &table->lock, READERS_MAX);
    if (err != CEASE_OK)
        return err;
    table->value = value;
    cease_semaphore_release(&table->lock, READERS_MAX);
    return CEASE_OK;
}

static bool table_try_write(struct table *table, int value)
{
    if (cease_semaphore_try_acquire(&table->lock, READERS_MAX) != CEASE_OK)
        return false;
    table->value = value;
    cease_semaphore_release(&table->lock, READERS_MAX);
    return true;
}
/* [end] */

static cease_error nap(cease_ctx *ctx)
{
    return cease_sleep(ctx, cease_ms(1));
}

static cease_error decode_forty(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return decode(ctx, 40, nap);
}

TEST(example_semaphore_acquire)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, decode_forty, NULL));
    CHECK_OK(cease_group_go(g, decode_forty, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_ERR(decode(cease_background(), 65, nap), CEASE_EINVAL);
    struct table table;
    table_init(&table);
    int value = 0;
    CHECK_OK(table_write(cease_background(), &table, 7));
    CHECK_OK(table_read(cease_background(), &table, &value));
    CHECK_EQ(value, 7);
    CHECK(table_try_write(&table, 8));
    table_deinit(&table);
}
