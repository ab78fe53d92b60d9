/* SPDX-License-Identifier: MIT
 *
 * pool.c: which connection a request gets, and what becomes of it afterwards.
 *
 * The one idea (Go's wantConn): a call that finds no idle connection queues, and a dial is started for
 * it, by a task of the pool. It then takes what comes first, its own dial or a connection that another
 * call gives back, and may leave the queue when its context ends: the dial goes on and serves the next
 * in the queue, or the pool. A dial that fails tells only the call that it was started for.
 *
 * An idle connection holds neither task nor buffer: the poller calls on_idle_readable when the peer
 * closes it, or sends what nobody has asked for, and either ends it. So a connection that is taken from
 * the pool was open a moment ago. Its states:
 *
 *     BUSY --put--> ARMING --armed--> IDLE --get, sweep, limit--> TAKEN --disarmed--> BUSY, or closed
 *     ARMING, TAKEN --readable--> FIRED        whoever moves it on closes it
 *     IDLE --readable--> closed by the callback
 *     TAKEN --the callback was already called--> ABANDONED --readable--> closed by the callback
 *
 * A multiplexed connection (HTTP/2) is BUSY while it has users, of which the last to leave puts it to the idle ones.
 * Meanwhile it is in its origin's list of those that take more, up to its `limit`, until it says that it takes none;
 * then it is closed when its last user has left. It watches itself and tells by ceasei_pool_gone. Until it is known
 * that a server does not multiplex, one connection to it is made at a time, for all who wait.
 *
 * All lists, counts and states are under the pool's lock; `state` of a BUSY one is its user's. Nothing is
 * allocated, closed, sent or woken under it. Origins are origin.c's.
 */
#include "http/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct result {
    struct ceasei_link *link; /* BUSY; NULL: see error */
    cease_error error;
    char why[CEASEI_WHY_SIZE]; /* of the error */
};

/* A call in the queue, on its stack. */
struct waiter {
    struct waiter *next;
    cease_chan *chan;   /* gets one struct result, after `queued` has become false */
    struct dial *dial;  /* that runs for it; NULL: none */
    struct dial *spare; /* to be started for it */
    char *why;          /* of its target */
    cease_time since;   /* the queue is in this order */
    bool queued;
};

struct dial {
    struct ceasei_pool *pool;
    struct ceasei_origin *origin;
    struct waiter *waiter; /* under lock; NULL: has been served, or has left */
    struct ceasei_target target;
    char why[CEASEI_WHY_SIZE]; /* the target's */
};

/* ---- waiters and dials ---- */

/* Under lock. Takes a waiter out of the queue, and a share of its channel, to be sent to after. */
static cease_chan *dequeue(struct ceasei_pool *p, struct ceasei_origin *o, struct waiter *w)
{
    struct waiter *before = NULL;
    for (struct waiter *at = o->first; at != w; at = at->next) {
        before = at;
    }
    *(before ? &before->next : &o->first) = w->next;
    if (o->last == w) {
        o->last = before;
    }
    if (w->dial) {
        w->dial->waiter = NULL;
        w->dial = NULL;
    }
    w->queued = false;
    p->waiting--;
    return cease_chan_ref(w->chan);
}

static void send(cease_chan *take_chan, struct ceasei_link *link, cease_error e, const char *why)
{
    struct result r = {link, e, ""};
    snprintf(r.why, sizeof r.why, "%s", why);
    cease_chan_try_send(take_chan, &r); /* there is room for the one */
    cease_chan_unref(take_chan);
}

/* Under lock. A dial to be started after it, for the first that waits without one, if there is room. */
static struct dial *next_dial(struct ceasei_pool *p, struct ceasei_origin *o)
{
    struct waiter *w = o->first;
    while (w && !w->spare) {
        w = w->next;
    }
    if (!w || o->count >= p->connection_max || p->closed) {
        return NULL;
    }
    if (p->multi && w->spare->target.tls && !o->single && o->dialing > 0) {
        return NULL; /* that one may do for all */
    }
    struct dial *d = w->spare;
    w->spare = NULL;
    w->dial = d;
    d->waiter = w;
    o->count++;
    o->dialing++;
    o->holders++;
    p->dialing++;
    p->dials_total++;
    return d;
}

static void start(struct dial *d);

/* Gives a multiplexed one, of which the caller is a user, to those who wait, as long as it takes more. */
static void serve(struct ceasei_pool *p, struct ceasei_origin *o, struct ceasei_link *l)
{
    for (;;) {
        cease_chan *chan = NULL;
        ceasei_lock(&p->lock);
        if (o->first && l->users < l->limit && !p->closed) {
            chan = dequeue(p, o, o->first);
            l->users++;
        }
        ceasei_unlock(&p->lock);
        if (!chan) {
            return;
        }
        send(chan, l, CEASE_OK, "");
    }
}

/* Starts what next_dial allows. */
static void start_all(struct ceasei_pool *p, struct ceasei_origin *o)
{
    struct dial *d;
    do {
        ceasei_lock(&p->lock);
        d = next_dial(p, o);
        ceasei_unlock(&p->lock);
        start(d);
    } while (d);
}

/* What came of a dial: a link, or NULL and an error. */
static void finish(struct dial *d, struct ceasei_link *link, cease_error e)
{
    struct ceasei_pool *p = d->pool;
    struct ceasei_origin *o = d->origin;
    cease_chan *chan = NULL;
    bool shared = link && link->multi;
    uint32_t limit = shared ? link->multi->limit(link->shared) : 0;
    ceasei_lock(&p->lock);
    struct waiter *w = d->waiter;
    p->dialing--;
    o->dialing--;
    if (link) {
        link->origin = o;
        p->busy++;
        w = w ? w : o->first;
        o->single = o->single || !shared;
    } else {
        o->count--;
    }
    if (w) {
        chan = dequeue(p, o, w);
    }
    if (shared) {
        link->limit = limit;
        link->users = chan ? 2 : 1; /* this dial is one until all who wait are served */
        ceasei_origin_list(link);
    }
    ceasei_unlock(&p->lock);
    if (chan) {
        send(chan, link, e, d->why);
    }
    if (shared) {
        serve(p, o, link);
    }
    if (link && (shared || !chan)) {
        ceasei_pool_put(link);
    }
    start_all(p, o);
    ceasei_origin_let_go(p, o);
    free(d);
}

static cease_error dial_task(cease_ctx *ctx, void *arg)
{
    struct dial *d = arg;
    struct ceasei_link *link = NULL;
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, d->pool->dial_timeout, &stop);
    cease_error e = ceasei_link_dial(limited, d->pool, &d->target, &link);
    if (e == CEASE_EDEADLINE && cease_err(limited) == e) {
        e = CEASE_ETIMEDOUT; /* the pool's limit, not the caller's time */
    }
    cease_end(stop);
    finish(d, e == CEASE_OK ? link : NULL, e);
    return CEASE_OK;
}

/* NULL is fine. */
static void start(struct dial *d)
{
    if (d) {
        cease_error e = cease_group_go(d->pool->group, dial_task, d);
        if (e != CEASE_OK) {
            finish(d, NULL, e);
        }
    }
}

static const char *copy(char **p, const char *text, size_t size)
{
    char *begin = *p;
    memcpy(begin, text, size);
    begin[size] = '\0';
    *p += size + 1;
    return begin;
}

static struct dial *dial_new(struct ceasei_pool *p, struct ceasei_origin *o,
                             const struct ceasei_target *t)
{
    size_t address = strlen(t->address);
    size_t auth = strlen(t->proxy_auth);
    struct dial *d = malloc(sizeof *d + t->host_size + t->authority_size + address + auth + 4);
    if (d) {
        char *text = (char *)(d + 1);
        *d = (struct dial){.pool = p, .origin = o, .target = *t};
        d->target.why = d->why;
        d->target.host = copy(&text, t->host, t->host_size);
        d->target.authority = copy(&text, t->authority, t->authority_size);
        d->target.address = copy(&text, t->address, address);
        d->target.proxy_auth = copy(&text, t->proxy_auth, auth);
    }
    return d;
}

/* ---- closing ---- */

static void close_conn(struct ceasei_link *l)
{
    if (l->multi) {
        l->multi->close(l->shared);
    }
    if (l->session) {
        l->tls->close(l->session);
    }
    cease_conn_close(l->conn);
}

/* Closes one that is in no list and of which nobody will hear any more. */
static void destroy(struct ceasei_link *l)
{
    struct ceasei_pool *p = l->pool;
    struct ceasei_origin *o = l->origin;
    close_conn(l);
    free(l);
    if (!p) {
        return;
    }
    ceasei_lock(&p->lock);
    p->busy--;
    o->count--;
    struct dial *d = next_dial(p, o);
    struct ceasei_origin *gone = d ? NULL : ceasei_origin_unneeded(p, o);
    ceasei_unlock(&p->lock);
    free(gone);
    start(d);
}

void ceasei_link_close(struct ceasei_link *take_link)
{
    if (take_link) {
        destroy(take_link);
    }
}

/* The peer has closed, or speaks unasked. On the poller's thread. */
static void on_idle_readable(void *arg)
{
    struct ceasei_link *l = arg;
    struct ceasei_pool *p = l->pool;
    ceasei_lock(&p->lock);
    bool mine = l->state == CEASEI_LINK_IDLE || l->state == CEASEI_LINK_ABANDONED;
    if (l->state == CEASEI_LINK_IDLE) {
        ceasei_origin_take(p, l);
    } else if (!mine) {
        l->state = CEASEI_LINK_FIRED;
    }
    ceasei_unlock(&p->lock);
    if (mine) {
        destroy(l);
    }
}

/* Makes a TAKEN one BUSY. False: the poller was first, and it is closed, or going to be. */
static bool disarm(struct ceasei_link *l)
{
    struct ceasei_pool *p = l->pool;
    if (l->multi) {
        return true;
    }
    if (cease_conn_off_readable(l->conn)) {
        l->state = CEASEI_LINK_BUSY;
        return true;
    }
    ceasei_lock(&p->lock);
    bool fired = l->state == CEASEI_LINK_FIRED;
    l->state = CEASEI_LINK_ABANDONED;
    ceasei_unlock(&p->lock);
    if (fired) {
        destroy(l);
    }
    return false;
}

/* Closes a TAKEN one. */
static void discard(struct ceasei_link *l)
{
    if (disarm(l)) {
        destroy(l);
    }
}

/* Closes the idle ones of an origin, or all. */
static void close_idle(struct ceasei_pool *p, const struct ceasei_origin *of)
{
    for (;;) {
        ceasei_lock(&p->lock);
        struct ceasei_link *l = of ? of->idle : p->oldest;
        if (l) {
            ceasei_origin_take(p, l);
        }
        ceasei_unlock(&p->lock);
        if (!l) {
            return;
        }
        discard(l);
    }
}

void ceasei_pool_close_idle(struct ceasei_pool *p)
{
    close_idle(p, NULL);
}

void ceasei_pool_distrust(struct ceasei_link *l)
{
    if (l->pool) { /* l itself keeps the origin */
        close_idle(l->pool, l->origin);
    }
}

static cease_error discard_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    destroy(arg);
    return CEASE_OK;
}

/* On a task of the connection, which cannot close what it belongs to. One that is in use is left to its users. */
void ceasei_pool_gone(void *arg)
{
    struct ceasei_link *l = arg;
    struct ceasei_pool *p = l->pool;
    ceasei_lock(&p->lock);
    bool mine = l->state == CEASEI_LINK_IDLE;
    if (mine) {
        ceasei_origin_take(p, l);
    }
    l->gone = true;
    ceasei_unlock(&p->lock);
    if (mine && cease_go(cease_background(), discard_task, l) != CEASE_OK) {
        ceasei_lock(&p->lock);
        ceasei_origin_rest(p, l); /* for the sweeper */
        ceasei_unlock(&p->lock);
    }
}

/* ---- the sweeper: a task while there are idle ones ---- */

static cease_error sweep_task(cease_ctx *ctx, void *arg)
{
    struct ceasei_pool *p = arg;
    for (;;) {
        cease_time now = cease_now();
        cease_dur left = {0};
        ceasei_lock(&p->lock);
        struct ceasei_link *l = p->oldest;
        if (!l || cease_err(ctx) != CEASE_OK) {
            p->sweeping = false;
            ceasei_unlock(&p->lock);
            return CEASE_OK;
        }
        left = cease_time_sub(cease_time_add(l->idle_since, p->idle_timeout), now);
        if (left.ns <= 0) {
            ceasei_origin_take(p, l);
        }
        ceasei_unlock(&p->lock);
        if (left.ns <= 0) {
            discard(l);
        } else {
            (void)cease_sleep(ctx, left);
        }
    }
}

/* ---- put and get ---- */

/* Arms one and puts it among the idle, or closes it. */
static void rest(struct ceasei_pool *p, struct ceasei_link *l)
{
    struct ceasei_link *victim = NULL;
    bool sweep = false;
    cease_error e = l->multi ? CEASE_OK : cease_conn_on_readable(l->conn, on_idle_readable, l);
    ceasei_lock(&p->lock);
    bool usable = e == CEASE_OK && l->state == CEASEI_LINK_ARMING && !l->gone;
    bool wanted = !p->closed && !l->origin->first;
    if (usable && wanted) {
        l->idle_since = cease_now();
        ceasei_origin_rest(p, l);
        if (p->idle > p->idle_max) {
            victim = p->oldest;
            ceasei_origin_take(p, victim);
        }
        sweep = !p->sweeping && p->idle > 0 && p->idle_timeout.ns != INT64_MAX;
        p->sweeping = p->sweeping || sweep;
    } else if (usable) {
        l->state = CEASEI_LINK_TAKEN;
        l->users = 1;
    }
    ceasei_unlock(&p->lock);
    if (!usable) {
        destroy(l);
    } else if (!wanted && disarm(l)) {
        ceasei_pool_put(l); /* somebody has come, or the pool has gone, meanwhile */
    }
    if (victim) {
        discard(victim);
    }
    if (sweep && cease_group_go(p->group, sweep_task, p) != CEASE_OK) {
        ceasei_lock(&p->lock);
        p->sweeping = false; /* the next one tries again */
        ceasei_unlock(&p->lock);
    }
}

/* A user leaves. False: it was the last, and the caller has the connection for itself. */
static bool leave(struct ceasei_pool *p, struct ceasei_link *l)
{
    uint32_t limit = l->multi->limit(l->shared);
    struct ceasei_origin *o = l->origin;
    cease_chan *chan = NULL;
    ceasei_lock(&p->lock);
    l->limit = limit;
    bool good = limit > 0 && !p->closed;
    if (good && o->first && l->users <= limit) {
        chan = dequeue(p, o, o->first); /* gets what the caller had */
    } else {
        l->users--;
    }
    bool last = l->users == 0;
    if (last || !good) {
        ceasei_origin_unlist(l);
    }
    ceasei_unlock(&p->lock);
    if (chan) {
        send(chan, l, CEASE_OK, "");
    }
    return !last;
}

void ceasei_pool_put(struct ceasei_link *take_link)
{
    struct ceasei_pool *p = take_link->pool;
    if (!p) {
        ceasei_link_close(take_link);
        return;
    }
    if (take_link->multi && leave(p, take_link)) {
        return;
    }
    struct ceasei_origin *o = take_link->origin;
    cease_chan *chan = NULL;
    ceasei_lock(&p->lock);
    bool close = p->closed || (take_link->multi && take_link->limit == 0);
    if (!close && o->first) {
        chan = dequeue(p, o, o->first);
        if (take_link->multi) {
            take_link->users = 1;
            ceasei_origin_list(take_link);
        }
    } else if (!close && o->idle_count < p->idle_per_origin_max) {
        take_link->state = CEASEI_LINK_ARMING;
    } else {
        close = true;
    }
    ceasei_unlock(&p->lock);
    if (chan) {
        send(chan, take_link, CEASE_OK, "");
    } else if (close) {
        ceasei_link_close(take_link);
    } else {
        rest(p, take_link);
    }
}

/* Asks a multiplexed one, of which the caller has become a user, whether it takes that many. */
static bool admits(struct ceasei_pool *p, struct ceasei_link *l)
{
    uint32_t limit = l->multi->limit(l->shared);
    ceasei_lock(&p->lock);
    l->limit = limit;
    bool ok = l->users <= limit;
    ceasei_unlock(&p->lock);
    if (!ok) {
        ceasei_pool_put(l);
    }
    return ok;
}

/* One that takes another user, or the newest idle one of the origin that is still open. */
static struct ceasei_link *take_open(struct ceasei_pool *p, uint32_t hash, const char *key,
                                     size_t size)
{
    for (;;) {
        ceasei_lock(&p->lock);
        struct ceasei_origin *o = ceasei_origin_find(p, hash, key, size);
        struct ceasei_link *l = o ? ceasei_origin_roomy(o) : NULL;
        if (!l && o && o->idle) {
            l = o->idle;
            ceasei_origin_take(p, l);
        }
        if (l && l->multi) {
            l->state = CEASEI_LINK_BUSY;
            l->users++;
            ceasei_origin_list(l);
        }
        ceasei_unlock(&p->lock);
        if (!l || (l->multi ? admits(p, l) : disarm(l))) {
            return l;
        }
    }
}

/* Queues w, unless there is an idle one (false). */
static bool enqueue(struct ceasei_pool *p, struct ceasei_origin *o, struct waiter *w)
{
    ceasei_lock(&p->lock);
    bool queue = !o->idle && !ceasei_origin_roomy(o);
    struct dial *d = NULL;
    if (queue) {
        bool late = o->last && o->last->since.ns <= w->since.ns;
        struct waiter **at = late ? &o->last->next : &o->first;
        while (*at && (*at)->since.ns <= w->since.ns) {
            at = &(*at)->next;
        }
        w->next = *at;
        *at = w;
        o->last = w->next ? o->last : w;
        w->queued = true;
        p->waiting++;
        d = next_dial(p, o);
    }
    ceasei_unlock(&p->lock);
    start(d);
    return queue;
}

/* Waits for whatever comes first. */
static cease_error await(cease_ctx *ctx, struct ceasei_pool *p, struct ceasei_origin *o,
                         struct waiter *w, struct ceasei_link **ret_link)
{
    struct result r = {NULL, CEASE_OK, ""};
    cease_error e = cease_chan_recv(ctx, w->chan, &r);
    if (e != CEASE_OK) {
        ceasei_lock(&p->lock);
        cease_chan *chan = w->queued ? dequeue(p, o, w) : NULL;
        ceasei_unlock(&p->lock);
        if (chan) {
            cease_chan_unref(chan);
            return e;
        }
        /* it is on its way: whoever took w out of the queue sends without waiting for anything */
        cease_chan_recv(cease_background(), w->chan, &r);
        if (r.link) {
            ceasei_pool_put(r.link);
        }
        return e;
    }
    *ret_link = r.link;
    if (w->why) {
        memcpy(w->why, r.why, sizeof r.why);
    }
    return r.link ? CEASE_OK : r.error;
}

/* There was none: queues, with a dial if there is room. CEASE_OK without a link: one has become idle
 * meanwhile. */
static cease_error get_slowly(cease_ctx *ctx, struct ceasei_pool *p, const struct ceasei_target *t,
                              struct ceasei_origin *o, struct ceasei_link **ret_link)
{
    struct waiter w = {.chan = cease_chan_new(sizeof(struct result), 1),
                       .spare = dial_new(p, o, t),
                       .since = t->since.ns != 0 ? t->since : cease_now(),
                       .why = t->why};
    cease_error e = w.chan && w.spare ? CEASE_OK : CEASE_ENOMEM;
    if (e == CEASE_OK && enqueue(p, o, &w)) {
        e = await(ctx, p, o, &w, ret_link);
    }
    free(w.spare);
    cease_chan_unref(w.chan);
    return e;
}

cease_error ceasei_pool_get(cease_ctx *ctx, struct ceasei_pool *p, const struct ceasei_target *t,
                            struct ceasei_link **ret_link)
{
    char key[CEASEI_ORIGIN_KEY_MAX];
    size_t size = ceasei_origin_key(t, key);
    cease_error e = size == 0 ? CEASE_EINVAL : cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    uint32_t hash = ceasei_origin_hash(key, size);
    do {
        struct ceasei_origin *o;
        *ret_link = take_open(p, hash, key, size);
        if (*ret_link) {
            return CEASE_OK;
        }
        e = ceasei_origin_hold(p, hash, key, size, &o);
        if (e == CEASE_OK) {
            e = get_slowly(ctx, p, t, o, ret_link);
            ceasei_origin_let_go(p, o);
        }
    } while (e == CEASE_OK && !*ret_link);
    return e;
}

/* ---- life ---- */

cease_error ceasei_pool_init(struct ceasei_pool *p)
{
    static const cease_group_opts supervise = {.size = sizeof supervise, .supervise = true};
    p->table = calloc(CEASEI_ORIGIN_BUCKETS, sizeof(struct ceasei_origin *));
    p->group = cease_group_new(cease_background(), &supervise);
    return p->table && p->group ? CEASE_OK : CEASE_ENOMEM;
}

void ceasei_pool_deinit(struct ceasei_pool *p)
{
    unsigned round = 0;
    ceasei_lock(&p->lock);
    p->closed = true;
    ceasei_unlock(&p->lock);
    cease_group_free(p->group);
    for (
        ;
        ;) { /* the poller may be about to call for one that is ABANDONED; or one closes that is gone */
        close_idle(p, NULL);
        ceasei_lock(&p->lock);
        bool empty = p->origin_count == 0;
        ceasei_unlock(&p->lock);
        if (empty) {
            break;
        }
        ceasei_backoff(&round);
    }
    free(p->table);
}
