/* SPDX-License-Identifier: MIT
 *
 * wait.h: "park until somebody serves me or my context is done", decided by one word.
 *
 * A ceasei_waiter lives on the stack of whoever waits. It may stand in several queues at once (a
 * select); whoever wants to serve it, a peer with something to give or the end of its context, must
 * first win its claim word by one compare-and-swap. Exactly one wins, so a value is handed over or
 * the wait is cancelled, never both: this is the commit point of every operation built on it.
 *
 * Life of the claim word:
 *
 *     CEASEI_WAITING --> n > CEASEI_BY_CTX   a peer won, and says which of the places it served
 *                    --> CEASEI_BY_CTX       the context ended first
 *
 * Rules:
 *  - Who wins the claim calls cease_wake() exactly once, after it has written what it has to give,
 *    and touches the waiter no more. The waiter always parks, so each wake meets one park; park and
 *    wake order the peer's writes before the waiter's reads.
 *  - A waiter whose context never ends, and which stands in one queue, is `sole`: it is claimed by whoever
 *    takes it off that queue, and registers nowhere.
 *  - The waiter first makes itself visible to its peers (queues, under their lock), then calls
 *    ceasei_waiter_wait(), which registers with the context. A peer that serves it in between is
 *    fine: the park returns at once.
 *  - After the wait the waiter takes itself out of every queue that did not serve it, under that
 *    queue's lock. A claim is only tried under that lock, so afterwards nobody knows the waiter.
 */
#ifndef CEASE_RUNTIME_WAIT_H
#define CEASE_RUNTIME_WAIT_H

#include "base/atomic.h"
#include "base/panic.h"
#include "runtime/park.h"
#include "runtime/worker.h"

#include <cease/context.h>
#include <cease/hooks.h>
#include <stdbool.h>
#include <stdint.h>

enum { CEASEI_WAITING = 0, CEASEI_BY_CTX = 1, CEASEI_BY_PEER = 2 };

struct ceasei_waiter {
    uint32_t claim; /* atomic: see above */
    bool sole;      /* set before anybody knows it: claimed under one lock only, so by a store */
    cease_parker parker;
    cease_watch watch; /* between add and remove_sync: the context's */
};

/* From here to ceasei_waiter_wait() nothing may park. */
static inline void ceasei_waiter_init_for(struct ceasei_waiter *w, struct ceasei_task *self)
{
    w->claim = CEASEI_WAITING;
    w->sole = false;
    ceasei_parker_init_for(&w->parker, self);
}

static inline void ceasei_waiter_init(struct ceasei_waiter *w)
{
    ceasei_waiter_init_for(w, ceasei_sched_self());
}

/* The background's state word. Set when the library is loaded. park.c */
extern const uint32_t *ceasei_never_word __attribute__((visibility("hidden")));

/* Whether ctx is the background, or has only values on the way there: the state word of such a
 * context is the background's. */
static inline bool ceasei_never_ends(const cease_ctx *ctx)
{
    const uint32_t *const *state = (const uint32_t *const *)(const void *)ctx;
    return *state == ceasei_never_word;
}

/* Whether ctx has not ended and has nothing to arm: most are so, and there is nothing else to see. */
static inline bool ceasei_is_open(const cease_ctx *ctx)
{
    const uint32_t *const *state = (const uint32_t *const *)(const void *)ctx;
    return ceasei_load(*state, ACQUIRE) == 0;
}

/* Whether `by` is the one that serves w. The winner owes w one cease_wake(). */
static inline bool ceasei_waiter_claim(struct ceasei_waiter *w, uint32_t by)
{
    uint32_t expected = CEASEI_WAITING;
    if (w->sole) {
        ceasei_store(&w->claim, by, RELAXED); /* the wake orders it before the waiter's look */
        return true;
    }
    return ceasei_cas(&w->claim, &expected, by, ACQ_REL);
}

/* The context's callback. The watch is removed with remove_sync, so w is alive until this returned.
 */
static inline void ceasei_waiter_ctx_done(void *arg)
{
    struct ceasei_waiter *w = arg;
    if (ceasei_waiter_claim(w, CEASEI_BY_CTX)) {
        ceasei_wake(&w->parker);
    }
}

/* Parks, by `park`, until w has been claimed by a peer or by the end of ctx, and says by whom. */
static inline __attribute__((always_inline)) uint32_t ceasei_waiter_wait_by(
    struct ceasei_waiter *w, cease_ctx *ctx, void (*park)(cease_parker *))
{
    bool watches = !w->sole && !ceasei_never_ends(ctx);
    if (watches) {
        cease_watch_add_waiter(&w->watch, ctx, ceasei_waiter_ctx_done,
                               w); /* done already: it has run */
    }
    park(&w->parker);
    if (watches && cease_watch_remove(&w->watch) == CEASE_WATCH_RUNNING) {
        cease_watch_remove_sync(&w->watch);
    }
    return ceasei_load(&w->claim, ACQUIRE);
}

static inline uint32_t ceasei_waiter_wait(struct ceasei_waiter *w, cease_ctx *ctx)
{
    return ceasei_waiter_wait_by(w, ctx, ceasei_park_born);
}

/* The error of a context on entry to a call. A NULL context is the caller's bug. */
static inline cease_error ceasei_look(const cease_ctx *ctx, const char *function)
{
    if (CEASE_UNLIKELY(!ctx)) {
        ceasei_panic_at(NULL, 0, function, "the context is NULL");
    }
    return CEASE_LIKELY(ceasei_is_open(ctx)) ? CEASE_OK : cease_err(ctx);
}

/* The same for a call that may park: it counts, whether or not it comes to that. */
static inline cease_error ceasei_enter(const cease_ctx *ctx, const char *function)
{
#ifndef CEASE_INTERLEAVE /* there the models' tasks are not those of workers */
    /* As the calls below, for most of those who come. */
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w && w->budget > 1 && ctx && ceasei_is_open(ctx))) {
        w->budget--;
        return CEASE_OK;
    }
#endif
    ceasei_spend();
    return ceasei_look(ctx, function);
}

#endif
