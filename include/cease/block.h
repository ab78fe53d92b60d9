/* SPDX-License-Identifier: MIT
 *
 * cease/block.h: calls that cannot park (files, name resolution, a database inside the process),
 * under a context.
 *
 * A task must not block its worker. cease_block runs a function on a thread that may block, parks
 * the task meanwhile, and always joins: when it returns, the function has returned, or was never
 * started. So `arg` may live on the caller's stack.
 *
 * A context cannot stop a function that blocks; an interrupt function that its caller gives can ask
 * it to. It is called once when the context ends while fn runs: on whatever thread ends the
 * context, as a callback of that context, so it must be short and must not park or block. It never
 * begins before fn has been given its thread, nor after fn has returned, and when cease_block
 * returns it has returned too. It may come just before the system call that it should interrupt, so
 * it should leave a mark that fn sees as well (sqlite3_interrupt plus a flag that a progress handler
 * reads; shutdown(2) on a socket, which lasts). It may still run while fn is returning, so it must
 * not free what fn uses.
 *
 * The pool: threads are made on demand, at most CEASE_BLOCK_THREADS of the environment (1 to 4,096;
 * 64 by default), and go when they have had nothing to do for some seconds. All of them block every
 * asynchronous signal. When all are busy, jobs queue in order, and one whose context ends in the
 * queue is never started. A plain thread may block, so there fn runs on the calling thread itself,
 * without the pool; the same holds for cease_block inside fn.
 */
#ifndef CEASE_BLOCK_H
#define CEASE_BLOCK_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>

CEASE_BEGIN_DECLS

typedef void cease_block_fn(void *arg);
typedef void cease_interrupt_fn(void *arg);

/* Runs fn(arg) where it may block, and waits until it has returned. `interrupt` may be NULL.
 *
 * CEASE_OK says that fn ran, whether or not it was interrupted: what came of it, fn leaves in *arg.
 *
 * Parks: yes; once fn runs, ctx only triggers the interrupt, and the wait goes on until fn has
 * returned
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: nothing; arg is borrowed until the call returns
 * Errors: ctx's, when it was done on entry or ended in the queue; CEASE_EAGAIN or CEASE_ENOMEM when
 * the pool has no thread and none can be made; then fn never runs
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_block(cease_ctx *ctx, cease_block_fn *fn,
                                     cease_interrupt_fn *interrupt, void *arg);

/* The same for system calls that wait (read from a terminal or a FIFO, flock, waitpid, open of a FIFO): when ctx ends
 * while fn runs, its thread gets a signal, so that the call fails with EINTR; and again every two
 * milliseconds until fn has returned. So none is lost that comes just before the call. fn looks at ctx, which has ended
 * before the first one is sent, and gives up:
 *
 *     while ((n = read(fd, buf, size)) < 0 && errno == EINTR && !cease_done(ctx)) {
 *     }
 *
 * Library functions that go on after EINTR, and calls that no signal interrupts (a disk's), are not
 * interrupted. On a plain thread, which runs fn itself, the signal comes there.
 *
 * The signal is a real-time signal whose action is the default one, from the middle of the range; its handler
 * is empty and stays until cease_runtime_stop.
 *
 * Parks: yes, as cease_block
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: nothing; arg is borrowed until the call returns
 * Errors: those of cease_block; CEASE_EAGAIN when there is no such signal, or no timer (RLIMIT_SIGPENDING); then fn
 * never runs
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_block_signal(cease_ctx *ctx, cease_block_fn *fn, void *arg);

/* The same for a call that can be neither parked nor interrupted, such as a name lookup: when ctx ends
 * while fn runs, this returns at once and leaves fn behind, on its thread. Whatever is left behind
 * keeps counting as a job (cease_runtime_stop says CEASE_EBUSY). At most half of the pool's threads
 * may be left with such jobs; beyond that the call joins, as cease_block does.
 *
 * `take_arg` passes to the call. With CEASE_OK fn has run and it is the caller's again. With any error,
 * release(take_arg) is called exactly once: before the return if fn never ran, else on the pool's
 * thread when fn has returned. A NULL release does nothing.
 *
 * Parks: yes
 * Callers: tasks and plain threads, both by a thread of the pool; inside a job it runs fn on the spot
 * Owns: take_arg, see above
 * Errors: ctx's; CEASE_EAGAIN or CEASE_ENOMEM when there is no thread or no memory, then fn never runs
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_block_leave(cease_ctx *ctx, cease_block_fn *fn,
                                           void (*release)(void *arg), void *take_arg);

CEASE_END_DECLS

#endif
