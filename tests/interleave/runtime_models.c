/* SPDX-License-Identifier: MIT
 *
 * runtime_models.c: the runtime's park and wake, and channels on top of them, under every
 * interleaving. The scheduler is runtime_glue.c: threads 0 and 1 of a model are tasks, thread 2 is a
 * plain thread, so every model meets both kinds of waiter.
 *
 * Checked: no wake is lost; a value is handed over exactly once or not at all, and both sides agree;
 * a close reaches everybody; nobody touches a waiter's stack or a channel after letting go of it.
 */
#include "runtime_glue.h"

#include <cease/chan.h>
#include <cease/hooks.h>
#include <stdlib.h>

/* ---- park and wake ---------------------------------------------------------------------------- */

static cease_parker *parker;
static int given;

static void make_parker(void)
{
    glue_start();
    parker = malloc(sizeof *parker);
    cease_parker_init(parker);
}

static void park_and_free(void)
{
    cease_park(parker);
    EXPLORE_CHECK(given == 1); /* plain: ordered by the wake alone */
    free(parker);
}

static void wake(void)
{
    given = 1;
    cease_wake(parker);
}

MODEL(rt_park_wake, .setup = make_parker, .threads = {park_and_free, wake}, .check = glue_end,
      .mutants_found_min = 2,
      .seeds = {{BUG_PARK, false, "a park does not look whether the wake was first"}});
MODEL(rt_park_wake_thread, .setup = make_parker, .threads = {glue_nothing, wake, park_and_free},
      .check = glue_end, .mutants_found_min = 1);

/* ---- waiting for a context -------------------------------------------------------------------- */

static void wait_root(void)
{
    EXPLORE_CHECK(cease_wait(glue_root) == CEASE_ECANCELED);
}

MODEL(rt_wait_cancel, .setup = glue_start, .threads = {wait_root, glue_cancel}, .check = glue_end,
      .mutants_found_min = 1);
MODEL(rt_wait_cancel_thread, .setup = glue_start, .threads = {wait_root, glue_cancel, wait_root},
      .check = glue_end);

/* ---- channels --------------------------------------------------------------------------------- */

static cease_chan *chan;
static cease_error sent, received;
static int got;

static void make_chan(void)
{
    glue_start();
    chan = cease_chan_new(sizeof(int), 0);
}

static void make_chan_of_1(void)
{
    glue_start();
    chan = cease_chan_new(sizeof(int), 1);
}

static void drop_chan(void)
{
    cease_chan_unref(chan);
    glue_end();
}

static void send(void)
{
    int value = 42;
    sent = cease_chan_send(glue_root, chan, &value);
    value = 0; /* the other side must have it by now */
}

static void receive(void)
{
    received = cease_chan_recv(glue_root, chan, &got);
}

static void try_send(void)
{
    sent = cease_chan_try_send(chan, &(int){42});
}

static void try_receive(void)
{
    received = cease_chan_try_recv(chan, &got);
}

static void close_chan(void)
{
    cease_chan_close(chan);
}

static void check_moved(void)
{
    EXPLORE_CHECK(sent == CEASE_OK && received == CEASE_OK && got == 42);
    drop_chan();
}

/* Both sides say the same. */
static void check_agreed(void)
{
    EXPLORE_CHECK((sent == CEASE_OK) == (received == CEASE_OK));
    EXPLORE_CHECK(got == (received == CEASE_OK ? 42 : 0));
    drop_chan();
}

/* In a buffer, what was sent may also stay. */
static void check_kept(void)
{
    int left = 0;
    if (received != CEASE_OK)
        EXPLORE_CHECK((sent == CEASE_OK) == (cease_chan_try_recv(chan, &left) == CEASE_OK));
    EXPLORE_CHECK(got + left == (sent == CEASE_OK ? 42 : 0));
    drop_chan();
}

MODEL(chan_send_recv, .setup = make_chan, .threads = {send, receive}, .check = check_moved,
      .mutants_found_min = 2,
      .seeds = {{BUG_CHAN, false, "the lock is given back between the look and the queue"}});
MODEL(chan_send_recv_thread, .setup = make_chan, .threads = {glue_nothing, receive, send},
      .check = check_moved, .mutants_found_min = 2);
MODEL(chan_send_recv_of_1, .setup = make_chan_of_1, .threads = {send, receive},
      .check = check_moved, .mutants_found_min = 2);
MODEL(chan_send_try_recv_cancel, .setup = make_chan, .threads = {send, try_receive, glue_cancel},
      .check = check_agreed, .mutants_found_min = 1,
      .seeds = {{BUG_COMMIT, false, "who serves a waiter does not have to win its claim"}});
MODEL(chan_recv_try_send_cancel, .setup = make_chan, .threads = {receive, try_send, glue_cancel},
      .check = check_agreed, .mutants_found_min = 1);
MODEL(chan_send_recv_cancel, .setup = make_chan, .threads = {send, receive, glue_cancel},
      .check = check_agreed);
MODEL(chan_send_recv_cancel_of_1, .setup = make_chan_of_1, .threads = {send, receive, glue_cancel},
      .check = check_kept);
MODEL(chan_send_recv_close, .setup = make_chan, .threads = {send, receive, close_chan},
      .check = check_agreed);

static void receive_closed(void)
{
    EXPLORE_CHECK(cease_chan_recv(glue_root, chan, &got) == CEASE_ECLOSED);
}

MODEL(chan_recv_recv_close, .setup = make_chan,
      .threads = {receive_closed, receive_closed, close_chan}, .check = drop_chan);

static void receive_or_closed(void)
{
    cease_error e = cease_chan_recv(glue_root, chan, &got);
    EXPLORE_CHECK(e == CEASE_ECLOSED || e == CEASE_ECANCELED);
}

MODEL(chan_recv_close_cancel, .setup = make_chan,
      .threads = {receive_or_closed, close_chan, glue_cancel}, .check = drop_chan);

/* The last reference goes with whoever comes last, also while the other is still in its call. */
static void make_shared_chan(void)
{
    make_chan();
    cease_chan_ref(chan);
}

static void send_and_drop(void)
{
    send();
    cease_chan_unref(chan);
}

static void receive_and_drop(void)
{
    receive();
    cease_chan_unref(chan);
}

static void check_moved_and_gone(void)
{
    EXPLORE_CHECK(sent == CEASE_OK && received == CEASE_OK && got == 42);
    glue_end();
}

MODEL(chan_send_recv_drop, .setup = make_shared_chan, .threads = {send_and_drop, receive_and_drop},
      .check = check_moved_and_gone, .mutants_found_min = 2);

/* Order, through a buffer that is smaller than what is sent. */
static void send_two(void)
{
    EXPLORE_CHECK(cease_chan_send(glue_root, chan, &(int){1}) == CEASE_OK);
    EXPLORE_CHECK(cease_chan_send(glue_root, chan, &(int){2}) == CEASE_OK);
}

static void receive_two(void)
{
    int first = 0, second = 0;
    EXPLORE_CHECK(cease_chan_recv(glue_root, chan, &first) == CEASE_OK);
    EXPLORE_CHECK(cease_chan_recv(glue_root, chan, &second) == CEASE_OK);
    EXPLORE_CHECK(first == 1 && second == 2);
}

MODEL(chan_two_of_1, .setup = make_chan_of_1, .threads = {send_two, receive_two},
      .check = drop_chan);
MODEL(chan_two, .setup = make_chan, .threads = {send_two, receive_two}, .check = drop_chan);
