/* SPDX-License-Identifier: MIT
 *
 * select_models.c: select among channels, and the sleep of a task, under every interleaving. Both hang
 * on one claim word that several may want (runtime/wait.h): exactly one of them gets it.
 */
#include "runtime/heap.h"
#include "runtime/worker.h"
#include "runtime_glue.h"

#include <cease/chan.h>
#include <cease/select.h>
#include <stdlib.h>

/* ---- select ----------------------------------------------------------------------------------- */

static cease_chan *a, *b;
static int got_a, got_b;
static cease_error selected, tried_a, tried_b;
static size_t fired;

static void make_two(size_t capacity)
{
    glue_start();
    a = cease_chan_new(sizeof(int), capacity);
    b = cease_chan_new(sizeof(int), capacity);
}

static void make_unbuffered(void)
{
    make_two(0);
}

static void make_of_1(void)
{
    make_two(1);
}

static void drop_two(void)
{
    cease_chan_unref(a);
    cease_chan_unref(b);
    glue_end();
}

static void receive_either(void)
{
    cease_case cases[2] = {CEASE_RECV(a, &got_a), CEASE_RECV(b, &got_b)};
    selected = cease_select(glue_root, cases, 2, &fired);
    EXPLORE_CHECK(selected != CEASE_OK || cases[fired].result == CEASE_OK);
}

static void try_a(void)
{
    tried_a = cease_chan_try_send(a, &(int){1});
}

static void try_b(void)
{
    tried_b = cease_chan_try_send(b, &(int){2});
}

/* One value has come through, the other one is where it was put. */
static void check_one_came(void)
{
    int left = 0;
    EXPLORE_CHECK(tried_a == CEASE_OK && tried_b == CEASE_OK && selected == CEASE_OK);
    EXPLORE_CHECK(got_a == (fired == 0 ? 1 : 0) && got_b == (fired == 1 ? 2 : 0));
    EXPLORE_CHECK(cease_chan_try_recv(fired == 0 ? b : a, &left) == CEASE_OK);
    EXPLORE_CHECK(left == (fired == 0 ? 2 : 1));
    EXPLORE_CHECK(cease_chan_try_recv(fired == 0 ? a : b, &left) == CEASE_EAGAIN);
    drop_two();
}

MODEL(select_two_senders, .setup = make_of_1, .threads = {receive_either, try_a, try_b},
      .check = check_one_came, .mutants_found_min = 1,
      .seeds = {{BUG_COMMIT, false, "who serves a waiter does not have to win its claim"},
                {BUG_SELECT, false, "the channels are not looked at again once they are locked"}});

/* A default is taken only when no case was ready at one moment. Here one always is: b at first, then a. */
static void make_b_ready(void)
{
    make_of_1();
    EXPLORE_CHECK(cease_chan_try_send(b, &(int){2}) == CEASE_OK);
}

static void receive_either_or_not(void)
{
    cease_case cases[3] = {CEASE_RECV(a, &got_a), CEASE_RECV(b, &got_b), CEASE_DEFAULT};
    EXPLORE_CHECK(cease_select(glue_root, cases, 3, &fired) == CEASE_OK);
    EXPLORE_CHECK(fired != 2);
}

static void a_becomes_ready_then_b_not(void)
{
    EXPLORE_CHECK(cease_chan_try_send(a, &(int){1}) == CEASE_OK);
    (void)cease_chan_try_recv(b, &(int){0});
}

MODEL(select_default_while_one_is_ready, .setup = make_b_ready,
      .threads = {receive_either_or_not, a_becomes_ready_then_b_not}, .check = drop_two,
      .seeds = {{BUG_SELECT, false, "the channels are not looked at again once they are locked"}});

/* Who has given his value away knows it, also when the context ends at the same time. */
static void check_select_agreed(void)
{
    EXPLORE_CHECK((tried_a == CEASE_OK) == (selected == CEASE_OK));
    EXPLORE_CHECK(got_a == (selected == CEASE_OK ? 1 : 0));
    drop_two();
}

MODEL(select_send_cancel, .setup = make_unbuffered, .threads = {receive_either, try_a, glue_cancel},
      .check = check_select_agreed);

/* Two selects that can only serve each other, and hold the same locks in another order. */
static void first_of_two(void)
{
    cease_case cases[2] = {CEASE_SEND(a, &(int){1}), CEASE_RECV(b, &got_b)};
    EXPLORE_CHECK(cease_select(glue_root, cases, 2, &fired) == CEASE_OK);
}

static void second_of_two(void)
{
    size_t mine;
    cease_case cases[2] = {CEASE_SEND(b, &(int){2}), CEASE_RECV(a, &got_a)};
    EXPLORE_CHECK(cease_select(glue_root, cases, 2, &mine) == CEASE_OK);
}

static void check_met(void)
{
    EXPLORE_CHECK((got_a == 1) != (got_b == 2) && fired == (got_a == 1 ? 0 : 1));
    drop_two();
}

MODEL(select_meets_select, .setup = make_unbuffered, .threads = {first_of_two, second_of_two},
      .check = check_met);

static void receive_closed(void)
{
    cease_case cases[2] = {CEASE_RECV(a, &got_a), CEASE_RECV(b, &got_b)};
    EXPLORE_CHECK(cease_select(glue_root, cases, 2, &fired) == CEASE_OK);
    EXPLORE_CHECK(cases[fired].result == (fired == 0 ? CEASE_ECLOSED : CEASE_OK));
}

static void close_a(void)
{
    cease_chan_close(a);
}

static void check_closed(void)
{
    EXPLORE_CHECK(fired == 0 || (tried_b == CEASE_OK && got_b == 2));
    drop_two();
}

MODEL(select_close_send, .setup = make_unbuffered, .threads = {receive_closed, close_a, try_b},
      .check = check_closed);

/* ---- sleep ------------------------------------------------------------------------------------ */

static struct ceasei_worker *sleepers_worker;
static cease_error slept;

/* The time of everybody has come. */
static void fire(struct ceasei_task *parked)
{
    (void)parked;
    ceasei_timer_fire(sleepers_worker, (cease_time){INT64_MAX - 1});
}

static void make_worker(void)
{
    glue_start();
    glue_between_tasks = fire;
    sleepers_worker = calloc(1, sizeof *sleepers_worker);
}

static void sleep_a_minute(void)
{
    ceasei_task_self()->worker = sleepers_worker;
    slept = cease_sleep(glue_root, cease_min(1));
    EXPLORE_CHECK(!sleepers_worker->sleepers.root);
}

static void check_slept(void)
{
    EXPLORE_CHECK(slept == CEASE_OK || slept == CEASE_ECANCELED);
    free(sleepers_worker);
    glue_end();
}

MODEL(sleep_fires_cancel, .setup = make_worker, .threads = {sleep_a_minute, glue_cancel},
      .check = check_slept, .mutants_found_min = 1,
      .seeds = {{BUG_TIMER, false, "a timer wakes a sleeper that its context has woken"}});
