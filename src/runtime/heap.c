/* SPDX-License-Identifier: MIT */
#include "runtime/heap.h"

/* One tree of two roots; the earlier one is its root, the first one when they are equal. */
static struct ceasei_heap_node *link(struct ceasei_heap_node *a, struct ceasei_heap_node *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (b->at.ns < a->at.ns) {
        struct ceasei_heap_node *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next) {
        b->next->prev = b;
    }
    b->prev = a;
    a->child = b;
    a->next = a->prev = NULL;
    return a;
}

/* One tree of a list of siblings: in pairs from the left, then all pairs from the right. */
static struct ceasei_heap_node *link_all(struct ceasei_heap_node *first)
{
    struct ceasei_heap_node *pairs = NULL; /* newest first, by next */
    while (first) {
        struct ceasei_heap_node *a = first, *b = first->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b) {
            b->next = b->prev = NULL;
        }
        a = link(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct ceasei_heap_node *root = NULL;
    while (pairs) {
        struct ceasei_heap_node *a = pairs;
        pairs = a->next;
        a->next = NULL;
        root = link(a, root);
    }
    return root;
}

void ceasei_heap_add(struct ceasei_heap *h, struct ceasei_heap_node *n)
{
    n->child = n->next = n->prev = NULL;
    h->root = link(h->root, n);
}

void ceasei_heap_remove(struct ceasei_heap *h, struct ceasei_heap_node *n)
{
    struct ceasei_heap_node *rest = link_all(n->child);
    n->child = NULL;
    if (n == h->root) {
        h->root = rest;
        return;
    }
    if (n->prev->child == n) {
        n->prev->child = n->next;
    } else {
        n->prev->next = n->next;
    }
    if (n->next) {
        n->next->prev = n->prev;
    }
    n->next = n->prev = NULL;
    h->root = link(h->root, rest);
}
