/* SPDX-License-Identifier: MIT
 *
 * fd.c: a file descriptor that several tasks use and any of them may close (Go's fd_mutex.go).
 *
 * The trap: a number that is closed while another task is about to use it may by then name another
 * file. So one word says who uses it, and the last who leaves closes:
 *
 *     bit 0     CLOSED     nobody enters any more
 *     bit 1, 2  LOCKED     somebody reads; somebody writes
 *     bit 3, 4  WAITED     somebody queues for that lock: its holder must look at the queue
 *     bit 5…    REFS       how many are inside (each lock counts as one)
 *
 *     ref      CLOSED: fail                    else REFS + 1
 *     unref    REFS - 1; CLOSED and 0 left: unregister, close the number, drop its share
 *     lock     CLOSED: fail; not LOCKED: set LOCKED, REFS + 1; else queue, set WAITED, park
 *     unlock   not WAITED: clear LOCKED, REFS - 1; else under `lock` hand LOCKED and the ref to the
 *              first that can still be claimed, or clear LOCKED and WAITED when there is none
 *     close    CLOSED already: nothing; else set CLOSED, REFS + 1; wake the poller's waiters, then
 *              those of both queues; unref
 *
 * A waiter in a queue is claimed by one compare-and-swap: by the unlocker (which then hands over), by
 * close, or by the end of its context. Queues change under `lock` only, and WAITED is set under it
 * while LOCKED is set and CLOSED is not, so neither unlock nor close can miss a waiter.
 *
 * The memory outlives both the last user's share and the descriptor, so a call that is inside may lose
 * its caller's share to a close elsewhere.
 *
 * Registration with the poller is put off until somebody must wait or wants to hear of a hangup: a
 * connection then belongs to the worker of the task that serves it, not of the one that accepted it,
 * and a socket is connecting by then (before that it would report a hangup).
 */
#include "net/fd.h"

#include "base/panic.h"

#include <cease/hooks.h>
#include <cease/task.h>
#include <unistd.h>

enum { CLOSED = 1, REF = 32 };
#define LOCKED(d) (UINT64_C(2) << (d))
#define WAITED(d) (UINT64_C(8) << (d))

enum { POLL_NONE, POLL_ADDING, POLL_READY };

enum { WAITING, GRANTED, REFUSED, ENDED };

struct ceasei_fd_waiter {
    struct ceasei_fd_waiter *next; /* under the fd's lock */
    uint32_t claim;                /* atomic: WAITING → one of the others, once */
    cease_parker parker;
    cease_watch watch;
};

void ceasei_fd_init(struct ceasei_fd *fd, int take_number, void (*release)(struct ceasei_fd *))
{
    *fd = (struct ceasei_fd){.number = take_number, .users = 1, .memory = 2, .release = release};
}

void ceasei_fd_share(struct ceasei_fd *fd)
{
    ceasei_add(&fd->users, 1, RELAXED);
}

/* Gives back what kept the memory. */
static void drop(struct ceasei_fd *fd)
{
    if (ceasei_sub(&fd->memory, 1, ACQ_REL) == 1) {
        fd->release(fd);
    }
}

void ceasei_fd_unshare(struct ceasei_fd *fd)
{
    if (ceasei_sub(&fd->users, 1, ACQ_REL) == 1) {
        ceasei_fd_close(fd);
        drop(fd);
    }
}

bool ceasei_fd_ref(struct ceasei_fd *fd)
{
    uint64_t word = ceasei_load(&fd->word, RELAXED);
    do {
        if (word & CLOSED) {
            return false;
        }
        if (CEASE_SEED_BUG(BUG_FD_ENTER)) {
            ceasei_add(&fd->word, REF, ACQUIRE);
            return true;
        }
    } while (!ceasei_cas(&fd->word, &word, word + REF, ACQUIRE));
    return true;
}

/* Nobody is inside and nobody can enter. */
static void destroy(struct ceasei_fd *fd)
{
    if (ceasei_load(&fd->poll_state, ACQUIRE) == POLL_READY) {
        ceasei_poller_remove(fd->entry);
    }
    close(fd->number); /* no retry on EINTR: Linux has closed it by then */
    drop(fd);
}

void ceasei_fd_unref(struct ceasei_fd *fd)
{
    uint64_t word = ceasei_sub(&fd->word, REF, ACQ_REL) - REF;
    if (word & CLOSED && word < REF) {
        destroy(fd);
    }
}

static bool claim(struct ceasei_fd_waiter *w, uint32_t by)
{
    uint32_t expected = WAITING;
    return ceasei_cas(&w->claim, &expected, by, ACQ_REL);
}

static struct ceasei_fd_waiter *pop(struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    struct ceasei_fd_waiter *w = fd->first[d];
    if (w) {
        fd->first[d] = w->next;
    }
    return w;
}

static void push(struct ceasei_fd *fd, enum ceasei_poll_direction d, struct ceasei_fd_waiter *w)
{
    w->next = NULL;
    if (fd->first[d]) {
        fd->last[d]->next = w;
    } else {
        fd->first[d] = w;
    }
    fd->last[d] = w;
}

/* Takes w out if it is still there. */
static void take_out(struct ceasei_fd *fd, enum ceasei_poll_direction d, struct ceasei_fd_waiter *w)
{
    struct ceasei_fd_waiter *last = NULL;
    ceasei_lock(&fd->lock);
    for (struct ceasei_fd_waiter **p = &fd->first[d]; *p; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            if (fd->last[d] == w) {
                fd->last[d] = last;
            }
            break;
        }
        last = *p;
    }
    ceasei_unlock(&fd->lock);
}

static void on_ctx_done(void *arg)
{
    struct ceasei_fd_waiter *w = arg;
    if (claim(w, ENDED)) {
        cease_wake(&w->parker);
    }
}

/* Queues w unless the lock is free by now (CEASE_OK) or the descriptor closed. */
static cease_error queue_up(struct ceasei_fd *fd, enum ceasei_poll_direction d,
                            struct ceasei_fd_waiter *w)
{
    cease_error e = CEASE_EAGAIN;
    ceasei_lock(&fd->lock);
    uint64_t word = ceasei_load(&fd->word, RELAXED);
    do {
        if (word & CLOSED) {
            e = CEASE_ECLOSED;
        } else if (!(word & LOCKED(d)) && !CEASE_SEED_BUG(BUG_FD_QUEUE)) {
            e = CEASE_OK;
        }
    } while (e == CEASE_EAGAIN && !ceasei_cas(&fd->word, &word, word | WAITED(d), ACQ_REL));
    if (e == CEASE_EAGAIN) {
        push(fd, d, w);
    }
    ceasei_unlock(&fd->lock);
    return e;
}

/* Waits for the lock in the queue. CEASE_EAGAIN: it has become free meanwhile, try again. */
static cease_error lock_slow(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    struct ceasei_fd_waiter w = {.claim = WAITING};
    cease_parker_init(&w.parker);
    cease_error e = queue_up(fd, d, &w);
    if (e != CEASE_EAGAIN) {
        return e == CEASE_OK ? CEASE_EAGAIN : e;
    }
    cease_watch_add_waiter(&w.watch, ctx, on_ctx_done, &w);
    cease_park(&w.parker);
    cease_watch_remove_sync(&w.watch);
    switch (ceasei_load(&w.claim, ACQUIRE)) {
    case GRANTED:
        return CEASE_OK;
    case REFUSED:
        return CEASE_ECLOSED;
    default:
        take_out(fd, d, &w);
        return cease_err(ctx);
    }
}

cease_error ceasei_fd_try_lock(struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    uint64_t word = ceasei_load(&fd->word, RELAXED);
    while (!(word & (CLOSED | LOCKED(d)))) {
        if (ceasei_cas(&fd->word, &word, (word | LOCKED(d)) + REF, ACQUIRE)) {
            return CEASE_OK;
        }
    }
    return word & CLOSED ? CEASE_ECLOSED : CEASE_EAGAIN;
}

cease_error ceasei_fd_lock(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    ceasei_spend(); /* every call that may park begins here */
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    for (;;) {
        e = ceasei_fd_try_lock(fd, d);
        if (e != CEASE_EAGAIN) {
            return e;
        }
        /* A close while this queues must not free the queue. */
        ceasei_add(&fd->memory, 1, RELAXED);
        e = lock_slow(ctx, fd, d);
        drop(fd);
        if (e != CEASE_EAGAIN) {
            return e;
        }
    }
}

/* Hands the lock over. False: nobody wants it, and the bits are cleared. */
static bool hand_over(struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    struct ceasei_fd_waiter *w;
    ceasei_lock(&fd->lock);
    while ((w = pop(fd, d)) != NULL && !claim(w, GRANTED)) {
        /* its context has ended: it is on its way out */
    }
    if (!fd->first[d]) {
        ceasei_and(&fd->word, ~WAITED(d), RELAXED);
    }
    if (!w) {
        ceasei_and(&fd->word, ~LOCKED(d), RELEASE);
    }
    ceasei_unlock(&fd->lock);
    if (w) {
        cease_wake(&w->parker);
    }
    return w != NULL;
}

void ceasei_fd_unlock(struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    uint64_t word = ceasei_load(&fd->word, RELAXED);
    while (!(word & WAITED(d))) {
        uint64_t next = (word & ~LOCKED(d)) - REF;
        if (ceasei_cas(&fd->word, &word, next, ACQ_REL)) {
            if (next & CLOSED && next < REF) {
                destroy(fd);
            }
            return;
        }
    }
    if (!hand_over(fd, d)) {
        ceasei_fd_unref(fd);
    }
}

static void refuse_all(struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    for (;;) {
        ceasei_lock(&fd->lock);
        struct ceasei_fd_waiter *w = pop(fd, d);
        bool mine = w && claim(w, REFUSED);
        ceasei_unlock(&fd->lock);
        if (!w) {
            return;
        }
        if (mine) {
            cease_wake(&w->parker);
        }
    }
}

void ceasei_fd_close(struct ceasei_fd *fd)
{
    uint64_t word = ceasei_load(&fd->word, RELAXED);
    do {
        if (word & CLOSED) {
            return;
        }
        /* SEQ_CST pairs with ceasei_fd_entry: CLOSED here, then POLL_READY; there the other way
         * round. One of the two sees the other and closes the entry. */
    } while (!ceasei_cas(&fd->word, &word, (word | CLOSED) + REF, SEQ_CST));
    if (ceasei_load(&fd->poll_state, SEQ_CST) == POLL_READY) {
        ceasei_poller_close(fd->entry);
    }
    refuse_all(fd, CEASEI_POLL_READ);
    refuse_all(fd, CEASEI_POLL_WRITE);
    ceasei_fd_unref(fd);
}

cease_error ceasei_fd_entry(struct ceasei_fd *fd, struct ceasei_poll_entry **ret_entry)
{
    uint32_t state = ceasei_load(&fd->poll_state, ACQUIRE);
    while (state != POLL_READY) {
        if (state == POLL_ADDING) { /* a reader and a writer at once: the other is in epoll_ctl */
            cease_yield();
            state = ceasei_load(&fd->poll_state, ACQUIRE);
            continue;
        }
        if (!ceasei_cas(&fd->poll_state, &state, POLL_ADDING, ACQUIRE)) {
            continue;
        }
        cease_error e = ceasei_poller_add(fd->number, &fd->entry);
        if (e == CEASE_OK && fd->inside) {
            ceasei_poller_inside(fd->entry);
        }
        ceasei_store(&fd->poll_state, e == CEASE_OK ? POLL_READY : POLL_NONE, SEQ_CST);
        if (e != CEASE_OK) {
            return e;
        }
        if (ceasei_load(&fd->word, SEQ_CST) & CLOSED) {
            ceasei_poller_close(fd->entry);
        }
        break;
    }
    *ret_entry = fd->entry;
    return CEASE_OK;
}

cease_error ceasei_fd_wait(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    struct ceasei_poll_entry *entry;
    cease_error e = ceasei_fd_entry(fd, &entry);
    if (e == CEASE_OK) {
        e = ceasei_poller_wait(ctx, entry, d);
    }
    if (e == CEASE_OK) {
        fd->drained[d] = false;
    }
    return e;
}

cease_error ceasei_fd_pause(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d,
                            cease_dur time)
{
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, time, &stop);
    cease_error e = CEASE_OK;
    while (e == CEASE_OK) { /* an edge is no answer to what this waits for */
        e = ceasei_fd_wait(limited, fd, d);
    }
    if (e != CEASE_ECLOSED && !cease_done(limited)) { /* not even that is possible for now */
        (void)cease_sleep(limited, time);
    }
    bool over = e != CEASE_ECLOSED && cease_err(ctx) == CEASE_OK;
    cease_end(stop);
    return over ? CEASE_OK : e == CEASE_ECLOSED ? e : cease_err(ctx);
}

bool ceasei_fd_is_drained(struct ceasei_fd *fd, enum ceasei_poll_direction d)
{
    if (!fd->drained[d]) {
        return false;
    }
    return ceasei_load(&fd->poll_state, ACQUIRE) != POLL_READY ||
           ceasei_poller_hangup(fd->entry) == 0;
}
