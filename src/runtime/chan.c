/* SPDX-License-Identifier: MIT
 *
 * chan.c: channels.
 *
 * The idea: a ring of values, a queue of parked senders, a queue of parked receivers, one small
 * lock, which is its worker's own while nobody else comes (bias.h). A value goes straight between the sender's and the receiver's memory when one of them is
 * parked; who parks leaves a node on its own stack, so nothing is ever allocated after the birth,
 * and a call that completes at once never touches its context beyond the check on entry.
 *
 * Invariants, under the lock:
 *  - receivers are queued only while the ring is empty, and senders only while it is full (with
 *    capacity 0 it is both), but for nodes whose waiter has been claimed by its context and is on
 *    its way to take them out. Such dead nodes may stand anywhere and are skipped;
 *  - nobody is queued on a closed channel, dead nodes again excepted;
 *  - a node that is taken off a queue is marked unlinked under the same hold of the lock, so its
 *    owner never unlinks it twice.
 *
 * The commit point of a hand-over is the claim word of the parked side (wait.h), won under the
 * lock. The other side commits by finding it: it has passed its check on entry, and nothing looks
 * at its context any more. So neither side ever drops a value that has moved.
 *
 * After a claim is won and the lock released, only the waiter's parker may be touched, once, by
 * cease_wake(): the node, the waiter, and the channel too (when the woken one holds the last
 * reference but the caller's) may be gone right after. The channel itself is alive through the call
 * by the caller's own reference.
 *
 * Who guards what: `refs` is atomic, sizes and drop are set before the channel is shared, the rest
 * is under the lock. Left out on purpose: chunked wake-ups at close; a close of a channel with very
 * many waiters holds its lock for all of them.
 */
#include "runtime/chan.h"

#include "base/panic.h"
#include "runtime/leave.h"
#include "runtime/task.h"

#include <stdlib.h>
#include <string.h>

static inline void copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(void *)) {
        memcpy(to, from, sizeof(void *)); /* one move: most channels carry pointers */
    } else if (size > 0) {
        memcpy(to, from, size);
    }
}

/* The node that has waited longest and is now ours to serve; NULL when nobody waits. */
static inline struct ceasei_chan_node *queue_claim(struct ceasei_chan_queue *q)
{
    struct ceasei_chan_node *n;
    while ((n = q->first)) {
        ceasei_chan_queue_unlink(q, n);
        if (ceasei_waiter_claim(n->waiter, n->claim_as) || CEASE_SEED_BUG(BUG_COMMIT)) {
            return n;
        }
    }
    return NULL;
}

static inline size_t after(const struct cease_chan *ch, size_t at)
{
    at += ch->element_size;
    return at < ch->bytes ? at : 0;
}

static inline void ring_push(struct cease_chan *ch, const void *value)
{
    size_t at = ch->tail;
    ch->count++;
    ch->tail = after(ch, at);
    copy(ch->ring + at, value, ch->element_size);
}

static inline void ring_pop(struct cease_chan *ch, void *ret_value)
{
    size_t at = ch->head;
    ch->count--;
    ch->head = after(ch, at);
    copy(ret_value, ch->ring + at, ch->element_size);
}

cease_error ceasei_chan_send_now(struct cease_chan *ch, const void *value, cease_parker **ret_wake)
{
    if (CEASE_UNLIKELY(ch->closed)) {
        return CEASE_ECLOSED;
    }
    struct ceasei_chan_node *receiver = queue_claim(&ch->receivers);
    if (receiver) {
        copy(receiver->value, value, ch->element_size);
        receiver->result = CEASE_OK;
        *ret_wake = &receiver->waiter->parker;
        return CEASE_OK;
    }
    if (ch->count < ch->capacity) {
        ring_push(ch, value);
        return CEASE_OK;
    }
    return CEASE_EAGAIN;
}

cease_error ceasei_chan_recv_now(struct cease_chan *ch, void *ret_value, cease_parker **ret_wake)
{
    if (ch->count > 0) {
        ring_pop(ch, ret_value);
        struct ceasei_chan_node *sender = queue_claim(&ch->senders);
        if (sender) { /* the ring was full: the one who has waited longest fills the gap */
            ring_push(ch, sender->value);
            sender->result = CEASE_OK;
            *ret_wake = &sender->waiter->parker;
        }
        return CEASE_OK;
    }
    struct ceasei_chan_node *sender = queue_claim(&ch->senders);
    if (sender) {
        copy(ret_value, sender->value, ch->element_size);
        sender->result = CEASE_OK;
        *ret_wake = &sender->waiter->parker;
        return CEASE_OK;
    }
    return ch->closed ? CEASE_ECLOSED : CEASE_EAGAIN;
}

void ceasei_chan_dequeue(struct cease_chan *ch, struct ceasei_chan_node *n, bool sends)
{
    uintptr_t *hold = ceasei_bias_lock(&ch->lock);
    ceasei_chan_unlink(ch, n, sends);
    ceasei_bias_unlock(&ch->lock, hold);
}

/* Enters with the lock held (by `hold`), gives it back, waits. The node is in `value`'s owner's frame. */
static inline __attribute__((always_inline)) cease_error wait_for_peer(cease_ctx *ctx,
                                                                       struct cease_chan *ch,
                                                                       void *value, bool sends,
                                                                       uintptr_t *hold)
{
    struct ceasei_waiter w;
    struct ceasei_chan_node n;
    struct ceasei_task *self = ceasei_queue_self();
    n.waiter = &w;
    n.value = value;
    n.claim_as = CEASEI_BY_PEER;
    ceasei_waiter_init_for(&w, self);
    w.sole = ceasei_never_ends(ctx);
    if (CEASE_SEED_BUG(BUG_CHAN)) {
        ceasei_bias_unlock(&ch->lock, hold);
        hold = ceasei_bias_lock(&ch->lock);
    }
    ceasei_chan_queue_push(sends ? &ch->senders : &ch->receivers, &n);
    ceasei_waits(self, ctx, sends ? CEASEI_WAIT_SEND : CEASEI_WAIT_RECV, (uintptr_t)ch);
    ceasei_bias_unlock(&ch->lock, hold);
    if (CEASE_UNLIKELY(ceasei_waiter_wait_by(&w, ctx, ceasei_park_here) == CEASEI_BY_CTX)) {
        ceasei_chan_dequeue(ch, &n, sends);
        return cease_err(ctx);
    }
    return n.result;
}

/* Two copies, each entered by jumps from the call: see leave.h. A sender's value is only read, which the cast
 * hides. */
static __attribute__((noinline)) cease_error send_waits(cease_ctx *ctx, struct cease_chan *ch,
                                                        const void *value, uintptr_t *hold)
{
    return ceasei_back(wait_for_peer(ctx, ch, (void *)(uintptr_t)value, true, hold));
}

static __attribute__((noinline)) cease_error recv_waits(cease_ctx *ctx, struct cease_chan *ch,
                                                        void *ret_value, uintptr_t *hold)
{
    return ceasei_back(wait_for_peer(ctx, ch, ret_value, false, hold));
}

CEASE_PUBLIC cease_chan *cease_chan_new(size_t element_size, size_t capacity)
{
    size_t bytes;
    size_t all;
    if (__builtin_mul_overflow(element_size, capacity, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct cease_chan), &all)) {
        return NULL;
    }
    struct cease_chan *ch = malloc(all);
    if (!ch) {
        return NULL;
    }
    *ch = (struct cease_chan){
        .refs = 1, .element_size = element_size, .bytes = bytes, .capacity = capacity};
    return ch;
}

CEASE_PUBLIC cease_chan *cease_chan_ref(cease_chan *ch)
{
    if (ch) {
        ceasei_add(&ch->refs, 1, RELAXED); /* the caller's own reference keeps it from reaching 0 */
    }
    return ch;
}

CEASE_PUBLIC cease_chan *cease_chan_unref(cease_chan *ch)
{
    /* ACQ_REL: every holder's use comes before the last one's free. */
    if (!ch || ceasei_sub(&ch->refs, 1, ACQ_REL) > 1) {
        return NULL;
    }
    ceasei_assert(!ch->senders.first && !ch->receivers.first);
    if (ch->drop) {
        for (; ch->count > 0; ch->count--) {
            ch->drop(ch->ring + ch->head);
            ch->head = after(ch, ch->head);
        }
    }
    free(ch);
    return NULL;
}

CEASE_PUBLIC void cease_chan_on_drop(cease_chan *ch, void (*fn)(void *value))
{
    if (ch) {
        ch->drop = fn;
    }
}

/* The two calls are written for the case that the channel is this worker's own and its context is open:
 * then little is looked at, and nothing is locked. */

/* With the channel held, which is given back. */
static __attribute__((noinline)) cease_error send_held(cease_ctx *ctx, struct cease_chan *ch,
                                                       const void *value, uintptr_t *hold)
{
    cease_parker *wake = NULL;
    cease_error e = ceasei_chan_send_now(ch, value, &wake);
    if (e == CEASE_EAGAIN) {
        return send_waits(ctx, ch, value, hold);
    }
    ceasei_bias_unlock(&ch->lock, hold);
    if (wake) {
        ceasei_queue_wake(wake);
    }
    return e;
}

static __attribute__((noinline)) cease_error send(cease_ctx *ctx, struct cease_chan *ch,
                                                  const void *value)
{
    cease_error e = ceasei_enter(ctx, "cease_chan_send");
    if (CEASE_UNLIKELY(e || !ch)) {
        return e ? e : CEASE_ENOMEM;
    }
    return send_held(ctx, ch, value, ceasei_bias_lock(&ch->lock));
}

CEASE_PUBLIC cease_error cease_chan_send(cease_ctx *ctx, cease_chan *ch, const void *value)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w && ctx && ch && ceasei_is_open(ctx) && w->budget > 1)) {
        uintptr_t *hold = ceasei_bias_enter(w, (uintptr_t)&ch->lock);
        if (CEASE_LIKELY(ceasei_bias_is_mine(&ch->lock, w))) {
            w->budget--;
            if (ch->receivers.first) {
                return send_held(ctx, ch, value, hold);
            }
            if (ch->count >= ch->capacity) {
                return ch->closed ? send_held(ctx, ch, value, hold)
                                  : send_waits(ctx, ch, value, hold);
            }
            ring_push(ch, value);
            ceasei_bias_leave(hold);
            return CEASE_OK;
        }
        ceasei_bias_leave(hold);
    }
    return send(ctx, ch, value);
}

/* With the channel held, which is given back. */
static __attribute__((noinline)) cease_error recv_held(cease_ctx *ctx, struct cease_chan *ch,
                                                       void *ret_value, uintptr_t *hold)
{
    cease_parker *wake = NULL;
    cease_error e = ceasei_chan_recv_now(ch, ret_value, &wake);
    if (e == CEASE_EAGAIN) {
        return recv_waits(ctx, ch, ret_value, hold);
    }
    ceasei_bias_unlock(&ch->lock, hold);
    if (wake) {
        ceasei_queue_wake(wake);
    }
    return e;
}

static __attribute__((noinline)) cease_error recv(cease_ctx *ctx, struct cease_chan *ch,
                                                  void *ret_value)
{
    cease_error e = ceasei_enter(ctx, "cease_chan_recv");
    if (CEASE_UNLIKELY(e || !ch)) {
        return e ? e : CEASE_ENOMEM;
    }
    return recv_held(ctx, ch, ret_value, ceasei_bias_lock(&ch->lock));
}

CEASE_PUBLIC cease_error cease_chan_recv(cease_ctx *ctx, cease_chan *ch, void *ret_value)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (CEASE_LIKELY(w && ctx && ch && ceasei_is_open(ctx) && w->budget > 1)) {
        uintptr_t *hold = ceasei_bias_enter(w, (uintptr_t)&ch->lock);
        if (CEASE_LIKELY(ceasei_bias_is_mine(&ch->lock, w))) {
            w->budget--;
            if (ch->senders.first || ch->closed) {
                return recv_held(ctx, ch, ret_value, hold);
            }
            if (ch->count == 0) {
                return recv_waits(ctx, ch, ret_value, hold);
            }
            ring_pop(ch, ret_value);
            ceasei_bias_leave(hold);
            return CEASE_OK;
        }
        ceasei_bias_leave(hold);
    }
    return recv(ctx, ch, ret_value);
}

CEASE_PUBLIC cease_error cease_chan_try_send(cease_chan *ch, const void *value)
{
    if (!ch) {
        return CEASE_ENOMEM;
    }
    cease_parker *wake = NULL;
    uintptr_t *hold = ceasei_bias_lock(&ch->lock);
    cease_error e = ceasei_chan_send_now(ch, value, &wake);
    ceasei_bias_unlock(&ch->lock, hold);
    if (wake) {
        ceasei_wake(wake);
    }
    return e;
}

CEASE_PUBLIC cease_error cease_chan_try_recv(cease_chan *ch, void *ret_value)
{
    if (!ch) {
        return CEASE_ENOMEM;
    }
    cease_parker *wake = NULL;
    uintptr_t *hold = ceasei_bias_lock(&ch->lock);
    cease_error e = ceasei_chan_recv_now(ch, ret_value, &wake);
    ceasei_bias_unlock(&ch->lock, hold);
    if (wake) {
        ceasei_wake(wake);
    }
    return e;
}

/* Moves everybody on q who is not served yet to the list that begins at *chain, with ECLOSED. */
static void claim_all(struct ceasei_chan_queue *q, struct ceasei_chan_node **chain)
{
    struct ceasei_chan_node *n;
    while ((n = queue_claim(q))) {
        n->result = CEASE_ECLOSED;
        n->next = *chain; /* it is ours until it is woken */
        *chain = n;
    }
}

CEASE_PUBLIC void cease_chan_close(cease_chan *ch)
{
    if (!ch) {
        return;
    }
    struct ceasei_chan_node *chain = NULL;
    uintptr_t *hold = ceasei_bias_lock(&ch->lock);
    ch->closed = true;
    ch->capacity = 0; /* nothing goes in any more, and the fast path looks at nothing else */
    claim_all(&ch->senders, &chain);
    claim_all(&ch->receivers, &chain);
    ceasei_bias_unlock(&ch->lock, hold);
    /* The caller's reference may be all that is left of the channel now; it is not touched again.
     */
    while (chain) {
        struct ceasei_chan_node *n = chain;
        chain = n->next;
        ceasei_wake(&n->waiter->parker);
    }
}

CEASE_PUBLIC size_t cease_chan_length(const cease_chan *ch)
{
    if (!ch) {
        return 0;
    }
    struct ceasei_bias *lock = (struct ceasei_bias *)(uintptr_t)&ch->lock;
    uintptr_t *hold = ceasei_bias_lock(lock);
    size_t count = ch->count;
    ceasei_bias_unlock(lock, hold);
    return count;
}

CEASE_PUBLIC size_t cease_chan_capacity(const cease_chan *ch)
{
    return ch ? ch->capacity : 0;
}
