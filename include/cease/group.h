/* SPDX-License-Identifier: MIT
 *
 * cease/group.h: tasks that belong together, and that nobody forgets to wait for.
 *
 * A group (Go's errgroup, Trio's nursery) has a context of its own under its parent's, runs tasks
 * under it, and joins them:
 *
 *     cease_group *g = cease_group_new(ctx, NULL);
 *     cease_group_go(g, ask_one, &one);
 *     cease_group_go(g, ask_other, &other);
 *     cease_error e = cease_group_wait(g);    // both have returned
 *     cease_group_free(g);
 *
 * The first task that returns an error cancels the group's context, with that error as the cause's
 * code, so that the others stop; cease_group_wait gives that first error. A group that supervises
 * (a server's accept loop) does neither: a failure stops nobody and is dropped, and so is every
 * result, so that a group may live as long as the program and stays small.
 *
 * The group's life: it is open; the first wait or stop that finds all tasks returned closes it, its
 * context is done by then, and it stays closed: cease_group_go gives CEASE_ECLOSED from there on.
 * Tasks may start more tasks in their own group also while somebody waits for it.
 *
 * A task of the group must not wait for itself. From one of the group's own tasks, cease_group_stop
 * cancels and returns CEASE_EDEADLK without joining; cease_group_wait and cease_group_free abort
 * and name both places.
 *
 * Functions accept the NULL that cease_group_new gave when memory was short: the ones that return
 * an error return CEASE_ENOMEM, cease_group_ctx returns a context that is done with cause
 * CEASE_ENOMEM, cease_group_free does nothing.
 */
#ifndef CEASE_GROUP_H
#define CEASE_GROUP_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_group cease_group;

/* Options of cease_group_new. All zero, or NULL instead of the struct, means the defaults. */
typedef struct cease_group_opts {
    size_t size;    /* sizeof(cease_group_opts)                                              */
    uint32_t limit; /* how many tasks may live at a time; 0: any number                      */
    bool supervise; /* a task's error neither cancels the others nor is kept                 */
} cease_group_opts;

/* Makes a group whose context is a child of `parent`.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the group is the caller's, for cease_group_free; it keeps the parent alive
 * Errors: NULL when memory is short; aborts on a NULL parent
 * Since: 0.1
 */
CEASE_PUBLIC cease_group *cease_group_new(cease_ctx *parent, const cease_group_opts *opts);
CEASE_PUBLIC cease_group *cease_group_new_at(cease_ctx *parent, const cease_group_opts *opts,
                                             const cease_place *place);
/* Variadic, so that a compound literal with its commas is one argument. */
#define cease_group_new(parent, ...) cease_group_new_at((parent), __VA_ARGS__, CEASE_HERE)

/* The context that the group's tasks get: done when the parent is, when a task has failed (unless
 * the group supervises), when the group is stopped, and after it has been waited for.
 *
 * Parks: no
 * Callers: any thread
 * Owns: borrowed from the group, valid until it is freed; cease_ref it to keep it longer
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_group_ctx(cease_group *g);

/* Starts fn(cease_group_ctx(g), arg) as a task of the group. With CEASE_OK fn will run, also when
 * the group's context is done already; with an error it will not, and arg is still the caller's.
 *
 * Parks: no
 * Callers: any thread, the group's own tasks included
 * Owns: arg passes to fn with CEASE_OK only
 * Errors: CEASE_EAGAIN at the limit, or while others wait in cease_group_go_wait; CEASE_ECLOSED
 * after the group was waited for or stopped; what cease_go says
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_group_go(cease_group *g, cease_task_fn *fn, void *arg);
CEASE_PUBLIC cease_error cease_group_go_at(cease_group *g, cease_task_fn *fn, void *arg,
                                           const cease_place *place);
#define cease_group_go(g, fn, ...) cease_group_go_at((g), (fn), __VA_ARGS__, CEASE_HERE)

/* The same, but at the limit it parks until a task of the group has returned; those who wait take
 * turns in the order of coming. `ctx` is the caller's, for the waiting alone: the task gets the
 * group's context. From a task of the group itself this waits for one of its siblings.
 *
 * Parks: yes, at the limit
 * Callers: any thread
 * Owns: arg passes to fn with CEASE_OK only
 * Errors: ctx's; CEASE_ECLOSED; what cease_go says
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_group_go_wait(cease_ctx *ctx, cease_group *g, cease_task_fn *fn,
                                             void *arg);
CEASE_PUBLIC cease_error cease_group_go_wait_at(cease_ctx *ctx, cease_group *g, cease_task_fn *fn,
                                                void *arg, const cease_place *place);
#define cease_group_go_wait(ctx, g, fn, ...) \
    cease_group_go_wait_at((ctx), (g), (fn), __VA_ARGS__, CEASE_HERE)

/* Waits until every task of the group has returned, closes the group and ends its context. It
 * cannot be cut short, because what it waits for ends: cancel the parent, or use cease_group_stop,
 * and the tasks return. Several may wait at once, and waiting again is fine: it gives the same
 * result.
 *
 * Returns the first error that a task returned, CEASE_OK if there was none or if the group
 * supervises.
 *
 * Parks: yes; a join, it takes no context
 * Callers: any thread that is not one of the group's own tasks (aborts)
 * Owns: nothing
 * Errors: the first task's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_group_wait(cease_group *g);
CEASE_PUBLIC cease_error cease_group_wait_at(cease_group *g, const cease_place *place);
#define cease_group_wait(g) cease_group_wait_at((g), CEASE_HERE)

/* Cancels the group's context, then waits as cease_group_wait does. A CEASE_ECANCELED that a task
 * returns because of this stop is no error of the group; any other error, and one from before the
 * stop, is.
 *
 * From one of the group's own tasks it cancels and returns CEASE_EDEADLK, without waiting: the
 * group is still open.
 *
 * Parks: yes; a join, it takes no context
 * Callers: any thread
 * Owns: nothing
 * Errors: the first task's; CEASE_EDEADLK
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_group_stop(cease_group *g);
CEASE_PUBLIC cease_error cease_group_stop_at(cease_group *g, const cease_place *place);
#define cease_group_stop(g) cease_group_stop_at((g), CEASE_HERE)

/* Stops the group, then frees it. NULL is fine.
 *
 * Parks: yes, while tasks live; a join, it takes no context
 * Callers: one thread, that is not one of the group's own tasks (aborts), when nobody else uses the
 * group any more
 * Owns: takes the group
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_group_free(cease_group *g);
CEASE_PUBLIC void cease_group_free_at(cease_group *g, const cease_place *place);
#define cease_group_free(g) cease_group_free_at((g), CEASE_HERE)

CEASE_END_DECLS

#endif
