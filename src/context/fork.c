/* SPDX-License-Identifier: MIT
 *
 * fork.c: contexts in a forked child.
 *
 * The child has one thread; the others are gone, wherever they were: holding the lock of a node, in
 * the middle of a list, between the claim of a node and its end. Nothing can be locked for the fork
 * that is one lock per node, so nothing is: the child has a new *generation*, every node knows the
 * one it was made in, and whoever is about to take a lock of an older node adopts the node first.
 * Adopting forgets the lock's state, mends the backward pointers of the lists from the forward
 * ones, which are right at every instant, and takes back a claim that nobody is left to finish.
 *
 * A second thread of the child waits while the first adopts a node.
 */
#include "context/list.h"

uint8_t ceasei_generation;

static void mend_list(struct ceasei_list *list)
{
    ceasei_store(&list->lock.word, 0, RELAXED); /* others of this process look whether it is held */
    uintptr_t *at = ceasei_items_of(list);
    while (*at != 0) {
        struct ceasei_link *link = ceasei_untag(*at);
        ceasei_store(&link->pprev, at,
                     RELAXED); /* who looks at it without the lock then adopts, too */
        at = &link->next;
    }
}

static void mend_watches(struct ceasei_node *node)
{
    uint32_t word = ceasei_load(&node->word, RELAXED);
    if ((word & WORD_ENDED) != 0 && (word & WORD_INHERITED) == 0)
        return; /* its cause is there now; the watches went with the thread that ended it */
    cease_watch **at = &node->cause.over.watches;
    for (; *at != NULL; at = &(*at)->next_)
        (*at)->link_ = at;
}

/* Not the claim of a thread of this process, which would have adopted the node first (claim). Its watches may
 * have been on their way to the claimer's stack, which is gone, and what is in their place may be a part of
 * the cause; so may what is in place of a timer's index. No timer of this process has the node, and none
 * will: it was about to be ended. */
static void take_claim_back(struct ceasei_node *node)
{
    ceasei_store(&node->cause.over.watches, NULL, RELAXED);
    node->cause.over.timer_index = TIMER_NONE;
    ceasei_store(&node->word, 0, RELAXED);
}

void ceasei_adopt(struct ceasei_node *node)
{
    static uint32_t adopting; /* atomic: a lock */
    for (unsigned round = 0; ceasei_swap(&adopting, 1, ACQUIRE) != 0;)
        ceasei_backoff(&round);
    if (ceasei_is_older(&node->ctx)) {
        uintptr_t *items = ceasei_items_of(&node->home);
        if (*items & ITEMS_RUN)
            ceasei_store(items, 0, RELAXED); /* those callbacks go on in the parent process */
        if (ceasei_load(&node->word, RELAXED) == WORD_CLAIMED)
            take_claim_back(node);
        mend_watches(node);
        mend_list(&node->home);
        for (uint32_t i = 1; i <= CEASEI_STRIPES; i++) {
            struct ceasei_list *list = ceasei_list_at(node, i);
            if (list == NULL)
                break;
            mend_list(list);
        }
        if (node->ctx.kind == KIND_MERGE)
            container_of_(node, struct ceasei_merge, node)->crossing = 0;
        ceasei_store(&node->ctx.generation, ceasei_generation, RELEASE);
    }
    ceasei_store(&adopting, 0, RELEASE);
}

#ifndef CEASE_INTERLEAVE
static void prepare(void)
{
    ceasei_after_fork(FORK_PREPARE);
    ceasei_timers_fork(FORK_PREPARE);
    ceasei_debug_fork(FORK_PREPARE);
    ceasei_threads_fork(FORK_PREPARE); /* its lock is taken under each of the others */
#if CEASEI_CACHES
    ceasei_pool_fork(FORK_PREPARE);
#endif
}

static void in_parent(void)
{
#if CEASEI_CACHES
    ceasei_pool_fork(FORK_PARENT);
#endif
    ceasei_threads_fork(FORK_PARENT);
    ceasei_debug_fork(FORK_PARENT);
    ceasei_timers_fork(FORK_PARENT);
    ceasei_after_fork(FORK_PARENT);
}

static void in_child(void)
{
    ceasei_generation++;
#if CEASEI_CACHES
    ceasei_pool_fork(FORK_CHILD);
#endif
    ceasei_debug_fork(FORK_CHILD);
    ceasei_timers_fork(FORK_CHILD);
    ceasei_after_fork(FORK_CHILD);
    ceasei_threads_fork(FORK_CHILD);
    cease_hooks_install(NULL);
}

__attribute__((constructor)) static void init(void)
{
    /* Failing needs a program without memory before main: then a fork is as it would be without
     * this. */
    (void)pthread_atfork(prepare, in_parent, in_child);
}
#endif
