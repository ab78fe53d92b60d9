/* SPDX-License-Identifier: MIT
 *
 * chan.h: a channel's inside, for chan.c and select.c. The rules are at the top of chan.c.
 */
#ifndef CEASE_RUNTIME_CHAN_H
#define CEASE_RUNTIME_CHAN_H

#include "runtime/bias.h"
#include "runtime/wait.h"

#include <cease/chan.h>

/* One place in one queue, on the stack of whoever waits there. A select has several for one waiter.
 */
struct ceasei_chan_node {
    struct ceasei_chan_node *next,
        *prev;                    /* under the channel's lock; next is the claimer's later */
    struct ceasei_waiter *waiter; /* set at birth */
    void *value;                  /* set at birth; the claimer's until it wakes the waiter */
    uint32_t claim_as;            /* set at birth: CEASEI_BY_PEER + the case of a select */
    bool linked;                  /* under the channel's lock */
    cease_error result;           /* written by the claimer before it wakes */
};

struct ceasei_chan_queue {
    struct ceasei_chan_node *first, *last;
};

struct cease_chan {
    struct ceasei_bias lock;
    uint32_t refs;             /* atomic */
    size_t element_size;       /* set at birth, bytes */
    size_t bytes;              /* set at birth: of the ring */
    size_t capacity;           /* elements; set at birth, under lock: 0 when closed */
    void (*drop)(void *value); /* set before the channel is shared */
    size_t head, tail,
        count; /* under lock: where the oldest value is, and the next goes; how many */
    struct ceasei_chan_queue senders, receivers; /* under lock, oldest first */
    bool closed;                                 /* under lock, once */
    _Alignas(16) unsigned char ring[];
};

/* Under the lock: does it if that is possible now, else CEASE_EAGAIN. Where *ret_wake is set, its
 * owner has been claimed and must be woken after the lock was given back. */
cease_error ceasei_chan_send_now(struct cease_chan *ch, const void *value, cease_parker **ret_wake);
cease_error ceasei_chan_recv_now(struct cease_chan *ch, void *ret_value, cease_parker **ret_wake);

/* Under the lock: whether that certainly gives CEASE_EAGAIN. Quick; false says nothing. */
static inline bool ceasei_chan_is_blocked(const struct cease_chan *ch, bool sends)
{
    return !ch->closed && (sends ? ch->count >= ch->capacity && !ch->receivers.first
                                 : ch->count == 0 && !ch->senders.first);
}

/* All of these under the lock. */

static inline void ceasei_chan_queue_push(struct ceasei_chan_queue *q, struct ceasei_chan_node *n)
{
    n->next = NULL;
    n->prev = q->last;
    n->linked = true;
    if (q->last) {
        q->last->next = n;
    } else {
        q->first = n;
    }
    q->last = n;
}

static inline void ceasei_chan_queue_unlink(struct ceasei_chan_queue *q, struct ceasei_chan_node *n)
{
    if (n->prev) {
        n->prev->next = n->next;
    } else {
        q->first = n->next;
    }
    if (n->next) {
        n->next->prev = n->prev;
    } else {
        q->last = n->prev;
    }
    n->linked = false;
}

static inline void ceasei_chan_enqueue(struct cease_chan *ch, struct ceasei_chan_node *n,
                                       bool sends)
{
    ceasei_chan_queue_push(sends ? &ch->senders : &ch->receivers, n);
}

/* Unqueues a node unless that has happened. Afterwards nobody claims through it. */
static inline void ceasei_chan_unlink(struct cease_chan *ch, struct ceasei_chan_node *n, bool sends)
{
    if (n->linked) {
        ceasei_chan_queue_unlink(sends ? &ch->senders : &ch->receivers, n);
    }
}

/* Takes the lock for that. */
void ceasei_chan_dequeue(struct cease_chan *ch, struct ceasei_chan_node *n, bool sends);

#endif
