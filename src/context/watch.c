/* SPDX-License-Identifier: MIT
 *
 * watch.c: being told that a context has ended, and waiting for it.
 *
 * A watch is linked into its node under the home lock. Whoever ends the node takes watches off one
 * at a time under that lock (end.c), so a removal finds its watch linked, or entered; and if
 * entered, whether it is the one that runs now.
 */
#include "context/list.h"

void ceasei_watch_unlink(cease_watch *w)
{
    ceasei_store(w->link_, w->next_, RELEASE); /* a list's head is looked at without the lock */
    if (w->next_ != NULL)
        w->next_->link_ = w->link_;
}

static void watch_link(struct ceasei_node *node, cease_watch *w, bool waits)
{
    w->next_ = node->cause.over.watches;
    w->link_ = &node->cause.over.watches;
    w->waits_ = waits;
    if (w->next_ != NULL) {
        w->next_->link_ = &w->next_;
        w->waits_ &= w->next_->waits_;
    }
    ceasei_store(&node->cause.over.watches, w, RELAXED);
    ceasei_store(&w->state_, WATCH_LINKED, RELAXED);
}

void ceasei_call_watch(cease_watch_fn *fn, void *arg, const cease_place *place)
{
    static const cease_place unknown = {"unknown", 0, "unknown"};
    struct ceasei_thread *self = ceasei_thread_self();
    const cease_place *outer = self->callback;
    bool outer_is_scope = self->callback_is_scope;
    self->callback = place != NULL ? place : &unknown;
    self->callback_is_scope = false;
    fn(arg);
    self->callback = outer;
    self->callback_is_scope = outer_is_scope;
}

const cease_place *cease_callback_place(void)
{
    return ceasei_thread_self()->callback;
}

static inline bool add(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn, void *arg,
                       const cease_place *place, bool waits)
{
    CEASEI_ALIVE(ctx, place, "cease_watch_add");
    struct ceasei_node *node = node_of(ctx);
    w->ctx_ = ctx;
    w->fn_ = fn;
    w->arg_ = arg;
    w->place_ = place;
    if (never_ends(node)) {
        w->state_ = WATCH_NEVER;
        return true;
    }
    if (ceasei_load(&node->word, RELAXED) & WORD_LAZY)
        ceasei_timer_arm(node);
    ceasei_node_lock(node, &node->home);
    uint32_t word = ceasei_load(&node->word, SEQ_CST); /* I3 */
    if (CEASE_SEED_BUG(BUG_WATCH_ADD) && word == WORD_CLAIMED)
        word = 0;
    if (word == 0)
        watch_link(node, w, waits);
    ceasei_unlock(&node->home.lock);
    if (word == 0)
        return true;
    if (ceasei_settled_word(node) & WORD_ENDING)
        ceasei_fd_signal(node); /* fn may look at the fd */
    ceasei_store(&w->state_, WATCH_ENTERED, RELAXED);
    ceasei_call_watch(fn, arg, place);
    return false;
}

bool cease_watch_add_at(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn, void *arg,
                        const cease_place *place)
{
    return add(w, ctx, fn, arg, place, false);
}

bool cease_watch_add_waiter(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn, void *arg)
{
    return add(w, ctx, fn, arg, CEASE_HERE, true);
}

bool(cease_watch_add)(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn, void *arg)
{
    return cease_watch_add_at(w, ctx, fn, arg, NULL);
}

/* Whether the callback of `w` runs at this moment, and in which run. Under the home lock. */
static struct ceasei_run *run_of(struct ceasei_node *node, const cease_watch *w)
{
    /* Atomic for the explorer's sake: who calls this in a loop waits for it to change. */
    uintptr_t items = ceasei_load(ceasei_items_of(&node->home), RELAXED);
    if ((items & ITEMS_RUN) == 0)
        return NULL;
    struct ceasei_run *run = (struct ceasei_run *)(items & ~ITEMS_TAGS);
    return run->current == w ? run : NULL;
}

/* Whether the callback of `w` is the one that this thread is in; if not, this thread, which is in another callback, is
 * going to wait for it. */
static bool runs_here(const cease_watch *w)
{
    struct ceasei_node *node = node_of(w->ctx_);
    ceasei_node_lock(node, &node->home);
    struct ceasei_run *run = run_of(node, w);
    struct ceasei_thread *self = ceasei_thread_self(), *other = run != NULL ? run->thread : NULL;
    /* Under the lock: without it the callback could return, and its thread be gone.
     * not taken: NULL: it has returned since take_off() saw it run */
    if (CEASE_UNLIKELY(ceasei_debug) && other != NULL && other != self)
        ceasei_debug_wait(self, other);
    ceasei_unlock(&node->home.lock);
    return other == self;
}

static cease_watch_state take_off(cease_watch *w, struct ceasei_waiter *waiter, bool *ret_wait)
{
    uint32_t state = ceasei_load(&w->state_, ACQUIRE);
    if (state == WATCH_NEVER)
        ceasei_store(&w->state_, WATCH_NONE, RELAXED);
    if (state == WATCH_NONE || state == WATCH_NEVER)
        return CEASE_WATCH_REMOVED;
    struct ceasei_node *node = node_of(w->ctx_);
    cease_watch_state found = CEASE_WATCH_RAN;
    ceasei_node_lock(node, &node->home);
    struct ceasei_run *run = run_of(node, w);
    if (run != NULL) {
        found = CEASE_WATCH_RUNNING;
        /* not taken: a waiter in its own callback: callbacks bring none */
        if (waiter != NULL && !CEASE_SEED_BUG(BUG_REMOVE_SYNC) &&
            run->thread != ceasei_thread_self()) {
            waiter->next = run->waiters;
            run->waiters = waiter;
            *ret_wait = true;
        }
    } else if (ceasei_load(&w->state_, RELAXED) == WATCH_LINKED ||
               (CEASE_SEED_BUG(BUG_WATCH_REMOVE) && state == WATCH_LINKED)) {
        ceasei_watch_unlink(w);
        ceasei_store(&w->state_, WATCH_NONE, RELAXED);
        found = CEASE_WATCH_REMOVED;
    }
    ceasei_unlock(&node->home.lock);
    return found;
}

cease_watch_state cease_watch_remove(cease_watch *w)
{
    return take_off(w, NULL, NULL);
}

void cease_watch_remove_sync(cease_watch *w)
{
    struct ceasei_waiter waiter;
    unsigned round = 0;
    for (bool wait;;) {
        bool may_park = ceasei_thread_self()->callback == NULL;
        wait = false;
        cease_parker_init(&waiter.parker);
        if (take_off(w, may_park ? &waiter : NULL, &wait) != CEASE_WATCH_RUNNING) {
            if (CEASE_UNLIKELY(ceasei_debug))
                ceasei_debug_wait(ceasei_thread_self(), NULL);
            return;
        }
        if (wait)
            cease_park(&waiter.parker);
        /* not taken: may_park without wait: see take_off() */
        else if (may_park || runs_here(w))
            return; /* in the callback itself */
        else
            ceasei_backoff(&round); /* from another callback, which must not park */
    }
}

/* ----- waiting ----- */

static void wake_parker(void *arg)
{
    cease_wake(arg);
}

cease_error cease_wait(cease_ctx *ctx)
{
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK)
        return e;
    cease_parker parker;
    cease_watch w;
    cease_parker_init(&parker);
    if (CEASE_UNLIKELY(cease_callback_place() != NULL))
        cease_park(&parker); /* says whose callback it is, and aborts */
    cease_watch_add_waiter(&w, ctx, wake_parker, &parker);
    cease_park(&parker);
    return cease_err(ctx);
}
