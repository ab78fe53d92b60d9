/* SPDX-License-Identifier: MIT
 *
 * poller.h: what src/net asks of the poller (Go's netpoll, in C).
 *
 * An fd is registered once, with the epoll instance of one worker, edge-triggered, for both
 * directions and for the peer's end of stream. Nothing is registered per wait, so waiting and
 * cancelling a wait are no system calls. The rule of edge triggering: first try the system call;
 * on EAGAIN wait for the direction, then try again. A wait may return CEASE_OK for nothing (an
 * event that came before), never the other way round.
 *
 *     for (;;) {
 *         ssize_t n = read(fd, buf, size);
 *         if (n >= 0 || errno != EAGAIN) break;
 *         err = ceasei_poller_wait(ctx, entry, CEASEI_POLL_READ);
 *         if (err != CEASE_OK) break;
 *     }
 *
 * An entry's life: add → any number of waits → close → every wait has returned → remove →
 * close(fd). At most one waits for a direction at a time: net's own word per fd (references, read
 * lock, write lock, closing) sees to it, and calls remove when the last user has gone. All of it
 * works from tasks and from plain threads, and an entry may be used by tasks of any worker:
 * cheapest is the one that it was added on.
 *
 * Somebody who does not read (an HTTP server while the handler runs) can still hear that the peer
 * has gone, through ceasei_poller_on_hangup.
 */
#ifndef CEASE_RUNTIME_POLLER_H
#define CEASE_RUNTIME_POLLER_H

#include "runtime/park.h" /* ceasei_spend(), which every call that may park makes first */

#include <cease/context.h>
#include <cease/error.h>
#include <stdbool.h>
#include <stdint.h>

struct ceasei_poll_entry;

enum ceasei_poll_direction { CEASEI_POLL_READ = 0, CEASEI_POLL_WRITE = 1 };

enum {
    CEASEI_HANGUP_READ = 1, /* the peer will send no more: FIN                                  */
    CEASEI_HANGUP_FULL = 2, /* both directions are dead: RST, or both sides have shut down      */
};

/* Called when the peer has gone: `what` is one of the CEASEI_HANGUP_ bits or both. First when it is
 * noticed, again when more of it becomes known. On the entry's worker between tasks, or inside
 * ceasei_poller_on_hangup: like a context's callback it must not park or block, but may cancel. */
typedef void ceasei_hangup_fn(void *arg, unsigned what);

/* Called when a read is worth a try, or the entry was closed. */
typedef void ceasei_readable_fn(void *arg, bool closed);

/* Registers a non-blocking fd: with the caller's worker, or with some worker when the caller is a
 * plain thread (which starts the runtime when nothing has). The fd stays the caller's. A stream socket
 * comes here after connect or listen was called: before, it counts as hung up. Errors:
 * CEASE_ENOMEM, CEASE_EAGAIN (no worker), or what epoll_ctl says (-ENOSPC, CEASE_EPERM for a file).
 */
cease_error ceasei_poller_add(int fd, struct ceasei_poll_entry **ret_entry);

/* Says, before the entry is shared, that only tasks of a test run move what e waits for: then time does not
 * stand still while somebody waits for it (virtual.c). */
void ceasei_poller_inside(struct ceasei_poll_entry *e);

/* ceasei_poller_add for one wait, on the calling task's worker: any of `events` (EPOLLIN …), once, ends a wait
 * for reading. Not for net. */
cease_error ceasei_poller_add_once(int fd, uint32_t events, struct ceasei_poll_entry **ret_entry);

/* Waits for a direction. CEASE_OK: try again; CEASE_ECLOSED: the entry was or has been closed; else
 * ctx's error, when it was done on entry or ends first. Parks. */
cease_error ceasei_poller_wait(cease_ctx *ctx, struct ceasei_poll_entry *e,
                               enum ceasei_poll_direction direction);

/* A wait for reading that holds no stack: calls fn once, with the same right to come for nothing; on
 * the entry's worker between tasks, or inside ceasei_poller_close. It must not park or block, and may do
 * everything else: start a task, close the entry. One at a time, and no wait for reading meanwhile. The
 * caller keeps the entry from being removed until this has returned. Errors, and then fn is not called:
 * CEASE_EAGAIN (an event had come: try to read), CEASE_ECLOSED. */
cease_error ceasei_poller_on_readable(struct ceasei_poll_entry *e, ceasei_readable_fn *fn,
                                      void *arg);

/* True: fn is not going to be called. False: it has been, or just is. */
bool ceasei_poller_off_readable(struct ceasei_poll_entry *e);

/* Both waits, present and future, return CEASE_ECLOSED, and no hangup is told any more: when this
 * returns, the function that was set is not running, unless this was called from inside it. Any
 * thread, any number of times, before remove. Never parks. */
void ceasei_poller_close(struct ceasei_poll_entry *e);

/* Unregisters and frees a closed entry that nobody waits on; close(fd) comes after. NULL is fine.
 */
void ceasei_poller_remove(struct ceasei_poll_entry *e);

/* Sets who hears that the peer has gone; fn NULL: nobody. If it is known already, fn is called
 * before this returns. When this returns, the function that was set before is not running, unless
 * this was called from inside it. One caller at a time. */
void ceasei_poller_on_hangup(struct ceasei_poll_entry *e, ceasei_hangup_fn *fn, void *arg);

/* What is known of the peer's going away: CEASEI_HANGUP_ bits. */
unsigned ceasei_poller_hangup(const struct ceasei_poll_entry *e);

#endif
