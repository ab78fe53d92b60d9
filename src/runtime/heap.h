/* SPDX-License-Identifier: MIT
 *
 * heap.h: an intrusive pairing heap of points in time.
 *
 * Nodes are the caller's, on a parked task's stack: adding allocates nothing and cannot fail. Add is
 * O(1), removing any node O(log n) amortised, both without recursion. Nothing here is shared: a heap
 * belongs to one worker.
 */
#ifndef CEASE_RUNTIME_HEAP_H
#define CEASE_RUNTIME_HEAP_H

#include <cease/time.h>
#include <stddef.h>

struct ceasei_heap_node {
    struct ceasei_heap_node *child; /* the first of its children, none of them earlier       */
    struct ceasei_heap_node *next;  /* its next sibling                                      */
    struct ceasei_heap_node *prev;  /* its previous sibling; its parent when it is the first */
    cease_time at;
};

/* NULL: empty. The root is the earliest. */
struct ceasei_heap {
    struct ceasei_heap_node *root;
};

/* Adds a node whose `at` is set and stays. */
void ceasei_heap_add(struct ceasei_heap *h, struct ceasei_heap_node *n);

/* Removes a node that is in the heap. */
void ceasei_heap_remove(struct ceasei_heap *h, struct ceasei_heap_node *n);

static inline cease_time ceasei_heap_next(const struct ceasei_heap *h)
{
    cease_time never = {INT64_MAX};
    return h->root ? h->root->at : never;
}

#endif
