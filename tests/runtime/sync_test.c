/* SPDX-License-Identifier: MIT
 *
 * Out to break mutexes, conditions, semaphores, wait groups and once: two owners at a time, somebody who
 * overtakes, a hand-over that is lost to a cancel that comes in the same moment, a waiter that is left behind
 * when the one in front of it gives up, a use by somebody who has no right to.
 */
#include "harness.h"

#include "base/atomic.h"

#include <cease/cease.h>
#include <cease/test.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What happened, in order, as letters. */
static char order[64];
static size_t order_length;

static void note(char what)
{
    order[order_length++] = what;
    order[order_length] = '\0';
}

static void forget(void)
{
    order_length = 0;
    order[0] = '\0';
}

static void run(cease_task_fn *fn)
{
    forget();
    CHECK_OK(cease_test_run(NULL, fn, NULL));
}

static cease_mutex mutex;
static cease_cond cond;

/* ---- mutex -------------------------------------------------------------------------------------- */

static cease_error take_and_note(cease_ctx *ctx, void *arg)
{
    cease_error e = cease_mutex_lock(ctx, &mutex);
    if (e == CEASE_OK) {
        note(*(const char *)arg);
        cease_yield();
        cease_mutex_unlock(&mutex);
    }
    return e;
}

static void go_letters(cease_group *g, cease_task_fn *fn, const char *letters)
{
    for (; *letters; letters++) {
        CHECK_OK(cease_group_go(g, fn, (void *)(uintptr_t)letters));
    }
}

static cease_error in_order(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    go_letters(g, take_and_note, "abcdef");
    cease_test_settle();
    CHECK_STR(order, "");
    cease_mutex_unlock(&mutex);
    /* It is a's already, though a has not run: neither of these gets in between. */
    CHECK_ERR(cease_mutex_try_lock(&mutex), CEASE_EAGAIN);
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    note('X');
    cease_mutex_unlock(&mutex);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_STR(order, "abcdefX");
    cease_mutex_deinit(&mutex);
    return CEASE_OK;
}

TEST(mutex_is_handed_over_in_the_order_of_coming)
{
    run(in_order);
}

static cease_error cancelled_in_line(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    cease_group *cut = cease_group_new(ctx, NULL);
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    go_letters(g, take_and_note, "a");
    cease_test_settle();
    go_letters(cut, take_and_note, "b");
    cease_test_settle();
    go_letters(g, take_and_note, "c");
    cease_test_settle();
    CHECK_OK(cease_group_stop(cut));
    cease_group_free(cut);
    cease_mutex_unlock(&mutex);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_STR(order, "ac");
    return CEASE_OK;
}

TEST(mutex_waiter_that_gives_up_is_passed_over)
{
    run(cancelled_in_line);
}

TEST(mutex_on_a_done_context_is_never_taken)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_mutex_lock(ctx, &mutex), CEASE_ECANCELED);
    CHECK_OK(cease_mutex_try_lock(&mutex));
    cease_mutex_unlock(&mutex);
    cease_end(stop);
}

static cease_error handed_then_cancelled(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    go_letters(g, take_and_note, "a");
    cease_test_settle();
    cease_mutex_unlock(&mutex); /* a has it from here */
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
    CHECK_STR(order, "a");
    CHECK_OK(cease_mutex_try_lock(&mutex));
    cease_mutex_unlock(&mutex);
    return CEASE_OK;
}

TEST(mutex_handed_over_before_a_cancel_is_kept)
{
    run(handed_then_cancelled);
}

static cease_error deadline_in_line(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    cease_canceler *stop;
    cease_ctx *soon = cease_with_timeout(ctx, cease_sec(3), &stop);
    cease_group *g = cease_group_new(soon, NULL);
    cease_time begin = cease_now();
    go_letters(g, take_and_note, "a");
    CHECK_ERR(cease_group_wait(g), CEASE_EDEADLINE);
    CHECK_EQ(cease_time_sub(cease_now(), begin).ns, cease_sec(3).ns);
    cease_group_free(g);
    cease_end(stop);
    cease_mutex_unlock(&mutex);
    return CEASE_OK;
}

TEST(mutex_wait_ends_at_the_deadline)
{
    run(deadline_in_line);
}

static cease_error held_over_a_wait(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    {
        CHECK_OK(cease_mutex_lock(ctx, &mutex));
        CEASE_AUTO_UNLOCK cease_mutex *held = &mutex;
        go_letters(g, take_and_note, "ab");
        CHECK_OK(cease_sleep(ctx, cease_sec(1)));
        CHECK_STR(order, "");
        (void)held;
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_STR(order, "ab");
    return CEASE_OK;
}

TEST(mutex_is_held_over_a_wait_and_given_back_with_its_scope)
{
    run(held_over_a_wait);
}

TEST_ABORTS(mutex_locked_twice_names_both_places,
            "the caller has this mutex already; it took it at ")
{
    CHECK_OK(cease_mutex_lock(cease_background(), &mutex));
    (void)cease_mutex_lock(cease_background(), &mutex);
}

TEST_ABORTS(mutex_unlocked_though_free_aborts, "nobody has this mutex")
{
    cease_mutex_unlock(&mutex);
}

static cease_error unlock_it(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    cease_mutex_unlock(&mutex);
    return CEASE_OK;
}

static void lock_and_let_another_unlock(void)
{
    CHECK_OK(cease_mutex_lock(cease_background(), &mutex));
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, unlock_it, NULL));
    (void)cease_group_wait(g);
}

TEST_ABORTS(mutex_unlocked_by_another_names_who_unlocks, "unlock_it: cease_mutex_unlock: somebody")
{
    lock_and_let_another_unlock();
}

TEST_ABORTS(mutex_unlocked_by_another_names_who_has_it, "it was taken at ")
{
    lock_and_let_another_unlock();
}

TEST_ABORTS(mutex_deinit_while_held_names_the_holder, "sync_test.c")
{
    CHECK_OK(cease_mutex_try_lock(&mutex));
    cease_mutex_deinit(&mutex);
}

TEST_ABORTS(mutex_locked_with_a_null_context_aborts, "the context is NULL")
{
    (void)cease_mutex_lock(NULL, &mutex);
}

/* The functions that the macros hide. */
TEST(mutex_functions_for_bindings_do_the_same)
{
    cease_mutex_init(&mutex);
    CHECK_OK((cease_mutex_lock)(cease_background(), &mutex));
    CHECK_ERR((cease_mutex_try_lock)(&mutex), CEASE_EAGAIN);
    (cease_mutex_unlock)(&mutex);
    CHECK_OK((cease_mutex_try_lock)(&mutex));
    (cease_mutex_unlock)(&mutex);
    cease_mutex_deinit(&mutex);
    cease_mutex_deinit(NULL);
}

/* ---- storms: tasks on several workers, and plain threads ------------------------------------------ */

enum { RACERS = 8 };

struct storm {
    int rounds;
    int inside;         /* plain: only who has the mutex touches it */
    uint64_t done, cut; /* atomic */
    uint64_t taken;     /* atomic */
};

struct racer {
    void (*round)(struct racer *r, cease_ctx *ctx);
    struct storm *storm;
    uint32_t seed;
    pthread_t thread;
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static cease_error end_later(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_yield();
    cease_end(arg);
    return CEASE_OK;
}

/* Each round under a context of its own, which somebody ends around the same time in one of three. */
static void *race_thread(void *arg)
{
    struct racer *r = arg;
    for (int i = 0; i < r->storm->rounds; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        cease_ref(ctx);
        if (next_random(&r->seed) % 3 == 0) {
            CHECK_OK(cease_go(cease_background(), end_later, stop));
            stop = NULL;
        }
        r->round(r, ctx);
        cease_end(stop);
        cease_unref(ctx);
    }
    return NULL;
}

static cease_error race(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)race_thread(arg);
    return CEASE_OK;
}

static void storm(struct storm *s, void (*round)(struct racer *r, cease_ctx *ctx))
{
    struct racer racers[RACERS] = {0};
    cease_group *g = cease_group_new(cease_background(), NULL);
    s->rounds = harness_is_slow() ? 100 : 2000;
    for (uint32_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){round, s, i * 77u + 5u, 0};
        if (i % 4 == 3) {
            CHECK_EQ(pthread_create(&racers[i].thread, NULL, race_thread, &racers[i]), 0);
        } else {
            CHECK_OK(cease_group_go(g, race, &racers[i]));
        }
    }
    for (int i = 0; i < RACERS; i++) {
        if (racers[i].thread) {
            CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
        }
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(s->done + s->cut, (uint64_t)s->rounds * RACERS);
    CHECK(s->done > 0);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

static void count(struct storm *s, bool done)
{
    ceasei_add(done ? &s->done : &s->cut, 1, RELAXED);
}

static void mutex_round(struct racer *r, cease_ctx *ctx)
{
    struct storm *s = r->storm;
    cease_error e = cease_mutex_lock(ctx, &mutex);
    if (e == CEASE_OK) {
        CHECK_EQ(s->inside++, 0);
        if (next_random(&r->seed) % 4 == 0) {
            cease_yield();
        }
        CHECK_EQ(s->inside--, 1);
        cease_mutex_unlock(&mutex);
    }
    count(s, e == CEASE_OK);
}

TEST(mutex_storm_has_one_owner_at_a_time)
{
    struct storm s = {0};
    storm(&s, mutex_round);
    CHECK(!mutex.sync_.first_);
    cease_mutex_deinit(&mutex);
}

/* ---- condition ---------------------------------------------------------------------------------- */

static cease_error wait_and_note(cease_ctx *ctx, void *arg)
{
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    cease_error e = cease_cond_wait_tag(ctx, &cond, &mutex, arg);
    note(e == CEASE_OK ? *(const char *)arg : '-');
    CHECK_ERR(cease_mutex_try_lock(&mutex), CEASE_EAGAIN); /* it is ours, whatever came */
    cease_mutex_unlock(&mutex);
    return e;
}

static const char letters[] = "abcd";

static cease_error signals_in_order(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    go_letters(g, wait_and_note, letters);
    cease_test_settle();
    CHECK(cease_cond_signal(&cond));
    cease_test_settle();
    CHECK_STR(order, "a");
    CHECK(cease_cond_signal_tag(&cond, &letters[2]));
    cease_test_settle();
    CHECK_STR(order, "ac");
    CHECK(!cease_cond_signal_tag(&cond, &letters[2]));
    CHECK_EQ(cease_cond_broadcast(&cond), 2);
    CHECK_EQ(cease_cond_broadcast(&cond), 0);
    CHECK(!cease_cond_signal(&cond));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_STR(order, "acbd");
    cease_cond_deinit(&cond);
    cease_mutex_deinit(&mutex);
    return CEASE_OK;
}

TEST(cond_signals_wake_the_oldest_or_the_one_with_the_tag)
{
    run(signals_in_order);
}

static cease_error signal_survives_a_cancel(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *first = cease_group_new(ctx, NULL), *second = cease_group_new(ctx, NULL);
    go_letters(first, wait_and_note, "a");
    cease_test_settle();
    go_letters(second, wait_and_note, "b");
    cease_test_settle();
    /* Signalled, then cancelled: the signal counts. */
    CHECK(cease_cond_signal(&cond));
    CHECK_OK(cease_group_stop(first));
    CHECK_STR(order, "a");
    cease_group_free(first);
    /* Cancelled, then signalled: the signal goes to the next. */
    first = cease_group_new(ctx, NULL);
    go_letters(first, wait_and_note, "c");
    cease_test_settle();
    (void)cease_group_stop(second);
    CHECK_STR(order, "a-");
    CHECK(cease_cond_signal(&cond));
    CHECK_OK(cease_group_wait(first));
    CHECK_STR(order, "a-c");
    cease_group_free(first);
    cease_group_free(second);
    return CEASE_OK;
}

TEST(cond_signal_and_cancel_never_share_one_waiter)
{
    run(signal_survives_a_cancel);
}

TEST(cond_wait_on_a_done_context_keeps_the_mutex)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_OK(cease_mutex_try_lock(&mutex));
    CHECK_ERR(cease_cond_wait(ctx, &cond, &mutex), CEASE_ECANCELED);
    cease_mutex_unlock(&mutex);
    cease_end(stop);
    cease_cond_init(&cond);
    cease_cond_deinit(&cond);
    cease_cond_deinit(NULL);
}

TEST_ABORTS(cond_wait_without_the_mutex_aborts, "cease_cond_wait: nobody has this mutex")
{
    (void)cease_cond_wait(cease_background(), &cond, &mutex);
}

static cease_error wait_for_good(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_mutex_lock(ctx, &mutex));
    (void)cease_cond_wait(ctx, &cond, &mutex);
    return CEASE_OK;
}

static cease_error deinit_while_waiting(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_go(ctx, wait_for_good, NULL));
    cease_test_settle();
    cease_cond_deinit(&cond);
    return CEASE_OK;
}

TEST_ABORTS(cond_deinit_while_somebody_waits_aborts, "somebody still waits for this condition")
{
    run(deinit_while_waiting);
}

/* A bounded queue, by hand: producers and consumers who are cut short all the time. */
static struct {
    cease_cond filled, emptied;
    int count;
} queue;

static void cond_round(struct racer *r, cease_ctx *ctx)
{
    bool puts = next_random(&r->seed) % 2;
    cease_cond *mine = puts ? &queue.emptied : &queue.filled;
    cease_cond *theirs = puts ? &queue.filled : &queue.emptied;
    cease_error e = cease_mutex_lock(ctx, &mutex);
    if (e == CEASE_OK) {
        if ((puts ? queue.count == 2 : queue.count == 0) && next_random(&r->seed) % 2) {
            cease_canceler *stop;
            cease_ctx *soon = cease_with_timeout(ctx, cease_us(200), &stop);
            while (e == CEASE_OK && (puts ? queue.count == 2 : queue.count == 0)) {
                e = cease_cond_wait(soon, mine, &mutex);
            }
            cease_end(stop);
        }
        if (puts ? queue.count < 2 : queue.count > 0) {
            queue.count += puts ? 1 : -1;
            (void)cease_cond_signal(theirs);
        }
        CHECK(queue.count >= 0 && queue.count <= 2);
        CHECK_EQ(r->storm->inside++, 0);
        CHECK_EQ(r->storm->inside--, 1);
        cease_mutex_unlock(&mutex);
    }
    count(r->storm, e == CEASE_OK);
}

TEST(cond_storm_keeps_the_mutex_and_the_count)
{
    struct storm s = {0};
    storm(&s, cond_round);
    cease_cond_deinit(&queue.filled);
    cease_cond_deinit(&queue.emptied);
    cease_mutex_deinit(&mutex);
}

/* ---- semaphore ---------------------------------------------------------------------------------- */

static cease_semaphore units = CEASE_SEMAPHORE(10);

static cease_error acquire_digit(cease_ctx *ctx, void *arg)
{
    char digit = *(const char *)arg;
    cease_error e = cease_semaphore_acquire(ctx, &units, (uint64_t)(digit - '0'));
    if (e == CEASE_OK) {
        note(digit);
    }
    return e;
}

static cease_error no_barging(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_semaphore_acquire(ctx, &units, 4));
    go_letters(g, acquire_digit, "813");
    cease_test_settle();
    CHECK_STR(order, ""); /* 1 and 3 would fit, but 8 was first */
    CHECK_ERR(cease_semaphore_try_acquire(&units, 1), CEASE_EAGAIN);
    cease_semaphore_release(&units, 1);
    cease_test_settle();
    CHECK_STR(order, "");
    cease_semaphore_release(&units, 1);
    cease_test_settle();
    CHECK_STR(order, "8");
    cease_semaphore_release(&units, 2);
    cease_test_settle();
    CHECK_STR(order, "81");
    cease_semaphore_release(&units, 8);
    CHECK_OK(cease_group_wait(g));
    CHECK_STR(order, "813");
    cease_semaphore_release(&units, 4);
    cease_semaphore_deinit(&units);
    cease_group_free(g);
    return CEASE_OK;
}

TEST(semaphore_serves_in_the_order_of_coming_whatever_fits)
{
    run(no_barging);
}

static cease_error head_gives_up(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *big = cease_group_new(ctx, NULL), *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_semaphore_acquire(ctx, &units, 5));
    go_letters(big, acquire_digit, "9");
    cease_test_settle();
    go_letters(g, acquire_digit, "23");
    cease_test_settle();
    CHECK_STR(order, "");
    CHECK_OK(cease_group_stop(big));
    CHECK_OK(cease_group_wait(g)); /* those behind it are served though nobody has released */
    CHECK_STR(order, "23");
    cease_group_free(big);
    cease_group_free(g);
    cease_semaphore_release(&units, 10);
    cease_semaphore_deinit(&units);
    return CEASE_OK;
}

TEST(semaphore_head_that_gives_up_lets_those_behind_it_be_served)
{
    run(head_gives_up);
}

TEST(semaphore_more_than_there_is_is_refused_at_once)
{
    CHECK_ERR(cease_semaphore_acquire(cease_background(), &units, 11), CEASE_EINVAL);
    CHECK_ERR(cease_semaphore_try_acquire(&units, 11), CEASE_EINVAL);
    CHECK_OK(cease_semaphore_acquire(cease_background(), &units, 0));
    CHECK_OK(cease_semaphore_acquire(cease_background(), &units, 10));
    CHECK_ERR(cease_semaphore_try_acquire(&units, 1), CEASE_EAGAIN);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    (cease_semaphore_release)(&units, 10);
    CHECK_ERR(cease_semaphore_acquire(ctx, &units, 1), CEASE_ECANCELED);
    cease_end(stop);
    cease_semaphore_init(&units, 3);
    CHECK_OK(cease_semaphore_try_acquire(&units, 3));
    cease_semaphore_release(&units, 3);
    cease_semaphore_deinit(&units);
    cease_semaphore_deinit(NULL);
}

TEST_ABORTS(semaphore_released_too_often_aborts, "1 units are given back, 0 are taken")
{
    cease_semaphore_release(&units, 1);
}

TEST_ABORTS(semaphore_deinit_while_units_are_taken_aborts,
            "somebody still waits for, or has, units")
{
    CHECK_OK(cease_semaphore_try_acquire(&units, 1));
    cease_semaphore_deinit(&units);
}

/* Readers take one unit, a writer all. */
static cease_error read_it(cease_ctx *ctx, void *arg)
{
    CHECK_OK(cease_semaphore_acquire(ctx, &units, 1));
    note(*(const char *)arg);
    CHECK_OK(cease_sleep(ctx, cease_sec(1)));
    note(*(const char *)arg);
    cease_semaphore_release(&units, 1);
    return CEASE_OK;
}

static cease_error write_it(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_semaphore_acquire(ctx, &units, 10));
    note('W');
    CHECK_OK(cease_sleep(ctx, cease_sec(1)));
    note('W');
    cease_semaphore_release(&units, 10);
    return CEASE_OK;
}

static cease_error readers_and_writer(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *g = cease_group_new(ctx, NULL);
    go_letters(g, read_it, "ab");
    CHECK_OK(cease_group_go(g, write_it, NULL));
    go_letters(g, read_it, "c");
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_STR(order, "ababWWcc");
    return CEASE_OK;
}

TEST(semaphore_is_a_fair_reader_writer_lock)
{
    run(readers_and_writer);
}

static void semaphore_round(struct racer *r, cease_ctx *ctx)
{
    uint64_t want = next_random(&r->seed) % 10 + 1;
    cease_error e = cease_semaphore_acquire(ctx, &units, want);
    if (e == CEASE_OK) {
        CHECK(ceasei_add(&r->storm->taken, want, SEQ_CST) + want <= 10);
        if (next_random(&r->seed) % 4 == 0) {
            cease_yield();
        }
        ceasei_sub(&r->storm->taken, want, SEQ_CST);
        cease_semaphore_release(&units, want);
    }
    count(r->storm, e == CEASE_OK);
}

TEST(semaphore_storm_never_gives_more_than_there_is_and_loses_none)
{
    struct storm s = {0};
    storm(&s, semaphore_round);
    CHECK_EQ(units.free_, 10);
    cease_semaphore_deinit(&units);
}

/* ---- wait group --------------------------------------------------------------------------------- */

static cease_wait_group group;

static cease_error wait_group_and_note(cease_ctx *ctx, void *arg)
{
    cease_error e = cease_wait_group_wait(ctx, &group);
    note(e == CEASE_OK ? *(const char *)arg : '-');
    return e;
}

static cease_error counting(cease_ctx *ctx, void *arg)
{
    (void)arg;
    CHECK_OK(cease_wait_group_wait(ctx, &group));
    cease_wait_group_add(&group, 2);
    cease_group *g = cease_group_new(ctx, NULL), *cut = cease_group_new(ctx, NULL);
    go_letters(g, wait_group_and_note, "ab");
    go_letters(cut, wait_group_and_note, "c");
    cease_test_settle();
    (void)cease_group_stop(cut);
    CHECK_STR(order, "-");
    cease_wait_group_done(&group);
    cease_test_settle();
    CHECK_STR(order, "-");
    (cease_wait_group_done)(&group);
    CHECK_OK(cease_group_wait(g));
    CHECK_STR(order, "-ab");
    cease_group_free(g);
    cease_group_free(cut);
    cease_wait_group_deinit(&group);
    cease_wait_group_init(&group); /* and again */
    cease_wait_group_deinit(NULL);
    return CEASE_OK;
}

TEST(wait_group_wakes_all_at_zero_and_is_cut_short_before)
{
    run(counting);
}

TEST_ABORTS(wait_group_done_too_often_aborts, "more is done than was counted")
{
    cease_wait_group_done(&group);
}

TEST_ABORTS(wait_group_deinit_with_a_count_aborts, "something is still counted")
{
    cease_wait_group_add(&group, 1);
    cease_wait_group_deinit(&group);
}

static cease_error say_done(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_wait_group_done(arg);
    return CEASE_OK;
}

/* Its memory goes as soon as a wait has returned, again and again. */
TEST(wait_group_is_gone_right_after_the_wait)
{
    int rounds = harness_is_slow() ? 300 : 3000;
    for (int i = 0; i < rounds; i++) {
        cease_wait_group w = CEASE_WAIT_GROUP;
        cease_wait_group_add(&w, 3);
        for (int k = 0; k < 3; k++) {
            CHECK_OK(cease_go(cease_background(), say_done, &w));
        }
        CHECK_OK(cease_wait_group_wait(cease_background(), &w));
        cease_wait_group_deinit(&w);
        memset((void *)&w, 0x55, sizeof w);
    }
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

/* ---- once --------------------------------------------------------------------------------------- */

static cease_once once;
static int attempts;

static cease_error set_up_slowly(cease_ctx *ctx, void *arg)
{
    attempts++;
    note(*(const char *)arg);
    cease_error e = cease_sleep(ctx, cease_sec(1));
    note(e == CEASE_OK ? '+' : '-');
    return e;
}

static cease_error want_it(cease_ctx *ctx, void *arg)
{
    return cease_once_do(ctx, &once, set_up_slowly, arg);
}

static cease_error once_with_a_cancel(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_group *first = cease_group_new(ctx, NULL), *others = cease_group_new(ctx, NULL);
    go_letters(first, want_it, "a");
    cease_test_settle();
    go_letters(others, want_it, "bc");
    cease_test_settle();
    CHECK_STR(order, "a");
    (void)cease_group_stop(first); /* in the middle of it */
    CHECK_OK(cease_group_wait(others));
    CHECK_STR(order, "a-b+");
    CHECK_OK((cease_once_do)(ctx, &once, set_up_slowly, NULL));
    CHECK_EQ(attempts, 2);
    cease_group_free(first);
    cease_group_free(others);
    return CEASE_OK;
}

TEST(once_cancelled_in_the_middle_is_done_by_the_next)
{
    run(once_with_a_cancel);
}

static cease_error fails(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return CEASE_EIO;
}

static cease_error works(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return CEASE_OK;
}

TEST(once_that_fails_is_tried_again_until_it_works)
{
    CHECK_ERR(cease_once_do(cease_background(), &once, fails, NULL), CEASE_EIO);
    CHECK_OK(cease_once_do(cease_background(), &once, works, NULL));
    CHECK_OK(cease_once_do(cease_background(), &once, fails, NULL));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_once_do(ctx, &once, works, NULL), CEASE_ECANCELED);
    cease_end(stop);
}

static cease_error again(cease_ctx *ctx, void *arg)
{
    return cease_once_do(ctx, &once, again, arg);
}

TEST_ABORTS(once_inside_itself_aborts, "the caller has this mutex already")
{
    (void)again(cease_background(), NULL);
}

/* ---- cancelled at every wait ---------------------------------------------------------------------- */

/* Whatever is cut short, nobody is left in a queue and nothing stays taken. */
static cease_error worker(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_error e = cease_semaphore_acquire(ctx, &units, 6);
    if (e == CEASE_OK) {
        e = cease_once_do(ctx, &once, set_up_slowly, (void *)(uintptr_t) "x");
        if (e == CEASE_OK) {
            e = cease_mutex_lock(ctx, &mutex);
        }
        if (e == CEASE_OK) {
            if (++attempts % 2) {
                (void)cease_cond_signal(&cond);
                e = cease_sleep(ctx, cease_ms(1));
            } else {
                (void)cease_cond_signal(&cond);
                cease_canceler *stop;
                cease_ctx *soon = cease_with_timeout(ctx, cease_ms(5), &stop);
                (void)cease_cond_wait(soon, &cond, &mutex);
                e = cease_err(ctx);
                cease_end(stop);
            }
            cease_mutex_unlock(&mutex);
        }
        cease_semaphore_release(&units, 6);
    }
    cease_wait_group_done(&group);
    return e;
}

static cease_error everything(cease_ctx *ctx, void *arg)
{
    (void)arg;
    forget();
    once = (cease_once)CEASE_ONCE;
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 4; i++) {
        cease_wait_group_add(&group, 1);
        CHECK_OK(cease_group_go(g, worker, NULL));
    }
    cease_error e = cease_wait_group_wait(ctx, &group);
    cease_error failed = cease_group_wait(g);
    cease_group_free(g);
    cease_wait_group_deinit(&group);
    cease_semaphore_deinit(&units);
    cease_mutex_deinit(&mutex);
    cease_cond_deinit(&cond);
    return e ? e : failed;
}

TEST(sync_cancelled_at_every_wait_leaves_nothing_behind)
{
    CHECK_OK(cease_test_each_cancel(NULL, everything, NULL));
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    CHECK(r.rounds >= 10);
}

TEST(sync_in_many_schedules_leaves_nothing_behind)
{
    CHECK_OK(cease_test_each_seed(NULL, 200, everything, NULL));
}

/* ---- seen in a snapshot --------------------------------------------------------------------------- */

TEST(snapshot_says_where_a_mutex_had_been_taken)
{
    CHECK_OK(cease_mutex_lock(cease_background(), &mutex));
    int line = __LINE__ - 1;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, take_and_note, (void *)(uintptr_t) "a"));
    char expected[128];
    snprintf(expected, sizeof expected, "sync_test.c:%d", line);
    bool found = false;
    while (!found) { /* until the task waits; the case's limit bounds it */
        char *text = NULL;
        size_t size;
        CHECK_OK(cease_snapshot_text(&text, &size));
        const char *waits = strstr(text, "waits for a mutex that had been taken at ");
        found = waits && strstr(waits, expected);
        free(text);
        cease_yield();
    }
    cease_mutex_unlock(&mutex);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}
