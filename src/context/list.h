/* SPDX-License-Identifier: MIT
 *
 * list.h: a list of children and its links: the few steps that every derivation and every end takes, in line.
 *
 * The items of a home list are in its node, or, once that has one, in its extra.
 *
 * Links are tagged: bit 0 of a pointer to a link says that it is the second link of a merge, so that the node around it
 * can be found. Forward pointers are consistent at every instant: a link is complete before the list points to it, and one
 * store takes it out. That is what a forked child relies on when another thread was in here (ceasei_adopt).
 */
#ifndef CEASE_CONTEXT_LIST_H
#define CEASE_CONTEXT_LIST_H

#include "context/ctx.h"

/* NULL: it has none. Acquires what was in it when it was given to the node. */
static inline struct ceasei_extra *ceasei_extra_of(const struct ceasei_node *node)
{
    uintptr_t items = ceasei_load(&node->home.items, ACQUIRE);
    return CEASE_UNLIKELY(items & ITEMS_EXTRA) ? (struct ceasei_extra *)(items & ~ITEMS_TAGS)
                                               : NULL;
}

/* Where the items of a list are, under its lock. */
static inline uintptr_t *ceasei_items_of(struct ceasei_list *list)
{
    uintptr_t items = list->items;
    if (CEASE_LIKELY((items & ITEMS_EXTRA) == 0))
        return &list->items;
    return &((struct ceasei_extra *)(items & ~ITEMS_TAGS))->items;
}

/* Whether there are none, at this moment; without its lock. */
static inline bool ceasei_list_is_empty(const struct ceasei_list *list)
{
    uintptr_t items = ceasei_load(&list->items, ACQUIRE);
    if (items & ITEMS_EXTRA)
        items = ceasei_load(&((struct ceasei_extra *)(items & ~ITEMS_TAGS))->items, ACQUIRE);
    return items == 0;
}

/* The list with a number, whether with STRIPE_KID or not; NULL: there are no stripes. */
static inline struct ceasei_list *ceasei_list_at(struct ceasei_node *up, uint32_t stripe)
{
    stripe &= STRIPE_KID - 1;
    if (stripe == 0)
        return &up->home;
    struct ceasei_extra *extra = ceasei_extra_of(up);
    char *stripes = extra != NULL ? (char *)ceasei_load(&extra->stripes, ACQUIRE) : NULL;
    if (stripes == NULL)
        return NULL;
    return (struct ceasei_list *)(void *)(stripes + (size_t)(stripe - 1) * CEASEI_STRIPE_SIZE);
}

static inline struct ceasei_link *ceasei_untag(uintptr_t tagged)
{
    return (struct ceasei_link *)(tagged & ~ITEMS_TAGS);
}

static inline struct ceasei_node *ceasei_node_of_link(uintptr_t tagged)
{
    struct ceasei_link *link = ceasei_untag(tagged);
    if (tagged & 1)
        return &container_of_(link, struct ceasei_merge, link)->node;
    return container_of_(link, struct ceasei_node, link);
}

/* All of the following under the list's lock. */
static inline void ceasei_list_add(struct ceasei_list *list, struct ceasei_link *link,
                                   uintptr_t tag)
{
    uintptr_t *items = ceasei_items_of(list);
    link->next = *items;
    ceasei_store(&link->pprev, items, RELEASE);
    if (*items != 0)
        ceasei_store(&ceasei_untag(*items)->pprev, &link->next, RELEASE);
    ceasei_store(items, (uintptr_t)link | tag, RELEASE);
}

static inline void ceasei_list_remove(struct ceasei_link *link)
{
    ceasei_store(link->pprev, link->next, RELEASE);
    if (link->next != 0)
        ceasei_store(&ceasei_untag(link->next)->pprev, link->pprev, RELEASE);
    /* The last touch of the node: who frees it looks at this without the lock. */
    ceasei_store(&link->pprev, NULL, RELEASE);
}

/* Takes the lock of one of the node's lists; adopts what is older than the fork. */
static inline void ceasei_node_lock(struct ceasei_node *node, struct ceasei_list *list)
{
    if (ceasei_is_older(&node->ctx))
        ceasei_adopt(node);
    ceasei_lock(&list->lock);
}

static inline struct ceasei_node *ceasei_up_of(const struct ceasei_node *node)
{
    return node_of(node->ctx.parent);
}

/* Locks the list into which the calling thread adds a child of `up`, which may be one that can end, and
 * whose word has just been `word`. *ret_open: whether up is open, and the child may be added; else up has ended. */
static inline struct ceasei_list *ceasei_enter_list(struct ceasei_node *up, uint32_t word,
                                                    uint32_t *ret_stripe, bool *ret_open)
{
    if (word & WORD_LAZY)
        ceasei_timer_arm(up);
    struct ceasei_list *list = &up->home;
    *ret_stripe = 0;
    if (CEASE_UNLIKELY(ceasei_extra_of(up) != NULL))
        list = ceasei_list_at(up, *ret_stripe = ceasei_choose_stripe(up));
    if (ceasei_is_older(&up->ctx))
        ceasei_adopt(up);
    enum ceasei_lock_wait waited = ceasei_lock_told(&list->lock);
    /* not taken: the lock of a stripe: two of its threads in one instant */
    if (CEASE_UNLIKELY(waited != LOCK_AT_ONCE) && *ret_stripe == 0)
        list = ceasei_leave_contended(up, waited == LOCK_AFTER_LONG, ret_stripe);
    word = ceasei_load(&up->word, SEQ_CST); /* I3 */
    /* not taken: open after all: with a bug on purpose only */
    *ret_open = CEASE_LIKELY(word == 0) || ceasei_is_open(up, list, word);
    return list;
}

/* Links a child into one of up's lists, which counts it if it is a kid, also when up has ended: then
 * the answer is false, and the child is not linked. */
static inline bool ceasei_register(struct ceasei_node *up, struct ceasei_node *child, bool kid,
                                   uint32_t word)
{
    uint32_t stripe;
    bool open;
    struct ceasei_list *list = ceasei_enter_list(up, word, &stripe, &open);
    child->ctx.stripe = (uint8_t)(stripe | (kid ? STRIPE_KID : 0));
    if (kid)
        ceasei_store(&list->kids, list->kids + 1, RELAXED);
    if (CEASE_LIKELY(open))
        ceasei_list_add(list, &child->link, 0);
    ceasei_unlock(&list->lock);
    return open;
}

/* With the claim held: nothing below the node, no watch and no fd, and nothing can be added any
 * more (I3). */
static inline bool ceasei_is_quiet(const struct ceasei_node *node)
{
    return !ceasei_lock_held(&node->home.lock) && ceasei_load(&node->home.items, ACQUIRE) == 0 &&
           ceasei_load(&node->cause.over.watches, ACQUIRE) == NULL;
}

#endif
