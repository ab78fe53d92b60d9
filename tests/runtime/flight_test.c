/* SPDX-License-Identifier: MIT
 *
 * Out to break shared calls: two calls for one key at a time, a leader whose cancel takes the others along, a call
 * that goes on when nobody wants it any more, a result that is freed too early, twice or never.
 */
#include "harness.h"

#include "base/atomic.h"

#include <cease/cease.h>
#include <cease/faults.h>
#include <cease/test.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int calls, running, dropped; /* atomic */
static cease_key who = CEASE_KEY("who");

static void drop(void *value)
{
    ceasei_add(&dropped, 1, RELAXED);
    free(value);
}

/* Takes a second; gives the key in capitals, with who asked first. */
static cease_error shout(cease_ctx *ctx, const char *key, void *self, void **ret_value)
{
    CHECK_EQ(ceasei_add(&running, 1, RELAXED), 0);
    ceasei_add(&calls, 1, RELAXED);
    cease_error e = cease_sleep(ctx, cease_sec(1));
    ceasei_sub(&running, 1, RELAXED);
    if (e == CEASE_OK && strcmp(key, "bad") == 0) {
        e = CEASE_EIO;
    }
    if (e == CEASE_OK) {
        char *text = malloc(32);
        CHECK(text != NULL);
        const char *first = cease_value(ctx, &who);
        snprintf(text, 32, "%s%s%s", key, (const char *)self, first ? first : "");
        *ret_value = text;
    }
    return e;
}

static cease_flights *all;

struct asks {
    const char *key, *expected;
    size_t shared;
    cease_error result;
};

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct asks *a = arg;
    cease_flight *f = NULL;
    a->result = cease_flight_do(ctx, all, a->key, &f);
    if (a->result == CEASE_OK) {
        CHECK_STR(cease_flight_value(f), a->expected);
        CHECK_EQ(cease_flight_shared(f), a->shared);
    }
    CHECK_PTR(cease_flight_unref(f), NULL);
    return CEASE_OK;
}

static cease_error several_at_once(cease_ctx *ctx, void *arg)
{
    (void)arg;
    all = cease_flights_new(shout, drop, (void *)(uintptr_t) "!");
    struct asks a = {"one", "one!", 3, 0};
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_group_go(g, ask, &a));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(calls, 1);
    CHECK_EQ(dropped, 1);
    a.shared = 1;
    CHECK_OK(ask(ctx, &a)); /* nothing is kept */
    CHECK_EQ(calls, 2);
    struct asks bad = {"bad", "", 1, 0};
    CHECK_OK(ask(ctx, &bad));
    CHECK_ERR(bad.result, CEASE_EIO);
    CHECK_EQ(dropped, 2);
    cease_flights_free(all);
    return CEASE_OK;
}

TEST(flight_asked_for_by_several_is_called_once)
{
    CHECK_OK(cease_test_run(NULL, several_at_once, NULL));
}

static cease_error leader_leaves(cease_ctx *ctx, void *arg)
{
    (void)arg;
    all = cease_flights_new(shout, drop, (void *)(uintptr_t) ", ");
    cease_ctx *alice = cease_with_value(ctx, &who, (void *)(uintptr_t) "alice");
    cease_canceler *stop;
    cease_ctx *half = cease_with_timeout(alice, cease_ms(500), &stop);
    cease_group *leader = cease_group_new(half, NULL), *others = cease_group_new(ctx, NULL);
    struct asks first = {"x", "", 0, 0}, second = {"x", "x, alice", 2, 0}, third = second;
    CHECK_OK(cease_group_go(leader, ask, &first));
    cease_test_settle();
    CHECK_OK(cease_group_go(others, ask, &second));
    CHECK_OK(cease_group_go(others, ask, &third));
    CHECK_OK(cease_group_wait(leader));
    CHECK_ERR(first.result, CEASE_EDEADLINE);
    CHECK_EQ(running, 1); /* it goes on for the others */
    CHECK_OK(cease_group_wait(others));
    CHECK_OK(second.result);
    CHECK_OK(third.result);
    CHECK_EQ(calls, 1);
    CHECK_EQ(dropped, 1);
    cease_group_free(leader);
    cease_group_free(others);
    cease_end(stop);
    cease_unref(alice);
    cease_flights_free(all);
    return CEASE_OK;
}

TEST(flight_whose_leader_leaves_goes_on_for_the_others)
{
    CHECK_OK(cease_test_run(NULL, leader_leaves, NULL));
}

static cease_error all_leave(cease_ctx *ctx, void *arg)
{
    (void)arg;
    all = cease_flights_new(shout, drop, (void *)(uintptr_t) "");
    cease_group *g = cease_group_new(ctx, NULL);
    struct asks a[3] = {{.key = "x"}, {.key = "x"}, {.key = "x"}};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_group_go(g, ask, &a[i]));
    }
    cease_test_settle();
    CHECK_EQ(running, 1);
    CHECK_OK(cease_group_stop(g));
    CHECK_EQ(running, 0); /* the last who left has joined it */
    CHECK_EQ(calls, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(a[i].result, CEASE_ECANCELED);
    }
    CHECK_EQ(dropped, 0);
    cease_group_free(g);
    cease_flights_free(all);
    return CEASE_OK;
}

TEST(flight_that_nobody_wants_any_more_is_cancelled_and_joined)
{
    CHECK_OK(cease_test_run(NULL, all_leave, NULL));
}

static cease_error two_keys(cease_ctx *ctx, void *arg)
{
    (void)arg;
    all = cease_flights_new(shout, drop, (void *)(uintptr_t) "");
    cease_group *g = cease_group_new(ctx, NULL);
    struct asks x = {"x", "x", 2, 0}, y = x;
    CHECK_OK(cease_group_go(g, ask, &x));
    CHECK_OK(cease_group_go(g, ask, &y));
    cease_error e = cease_group_wait(g);
    cease_group_free(g);
    cease_flights_free(all);
    return e ? e : x.result ? x.result : y.result;
}

TEST(flight_cancelled_at_every_wait_leaves_nothing_behind)
{
    CHECK_OK(cease_test_each_cancel(NULL, two_keys, NULL));
}

TEST(flight_without_memory_or_on_a_done_context_says_so)
{
    cease_flight *f = NULL;
    cease_ctx *ctx = cease_background();
    CHECK_ERR(cease_flight_do(ctx, NULL, "x", &f), CEASE_ENOMEM);
    CHECK_PTR(cease_flight_value(NULL), NULL);
    CHECK_EQ(cease_flight_shared(NULL), 0);
    CHECK_PTR(cease_flight_unref(NULL), NULL);
    cease_flights_free(NULL);
    cease_canceler *stop;
    ctx = cease_with_cancel(ctx, &stop);
    cease_cancel(stop);
    all = cease_flights_new(shout, drop, NULL);
    CHECK_ERR((cease_flight_do)(ctx, all, "x", &f), CEASE_ECANCELED);
    CHECK_EQ(calls, 0);
    cease_flights_free(all);
    cease_end(stop);
}

TEST_ABORTS(flights_without_a_function_abort, "the function is NULL")
{
    (void)cease_flights_new(NULL, NULL, NULL);
}

static cease_error free_early(cease_ctx *ctx, void *arg)
{
    (void)arg;
    all = cease_flights_new(shout, drop, (void *)(uintptr_t) "");
    static struct asks a = {"x", "x", 1, 0};
    CHECK_OK(cease_go(ctx, ask, &a));
    cease_test_settle();
    cease_flights_free(all);
    return CEASE_OK;
}

TEST_ABORTS(flights_freed_while_one_flies_abort, "somebody still waits for one of its calls")
{
    CHECK_OK(cease_test_run(NULL, free_early, NULL));
}

/* ---- a storm: tasks and threads, few keys, many who leave ------------------------------------------- */

static int storm_running[4]; /* atomic: calls by key that somebody could want */

static cease_error storm_call(cease_ctx *ctx, const char *key, void *self, void **ret_value)
{
    (void)self;
    int *counter = &storm_running[key[0] - '0'];
    ceasei_add(counter, 1, RELAXED);
    for (int i = 0; i < 3; i++) {
        cease_yield();
    }
    char *text = malloc(8);
    ceasei_sub(counter, 1, RELAXED);
    if (!text) {
        return CEASE_ENOMEM;
    }
    memcpy(text, key, 2);
    if (cease_done(ctx)) {
        free(text);
        return cease_err(ctx);
    }
    *ret_value = text;
    ceasei_add(&calls, 1, RELAXED);
    return CEASE_OK;
}

static cease_error end_later(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_yield();
    cease_end(arg);
    return CEASE_OK;
}

static uint64_t served; /* atomic */

static void *storm_thread(void *arg)
{
    uint32_t seed = *(uint32_t *)arg;
    int rounds = harness_is_slow() ? 100 : 2000;
    for (int i = 0; i < rounds; i++) {
        seed = seed * 1664525u + 1013904223u;
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        cease_ref(ctx);
        if (seed >> 8 & 1) {
            CHECK_OK(cease_go(cease_background(), end_later, stop));
            stop = NULL;
        }
        const char key[] = {(char)('0' + (seed >> 9) % 4), '\0'};
        cease_flight *f;
        cease_error e = cease_flight_do(ctx, all, key, &f);
        if (e == CEASE_OK) {
            CHECK_STR(cease_flight_value(f), key);
            cease_flight_unref(f);
            ceasei_add(&served, 1, RELAXED);
        } else {
            CHECK_ERR(e, CEASE_ECANCELED);
        }
        cease_end(stop);
        cease_unref(ctx);
    }
    return NULL;
}

static cease_error storm_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)storm_thread(arg);
    return CEASE_OK;
}

TEST(flight_storm_serves_the_right_value_and_drops_each_once)
{
    uint32_t seeds[8];
    pthread_t threads[2];
    all = cease_flights_new(storm_call, drop, NULL);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (uint32_t i = 0; i < 8; i++) {
        seeds[i] = i * 7919 + 1;
        if (i < 2) {
            CHECK_EQ(pthread_create(&threads[i], NULL, storm_thread, &seeds[i]), 0);
        } else {
            CHECK_OK(cease_group_go(g, storm_task, &seeds[i]));
        }
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_flights_free(all);
    CHECK(served > 0);
    CHECK_EQ(dropped, calls);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(storm_running[i], 0);
    }
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

static void arm_harness(uint64_t n)
{
    harness_fail_alloc(n);
}

static cease_error fly_once(cease_ctx *ctx, void *arg)
{
    (void)arg;
    all = cease_flights_new(storm_call, drop, NULL);
    cease_flight *f = NULL;
    cease_error e = cease_flight_do(ctx, all, "1", &f);
    cease_flight_unref(f);
    cease_flights_free(all);
    return e;
}

TEST(flight_survives_every_failed_allocation_and_system_call)
{
    static const cease_test_faults allocations = {sizeof allocations, arm_harness,
                                                  harness_alloc_failed, harness_heap_blocks};
    if (harness_heap_is_ours()) {
        cease_test_faults_use(CEASE_TEST_ALLOCATION, &allocations);
    }
    cease_faults_system_calls();
    cease_error e = cease_test_each_failure(NULL, fly_once, NULL);
    if (e == CEASE_ENOTSUP) {
        SKIP("a sanitizer has heap and system calls");
    }
    CHECK_OK(e);
}
