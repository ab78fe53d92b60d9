/* SPDX-License-Identifier: MIT
 *
 * crowd_models.c: waiters that are left to a task, under every interleaving (end.c). In these builds a crowd
 * begins with the second waiter, and the task wakes one before it lets others run.
 *
 * Checked: each waiter is told once or was removed, and not after its removal said so; what a removal gave
 * back is not touched, nor is the context after its last holder has gone; callbacks of others than waiters
 * have run when the cancel returns.
 */
#include "context/ctx.h"
#include "explore.h"

#include <stdlib.h>
#include <string.h>

enum { CROWD = 3 };

static cease_ctx *root;
static cease_canceler *stop;
static cease_watch
    *watches[CROWD]; /* in the order in which they were added: the last is told first */
static uint32_t calls, inside, removed;
static struct {
    void (*fn)(void *arg); /* NULL: none */
    void *arg;
} tasks[EXPLORE_THREADS];         /* what was spawned, by the thread that plays it */
static cease_parker *task_parker; /* of the thread that plays nothing else; NULL: there is none */
static uint32_t yields;

static cease_error spawn(void (*fn)(void *arg), void *arg)
{
    tasks[explore_current()].fn = fn;
    tasks[explore_current()].arg = arg;
    return CEASE_OK;
}

enum { ELSEWHERE = 1 };
static cease_error spawn_elsewhere(void (*fn)(void *arg), void *arg)
{
    tasks[ELSEWHERE].fn = fn;
    tasks[ELSEWHERE].arg = arg;
    cease_wake(task_parker);
    return CEASE_OK;
}

static cease_error spawn_refused(void (*fn)(void *arg), void *arg)
{
    (void)fn;
    (void)arg;
    return CEASE_EAGAIN;
}

static void yield(void)
{
    explore_note("the task lets others run");
    yields++;
}

static const cease_hooks hooks = {.size = sizeof hooks, .spawn = spawn, .yield = yield};
static const cease_hooks hooks_elsewhere = {
    .size = sizeof hooks, .spawn = spawn_elsewhere, .yield = yield};
static const cease_hooks hooks_refused = {
    .size = sizeof hooks, .spawn = spawn_refused, .yield = yield};

static void on_end(void *arg)
{
    ceasei_store(&inside, 1, SEQ_CST);
    EXPLORE_CHECK(cease_err(arg) == CEASE_ECANCELED);
    ceasei_add(&calls, 1, SEQ_CST);
    ceasei_store(&inside, 0, SEQ_CST);
}

static void make(const cease_hooks *with)
{
    cease_hooks_install(with);
    root = cease_with_cancel(cease_background(), &stop);
    for (int i = 0; i < CROWD; i++) {
        watches[i] = calloc(1, sizeof *watches[i]);
    }
}

static void add_waiters(int from)
{
    for (int i = from; i < CROWD; i++) {
        EXPLORE_CHECK(cease_watch_add_waiter(watches[i], root, on_end, root));
    }
}

static void make_crowd(void)
{
    make(&hooks);
    add_waiters(0);
}

static void cancel(void)
{
    cease_cancel(stop);
    EXPLORE_CHECK(cease_err(root) == CEASE_ECANCELED);
}

/* The same thread plays the task, as a worker does that has nothing else. */
static void run_task(void)
{
    int self = explore_current();
    if (tasks[self].fn)
        tasks[self].fn(tasks[self].arg);
}

static void cancel_and_run_task(void)
{
    cancel();
    run_task();
}

static void end_all(void)
{
    cease_end(stop);
    for (int i = 0; i < CROWD; i++) {
        free(watches[i]);
    }
    free(task_parker);
    EXPLORE_CHECK(cease_live_count() == 0);
}

static void check_all_told(void)
{
    EXPLORE_CHECK(calls == CROWD && yields == 1);
    end_all();
}

static void check_told_or_removed(void)
{
    EXPLORE_CHECK(calls + removed == CROWD);
    end_all();
}

/* ---- who is taken off meanwhile ------------------------------------------------------------------ */

static void remove_first(void)
{
    if (cease_watch_remove(watches[0]) == CEASE_WATCH_REMOVED)
        removed++;
}

/* Watch `i`, and its memory with it. */
static void remove_and_free(int i)
{
    cease_watch_remove_sync(watches[i]);
    memset(watches[i], 0x5a, sizeof *watches[i]);
    free(watches[i]);
    watches[i] = NULL;
}

/* The one that the task finds first. */
static void free_next(void)
{
    remove_and_free(CROWD - 2);
}

static void free_last(void)
{
    remove_and_free(0);
}

static void check_at_most_all(void)
{
    EXPLORE_CHECK(calls <= CROWD && calls + 1 >= CROWD);
    end_all();
}

MODEL(crowd_cancel_cancel, .setup = make_crowd,
      .threads = {cancel_and_run_task, cancel_and_run_task}, .check = check_all_told);
MODEL(crowd_cancel_remove, .setup = make_crowd, .threads = {cancel_and_run_task, remove_first},
      .check = check_told_or_removed);
MODEL(crowd_cancel_free_next, .setup = make_crowd, .threads = {cancel_and_run_task, free_next},
      .check = check_at_most_all,
      .seeds = {{BUG_CROWD, false, "the list is moved, and its first watch not told"}});
MODEL(crowd_cancel_free_last, .setup = make_crowd, .threads = {cancel_and_run_task, free_last},
      .check = check_at_most_all);

/* The first fd of a node moves what its list is about into the node's extra. */
static void take_fd(void)
{
    int fd = cease_done_fd(root);
    EXPLORE_CHECK(fd >= 0);
    if (explore_fd_readable(fd))
        EXPLORE_CHECK(cease_err(root) == CEASE_ECANCELED);
}

MODEL(crowd_cancel_take_fd, .setup = make_crowd, .threads = {cancel_and_run_task, take_fd},
      .check = check_told_or_removed);

/* ---- the task on another thread ------------------------------------------------------------------ */

static void make_crowd_elsewhere(void)
{
    make(&hooks_elsewhere);
    add_waiters(0);
    task_parker = malloc(sizeof *task_parker);
    cease_parker_init(task_parker);
}

static void cancel_and_end(void)
{
    cease_cancel(stop);
    cease_end(stop);
    stop = NULL;
}

static void play_task(void)
{
    cease_park(task_parker);
    run_task();
}

MODEL(crowd_elsewhere, .setup = make_crowd_elsewhere, .threads = {cancel_and_end, play_task},
      .check = check_all_told,
      .seeds = {{BUG_CROWD_COUNT, false, "the task has no count on the context"}});

/* ---- what is no crowd ---------------------------------------------------------------------------- */

static void make_with_callback(void)
{
    make(&hooks);
    EXPLORE_CHECK(cease_watch_add(watches[0], root, on_end, root));
    add_waiters(1);
}

static void cancel_and_look(void)
{
    cancel();
    EXPLORE_CHECK(calls == CROWD && !tasks[0].fn);
}

static void make_refused(void)
{
    make(&hooks_refused);
    add_waiters(0);
}

/* Then the call wakes as many itself as before, and tries again. */
static void cancel_without_memory(void)
{
    explore_fail_alloc(1);
    cancel();
    EXPLORE_CHECK(calls == 2);
    run_task();
    EXPLORE_CHECK(calls == CROWD);
}

static void cancel_and_maybe_look(void)
{
    cancel();
    EXPLORE_CHECK(!tasks[0].fn);
}

MODEL(crowd_with_a_callback, .setup = make_with_callback, .threads = {cancel_and_look},
      .check = end_all);
MODEL(crowd_without_memory, .setup = make_crowd, .threads = {cancel_without_memory},
      .check = end_all);
MODEL(crowd_refused_free, .setup = make_refused, .threads = {cancel_and_maybe_look, free_next},
      .check = check_at_most_all);
MODEL(crowd_refused_take_fd, .setup = make_refused, .threads = {cancel_and_maybe_look, take_fd},
      .check = check_told_or_removed);
