/* SPDX-License-Identifier: MIT
 *
 * ctx.c: making contexts, and giving them back.
 *
 * A derivation allocates once, fills in what never changes, and, for a node whose parent can end,
 * registers with the nearest node above (registry.c). It never fails towards its caller: without
 * memory it hands out `ceasei_failed`, a static context that has ended, and a canceler of that,
 * with which every call does nothing.
 *
 * A context is freed by whoever drops its last reference, which ends its hold on its parent, which
 * may free that in turn: a loop, not a recursion.
 */
#include "context/list.h"

#include <stdio.h>
#include <string.h>

/* ----- roots ----- */

static const cease_place failed_place = {__FILE__, __LINE__, "cease"};

static const cease_place unknown_place = {"unknown", 0, "unknown"};

struct ceasei_node ceasei_background = {
    .ctx = {.state = &ceasei_background.word,
            .values = &ceasei_no_values,
            .deadline = {INT64_MAX},
            .kind = KIND_ROOT},
};
struct ceasei_node ceasei_todo = {
    .ctx = {.state = &ceasei_todo.word,
            .values = &ceasei_no_values,
            .deadline = {INT64_MAX},
            .kind = KIND_ROOT},
};
struct ceasei_node ceasei_failed = {
    .ctx = {.state = &ceasei_failed.word,
            .values = &ceasei_no_values,
            .deadline = {INT64_MAX},
            .kind = KIND_ROOT},
    .word = WORD_DONE,
    .cause = {.own = {.error = CEASE_ECANCELED,
                      .code = CEASE_ENOMEM,
                      .text = "out of memory",
                      .place = &failed_place}},
};

cease_ctx *cease_background(void)
{
    return &ceasei_background.ctx;
}

cease_ctx *cease_todo(void)
{
    return &ceasei_todo.ctx;
}

/* ----- making ----- */

static inline void fill(cease_ctx *ctx, cease_ctx *parent, enum ceasei_kind kind)
{
    ctx->parent = parent;
    ctx->values = parent->values;
    ctx->deadline = parent->deadline;
    ctx->refs = 1;
    ctx->kind = (uint8_t)kind;
    ctx->generation = ceasei_generation;
    ctx->shard = 0;
    ctx->stripe = 0;
}

/* A node, open, not registered. */
static inline void node_fill(struct ceasei_node *node, cease_ctx *parent, enum ceasei_kind kind,
                             const cease_place *place)
{
    fill(&node->ctx, parent, kind);
    node->ctx.state = &node->word;
    node->word = 0;
    node->shares = 1;
    node->link = (struct ceasei_link){0, NULL};
    node->home = (struct ceasei_list){.kids = 0};
    node->cause.own = (cease_cause){.place = place != NULL ? place : &unknown_place};
    node->cause.over.timer_index = TIMER_NONE;
}

/* A new one; NULL without memory. */
static inline struct ceasei_node *node_new(cease_ctx *parent, enum ceasei_kind kind,
                                           const cease_place *place)
{
    struct ceasei_node *node =
        ceasei_alloc(kind == KIND_MERGE ? sizeof(struct ceasei_merge) : sizeof *node);
    if (node == NULL)
        return NULL;
    node_fill(node, parent, kind, place);
    if (CEASE_UNLIKELY(ceasei_debug))
        ceasei_debug_born(&node->ctx, place);
    return node;
}

/* Without memory. */
static cease_ctx *failed(cease_canceler **ret_canceler)
{
    /* not taken: NULL: every caller has checked it */
    if (ret_canceler != NULL)
        *ret_canceler = (cease_canceler *)(void *)&ceasei_failed;
    return &ceasei_failed.ctx;
}

void ceasei_check(const void *pointer, const cease_place *place, const char *what)
{
    if (CEASE_UNLIKELY(pointer == NULL))
        ceasei_panic(place, "%s is NULL", what);
}

void ceasei_check_parent(const cease_ctx *parent, const cease_place *place, const char *what)
{
    ceasei_check(parent, place, what);
    CEASEI_ALIVE(parent, place, what);
}

/* Below what has ended there is nothing to hear: the child is in no list, and holds its parent by a
 * reference. Nobody knows it yet, so there is nobody to claim it from. */
static __attribute__((noinline)) void be_born_ended(struct ceasei_node *node, cease_ctx *parent,
                                                    uint32_t word)
{
    ceasei_ref(parent);
    node->cause.over.inherited = ceasei_cause(node_of(parent));
    ceasei_store(&node->word, WORD_DONE | WORD_INHERITED | (word & WORD_DEADLINE), RELEASE);
}

/* Registers a filled node with the nearest node above it. A parent that has ended ends it before
 * anybody has seen it. */
static inline void attach(struct ceasei_node *node, cease_ctx *parent)
{
    struct ceasei_node *up = node_of(parent);
    uint32_t word = ceasei_load(&up->word, ACQUIRE); /* pairs with the end: its cause is there */
    if (CEASE_UNLIKELY((word & WORD_ENDED) != 0)) {
        be_born_ended(node, parent, word);
        return;
    }
    bool kid = &up->ctx == parent;
    if (up->ctx.kind == KIND_ROOT || !kid)
        ceasei_ref(parent);
    if (up->ctx.kind != KIND_ROOT && CEASE_UNLIKELY(!ceasei_register(up, node, kid, word)))
        ceasei_inherit(node, up);
}

/* Gives the finished node to its maker. */
static cease_ctx *deliver(struct ceasei_node *node, cease_canceler **ret_canceler)
{
    *ret_canceler = (cease_canceler *)(void *)node;
    return &node->ctx;
}

static __attribute__((noinline)) cease_ctx *with_cancel(cease_ctx *parent,
                                                        cease_canceler **ret_canceler,
                                                        const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_cancel: the parent");
    ceasei_check((void *)ret_canceler, place, "cease_with_cancel: ret_canceler");
    struct ceasei_node *node = node_new(parent, KIND_CANCEL, place);
    if (node == NULL)
        return failed(ret_canceler);
    attach(node, parent);
    return deliver(node, ret_canceler);
}

cease_ctx *cease_with_cancel_at(cease_ctx *parent, cease_canceler **ret_canceler,
                                const cease_place *place)
{
    /* Straight below the background, with a block at hand, nothing has to be called, and so no register
     * to be saved: a third of the whole. */
    struct ceasei_node *node = NULL;
    if (parent == &ceasei_background.ctx && ret_canceler != NULL)
        node = ceasei_alloc_at_hand();
    if (node == NULL)
        return with_cancel(parent, ret_canceler, place);
    node_fill(node, parent, KIND_CANCEL, place);
    return deliver(node, ret_canceler);
}

/* Gives a node that nobody has seen a deadline of its own; the past ends it at once. */
static void set_deadline(struct ceasei_node *node, cease_time deadline, int code, const char *text)
{
    node->ctx.deadline = deadline;
    node->ctx.shard = (uint8_t)ceasei_timer_shard();
    node->cause.own.code = code != 0 ? code : CEASE_EDEADLINE;
    node->cause.own.text = text;
    node->word = WORD_LAZY;
}

/* A deadline above has passed, but its timer has not come round yet: ends that context now. */
static void end_passed_above(cease_ctx *ctx, cease_time now)
{
    /* not taken: NULL: the deadline of a root never passes */
    for (; ctx != NULL && ctx->deadline.ns <= now.ns; ctx = ctx->parent)
        if (is_node(ctx) && has_timer(as_node(ctx)))
            ceasei_end_by_deadline(as_node(ctx));
}

static cease_ctx *with_deadline(cease_ctx *parent, cease_time deadline, cease_time now,
                                const struct ceasei_reason *reason, cease_canceler **ret_canceler)
{
    bool own = deadline.ns < parent->deadline.ns;
    struct ceasei_node *node = node_new(parent, own ? KIND_DEADLINE : KIND_CANCEL, reason->place);
    if (node == NULL)
        return failed(ret_canceler);
    if (own)
        set_deadline(node, deadline, reason->code, reason->text);
    attach(node, parent);
    if (CEASE_UNLIKELY(deadline.ns <= now.ns)) {
        if (own)
            ceasei_end_by_deadline(node);
        else
            end_passed_above(parent, now);
    }
    return deliver(node, ret_canceler);
}

cease_ctx *cease_with_deadline_cause_at(cease_ctx *parent, cease_time deadline, int code,
                                        const char *text, cease_canceler **ret_canceler,
                                        const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_deadline: the parent");
    ceasei_check((void *)ret_canceler, place, "cease_with_deadline: ret_canceler");
    struct ceasei_reason reason = {.code = code, .text = text, .place = place};
    return with_deadline(parent, deadline, cease_now(), &reason, ret_canceler);
}

cease_ctx *cease_with_deadline_at(cease_ctx *parent, cease_time deadline,
                                  cease_canceler **ret_canceler, const cease_place *place)
{
    return cease_with_deadline_cause_at(parent, deadline, 0, NULL, ret_canceler, place);
}

cease_ctx *cease_with_timeout_cause_at(cease_ctx *parent, cease_dur timeout, int code,
                                       const char *text, cease_canceler **ret_canceler,
                                       const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_timeout: the parent");
    ceasei_check((void *)ret_canceler, place, "cease_with_timeout: ret_canceler");
    struct ceasei_reason reason = {.code = code, .text = text, .place = place};
    cease_time now = cease_now();
    cease_time deadline = cease_time_add(now, timeout);
    return with_deadline(parent, deadline, now, &reason, ret_canceler);
}

cease_ctx *cease_with_timeout_at(cease_ctx *parent, cease_dur timeout,
                                 cease_canceler **ret_canceler, const cease_place *place)
{
    return cease_with_timeout_cause_at(parent, timeout, 0, NULL, ret_canceler, place);
}

cease_ctx *cease_with_grace_at(cease_ctx *parent, cease_dur budget, cease_canceler **ret_canceler,
                               const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_grace: the parent");
    ceasei_check((void *)ret_canceler, place, "cease_with_grace: ret_canceler");
    struct ceasei_node *node = node_new(parent, KIND_GRACE, place);
    if (node == NULL)
        return failed(ret_canceler);
    if (!CEASE_SEED_BUG(BUG_GRACE))
        ceasei_ref(parent);
    node->ctx.deadline = CEASE_NEVER;
    if (budget.ns != INT64_MAX)
        set_deadline(node, cease_time_add(cease_now(), budget), 0, NULL);
    if (budget.ns <= 0)
        ceasei_end_by_deadline(node);
    return deliver(node, ret_canceler);
}

cease_ctx *cease_with_merge_at(cease_ctx *parent, cease_ctx *other, cease_canceler **ret_canceler,
                               const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_merge: the parent");
    ceasei_check_parent(other, place, "cease_with_merge: the other parent");
    ceasei_check((void *)ret_canceler, place, "cease_with_merge: ret_canceler");
    struct ceasei_node *node = node_new(parent, KIND_MERGE, place);
    if (node == NULL)
        return failed(ret_canceler);
    struct ceasei_merge *merge = container_of_(node, struct ceasei_merge, node);
    merge->other = other;
    merge->link = (struct ceasei_link){0, NULL};
    merge->stripe = 0;
    merge->crossing = 0;
    merge->outer = NULL;
    merge->outer_cross = NULL;
    ceasei_ref(other);
    if (other->deadline.ns < node->ctx.deadline.ns)
        node->ctx.deadline = other->deadline;
    /* From the first registration on, a walker may reach the node. So what it finds ended is ended
     * by a claim, and taken off again, in whatever order things happened (I2). */
    struct ceasei_node *up = node_of(parent), *other_up = node_of(other);
    attach(node, parent);
    if (other_up != up && !ceasei_register_other(other_up, merge))
        ceasei_inherit(node, other_up);
    if (ceasei_settled_word(node) & WORD_ENDED)
        ceasei_unlink(node);
    return deliver(node, ret_canceler);
}

/* A plain context shows the state of its nearest node, and is not registered anywhere. */
cease_ctx *ceasei_plain_new(cease_ctx *parent, enum ceasei_kind kind, size_t size,
                            const cease_place *place)
{
    cease_ctx *ctx = ceasei_alloc(size);
    if (ctx == NULL)
        return NULL;
    fill(ctx, parent, kind);
    if (CEASE_UNLIKELY(ceasei_debug))
        ceasei_debug_born(ctx, place);
    ctx->state = parent->state;
    ceasei_ref(parent);
    return ctx;
}

cease_ctx *cease_without_cancel_at(cease_ctx *parent, const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_without_cancel: the parent");
    cease_ctx *ctx = ceasei_plain_new(parent, KIND_DETACHED, sizeof *ctx, place);
    if (ctx == NULL)
        return &ceasei_failed.ctx;
    ctx->state = &ceasei_background.word;
    ctx->deadline = CEASE_NEVER;
    return ctx;
}

/* ----- references and freeing ----- */

void ceasei_ref(cease_ctx *ctx)
{
    if (ctx->kind != KIND_ROOT)
        ceasei_add(&ctx->refs, 1, RELAXED); /* the caller's own hold keeps it alive */
}

/* True when nobody but the caller can reach a node whose references are gone. The order matters:
 * the last kid takes itself out of the count under the lock, and still unlocks after that. */
static bool is_childless(const struct ceasei_node *node)
{
    if (ceasei_extra_of(node) != NULL || ceasei_load(&node->home.kids, ACQUIRE) != 0)
        return false;
    if (CEASE_SEED_BUG(BUG_UNREF))
        return true;
    return !ceasei_lock_held(&node->home.lock);
}

static bool orphan_list(struct ceasei_node *node, struct ceasei_list *list)
{
    ceasei_node_lock(node, list);
    bool has_kids = (list->kids & ~KIDS_ORPHAN) != 0;
    if (has_kids)
        ceasei_add(&node->ctx.refs, 1, RELAXED);
    ceasei_store(&list->kids, list->kids | KIDS_ORPHAN, RELAXED);
    ceasei_unlock(&list->lock);
    return has_kids;
}

/* The references of a node are gone, its kids may not be. True when it can be freed now. */
static bool orphan(struct ceasei_node *node)
{
    if (is_childless(node))
        return true;
    if (ceasei_load(&node->home.kids, RELAXED) & KIDS_ORPHAN)
        return true;                           /* its last kid dropped the last reference */
    ceasei_store(&node->ctx.refs, 1, RELAXED); /* ours, while the lists are visited */
    for (uint32_t i = 0; i <= CEASEI_STRIPES; i++) {
        struct ceasei_list *list = ceasei_list_at(node, i);
        if (list != NULL)
            (void)orphan_list(node, list);
    }
    return ceasei_sub(&node->ctx.refs, 1, ACQ_REL) == 1;
}

static void free_node(struct ceasei_node *node)
{
    if (ceasei_is_older(&node->ctx))
        return; /* made before the fork: other threads of that time may still be in its lists */
    if (node->ctx.kind == KIND_MERGE)
        ceasei_free(node, sizeof(struct ceasei_merge));
    else
        ceasei_free(node, sizeof *node);
}

/* Frees one context whose last reference is gone, and returns what it held and must be dropped in
 * turn. A merge holds two: its memory stays, in the list of those whose other parent is still to be
 * dropped. */
static cease_ctx *free_one(cease_ctx *ctx, struct ceasei_merge **pending)
{
    cease_ctx *parent = ctx->parent;
    if (!is_node(ctx)) {
        ceasei_free(ctx, ceasei_values_deinit(ctx));
        return parent;
    }
    struct ceasei_node *node = as_node(ctx);
    ceasei_unlink(node);
    bool drop_parent = (node->ctx.stripe & STRIPE_KID) != 0 ? ceasei_unkid(node) : true;
    ceasei_free_text(node);
    ceasei_extra_free(node);
    if (ctx->kind == KIND_MERGE) {
        struct ceasei_merge *merge = container_of_(node, struct ceasei_merge, node);
        merge->outer_cross = *pending;
        *pending = merge;
    } else {
        free_node(node);
    }
    return drop_parent ? parent : NULL;
}

/* Drops a reference; true when it was the last and the context is to be freed. */
static bool drop(cease_ctx *ctx)
{
    if (ctx->kind == KIND_ROOT || ceasei_sub(&ctx->refs, 1, ACQ_REL) != 1)
        return false;
    if (!is_node(ctx))
        return true;
    struct ceasei_node *node = as_node(ctx);
    if (CEASE_UNLIKELY(ceasei_load(&node->shares, RELAXED) != 0))
        /* not taken: NULL: node_new() has put a place there */
        ceasei_panic(node->cause.own.place,
                     "cease_unref: the context made here belongs to its canceler, which has not "
                     "been ended, and no reference was taken");
    return orphan(node);
}

void ceasei_release(cease_ctx *ctx)
{
    struct ceasei_merge *pending = NULL;
    for (;;) {
        while (ctx != NULL && drop(ctx))
            ctx = free_one(ctx, &pending);
        if (pending == NULL)
            return;
        struct ceasei_merge *merge = pending;
        pending = merge->outer_cross;
        ctx = merge->other;
        free_node(&merge->node);
    }
}

cease_ctx *cease_ref(cease_ctx *ctx)
{
    CEASEI_ALIVE(ctx, NULL, "cease_ref");
    if (ctx != NULL && ctx->kind != KIND_ROOT &&
        CEASE_UNLIKELY(ceasei_add(&ctx->refs, 1, RELAXED) >= COUNT_MAX))
        ceasei_panic_at(NULL, 0, NULL,
                        "cease_ref: two thousand million references: they are never dropped");
    return ctx;
}

cease_ctx *cease_unref(cease_ctx *ctx)
{
    CEASEI_ALIVE(ctx, NULL, "cease_unref");
    if (ctx != NULL)
        ceasei_release(ctx);
    return NULL;
}

cease_ctx *cease_nomem(void)
{
    return &ceasei_failed.ctx;
}

/* ----- looking ----- */

/* For a state word that is not zero: whether the node has ended, as others may rely on it. */
static uint32_t look(const cease_ctx *ctx)
{
    struct ceasei_node *node = node_of(ctx);
    uint32_t word = ceasei_load(&node->word, ACQUIRE);
    CEASEI_ALIVE(ctx, NULL, "cease_done or cease_err");
    if (word & WORD_LAZY) {
        ceasei_timer_arm(node);
        word = ceasei_load(&node->word, ACQUIRE);
    }
    if (word & WORD_ENDING)
        ceasei_fd_signal(node);
    return word & (WORD_ENDED | WORD_DEADLINE);
}

bool cease_done_slow_(const cease_ctx *ctx)
{
    return (look(ctx) & WORD_ENDED) != 0;
}

cease_error cease_err_slow_(const cease_ctx *ctx)
{
    uint32_t word = look(ctx);
    if ((word & WORD_ENDED) == 0)
        return CEASE_OK;
    return word & WORD_DEADLINE ? CEASE_EDEADLINE : CEASE_ECANCELED;
}

bool cease_done_exported(const cease_ctx *ctx)
{
    return cease_done(ctx);
}

cease_error cease_err_exported(const cease_ctx *ctx)
{
    return cease_err(ctx);
}

const cease_cause *cease_cause_of(const cease_ctx *ctx)
{
    return cease_done(ctx) ? ceasei_cause(node_of(ctx)) : NULL;
}

bool cease_deadline(const cease_ctx *ctx, cease_time *ret_deadline)
{
    CEASEI_ALIVE(ctx, NULL, "cease_deadline");
    if (ctx->deadline.ns == INT64_MAX)
        return false;
    if (ret_deadline != NULL)
        *ret_deadline = ctx->deadline;
    return true;
}

/* ----- the same calls for bindings, which have no place to give ----- */

cease_ctx *(cease_with_cancel)(cease_ctx *parent, cease_canceler **ret_canceler)
{
    return cease_with_cancel_at(parent, ret_canceler, NULL);
}

cease_ctx *(cease_with_deadline)(cease_ctx *parent, cease_time deadline,
                                 cease_canceler **ret_canceler)
{
    return cease_with_deadline_at(parent, deadline, ret_canceler, NULL);
}

cease_ctx *(cease_with_timeout)(cease_ctx *parent, cease_dur timeout, cease_canceler **ret_canceler)
{
    return cease_with_timeout_at(parent, timeout, ret_canceler, NULL);
}

cease_ctx *(cease_with_deadline_cause)(cease_ctx *parent, cease_time deadline, int code,
                                       const char *text, cease_canceler **ret_canceler)
{
    return cease_with_deadline_cause_at(parent, deadline, code, text, ret_canceler, NULL);
}

cease_ctx *(cease_with_timeout_cause)(cease_ctx *parent, cease_dur timeout, int code,
                                      const char *text, cease_canceler **ret_canceler)
{
    return cease_with_timeout_cause_at(parent, timeout, code, text, ret_canceler, NULL);
}

cease_ctx *(cease_with_merge)(cease_ctx *parent, cease_ctx *other, cease_canceler **ret_canceler)
{
    return cease_with_merge_at(parent, other, ret_canceler, NULL);
}

cease_ctx *(cease_with_grace)(cease_ctx *parent, cease_dur budget, cease_canceler **ret_canceler)
{
    return cease_with_grace_at(parent, budget, ret_canceler, NULL);
}

cease_ctx *(cease_without_cancel)(cease_ctx *parent)
{
    return cease_without_cancel_at(parent, NULL);
}
