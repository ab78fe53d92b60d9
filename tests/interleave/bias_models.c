/* SPDX-License-Identifier: MIT
 *
 * bias_models.c: locks that are a worker's own until somebody else comes (runtime/bias.h), under every
 * interleaving: bare, and below channels, select and groups. Threads 0 and 1 are tasks of a worker each,
 * thread 2 is a plain thread. A lock becomes its worker's at the third touch here.
 */
#include "runtime/bias.h"
#include "runtime_glue.h"
#include "worker_glue.h"

#include <cease/chan.h>
#include <cease/group.h>
#include <cease/select.h>

/* ---- the lock --------------------------------------------------------------------------------- */

static struct ceasei_bias lock, other;
static int counter; /* plain: a race when two are inside */

static void touch(void)
{
    uintptr_t *hold = ceasei_bias_lock(&lock);
    counter++;
    ceasei_bias_unlock(&lock, hold);
}

static void touch_twice(void)
{
    touch();
    touch();
}

/* It is worker 0's when the threads start. */
static void make_mine(void)
{
    worker_glue_two();
    worker_glue_as(0);
    ceasei_bias_born(&lock);
    ceasei_bias_born(&other);
    EXPLORE_CHECK(ceasei_load(&lock.owner, RELAXED) == 1);
    worker_glue_as(-1);
}

static void check_2(void)
{
    EXPLORE_CHECK(counter == 2);
    worker_glue_end();
}

static void check_3(void)
{
    EXPLORE_CHECK(counter == 3);
    worker_glue_end();
}

static void check_4(void)
{
    EXPLORE_CHECK(counter == 4);
    worker_glue_end();
}

MODEL(bias_owner_other, .setup = make_mine, .threads = {touch, touch}, .check = check_2,
      .mutants_found_min = 1,
      .seeds = {{BUG_BIAS_FENCE, true, "who comes does not make the worker pass a fence"},
                {BUG_BIAS_WAIT, false, "who comes does not wait until the worker has left"}});
MODEL(bias_owner_other_twice, .setup = make_mine, .threads = {touch_twice, touch_twice},
      .check = check_4);
MODEL(bias_owner_other_thread, .setup = make_mine, .threads = {touch, touch, touch},
      .check = check_3);

/* It becomes somebody's while others come. */
static void make_nobodys(void)
{
    worker_glue_two();
}

static void touch_thrice(void)
{
    touch_twice();
    touch();
}

/* Else the models in which it does become somebody's would show nothing. */
static void check_is_mine(void)
{
    EXPLORE_CHECK(counter == 3 && ceasei_load(&lock.owner, RELAXED) == 1);
    worker_glue_end();
}

MODEL(bias_becomes_alone, .setup = make_nobodys, .threads = {touch_thrice}, .check = check_is_mine);
MODEL(bias_becomes, .setup = make_nobodys, .threads = {touch_thrice, touch}, .check = check_4);
MODEL(bias_becomes_either, .setup = make_nobodys, .threads = {touch_twice, touch_twice},
      .check = check_4);

/* Inside two at once, while another makes them everybody's one by one, in the other order. */
static void touch_both_inside(void)
{
    uintptr_t *entered = ceasei_bias_enter(ceasei_worker_self, CEASEI_ENTERED_MANY);
    bool mine = ceasei_bias_is_mine(&lock, ceasei_worker_self) &&
                ceasei_bias_is_mine(&other, ceasei_worker_self);
    if (mine)
        counter++;
    ceasei_bias_leave(entered);
    if (!mine)
        touch();
}

static void touch_other_first(void)
{
    ceasei_bias_lock_shared(&other);
    ceasei_bias_lock_shared(&lock);
    counter++;
    ceasei_unlock(&lock.lock);
    ceasei_unlock(&other.lock);
}

MODEL(bias_both_inside, .setup = make_mine, .threads = {touch_both_inside, touch_other_first},
      .check = check_2);

/* ---- channels --------------------------------------------------------------------------------- */

static cease_chan *a, *b;
static int got;
static size_t fired;
static cease_error sent, selected;

static cease_chan *chan_of_worker_0(void)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 1);
    int value = 0;
    for (int i = 0; i < 2; i++) {
        (void)cease_chan_try_send(ch, &value);
        (void)cease_chan_try_recv(ch, &value);
    }
    return ch;
}

static void make_chans(void)
{
    worker_glue_two();
    worker_glue_as(0);
    a = chan_of_worker_0();
    b = chan_of_worker_0();
    worker_glue_as(-1);
}

static void drop_chans(void)
{
    cease_chan_unref(a);
    cease_chan_unref(b);
    worker_glue_end();
}

static void receive(void)
{
    EXPLORE_CHECK(cease_chan_recv(glue_root, a, &got) == CEASE_OK);
}

static void send(void)
{
    EXPLORE_CHECK(cease_chan_send(glue_root, a, &(int){42}) == CEASE_OK);
}

static void check_moved(void)
{
    EXPLORE_CHECK(got == 42);
    drop_chans();
}

MODEL(bias_chan_recv_send, .setup = make_chans, .threads = {receive, send}, .check = check_moved);
MODEL(bias_chan_send_recv, .setup = make_chans, .threads = {send, receive}, .check = check_moved);
MODEL(bias_chan_recv_send_thread, .setup = make_chans, .threads = {receive, glue_nothing, send},
      .check = check_moved);

/* A select that has found them to be its worker's queues without looking again: nobody may have come
 * in between. */
static void receive_either(void)
{
    cease_case cases[2] = {CEASE_RECV(a, &got), CEASE_RECV(b, &got)};
    selected = cease_select(glue_root, cases, 2, &fired);
}

static void try_send_b(void)
{
    sent = cease_chan_try_send(b, &(int){42});
}

static void check_selected(void)
{
    EXPLORE_CHECK(sent == CEASE_OK && selected == CEASE_OK && fired == 1 && got == 42);
    drop_chans();
}

MODEL(bias_select_send, .setup = make_chans, .threads = {receive_either, try_send_b},
      .check = check_selected);
MODEL(bias_select_send_thread, .setup = make_chans,
      .threads = {receive_either, glue_nothing, try_send_b}, .check = check_selected);

static void check_select_cancelled(void)
{
    int left = 0;
    EXPLORE_CHECK(sent == CEASE_OK);
    EXPLORE_CHECK((cease_chan_try_recv(b, &left) == CEASE_OK) == (selected != CEASE_OK));
    EXPLORE_CHECK(left + got == 42);
    drop_chans();
}

MODEL(bias_select_send_cancel, .setup = make_chans,
      .threads = {receive_either, try_send_b, glue_cancel}, .check = check_select_cancelled);

/* ---- groups ----------------------------------------------------------------------------------- */

static cease_group *group;
static uint32_t ran;

static cease_error count_run(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    ceasei_add(&ran, 1, RELAXED);
    return CEASE_OK;
}

/* Worker 0 makes it, and its task ends elsewhere. */
static void go_wait_free(void)
{
    group = cease_group_new(cease_background(), NULL);
    EXPLORE_CHECK(cease_group_go(group, count_run, NULL) == CEASE_OK);
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK);
    EXPLORE_CHECK(ceasei_load(&ran, RELAXED) == 1);
    cease_group_free(group);
}

static void run_task(void)
{
    glue_run_task(0);
}

MODEL(bias_group_ends_elsewhere, .setup = worker_glue_two, .threads = {go_wait_free, run_task},
      .check = worker_glue_end);

/* It is stopped from a third side while its task ends. */
static cease_error until_the_end(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}

static void make_group(void)
{
    worker_glue_two();
    worker_glue_as(0);
    group = cease_group_new(cease_background(), NULL);
    (void)cease_group_go(group, until_the_end, NULL);
    worker_glue_as(-1);
}

static void wait_for_all(void)
{
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK);
}

static void stop_all(void)
{
    EXPLORE_CHECK(cease_group_stop(group) == CEASE_OK);
}

static void free_group(void)
{
    cease_group_free(group);
    worker_glue_end();
}

MODEL(bias_group_stop, .setup = make_group, .threads = {wait_for_all, run_task, stop_all},
      .check = free_group);
