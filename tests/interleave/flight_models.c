/* SPDX-License-Identifier: MIT
 *
 * flight_models.c: calls that several share (src/runtime/flight.c) under every interleaving. Threads 0 and
 * 2 ask for the same key, or one of them does; thread 1 is the worker that runs the calls.
 *
 * Checked: who was not cut short gets the call's value, never another's cancel; a call that nobody wants is
 * ended, and joined; each value is dropped once, and not while somebody reads it; when the last caller is
 * back, all of it can be freed at once.
 */
#include "runtime_glue.h"

#include <cease/flight.h>
#include <stdlib.h>

static cease_flights *all;
static int calls, dropped; /* atomic */
static uint32_t asking;    /* atomic: callers who are not back */

static void drop(void *value)
{
    ceasei_add(&dropped, 1, RELAXED);
    free(value);
}

static cease_error give(void **ret_value)
{
    int *value = malloc(sizeof *value);
    *value = 1 + ceasei_add(&calls, 1, RELAXED); /* plain: read by all who share it */
    *ret_value = value;
    return CEASE_OK;
}

static cease_error fetch(cease_ctx *ctx, const char *key, void *self, void **ret_value)
{
    (void)ctx, (void)key, (void)self;
    return give(ret_value);
}

/* Goes on as long as somebody wants it. */
static cease_error fetch_if_wanted(cease_ctx *ctx, const char *key, void *self, void **ret_value)
{
    (void)key, (void)self;
    return cease_done(ctx) ? cease_err(ctx) : give(ret_value);
}

/* Cuts all callers short, and waits until nobody wants it. */
static cease_error wait_to_be_left(cease_ctx *ctx, const char *key, void *self, void **ret_value)
{
    (void)key, (void)self, (void)ret_value;
    glue_cancel();
    return cease_wait(ctx);
}

/* Has its value when nobody wants it any more. */
static cease_error give_when_left(cease_ctx *ctx, const char *key, void *self, void **ret_value)
{
    (void)key, (void)self;
    (void)cease_wait(ctx);
    return give(ret_value);
}

static void start(cease_flight_fn *fn, uint32_t callers)
{
    glue_start();
    all = cease_flights_new(fn, drop, NULL);
    asking = callers;
}

static cease_error ask(cease_ctx *ctx)
{
    cease_flight *flight = NULL;
    cease_error e = cease_flight_do(ctx, all, "key", &flight);
    if (e == CEASE_OK) {
        EXPLORE_CHECK(*(int *)cease_flight_value(flight) >= 1);
        EXPLORE_CHECK(cease_flight_shared(flight) >= 1);
    }
    cease_flight_unref(flight);
    if (ceasei_sub(&asking, 1, ACQ_REL) == 1) { /* the other's use comes before the free */
        cease_flights_free(all);
        glue_no_more_tasks();
    }
    return e;
}

static void run_calls(void)
{
    for (unsigned n = 0; glue_run_task(n); n++)
        ;
}

static void ask_always(void)
{
    EXPLORE_CHECK(ask(cease_background()) == CEASE_OK);
}

/* Cuts the other one short, and comes into its call, or just too late for it. */
static void cancel_and_ask_always(void)
{
    glue_cancel();
    ask_always();
}

static void ask_or_leave(void)
{
    cease_error e = ask(glue_root);
    EXPLORE_CHECK(e == CEASE_OK || e == CEASE_ECANCELED);
}

static void ask_and_leave(void)
{
    EXPLORE_CHECK(ask(glue_root) == CEASE_ECANCELED);
}

static void check_dropped(void)
{
    EXPLORE_CHECK(dropped == calls);
    glue_end();
}

static void one_fetches(void)
{
    start(fetch, 1);
}

static void two_fetch(void)
{
    start(fetch, 2);
}

static void two_fetch_one_leaves(void)
{
    start(fetch_if_wanted, 2);
}

static void two_leave(void)
{
    start(wait_to_be_left, 2);
}

static void one_leaves(void)
{
    start(give_when_left, 1);
}

MODEL(flight_one, .setup = one_fetches, .threads = {ask_always, run_calls}, .check = check_dropped,
      .mutants_found_min = 2);
MODEL(flight_two, .setup = two_fetch, .threads = {ask_always, run_calls, ask_always},
      .check = check_dropped);
MODEL(flight_cancel, .setup = one_fetches, .threads = {ask_or_leave, run_calls, glue_cancel},
      .check = check_dropped);
MODEL(flight_cancel_with_a_value, .setup = one_leaves,
      .threads = {ask_and_leave, run_calls, glue_cancel}, .check = check_dropped);
MODEL(flight_one_leaves, .setup = two_fetch_one_leaves,
      .threads = {ask_or_leave, run_calls, cancel_and_ask_always}, .check = check_dropped,
      .seeds = {
          {BUG_FLIGHT, false, "who boards is counted after the table's lock was given back"}});
MODEL(flight_all_leave, .setup = two_leave, .threads = {ask_and_leave, run_calls, ask_and_leave},
      .check = check_dropped);
