/* SPDX-License-Identifier: MIT
 *
 * Out to break: ownership, the basic rules of every derivation, and what happens without memory.
 * Names in brackets are those of Go's own tests whose intent a case carries.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <stdlib.h>
#include <string.h>

static cease_key key = CEASE_KEY("key");

static const char *describe(const cease_ctx *ctx)
{
    static char text[256];
    cease_describe(ctx, text, sizeof text);
    return text;
}

/* [TestBackground] */
TEST(background_always_neverEndsAndHasNothing)
{
    cease_ctx *ctx = cease_background();
    CHECK(!cease_done(ctx));
    CHECK_OK(cease_err(ctx));
    CHECK(cease_cause_of(ctx) == NULL);
    CHECK(!cease_deadline(ctx, NULL));
    CHECK(cease_value(ctx, &key) == NULL);
    CHECK_STR(describe(ctx), "background");
    CHECK_PTR(cease_ref(ctx), ctx);
    CHECK(cease_unref(ctx) == NULL);
    CHECK_EQ(cease_live_count(), 0);
}

/* [TestTODO] */
TEST(todo_always_isLikeBackgroundWithItsOwnName)
{
    CHECK(!cease_done(cease_todo()));
    CHECK(!cease_deadline(cease_todo(), NULL));
    CHECK_STR(describe(cease_todo()), "todo");
}

/* [TestWithCancel] */
TEST(cancel_ofOne_endsWrapperAndChildBeforeItReturns)
{
    cease_canceler *stop, *child_stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *wrapper = cease_with_value(ctx, &key, &key);
    cease_ctx *child = cease_with_cancel(wrapper, &child_stop);
    CHECK_STR(describe(child), "background.cancel.value(key).cancel");
    CHECK(!cease_done(ctx) && !cease_done(wrapper) && !cease_done(child));
    CHECK_EQ(cease_child_count(ctx), 1);

    cease_cancel(stop);
    CHECK(cease_done(ctx) && cease_done(wrapper) && cease_done(child));
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_ERR(cease_err(wrapper), CEASE_ECANCELED);
    CHECK_ERR(cease_err(child), CEASE_ECANCELED);
    CHECK_EQ(cease_child_count(ctx), 0);
    CHECK_EQ(cease_live_count(), 3);

    cease_cancel(stop);
    cease_end(child_stop);
    cease_unref(wrapper);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
}

/* [TestParentFinishesChild]: a value context is transparent. */
TEST(parent_ends_finishesItsThreeRegisteredChildren)
{
    cease_canceler *stop, *cancel_stop, *timer_stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    cease_ctx *cancel_child = cease_with_cancel(parent, &cancel_stop);
    cease_ctx *value_child = cease_with_value(parent, &key, "value");
    cease_ctx *timer_child = cease_with_timeout(value_child, cease_hour(10), &timer_stop);
    int unused = 0;
    cease_after *after = cease_after_func(parent, (void (*)(void *))abort, &unused);
    CHECK_EQ(cease_child_count(parent), 3);
    CHECK(!cease_done(parent) && !cease_done(cancel_child) && !cease_done(value_child) &&
          !cease_done(timer_child));
    CHECK(cease_after_stop(after));
    CHECK_EQ(cease_child_count(parent), 2);

    cease_cancel(stop);
    CHECK_EQ(cease_child_count(parent), 0);
    CHECK(cease_done(cancel_child) && cease_done(value_child) && cease_done(timer_child));
    CHECK_ERR(cease_err(timer_child), CEASE_ECANCELED);

    cease_ctx *late = cease_with_value(parent, &key, "late");
    CHECK(cease_done(late));
    cease_unref(late);
    cease_end(timer_stop);
    cease_unref(value_child);
    cease_end(cancel_stop);
    cease_end(stop);
}

/* [TestChildFinishesFirst] */
TEST(child_endsFirst_leavesTheParentUntouched)
{
    cease_canceler *stop, *child_stop;
    cease_ctx *cancelable = cease_with_cancel(cease_background(), &stop);
    cease_ctx *parents[] = {cease_background(), cancelable};
    for (int i = 0; i < 2; i++) {
        cease_ctx *child = cease_with_cancel(parents[i], &child_stop);
        CHECK_EQ(cease_child_count(parents[i]), i);
        cease_cancel(child_stop);
        CHECK(cease_done(child));
        CHECK(!cease_done(parents[i]));
        CHECK_EQ(cease_child_count(parents[i]), 0);
        cease_end(child_stop);
    }
    cease_end(stop);
}

/* [TestCancelRemoves] */
TEST(childCount_deriveThenEnd_goesUpAndDown)
{
    cease_canceler *stop, *child_stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_EQ(cease_child_count(ctx), 0);
    (void)cease_with_cancel(ctx, &child_stop);
    CHECK_EQ(cease_child_count(ctx), 1);
    cease_cancel(child_stop);
    CHECK_EQ(cease_child_count(ctx), 0);
    cease_end(child_stop);
    (void)cease_with_timeout(ctx, cease_hour(1), &child_stop);
    CHECK_EQ(cease_child_count(ctx), 1);
    cease_end(child_stop);
    CHECK_EQ(cease_child_count(ctx), 0);
    cease_after *after = cease_after_func(ctx, (void (*)(void *))abort, NULL);
    CHECK_EQ(cease_child_count(ctx), 1);
    CHECK(cease_after_stop(after));
    CHECK_EQ(cease_child_count(ctx), 0);
    cease_end(stop);
}

/* [TestWithCancelCanceledParent] */
TEST(derive_fromEnded_isBornDoneWithTheParentsCause)
{
    cease_canceler *stop, *child_stop, *merge_stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 42, "because %d", 7);
    cease_ctx *child = cease_with_cancel(parent, &child_stop);
    CHECK(cease_done(child));
    CHECK_PTR(cease_cause_of(child), cease_cause_of(parent));
    CHECK_STR(cease_cause_of(child)->text, "because 7");
    cease_ctx *merge = cease_with_merge(cease_background(), parent, &merge_stop);
    CHECK_PTR(cease_cause_of(merge), cease_cause_of(parent));
    cease_end(stop);
    CHECK_EQ(cease_cause_of(merge)->code, 42);
    cease_end(merge_stop);
    CHECK_EQ(cease_cause_of(child)->code, 42);
    cease_end(child_stop);
}

/* [TestWithoutCancel] */
TEST(withoutCancel_ofAnEnded_isOpenAndKeepsValues)
{
    cease_canceler *stop;
    cease_ctx *parent = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    cease_ctx *value = cease_with_value(parent, &key, "kept");
    cease_ctx *free_ctx = cease_without_cancel(value);
    cease_end(stop);
    cease_unref(value);
    CHECK(cease_done(value));
    CHECK(!cease_done(free_ctx));
    CHECK(!cease_deadline(free_ctx, NULL));
    CHECK_STR(cease_value(free_ctx, &key), "kept");
    CHECK_STR(describe(free_ctx), "background.deadline.value(key).without_cancel");
    cease_unref(free_ctx);
}

TEST(end_ofTheLastShare_keepsTheContextForItsReferences)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_ref(cease_with_cancel(cease_background(), &stop));
    cease_canceler *second = cease_canceler_ref(stop);
    CHECK_PTR(second, stop);
    cease_end(stop);
    CHECK(cease_done(ctx));
    cease_cancel_cause(second, 5, "too late");
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ECANCELED);
    cease_end(second);
    CHECK_EQ(cease_live_count(), 1);
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    cease_unref(ctx);
    CHECK_EQ(cease_live_count(), 0);
}

TEST(end_ofOneShare_keepsTheContextForTheOthers)
{
    cease_canceler *stop, *fresh_stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_canceler *second = cease_canceler_ref(stop);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 1);
    cease_ctx *fresh = cease_with_cancel(cease_background(), &fresh_stop);
    CHECK(fresh != ctx);
    cease_cancel_cause(second, 5, "too late");
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ECANCELED);
    cease_end(second);
    CHECK(!cease_done(fresh));
    cease_end(fresh_stop);
    CHECK_EQ(cease_live_count(), 0);
}

/* Trap: a middle node whose maker let go is still the way to what is below. What is made next would be in its place,
 * had it been freed. */
TEST(middle_itsMakerLetGo_childrenStillHearTheAncestor)
{
    cease_canceler *stop, *leaf_stop;
    cease_ctx *top = cease_with_cancel(cease_background(), &stop);
    cease_ctx *middle = cease_with_value(top, &key, "m");
    cease_ctx *leaf = cease_with_cancel(middle, &leaf_stop);
    cease_unref(middle);
    CHECK_EQ(cease_live_count(), 3);
    CEASE_AUTO_UNREF cease_ctx *next = cease_with_value(cease_background(), &key, "next");
    CHECK(next != middle);
    CHECK(!cease_done(leaf));
    CHECK_STR(cease_value(leaf, &key), "m");
    cease_cancel_cause(stop, 9, NULL);
    CHECK_EQ(cease_cause_of(leaf)->code, 9);
    cease_end(stop);
    CHECK_EQ(cease_cause_of(leaf)->code, 9);
    cease_end(leaf_stop);
}

TEST(child_outlivesEveryShareAbove_keepsTheChainAlive)
{
    enum { DEPTH = 100 };
    cease_canceler *stops[DEPTH];
    cease_ctx *ctx = cease_background();
    for (int i = 0; i < DEPTH; i++)
        ctx = cease_with_cancel(ctx, &stops[i]);
    for (int i = 0; i < DEPTH - 1; i++)
        cease_end(stops[i]);
    CHECK_EQ(cease_live_count(), DEPTH);
    CHECK(cease_done(ctx));
    cease_end(stops[DEPTH - 1]);
    CHECK_EQ(cease_live_count(), 0);
}

TEST(autoEnd_leavingTheScope_endsAndFrees)
{
    cease_ctx *seen = NULL;
    {
        CEASE_AUTO_END cease_canceler *stop = NULL;
        CEASE_AUTO_UNREF cease_ctx *value =
            cease_with_value(cease_with_cancel(cease_background(), &stop), &key, "v");
        seen = cease_ref(value);
        CHECK(!cease_done(seen));
    }
    CHECK(cease_done(seen));
    CHECK_STR(cease_cause_of(seen)->place->file, __FILE__);
    cease_unref(seen);
    CEASE_AUTO_END cease_canceler *nothing = NULL;
    CEASE_AUTO_UNREF cease_ctx *none = NULL;
    (void)nothing;
    (void)none;
}

TEST(merge_eitherEnds_endsItWithThatCause)
{
    for (int which = 0; which < 2; which++) {
        cease_canceler *stops[2], *stop;
        cease_ctx *a = cease_with_cancel(cease_background(), &stops[0]);
        cease_ctx *b = cease_with_cancel(cease_background(), &stops[1]);
        cease_ctx *av = cease_with_value(a, &key, "a");
        cease_ctx *bv = cease_with_value(b, &key, "b");
        cease_ctx *merge = cease_with_merge(av, bv, &stop);
        cease_canceler *below_stop;
        cease_ctx *below = cease_with_cancel(merge, &below_stop);
        CHECK_STR(cease_value(merge, &key), "a");
        CHECK_EQ(cease_child_count(a), 1);
        CHECK_EQ(cease_child_count(b), 1);
        cease_cancel_cause(stops[which], 10 + which, "side %d", which);
        CHECK(cease_done(below));
        CHECK_EQ(cease_cause_of(below)->code, 10 + which);
        CHECK_EQ(cease_child_count(a) + cease_child_count(b), 0);
        cease_cancel(stops[!which]);
        CHECK_EQ(cease_cause_of(merge)->code, 10 + which);
        cease_end(below_stop);
        cease_unref(av);
        cease_unref(bv);
        cease_end(stops[0]);
        cease_end(stops[1]);
        CHECK_EQ(cease_cause_of(merge)->code, 10 + which);
        cease_end(stop);
    }
    CHECK_EQ(cease_live_count(), 0);
}

TEST(merge_itsOwnEnd_leavesBothParentsOpen)
{
    cease_canceler *a_stop, *stop;
    cease_ctx *a = cease_with_cancel(cease_background(), &a_stop);
    cease_ctx *merge = cease_with_merge(a, a, &stop);
    cease_end(stop);
    merge = cease_with_merge(cease_background(), a, &stop);
    CHECK_EQ(cease_child_count(a), 1);
    cease_cancel(stop);
    CHECK(cease_done(merge));
    CHECK(!cease_done(a));
    CHECK_EQ(cease_child_count(a), 0);
    cease_end(stop);
    cease_end(a_stop);
}

/* A million merges, each the other parent of the next: freeing and ending must not recurse. */
TEST(merge_aLongChainThroughTheSecondParent_endsAndFreesWithoutRecursion)
{
    int depth = harness_is_slow() ? 20 * 1000 : 1000 * 1000;
    cease_canceler **stops = calloc((size_t)depth, sizeof(cease_canceler *)), *root_stop;
    cease_ctx *root = cease_with_cancel(cease_background(), &root_stop), *ctx = root;
    for (int i = 0; i < depth; i++)
        ctx = cease_with_merge(cease_background(), ctx, &stops[i]);
    cease_cancel_cause(root_stop, 77, "all of it");
    CHECK_EQ(cease_cause_of(ctx)->code, 77);
    cease_end(root_stop);
    for (int i = 0; i < depth; i++)
        cease_end(stops[i]);
    CHECK_EQ(cease_live_count(), 0);
    free(stops);
}

/* Trap: the parent ends inside a grace period. */
TEST(grace_parentEnded_runsItsOwnTimeWithTheParentsValues)
{
    cease_canceler *stop, *grace_stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    cease_ctx *value = cease_with_value(parent, &key, "v");
    cease_cancel(stop);
    cease_ctx *grace = cease_with_grace(value, cease_hour(1), &grace_stop);
    cease_time deadline;
    CHECK(!cease_done(grace));
    CHECK(cease_deadline(grace, &deadline));
    CHECK_STR(cease_value(grace, &key), "v");
    CHECK(cease_done(value));
    cease_end(grace_stop);
    grace = cease_with_grace(value, cease_ns(0), &grace_stop);
    CHECK_ERR(cease_err(grace), CEASE_EDEADLINE);
    cease_end(grace_stop);
    grace = cease_with_grace(value, CEASE_FOREVER, &grace_stop);
    CHECK(!cease_deadline(grace, NULL));
    cease_end(grace_stop);
    cease_unref(value);
    cease_end(stop);
}

static int released;
static void release(void *self)
{
    released++;
    free(self);
}

static bool source_value(void *self, cease_key *k, void **ret_value)
{
    (void)k;
    *ret_value = self;
    return true;
}

static void check_failed(const cease_ctx *ctx)
{
    CHECK_PTR(ctx, cease_nomem());
    CHECK(cease_done(ctx));
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ENOMEM);
    CHECK(cease_value(ctx, &key) == NULL);
}

static cease_key owned = CEASE_KEY_OWNED("owned", release);

TEST(derive_withoutMemory_givesTheEndedContextAndConsumesWhatItWasGiven)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    static const cease_source source = {sizeof source, source_value, release};
    cease_canceler *stop, *root_stop;
    cease_ctx *root = cease_with_cancel(cease_background(), &root_stop);
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_trim();
        released = 0;
        cease_ctx *ctxs[] = {
            cease_with_cancel(root, &stop),
        };
        if (cease_err(ctxs[0]))
            check_failed(ctxs[0]);
        cease_cancel_cause(stop, 3, "text %d", 1);
        cease_end(stop);
        char *value = malloc(8), *self = malloc(8);
        cease_ctx *v = cease_with_value(root, &owned, value);
        cease_ctx *s = cease_with_source(root, &source, self);
        cease_ctx *w = cease_without_cancel(root);
        cease_ctx *m = cease_with_merge(root, root, &stop);
        if (v == cease_nomem())
            check_failed(v);
        cease_unref(v);
        cease_unref(s);
        cease_unref(w);
        CHECK_EQ(released, 1 + (value != NULL)); /* NULL values are not destroyed */
        if (m == cease_nomem())
            check_failed(m);
        cease_end(stop);
        cease_after *after = cease_after_func(root, (void (*)(void *))abort, NULL);
        if (after != NULL)
            CHECK(cease_after_stop(after));
        int fd = cease_done_fd(root);
        CHECK(fd >= 0 || fd == CEASE_ENOMEM);
    }
    cease_end(root_stop);
    cease_threads_stop();
}

/* [TestAllocs]: one allocation a derivation, none from a warm cache. */
TEST(derive_inTheSteadyState_allocatesNothing)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    cease_canceler *root_stop, *stop;
    cease_ctx *root = cease_with_cancel(cease_background(), &root_stop);
    cease_end((cease_with_timeout(root, cease_hour(1), &stop), stop));
    long before = harness_heap_allocs();
    for (int i = 0; i < 1000; i++) {
        cease_ctx *ctx = cease_with_cancel(root, &stop);
        CHECK(!cease_done(ctx));
        cease_cancel(stop);
        cease_end(stop);
        (void)cease_with_timeout(root, cease_hour(1), &stop);
        cease_end(stop);
    }
    CHECK_EQ(harness_heap_allocs() - before, 0);
    cease_unref(cease_with_value(root, &key, "v"));
    CHECK_EQ(harness_heap_allocs() - before, 0);
    cease_ctx *all[200];
    for (int i = 0; i < 200; i++)
        all[i] = i % 2 ? cease_with_value(root, &key, "v") : cease_without_cancel(root);
    CHECK(harness_heap_allocs() - before <= 200);
    for (int i = 0; i < 200; i++)
        cease_unref(all[i]);
    cease_end(root_stop);
}

/* [TestInvalidDerivedFail], [TestWithValueChecksKey]: the caller's place is named. */
TEST_ABORTS(withCancel_noPlaceForTheCanceler_aborts, "ret_canceler is NULL")
{
    (void)cease_with_cancel(cease_background(), NULL);
}

TEST_ABORTS(withCancel_parentIsNull_abortsWithTheCallersPlace, "ctx_test.c")
{
    cease_canceler *stop;
    (void)cease_with_cancel(NULL, &stop);
}

TEST_ABORTS(withValue_keyIsNull_abortsWithTheCallersPlace, "withValue_keyIsNull")
{
    (void)cease_with_value(cease_background(), NULL, "v");
}

TEST_ABORTS(withValue_parentIsNull_aborts, "the parent is NULL")
{
    (void)cease_with_value(NULL, &key, "v");
}

TEST_ABORTS(value_keyIsNull_aborts, "the key is NULL")
{
    (void)cease_value(cease_background(), NULL);
}

TEST_ABORTS(unref_ofACancelersContext_aborts, "belongs to its canceler")
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_unref(ctx);
}

TEST(describe_intoAShortBuffer_isCutAndTold)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    char text[8];
    CHECK_EQ(cease_describe(ctx, text, sizeof text), strlen("background.cancel"));
    CHECK_STR(text, "backgro");
    CHECK_EQ(cease_describe(ctx, NULL, 0), strlen("background.cancel"));
    cease_end(stop);
}

TEST(exported_functions_agreeWithTheInlineOnes)
{
    cease_canceler *stop;
    cease_ctx *ctx = (cease_with_cancel)(cease_background(), &stop);
    CHECK(!cease_done_exported(ctx));
    CHECK_OK(cease_err_exported(ctx));
    (cease_cancel_cause)(stop, 4, "%s", "by function");
    CHECK(cease_done_exported(ctx));
    CHECK_ERR(cease_err_exported(ctx), CEASE_ECANCELED);
    CHECK_STR(cease_cause_of(ctx)->text, "by function");
    CHECK(cease_cause_of(ctx)->place != NULL);
    cease_end(stop);
    ctx = (cease_with_cancel)(cease_background(), &stop);
    (cease_cancel_cause)(stop, 5, NULL);
    CHECK_EQ(cease_cause_of(ctx)->code, 5);
    CHECK_STR(cease_cause_of(ctx)->text, "context canceled");
    cease_end(stop);
}
