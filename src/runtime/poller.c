/* SPDX-License-Identifier: MIT
 *
 * poller.c: who waits for which fd. poller.h says what it promises, worker.c calls epoll_wait.
 *
 * The idea is Go's pollDesc: a word for each direction of an fd.
 *
 *     NIL ----event----> READY ----wait----> NIL        the wait returns at once
 *     NIL ----wait----> a waiter ----event, close or the end of its context----> NIL
 *
 *  - CALL stands for a waiter that is a function: who takes it out of the word owes the one call. fn and
 *    arg are written before CALL is, and read after it was taken out: until then nobody arms again.
 *  - A waiter is on the stack of whoever waits. To take its address out of the word, by
 *    compare-and-swap, is to win it: whoever does says why, and wakes it once, and it parks until then.
 *    So a cancel is one compare-and-swap and a wake, without a system call.
 *  - closing: close sets `closing`, then empties the words; a waiter puts itself into the word, then
 *    looks at `closing`. Both SEQ_CST: one of them sees the other.
 *  - Entries are never freed while the runtime runs, only used again, with another `generation`. An
 *    event that epoll had in hand when its entry was removed names the old one and is dropped. Should
 *    it slip through just before the change, it makes a direction READY for nothing, which every user
 *    must expect; hangups are told under the entry's lock, after a second look.
 *  - A hangup function runs without the lock, marked by its worker's `telling`. Who wants it not to
 *    run waits for that mark, unless on that worker: there it is not running, or it is the caller.
 *
 * Who guards what: slots, closing, generation, hung are atomic; fn and arg are under the entry's lock;
 * fd, worker and once are set by add and read until remove; the free list is under table.lock.
 */
#include "runtime/poller.h"

#include "base/lock.h"
#include "base/panic.h"
#include "runtime/runtime.h"
#include "runtime/virtual.h"

#include <cease/hooks.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { CHUNK = 256, CHUNKS_MAX = 16384 };
enum { NIL = 0, READY = 1, CALL = 2 };
enum reason { BY_EVENT, BY_CLOSE, BY_CTX };

struct waiter {
    cease_parker parker;
    cease_watch watch;
    uintptr_t *slot;
    enum reason reason; /* written by who won the waiter */
};

struct ceasei_poll_entry {
    uintptr_t slot[2];   /* atomic: NIL, READY, CALL (reading only) or a struct waiter */
    uint32_t closing;    /* atomic */
    uint32_t generation; /* atomic: changed by remove, under lock */
    uint32_t hung;       /* atomic: CEASEI_HANGUP_ bits; written under lock */
    struct ceasei_lock lock;
    ceasei_hangup_fn *fn;         /* under lock */
    void *arg;                    /* under lock */
    ceasei_readable_fn *readable; /* whoever arms, then whoever takes CALL out */
    void *readable_arg;           /* the same */
    struct ceasei_worker *worker;
    int fd;
    bool inside;                    /* set before it is shared: see ceasei_poller_inside */
    uint32_t number;                /* set at birth */
    uint32_t once;                  /* atomic: epoll orders it, but not every tool knows */
    struct ceasei_poll_entry *next; /* under table.lock, while it is free */
};

static struct {
    struct ceasei_lock lock;
    struct ceasei_poll_entry *chunks[CHUNKS_MAX]; /* atomic: released by table_grow */
    uint32_t chunk_count;                         /* under lock */
    struct ceasei_poll_entry *free;               /* under lock */
    size_t live;                                  /* atomic */
} table;

/* ---- the table ------------------------------------------------------------------------------ */

static cease_error table_grow(void)
{
    struct ceasei_poll_entry *chunk = calloc(CHUNK, sizeof *chunk);
    if (!chunk) {
        return CEASE_ENOMEM;
    }
    ceasei_lock(&table.lock);
    bool room = table.chunk_count < CHUNKS_MAX;
    if (room) {
        for (uint32_t i = 0; i < CHUNK; i++) {
            chunk[i].number = table.chunk_count * CHUNK + i;
            chunk[i].next = table.free;
            table.free = &chunk[i];
        }
        ceasei_store(&table.chunks[table.chunk_count++], chunk, RELEASE);
    }
    ceasei_unlock(&table.lock);
    if (!room) {
        free(chunk);
    }
    return room ? CEASE_OK : CEASE_EMFILE;
}

static cease_error entry_new(int fd, struct ceasei_worker *w, struct ceasei_poll_entry **ret_entry)
{
    struct ceasei_poll_entry *e;
    for (;;) {
        ceasei_lock(&table.lock);
        e = table.free;
        if (e) {
            table.free = e->next;
        }
        ceasei_unlock(&table.lock);
        if (e) {
            break;
        }
        cease_error err = table_grow();
        if (err != CEASE_OK) {
            return err;
        }
    }
    ceasei_add(&table.live, 1, RELAXED);
    e->fd = fd;
    e->inside = false;
    e->worker = w;
    ceasei_store(&e->once, 0, RELAXED);
    ceasei_store(&e->slot[0], NIL, RELAXED);
    ceasei_store(&e->slot[1], NIL, RELAXED);
    ceasei_lock(&e->lock);
    e->fn = NULL;
    ceasei_store(&e->hung, 0, RELAXED);
    ceasei_store(&e->closing, 0, RELAXED);
    ceasei_unlock(&e->lock);
    *ret_entry = e;
    return CEASE_OK;
}

static void entry_free(struct ceasei_poll_entry *e)
{
    ceasei_lock(&e->lock);
    ceasei_store(&e->generation, e->generation + 1, RELEASE);
    ceasei_unlock(&e->lock);
    ceasei_lock(&table.lock);
    e->next = table.free;
    table.free = e;
    ceasei_unlock(&table.lock);
    ceasei_sub(&table.live, 1, RELEASE);
}

size_t ceasei_poller_count(void)
{
    return ceasei_load(&table.live, ACQUIRE);
}

void ceasei_poller_unmap(void)
{
    for (uint32_t i = 0; i < table.chunk_count; i++) {
        free(table.chunks[i]);
        ceasei_store(&table.chunks[i], NULL, RELAXED);
    }
    table.chunk_count = 0;
    table.free = NULL;
}

/* ---- add and remove ------------------------------------------------------------------------- */

static cease_error add_to(struct ceasei_worker *w, int fd, uint32_t events,
                          struct ceasei_poll_entry **ret_entry)
{
    struct ceasei_poll_entry *e;
    cease_error err = entry_new(fd, w, &e);
    if (err != CEASE_OK) {
        return err;
    }
    ceasei_store(&e->once, (events & EPOLLONESHOT) != 0, RELAXED);
    struct epoll_event event = {.events = events};
    event.data.u64 = (uint64_t)e->generation << 32 | (e->number + 1);
    ceasei_worker_socket_comes(w);
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        err = (cease_error)-errno;
        ceasei_worker_socket_goes(w);
        entry_free(e);
        return err;
    }
    *ret_entry = e;
    return CEASE_OK;
}

cease_error ceasei_poller_add(int fd, struct ceasei_poll_entry **ret_entry)
{
    const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    struct ceasei_worker *w = ceasei_worker_self;
    if (w) {
        return add_to(w, fd, events, ret_entry);
    }
    cease_error err = ceasei_runtime_enter();
    if (err == CEASE_OK) {
        err = add_to(ceasei_runtime_some_worker(), fd, events, ret_entry);
        ceasei_runtime_leave();
    }
    return err;
}

void ceasei_poller_inside(struct ceasei_poll_entry *e)
{
    e->inside = true;
}

cease_error ceasei_poller_add_once(int fd, uint32_t events, struct ceasei_poll_entry **ret_entry)
{
    return add_to(ceasei_worker_self, fd, events | EPOLLONESHOT, ret_entry);
}

void ceasei_poller_remove(struct ceasei_poll_entry *e)
{
    if (!e) {
        return;
    }
    ceasei_runtime_check_fork();
    ceasei_assert(ceasei_load(&e->slot[0], RELAXED) <= READY &&
                  ceasei_load(&e->slot[1], RELAXED) <= READY);
    /* Closing the fd would do as well, if nobody had a duplicate of it. */
    (void)epoll_ctl(e->worker->epoll, EPOLL_CTL_DEL, e->fd, NULL);
    ceasei_worker_socket_goes(e->worker);
    entry_free(e);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Takes a waiter out of its slot. Whoever gets true owes it one wake. */
static bool win(struct waiter *w, enum reason reason)
{
    uintptr_t expected = (uintptr_t)w;
    if (!ceasei_cas(w->slot, &expected, NIL, ACQ_REL)) {
        return false;
    }
    w->reason = reason;
    return true;
}

static void on_ctx_done(void *arg)
{
    struct waiter *w = arg;
    if (win(w, BY_CTX)) {
        cease_wake(&w->parker);
    }
}

/* Takes CALL out and calls. False: somebody else has. */
static bool call(struct ceasei_poll_entry *e, bool closed)
{
    uintptr_t expected = CALL;
    if (!ceasei_cas(&e->slot[CEASEI_POLL_READ], &expected, NIL, SEQ_CST)) {
        return false;
    }
    e->readable(e->readable_arg, closed);
    return true;
}

/* An event for a direction: for who waits, or for the next who comes. */
static void unblock(struct ceasei_poll_entry *e, enum ceasei_poll_direction direction)
{
    uintptr_t *slot = &e->slot[direction];
    uintptr_t seen = ceasei_load(slot, ACQUIRE);
    for (;;) {
        if (seen == READY) {
            return;
        }
        if (seen == NIL) {
            if (ceasei_cas(slot, &seen, READY, ACQ_REL)) {
                return;
            }
            continue;
        }
        if (seen == CALL) {
            if (call(e, false)) {
                return;
            }
            seen = ceasei_load(slot, ACQUIRE);
            continue;
        }
        struct waiter *w = (struct waiter *)seen;
        if (ceasei_cas(slot, &seen, NIL, ACQ_REL)) {
            w->reason = BY_EVENT;
            cease_wake(&w->parker);
            return;
        }
    }
}

/* The waiter is in its slot: until somebody has taken it out. */
static enum reason wait_in_slot(struct ceasei_poll_entry *e, struct waiter *w, cease_ctx *ctx)
{
    if (ceasei_load(&e->closing, SEQ_CST) && !CEASE_SEED_BUG(BUG_POLL_CLOSE) && win(w, BY_CLOSE)) {
        return BY_CLOSE;
    }
    (void)cease_watch_add_waiter(&w->watch, ctx, on_ctx_done, w); /* done already: it has run */
    bool held = !e->inside && ceasei_virtual_wait_begin();
    ceasei_waits(ceasei_task_self(), ctx,
                 w->slot == &e->slot[0] ? CEASEI_WAIT_READ : CEASEI_WAIT_WRITE, (uintptr_t)e->fd);
    cease_park(&w->parker);
    ceasei_waits(ceasei_task_self(), NULL, CEASEI_WAIT_PARKED, 0);
    ceasei_virtual_wait_end(held);
    cease_watch_remove_sync(&w->watch);
    return w->reason;
}

cease_error ceasei_poller_wait(cease_ctx *ctx, struct ceasei_poll_entry *e,
                               enum ceasei_poll_direction direction)
{
    cease_error err = cease_err(ctx);
    if (err != CEASE_OK) {
        return err;
    }
    ceasei_runtime_check_fork();
    uintptr_t *slot = &e->slot[direction];
    struct waiter w = {.slot = slot};
    cease_parker_init(&w.parker);
    if (ceasei_load(&e->closing, ACQUIRE)) {
        return CEASE_ECLOSED;
    }
    uintptr_t seen = NIL;
    while (!ceasei_cas(slot, &seen, (uintptr_t)&w, SEQ_CST)) {
        ceasei_assert(seen == READY); /* else somebody waits for this direction already */
        if (ceasei_cas(slot, &seen, NIL, ACQ_REL)) {
            return CEASE_OK;
        }
        ceasei_assert(seen == NIL);
    }
    enum reason reason = wait_in_slot(e, &w, ctx);
    return reason == BY_EVENT ? CEASE_OK : reason == BY_CLOSE ? CEASE_ECLOSED : cease_err(ctx);
}

/* ---- a function that waits ------------------------------------------------------------------- */

cease_error ceasei_poller_on_readable(struct ceasei_poll_entry *e, ceasei_readable_fn *fn,
                                      void *arg)
{
    ceasei_runtime_check_fork();
    uintptr_t *slot = &e->slot[CEASEI_POLL_READ];
    if (ceasei_load(&e->closing, ACQUIRE)) {
        return CEASE_ECLOSED;
    }
    e->readable = fn;
    e->readable_arg = arg;
    uintptr_t seen = NIL;
    while (!ceasei_cas(slot, &seen, CALL, SEQ_CST)) {
        ceasei_assert(seen == READY);
        if (ceasei_cas(slot, &seen, NIL, ACQ_REL)) {
            return CEASE_EAGAIN;
        }
    }
    /* As in a wait: close has emptied the word, or is seen here. It may be a later arming that is
     * called here, when this one's has been already: somebody must, after a close. */
    if (ceasei_load(&e->closing, SEQ_CST)) {
        (void)call(e, true);
    }
    return CEASE_OK;
}

bool ceasei_poller_off_readable(struct ceasei_poll_entry *e)
{
    uintptr_t expected = CALL;
    return ceasei_cas(&e->slot[CEASEI_POLL_READ], &expected, NIL, SEQ_CST);
}

/* ---- hangups -------------------------------------------------------------------------------- */

static void wait_until_told(const struct ceasei_poll_entry *e)
{
    struct ceasei_worker *w = e->worker;
    if (w == ceasei_worker_self || CEASE_SEED_BUG(BUG_UNGUARD)) {
        return;
    }
    while (ceasei_load(&w->telling, SEQ_CST) == e) {
        sched_yield();
    }
}

void ceasei_poller_on_hangup(struct ceasei_poll_entry *e, ceasei_hangup_fn *fn, void *arg)
{
    ceasei_lock(&e->lock);
    e->fn = fn;
    e->arg = arg;
    uint32_t hung = e->closing ? 0 : e->hung;
    ceasei_unlock(&e->lock);
    wait_until_told(e);
    if (fn && hung) {
        fn(arg, hung);
    }
}

unsigned ceasei_poller_hangup(const struct ceasei_poll_entry *e)
{
    return ceasei_load(&e->hung, ACQUIRE);
}

static void note_hangup(struct ceasei_worker *w, struct ceasei_poll_entry *e, uint32_t generation,
                        uint32_t what)
{
    ceasei_hangup_fn *fn = NULL;
    void *arg = NULL;
    ceasei_lock(&e->lock);
    if ((e->generation == generation || CEASE_SEED_BUG(BUG_STALE)) && (what & ~e->hung)) {
        what |= e->hung;
        ceasei_store(&e->hung, what, RELEASE);
        fn = ceasei_load(&e->closing, RELAXED) ? NULL : e->fn;
        arg = e->arg;
        if (fn) {
            ceasei_store(&w->telling, e, SEQ_CST);
        }
    }
    ceasei_unlock(&e->lock);
    if (fn) {
        fn(arg, what);
        ceasei_store(&w->telling, NULL, SEQ_CST);
    }
}

void ceasei_poller_close(struct ceasei_poll_entry *e)
{
    ceasei_runtime_check_fork();
    ceasei_lock(&e->lock);
    ceasei_store(&e->closing, 1, SEQ_CST);
    e->fn = NULL;
    ceasei_unlock(&e->lock);
    for (int i = 0; i < 2; i++) {
        uintptr_t seen = ceasei_swap(&e->slot[i], NIL, SEQ_CST);
        if (seen == CALL) {
            e->readable(e->readable_arg, true);
        } else if (seen > CALL) {
            struct waiter *w = (struct waiter *)seen;
            w->reason = BY_CLOSE;
            cease_wake(&w->parker);
        }
    }
    wait_until_told(e);
}

/* ---- events --------------------------------------------------------------------------------- */

static void deliver(struct ceasei_worker *w, uint64_t name, uint32_t events)
{
    uint32_t number = (uint32_t)name - 1, generation = (uint32_t)(name >> 32);
    struct ceasei_poll_entry *e =
        &ceasei_load(&table.chunks[number / CHUNK], ACQUIRE)[number % CHUNK];
    if (ceasei_load(&e->generation, ACQUIRE) != generation) {
        return;
    }
    const uint32_t dead = EPOLLHUP | EPOLLERR;
    if (ceasei_load(&e->once, RELAXED)) {
        unblock(e, CEASEI_POLL_READ);
        return;
    }
    /* Before the waiters are woken: a reader on another worker that got less than it asked for waits
     * for the next edge unless it sees the hangup, and for a FIN there is no further edge. */
    if (events & (EPOLLRDHUP | dead)) {
        uint32_t what = CEASEI_HANGUP_READ | (events & dead ? CEASEI_HANGUP_FULL : 0);
        note_hangup(w, e, generation, what);
    }
    if (events & (EPOLLIN | EPOLLRDHUP | dead)) {
        unblock(e, CEASEI_POLL_READ);
    }
    if (events & (EPOLLOUT | dead)) {
        unblock(e, CEASEI_POLL_WRITE);
    }
}

void ceasei_poller_dispatch(struct ceasei_worker *w, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 != 0) { /* else the bell, which has done what it should */
            deliver(w, events[i].data.u64, events[i].events);
        }
    }
}
