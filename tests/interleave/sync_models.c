/* SPDX-License-Identifier: MIT
 *
 * sync_models.c: mutexes, conditions, semaphores and wait groups under every interleaving, on the scheduler of
 * runtime_glue.c: threads 0 and 1 are tasks, thread 2 is a plain thread.
 *
 * Checked: one owner at a time, and what the last one wrote is seen by the next, ordered by nothing but the lock;
 * a hand-over and a cancel never meet in one waiter, and neither is lost; nobody behind one who gives up is
 * forgotten; nothing is touched after its waiter was woken.
 */
#include "runtime_glue.h"

#include <cease/sync.h>
#include <stdlib.h>

/* ---- mutex -------------------------------------------------------------------------------------- */

static cease_mutex *mutex;
static int guarded; /* plain: the race detector sees whether the mutex orders it */
static int taken;

static void make_mutex(void)
{
    glue_start();
    mutex = calloc(1, sizeof *mutex);
}

static void drop_mutex(void)
{
    EXPLORE_CHECK(mutex->owner_ == 0 && !mutex->sync_.first_);
    cease_mutex_deinit(mutex);
    free(mutex);
    glue_end();
}

static void add_one(void)
{
    EXPLORE_CHECK(cease_mutex_lock(cease_background(), mutex) == CEASE_OK);
    guarded++;
    cease_mutex_unlock(mutex);
}

static void add_one_or_not(void)
{
    if (cease_mutex_lock(glue_root, mutex) == CEASE_OK) {
        guarded++;
        taken = 1;
        cease_mutex_unlock(mutex);
    }
}

static void check_two(void)
{
    EXPLORE_CHECK(guarded == 2);
    drop_mutex();
}

static void check_counted(void)
{
    EXPLORE_CHECK(guarded == 1 + taken);
    drop_mutex();
}

MODEL(mutex_handover, .setup = make_mutex, .threads = {add_one, add_one}, .check = check_two,
      .seeds = {{BUG_MUTEX, false, "the waiter is woken, and does not own the mutex"},
                {BUG_MUTEX_MARK, false, "who waits does not mark the owner's word"}});

static void check_three(void)
{
    EXPLORE_CHECK(guarded == 3);
    drop_mutex();
}

MODEL(mutex_three, .setup = make_mutex, .threads = {add_one, add_one, add_one},
      .check = check_three);
MODEL(mutex_cancel_in_line, .setup = make_mutex, .threads = {add_one, add_one_or_not, glue_cancel},
      .check = check_counted);

static void try_once(void)
{
    if (cease_mutex_try_lock(mutex) == CEASE_OK) {
        guarded++;
        taken = 1;
        cease_mutex_unlock(mutex);
    }
}

MODEL(mutex_try, .setup = make_mutex, .threads = {add_one, try_once}, .check = check_counted);

/* Who finds under the mutex that nobody else wants it any more may drop it, while the others are about to return
 * from giving it back. */
static uint32_t waiter_left;
static bool is_dropped;

static void drop_if_last(bool is_last)
{
    cease_mutex_unlock(mutex);
    if (is_last) {
        cease_mutex_deinit(mutex);
        free(mutex);
        is_dropped = true;
    }
}

static void add_one_and_drop(void)
{
    EXPLORE_CHECK(cease_mutex_lock(cease_background(), mutex) == CEASE_OK);
    drop_if_last(++guarded == 2);
}

static void check_dropped(void)
{
    EXPLORE_CHECK(is_dropped);
    glue_end();
}

MODEL(mutex_dropped, .setup = make_mutex, .threads = {add_one_and_drop, add_one_and_drop},
      .check = check_dropped);

static void add_one_and_cancel(void)
{
    EXPLORE_CHECK(cease_mutex_lock(cease_background(), mutex) == CEASE_OK);
    guarded++;
    glue_cancel();
    cease_mutex_unlock(mutex);
}

static void add_one_or_not_and_leave(void)
{
    add_one_or_not();
    ceasei_store(&waiter_left, 1, RELEASE);
}

static void drop_when_both_have_been(void)
{
    EXPLORE_CHECK(cease_mutex_lock(cease_background(), mutex) == CEASE_OK);
    drop_if_last(guarded > taken && ceasei_load(&waiter_left, ACQUIRE));
}

static void check_dropped_or_drop(void)
{
    if (is_dropped)
        glue_end();
    else
        drop_mutex();
}

MODEL(mutex_dropped_after_a_cancel, .setup = make_mutex,
      .threads = {add_one_and_cancel, add_one_or_not_and_leave, drop_when_both_have_been},
      .check = check_dropped_or_drop);

/* ---- condition ---------------------------------------------------------------------------------- */

static cease_cond *cond;
static bool is_set;
static cease_error waited;

static void make_cond(void)
{
    make_mutex();
    cond = calloc(1, sizeof *cond);
}

static void drop_cond(void)
{
    cease_cond_deinit(cond);
    free(cond);
    drop_mutex();
}

static void wait_until_set(void)
{
    EXPLORE_CHECK(cease_mutex_lock(cease_background(), mutex) == CEASE_OK);
    while (!is_set && waited == CEASE_OK)
        waited = cease_cond_wait(glue_root, cond, mutex);
    EXPLORE_CHECK(is_set || waited == CEASE_ECANCELED);
    cease_mutex_unlock(mutex);
}

static void set_and_signal(void)
{
    EXPLORE_CHECK(cease_mutex_lock(cease_background(), mutex) == CEASE_OK);
    is_set = true;
    cease_mutex_unlock(mutex);
    (void)cease_cond_signal(cond);
}

MODEL(cond_wait_signal, .setup = make_cond, .threads = {wait_until_set, set_and_signal},
      .check = drop_cond,
      .seeds = {{BUG_COND, false, "the mutex is given back before the waiter is queued"}});
MODEL(cond_wait_signal_cancel, .setup = make_cond,
      .threads = {wait_until_set, set_and_signal, glue_cancel}, .check = drop_cond);

/* ---- semaphore ---------------------------------------------------------------------------------- */

static cease_semaphore *units;

static void make_semaphore(void)
{
    glue_start();
    units = calloc(1, sizeof *units);
    cease_semaphore_init(units, 2);
}

static void drop_semaphore(void)
{
    EXPLORE_CHECK(units->free_ == 2 && !units->sync_.first_);
    cease_semaphore_deinit(units);
    free(units);
    glue_end();
}

static void use_both(void)
{
    EXPLORE_CHECK(cease_semaphore_acquire(cease_background(), units, 2) == CEASE_OK);
    guarded++;
    cease_semaphore_release(units, 2);
}

MODEL(semaphore_two, .setup = make_semaphore, .threads = {use_both, use_both},
      .check = drop_semaphore);

static void make_semaphore_of_one_left(void)
{
    make_semaphore();
    EXPLORE_CHECK(cease_semaphore_try_acquire(units, 1) == CEASE_OK);
}

/* Wants more than there is until it is cancelled. */
static void want_both(void)
{
    EXPLORE_CHECK(cease_semaphore_acquire(glue_root, units, 2) == CEASE_ECANCELED);
}

static void use_one(void)
{
    EXPLORE_CHECK(cease_semaphore_acquire(cease_background(), units, 1) == CEASE_OK);
    cease_semaphore_release(units, 1);
}

static void give_the_first_back(void)
{
    cease_semaphore_release(units, 1);
    drop_semaphore();
}

MODEL(semaphore_cancel_at_the_head, .setup = make_semaphore_of_one_left,
      .threads = {want_both, use_one, glue_cancel}, .check = give_the_first_back,
      .seeds = {{BUG_SEMAPHORE, false, "who gives up leaves those behind it unserved"}});

static void want_both_or_not(void)
{
    if (cease_semaphore_acquire(glue_root, units, 2) == CEASE_OK)
        cease_semaphore_release(units, 2);
}

static void release_one(void)
{
    cease_semaphore_release(units, 1);
}

MODEL(semaphore_release_cancel, .setup = make_semaphore_of_one_left,
      .threads = {want_both_or_not, release_one, glue_cancel}, .check = drop_semaphore);

/* ---- wait group --------------------------------------------------------------------------------- */

static cease_wait_group *group;

static void make_group(void)
{
    glue_start();
    group = calloc(1, sizeof *group);
    cease_wait_group_add(group, 2);
}

static void say_done(void)
{
    guarded = 1;
    cease_wait_group_done(group);
}

static void say_done_too(void)
{
    cease_wait_group_done(group);
}

static void wait_and_free(void)
{
    EXPLORE_CHECK(cease_wait_group_wait(cease_background(), group) == CEASE_OK);
    EXPLORE_CHECK(guarded == 1); /* plain: ordered by the wait alone */
    cease_wait_group_deinit(group);
    free(group);
}

MODEL(wait_group_freed_after_the_wait, .setup = make_group,
      .threads = {say_done, wait_and_free, say_done_too}, .check = glue_end,
      .seeds = {{BUG_WAIT_GROUP, false,
                 "those who wait are looked for after the count was seen to be 0"}});

static void wait_or_not(void)
{
    cease_error e = cease_wait_group_wait(glue_root, group);
    EXPLORE_CHECK(e == CEASE_OK || e == CEASE_ECANCELED);
}

static void say_both_done(void)
{
    cease_wait_group_done(group);
    cease_wait_group_done(group);
}

static void drop_group(void)
{
    cease_wait_group_deinit(group);
    free(group);
    glue_end();
}

MODEL(wait_group_wait_cancel, .setup = make_group,
      .threads = {wait_or_not, say_both_done, glue_cancel}, .check = drop_group);

/* ---- once --------------------------------------------------------------------------------------- */

static cease_once *once;

static cease_error set_up(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    guarded++;
    return CEASE_OK;
}

static void make_once(void)
{
    glue_start();
    once = calloc(1, sizeof *once);
}

static void want_it(void)
{
    EXPLORE_CHECK(cease_once_do(cease_background(), once, set_up, NULL) == CEASE_OK);
    EXPLORE_CHECK(guarded == 1);
}

static void drop_once(void)
{
    EXPLORE_CHECK(guarded == 1);
    free(once);
    glue_end();
}

MODEL(once_two, .setup = make_once, .threads = {want_it, want_it}, .check = drop_once);
