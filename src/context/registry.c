/* SPDX-License-Identifier: MIT
 *
 * registry.c: the lists in which an ancestor finds its children.
 *
 * One list per node, in the node. When its lock is waited for several times in a row, or once for
 * long, the node grows stripes: more lists of the same kind, a cache line each, and every thread
 * derives into its own. There are as many as threads that could do so at once, not as processors: on a
 * busy machine a fair lock stands still whenever the thread whose turn it is does not run, so what
 * counts is that few share one. A child remembers the number of its list (0: the home list), because it leaves through the
 * same lock.
 */
#include "context/list.h"

#include <stdlib.h>
#include <string.h>

enum { CONTENDED_MAX = 8 };

/* ----- stripes ----- */

struct ceasei_extra *ceasei_extra_new(void)
{
    struct ceasei_extra *extra = malloc(sizeof *extra);
    if (extra != NULL)
        *extra = (struct ceasei_extra){.fd = -1};
    return extra;
}

void ceasei_extra_install(struct ceasei_node *node, struct ceasei_extra **extra)
{
    uintptr_t items = node->home.items;
    if (items & ITEMS_EXTRA)
        return;
    /* In this order, so that a fork finds the forward pointers whole. */
    (*extra)->items = items;
    ceasei_store(&node->home.items, (uintptr_t)*extra | ITEMS_EXTRA, RELEASE);
    if (items != 0 && (items & ITEMS_RUN) == 0 && !CEASE_SEED_BUG(BUG_EXTRA))
        ceasei_store(&ceasei_untag(items)->pprev, &(*extra)->items, RELEASE);
    *extra = NULL;
}

/* A node that does not get them goes on without. */
static void grow_stripes(struct ceasei_node *node)
{
    size_t size = (size_t)CEASEI_STRIPES * CEASEI_STRIPE_SIZE;
    void *stripes = aligned_alloc(CEASEI_STRIPE_SIZE, size);
    struct ceasei_extra *extra = ceasei_extra_new();
    if (stripes != NULL && extra != NULL) {
        memset(stripes, 0, size);
        ceasei_node_lock(node, &node->home);
        if (ceasei_load(&node->word, SEQ_CST) == 0) {
            ceasei_extra_install(node, &extra);
            struct ceasei_extra *its = ceasei_extra_of(node);
            bool wanted = its->stripes == NULL;
            if (CEASE_SEED_BUG(BUG_STRIPES))
                wanted = true;
            if (wanted) {
                ceasei_store(&its->stripes, stripes, RELEASE);
                stripes = NULL;
            }
        }
        ceasei_unlock(&node->home.lock);
    }
    free(extra);
    free(stripes);
}

/* Of a node that has an extra. */
uint32_t ceasei_choose_stripe(const struct ceasei_node *up)
{
    if (ceasei_load(&ceasei_extra_of(up)->stripes, ACQUIRE) == NULL)
        return 0;
    return 1 + ceasei_thread_self()->number % CEASEI_STRIPES;
}

/* The home lock is held, and has been waited for, `long_` enough for a nap. Then, and when this
 * thread has waited for it CONTENDED_MAX times in a row, the node grows stripes; the list that is
 * locked now is returned. */
struct ceasei_list *ceasei_leave_contended(struct ceasei_node *up, bool long_, uint32_t *ret_stripe)
{
    struct ceasei_thread *self = ceasei_thread_self();
    struct ceasei_list *list = &up->home;
    /* not taken: shared: a thread without memory of its own, in the instant another has the lock */
    if (self->contended != up || self->shared) {
        self->contended = up;
        self->contended_count = 0;
    }
    /* not taken: one of them: it takes threads that meet at the lock again and again */
    if ((++self->contended_count != CONTENDED_MAX && !long_) || ceasei_list_at(up, 1) != NULL)
        return list;
    ceasei_unlock(&list->lock);
    grow_stripes(up);
    if (ceasei_extra_of(up) != NULL)
        list = ceasei_list_at(up, *ret_stripe = ceasei_choose_stripe(up));
    ceasei_node_lock(up, list);
    return list;
}

/* ----- registering ----- */

bool ceasei_is_open(struct ceasei_node *up, struct ceasei_list *list, uint32_t word)
{
    for (;; word = ceasei_load(&up->word, SEQ_CST)) { /* I3 */
        /* not taken: 0: who comes here has read something else, and a claim becomes an end */
        if (word == 0 || (CEASE_SEED_BUG(BUG_DERIVE) && word == WORD_CLAIMED))
            return true;
        if (word & WORD_ENDED)
            return false;
        ceasei_unlock(&list->lock); /* claimed: not while a lock is held */
        (void)ceasei_settled_word(up);
        ceasei_node_lock(up, list);
    }
}

bool ceasei_register_other(struct ceasei_node *up, struct ceasei_merge *merge)
{
    bool open;
    if (never_ends(up))
        return true;
    uint32_t word = ceasei_load(&up->word, RELAXED);
    struct ceasei_list *list = ceasei_enter_list(up, word, &merge->stripe, &open);
    if (open)
        ceasei_list_add(list, &merge->link, 1);
    ceasei_unlock(&list->lock);
    return open;
}

static void unlink_from(struct ceasei_node *up, uint32_t stripe, struct ceasei_link *link)
{
    struct ceasei_list *list = ceasei_list_at(up, stripe);
    ceasei_node_lock(up, list);
    if (link->pprev != NULL)
        ceasei_list_remove(link);
    ceasei_unlock(&list->lock);
}

void ceasei_unlink(struct ceasei_node *node)
{
    /* The stripe was written before the link: it is read after the link has been seen. */
    if (ceasei_load(&node->link.pprev, ACQUIRE) != NULL)
        unlink_from(ceasei_up_of(node), node->ctx.stripe, &node->link);
    if (node->ctx.kind != KIND_MERGE)
        return;
    struct ceasei_merge *merge = container_of_(node, struct ceasei_merge, node);
    if (ceasei_load(&merge->link.pprev, ACQUIRE) != NULL)
        unlink_from(node_of(merge->other), merge->stripe, &merge->link);
}

bool ceasei_unkid(struct ceasei_node *node)
{
    struct ceasei_node *up = ceasei_up_of(node);
    struct ceasei_list *list = ceasei_list_at(up, node->ctx.stripe);
    ceasei_node_lock(up, list);
    uint32_t kids = list->kids - 1;
    ceasei_store(&list->kids, kids, RELAXED);
    ceasei_unlock(&list->lock);
    return kids == KIDS_ORPHAN;
}

size_t cease_child_count(const cease_ctx *ctx)
{
    struct ceasei_node *node = node_of(ctx);
    if (node->ctx.kind == KIND_ROOT)
        return 0;
    size_t count = 0;
    for (uint32_t i = 0; i <= CEASEI_STRIPES; i++) {
        struct ceasei_list *list = ceasei_list_at(node, i);
        if (list == NULL)
            break;
        ceasei_node_lock(node, list);
        uintptr_t items = *ceasei_items_of(list);
        if ((items & ITEMS_RUN) == 0)
            for (uintptr_t at = items; at != 0; at = ceasei_untag(at)->next)
                count += (ceasei_load(&ceasei_node_of_link(at)->word, RELAXED) & WORD_ENDED) == 0;
        if (i == 0 && (node->word & ~(uint32_t)WORD_LAZY) == 0)
            for (cease_watch *w = node->cause.over.watches; w != NULL; w = w->next_)
                count++;
        ceasei_unlock(&list->lock);
    }
    return count;
}
