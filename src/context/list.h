/* SPDX-License-Identifier: MIT
 *
 * list.h: a list of children and its links: the few steps that every derivation and every end takes, in line.
 *
 * Links are tagged: bit 0 of a pointer to a link says that it is the second link of a merge, so that the node around it
 * can be found. Forward pointers are consistent at every instant: a link is complete before the list points to it, and one
 * store takes it out. That is what a forked child relies on when another thread was in here (ceasei_adopt).
 */
#ifndef CEASE_CONTEXT_LIST_H
#define CEASE_CONTEXT_LIST_H

#include "context/ctx.h"

/* The list with a number; NULL: there are no stripes. */
static inline struct ceasei_list *ceasei_list_at(struct ceasei_node *up, uint32_t stripe)
{
    if (stripe == 0)
        return &up->home;
    struct ceasei_extra *extra = ceasei_load(&up->extra, ACQUIRE);
    char *stripes = extra != NULL ? (char *)ceasei_load(&extra->stripes, ACQUIRE) : NULL;
    if (stripes == NULL)
        return NULL;
    return (struct ceasei_list *)(void *)(stripes + (size_t)(stripe - 1) * CEASEI_STRIPE_SIZE);
}

static inline struct ceasei_link *ceasei_untag(uintptr_t tagged)
{
    return (struct ceasei_link *)(tagged & ~(uintptr_t)1);
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
    link->next = list->items;
    ceasei_store(&link->pprev, &list->items, RELEASE);
    if (list->items != 0)
        ceasei_store(&ceasei_untag(list->items)->pprev, &link->next, RELEASE);
    ceasei_store(&list->items, (uintptr_t)link | tag, RELEASE);
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

#endif
