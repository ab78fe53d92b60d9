/* SPDX-License-Identifier: MIT
 *
 * cease/test.h: testing programs that wait: virtual time, schedules that repeat, and runners
 * that try many orders, or cancel a scenario at each wait in turn.
 *
 *     static cease_error scenario(cease_ctx *ctx, void *arg)
 *     {
 *         cease_canceler *stop;
 *         cease_ctx *hour = cease_with_timeout(ctx, cease_hour(1), &stop);
 *         assert(ask_a_server_that_never_answers(hour) == CEASE_EDEADLINE);   // in microseconds
 *         cease_end(stop);
 *         return CEASE_OK;
 *     }
 *     assert(cease_test_run(NULL, scenario, NULL) == CEASE_OK);
 *
 * A run starts the runtime anew with one worker and a clock of its own, calls the scenario as its
 * first task, and is over when every task has ended. In it
 *
 *  - time stands still while anything can run, and jumps to the next deadline when every task waits
 *    in cease: for a channel, a group, a sleep, a context. cease_now, sleeps and the deadlines of
 *    contexts all follow it;
 *  - a task that waits for a real file descriptor, a process or a job of cease_block counts as
 *    running, so time stands until that has happened (cease_test_conn_pair makes connections for
 *    which it does not);
 *  - when all tasks wait and no deadline is left, that is a deadlock: it is reported
 *    (CEASE_REPORT_DEADLOCK), the run's context is cancelled so that they can unwind, and the run
 *    gives CEASE_EDEADLK. Those that wait even then (without a context, or under one that the
 *    run does not own) end the process;
 *  - the order in which tasks run, and the case that a select takes, is that of a seed: the same
 *    program with the same seed and no real input does the same steps in the same order.
 *
 * Go's testing/synctest is the model. What is different: a lock of ours counts as waiting; what a
 * task uses may come from outside of the run; time can be moved past work that is really running
 * (cease_test_advance); a deadlock ends the run, not the process, when the tasks obey their context;
 * the schedule repeats. What Go has and this has not: more than one worker in a run, and two runs at
 * a time in a process.
 *
 * Reports go to cease_set_report's function, and to stderr when none is set.
 *
 * All of this is part of libcease-rt rather than a library for tests: the clock and the run
 * queues are its insides, and a second library would need them as an interface that could never
 * change. A program that does not call these functions pays one predicted branch where a worker looks
 * around or goes to sleep. What is tested is what is shipped.
 *
 * Environment: CEASE_TEST_SEED=n replaces the seed of every run.
 */
#ifndef CEASE_TEST_H
#define CEASE_TEST_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/task.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

struct cease_conn; /* cease/net.h */

/* Options of a run. All zero, or NULL instead of the struct, means the defaults. */
typedef struct cease_test_opts {
    size_t size;         /* sizeof(cease_test_opts)                                            */
    uint64_t seed;       /* of the schedule; 0: tasks run in the order in which they got ready */
    cease_dur limit;     /* of virtual time, then the run gives CEASE_ETIMEDOUT; 0: none       */
    uint64_t rounds_max; /* of a runner; 0: 100,000                                            */
} cease_test_opts;

/* What the last run did. */
typedef struct cease_test_result {
    size_t size;       /* sizeof(cease_test_result)                                            */
    uint64_t seed;     /* that it ran with                                                     */
    uint64_t switches; /* how often a task was switched to                                     */
    uint64_t waits;    /* how often a task began to wait                                       */
    uint64_t schedule; /* a number made of which task ran when: equal for equal schedules      */
    cease_dur elapsed; /* of virtual time                                                      */
    uint64_t rounds;   /* runs of the last runner                                              */
} cease_test_result;

/* Runs fn(ctx, arg) as the first task of a run (see above), and waits until all tasks have ended.
 * `ctx` is the run's own context: it ends when fn has returned, and in a deadlock. Time begins at one
 * hour exactly. Contexts that are alive before the run should have no deadline: it is on another
 * clock.
 *
 * Parks: blocks the thread until the run is over
 * Callers: plain threads; one run at a time in a process, and no task may live
 * Owns: nothing
 * Errors: what fn returned; CEASE_EDEADLK after a deadlock; CEASE_ETIMEDOUT beyond opts.limit;
 * CEASE_EBUSY when a task lives before the run, or a context or an fd is left behind by it (then that
 * is reported, CEASE_REPORT_LEAK); what cease_go says; CEASE_EDEADLK from a task
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_test_run(const cease_test_opts *opts, cease_task_fn *fn, void *arg);
CEASE_PUBLIC cease_error cease_test_run_at(const cease_test_opts *opts, cease_task_fn *fn,
                                           void *arg, const cease_place *place);
#define cease_test_run(opts, fn, ...) cease_test_run_at((opts), (fn), __VA_ARGS__, CEASE_HERE)

/* What the last run that has ended did. Zeroes before the first.
 *
 * Parks: no
 * Callers: any thread, outside of a run
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_test_last(cease_test_result *ret);

/* Waits until every other task of the run waits, without time moving: what has been set in motion
 * has come to rest. (synctest.Wait.) Others may do so at the same time; then all go on together.
 *
 * Parks: yes; it waits for what comes to rest and cannot be cut short
 * Callers: tasks of a run (aborts otherwise)
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_test_settle(void);

/* Moves time on by `d`, deadline by deadline, everything that comes due being run until it waits
 * again, and returns when that much time has passed and all has come to rest. Unlike time that moves
 * by itself it does not wait for tasks that wait for real fds or jobs. With d <= 0 only what is ready
 * runs.
 *
 * Parks: yes; it cannot be cut short
 * Callers: tasks of a run (aborts otherwise)
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_test_advance(cease_dur d);

/* Between the two, time does not move by itself and nothing counts as deadlocked: for plain threads,
 * foreign event loops and whatever else is going to wake a task. May be nested. Outside of a run they
 * do nothing that matters.
 *
 * Parks: no
 * Callers: any thread; callbacks too
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_test_hold(void);
CEASE_PUBLIC void cease_test_unhold(void);

/* Makes two connections, each of which is the other's peer, for a client and a server in one run. They
 * do all that connections over a network do (cease/net.h), with buffers of the kernel's that fill up, but nothing of
 * it counts as the world: while tasks wait for them, time moves when nothing else can happen, so a
 * peer that never answers runs into its deadline at once. Both ends must be used by tasks of the run
 * only. Outside of a run they are an ordinary pair of sockets.
 *
 * Parks: no
 * Callers: any thread
 * Owns: both are the caller's, for cease_conn_close each
 * Errors: CEASE_ENOMEM; CEASE_EMFILE, CEASE_ENFILE
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_test_conn_pair(struct cease_conn **ret_one,
                                              struct cease_conn **ret_other);

/* ---- runners ---------------------------------------------------------------------------------- */

/* Runs the scenario under `count` seeds (1, 2, ..., or from opts.seed on), until one gives an error.
 * That seed is reported, so that CEASE_TEST_SEED can replay it; with that variable set, only it is
 * run.
 *
 * Parks: blocks the thread
 * Callers: as cease_test_run
 * Owns: nothing
 * Errors: the first of a run's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_test_each_seed(const cease_test_opts *opts, uint64_t count,
                                              cease_task_fn *fn, void *arg);
CEASE_PUBLIC cease_error cease_test_each_seed_at(const cease_test_opts *opts, uint64_t count,
                                                 cease_task_fn *fn, void *arg,
                                                 const cease_place *place);
#define cease_test_each_seed(opts, count, fn, ...) \
    cease_test_each_seed_at((opts), (count), (fn), __VA_ARGS__, CEASE_HERE)

/* Runs the scenario undisturbed, then again and again: the k-th time its context is cancelled when
 * for the k-th time a task of it begins to wait, until a round comes to its end before that. In the
 * disturbed rounds fn may return any error, but it must return, and every task; nothing may be left
 * behind, no context, no fd. So fn has to say itself, by assertions, what else must hold.
 *
 * Parks: blocks the thread
 * Callers: as cease_test_run
 * Owns: nothing
 * Errors: what fn returned when undisturbed; CEASE_EDEADLK, CEASE_EBUSY, CEASE_ETIMEDOUT of any round,
 * reported with its number; CEASE_ERANGE after opts.rounds_max rounds
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_test_each_cancel(const cease_test_opts *opts, cease_task_fn *fn,
                                                void *arg);
CEASE_PUBLIC cease_error cease_test_each_cancel_at(const cease_test_opts *opts, cease_task_fn *fn,
                                                   void *arg, const cease_place *place);
#define cease_test_each_cancel(opts, fn, ...) \
    cease_test_each_cancel_at((opts), (fn), __VA_ARGS__, CEASE_HERE)

typedef enum cease_test_fault {
    CEASE_TEST_ALLOCATION = 0, /* malloc and its kin                                              */
    CEASE_TEST_SYSTEM_CALL,    /* what the kernel can refuse                                      */
} cease_test_fault;

/* What makes calls of one kind fail on demand. */
typedef struct cease_test_faults {
    size_t size;             /* sizeof(cease_test_faults)                                        */
    void (*arm)(uint64_t n); /* the n-th call from now on fails, once; 0: none does              */
    bool (*failed)(void);    /* whether one has failed since it was last armed                   */
    long (*held)(void);      /* how many blocks are held now; NULL: not known                    */
} cease_test_faults;

/* Says who makes calls of a kind fail; NULL: nobody. libcease-faults (cease/faults.h) does it for the C
 * library's; a program with an allocator of its own brings it here.
 *
 * Parks: no
 * Callers: plain threads, between runs
 * Owns: borrows `faults` for ever
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_test_faults_use(cease_test_fault kind, const cease_test_faults *faults);

/* Runs the scenario undisturbed, then again and again: the k-th time its k-th allocation fails, until a
 * round comes to its end before that; then the same with its system calls. In the disturbed rounds fn
 * may return any error, but it must return, and every task; nothing may be left behind, no context, no
 * fd, no block. What fails is what happens between the beginning of fn and the end of the last task,
 * on any thread, in cease too.
 *
 * Parks: blocks the thread
 * Callers: as cease_test_run
 * Owns: nothing
 * Errors: what fn returned when undisturbed; CEASE_EDEADLK, CEASE_EBUSY, CEASE_ETIMEDOUT of any round,
 * reported with its number; CEASE_ERANGE after opts.rounds_max rounds of a kind; CEASE_ENOTSUP when
 * nobody has said cease_test_faults_use
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_test_each_failure(const cease_test_opts *opts, cease_task_fn *fn,
                                                 void *arg);
CEASE_PUBLIC cease_error cease_test_each_failure_at(const cease_test_opts *opts, cease_task_fn *fn,
                                                    void *arg, const cease_place *place);
#define cease_test_each_failure(opts, fn, ...) \
    cease_test_each_failure_at((opts), (fn), __VA_ARGS__, CEASE_HERE)

CEASE_END_DECLS

#endif
