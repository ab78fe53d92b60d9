#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdlib.h>

/* An operation with two holders, whoever started it and its callback: the later one frees it. Thus
 * nobody has to wait for the other. */
struct operation {
    cease_watch watch;
    int holders;
    bool interrupted;
};

static void drop(struct operation *op)
{
    if (__atomic_sub_fetch(&op->holders, 1, __ATOMIC_ACQ_REL) == 0)
        free(op);
}

static void interrupt(void *arg)
{
    struct operation *op = arg;
    __atomic_store_n(&op->interrupted, true, __ATOMIC_RELEASE);
    drop(op);
}

static struct operation *operation_start(cease_ctx *ctx)
{
    struct operation *op = calloc(1, sizeof *op);
    if (op != NULL) {
        op->holders = 2;
        cease_watch_add(&op->watch, ctx, interrupt, op);
    }
    return op;
}

static bool operation_finish(struct operation *op)
{
    bool whole = !__atomic_load_n(&op->interrupted, __ATOMIC_ACQUIRE);
    if (cease_watch_remove(&op->watch) == CEASE_WATCH_REMOVED)
        drop(op); /* the callback's hold: it will never come */
    drop(op);
    return whole;
}
/* [end] */

TEST(example_watch_remove)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(operation_finish(operation_start(ctx)));
    struct operation *op = operation_start(ctx);
    cease_cancel(stop);
    CHECK(!operation_finish(op));
    CHECK(!operation_finish(operation_start(ctx)));
    cease_end(stop);
}
