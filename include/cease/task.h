/* SPDX-License-Identifier: MIT
 *
 * cease/task.h: tasks, which cost about as much as a function call and a half, and wait without a
 * thread.
 *
 * A task is a function with a stack of its own. Many of them share a few worker threads, one per
 * usable core; when a task waits (for time, a channel, a socket, a context) it is parked, and its
 * worker runs another. There is nothing to set up: the first cease_go starts the workers.
 *
 *     static cease_error greet(cease_ctx *ctx, void *arg)
 *     {
 *         cease_error err = cease_sleep(ctx, cease_ms(100));
 *         if (err == CEASE_OK)
 *             puts(arg);
 *         return err;
 *     }
 *     cease_go(ctx, greet, "hello");
 *
 * A task that has started stays on its thread for life, so thread-local variables (errno too) keep
 * their meaning in between two parks, and errno is kept for each task. A task that has not started
 * yet may be taken over by an idle worker. Nothing takes the processor away from a task: one that
 * computes for long should cease_yield, or do it in cease_block.
 *
 * A stack is 256 KiB of addresses (CEASE_STACK in the environment or cease_runtime_configure say
 * otherwise), of which what is used costs memory, the lowest 64 KiB being the guard. Running into
 * the guard ends the process and names the task and where it was started.
 *
 * Every function that blocks in cease works on plain threads as well: there it blocks the thread.
 */
#ifndef CEASE_TASK_H
#define CEASE_TASK_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

/* What a task runs. `ctx` is the context it was started under, `arg` what its starter gave. Whoever
 * starts tasks in a group hears the result; that of a detached task is dropped. */
typedef cease_error cease_task_fn(cease_ctx *ctx, void *arg);

/* Starts fn(parent, arg) as a detached task: nobody waits for it (cease/group.h has the kind that
 * somebody does). The task holds a reference on `parent` until fn has returned.
 *
 * CEASE_OK says that fn will run, also when `parent` is done already: fn sees that and returns. So
 * what `arg` points to can be handed over. The task inherits parent's deadline and cancellation; if
 * it should outlive a request, derive with cease_without_cancel or start it under another context.
 *
 * The task is queued where it was started and begins in the order of starting; an idle worker may
 * fetch it. From a plain thread it goes to some worker.
 *
 * Parks: no
 * Callers: any thread, callbacks too
 * Owns: arg passes to the task on CEASE_OK, and stays the caller's on an error
 * Errors: CEASE_ENOMEM without memory for a stack; CEASE_EAGAIN when the kernel refuses another
 * guard page (vm.max_map_count) or the first thread; aborts on a NULL parent or fn, and in a forked
 * child whose parent had started tasks
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_go(cease_ctx *parent, cease_task_fn *fn, void *arg);
#define cease_go(parent, fn, arg) cease_go_at((parent), (fn), (arg), CEASE_HERE)
CEASE_PUBLIC cease_error cease_go_at(cease_ctx *parent, cease_task_fn *fn, void *arg,
                                     const cease_place *place);

/* Sleeps for `d`, never shorter. With d <= 0 it yields once; with CEASE_FOREVER it waits for the
 * end of ctx.
 *
 * Parks: yes
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: nothing
 * Errors: CEASE_OK after the whole time; ctx's error at once when ctx is done, and as soon as it
 * ends
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_sleep(cease_ctx *ctx, cease_dur d);

/* Lets every task run that is ready on this worker, then goes on. On a plain thread: sched_yield.
 *
 * Parks: for a moment; not cut short by anything
 * Callers: tasks; plain threads
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_yield(void);

/* The number of the calling task: unique in this process, never 0 and never used again. 0 when a
 * plain thread calls.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC uint64_t cease_task_id(void);

CEASE_END_DECLS

#endif
