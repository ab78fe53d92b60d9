/* SPDX-License-Identifier: MIT
 *
 * Out to break groups: a task that nobody joins, an error that is lost or comes second, a limit
 * that is overstepped or forgotten after a failure, a group that is used after its end or from
 * inside, a wait that returns while somebody still touches the group (freed right after, again and
 * again).
 */
#include "harness.h"

#include <cease/cease.h>
#include <pthread.h>
#include <stdlib.h>

static int add(int *counter, int n)
{
    return __atomic_add_fetch(counter, n, __ATOMIC_SEQ_CST);
}

static int look(int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static cease_error count(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    add(arg, 1);
    return CEASE_OK;
}

static cease_error until_done(cease_ctx *ctx, void *arg)
{
    cease_error e = cease_wait(ctx);
    if (arg) {
        add(arg, 1);
    }
    return e;
}

static cease_error fail_with(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    return *(cease_error *)arg;
}

TEST(group_wait_joins_all_and_ends_the_context)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    int ran = 0;
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_group_go(g, count, &ran));
    }
    CHECK_OK(cease_group_wait(g));
    CHECK_EQ(ran, 100);
    cease_ctx *ctx = cease_group_ctx(g);
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ECLOSED);
    /* Go 57534: a group that was waited for is not used again by mistake. */
    CHECK_ERR(cease_group_go(g, count, &ran), CEASE_ECLOSED);
    CHECK_ERR(cease_group_go_wait(cease_background(), g, count, &ran), CEASE_ECLOSED);
    CHECK_OK(cease_group_wait(g)); /* again: the same */
    CHECK_OK(cease_group_stop(g));
    CHECK_EQ(ran, 100);
    cease_group_free(g);
}

TEST(group_without_tasks_waits_for_nothing)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_err(cease_group_ctx(g)));
    CHECK_OK(cease_group_wait(g));
    CHECK_ERR(cease_err(cease_group_ctx(g)), CEASE_ECANCELED);
    cease_group_free(g);
    cease_group_free(cease_group_new(cease_background(), NULL));
}

TEST(group_null_is_an_error_or_nothing)
{
    int ran = 0;
    CHECK_ERR(cease_group_go(NULL, count, &ran), CEASE_ENOMEM);
    CHECK_ERR(cease_group_go_wait(cease_background(), NULL, count, &ran), CEASE_ENOMEM);
    CHECK_ERR(cease_group_wait(NULL), CEASE_ENOMEM);
    CHECK_ERR(cease_group_stop(NULL), CEASE_ENOMEM);
    cease_group_free(NULL);
    CHECK_ERR(cease_err(cease_group_ctx(NULL)), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(cease_group_ctx(NULL))->code, CEASE_ENOMEM);
    CHECK_EQ(ran, 0);
}

TEST_ABORTS(group_new_with_null_parent_names_the_caller, "group_test.c")
{
    cease_group_new(NULL, NULL);
}

TEST(group_first_error_cancels_the_others_and_is_the_result)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    cease_error e = CEASE_EIO;
    int ended = 0;
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go(g, until_done, &ended));
    }
    CHECK_OK(cease_group_go(g, fail_with, &e));
    CHECK_ERR(cease_wait(cease_group_ctx(g)), CEASE_ECANCELED);
    const cease_cause *cause = cease_cause_of(cease_group_ctx(g));
    CHECK_EQ(cause->code, CEASE_EIO);
    CHECK_STR(cause->place->function, __func__); /* where the task was started */
    CHECK_ERR(cease_group_wait(g), CEASE_EIO);
    CHECK_ERR(cease_group_wait(g), CEASE_EIO);
    CHECK_ERR(cease_group_stop(g), CEASE_EIO);
    CHECK_EQ(ended, 10);
    cease_group_free(g);
}

TEST(group_that_supervises_keeps_no_error_and_stops_nobody)
{
    cease_group *g =
        cease_group_new(cease_background(),
                        &(cease_group_opts){.size = sizeof(cease_group_opts), .supervise = true});
    cease_error e = CEASE_EIO;
    int ended = 0;
    CHECK_OK(cease_group_go(g, until_done, &ended));
    for (int i = 0; i < 50; i++) {
        CHECK_OK(cease_group_go(g, fail_with, &e));
    }
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 1));
    CHECK_OK(cease_err(cease_group_ctx(g)));
    CHECK_EQ(look(&ended), 0);
    CHECK_OK(cease_group_stop(g));
    CHECK_EQ(ended, 1);
    cease_group_free(g);
}

TEST(group_parents_end_reaches_the_tasks)
{
    cease_canceler *stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    cease_group *g = cease_group_new(parent, NULL);
    int ended = 0;
    CHECK_OK(cease_group_go(g, until_done, &ended));
    cease_cancel_cause(stop, 77, "enough");
    CHECK_ERR(cease_group_wait(g), CEASE_ECANCELED); /* nobody stopped the group: it is an error */
    CHECK_EQ(cease_cause_of(cease_group_ctx(g))->code, 77);
    cease_group_free(g);
    /* A group under a context that is done runs its tasks all the same. */
    g = cease_group_new(parent, NULL);
    CHECK_OK(cease_group_go(g, until_done, &ended));
    CHECK_ERR(cease_group_wait(g), CEASE_ECANCELED);
    CHECK_EQ(ended, 2);
    cease_group_free(g);
    cease_end(stop);
}

static cease_error end_with(cease_ctx *ctx, void *arg)
{
    (void)cease_wait(ctx);
    return *(cease_error *)arg;
}

TEST(group_stop_counts_no_cancel_of_its_own_but_other_errors)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, until_done, NULL));
    CHECK_OK(cease_group_stop(g));
    CHECK_ERR(cease_group_go(g, until_done, NULL), CEASE_ECLOSED);
    cease_group_free(g);
    g = cease_group_new(cease_background(), NULL);
    cease_error e = CEASE_EPIPE;
    CHECK_OK(cease_group_go(g, until_done, NULL));
    CHECK_OK(cease_group_go(g, end_with, &e));
    CHECK_ERR(cease_group_stop(g), CEASE_EPIPE);
    cease_group_free(g);
}

/* ---- limits ------------------------------------------------------------------------------------
 */

struct gate {
    int running, most;
    cease_chan *open;
};

static cease_error pass_gate(cease_ctx *ctx, void *arg)
{
    struct gate *gate = arg;
    int now = add(&gate->running, 1);
    int most = look(&gate->most);
    while (now > most && !__atomic_compare_exchange_n(&gate->most, &most, now, false,
                                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    cease_error e = cease_chan_recv(ctx, gate->open, NULL);
    add(&gate->running, -1);
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

static const cease_group_opts two = {.size = sizeof(cease_group_opts), .limit = 2};

TEST(group_go_at_the_limit_says_eagain)
{
    struct gate gate = {.open = cease_chan_new(0, 0)};
    cease_group *g = cease_group_new(cease_background(), &two);
    CHECK_OK(cease_group_go(g, pass_gate, &gate));
    CHECK_OK(cease_group_go(g, pass_gate, &gate));
    CHECK_ERR(cease_group_go(g, pass_gate, &gate), CEASE_EAGAIN);
    CHECK_OK(cease_chan_send(cease_background(), gate.open, NULL)); /* one may go */
    CHECK_OK(cease_group_go_wait(cease_background(), g, pass_gate, &gate));
    CHECK_ERR(cease_group_go(g, pass_gate, &gate), CEASE_EAGAIN);
    cease_chan_close(gate.open);
    CHECK_OK(cease_group_wait(g));
    CHECK(gate.most <= 2);
    cease_group_free(g);
    cease_chan_unref(gate.open);
}

struct starter {
    cease_group *g;
    struct gate *gate;
    cease_ctx *ctx;
    int n;
};

static cease_error start_many(cease_ctx *ctx, void *arg)
{
    struct starter *s = arg;
    (void)ctx;
    for (int i = 0; i < s->n; i++) {
        cease_error e = cease_group_go_wait(s->ctx, s->g, pass_gate, s->gate);
        if (e) {
            return e;
        }
    }
    return CEASE_OK;
}

static void *start_many_thread(void *arg)
{
    CHECK_OK(start_many(NULL, arg));
    return NULL;
}

TEST(group_go_wait_from_many_never_oversteps_the_limit)
{
    struct gate gate = {.open = cease_chan_new(0, 0)};
    cease_chan_close(gate.open); /* tasks pass at once */
    cease_group *g = cease_group_new(cease_background(), &two);
    struct starter s = {g, &gate, cease_background(), harness_is_slow() ? 100 : 1000};
    cease_group *starters = cease_group_new(cease_background(), NULL);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_group_go(starters, start_many, &s));
        CHECK_EQ(pthread_create(&threads[i], NULL, start_many_thread, &s), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_OK(cease_group_wait(starters));
    CHECK_OK(cease_group_wait(g));
    CHECK(gate.most <= 2);
    CHECK_EQ(gate.running, 0);
    cease_group_free(starters);
    cease_group_free(g);
    cease_chan_unref(gate.open);
}

TEST(group_go_wait_is_cut_short_by_its_own_context_only)
{
    struct gate gate = {.open = cease_chan_new(0, 0)};
    cease_group *g = cease_group_new(cease_background(), &two);
    CHECK_OK(cease_group_go(g, pass_gate, &gate));
    CHECK_OK(cease_group_go(g, pass_gate, &gate));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(2), &stop);
    CHECK_ERR(cease_group_go_wait(ctx, g, pass_gate, &gate), CEASE_EDEADLINE);
    CHECK_ERR(cease_group_go_wait(ctx, g, pass_gate, &gate), CEASE_EDEADLINE); /* on entry */
    cease_end(stop);
    CHECK_OK(cease_err(cease_group_ctx(g)));
    cease_chan_close(gate.open);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_chan_unref(gate.open);
}

struct cut {
    cease_group *g;
    struct gate *gate;
    int rounds, started, cut;
};

static cease_error end_it(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_yield();
    cease_end(arg);
    return CEASE_OK;
}

static cease_error start_or_be_cut(cease_ctx *ctx, void *arg)
{
    struct cut *c = arg;
    for (int i = 0; i < c->rounds; i++) {
        cease_canceler *stop;
        cease_ctx *own = cease_ref(cease_with_cancel(ctx, &stop));
        CHECK_OK(cease_go(cease_background(), end_it, stop));
        cease_error e = cease_group_go_wait(own, c->g, pass_gate, c->gate);
        add(e ? &c->cut : &c->started, 1);
        cease_unref(own);
    }
    return CEASE_OK;
}

TEST(group_places_survive_cancels_that_race_a_handover)
{
    struct gate gate = {.open = cease_chan_new(0, 0)};
    cease_chan_close(gate.open);
    cease_group *g = cease_group_new(cease_background(), &two);
    struct cut c = {.g = g, .gate = &gate, .rounds = harness_is_slow() ? 100 : 1000};
    cease_group *starters = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 6; i++) {
        CHECK_OK(cease_group_go(starters, start_or_be_cut, &c));
    }
    CHECK_OK(cease_group_wait(starters));
    /* Both places are there again. */
    cease_group_free(starters);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go_wait(cease_background(), g, pass_gate, &gate));
    }
    CHECK_OK(cease_group_wait(g));
    CHECK(gate.most <= 2);
    CHECK_EQ(c.started + c.cut, 6 * c.rounds);
    cease_group_free(g);
    cease_chan_unref(gate.open);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

/* ---- from inside
 * ----------------------------------------------------------------------------------- */

static cease_error stop_own(cease_ctx *ctx, void *arg)
{
    CHECK_OK(cease_err(ctx));
    CHECK_ERR(cease_group_stop(arg), CEASE_EDEADLK);
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    return CEASE_OK;
}

TEST(group_stop_from_its_own_task_cancels_and_says_edeadlk)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    int ended = 0;
    CHECK_OK(cease_group_go(g, until_done, &ended));
    CHECK_OK(cease_group_go(g, stop_own, g));
    CHECK_OK(cease_group_wait(g));
    CHECK_EQ(ended, 1);
    cease_group_free(g);
}

static cease_error wait_own(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    return cease_group_wait(arg);
}

static cease_error free_own(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_group_free(arg);
    return CEASE_OK;
}

TEST_ABORTS(group_wait_from_its_own_task_names_the_group_too,
            "a task of the group that was made at")
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, wait_own, g));
    (void)cease_group_wait(g);
}

TEST_ABORTS(group_wait_from_its_own_task_names_the_wait, "wait_own: cease_group_wait in a task")
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, wait_own, g));
    (void)cease_group_wait(g);
}

TEST_ABORTS(group_free_from_its_own_task_names_both, "free_own: cease_group_free in a task")
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, free_own, g));
    (void)cease_group_wait(g);
}

struct spread {
    cease_group *g;
    int left;
    int ran;
};

/* Each starts two more in its own group until enough ran: also while the group is waited for. */
static cease_error spread(cease_ctx *ctx, void *arg)
{
    struct spread *s = arg;
    (void)ctx;
    add(&s->ran, 1);
    for (int i = 0; i < 2; i++) {
        if (add(&s->left, -1) >= 0) {
            CHECK_OK(cease_group_go(s->g, spread, s));
        }
    }
    return CEASE_OK;
}

TEST(group_tasks_may_start_more_while_it_is_waited_for)
{
    int n = harness_is_slow() ? 500 : 20000;
    struct spread s = {.left = n};
    s.g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(s.g, spread, &s));
    CHECK_OK(cease_group_wait(s.g));
    CHECK_EQ(s.ran, n + 1);
    cease_group_free(s.g);
}

struct nest {
    int depth;
    int *leaves;
};

static cease_error nest(cease_ctx *ctx, void *arg)
{
    struct nest *n = arg;
    if (n->depth == 0) {
        add(n->leaves, 1);
        return CEASE_OK;
    }
    cease_group *g = cease_group_new(ctx, NULL);
    struct nest below = {n->depth - 1, n->leaves};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(cease_group_go(g, nest, &below));
    }
    cease_error e = cease_group_wait(g);
    cease_group_free(g);
    return e;
}

TEST(group_in_group_in_group_joins_from_below)
{
    int leaves = 0;
    struct nest top = {harness_is_slow() ? 3 : 5, &leaves};
    CHECK_OK(nest(cease_background(), &top));
    CHECK_EQ(leaves, harness_is_slow() ? 64 : 1024);
}

static cease_error nest_and_wait(cease_ctx *ctx, void *arg)
{
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go(g, until_done, arg));
    }
    cease_error e = cease_group_wait(g);
    cease_group_free(g);
    return e;
}

TEST(group_error_reaches_the_tasks_of_groups_below)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    int ended = 0;
    cease_error e = CEASE_ENOSPC;
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go(g, nest_and_wait, &ended));
    }
    CHECK_OK(cease_group_go(g, fail_with, &e));
    CHECK_ERR(cease_group_wait(g), CEASE_ENOSPC);
    CHECK_EQ(ended, 100);
    cease_group_free(g);
}

/* ---- lifetime
 * ---------------------------------------------------------------------------------------- */

static void *free_again_and_again(void *arg)
{
    (void)arg;
    int n = harness_is_slow() ? 300 : 5000;
    for (int i = 0; i < n; i++) {
        int ran = 0;
        cease_group *g = cease_group_new(cease_background(), NULL);
        for (int k = 0; k < i % 4; k++) {
            CHECK_OK(cease_group_go(g, count, &ran));
        }
        if (i % 2) {
            CHECK_OK(cease_group_wait(g));
            CHECK_EQ(ran, i % 4);
        }
        cease_group_free(g); /* a task that still touched it would be seen by the sanitizers */
    }
    return NULL;
}

TEST(group_freed_right_after_the_last_task)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, free_again_and_again, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void *wait_thread(void *arg)
{
    CHECK_ERR(cease_group_wait(arg), CEASE_EIO);
    return NULL;
}

TEST(group_waited_for_by_several_at_once)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    cease_error e = CEASE_EIO;
    CHECK_OK(cease_group_go(g, until_done, NULL));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_thread, g), 0);
    }
    CHECK_OK(cease_group_go(g, fail_with, &e));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    cease_group_free(g);
}

TEST(group_survives_every_failed_allocation)
{
    if (!harness_heap_is_ours()) {
        SKIP("malloc is the sanitizer's");
    }
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        int ran = 0, started = 0;
        cease_group *g = cease_group_new(cease_background(), &two);
        for (int i = 0; i < 3; i++) {
            cease_error e = cease_group_go_wait(cease_background(), g, count, &ran);
            started += e == CEASE_OK;
            CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN);
        }
        cease_error e = cease_group_wait(g);
        CHECK(e == CEASE_OK || (!g && e == CEASE_ENOMEM));
        CHECK_EQ(ran, started);
        cease_group_free(g);
    }
}
