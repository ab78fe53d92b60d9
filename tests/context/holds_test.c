/* SPDX-License-Identifier: MIT
 *
 * Out to break: the promise that nobody waits for more than 256 nodes of somebody's walk, however
 * many children end at once. Counted, not timed.
 *
 * The one idea: this program has the walk (end.c) inside itself, with the calls that take a lock,
 * give it back and look at a child replaced by ones that count and then do the same. So the real
 * walk is counted, and what is released carries no counter. Between any two holds the walker's own
 * thread uses the lists that it walks: if a lock were still held then, that would never return.
 */
#include "harness.h"

#include "context/list.h"

#include <stdlib.h>

static size_t holds, nodes, nodes_in_hold, nodes_in_hold_max;
static void (*between_holds)(void);

static void hold_begins(void)
{
    holds++;
    nodes_in_hold = 0;
}
static void hold_counts(void)
{
    nodes++;
    nodes_in_hold++;
    if (nodes_in_hold > nodes_in_hold_max)
        nodes_in_hold_max = nodes_in_hold;
}
static void hold_ended(void)
{
    nodes_in_hold = 0;
    void (*fn)(void) = between_holds;
    between_holds = NULL; /* not from within itself */
    if (fn != NULL)
        fn();
    between_holds = fn;
}

/* A function's name in parentheses is not a macro's. */
#define ceasei_node_lock(node, list) ((ceasei_node_lock)((node), (list)), hold_begins())
#define ceasei_unlock(lock)          ((ceasei_unlock)(lock), hold_ended())
#define ceasei_node_of_link(tagged)  (hold_counts(), (ceasei_node_of_link)(tagged))
#include "context/end.c" /* NOLINT: see above */

enum { HOLD_MAX = 256 };

static size_t many(void)
{
    return harness_is_slow() ? 20 * 1000 : 1000 * 1000;
}

/* What other threads could want of the lists that are being walked. */
static cease_ctx *root;
static size_t visits;
static void nothing(void *arg)
{
    (void)arg;
}
static void use_the_root(void)
{
    cease_canceler *stop;
    cease_watch w;
    if (!cease_done_exported(root))
        return; /* claimed by this very thread, for a few stores */
    visits++;
    CHECK(cease_done(cease_with_cancel(root, &stop)));
    cease_end(stop);
    CHECK(!cease_watch_add(&w, root, nothing, NULL));
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_RAN);
}

/* Children of one kind under one root, which is then cancelled. */
enum kind { LEAVES, WATCHED, ENDED_BEFORE, WITH_CHILDREN };
struct child {
    cease_canceler *stop, *below;
    cease_watch w;
};

static void grow(struct child *children, size_t count, enum kind kind)
{
    for (size_t i = 0; i < count; i++) {
        cease_ctx *ctx = cease_with_cancel(root, &children[i].stop);
        if (kind == WATCHED)
            CHECK(cease_watch_add(&children[i].w, ctx, nothing, NULL));
        if (kind == ENDED_BEFORE)
            cease_cancel(children[i].stop);
        if (kind == WITH_CHILDREN)
            (void)cease_with_cancel(ctx, &children[i].below);
    }
}

static void check_holds(size_t count, enum kind kind)
{
    struct child *children = calloc(count, sizeof *children);
    cease_canceler *stop;
    root = cease_with_cancel(cease_background(), &stop);
    grow(children, count, kind);
    holds = nodes = nodes_in_hold = nodes_in_hold_max = visits = 0;
    between_holds = use_the_root;
    cease_cancel(stop);
    between_holds = NULL;
    if (nodes_in_hold_max > HOLD_MAX)
        harness_fail(__FILE__, __LINE__, "%zu nodes in one hold", nodes_in_hold_max);
    /* The counters saw the walk: every child that was linked, in as many holds as that takes. */
    if (kind != ENDED_BEFORE)
        CHECK(nodes >= count);
    CHECK(holds >= nodes / HOLD_MAX);
    CHECK(visits >= nodes / HOLD_MAX);
    for (size_t i = 0; i < count; i++) {
        cease_end(children[i].below);
        cease_end(children[i].stop);
    }
    cease_end(stop);
    free(children);
    CHECK_EQ(cease_live_count(), 0);
}

TEST(walk_overAMillionLeaves_holdsNoLockForMoreThan256)
{
    check_holds(many(), LEAVES);
    CHECK_EQ(nodes_in_hold_max, HOLD_MAX); /* and uses what it may: this is what makes it fast */
}

TEST(walk_overWatchedChildren_holdsNoLockForMoreThan256)
{
    check_holds(many() / 4, WATCHED);
}

TEST(walk_overChildrenThatHaveEndedBefore_holdsNoLockForMoreThan256)
{
    check_holds(many() / 4, ENDED_BEFORE);
}

TEST(walk_overChildrenWithChildren_holdsNoLockForMoreThan256)
{
    check_holds(many() / 4, WITH_CHILDREN);
}
