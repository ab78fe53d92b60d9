/* SPDX-License-Identifier: MIT
 *
 * group_models.c: joining, stopping and limiting a group, under every interleaving. Its tasks are the
 * models' other threads. Checked: nobody waits for ever; a group that has been joined can be freed at
 * once; the first error and the limit are kept; a place is handed on exactly once.
 */
#include "runtime_glue.h"

#include <cease/group.h>

static cease_group *group;
static int running, most; /* under nothing: a limit of 1 orders its tasks */
static uint32_t ran;
static cease_error result;

static cease_error succeed(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    ceasei_add(&ran, 1, RELAXED);
    return CEASE_OK;
}

static cease_error fail(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_EIO;
}

static cease_error until_the_end(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}

static cease_error alone(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    running++;
    most = running > most ? running : most;
    running--;
    ceasei_add(&ran, 1, RELAXED);
    return CEASE_OK;
}

static void run_0(void)
{
    glue_run_task(0);
}

static void run_both(void)
{
    glue_run_task(0);
    glue_run_task(1);
}

/* ---- join ------------------------------------------------------------------------------------- */

static void go_wait_free(void)
{
    group = cease_group_new(cease_background(), NULL);
    EXPLORE_CHECK(cease_group_go(group, succeed, NULL) == CEASE_OK);
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK);
    EXPLORE_CHECK(ceasei_load(&ran, RELAXED) == 1);
    cease_group_free(group);
}

MODEL(group_go_wait_free, .setup = glue_start, .threads = {go_wait_free, run_0}, .check = glue_end,
      .mutants_found_min = 2,
      .seeds = {{BUG_GROUP, false, "a join does not wait until the last task has let go"}});

static void go_two_wait_free(void)
{
    group = cease_group_new(cease_background(), NULL);
    EXPLORE_CHECK(cease_group_go(group, succeed, NULL) == CEASE_OK);
    EXPLORE_CHECK(cease_group_go(group, succeed, NULL) == CEASE_OK);
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK);
    EXPLORE_CHECK(ceasei_load(&ran, RELAXED) == 2);
    cease_group_free(group);
}

MODEL(group_two_wait_free, .setup = glue_start, .threads = {go_two_wait_free, run_both},
      .check = glue_end);

static void go_fail_wait_free(void)
{
    group = cease_group_new(cease_background(), NULL);
    EXPLORE_CHECK(cease_group_go(group, fail, NULL) == CEASE_OK);
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_EIO);
    EXPLORE_CHECK(cease_cause_of(cease_group_ctx(group))->code == CEASE_EIO);
    cease_group_free(group);
}

MODEL(group_fail_wait_free, .setup = glue_start, .threads = {go_fail_wait_free, run_0},
      .check = glue_end);

static void make_group(void)
{
    glue_start();
    group = cease_group_new(cease_background(), NULL);
    (void)cease_group_go(group, succeed, NULL);
}

static void wait_for_all(void)
{
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK && ceasei_load(&ran, RELAXED) == 1);
}

static void free_group(void)
{
    cease_group_free(group);
    glue_end();
}

MODEL(group_joined_twice, .setup = make_group, .threads = {wait_for_all, run_0, wait_for_all},
      .check = free_group);

/* ---- stop ------------------------------------------------------------------------------------- */

static void go_stop_free(void)
{
    group = cease_group_new(cease_background(), NULL);
    EXPLORE_CHECK(cease_group_go(group, until_the_end, NULL) == CEASE_OK);
    EXPLORE_CHECK(cease_group_stop(group) == CEASE_OK);
    cease_group_free(group);
}

MODEL(group_stop_free, .setup = glue_start, .threads = {go_stop_free, run_0}, .check = glue_end);

static void make_waiting(void)
{
    glue_start();
    group = cease_group_new(cease_background(), NULL);
    (void)cease_group_go(group, until_the_end, NULL);
}

static void wait_for_it(void)
{
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK);
}

static void stop_it(void)
{
    EXPLORE_CHECK(cease_group_stop(group) == CEASE_OK);
}

MODEL(group_wait_stop, .setup = make_waiting, .threads = {wait_for_it, run_0, stop_it},
      .check = free_group);

/* An error and a stop at once: the error counts, whoever was first. */
static void make_failing(void)
{
    glue_start();
    group = cease_group_new(cease_background(), NULL);
    (void)cease_group_go(group, fail, NULL);
}

static void stop_failing(void)
{
    EXPLORE_CHECK(cease_group_stop(group) == CEASE_EIO);
}

MODEL(group_stop_fail, .setup = make_failing, .threads = {stop_failing, run_0},
      .check = free_group);

/* ---- limit ------------------------------------------------------------------------------------ */

static void make_limited(void)
{
    cease_group_opts opts = {.size = sizeof opts, .limit = 1};
    glue_start();
    group = cease_group_new(cease_background(), &opts);
    (void)cease_group_go(group, alone, NULL);
}

static void go_second(void)
{
    result = cease_group_go_wait(glue_root, group, alone, NULL);
    if (result == CEASE_OK)
        glue_run_task(1);
}

static void check_limit(void)
{
    EXPLORE_CHECK(result == CEASE_OK || result == CEASE_ECANCELED);
    EXPLORE_CHECK(most == 1 && ceasei_load(&ran, RELAXED) == (result == CEASE_OK ? 2 : 1));
    EXPLORE_CHECK(cease_group_wait(group) == CEASE_OK);
    free_group();
}

MODEL(group_limit, .setup = make_limited, .threads = {go_second, run_0}, .check = check_limit,
      .mutants_found_min = 1);
MODEL(group_limit_cancel, .setup = make_limited, .threads = {go_second, run_0, glue_cancel},
      .check = check_limit);
