/* SPDX-License-Identifier: MIT
 *
 * fd.h: a file descriptor that several tasks use and any of them may close. See fd.c.
 */
#ifndef CEASE_NET_FD_H
#define CEASE_NET_FD_H

#include "base/lock.h"
#include "runtime/poller.h"

#include <cease/context.h>
#include <cease/error.h>
#include <stdbool.h>
#include <stdint.h>

struct ceasei_fd_waiter;

struct ceasei_fd {
    uint64_t word;   /* atomic: the state machine of fd.c */
    uint32_t users;  /* atomic: shares that were handed out; the last one closes */
    uint32_t memory; /* atomic: one for all users, one for the open descriptor, calls that queue */
    uint32_t poll_state; /* atomic: enum in fd.c; READY released by who registered it */
    int number;          /* set at birth, open while the word says so */
    bool inside;         /* set at birth: the other end is in the same test run */
    bool drained[2];     /* by direction, under its lock: the last call left nothing behind */
    struct ceasei_poll_entry *entry;     /* valid once poll_state is READY */
    void (*release)(struct ceasei_fd *); /* set at birth: frees the memory */
    struct ceasei_lock lock;             /* guards the two queues */
    struct ceasei_fd_waiter *first[2], *last[2];
};

/* Takes over a non-blocking descriptor; the first share is the caller's. */
void ceasei_fd_init(struct ceasei_fd *fd, int take_number, void (*release)(struct ceasei_fd *));

void ceasei_fd_share(struct ceasei_fd *fd);

/* Gives a share back; the last one closes. */
void ceasei_fd_unshare(struct ceasei_fd *fd);

/* No call begins after this, those that wait return CEASE_ECLOSED; the descriptor itself is closed by
 * the last that leaves, which may be this one. Any number of times. */
void ceasei_fd_close(struct ceasei_fd *fd);

/* Between ref and unref the number stays open. False: closed. */
bool ceasei_fd_ref(struct ceasei_fd *fd);
void ceasei_fd_unref(struct ceasei_fd *fd);

/* The one that reads, or writes; implies a ref. Parks while another does, in order of arrival. Errors:
 * CEASE_ECLOSED, the context's (also when it was done on entry). */
cease_error ceasei_fd_lock(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d);
/* The same without parking or a context: CEASE_EAGAIN while another does. */
cease_error ceasei_fd_try_lock(struct ceasei_fd *fd, enum ceasei_poll_direction d);
void ceasei_fd_unlock(struct ceasei_fd *fd, enum ceasei_poll_direction d);

/* Waits until a call in that direction is worth another try; under its lock. */
cease_error ceasei_fd_wait(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d);

/* Waits for a while, or until ctx or the descriptor's life ends; under the lock. For what the kernel
 * refuses for now without saying when it would not. */
cease_error ceasei_fd_pause(cease_ctx *ctx, struct ceasei_fd *fd, enum ceasei_poll_direction d,
                            cease_dur time);

/* Whether it is better to wait before the next try: the last one took all there was, and no news of
 * the peer's going away has come since. Under the lock. */
bool ceasei_fd_is_drained(struct ceasei_fd *fd, enum ceasei_poll_direction d);

/* The poller's entry, registering first; between ref and unref. */
cease_error ceasei_fd_entry(struct ceasei_fd *fd, struct ceasei_poll_entry **ret_entry);

#endif
