/* SPDX-License-Identifier: MIT
 *
 * Out to break: size. A chain a million deep in a 16 KiB stack, a million children under one parent, and a walk that
 * keeps nobody waiting.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

static int many(void)
{
    return harness_is_slow() ? 50 * 1000 : 1000 * 1000;
}

/* Trap: recursion. */
static void *deep(void *unused)
{
    (void)unused;
    int depth = many();
    cease_canceler **stops = malloc((size_t)depth * sizeof *stops);
    cease_ctx *ctx = cease_background(), *top = NULL;
    for (int i = 0; i < depth; i++) {
        ctx = cease_with_cancel(ctx, &stops[i]);
        top = top == NULL ? ctx : top;
    }
    CHECK(!cease_done(ctx));
    cease_cancel_cause(stops[0], 12, NULL);
    CHECK_EQ(cease_cause_of(ctx)->code, 12);
    for (int i = 0; i < depth;
         i++) /* top first: all hang on the last one, which frees them in one go */
        cease_end(stops[i]);
    CHECK_EQ(cease_live_count(), 0);
    free(stops);
    return NULL;
}

TEST(chain_aMillionDeep_endsAndFreesInASmallStack)
{
    pthread_t thread;
    pthread_attr_t attr;
    size_t stack = 16 * 1024;
    if (stack < (size_t)PTHREAD_STACK_MIN || harness_is_slow())
        stack = (size_t)PTHREAD_STACK_MIN + 64 * 1024; /* sanitizers and big vector registers */
    pthread_attr_init(&attr);
    CHECK_EQ(pthread_attr_setstacksize(&attr, stack), 0);
    CHECK_EQ(pthread_create(&thread, &attr, deep, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

static cease_key key = CEASE_KEY("key");

TEST(chain_ofValues_aMillionDeepFreesWithoutRecursion)
{
    int depth = many() / 4;
    cease_canceler *stop;
    cease_ctx *ctx = cease_background();
    for (int i = 0; i < depth; i++) {
        cease_ctx *next = cease_with_value(ctx, &key, &key);
        cease_unref(ctx);
        ctx = next;
    }
    cease_ctx *leaf = cease_with_cancel(ctx, &stop);
    cease_unref(ctx);
    CHECK_PTR(cease_value(leaf, &key), &key);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
}

TEST(children_aMillionUnderOne_allEnd)
{
    int count = many();
    cease_canceler **stops = malloc((size_t)count * sizeof *stops), *stop;
    cease_ctx **ctxs = malloc((size_t)count * sizeof *ctxs);
    cease_ctx *root = cease_with_cancel(cease_background(), &stop);
    for (int i = 0; i < count; i++)
        ctxs[i] = cease_with_cancel(root, &stops[i]);
    CHECK_EQ(cease_child_count(root), count);
    cease_cancel_cause(stop, 5, NULL);
    for (int i = 0; i < count; i++)
        CHECK_EQ(cease_cause_of(ctxs[i])->code, 5);
    CHECK_EQ(cease_child_count(root), 0);
    cease_end(stop);
    for (int i = 0; i < count; i++)
        cease_end(stops[i]);
    free(ctxs);
    free(stops);
    CHECK_EQ(cease_live_count(), 0);
}

/* A bushy random tree with everything in it, ended somewhere in the middle, again and again until it is all gone. */
static int called;
static void call(void *arg)
{
    (void)arg;
    called++;
}

enum { NODES = 400 };
struct item {
    cease_ctx *ctx;
    cease_canceler *stop;
    cease_watch w;
    int parent, other; /* -1: background */
    bool ended, cut;   /* cut: does not feel its parent */
};

static void model_end(struct item *items, int i)
{
    if (items[i].ended)
        return;
    items[i].ended = true;
    for (int j = i + 1; j < NODES; j++)
        if ((items[j].parent == i && !items[j].cut) || items[j].other == i)
            model_end(items, j);
}

static void grow(struct item *items, unsigned *seed)
{
    for (int i = 0; i < NODES; i++) {
        *seed = *seed * 1103515245 + 12345;
        unsigned r = *seed >> 8;
        items[i] = (struct item){.parent = i == 0 ? -1 : (int)(r % (unsigned)i), .other = -1};
        cease_ctx *parent = i == 0 ? cease_background() : items[items[i].parent].ctx;
        switch ((r >> 12) % 6) {
        case 0:
            items[i].other = i == 0 ? -1 : (int)((r >> 5) % (unsigned)i);
            items[i].ctx = cease_with_merge(parent, i == 0 ? parent : items[items[i].other].ctx,
                                            &items[i].stop);
            break;
        case 1:
            items[i].cut = true;
            items[i].ctx = cease_with_grace(parent, cease_hour(1), &items[i].stop);
            break;
        case 2:
            items[i].ctx = cease_with_timeout(parent, cease_min(50), &items[i].stop);
            break;
        case 3: {
            cease_ctx *value = cease_with_value(parent, &key, &items[i]);
            items[i].ctx = cease_with_cancel(value, &items[i].stop);
            cease_unref(value);
            break;
        }
        default:
            items[i].ctx = cease_with_cancel(parent, &items[i].stop);
        }
        if (r & 1)
            cease_watch_add(&items[i].w, items[i].ctx, call, NULL);
    }
}

TEST(tree_ofAllKinds_endsExactlyWhatTheModelSays)
{
    static struct item items[NODES];
    unsigned seed = 99;
    int rounds = harness_is_slow() ? 5 : 50;
    for (int round = 0; round < rounds; round++) {
        grow(items, &seed);
        for (int step = 0; step < 12; step++) {
            seed = seed * 1103515245 + 12345;
            int i = NODES - 1 - (int)((seed >> 8) % (unsigned)NODES) * step / 12;
            model_end(items, i);
            cease_cancel(items[i].stop);
            for (int j = 0; j < NODES; j++)
                CHECK_EQ(cease_done(items[j].ctx), items[j].ended);
        }
        for (int i = 0; i < NODES; i++)
            if (items[i].w.fn_ != NULL && !items[i].ended)
                CHECK_EQ(cease_watch_remove(&items[i].w), CEASE_WATCH_REMOVED);
        for (int i = 0; i < NODES; i++)
            cease_end(items[(i * 7) % NODES].stop);
        CHECK_EQ(cease_live_count(), 0);
    }
}
