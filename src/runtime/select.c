/* SPDX-License-Identifier: MIT
 *
 * select.c: waiting for the first of several channels and contexts.
 *
 * The idea (Go's): one waiter that stands in the queues of all its channels. Whoever serves it must
 * win its one claim word, which says which case that was; so exactly one case fires.
 *
 *  1. Each channel is tried alone, in random order: the common case, in which something is ready.
 *     With a default case, all are then tried once more under all their locks: something may have become
 *     ready where we had looked already, while what was ready elsewhere was taken.
 *  2. Else all channels are locked, in the order of their addresses (every select does it so, and
 *     everybody else holds one such lock at a time: no deadlock), tried again, and if still none is
 *     ready the waiter is queued on all of them before the first lock is given back. So nothing that
 *     becomes ready is missed, and the waiter is in no queue while it acts itself: it never has to
 *     give up a claim, nor does it meet itself on a channel that it names twice.
 *  3. It parks. Contexts of ENDED cases claim through a watch each, like its own.
 *  4. It takes its nodes out of the queues that did not serve it, and its watches off.
 *
 * When all channels are the calling worker's own (bias.h), all of them are held at once, in no order, by
 * going inside once for steps 1 and 2, and once for step 4: select_own(). Otherwise step 2 takes their locks
 * proper.
 *
 * Invariant: from the first lock of step 2 to the end of step 4 cases are not reordered; node i
 * belongs to case i and claims as CEASEI_BY_PEER + i.
 */
#include "runtime/chan.h"
#include "runtime/leave.h"
#include "runtime/task.h"
#include "runtime/virtual.h"

#include <cease/select.h>
#include <string.h>

#define SMALL 8 /* cases that need no big frame */

enum { FEW = 4 };

/* What a case needs while the select waits. */
struct slot {
    struct ceasei_chan_node node;
    cease_watch watch;
};

struct select {
    cease_ctx *ctx;
    cease_case *cases;
    size_t count;
    size_t default_index;            /* count: none */
    uint8_t order[CEASE_SELECT_MAX]; /* a permutation of the cases */
    struct slot *slots;
    struct ceasei_waiter waiter;
};

static uint32_t next_random(void)
{
    /* Per thread, for speed; quality does not matter beyond starving nobody. */
    static __thread uint32_t of_thread;
    if (ceasei_virtual_is_on()) {
        return ceasei_virtual_random();
    }
    struct ceasei_worker *w = ceasei_worker_self;
    uint32_t *state = w ? &w->random : &of_thread; /* a call less, in a library */
    uint32_t x = *state ? *state : (uint32_t)(uintptr_t)state >> 4 | 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x;
}

static bool is_chan(const cease_case *c)
{
    return (c->kind == CEASE_CASE_SEND || c->kind == CEASE_CASE_RECV) && c->ch;
}

/* Few cases: what is left of a random order of four when the others are taken out of it is one of theirs. */
static void shuffle_few(struct select *s)
{
    static const uint8_t orders[24][FEW] = {
        {0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1},
        {1, 0, 2, 3}, {1, 0, 3, 2}, {1, 2, 0, 3}, {1, 2, 3, 0}, {1, 3, 0, 2}, {1, 3, 2, 0},
        {2, 0, 1, 3}, {2, 0, 3, 1}, {2, 1, 0, 3}, {2, 1, 3, 0}, {2, 3, 0, 1}, {2, 3, 1, 0},
        {3, 0, 1, 2}, {3, 0, 2, 1}, {3, 1, 0, 2}, {3, 1, 2, 0}, {3, 2, 0, 1}, {3, 2, 1, 0},
    };
    const uint8_t *from = orders[(uint64_t)next_random() * 24 >> 32];
    size_t n = 0;
    for (size_t i = 0; i < FEW; i++) {
        s->order[n] = from[i];
        n += from[i] < s->count;
    }
}

static void shuffle(struct select *s)
{
    if (s->count <= FEW) {
        shuffle_few(s);
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        size_t at = (size_t)((uint64_t)next_random() * (i + 1) >> 32);
        s->order[i] = s->order[at];
        s->order[at] = (uint8_t)i;
    }
}

/* Tries a case now; its channel is locked. */
static bool try_locked(cease_case *c, cease_parker **ret_wake)
{
    if (CEASE_LIKELY(ceasei_chan_is_blocked(c->ch, c->kind == CEASE_CASE_SEND))) {
        return false;
    }
    cease_error e = c->kind == CEASE_CASE_SEND
                        ? ceasei_chan_send_now(c->ch, c->value, ret_wake)
                        : ceasei_chan_recv_now(c->ch, c->ret_value, ret_wake);
    if (e == CEASE_EAGAIN) {
        return false;
    }
    c->result = e;
    return true;
}

static bool try_ended(cease_case *c)
{
    cease_error e = cease_err(c->ctx);
    if (e) {
        c->result = e;
    }
    return e != CEASE_OK;
}

/* Step 1. The case that fired, or count. */
static size_t try_each(struct select *s)
{
    for (size_t k = 0; k < s->count; k++) {
        size_t i = s->order[k];
        cease_case *c = &s->cases[i];
        cease_parker *wake = NULL;
        bool fired = false;
        if (is_chan(c)) {
            uintptr_t *hold = ceasei_bias_lock(&c->ch->lock);
            fired = try_locked(c, &wake);
            ceasei_bias_unlock(&c->ch->lock, hold);
        } else if (c->kind == CEASE_CASE_ENDED) {
            fired = try_ended(c);
        }
        if (wake) {
            ceasei_wake(wake);
        }
        if (fired) {
            return i;
        }
    }
    return s->count;
}

/* The channels' cases by address of the channel; returns how many. */
static size_t sort_chans(const struct select *s, uint8_t sorted[CEASE_SELECT_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!is_chan(&s->cases[i])) {
            continue;
        }
        size_t at = n++;
        while (at > 0 && (uintptr_t)s->cases[sorted[at - 1]].ch > (uintptr_t)s->cases[i].ch) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = (uint8_t)i;
    }
    return n;
}

/* Whether position k is the first of its channel. */
static bool is_first(const struct select *s, const uint8_t *sorted, size_t k)
{
    return k == 0 || s->cases[sorted[k]].ch != s->cases[sorted[k - 1]].ch;
}

/* Under all locks: queues the waiter on every channel. Cases on one channel are queued in random order too: a
 * peer that comes takes the first. */
static inline void enqueue_all(struct select *s)
{
    for (size_t k = 0; k < s->count; k++) {
        size_t i = s->order[k];
        cease_case *c = &s->cases[i];
        if (is_chan(c)) {
            bool sends = c->kind == CEASE_CASE_SEND;
            struct ceasei_chan_node *n = &s->slots[i].node;
            n->waiter = &s->waiter;
            n->value = sends ? (void *)(uintptr_t)c->value : c->ret_value;
            n->claim_as = CEASEI_BY_PEER + (uint32_t)i;
            ceasei_chan_enqueue(c->ch, n, sends);
        }
    }
}

/* Step 2. The case that fired, or count: then the waiter is queued everywhere, if it waits. */
static size_t try_all(struct select *s, bool waits)
{
    uint8_t sorted[CEASE_SELECT_MAX];
    size_t n = sort_chans(s, sorted), fired = s->count;
    cease_parker *wake = NULL;
    for (size_t k = 0; k < n; k++) {
        if (is_first(s, sorted, k)) {
            ceasei_bias_lock_shared(&s->cases[sorted[k]].ch->lock);
        }
    }
    for (size_t k = 0; k < s->count && fired == s->count && !CEASE_SEED_BUG(BUG_SELECT); k++) {
        size_t i = s->order[k];
        if (is_chan(&s->cases[i]) && try_locked(&s->cases[i], &wake)) {
            fired = i;
        }
    }
    if (fired == s->count && waits) {
        enqueue_all(s);
    }
    for (size_t k = n; k-- > 0;) {
        if (is_first(s, sorted, k)) {
            ceasei_unlock(&s->cases[sorted[k]].ch->lock.lock);
        }
    }
    if (wake) {
        ceasei_wake(wake);
    }
    return fired;
}

/* The callback of an ENDED case: its node says for whom. */
static void on_ended(void *arg)
{
    struct slot *slot = arg;
    if (ceasei_waiter_claim(slot->node.waiter, slot->node.claim_as)) {
        ceasei_wake(&slot->node.waiter->parker);
    }
}

static void watch_ended(struct select *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->cases[i].kind == CEASE_CASE_ENDED) {
            struct slot *slot = &s->slots[i];
            slot->node = (struct ceasei_chan_node){.waiter = &s->waiter,
                                                   .claim_as = CEASEI_BY_PEER + (uint32_t)i};
            cease_watch_add_waiter(&slot->watch, s->cases[i].ctx, on_ended, slot);
        }
    }
}

/* Step 4 for those channels that are still the calling worker's own; whether that was all. */
static inline bool unlink_own(struct select *s)
{
    const struct ceasei_worker *w = ceasei_worker_self;
    uintptr_t *entered = ceasei_bias_enter(w, CEASEI_ENTERED_MANY);
    bool are_own = true;
    for (size_t i = 0; i < s->count; i++) {
        cease_case *c = &s->cases[i];
        if (is_chan(c) && ceasei_bias_is_mine(&c->ch->lock, w)) {
            ceasei_chan_unlink(c->ch, &s->slots[i].node, c->kind == CEASE_CASE_SEND);
        } else {
            are_own = false;
        }
    }
    ceasei_bias_leave(entered);
    return are_own;
}

/* Step 4. */
static void clean_up(struct select *s, size_t served)
{
    for (size_t i = 0; i < s->count; i++) {
        cease_case *c = &s->cases[i];
        if (c->kind == CEASE_CASE_ENDED) {
            cease_watch_remove_sync(&s->slots[i].watch);
        } else if (is_chan(c) && i != served) {
            ceasei_chan_dequeue(c->ch, &s->slots[i].node, c->kind == CEASE_CASE_SEND);
        }
    }
}

/* Steps 3 and 4. `own`: in step 2 all channels were the calling worker's own. */
static inline __attribute__((always_inline)) cease_error wait_queued(struct select *s,
                                                                     size_t *ret_index, bool own,
                                                                     void (*park)(cease_parker *))
{
    watch_ended(s);
    ceasei_waits(s->waiter.parker.owner, s->ctx, CEASEI_WAIT_SELECT, s->count);
    uint32_t by = ceasei_waiter_wait_by(&s->waiter, s->ctx, park);
    size_t fired = by == CEASEI_BY_CTX ? s->count : by - CEASEI_BY_PEER;
    if (!own || !unlink_own(s)) {
        clean_up(s, fired);
    }
    if (fired == s->count) {
        return cease_err(s->ctx);
    }
    cease_case *c = &s->cases[fired];
    c->result = is_chan(c) ? s->slots[fired].node.result : cease_err(c->ctx);
    *ret_index = fired;
    return CEASE_OK;
}

/* Steps 2 to 4. `slots` are for this many cases. */
static inline cease_error wait_for_one(struct select *s, struct slot *slots, size_t *ret_index)
{
    s->slots = slots;
    ceasei_waiter_init_for(&s->waiter, ceasei_queue_self());
    size_t fired = try_all(s, true);
    if (fired < s->count) {
        *ret_index = fired;
        return CEASE_OK;
    }
    return wait_queued(s, ret_index, false, ceasei_park_born);
}

/* Two frames, so that a small select does not touch the pages of a big one. */
static __attribute__((noinline)) cease_error wait_small(struct select *s, size_t *ret_index)
{
    struct slot slots[SMALL];
    return wait_for_one(s, slots, ret_index);
}

static __attribute__((noinline)) cease_error wait_big(struct select *s, size_t *ret_index)
{
    struct slot slots[CEASE_SELECT_MAX];
    return wait_for_one(s, slots, ret_index);
}

/* Nothing was ready when each was looked at alone. The default case is right only if nothing was ready at
 * one moment: while all channels are locked, no channel, and no context had ended after that. */
static __attribute__((noinline)) size_t take_default(struct select *s)
{
    size_t looked_at = 0;
    for (size_t i = 0; i < s->count; i++) {
        looked_at += is_chan(&s->cases[i]) || s->cases[i].kind == CEASE_CASE_ENDED;
    }
    if (looked_at <= 1) {
        return s->default_index;
    }
    size_t fired = try_all(s, false);
    for (size_t i = 0; i < s->count && fired == s->count; i++) {
        if (s->cases[i].kind == CEASE_CASE_ENDED && try_ended(&s->cases[i])) {
            fired = i;
        }
    }
    return fired < s->count ? fired : s->default_index;
}

static bool is_valid(struct select *s)
{
    if (s->count > CEASE_SELECT_MAX) {
        return false;
    }
    s->default_index = s->count;
    for (size_t i = 0; i < s->count; i++) {
        const cease_case *c = &s->cases[i];
        if (c->kind == CEASE_CASE_DEFAULT) {
            if (s->default_index != s->count) {
                return false;
            }
            s->default_index = i;
        } else if ((unsigned)c->kind > CEASE_CASE_DEFAULT ||
                   (c->kind == CEASE_CASE_ENDED && !c->ctx)) {
            return false;
        }
    }
    return true;
}

static __attribute__((noinline)) cease_error select_any(cease_ctx *ctx, cease_case *cases,
                                                        size_t count, size_t *ret_index)
{
    cease_error e = ceasei_look(ctx, "cease_select");
    if (e) {
        return e;
    }
    struct select s;
    s.ctx = ctx;
    s.cases = cases;
    s.count = count;
    if (!is_valid(&s)) {
        return CEASE_EINVAL;
    }
    if (s.default_index == count && (e = ceasei_enter(ctx, "cease_select"))) {
        return e; /* with a default it does not park, and lets nobody else run */
    }
    shuffle(&s);
    size_t fired = try_each(&s);
    if (fired == count && s.default_index < count) {
        fired = take_default(&s);
    }
    if (fired == count) {
        return count <= SMALL ? wait_small(&s, ret_index) : wait_big(&s, ret_index);
    }
    cases[fired].result = fired == s.default_index ? CEASE_OK : cases[fired].result;
    *ret_index = fired;
    return CEASE_OK;
}

/* ---- few cases, all channels the calling worker's own -------------------------------------------- */

/* Steps 2 to 4: none is ready. Enters with all held, by `entered`, and by jumps from the call: see leave.h. */
static __attribute__((noinline)) cease_error wait_own(cease_ctx *ctx, cease_case *cases,
                                                      size_t count, size_t *ret_index,
                                                      uintptr_t *entered)
{
    struct select s;
    struct slot slots[SMALL];
    s.ctx = ctx;
    s.cases = cases;
    s.count = count;
    s.slots = slots;
    shuffle(&s);
    ceasei_waiter_init_for(&s.waiter, ceasei_queue_self());
    enqueue_all(&s);
    ceasei_bias_leave(entered);
    return ceasei_back(wait_queued(&s, ret_index, true, ceasei_park_here));
}

/* One of the cases whose bits are set, at random. */
static size_t pick(uint32_t bits)
{
    if ((bits & (bits - 1)) != 0) {
        uint32_t count = (uint32_t)__builtin_popcount(bits);
        for (uint64_t n = (uint64_t)next_random() * count >> 32; n > 0; n--) {
            bits &= bits - 1;
        }
    }
    return (size_t)__builtin_ctz(bits);
}

/* Tries the cases whose bits are set, with all held. The one that fired: then none is held any more; or SMALL. */
static __attribute__((noinline)) size_t fire_own(cease_case *cases, uint32_t ready,
                                                 uintptr_t *entered)
{
    while (ready) {
        size_t i = pick(ready);
        cease_parker *wake = NULL;
        if (CEASE_LIKELY(try_locked(&cases[i], &wake))) {
            ceasei_bias_leave(entered);
            if (wake) {
                ceasei_queue_wake(wake);
            }
            return i;
        }
        ready &= ~(UINT32_C(1) << i);
    }
    return SMALL;
}

/* Goes inside all channels, and gives the bits of the cases that may be ready, and which is the default. False,
 * and not inside: it is one for select_any(). */
static inline __attribute__((always_inline)) bool enter_own(const struct ceasei_worker *w,
                                                            const cease_case *cases, size_t count,
                                                            uint32_t *ret_ready,
                                                            size_t *ret_default)
{
    uintptr_t *entered = ceasei_bias_enter(w, CEASEI_ENTERED_MANY);
    uint32_t ready = 0;
    *ret_default = count;
    for (size_t i = 0; i < count; i++) {
        const cease_case *c = &cases[i];
        bool fits = true, may = false;
        if (CEASE_LIKELY(is_chan(c))) {
            fits = ceasei_bias_is_mine(&c->ch->lock, w);
            may = fits && !ceasei_chan_is_blocked(c->ch, c->kind == CEASE_CASE_SEND);
        } else if (c->kind == CEASE_CASE_ENDED && c->ctx) {
            fits = ceasei_is_open(c->ctx); /* to look closer may end it, which is not for here */
        } else if (c->kind == CEASE_CASE_DEFAULT && *ret_default == count) {
            *ret_default = i;
        } else {
            fits = c->kind < CEASE_CASE_ENDED; /* it never fires */
        }
        if (CEASE_UNLIKELY(!fits)) {
            ceasei_bias_leave(entered);
            return false;
        }
        ready |= (uint32_t)may << i;
    }
    *ret_ready = ready;
    return true;
}

static __attribute__((noinline)) cease_error select_own(cease_ctx *ctx, cease_case *cases,
                                                        size_t count, size_t *ret_index,
                                                        struct ceasei_worker *w)
{
    uint32_t ready;
    size_t default_index;
    if (!enter_own(w, cases, count, &ready, &default_index)) {
        return select_any(ctx, cases, count, ret_index);
    }
    uintptr_t *entered = w->entered;
    w->budget -= default_index == count; /* with a default it does not park: see select_any() */
    if (ready) {
        size_t fired = fire_own(cases, ready, entered);
        if (CEASE_LIKELY(fired < SMALL)) {
            *ret_index = fired;
            return CEASE_OK;
        }
    }
    if (default_index < count) {
        ceasei_bias_leave(entered);
        cases[default_index].result = CEASE_OK;
        *ret_index = default_index;
        return CEASE_OK;
    }
    return wait_own(ctx, cases, count, ret_index, entered);
}

CEASE_PUBLIC cease_error cease_select(cease_ctx *ctx, cease_case *cases, size_t count,
                                      size_t *ret_index)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w && ctx && count <= SMALL && ceasei_is_open(ctx) && w->budget > 1)) {
        return select_own(ctx, cases, count, ret_index, w);
    }
    return select_any(ctx, cases, count, ret_index);
}
