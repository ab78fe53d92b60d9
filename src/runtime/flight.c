/* SPDX-License-Identifier: MIT
 *
 * flight.c: calls that are shared by all who ask for the same key at the same time.
 *
 * The idea: a call is a task of its own, and those who want its result wait for it like for anything
 * else, each under its own context. The call's context is ended by the last who leaves.
 *
 * States of a flight, under its lock:
 *
 *     FLYING --> ENDED        the call has returned, or could not be started
 *
 * While it flies it is in the table, until it has ended or nobody wants it any more; who comes after
 * that begins another flight for the same key.
 *
 * Invariants:
 *  - while a flight flies somebody has a share of it: those who wait, and the last who leaves, because it
 *    joins. So the task needs no share, and the value is dropped where a caller is, not at the end of a
 *    task, where nothing may park;
 *  - wanted counts those who wait and have not been cut short.
 *
 * Locks: the table's, then a flight's. What the task touches last of a flight is its lock, and after
 * that the table's; cease_flights_free takes the table's first, so it is not freed under the task.
 *
 * Left out on purpose: a table that grows. 256 chains serve some thousand flights at a time.
 */
#include "base/panic.h"
#include "runtime/sync.h"

#include <cease/flight.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 256 };

struct cease_flight {
    cease_sync_ sync_;         /* its lock, and those who wait */
    struct cease_flights *all; /* set at birth; not touched after the end */
    struct cease_flight *next; /* under the table's lock */
    uint32_t hash;             /* set at birth */
    uint32_t refs;             /* atomic: callers */
    bool in_table;             /* under both locks */
    bool ended;                /* under lock, once */
    size_t wanted;             /* under lock */
    size_t shared;             /* set at the end: wanted then */
    cease_error error;         /* set at the end */
    void *value;               /* the task's; from the end on read-only */
    void (*drop)(void *value); /* set at birth */
    cease_ctx *ctx;            /* set at birth; valid by the canceler's share */
    cease_canceler *stop;      /* set at birth */
    char key[];
};

struct cease_flights {
    struct ceasei_lock lock;
    cease_flight_fn *fn; /* these three: set at birth */
    void (*drop)(void *value);
    void *self;
    struct cease_flight *chains[CHAINS]; /* under lock */
};

CEASE_PUBLIC cease_flights *cease_flights_new(cease_flight_fn *fn, void (*drop)(void *value),
                                              void *self)
{
    if (!fn) {
        ceasei_panic_at(NULL, 0, __func__, "the function is NULL");
    }
    cease_flights *all = calloc(1, sizeof *all);
    if (all) {
        all->fn = fn;
        all->drop = drop;
        all->self = self;
    }
    return all;
}

CEASE_PUBLIC void cease_flights_free(cease_flights *f)
{
    if (!f) {
        return;
    }
    bool flies = false;
    ceasei_lock(&f->lock);
    for (size_t i = 0; i < CHAINS; i++) {
        flies |= f->chains[i] != NULL;
    }
    ceasei_unlock(&f->lock);
    if (flies) {
        ceasei_panic_at(NULL, 0, __func__, "somebody still waits for one of its calls");
    }
    free(f);
}

/* ---- the table, under its lock -------------------------------------------------------------------- */

/* FNV-1a */
static uint32_t hash_of(const char *key)
{
    uint32_t hash = 2166136261U;
    for (; *key; key++) {
        hash = (hash ^ (unsigned char)*key) * 16777619U;
    }
    return hash;
}

static struct cease_flight *table_find(struct cease_flights *all, uint32_t hash, const char *key)
{
    struct cease_flight *f = all->chains[hash % CHAINS];
    while (f && (f->hash != hash || strcmp(f->key, key) != 0)) {
        f = f->next;
    }
    return f;
}

static void table_add(struct cease_flights *all, struct cease_flight *f)
{
    f->next = all->chains[f->hash % CHAINS];
    all->chains[f->hash % CHAINS] = f;
    f->in_table = true;
}

static void table_remove(struct cease_flights *all, struct cease_flight *f)
{
    struct cease_flight **p = &all->chains[f->hash % CHAINS];
    while (f->in_table && *p != f) {
        p = &(*p)->next;
    }
    if (f->in_table) {
        *p = f->next;
        f->in_table = false;
    }
}

/* ---- one flight ------------------------------------------------------------------------------------ */

static struct cease_flight *flight_new(cease_ctx *ctx, struct cease_flights *all, uint32_t hash,
                                       const char *key, const cease_place *place)
{
    size_t size = strlen(key) + 1;
    struct cease_flight *f = calloc(1, sizeof *f + size);
    if (f) {
        f->all = all;
        f->hash = hash;
        f->refs = 1;
        f->drop = all->drop;
        memcpy(f->key, key, size);
        cease_ctx *values = cease_without_cancel(ctx);
        f->ctx = cease_with_cancel_at(values, &f->stop, place);
        cease_unref(values);
    }
    return f;
}

CEASE_PUBLIC cease_flight *cease_flight_unref(cease_flight *flight)
{
    /* ACQ_REL: every holder's use comes before the last one's free. */
    if (!flight || ceasei_sub(&flight->refs, 1, ACQ_REL) > 1) {
        return NULL;
    }
    if (flight->drop && flight->value && flight->error == CEASE_OK) {
        flight->drop(flight->value);
    }
    cease_end(flight->stop);
    free(flight);
    return NULL;
}

static cease_error fly(cease_ctx *ctx, void *arg)
{
    struct cease_flight *f = arg;
    return f->all->fn(ctx, f->key, f->all->self, &f->value);
}

/* The end of the task, or of the attempt to start it. The flight may be gone when its lock is given
 * back. */
static void land(void *arg, cease_error e)
{
    struct cease_flight *f = arg;
    struct cease_flights *all = f->all;
    ceasei_lock(&all->lock);
    ceasei_sync_lock(&f->sync_);
    table_remove(all, f);
    f->ended = true;
    f->error = e;
    f->shared = f->wanted;
    struct cease_sync_node_ *chain = ceasei_sync_claim_all(&f->sync_);
    ceasei_sync_unlock(&f->sync_);
    ceasei_unlock(&all->lock);
    ceasei_sync_wake_all(chain);
}

/* Waits for its end: whether that came before ctx's. */
static bool wait_for_end(cease_ctx *ctx, struct cease_flight *f)
{
    ceasei_sync_lock(&f->sync_);
    if (f->ended) {
        ceasei_sync_unlock(&f->sync_);
        return true;
    }
    struct cease_sync_node_ n = {0};
    ceasei_sync_enqueue(&f->sync_, &n, ctx);
    ceasei_waits(n.waiter.parker.owner, ctx, CEASEI_WAIT_NAMED, (uintptr_t) "a shared call");
    if (ceasei_sync_wait(&f->sync_, &n, ctx)) {
        return true;
    }
    f->wanted--;
    ceasei_sync_unlock(&f->sync_);
    return false;
}

/* Its caller has been cut short. If nobody wants the flight any more, ends and joins it. */
static void leave(cease_ctx *ctx, struct cease_flight *f)
{
    struct cease_flights *all = f->all;
    ceasei_lock(&all->lock);
    ceasei_sync_lock(&f->sync_);
    bool is_last = f->wanted == 0 && !f->ended;
    if (is_last) {
        table_remove(all, f);
    }
    ceasei_sync_unlock(&f->sync_);
    ceasei_unlock(&all->lock);
    if (is_last) {
        const cease_cause *cause = cease_cause_of(ctx);
        cease_cancel_cause(f->stop, cause->code, "the last who wanted it has left: %s",
                           cause->text);
        (void)wait_for_end(cease_background(), f);
    }
}

/* Under the table's lock, as the look of who leaves is: so nobody who has found it is left without. */
static void want(struct cease_flight *f)
{
    ceasei_sync_lock(&f->sync_);
    f->wanted++;
    ceasei_sync_unlock(&f->sync_);
}

/* The flight for key, with a share for the caller, and whether the caller is to start it. */
static struct cease_flight *board(cease_ctx *ctx, cease_flights *all, const char *key,
                                  bool *ret_starts, const cease_place *place)
{
    uint32_t hash = hash_of(key);
    struct cease_flight *fresh = NULL, *f;
    for (;;) {
        ceasei_lock(&all->lock);
        f = table_find(all, hash, key);
        if (!f && fresh) {
            f = fresh;
            table_add(all, f);
        } else if (f) {
            ceasei_add(&f->refs, 1, RELAXED); /* it is in the table: somebody has a share */
        }
        if (f && !CEASE_SEED_BUG(BUG_FLIGHT)) {
            want(f);
        }
        ceasei_unlock(&all->lock);
        if (f && CEASE_SEED_BUG(BUG_FLIGHT)) {
            want(f);
        }
        if (f) {
            break;
        }
        fresh = flight_new(ctx, all, hash, key, place);
        if (!fresh) {
            return NULL;
        }
    }
    *ret_starts = f == fresh;
    if (fresh && f != fresh) {
        cease_flight_unref(fresh);
    }
    return f;
}

CEASE_PUBLIC cease_error cease_flight_do_at(cease_ctx *ctx, cease_flights *f, const char *key,
                                            cease_flight **ret_flight, const cease_place *place)
{
    cease_error e = ceasei_enter(ctx, "cease_flight_do");
    if (e != CEASE_OK || !f) {
        return e ? e : CEASE_ENOMEM;
    }
    bool starts;
    struct cease_flight *flight = board(ctx, f, key, &starts, place);
    if (!flight) {
        return CEASE_ENOMEM;
    }
    if (starts) {
        e = ceasei_task_start(&(struct ceasei_task_start){.ctx = flight->ctx,
                                                          .fn = fly,
                                                          .arg = flight,
                                                          .done = land,
                                                          .owner = flight,
                                                          .place = place,
                                                          .borrows_ctx = true});
        if (e != CEASE_OK) {
            land(flight, e);
        }
    }
    if (!wait_for_end(ctx, flight)) {
        leave(ctx, flight);
        cease_flight_unref(flight);
        return cease_err(ctx);
    }
    e = flight->error; /* written before the end was told */
    if (e != CEASE_OK) {
        cease_flight_unref(flight);
        return e;
    }
    *ret_flight = flight;
    return CEASE_OK;
}

CEASE_PUBLIC void *cease_flight_value(const cease_flight *flight)
{
    return flight ? flight->value : NULL;
}

CEASE_PUBLIC size_t cease_flight_shared(const cease_flight *flight)
{
    return flight ? flight->shared : 0;
}

#undef cease_flight_do
/* For bindings of other languages. */
CEASE_PUBLIC cease_error cease_flight_do(cease_ctx *ctx, cease_flights *f, const char *key,
                                         cease_flight **ret_flight)
{
    return cease_flight_do_at(ctx, f, key, ret_flight, CEASE_HERE);
}
