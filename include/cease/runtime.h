/* SPDX-License-Identifier: MIT
 *
 * cease/runtime.h: the runtime as a whole: settings, counts, reports, and how to end it.
 *
 * Most programs call none of this. The runtime starts itself at the first task and stops its
 * threads when the process exits, before static destructors run that were there before it.
 *
 * What it brings into a process: one thread per worker (made when there is work for it), one that
 * looks after deadlines while workers are busy (made with the first deadline that a task waits
 * for), an epoll instance and an eventfd for each worker, address space for stacks. Its threads
 * block every asynchronous signal. It takes no signal, except SIGSEGV when nobody has, to say which
 * task ran out of stack, and what some calls say that they take (cease_with_signals, cease_snapshot_on_sigquit,
 * cease_block_signal).
 *
 * Environment: CEASE_WORKERS (how many workers at most, 1 to 64), CEASE_STACK (bytes of a stack,
 * with K or M; rounded up to whole pages, from 64K to 64M), CEASE_SEGV=0 (leave SIGSEGV alone).
 * They win over cease_runtime_configure. CEASE_DEBUG=1 reports tasks that live when the process exits, by
 * the place that started them, as it does for contexts (cease/context.h); it ends the process when a
 * task returns with a mutex (cease/sync.h), or waits where nothing may (cease/nopark.h). It measures how deep
 * the tasks of each place go in their stacks: the report function is told at exit
 * (CEASE_REPORT_STACK), or with CEASE_DEBUG=stack stderr.
 */
#ifndef CEASE_RUNTIME_H
#define CEASE_RUNTIME_H

#include <cease/attr.h>
#include <cease/error.h>
#include <cease/hooks.h>
#include <stdbool.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

/* Settings; zero is the default of each. */
typedef struct cease_runtime_opts {
    size_t size;        /* sizeof(cease_runtime_opts)                                         */
    size_t stack_size;  /* bytes of address space per stack, guard included; 0: 256 KiB       */
    unsigned workers;   /* 0: one for each core that affinity and cgroup quota leave us       */
    bool leave_sigsegv; /* do not explain stack overflows: no SIGSEGV handler                */
} cease_runtime_opts;

/* What is alive now. */
struct cease_runtime_counts {
    size_t size;       /* sizeof(struct cease_runtime_counts), or 0 for the fields of 0.1     */
    size_t tasks;      /* started or about to start, and not returned                        */
    size_t stacks;     /* in use or kept for the next task                                   */
    size_t fds;        /* registered with a poller: connections, listeners, waits            */
    size_t block_jobs; /* jobs of cease_block that run or wait                               */
    size_t workers;    /* threads that run tasks                                             */
};

/* Sets the options of the next start, that is, before the first task, or between a
 * cease_runtime_stop and the next task.
 *
 * Parks: no
 * Callers: any thread
 * Owns: opts is copied
 * Errors: CEASE_EBUSY when the runtime has started; CEASE_EINVAL for a value out of range
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_runtime_configure(const cease_runtime_opts *opts);

/* Ends the workers and gives everything back: threads, stacks, fds, memory, the core's hooks. The
 * next task starts it all again. When the runtime has not started, there is nothing to do.
 *
 * A task counts until its function has returned and its context reference is dropped, which is
 * before whoever joins it goes on: after cease_group_wait on the last group it can be called.
 *
 * Parks: no; it blocks the thread until the workers have ended
 * Callers: plain threads
 * Owns: nothing
 * Errors: CEASE_EBUSY, and nothing has changed, while a task lives, a connection or listener is
 * open or a job of cease_block runs; CEASE_EDEADLK from a task
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_runtime_stop(void);

/* Says what is alive: for tests, and for a page of metrics. Each figure was right at some moment
 * during the call. Works, with zeroes, when the runtime has not started.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_runtime_count(struct cease_runtime_counts *ret);

/* Sets who hears reports (see cease_report in cease/hooks.h): a task that runs for long without
 * parking (100 ms; only looked for while `fn` is set), a context wrapped too deep, leaks. NULL, the
 * default, is silence. `fn` may be called on
 * any thread and must not park.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_set_report(cease_report_fn *fn);

CEASE_END_DECLS

#endif
