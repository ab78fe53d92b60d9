/* SPDX-License-Identifier: MIT
 *
 * watch_models.c: being told, and waiting, under every interleaving: watches, their removal, done
 * fds, after-funcs, park and wake.
 *
 * Checked: a callback runs once or was removed, never after the removal said so; memory that a
 * removal gave back is not touched; an error that anybody has seen implies a readable fd and the
 * other way round; no wake is lost.
 */
#include "context/ctx.h"
#include "explore.h"

#include <stdlib.h>
#include <string.h>

static cease_ctx *root, *child;
static cease_canceler *root_stop, *child_stop;
static cease_watch *watch, *second;
static uint32_t calls, inside, order;
static cease_after *after;

static void make_root(void)
{
    root = cease_with_cancel(cease_background(), &root_stop);
    watch = calloc(1, sizeof *watch);
    second = calloc(1, sizeof *second);
}

static void end_all(void)
{
    cease_end(child_stop);
    cease_end(root_stop);
    free(watch);
    free(second);
    EXPLORE_CHECK(cease_live_count() == 0);
}

static void on_end(void *arg)
{
    ceasei_store(&inside, 1, SEQ_CST);
    EXPLORE_CHECK(cease_err(arg) == CEASE_ECANCELED);
    EXPLORE_CHECK(cease_cause_of(arg) != NULL);
    EXPLORE_CHECK(cease_callback_place() != NULL);
    ceasei_add(&calls, 1, SEQ_CST);
    ceasei_store(&inside, 0, SEQ_CST);
}

static void make_watched(void)
{
    make_root();
    EXPLORE_CHECK(cease_watch_add(watch, root, on_end, root));
}

static void make_watched_below(void)
{
    make_root();
    child = cease_with_cancel(root, &child_stop);
    EXPLORE_CHECK(cease_watch_add(watch, child, on_end, child));
}

static void cancel(void)
{
    cease_cancel(root_stop);
    EXPLORE_CHECK(cease_err(root) == CEASE_ECANCELED);
}

static void cancel_child(void)
{
    cease_cancel(child_stop);
    EXPLORE_CHECK(cease_err(child) == CEASE_ECANCELED);
}

static void check_called_once(void)
{
    EXPLORE_CHECK(calls == 1);
    end_all();
}

/* ---- a share that goes meanwhile ---------------------------------------------------------------- */

static void on_end_end(void *arg)
{
    on_end(arg);
    cease_end(root_stop); /* the share that the cancel came with */
    root_stop = NULL;
}

static void make_watched_referred(void)
{
    make_root();
    cease_ref(root);
    EXPLORE_CHECK(cease_watch_add(watch, root, on_end_end, root));
}

static void cancel_only(void)
{
    cease_cancel(root_stop);
}

static void unref_root(void)
{
    cease_unref(root);
}

static void wait_and_end(void)
{
    EXPLORE_CHECK(cease_wait(root) == CEASE_ECANCELED);
    cease_end(root_stop);
}

static void cancel_and_end(void)
{
    cease_cancel(child_stop);
    cease_end(child_stop);
}

static void make_shared(void)
{
    make_root();
    child_stop = cease_canceler_ref(root_stop);
}

static void check_gone(void)
{
    root_stop = child_stop = NULL;
    end_all();
}

MODEL(watch_ends_share, .setup = make_watched_referred, .threads = {cancel_only, unref_root},
      .check = check_gone);
MODEL(watch_woken_ends_share, .setup = make_shared, .threads = {cancel_and_end, wait_and_end},
      .check = check_gone);

/* ---- add -------------------------------------------------------------------------------------- */

static void add(void)
{
    if (!cease_watch_add(watch, root, on_end, root))
        EXPLORE_CHECK(ceasei_load(&calls, SEQ_CST) >= 1);
}

static void add_second(void)
{
    cease_watch_add(second, root, on_end, root);
}

static void check_called_twice(void)
{
    EXPLORE_CHECK(calls == 2);
    end_all();
}

static void end_root(void)
{
    cease_end(root_stop);
    root_stop = NULL;
}

MODEL(watch_add_cancel, .setup = make_root, .threads = {add, cancel}, .check = check_called_once,
      .mutants_found_min = 2,
      .seeds = {{BUG_WATCH_ADD, false, "a watch is added to a context that somebody has claimed"}});
MODEL(watch_add_add_cancel, .setup = make_root, .threads = {add, add_second, cancel},
      .check = check_called_twice);
MODEL(watch_cancel_cancel, .setup = make_watched, .threads = {cancel, cancel},
      .check = check_called_once, .mutants_found_min = 1);
MODEL(watch_below_cancel_both, .setup = make_watched_below, .threads = {cancel, cancel_child},
      .check = check_called_once, .mutants_found_min = 2);
MODEL(watch_end, .setup = make_watched, .threads = {end_root}, .check = check_called_once);

/* ---- remove ----------------------------------------------------------------------------------- */

static void check_once_or_removed(cease_watch_state state)
{
    uint32_t count = ceasei_load(&calls, SEQ_CST);
    if (state == CEASE_WATCH_REMOVED)
        EXPLORE_CHECK(count == 0);
    if (state == CEASE_WATCH_RAN)
        EXPLORE_CHECK(count == 1);
}

static uint32_t removed;

static void remove_(void)
{
    cease_watch_state state = cease_watch_remove(watch);
    check_once_or_removed(state);
    removed = state == CEASE_WATCH_REMOVED;
}

static void check_removed_or_called(void)
{
    EXPLORE_CHECK(calls + removed == 1);
    end_all();
}

static void remove_sync_and_free(void)
{
    cease_watch_remove_sync(watch);
    EXPLORE_CHECK(ceasei_load(&inside, SEQ_CST) == 0);
    memset(watch, 0x5a, sizeof *watch);
    free(watch);
    watch = NULL;
}

static void check_at_most_once(void)
{
    EXPLORE_CHECK(calls <= 1);
    end_all();
}

MODEL(watch_remove_cancel, .setup = make_watched, .threads = {remove_, cancel},
      .check = check_removed_or_called, .mutants_found_min = 2,
      .seeds = {{BUG_WATCH_REMOVE, false, "whether it ran is decided by a look before the lock"}});
MODEL(watch_remove_below_cancel, .setup = make_watched_below, .threads = {remove_, cancel},
      .check = check_removed_or_called, .mutants_found_min = 2);
MODEL(watch_remove_sync_cancel, .setup = make_watched, .threads = {remove_sync_and_free, cancel},
      .check = check_at_most_once, .mutants_found_min = 2,
      .seeds = {{BUG_REMOVE_SYNC, false, "the removal does not wait for the callback"}});
MODEL(watch_remove_sync_below_cancel, .setup = make_watched_below,
      .threads = {remove_sync_and_free, cancel}, .check = check_at_most_once,
      .mutants_found_min = 2);
MODEL(watch_remove_sync_below_cancel_both, .setup = make_watched_below,
      .threads = {remove_sync_and_free, cancel, cancel_child}, .check = check_at_most_once);

static void on_end_free(void *arg)
{
    cease_watch *w = watch;
    watch = NULL;
    free(w);
    EXPLORE_CHECK(cease_done(arg));
    ceasei_add(&calls, 1, SEQ_CST);
}

static void make_watched_free(void)
{
    make_root();
    EXPLORE_CHECK(cease_watch_add(watch, root, on_end_free, root));
}

MODEL(watch_frees_itself, .setup = make_watched_free, .threads = {cancel, add_second},
      .check = check_called_twice);

static void on_end_remove_second(void *arg)
{
    (void)arg;
    if (cease_watch_remove(second) == CEASE_WATCH_REMOVED)
        ceasei_add(&order, 1, SEQ_CST);
    ceasei_add(&calls, 1, SEQ_CST);
}

static void make_two_watched(void)
{
    make_root();
    cease_watch_add(second, root, on_end, root);
    cease_watch_add(watch, root, on_end_remove_second, root);
}

static void remove_sync_second(void)
{
    cease_watch_remove_sync(second);
    EXPLORE_CHECK(ceasei_load(&inside, SEQ_CST) == 0);
}

static void check_second_once(void)
{
    EXPLORE_CHECK(calls == 1);
    EXPLORE_CHECK(order <= 1);
    end_all();
}

MODEL(watch_removes_other, .setup = make_two_watched, .threads = {cancel, remove_sync_second},
      .check = check_second_once);

/* A callback that waits for another, which runs elsewhere: it must not park, and asks again. */
static void on_end_remove_sync_second(void *arg)
{
    (void)arg;
    cease_watch_remove_sync(second);
    EXPLORE_CHECK(ceasei_load(&inside, SEQ_CST) == 0);
}

static void make_two_in_two(void)
{
    make_root();
    child = cease_with_cancel(cease_background(), &child_stop);
    cease_watch_add(second, child, on_end, child);
    cease_watch_add(watch, root, on_end_remove_sync_second, root);
}

MODEL(watch_remove_sync_in_callback, .setup = make_two_in_two, .threads = {cancel, cancel_child},
      .check = check_at_most_once);

static void remove_second(void)
{
    cease_watch_remove(second);
}

static void on_end_nothing(void *arg)
{
    EXPLORE_CHECK(cease_done(arg));
}

static void make_two_plain(void)
{
    make_watched();
    cease_watch_add(second, root, on_end_nothing, root);
}

MODEL(watch_remove_remove_cancel, .setup = make_two_plain,
      .threads = {remove_, remove_second, cancel}, .check = check_removed_or_called);

/* ---- the done fd ------------------------------------------------------------------------------ */

static uint32_t fd_seen;

static void take_fd(void)
{
    int fd = cease_done_fd(root);
    EXPLORE_CHECK(fd >= 0);
    if (explore_fd_readable(fd))
        EXPLORE_CHECK(cease_err(root) == CEASE_ECANCELED);
    if (cease_done(root))
        EXPLORE_CHECK(explore_fd_readable(fd));
    ceasei_store(&fd_seen, (uint32_t)fd, RELAXED);
}

static void check_fd(void)
{
    EXPLORE_CHECK(cease_done_fd(root) == (int)fd_seen);
    EXPLORE_CHECK(explore_fd_readable((int)fd_seen));
    end_all();
}

static void make_fd(void)
{
    make_root();
    fd_seen = (uint32_t)cease_done_fd(root);
}

/* A watch that is added while the end is on its way: whoever calls it has the fd readable before. */
static void on_end_look_at_fd(void *arg)
{
    EXPLORE_CHECK(explore_fd_readable((int)fd_seen));
    on_end(arg);
}

static void add_to_one_with_fd(void)
{
    cease_watch_add(watch, root, on_end_look_at_fd, root);
}

MODEL(fd_watch_added_cancel, .setup = make_fd, .threads = {add_to_one_with_fd, cancel},
      .check = check_called_once);

static void make_fd_below(void)
{
    make_root();
    child = root;
    child_stop = root_stop;
    root = cease_with_cancel(child, &root_stop);
    fd_seen = (uint32_t)cease_done_fd(root);
    cease_canceler *upper = child_stop;
    child_stop = root_stop;
    root_stop = upper;
}

/* root is the lower context here, root_stop the upper one's canceler. */
static void cancel_above(void)
{
    cease_cancel(root_stop);
    EXPLORE_CHECK(explore_fd_readable((int)fd_seen));
    EXPLORE_CHECK(cease_done(root));
}

static void error_then_fd(void)
{
    if (cease_err(root) != CEASE_OK)
        EXPLORE_CHECK(explore_fd_readable((int)fd_seen));
}

static void fd_then_error(void)
{
    if (explore_fd_readable((int)fd_seen))
        EXPLORE_CHECK(cease_err(root) == CEASE_ECANCELED);
}

static void cancel_with_fd(void)
{
    cease_cancel(root_stop);
    EXPLORE_CHECK(explore_fd_readable((int)fd_seen));
}

MODEL(fd_take_cancel, .setup = make_root, .threads = {take_fd, cancel}, .check = check_fd,
      .mutants_found_min = 2);
MODEL(fd_take_take_cancel, .setup = make_root, .threads = {take_fd, take_fd, cancel},
      .check = check_fd);
MODEL(fd_error_cancel, .setup = make_fd, .threads = {error_then_fd, fd_then_error, cancel_with_fd},
      .check = check_fd,
      .seeds = {{BUG_DONE_FD, false, "the end is published before the fd is written"}});
/* A watch that comes while the end is on its way: its callback may look at the fd. */
static void on_end_fd(void *arg)
{
    EXPLORE_CHECK(explore_fd_readable((int)fd_seen));
    on_end(arg);
}

static void add_with_fd(void)
{
    cease_watch_add(watch, root, on_end_fd, root);
}

static void check_told_once(void)
{
    EXPLORE_CHECK(calls == 1);
    check_fd();
}

MODEL(fd_add_cancel, .setup = make_fd, .threads = {add_with_fd, cancel_with_fd},
      .check = check_told_once);
MODEL(fd_error_cancel_above, .setup = make_fd_below,
      .threads = {error_then_fd, fd_then_error, cancel_above}, .check = check_fd);

/* The first fd of a node moves its list of children into the node's extra: while one leaves, one
 * comes, one is walked over, and while its callbacks run. */
static void make_parent(void)
{
    make_root();
    child = cease_with_cancel(root, &child_stop);
}

static void end_child(void)
{
    cease_end(child_stop);
    child_stop = NULL;
}

static void derive_and_end(void)
{
    cease_canceler *stop;
    (void)cease_with_cancel(root, &stop);
    cease_end(stop);
}

static void check_fd_open(void)
{
    EXPLORE_CHECK(cease_done_fd(root) == (int)fd_seen);
    EXPLORE_CHECK(!explore_fd_readable((int)fd_seen));
    EXPLORE_CHECK(cease_child_count(root) == 0);
    end_all();
}

static void check_fd_and_child(void)
{
    if (child_stop != NULL)
        EXPLORE_CHECK(cease_done(child));
    check_fd();
}

MODEL(fd_take_child_leaves, .setup = make_parent, .threads = {take_fd, end_child},
      .check = check_fd_open, .mutants_found_min = 2,
      .seeds = {{BUG_EXTRA, false, "the first child is left behind when its list moves"}});
MODEL(fd_take_child_comes, .setup = make_root, .threads = {take_fd, derive_and_end},
      .check = check_fd_open, .mutants_found_min = 2);
MODEL(fd_take_child_is_cancelled, .setup = make_parent, .threads = {take_fd, cancel},
      .check = check_fd_and_child, .mutants_found_min = 2);
MODEL(fd_take_child_leaves_cancel, .setup = make_parent, .threads = {take_fd, end_child, cancel},
      .check = check_fd_and_child);
MODEL(fd_take_in_callbacks, .setup = make_watched, .threads = {take_fd, cancel},
      .check = check_fd_and_child);

static void background_fd(void)
{
    int fd = cease_done_fd(cease_background());
    EXPLORE_CHECK(fd >= 0 && !explore_fd_readable(fd));
}

/* It stays for ever: may_leak. */
MODEL(fd_background_background, .threads = {background_fd, background_fd}, .may_leak = true);

/* ---- after-funcs ------------------------------------------------------------------------------ */

static uint32_t after_ran;

static void on_after(void *arg)
{
    (void)arg;
    ceasei_add(&after_ran, 1, SEQ_CST);
}

static void make_after(void)
{
    make_root();
    after = cease_after_func(root, on_after, NULL);
}

static void stop_after(void)
{
    bool prevented = cease_after_stop(after);
    if (prevented)
        EXPLORE_CHECK(ceasei_load(&after_ran, SEQ_CST) == 0);
    removed = prevented;
}

static void add_and_stop_after(void)
{
    after = cease_after_func(root, on_after, NULL);
    stop_after();
}

static void check_after(void)
{
    EXPLORE_CHECK(after_ran + removed == 1);
    end_all();
}

MODEL(after_stop_cancel, .setup = make_after, .threads = {stop_after, cancel}, .check = check_after,
      .mutants_found_min = 2,
      .seeds = {{BUG_AFTER_STOP, false, "stop says prevented while the function starts"}});
MODEL(after_add_stop_cancel, .setup = make_root, .threads = {add_and_stop_after, cancel},
      .check = check_after, .mutants_found_min = 2);
MODEL(after_stop_end, .setup = make_after, .threads = {stop_after, end_root}, .check = check_after,
      .mutants_found_min = 2);

/* ---- park and wake ---------------------------------------------------------------------------- */

static cease_parker *parker;

static void make_parker(void)
{
    parker = malloc(sizeof *parker);
    cease_parker_init(parker);
}

static void park_and_free(void)
{
    cease_park(parker);
    memset(parker, 0x5a, sizeof *parker);
    free(parker);
    EXPLORE_CHECK(ceasei_load(&order, RELAXED) == 1);
}

static void wake(void)
{
    ceasei_store(&order, 1, RELAXED);
    cease_wake(parker);
}

MODEL(park_wake, .setup = make_parker, .threads = {park_and_free, wake}, .mutants_found_min = 2);

static void wait_root(void)
{
    EXPLORE_CHECK(cease_wait(root) == CEASE_ECANCELED);
}

MODEL(wait_cancel, .setup = make_root, .threads = {wait_root, cancel}, .check = end_all,
      .mutants_found_min = 2);
MODEL(wait_wait_cancel, .setup = make_root, .threads = {wait_root, wait_root, cancel},
      .check = end_all);
