/* SPDX-License-Identifier: MIT
 *
 * net_models.c: a descriptor that several use and one closes, and the poller below it, under every
 * interleaving.
 *
 * The real src/net/fd.c and src/runtime/poller.c run. The kernel is two numbers here: what epoll was told
 * of last, and an eventfd of the explorer's for each descriptor, which fails an execution that uses a
 * number after its close. A worker is a thread of the model that delivers an event.
 *
 * Checked: the number is open as long as somebody is inside and closed exactly once; one holds a lock at a
 * time; every wait ends, by its event, the close or its context, and an event that a cancel has outrun is
 * still there for the next; no hangup is told to somebody who has taken his function back, nor to who
 * has the entry next.
 */
#include "net/fd.h"
#include "runtime/runtime.h"
#include "runtime/virtual.h"
#include "runtime_glue.h"

#include <cease/hooks.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/* ---- what fd.c and poller.c call ---------------------------------------------------------------- */

static struct ceasei_worker *worker;
static uint64_t registered; /* the name that epoll was given last */

/* meson gives these three their names in fd.c and poller.c. */
int explored_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    (void)epoll;
    (void)explore_fd_readable(fd); /* is open */
    if (op == EPOLL_CTL_ADD)
        registered = event->data.u64;
    return 0;
}

int explored_sched_yield(void)
{
    ceasei_relax();
    return 0;
}

void explored_yield(void)
{
    ceasei_relax(); /* it waits for another thread's few steps */
}

struct ceasei_worker *ceasei_runtime_some_worker(void)
{
    return worker;
}

void ceasei_virtual_hold(void) {}
void ceasei_virtual_unhold(void) {}

/* ---- a descriptor ------------------------------------------------------------------------------- */

static struct ceasei_fd *fd;
static uint32_t inside[2];
static cease_error results[EXPLORE_THREADS];

static void release(struct ceasei_fd *released)
{
    free(released);
}

static void make_fd(void)
{
    glue_start();
    worker = calloc(1, sizeof *worker);
    fd = malloc(sizeof *fd);
    ceasei_fd_init(fd, eventfd(0, 0), release);
    for (int i = 0; i < 2; i++) /* of two users; the setup's own is one */
        ceasei_fd_share(fd);
}

static void make_registered(void)
{
    struct ceasei_poll_entry *entry;
    make_fd();
    EXPLORE_CHECK(ceasei_fd_entry(fd, &entry) == CEASE_OK);
}

static void all_gone(void)
{
    EXPLORE_CHECK(explore_fds_open() == 0);
    EXPLORE_CHECK(ceasei_poller_count() == 0);
    ceasei_poller_unmap();
    free(worker);
    glue_end();
}

/* Whoever is left lets go, then nothing is left. */
static void close_last(void)
{
    ceasei_fd_unshare(fd);
    all_gone();
}

/* The same when one of the threads had no share to drop. */
static void close_last_of_two(void)
{
    ceasei_fd_unshare(fd);
    close_last();
}

static void close_and_drop(void)
{
    ceasei_fd_close(fd);
    ceasei_fd_unshare(fd);
}

/* A third one, who has no share of his own: the setup's is dropped by the check. */
static void close_and_keep(void)
{
    ceasei_fd_close(fd);
}

static void deliver(uint32_t events)
{
    struct epoll_event event = {.events = events};
    event.data.u64 = registered;
    ceasei_worker_self = worker;
    ceasei_poller_dispatch(worker, &event, 1);
    ceasei_worker_self = NULL;
}

/* ---- references and locks ----------------------------------------------------------------------- */

static void use(void)
{
    if (ceasei_fd_ref(fd)) {
        (void)explore_fd_readable(fd->number);
        ceasei_fd_unref(fd);
    }
    ceasei_fd_unshare(fd);
}

MODEL(net_use_close, .setup = make_fd, .threads = {use, close_and_drop}, .check = close_last,
      .seeds = {{BUG_FD_ENTER, false, "somebody enters after a look, while another closes"}},
      .mutants_found_min = 2);

static void hold(cease_ctx *ctx, enum ceasei_poll_direction d)
{
    cease_error e = ceasei_fd_lock(ctx, fd, d);
    results[explore_current()] = e;
    if (e == CEASE_OK) {
        EXPLORE_CHECK(ceasei_add(&inside[d], 1, ACQUIRE) == 0);
        (void)explore_fd_readable(fd->number);
        EXPLORE_CHECK(ceasei_sub(&inside[d], 1, RELEASE) == 1);
        ceasei_fd_unlock(fd, d);
    }
    ceasei_fd_unshare(fd);
}

static void hold_read(void)
{
    hold(cease_background(), CEASEI_POLL_READ);
}

static void hold_read_under_root(void)
{
    hold(glue_root, CEASEI_POLL_READ);
}

static void both_held(void)
{
    EXPLORE_CHECK(results[0] == CEASE_OK && results[1] == CEASE_OK);
    close_last();
}

MODEL(net_lock_lock, .setup = make_fd, .threads = {hold_read, hold_read}, .check = both_held,
      .seeds = {{BUG_FD_QUEUE, false, "who queues does not look whether the lock is free by now"}},
      .mutants_found_min = 2);
MODEL(net_lock_lock_thread, .setup = make_fd, .threads = {hold_read, glue_nothing, hold_read},
      .check = close_last);

static void held_or_closed(void)
{
    for (int i = 0; i < 2; i++)
        EXPLORE_CHECK(results[i] == CEASE_OK || results[i] == CEASE_ECLOSED);
    close_last();
}

MODEL(net_lock_lock_close, .setup = make_fd, .threads = {hold_read, hold_read, close_and_keep},
      .check = held_or_closed);

static void first_held(void)
{
    EXPLORE_CHECK(results[0] == CEASE_OK);
    EXPLORE_CHECK(results[1] == CEASE_OK || results[1] == CEASE_ECANCELED);
    close_last();
}

MODEL(net_lock_cancel, .setup = make_fd, .threads = {hold_read, hold_read_under_root, glue_cancel},
      .check = first_held);

/* ---- waits -------------------------------------------------------------------------------------- */

static void wait_readable(cease_ctx *ctx)
{
    cease_error e = ceasei_fd_lock(cease_background(), fd, CEASEI_POLL_READ);
    if (e == CEASE_OK) {
        e = ceasei_fd_wait(ctx, fd, CEASEI_POLL_READ);
        if (e == CEASE_ECANCELED) /* the event is not lost */
            EXPLORE_CHECK(ceasei_fd_wait(cease_background(), fd, CEASEI_POLL_READ) == CEASE_OK);
        (void)explore_fd_readable(fd->number);
        ceasei_fd_unlock(fd, CEASEI_POLL_READ);
    }
    results[explore_current()] = e;
    ceasei_fd_unshare(fd);
}

static void wait_readable_for_ever(void)
{
    wait_readable(cease_background());
}

static void wait_readable_under_root(void)
{
    wait_readable(glue_root);
}

static void was_closed(void)
{
    EXPLORE_CHECK(results[0] == CEASE_ECLOSED);
    close_last();
}

MODEL(net_wait_close, .setup = make_registered, .threads = {wait_readable_for_ever, close_and_drop},
      .check = was_closed,
      .seeds = {{BUG_POLL_CLOSE, false, "who waits does not look whether it is closed by now"}},
      .mutants_found_min = 2);
MODEL(net_wait_register_close, .setup = make_fd,
      .threads = {wait_readable_for_ever, close_and_drop}, .check = was_closed,
      .mutants_found_min = 1);

static void bytes_come(void)
{
    deliver(EPOLLIN);
}

static void was_read(void)
{
    EXPLORE_CHECK(results[0] == CEASE_OK || results[0] == CEASE_ECANCELED);
    close_last_of_two();
}

MODEL(net_wait_event, .setup = make_registered, .threads = {wait_readable_for_ever, bytes_come},
      .check = was_read, .mutants_found_min = 1);
MODEL(net_wait_event_cancel, .setup = make_registered,
      .threads = {wait_readable_under_root, glue_cancel, bytes_come}, .check = was_read);

static void register_fd(void)
{
    struct ceasei_poll_entry *entry;
    if (ceasei_fd_ref(fd)) {
        EXPLORE_CHECK(ceasei_fd_entry(fd, &entry) == CEASE_OK);
        ceasei_fd_unref(fd);
    }
    ceasei_fd_unshare(fd);
}

MODEL(net_register_register_close, .setup = make_fd,
      .threads = {register_fd, register_fd, close_and_keep}, .check = close_last);

/* ---- hangups ------------------------------------------------------------------------------------ */

static int *told; /* freed by who took his function back */

static void on_hangup(void *arg, unsigned what)
{
    (void)what;
    ++*(int *)arg;
}

static struct ceasei_poll_entry *guarded;

static void make_guarded(void)
{
    make_registered();
    told = calloc(1, sizeof *told);
    EXPLORE_CHECK(ceasei_fd_entry(fd, &guarded) == CEASE_OK);
    ceasei_poller_on_hangup(guarded, on_hangup, told);
}

static void unguard(void)
{
    ceasei_poller_on_hangup(guarded, NULL, NULL);
    free(told);
}

static void peer_goes(void)
{
    deliver(EPOLLIN | EPOLLRDHUP);
}

static void close_last_of_three(void)
{
    ceasei_fd_unshare(fd);
    close_last_of_two();
}

MODEL(net_unguard_hangup, .setup = make_guarded, .threads = {unguard, peer_goes},
      .check = close_last_of_three,
      .seeds = {{BUG_UNGUARD, false, "taking a hangup's function back does not wait for it"}},
      .mutants_found_min = 1);

static void close_guarded(void)
{
    ceasei_fd_close(fd);
    free(told);
}

MODEL(net_close_hangup, .setup = make_guarded, .threads = {close_guarded, peer_goes},
      .check = close_last_of_three, .mutants_found_min = 1);

/* The entry is used again while the event of its last life is on its way. */
static void close_and_use_again(void)
{
    for (int i = 0; i < 3; i++)
        ceasei_fd_unshare(fd);
    fd = malloc(sizeof *fd);
    ceasei_fd_init(fd, eventfd(0, 0), release);
    EXPLORE_CHECK(ceasei_fd_entry(fd, &guarded) == CEASE_OK);
    ceasei_poller_on_hangup(guarded, on_hangup, told);
}

static uint64_t last_life;

static void make_last_life(void)
{
    make_registered();
    told = calloc(1, sizeof *told);
    last_life = registered;
}

static void event_of_last_life(void)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.u64 = last_life};
    ceasei_worker_self = worker;
    ceasei_poller_dispatch(worker, &event, 1);
    ceasei_worker_self = NULL;
}

static void not_told(void)
{
    EXPLORE_CHECK(*told == 0);
    EXPLORE_CHECK(ceasei_poller_hangup(guarded) == 0);
    free(told);
    close_last();
}

MODEL(net_reuse_stale_event, .setup = make_last_life,
      .threads = {close_and_use_again, event_of_last_life}, .check = not_told,
      .seeds = {{BUG_STALE, false, "a hangup is told without a second look at whose it is"}},
      .mutants_found_min = 1);
