/* SPDX-License-Identifier: MIT
 *
 * runtime.h: the runtime as a whole, as its own files see it. See runtime.c for its life.
 */
#ifndef CEASE_RUNTIME_RUNTIME_H
#define CEASE_RUNTIME_RUNTIME_H

#include "base/lock.h"
#include "runtime/worker.h"

#include <cease/runtime.h>
#include <stdint.h>

struct ceasei_runtime {
    uint32_t state;     /* atomic: enum in runtime.c */
    uint32_t users;     /* atomic: plain threads inside ceasei_runtime_enter() */
    uint32_t forked;    /* atomic: this is a child whose parent had started the runtime */
    uint32_t halt;      /* atomic: workers end: when no task lives, or at once */
    uint32_t max;       /* workers at most; set at start */
    uint64_t all;       /* atomic: bits of the workers that there may be */
    uint64_t idle;      /* atomic: bits of those that sleep, or have not been made yet */
    uint32_t searching; /* atomic: 0, or index + 1 of the worker that was woken to look for work */
    uint32_t watcher;   /* atomic: 0, or index + 1 of the worker that sleeps with one eye open */
    uint32_t spinner;   /* atomic: 0, or index + 1 of the worker that spins before it sleeps */
    uint64_t ids;       /* atomic: the next block of task ids */
    struct ceasei_worker *workers[CEASEI_WORKERS_MAX]; /* atomic: released by who made it */

    struct ceasei_lock outside_lock;
    struct ceasei_pending_queue outside; /* under outside_lock: what plain threads have started */
    uint32_t outside_count;              /* under it for writing, atomic */
    uint64_t outside_begun; /* under it for writing, atomic: how many that were, ever */
};

enum { CEASEI_HALT_NOT = 0, CEASEI_HALT_IDLE = 1, CEASEI_HALT_NOW = 2 };

extern struct ceasei_runtime ceasei_runtime;

/* A plain thread is about to use the workers: starts them if need be, and keeps them from being
 * stopped until ceasei_runtime_leave(). Aborts in a forked child. */
cease_error ceasei_runtime_enter(void);
void ceasei_runtime_leave(void);
/* The same without a start: false, and nothing to leave, unless it runs. */
bool ceasei_runtime_try_enter(void);

/* Aborts in a forked child of a process that had started the runtime: for calls that do not enter. */
void ceasei_runtime_check_fork(void);

/* Any worker, for a plain thread between enter and leave. */
struct ceasei_worker *ceasei_runtime_some_worker(void);

/* Makes the thread of a worker whose idle bit the caller has taken. */
cease_error ceasei_runtime_start_worker(uint32_t index);

/* Tells the function of cease_set_report; false when there is none. */
bool ceasei_runtime_report(const cease_report *report);

/* Whether there is one. */
bool ceasei_runtime_reports(void);

/* Whether no task lives. */
bool ceasei_runtime_is_quiet(void);

/* A deadline of a shard that a worker drives has become earlier. monitor.c */
void ceasei_monitor_notice(cease_time deadline);
/* The monitor makes a new plan; it is made if need be. */
void ceasei_monitor_ring(void);
/* Tells the monitor's thread to end, and says whether it has (or was never made). */
bool ceasei_monitor_quit(void);
/* After quit: waits for its end. */
void ceasei_monitor_join(void);

/* Registered fds, and giving the table's memory back once there are none. poller.c */
size_t ceasei_poller_count(void);
void ceasei_poller_unmap(void);

/* Cores that this process may use: affinity and cgroup quota. cpus.c */
unsigned ceasei_cpus_usable(void);

/* Under CEASE_DEBUG: a task has returned, and stands on its stack; the process ends. stack_depth.c */
void ceasei_stack_depth_end(struct ceasei_task *task);
void ceasei_stack_depth_exit(void);

/* Explains stack overflows. overflow.c */
void ceasei_overflow_install(void);
void ceasei_overflow_remove(void);

#endif
