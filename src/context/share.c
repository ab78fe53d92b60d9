/* SPDX-License-Identifier: MIT
 *
 * share.c: the shares of a canceler, and how the last one goes.
 *
 * A context is held by its shares, together one reference. In the common case (a request's context
 * goes with its only share, nothing is below it and nobody has a reference) the holder is the last who
 * knows it but for its parent's list: it is taken off there and freed, in one hold of that list's
 * lock, whether it has been cancelled before or not. Everything else is an end and a release.
 */
#include "context/list.h"

cease_canceler *cease_canceler_ref(cease_canceler *c)
{
    CEASEI_ALIVE((cease_ctx *)(void *)c, NULL, "cease_canceler_ref");
    struct ceasei_node *node = node_of_canceler(c);
    if (c != NULL && node->ctx.kind != KIND_ROOT &&
        CEASE_UNLIKELY(ceasei_add(&node->shares, 1, RELAXED) >= COUNT_MAX))
        /* not taken: NULL: node_new() has put a place there */
        ceasei_panic(node->cause.own.place,
                     "cease_canceler_ref: two thousand million shares of the "
                     "context made here: they are never ended");
    return c;
}

/* Takes a node that only its last share's holder knows off its parent. False: somebody has taken a
 * reference after all, and nothing was done. *ret_drop_parent: the parent must be released. */
static inline bool leave(struct ceasei_node *node, bool *ret_drop_parent)
{
    bool counted = (node->ctx.stripe & STRIPE_KID) != 0;
    *ret_drop_parent = !counted;
    if (!counted && ceasei_load(&node->link.pprev, ACQUIRE) == NULL)
        return ceasei_load(&node->ctx.refs, ACQUIRE) == 1;
    struct ceasei_node *up = ceasei_up_of(node);
    struct ceasei_list *list = ceasei_list_at(up, node->ctx.stripe);
    ceasei_node_lock(up, list);
    /* A walker takes its reference under this lock, so there is none, and there will be none. */
    bool alone = ceasei_load(&node->ctx.refs, ACQUIRE) == 1;
    if (CEASE_SEED_BUG(BUG_END))
        alone = true;
    uint32_t kids = list->kids;
    if (alone && node->link.pprev != NULL)
        ceasei_list_remove(&node->link);
    if (alone && counted)
        ceasei_store(&list->kids, --kids, RELAXED);
    ceasei_unlock(&list->lock);
    if (alone && counted)
        *ret_drop_parent = kids == KIDS_ORPHAN;
    return alone;
}

/* The common end of a request's context: open or ended, nothing below it, and nobody but the caller
 * knows it. With its parent's lock held no walker reaches it, so it needs no state of its own any
 * more: it is taken off and freed. Not while a timer watches it: only who has claimed a node may take
 * it off that. */
static inline bool discard(struct ceasei_node *node)
{
    uint32_t word = ceasei_load(&node->word, ACQUIRE); /* of who runs its callbacks: kids */
    if (ceasei_load(&node->ctx.refs, ACQUIRE) != 1 || node->ctx.kind == KIND_MERGE ||
        ceasei_load(&node->home.kids, RELAXED) != 0 || ceasei_is_older(&node->ctx) ||
        (word & (WORD_CLAIMED | WORD_ENDING)) != 0)
        return false;
    if ((word & WORD_DONE) != 0) {
        /* Its last kid may still be on its way out through the lock, and stripes have kids of their
         * own. */
        struct ceasei_extra *extra = ceasei_extra_of(node);
        if (ceasei_lock_held(&node->home.lock) ||
            (extra != NULL && ceasei_load(&extra->stripes, ACQUIRE) != NULL))
            return false;
    } else if (!ceasei_is_quiet(node) || (word == 0 && has_timer(node))) {
        return false;
    }
    bool drop_parent;
    cease_ctx *parent = node->ctx.parent;
    if (!leave(node, &drop_parent))
        return false;
    if ((word & WORD_DONE) != 0) { /* else it is quiet: no text, no extra */
        ceasei_free_text(node);
        if (CEASE_UNLIKELY(ceasei_extra_of(node) != NULL))
            ceasei_extra_free(node);
    }
    ceasei_free(node, sizeof *node);
    if (CEASE_UNLIKELY(drop_parent && parent->kind != KIND_ROOT))
        ceasei_release(parent);
    return true;
}

/* What discard() leaves: the context is ended like any other, then the share is given back. */
static __attribute__((noinline)) void end_share(struct ceasei_node *node, bool last)
{
    if ((ceasei_load(&node->word, ACQUIRE) & WORD_DONE) == 0)
        ceasei_end(node,
                   &(struct ceasei_reason){.error = CEASE_ECANCELED, .code = CEASE_ECANCELED});
    if (ceasei_sub(&node->shares, 1, ACQ_REL) == 1 && (last || !CEASE_SEED_BUG(BUG_SHARES)))
        ceasei_release(&node->ctx);
}

/* For discard_below_background(): nothing is below the node, and nothing of it to be freed but itself. */
static inline bool is_bare(const struct ceasei_node *node)
{
    uint32_t word = ceasei_load(&node->word, ACQUIRE); /* pairs with the end by another thread */
    if (word == WORD_DONE) /* by a cancel without a text of its own; no extra, so no stripes */
        /* not taken: held: its last kid is on the way out, in one instant */
        return !ceasei_lock_held(&node->home.lock) && node->home.items == 0;
    return (word & ~(uint32_t)WORD_LAZY) == 0 && !(word == 0 && has_timer(node)) &&
           ceasei_is_quiet(node);
}

/* What discard() does, for a context straight below the background: it is in no list. Without a
 * call, so that no register has to be saved. Under CEASE_DEBUG no block is taken back. */
static inline bool discard_below_background(struct ceasei_node *node)
{
    return node->ctx.parent == &ceasei_background.ctx && node->ctx.kind != KIND_MERGE &&
           ceasei_load(&node->shares, ACQUIRE) == 1 && ceasei_load(&node->ctx.refs, ACQUIRE) == 1 &&
           ceasei_load(&node->home.kids, RELAXED) == 0 && is_bare(node) &&
           !ceasei_is_older(&node->ctx) && ceasei_free_at_hand(node);
}

static __attribute__((noinline)) void end_canceler(cease_canceler *c)
{
    CEASEI_ALIVE((cease_ctx *)(void *)c, NULL, "cease_end");
    struct ceasei_node *node = node_of_canceler(c);
    if (node->ctx.kind == KIND_ROOT)
        return;
    bool last = ceasei_load(&node->shares, ACQUIRE) == 1;
    if (!last || !discard(node))
        end_share(node, last);
}

void cease_end(cease_canceler *c)
{
    if (c != NULL && !discard_below_background(node_of_canceler(c)))
        end_canceler(c);
}
