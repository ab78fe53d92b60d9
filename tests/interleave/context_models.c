/* SPDX-License-Identifier: MIT
 *
 * context_models.c: the tree of contexts under every interleaving of two or three calls: deriving,
 * cancelling, ending, letting go, merging, deadlines.
 *
 * Every model checks, with the explorer's help, that nothing is used after it was freed, freed twice
 * or left behind, that accesses are ordered, and that nobody waits for ever; and of the contract:
 * when the call that ended a context returns its whole subtree is done, and a cause is the first
 * winner's and whole.
 */
#include "context/ctx.h"
#include "explore.h"

#include <stdlib.h>
#include <string.h>

static cease_ctx *root, *child, *grandchild, *other, *merged, *born;
static cease_canceler *root_stop, *root_share, *child_stop, *grandchild_stop, *other_stop,
    *merged_stop, *born_stop;

/* ---- what all of them share ------------------------------------------------------------------- */

/* The cause is what one of the cancels of these models said, all of it. */
static void check_cause(const cease_ctx *ctx)
{
    const cease_cause *cause = cease_cause_of(ctx);
    EXPLORE_CHECK(cause != NULL);
    EXPLORE_CHECK(cause->error == CEASE_ECANCELED);
    EXPLORE_CHECK(cause->place != NULL);
    if (cause->code == 1)
        EXPLORE_CHECK(strcmp(cause->text, "one") == 0);
    else if (cause->code == 2)
        EXPLORE_CHECK(strcmp(cause->text, "two") == 0);
    else
        EXPLORE_CHECK(cause->code == CEASE_ECANCELED);
}

static void check_done(const cease_ctx *ctx)
{
    EXPLORE_CHECK(cease_done(ctx));
    EXPLORE_CHECK(cease_err(ctx) == CEASE_ECANCELED);
    check_cause(ctx);
}

/* What a look finds is nothing at all or all of it. */
static void look(const cease_ctx *ctx)
{
    if (cease_done(ctx))
        check_done(ctx);
}

static void end_all(void)
{
    cease_end(born_stop);
    cease_end(merged_stop);
    cease_end(other_stop);
    cease_end(grandchild_stop);
    cease_end(child_stop);
    cease_end(root_share);
    cease_end(root_stop);
    EXPLORE_CHECK(cease_live_count() == 0);
}

static void make_root(void)
{
    root = cease_with_cancel(cease_background(), &root_stop);
}

static void make_child(void)
{
    make_root();
    child = cease_with_cancel(root, &child_stop);
}

static void make_grandchild(void)
{
    make_child();
    grandchild = cease_with_cancel(child, &grandchild_stop);
}

static void make_root_share(void)
{
    make_root();
    root_share = cease_canceler_ref(root_stop);
}

static void cancel_root(void)
{
    cease_cancel_cause(root_stop, 1, "one");
    check_done(root);
    if (child)
        check_done(child);
    if (grandchild)
        check_done(grandchild);
}

static void cancel_child(void)
{
    cease_cancel_cause(child_stop, 2, "two");
    check_done(child);
    /* Somebody else's cancel may be at work below: then this one has returned at once. */
    if (grandchild && cease_cause_of(child)->code == 2)
        check_done(grandchild);
}

static void end_root(void)
{
    cease_end(root_stop);
    root_stop = NULL;
}

static void end_child(void)
{
    cease_end(child_stop);
    child_stop = NULL;
}

static void end_grandchild(void)
{
    cease_end(grandchild_stop);
    grandchild_stop = NULL;
}

/* ---- cancel, and looks ------------------------------------------------------------------------ */

static void look_at_root(void)
{
    look(root);
    look(root);
}

static void look_at_child(void)
{
    look(child);
    if (cease_done(child))
        check_done(child);
}

static void cancel_root_plainly(void)
{
    cease_cancel(root_stop);
    check_done(root);
}

MODEL(ctx_look_cancel, .setup = make_root, .threads = {look_at_root, cancel_root}, .check = end_all,
      .mutants_found_min = 1,
      .seeds = {{BUG_CANCEL, false, "the end is published before the cause is written"}});
MODEL(ctx_look_cancel_inherited, .setup = make_child, .threads = {look_at_child, cancel_root},
      .check = end_all, .mutants_found_min = 1);
MODEL(ctx_cancel_cancel, .setup = make_root,
      .threads = {cancel_root, cancel_root_plainly, look_at_root}, .check = end_all,
      .mutants_found_min = 1);
MODEL(ctx_cancel_parent_child, .setup = make_child, .threads = {cancel_root, cancel_child},
      .check = end_all, .mutants_found_min = 2);
MODEL(ctx_cancel_parent_child_grandchild, .setup = make_grandchild,
      .threads = {cancel_root, cancel_child}, .check = end_all, .mutants_found_min = 2);

/* ---- derive ----------------------------------------------------------------------------------- */

static void derive_from_root(void)
{
    born = cease_with_cancel(root, &born_stop);
    look(born);
}

static void derive_and_end(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root, &stop);
    look(ctx);
    cease_end(stop);
}

static void derive_from_child(void)
{
    born = cease_with_cancel(child, &born_stop);
    look(born);
}

static void check_born_done(void)
{
    check_done(born);
    EXPLORE_CHECK(cease_cause_of(born) == cease_cause_of(root) ||
                  cease_cause_of(born) == cease_cause_of(child));
    end_all();
}

static void check_born_as_root(void)
{
    check_done(born);
    EXPLORE_CHECK(cease_cause_of(born) == cease_cause_of(root));
    end_all();
}

static void check_nothing_registered(void)
{
    EXPLORE_CHECK(cease_child_count(root) == 0);
    end_all();
}

MODEL(ctx_derive_cancel, .setup = make_root, .threads = {derive_from_root, cancel_root},
      .check = check_born_as_root, .mutants_found_min = 3,
      .seeds = {{BUG_DERIVE, false, "a child is added to a parent that somebody has claimed"}});
MODEL(ctx_derive_end_cancel, .setup = make_root, .threads = {derive_and_end, cancel_root},
      .check = check_nothing_registered, .mutants_found_min = 3);
MODEL(ctx_derive_derive, .setup = make_root, .threads = {derive_and_end, derive_and_end},
      .check = check_nothing_registered, .mutants_found_min = 2);
MODEL(ctx_derive_grandchild_cancel, .setup = make_child,
      .threads = {derive_from_child, cancel_root}, .check = check_born_done,
      .mutants_found_min = 3);
MODEL(ctx_derive_grandchild_cancel_both, .setup = make_child,
      .threads = {derive_from_child, cancel_root, cancel_child}, .check = check_born_done);

/* ---- stripes: the same with a parent whose children are spread over several lists ------------- */

static void grow_stripes(cease_ctx *ctx)
{
    struct ceasei_node *node = node_of(ctx);
    size_t size = (size_t)CEASEI_STRIPES * CEASEI_STRIPE_SIZE;
    struct ceasei_extra *extra = ceasei_extra_new();
    extra->stripes = memset(aligned_alloc(CEASEI_STRIPE_SIZE, size), 0, size);
    ceasei_extra_install(node, &extra);
}

static void make_striped(void)
{
    make_root();
    grow_stripes(root);
}

static void make_striped_child(void)
{
    make_child();
    grow_stripes(root);
    other = cease_with_cancel(root, &other_stop);
}

static void end_striped(void)
{
    cease_end(other_stop);
    other_stop = NULL;
}

/* Found held this often before, so that the next time is enough. */
static void be_contended(void)
{
    ceasei_thread_self()->contended = node_of(root);
    ceasei_thread_self()->contended_count = 7;
}

static void derive_contended(void)
{
    be_contended();
    derive_and_end();
}

static void derive_contended_without_memory(void)
{
    be_contended();
    explore_fail_alloc(2); /* the first is the context's own */
    derive_and_end();
    explore_fail_alloc(0);
}

static void derive_contended_without_extra(void)
{
    be_contended();
    explore_fail_alloc(3);
    derive_and_end();
    explore_fail_alloc(0);
}

static void derive_twice(void)
{
    derive_and_end();
    derive_and_end();
}

MODEL(ctx_stripes_grow_grow, .setup = make_root,
      .threads = {derive_contended, derive_contended, derive_twice},
      .check = check_nothing_registered,
      .seeds = {{BUG_STRIPES, false, "the stripes of another thread are replaced"}});
MODEL(ctx_stripes_grow_cancel, .setup = make_root,
      .threads = {derive_contended, derive_and_end, cancel_root},
      .check = check_nothing_registered);
MODEL(ctx_stripes_grow_no_memory, .setup = make_root,
      .threads = {derive_contended_without_memory, derive_and_end},
      .check = check_nothing_registered);
MODEL(ctx_stripes_grow_no_extra, .setup = make_root,
      .threads = {derive_contended_without_extra, derive_and_end},
      .check = check_nothing_registered);
MODEL(ctx_stripes_derive_cancel, .setup = make_striped, .threads = {derive_from_root, cancel_root},
      .check = check_born_as_root, .mutants_found_min = 2);
MODEL(ctx_stripes_derive_end_cancel, .setup = make_striped,
      .threads = {derive_and_end, cancel_root}, .check = check_nothing_registered,
      .mutants_found_min = 2);
MODEL(ctx_stripes_derive_end, .setup = make_striped_child,
      .threads = {derive_and_end, end_striped, cancel_root}, .check = check_nothing_registered);
MODEL(ctx_stripes_end_end_root, .setup = make_striped_child,
      .threads = {end_striped, end_root, end_child}, .check = end_all);

/* ---- end and let go --------------------------------------------------------------------------- */

static void cancel_and_end_share(void)
{
    cease_cancel_cause(root_share, 2, "two");
    check_done(root);
    cease_end(root_share);
    root_share = NULL;
}

MODEL(ctx_end_share_cancel, .setup = make_root_share, .threads = {end_root, cancel_and_end_share},
      .check = end_all, .mutants_found_min = 1,
      .seeds = {{BUG_SHARES, false, "who is last is decided by an earlier look"}});
MODEL(ctx_end_child_cancel, .setup = make_child, .threads = {end_child, cancel_root_plainly},
      .check = end_all, .mutants_found_min = 2);
MODEL(ctx_end_child_end_root, .setup = make_child, .threads = {end_child, end_root},
      .check = end_all, .mutants_found_min = 2,
      .seeds = {{BUG_UNREF, false, "a parent is freed while its last kid still holds the lock"}});
MODEL(ctx_end_grandchild_cancel, .setup = make_grandchild,
      .threads = {end_grandchild, cancel_root_plainly}, .check = end_all, .mutants_found_min = 2);
MODEL(ctx_end_middle_cancel, .setup = make_grandchild, .threads = {end_child, cancel_root_plainly},
      .check = end_all, .mutants_found_min = 2);
MODEL(ctx_end_all_three, .setup = make_grandchild, .threads = {end_grandchild, end_child, end_root},
      .check = end_all);

/* Ended, but not yet let go of: what is below goes at the same time. */
static void make_ended_child(void)
{
    make_child();
    cease_cancel_cause(root_stop, 1, "one");
}

MODEL(ctx_end_child_end_root_ended, .setup = make_ended_child, .threads = {end_child, end_root},
      .check = end_all);

/* A child that has ended, with an fd: a walker enters it while its owner lets go. */
static void make_ended_with_fd(void)
{
    make_child();
    cease_cancel(child_stop); /* it stays linked: it had nothing below it */
    EXPLORE_CHECK(cease_done_fd(child) >= 0);
}

MODEL(ctx_end_ended_cancel, .setup = make_ended_with_fd,
      .threads = {end_child, cancel_root_plainly}, .check = end_all,
      .seeds = {{BUG_END, false, "a node is freed while a walker has a reference"}});

static void make_siblings(void)
{
    make_child();
    other = cease_with_cancel(root, &other_stop);
}

static void end_other(void)
{
    cease_end(other_stop);
    other_stop = NULL;
}

MODEL(ctx_end_siblings, .setup = make_siblings, .threads = {end_child, end_other},
      .check = check_nothing_registered, .mutants_found_min = 1);
MODEL(ctx_end_siblings_cancel, .setup = make_siblings,
      .threads = {end_child, end_other, cancel_root_plainly}, .check = check_nothing_registered);
MODEL(ctx_end_siblings_end_root, .setup = make_siblings,
      .threads = {end_child, end_other, end_root}, .check = end_all);

/* ---- references ------------------------------------------------------------------------------- */

static cease_key key = CEASE_KEY("key");
static int value;

static void make_value(void)
{
    make_root();
    born = cease_with_value(root, &key, &value);
    cease_ref(born);
}

static void use_value(void)
{
    EXPLORE_CHECK(cease_value(born, &key) == &value);
    look(born);
    cease_unref(born);
}

static void end_root_check_live(void)
{
    end_all();
}

MODEL(ctx_unref_unref, .setup = make_value, .threads = {use_value, use_value},
      .check = end_root_check_live, .mutants_found_min = 1);
MODEL(ctx_unref_end, .setup = make_value, .threads = {use_value, use_value, end_root},
      .check = end_all, .mutants_found_min = 1);

static void ref_root_child(void)
{
    make_child();
    cease_ref(child);
}

static void unref_child(void)
{
    look(child);
    cease_unref(child);
}

MODEL(ctx_end_unref_cancel, .setup = ref_root_child,
      .threads = {end_child, unref_child, cancel_root_plainly}, .check = end_all);

static void derive_value(void)
{
    cease_ctx *ctx = cease_with_value(root, &key, &value);
    EXPLORE_CHECK(cease_value(ctx, &key) == &value);
    look(ctx);
    cease_unref(ctx);
}

/* Both may be the first to use the key. */
MODEL(ctx_value_value, .setup = make_root, .threads = {derive_value, derive_value},
      .check = end_all);

/* ---- merge ------------------------------------------------------------------------------------ */

static void make_parents(void)
{
    make_root();
    other = cease_with_cancel(cease_background(), &other_stop);
}

static void make_merge(void)
{
    make_parents();
    merged = cease_with_merge(root, other, &merged_stop);
}

static void make_merge_with_child(void)
{
    make_merge();
    born = cease_with_cancel(merged, &born_stop);
}

static void cancel_root_merge(void)
{
    cease_cancel_cause(root_stop, 1, "one");
    check_done(root);
    check_done(merged);
    if (born)
        check_done(born);
}

static void cancel_other_merge(void)
{
    cease_cancel_cause(other_stop, 2, "two");
    check_done(other);
    check_done(merged);
    if (born)
        check_done(born);
}

static void cancel_other(void)
{
    cease_cancel_cause(other_stop, 2, "two");
    check_done(other);
}

static void derive_merge(void)
{
    merged = cease_with_merge(root, other, &merged_stop);
    look(merged);
}

static void end_merge(void)
{
    cease_end(merged_stop);
    merged_stop = NULL;
}

static void check_merge_done(void)
{
    check_done(merged);
    end_all();
}

MODEL(ctx_merge_both_cancelled, .setup = make_merge,
      .threads = {cancel_root_merge, cancel_other_merge}, .check = check_merge_done,
      .mutants_found_min = 2);
MODEL(ctx_merge_both_cancelled_child, .setup = make_merge_with_child,
      .threads = {cancel_root_merge, cancel_other_merge}, .check = check_merge_done);
/* Both walk the list of `other`, and find the merge there. */
static void make_merge_below(void)
{
    make_root();
    child = cease_with_cancel(cease_background(), &child_stop);
    other = cease_with_cancel(child, &other_stop);
    merged = cease_with_merge(root, other, &merged_stop);
    born = cease_with_cancel(merged, &born_stop);
}

static void cancel_above_other(void)
{
    cease_cancel_cause(child_stop, 1, "one");
    check_done(other);
    check_done(merged);
    check_done(born);
}

MODEL(ctx_merge_crossed_twice, .setup = make_merge_below,
      .threads = {cancel_above_other, cancel_other}, .check = check_merge_done,
      .seeds = {{BUG_MERGE, false, "two walkers enter a merge through its second parent"}});
MODEL(ctx_merge_derive_cancel, .setup = make_parents,
      .threads = {derive_merge, cancel_root_plainly}, .check = check_merge_done,
      .mutants_found_min = 2);
MODEL(ctx_merge_derive_cancel_other, .setup = make_parents, .threads = {derive_merge, cancel_other},
      .check = check_merge_done, .mutants_found_min = 2);
MODEL(ctx_merge_derive_cancel_both, .setup = make_parents,
      .threads = {derive_merge, cancel_root_plainly, cancel_other}, .check = check_merge_done);
MODEL(ctx_merge_end_cancel, .setup = make_merge, .threads = {end_merge, cancel_root_plainly},
      .check = end_all, .mutants_found_min = 2);
MODEL(ctx_merge_end_cancel_other, .setup = make_merge, .threads = {end_merge, cancel_other},
      .check = end_all, .mutants_found_min = 2);

/* ---- grace ------------------------------------------------------------------------------------ */

static void make_grace(void)
{
    make_root();
    child = cease_with_cancel(root, &child_stop);
    born = cease_with_grace(child, CEASE_FOREVER, &born_stop);
}

static void grace_goes_on(void)
{
    EXPLORE_CHECK(!cease_done(born));
    cease_end(born_stop);
    born_stop = NULL;
}

MODEL(ctx_grace_cancel, .setup = make_grace,
      .threads = {grace_goes_on, cancel_root_plainly, end_child}, .check = end_all,
      .may_leak = false, .seeds = {{BUG_GRACE, false, "a grace does not keep its parent"}});

/* ---- deadlines -------------------------------------------------------------------------------- */

static void make_deadline(void)
{
    root = cease_with_deadline(cease_background(), (cease_time){100}, &root_stop);
}

static void make_armed(void)
{
    make_deadline();
    EXPLORE_CHECK(cease_err(root) == CEASE_OK);
    EXPLORE_CHECK(cease_timers_next(0).ns == 100);
}

static void fire(void)
{
    cease_timers_run(0, (cease_time){1000});
}

static void check_either(const cease_ctx *ctx)
{
    const cease_cause *cause = cease_cause_of(ctx);
    EXPLORE_CHECK(cause != NULL && cause->error == cease_err(ctx));
    if (cause->error == CEASE_EDEADLINE)
        EXPLORE_CHECK(cause->code == CEASE_EDEADLINE && cause->at.ns == 100);
    else
        check_cause(ctx);
}

static void cancel_deadline(void)
{
    cease_cancel_cause(root_stop, 1, "one");
    check_either(root);
}

static void arm(void)
{
    if (cease_err(root) != CEASE_OK)
        check_either(root);
}

static void derive_lazy(void)
{
    born = cease_with_cancel(root, &born_stop);
    if (cease_err(born) != CEASE_OK)
        check_either(born);
}

/* A shard keeps its memory for the next deadlines: may_leak. */
static void check_no_timer(void)
{
    check_either(root);
    if (born)
        check_either(born);
    EXPLORE_CHECK(cease_timers_next(0).ns == INT64_MAX);
    end_all();
}

static void check_gone(void)
{
    EXPLORE_CHECK(cease_timers_next(0).ns == INT64_MAX);
    end_all();
}

MODEL(ctx_deadline_fire_end, .setup = make_armed, .threads = {fire, end_root}, .check = check_gone,
      .may_leak = true, .mutants_found_min = 2,
      .seeds = {{BUG_FIRE, false, "what is due is ended without a reference"}});
MODEL(ctx_deadline_fire_cancel, .setup = make_armed, .threads = {fire, cancel_deadline},
      .check = check_no_timer, .may_leak = true, .mutants_found_min = 2);
MODEL(ctx_deadline_arm_cancel, .setup = make_deadline, .threads = {arm, cancel_deadline},
      .check = check_no_timer, .may_leak = true, .mutants_found_min = 2,
      .seeds = {{BUG_LAZY, false, "a node that has ended meanwhile is armed"}});
MODEL(ctx_deadline_arm_arm_cancel, .setup = make_deadline, .threads = {arm, arm, cancel_deadline},
      .check = check_no_timer, .may_leak = true);
MODEL(ctx_deadline_derive_cancel, .setup = make_deadline, .threads = {derive_lazy, cancel_deadline},
      .check = check_no_timer, .may_leak = true, .mutants_found_min = 2);
MODEL(ctx_deadline_fire_derive, .setup = make_armed, .threads = {derive_lazy, fire},
      .check = check_no_timer, .may_leak = true, .mutants_found_min = 2);
MODEL(ctx_deadline_fire_cancel_end, .setup = make_armed,
      .threads = {fire, cancel_deadline, derive_lazy}, .check = check_no_timer, .may_leak = true);

/* ---- without memory for a deadline ------------------------------------------------------------- */

enum { ROOM = 16 }; /* of a shard that has never grown */
static cease_canceler *armed[ROOM];

static void fill_shard(void)
{
    for (int i = 0; i < ROOM; i++)
        EXPLORE_CHECK(
            !cease_done(cease_with_deadline(cease_background(), (cease_time){200 + i}, &armed[i])));
    make_deadline();
}

static void arm_without_memory(void)
{
    explore_fail_alloc(1);
    cease_error e = cease_err(root);
    explore_fail_alloc(0);
    if (e != CEASE_OK)
        EXPLORE_CHECK(cease_cause_of(root)->code == CEASE_ENOMEM);
}

static void end_one_armed(void)
{
    cease_end(armed[0]);
    armed[0] = NULL;
}

static void end_armed(void)
{
    for (int i = 0; i < ROOM; i++)
        cease_end(armed[i]);
    check_gone();
}

static void check_armed(void)
{
    cease_end(root_stop);
    root_stop = NULL;
    end_armed();
}

MODEL(ctx_deadline_no_room, .setup = fill_shard, .threads = {arm_without_memory, end_one_armed},
      .check = check_armed, .may_leak = true);

/* ---- in a forked child: two of its threads meet a context that is older than it ----------------- */

/* What a fork leaves when another thread of the parent process holds the claim on the child. */
static void fork_in_claim(void)
{
    make_grandchild();
    grow_stripes(root);
    node_of(child)->word = WORD_CLAIMED;
    ceasei_generation++;
}

static void cancel_older(void)
{
    cease_cancel_cause(child_stop, 2, "two");
    check_done(child);
}

static void cancel_older_root(void)
{
    cease_cancel_cause(root_stop, 1, "one");
    check_done(root);
    check_done(child);
}

static void check_older(void)
{
    check_done(child);
    check_done(grandchild);
    EXPLORE_CHECK(cease_cause_of(child)->code == 2);
}

static void check_older_root(void)
{
    check_done(root);
    check_done(child);
    check_done(grandchild);
}

/* What is older than the fork keeps its memory: may_leak. */
MODEL(ctx_fork_cancel_cancel, .setup = fork_in_claim, .threads = {cancel_older, cancel_older},
      .check = check_older, .may_leak = true);
MODEL(ctx_fork_cancel_parent_child, .setup = fork_in_claim,
      .threads = {cancel_older, cancel_older_root}, .check = check_older_root, .may_leak = true);

static void fork_root(void)
{
    make_root();
    ceasei_generation++;
}

MODEL(ctx_fork_derive_cancel, .setup = fork_root, .threads = {derive_from_root, cancel_root},
      .check = check_born_as_root, .may_leak = true,
      .seeds = {{BUG_FORK, false, "a live claim is taken for one that the fork cut off"}});
