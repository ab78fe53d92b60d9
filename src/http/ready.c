/* SPDX-License-Identifier: MIT
 *
 * ready.c: connections that something has come for, and the few tasks that take them in turn.
 *
 * The idea: a task for each would be simple, and a burst of 5,000 requests would touch 5,000 stacks, of
 * which the runtime keeps some hundreds warm. But most handlers are done before they have parked once. So
 * a task takes connections from the list, one after the other, and as long as there are more another one
 * is on its way: if the first parks, or takes long, the next goes on where it was, on this worker or, since
 * it has not started yet, on one that is idle.
 *
 * Invariant, whenever the lock is free: the list is empty, or `coming` is true. Whoever puts a connection
 * into an empty list, or takes one and leaves others, starts the next task unless one is coming. When that
 * cannot be had, all that wait are turned away: a task that is busy may be so for long.
 *
 * A task ends after TURN_MAX connections, so that what else wants to run on this worker gets its turn.
 */
#include "http/ready.h"

#include "base/atomic.h"
#include "http/connection.h"
#include "http/server.h"

enum { TURN_MAX = 16 };

void ceasei_http_ready_init(struct ceasei_http_run *run)
{
    for (int i = 0; i < CEASEI_HTTP_READY_LISTS; i++) {
        run->ready[i] = (struct ceasei_http_ready){.run = run};
    }
}

/* This thread's list: what comes on one worker stays there, unless another is idle. */
static struct ceasei_http_ready *list_of(struct ceasei_http_run *run)
{
    static uint32_t threads;      /* atomic */
    static __thread uint32_t own; /* 1…; 0: none yet */
    if (own == 0) {
        own = ceasei_add(&threads, 1, RELAXED) % CEASEI_HTTP_READY_LISTS + 1;
    }
    return &run->ready[own - 1];
}

/* Under the lock: whether the caller is to start a task. */
static bool must_start(struct ceasei_http_ready *r)
{
    bool must = r->first && !r->coming;
    r->coming |= must;
    return must;
}

static cease_error take_in_turn(cease_ctx *ctx, void *arg);

/* Without the lock. */
static void start(struct ceasei_http_ready *r)
{
    if (cease_group_go(r->run->group, take_in_turn, r) == CEASE_OK) {
        return;
    }
    ceasei_lock(&r->lock);
    struct ceasei_http_connection *c = r->first;
    r->first = NULL;
    r->coming = false;
    ceasei_unlock(&r->lock);
    while (c) {
        struct ceasei_http_connection *next = c->next_ready;
        ceasei_http_connection_turn_away(c);
        c = next;
    }
}

/* The oldest one; NULL: none waits. */
static struct ceasei_http_connection *take(struct ceasei_http_ready *r, bool arrived)
{
    ceasei_lock(&r->lock);
    struct ceasei_http_connection *c = r->first;
    if (arrived) {
        r->coming = false;
    }
    if (c) {
        r->first = c->next_ready;
    }
    bool must = must_start(r);
    ceasei_unlock(&r->lock);
    if (must) {
        start(r);
    }
    return c;
}

static cease_error take_in_turn(cease_ctx *ctx, void *arg)
{
    struct ceasei_http_ready *r = arg;
    struct ceasei_http_connection *c = take(r, true);
    (void)ctx;
    for (int turn = 1; c; turn++) {
        ceasei_http_connection_serve(c);
        c = turn < TURN_MAX ? take(r, false) : NULL;
    }
    return CEASE_OK;
}

void ceasei_http_ready_push(struct ceasei_http_connection *c)
{
    struct ceasei_http_ready *r = list_of(c->run);
    c->next_ready = NULL;
    ceasei_lock(&r->lock);
    if (r->first) {
        r->last->next_ready = c;
    } else {
        r->first = c;
    }
    r->last = c;
    bool must = must_start(r);
    ceasei_unlock(&r->lock);
    if (must) {
        start(r);
    }
}
