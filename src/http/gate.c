/* SPDX-License-Identifier: MIT
 *
 * gate.c: how many handlers run at a time, and who waits for a place.
 *
 * One word counts both, so that neither can be seen without the other:
 *
 *     bits 0-31   how many run
 *     bits 32-63  how many wait
 *
 *  - Without anybody waiting, enter and leave are one compare-and-swap.
 *  - Who finds no place, or somebody waiting, queues under the lock. WAITING changes under the lock only,
 *    and while it is not zero RUNNING too, but for the count going down. Whoever leaves and sees waiters
 *    takes the lock and gives free places to the oldest.
 *  - A waiter is claimed once, by a compare-and-swap: by who hands it a place, or by the end of its
 *    context. One that has been ended takes itself out, and then gives free places away too: somebody may
 *    have queued behind it while there were some.
 */
#include "http/gate.h"

#include "base/atomic.h"

#include <cease/hooks.h>
#include <stdbool.h>

#define WAITER (UINT64_C(1) << 32)

enum { WAITING, GRANTED, ENDED };

struct ceasei_http_waiter {
    struct ceasei_http_waiter *next, *prev; /* under the gate's lock */
    uint32_t claim;                         /* atomic: WAITING → GRANTED or ENDED, once */
    cease_parker parker;
    cease_watch watch;
};

uint32_t ceasei_http_gate_running(const struct ceasei_http_gate *g)
{
    return (uint32_t)ceasei_load(&g->word, RELAXED);
}

uint32_t ceasei_http_gate_waiting(const struct ceasei_http_gate *g)
{
    return (uint32_t)(ceasei_load(&g->word, RELAXED) >> 32);
}

static bool claim(struct ceasei_http_waiter *w, uint32_t by)
{
    uint32_t expected = WAITING;
    return ceasei_cas(&w->claim, &expected, by, ACQ_REL);
}

static void on_done(void *arg)
{
    struct ceasei_http_waiter *w = arg;
    if (claim(w, ENDED)) {
        cease_wake(&w->parker);
    }
}

/* Under the lock. */
static void push(struct ceasei_http_gate *g, struct ceasei_http_waiter *w)
{
    w->next = NULL;
    w->prev = g->last;
    if (g->last) {
        g->last->next = w;
    } else {
        g->first = w;
    }
    g->last = w;
}

/* Under the lock. */
static void take_out(struct ceasei_http_gate *g, struct ceasei_http_waiter *w)
{
    if (w->prev) {
        w->prev->next = w->next;
    } else {
        g->first = w->next;
    }
    if (w->next) {
        w->next->prev = w->prev;
    } else {
        g->last = w->prev;
    }
    ceasei_sub(&g->word, WAITER, RELAXED);
}

/* Takes a place if there is one and nobody waits. */
static bool try_enter(struct ceasei_http_gate *g)
{
    uint64_t word = ceasei_load(&g->word, RELAXED);
    while (word < g->run_max) {
        if (ceasei_cas(&g->word, &word, word + 1, ACQUIRE)) {
            return true;
        }
    }
    return false;
}

/* CEASE_OK: there was a place after all. CEASE_EAGAIN: no room to wait. CEASE_EBUSY: queued. */
static cease_error queue_up(struct ceasei_http_gate *g, struct ceasei_http_waiter *w)
{
    cease_error e = CEASE_EBUSY;
    ceasei_lock(&g->lock);
    uint64_t word = ceasei_load(&g->word, RELAXED);
    for (;;) {
        bool room = word < g->run_max; /* implies that nobody waits */
        if (!room && word >> 32 >= g->wait_max) {
            e = CEASE_EAGAIN;
            break;
        }
        if (ceasei_cas(&g->word, &word, word + (room ? 1 : WAITER), ACQUIRE)) {
            e = room ? CEASE_OK : CEASE_EBUSY;
            break;
        }
    }
    if (e == CEASE_EBUSY) {
        push(g, w);
    }
    ceasei_unlock(&g->lock);
    return e;
}

/* Under the lock: gives what places are free to the oldest waiters, and returns those, to be woken. */
static struct ceasei_http_waiter *grant(struct ceasei_http_gate *g)
{
    struct ceasei_http_waiter *granted = NULL;
    struct ceasei_http_waiter *w = g->first;
    while (w && ceasei_http_gate_running(g) < g->run_max) {
        struct ceasei_http_waiter *next = w->next;
        if (claim(w, GRANTED)) {
            take_out(g, w);
            ceasei_add(&g->word, 1, ACQUIRE);
            w->next = granted;
            granted = w;
        }
        w = next;
    }
    return granted;
}

static void wake_all(struct ceasei_http_waiter *w)
{
    while (w) {
        struct ceasei_http_waiter *next = w->next;
        cease_wake(&w->parker); /* w may be gone */
        w = next;
    }
}

cease_error ceasei_http_gate_enter(cease_ctx *ctx, struct ceasei_http_gate *g)
{
    if (try_enter(g)) {
        return CEASE_OK;
    }
    struct ceasei_http_waiter w = {.claim = WAITING};
    cease_parker_init(&w.parker);
    cease_error e = queue_up(g, &w);
    if (e != CEASE_EBUSY) {
        return e;
    }
    cease_watch_add_waiter(&w.watch, ctx, on_done, &w);
    cease_park(&w.parker);
    cease_watch_remove_sync(&w.watch);
    if (ceasei_load(&w.claim, ACQUIRE) == GRANTED) {
        return CEASE_OK;
    }
    ceasei_lock(&g->lock);
    take_out(g, &w);
    struct ceasei_http_waiter *granted = grant(g);
    ceasei_unlock(&g->lock);
    wake_all(granted);
    return cease_err(ctx);
}

void ceasei_http_gate_leave(struct ceasei_http_gate *g)
{
    uint64_t word = ceasei_load(&g->word, RELAXED);
    while (word < WAITER) {
        if (ceasei_cas(&g->word, &word, word - 1, RELEASE)) {
            return;
        }
    }
    ceasei_lock(&g->lock);
    ceasei_sub(&g->word, 1, RELEASE);
    struct ceasei_http_waiter *granted = grant(g);
    ceasei_unlock(&g->lock);
    wake_all(granted);
}
