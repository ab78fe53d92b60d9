/* SPDX-License-Identifier: MIT
 *
 * aside.h: the threads beside the workers: how they are started, counted and stopped.
 */
#ifndef CEASE_RUNTIME_ASIDE_H
#define CEASE_RUNTIME_ASIDE_H

#include <cease/error.h>
#include <pthread.h>
#include <stddef.h>

/* Starts a thread that blocks every asynchronous signal, is called `name` (at most 15 bytes) and
 * has the usual timer slack, whoever starts it. To be joined or detached by the caller. */
cease_error ceasei_aside_start(pthread_t *ret_id, const char *name, void *(*fn)(void *), void *arg);

/* Jobs of cease_block that wait for a thread of the pool or run on one. */
size_t ceasei_block_jobs(void);

/* Ends the pool's threads; the next job starts the pool again. CEASE_EBUSY, and nothing has
 * changed, while there are jobs. Blocks until the threads have ended. */
cease_error ceasei_block_stop(void);

/* Gives back the signal of cease_block_signal, unless somebody might be interrupted by it now. */
void ceasei_block_signal_stop(void);

/* Ends the thread that takes signals, unless a context of cease_with_signals is alive. */
void ceasei_signal_stop(void);

#endif
