/* SPDX-License-Identifier: MIT
 *
 * registry.c: the lists in which an ancestor finds its children.
 *
 * One list per node, in the node. When a list's lock is found held several times in a row, the node
 * grows stripes: more lists of the same kind, a cache line each, and every thread derives into its
 * own. A child remembers the number of its list (0: the home list), because it leaves through the
 * same lock.
 */
#include "context/list.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTENDED_MAX = 8, STRIPES_MAX = 64 };

uint32_t ceasei_stripe_count(void)
{
    static uint32_t known; /* atomic; the same for everybody who computes it */
    uint32_t count = ceasei_load(&known, RELAXED);
    if (count != 0)
        return count;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (count = 4; count < STRIPES_MAX && (long)count < 2 * cores;)
        count *= 2;
    ceasei_store(&known, count, RELAXED);
    return count;
}

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
    if (node->extra != NULL)
        return;
    ceasei_store(&node->extra, *extra, RELEASE);
    *extra = NULL;
}

/* A node that does not get them goes on without. */
static void grow_stripes(struct ceasei_node *node)
{
    size_t size = (size_t)ceasei_stripe_count() * CEASEI_STRIPE_SIZE;
    void *stripes = aligned_alloc(CEASEI_STRIPE_SIZE, size);
    struct ceasei_extra *extra = ceasei_extra_new();
    if (stripes != NULL && extra != NULL) {
        memset(stripes, 0, size);
        ceasei_node_lock(node, &node->home);
        if (ceasei_load(&node->word, SEQ_CST) == 0) {
            ceasei_extra_install(node, &extra);
            bool wanted = node->extra->stripes == NULL;
            if (CEASE_SEED_BUG(BUG_STRIPES))
                wanted = true;
            if (wanted) {
                ceasei_store(&node->extra->stripes, stripes, RELEASE);
                stripes = NULL;
            }
        }
        ceasei_unlock(&node->home.lock);
    }
    free(extra);
    free(stripes);
}

static uint32_t choose_stripe(struct ceasei_node *up)
{
    struct ceasei_thread *self = ceasei_thread_self();
    if (CEASE_UNLIKELY(ceasei_lock_held(&up->home.lock))) {
        /* not taken: shared: a thread without memory of its own, in the instant another has the lock */
        if (self->contended != up || self->shared) {
            self->contended = up;
            self->contended_count = 0;
        } else if (++self->contended_count == CONTENDED_MAX && ceasei_list_at(up, 1) == NULL) {
            grow_stripes(up);
        }
    }
    struct ceasei_extra *extra = ceasei_load(&up->extra, ACQUIRE);
    if (CEASE_LIKELY(extra == NULL || ceasei_load(&extra->stripes, ACQUIRE) == NULL))
        return 0;
    return 1 + self->number % ceasei_stripe_count();
}

/* ----- registering ----- */

/* With the lock of one of up's lists held: true when children may be added, false when up has
 * ended. */
static bool open_for_children(struct ceasei_node *up, struct ceasei_list **list, uint32_t stripe)
{
    for (;;) {
        uint32_t word = ceasei_load(&up->word, SEQ_CST); /* I3 */
        if (CEASE_LIKELY(word == 0) || (CEASE_SEED_BUG(BUG_DERIVE) && word == WORD_CLAIMED))
            return true;
        if (word & WORD_ENDED)
            return false;
        ceasei_unlock(&(*list)->lock); /* claimed: not while a lock is held */
        (void)ceasei_settled_word(up);
        ceasei_node_lock(up, *list = ceasei_list_at(up, stripe));
    }
}

/* Puts a link into one of up's lists, the number of which is written to *ret_stripe first. With `kid` the list counts one
 * kid more, also when up has ended; then the answer is false, and the link stays out. */
static bool add_to(struct ceasei_node *up, struct ceasei_link *link, uintptr_t tag, bool kid,
                   uint16_t *ret_stripe)
{
    if (never_ends(up))
        return true;
    if (ceasei_load(&up->word, RELAXED) & WORD_LAZY)
        ceasei_timer_arm(up);
    uint32_t stripe = choose_stripe(up);
    struct ceasei_list *list = ceasei_list_at(up, stripe);
    ceasei_node_lock(up, list);
    bool open = open_for_children(up, &list, stripe);
    *ret_stripe = (uint16_t)stripe;
    if (kid)
        ceasei_store(&list->kids, list->kids + 1, RELAXED);
    if (open)
        ceasei_list_add(list, link, tag);
    ceasei_unlock(&list->lock);
    return open;
}

bool ceasei_register(struct ceasei_node *up, struct ceasei_node *child)
{
    return add_to(up, &child->link, 0, (child->hold & HOLD_KID) != 0, &child->stripe);
}

bool ceasei_register_other(struct ceasei_node *up, struct ceasei_merge *merge)
{
    return add_to(up, &merge->link, 1, false, &merge->stripe);
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
        unlink_from(ceasei_up_of(node), node->stripe, &node->link);
    if (node->ctx.kind != KIND_MERGE)
        return;
    struct ceasei_merge *merge = container_of_(node, struct ceasei_merge, node);
    if (ceasei_load(&merge->link.pprev, ACQUIRE) != NULL)
        unlink_from(node_of(merge->other), merge->stripe, &merge->link);
}

bool ceasei_unkid(struct ceasei_node *node)
{
    struct ceasei_node *up = ceasei_up_of(node);
    struct ceasei_list *list = ceasei_list_at(up, node->stripe);
    ceasei_node_lock(up, list);
    uint32_t kids = list->kids - 1;
    ceasei_store(&list->kids, kids, RELAXED);
    ceasei_unlock(&list->lock);
    return kids == KIDS_ORPHAN;
}

bool ceasei_leave(struct ceasei_node *node, bool *drop_parent)
{
    bool counted = (node->hold & HOLD_KID) != 0;
    if (!counted && ceasei_load(&node->link.pprev, ACQUIRE) == NULL)
        return ceasei_load(&node->ctx.refs, ACQUIRE) == 1;
    struct ceasei_node *up = ceasei_up_of(node);
    struct ceasei_list *list = ceasei_list_at(up, node->stripe);
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
        *drop_parent = kids == KIDS_ORPHAN;
    return alone;
}

size_t cease_child_count(const cease_ctx *ctx)
{
    struct ceasei_node *node = node_of(ctx);
    if (node->ctx.kind == KIND_ROOT)
        return 0;
    size_t count = 0;
    for (uint32_t i = 0; i <= ceasei_stripe_count(); i++) {
        struct ceasei_list *list = ceasei_list_at(node, i);
        if (list == NULL)
            break;
        ceasei_node_lock(node, list);
        if (i > 0 || (node->flags & FLAG_CALLBACKS) == 0)
            for (uintptr_t at = list->items; at != 0; at = ceasei_untag(at)->next)
                count += (ceasei_load(&ceasei_node_of_link(at)->word, RELAXED) & WORD_ENDED) == 0;
        if (i == 0 && (node->word & ~(uint32_t)WORD_LAZY) == 0)
            for (cease_watch *w = node->cause.over.watches; w != NULL; w = w->next_)
                count++;
        ceasei_unlock(&list->lock);
    }
    return count;
}
