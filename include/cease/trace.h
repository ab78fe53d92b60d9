/* SPDX-License-Identifier: MIT
 *
 * cease/trace.h: what all tasks did, and when, as a file that Perfetto (https://ui.perfetto.dev) and
 * chrome://tracing open.
 *
 * The file is in the JSON trace-event format. It has a group of tracks for the workers, one track each,
 * with a slice for every stretch in which a task ran there; and one group for each context under which
 * tasks were started, with a track for each of these tasks: slices in which it runs and in which it waits,
 * named by what it waits for. Instants mark where a task was started, was woken, and where a context was
 * cancelled or its deadline came. Times are microseconds of the monotonic clock.
 *
 * Each worker writes into a ring of its own, which a thread of ours empties into the file; when the file
 * cannot keep up, events are dropped, and counted in the last one, "trace ends" ("lost"). While no trace is
 * taken each of these points costs one predicted branch.
 */
#ifndef CEASE_TRACE_H
#define CEASE_TRACE_H

#include <cease/attr.h>
#include <cease/error.h>

CEASE_BEGIN_DECLS

/* Begins to write a trace into a new file, or over an old one. Tasks that live already appear when they
 * next run.
 *
 * Parks: no; opening the file blocks the thread
 * Callers: any thread
 * Owns: nothing
 * Errors: CEASE_EBUSY while a trace is taken; what opening the file says; CEASE_EAGAIN or CEASE_ENOMEM
 * without a thread
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_trace_start(const char *path);

/* Ends the trace and closes the file, which is complete then. Without a trace it does nothing.
 *
 * Parks: no; it blocks the thread until the rest is written
 * Callers: any thread
 * Owns: nothing
 * Errors: what writing the file said, now or before; CEASE_ENOMEM when tracks could not be told apart
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_trace_stop(void);

CEASE_END_DECLS

#endif
