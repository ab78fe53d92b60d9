/* SPDX-License-Identifier: MIT
 *
 * Out to break channels: values lost or seen twice when a cancel or a close races a hand-over,
 * waiters that nobody wakes, waiters served out of turn, a context that is done and still succeeds.
 *
 * It looks into the channel's private structure for one thing: how many wait, so that "parked" is a
 * fact and not a sleep.
 */
#include "harness.h"

#include "runtime/chan.h"

#include <cease/cease.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static size_t waiting(cease_chan *ch, bool senders)
{
    size_t n = 0;
    ceasei_lock(&ch->lock.lock); /* nobody's own: touched a few times only, or all is over */
    for (struct ceasei_chan_node *i = senders ? ch->senders.first : ch->receivers.first; i;
         i = i->next) {
        n++;
    }
    ceasei_unlock(&ch->lock.lock);
    return n;
}

/* One blocking call in a thread or a task of its own. */
struct call {
    cease_ctx *ctx;
    cease_chan *ch;
    bool sends;
    int value;
    cease_error result;
    pthread_t thread;
};

static void call_run(struct call *c)
{
    c->result = c->sends ? cease_chan_send(c->ctx, c->ch, &c->value)
                         : cease_chan_recv(c->ctx, c->ch, &c->value);
}

static void *call_thread(void *arg)
{
    call_run(arg);
    return NULL;
}

static cease_error call_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    call_run(arg);
    return CEASE_OK;
}

static void call_start(struct call *c)
{
    CHECK_EQ(pthread_create(&c->thread, NULL, call_thread, c), 0);
}

static void call_join(struct call *c)
{
    CHECK_EQ(pthread_join(c->thread, NULL), 0);
}

TEST(chan_new_with_absurd_sizes_gives_null)
{
    CHECK_PTR(cease_chan_new(SIZE_MAX, 2), NULL);
    CHECK_PTR(cease_chan_new(2, SIZE_MAX), NULL);
    CHECK_PTR(cease_chan_new(SIZE_MAX, 1), NULL);
}

TEST(chan_null_is_an_error_or_nothing)
{
    int v = 1;
    CHECK_PTR(cease_chan_ref(NULL), NULL);
    CHECK_PTR(cease_chan_unref(NULL), NULL);
    cease_chan_close(NULL);
    cease_chan_on_drop(NULL, free);
    CHECK_ERR(cease_chan_send(cease_background(), NULL, &v), CEASE_ENOMEM);
    CHECK_ERR(cease_chan_recv(cease_background(), NULL, &v), CEASE_ENOMEM);
    CHECK_ERR(cease_chan_try_send(NULL, &v), CEASE_ENOMEM);
    CHECK_ERR(cease_chan_try_recv(NULL, &v), CEASE_ENOMEM);
}

TEST_ABORTS(chan_send_with_null_context_aborts, "the context is NULL")
{
    int v = 1;
    (void)cease_chan_send(NULL, cease_chan_new(sizeof v, 1), &v);
}

TEST(chan_buffer_keeps_order_and_bounds)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 3);
    for (int round = 0; round < 5; round++) { /* the ring goes round */
        int v;
        CHECK_ERR(cease_chan_try_recv(ch, &v), CEASE_EAGAIN);
        for (int i = 0; i < 3; i++) {
            CHECK_OK(cease_chan_send(cease_background(), ch, &(int){round * 10 + i}));
        }
        CHECK_ERR(cease_chan_try_send(ch, &(int){99}), CEASE_EAGAIN);
        for (int i = 0; i < 2; i++) {
            CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
            CHECK_EQ(v, round * 10 + i);
        }
        CHECK_OK(cease_chan_try_send(ch, &(int){round * 10 + 3}));
        for (int i = 2; i < 4; i++) {
            CHECK_OK(cease_chan_try_recv(ch, &v));
            CHECK_EQ(v, round * 10 + i);
        }
    }
    cease_chan_unref(ch);
}

TEST(chan_elements_of_every_size_arrive_whole)
{
    for (size_t size = 0; size <= 300; size = size < 20 ? size + 1 : size + 93) {
        unsigned char out[512], in[512];
        for (size_t i = 0; i < sizeof out; i++) {
            out[i] = (unsigned char)(i * 7 + size);
        }
        cease_chan *ch = cease_chan_new(size, 2);
        CHECK_OK(cease_chan_try_send(ch, size ? out : NULL));
        CHECK_OK(cease_chan_try_send(ch, size ? out + 1 : NULL));
        memset(in, 0xee, sizeof in);
        CHECK_OK(cease_chan_try_recv(ch, size ? in : NULL));
        CHECK_EQ(memcmp(in, out, size), 0);
        CHECK_EQ(in[size], 0xee);
        CHECK_OK(cease_chan_try_recv(ch, size ? in : NULL));
        CHECK_EQ(memcmp(in, out + 1, size), 0);
        CHECK_EQ(in[size], 0xee);
        cease_chan_unref(ch);
    }
}

TEST(chan_recv_from_closed_drains_first)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 2);
    int v = 7;
    CHECK_OK(cease_chan_try_send(ch, &v));
    cease_chan_close(ch);
    cease_chan_close(ch); /* again: nothing */
    CHECK_ERR(cease_chan_send(cease_background(), ch, &v), CEASE_ECLOSED);
    CHECK_ERR(cease_chan_try_send(ch, &v), CEASE_ECLOSED);
    v = 0;
    CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
    CHECK_EQ(v, 7);
    CHECK_ERR(cease_chan_recv(cease_background(), ch, &v), CEASE_ECLOSED);
    CHECK_ERR(cease_chan_try_recv(ch, &v), CEASE_ECLOSED);
    CHECK_EQ(v, 7); /* untouched */
    cease_chan_unref(ch);
}

/* A trap of tokio's (7462): an operation that is ready at once ignores an earlier cancel. */
TEST(chan_done_context_never_succeeds_though_ready)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_chan *ch = cease_chan_new(sizeof(int), 2);
    int v = 1;
    CHECK_OK(cease_chan_send(ctx, ch, &v));
    cease_cancel(stop);
    CHECK_ERR(cease_chan_send(ctx, ch, &v), CEASE_ECANCELED);
    CHECK_ERR(cease_chan_recv(ctx, ch, &v), CEASE_ECANCELED);
    CHECK_OK(cease_chan_try_recv(ch, &v));
    CHECK_ERR(cease_chan_try_recv(ch, &v), CEASE_EAGAIN);
    cease_chan_close(ch);
    CHECK_ERR(cease_chan_recv(ctx, ch, &v), CEASE_ECANCELED); /* own context first */
    cease_end(stop);
    cease_chan_unref(ch);
}

static int dropped[8];
static int dropped_count;

static void note_drop(void *value)
{
    dropped[dropped_count++] = *(int *)value;
}

TEST(chan_last_unref_drops_the_rest_oldest_first)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 3);
    cease_chan_on_drop(ch, note_drop);
    int v;
    for (int i = 1; i <= 3; i++) {
        CHECK_OK(cease_chan_try_send(ch, &i));
    }
    CHECK_OK(cease_chan_try_recv(ch, &v));
    CHECK_OK(cease_chan_try_send(ch, &(int){4}));
    CHECK_ERR(cease_chan_try_send(ch, &(int){5}), CEASE_EAGAIN); /* stays its sender's */
    cease_chan_close(ch);
    CHECK_ERR(cease_chan_try_send(ch, &(int){6}), CEASE_ECLOSED);
    CHECK_PTR(cease_chan_ref(ch), ch);
    CHECK_PTR(cease_chan_unref(ch), NULL);
    CHECK_EQ(dropped_count, 0);
    cease_chan_unref(ch);
    CHECK_EQ(dropped_count, 3);
    CHECK_EQ(dropped[0], 2);
    CHECK_EQ(dropped[1], 3);
    CHECK_EQ(dropped[2], 4);
}

TEST(chan_unbuffered_send_waits_for_its_receiver)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    CHECK_ERR(cease_chan_try_send(ch, &(int){1}), CEASE_EAGAIN);
    struct call send = {cease_background(), ch, true, 42, 1, 0};
    call_start(&send);
    CHECK_EVENTUALLY(waiting(ch, true) == 1);
    int v = 0;
    CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
    CHECK_EQ(v, 42);
    call_join(&send);
    CHECK_OK(send.result);

    struct call recv = {cease_background(), ch, false, 0, 1, 0};
    call_start(&recv);
    CHECK_EVENTUALLY(waiting(ch, false) == 1);
    CHECK_OK(cease_chan_try_send(ch, &(int){43}));
    call_join(&recv);
    CHECK_OK(recv.result);
    CHECK_EQ(recv.value, 43);
    cease_chan_unref(ch);
}

TEST(chan_waiters_are_served_in_the_order_of_coming)
{
    enum { N = 8 };
    cease_chan *ch = cease_chan_new(sizeof(int), 1);
    CHECK_OK(cease_chan_try_send(ch, &(int){0}));
    struct call calls[N];
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < N; i++) { /* threads and tasks in turn */
        calls[i] = (struct call){cease_background(), ch, true, i + 1, 1, 0};
        if (i % 2) {
            call_start(&calls[i]);
        } else {
            CHECK_OK(cease_group_go(g, call_task, &calls[i]));
        }
        CHECK_EVENTUALLY(waiting(ch, true) == (size_t)i + 1);
    }
    for (int i = 0; i <= N; i++) {
        int v = -1;
        CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
        CHECK_EQ(v, i);
    }
    for (int i = 1; i < N; i += 2) {
        call_join(&calls[i]);
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < N; i++) {
        CHECK_OK(calls[i].result);
    }
    cease_chan_unref(ch);
}

static void close_wakes(bool senders)
{
    enum { N = 6 };
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    struct call calls[N];
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < N; i++) {
        calls[i] = (struct call){cease_background(), ch, senders, 5, 1, 0};
        if (i % 2) {
            call_start(&calls[i]);
        } else {
            CHECK_OK(cease_group_go(g, call_task, &calls[i]));
        }
    }
    CHECK_EVENTUALLY(waiting(ch, senders) == N);
    cease_chan_close(ch);
    for (int i = 1; i < N; i += 2) {
        call_join(&calls[i]);
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < N; i++) {
        CHECK_ERR(calls[i].result, CEASE_ECLOSED);
        CHECK_EQ(calls[i].value, 5);
    }
    cease_chan_unref(ch);
}

TEST(chan_close_wakes_every_sender)
{
    close_wakes(true);
}

TEST(chan_close_wakes_every_receiver)
{
    close_wakes(false);
}

TEST(chan_cancel_takes_only_its_own_waiter_away)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    struct call calls[3];
    cease_canceler *stops[3];
    for (int i = 0; i < 3; i++) {
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stops[i]);
        calls[i] = (struct call){ctx, ch, true, i, 1, 0};
        call_start(&calls[i]);
        CHECK_EVENTUALLY(waiting(ch, true) == (size_t)i + 1);
    }
    cease_cancel(stops[1]); /* from the middle of the queue */
    call_join(&calls[1]);
    CHECK_ERR(calls[1].result, CEASE_ECANCELED);
    CHECK_EQ(waiting(ch, true), 2);
    int v = -1;
    CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
    CHECK_EQ(v, 0);
    CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
    CHECK_EQ(v, 2);
    call_join(&calls[0]);
    call_join(&calls[2]);
    for (int i = 0; i < 3; i++) {
        cease_end(stops[i]);
    }
    cease_chan_unref(ch);
}

TEST(chan_deadline_ends_a_wait_with_its_own_error)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    int v = 9;
    CHECK_ERR(cease_chan_recv(ctx, ch, &v), CEASE_EDEADLINE);
    CHECK_EQ(v, 9);
    CHECK_EQ(waiting(ch, false), 0);
    cease_end(stop);
    cease_chan_unref(ch);
}

static void try_in_callback(void *arg)
{
    cease_chan *ch = arg;
    CHECK_OK(cease_chan_try_send(ch, &(int){3}));
    cease_chan_close(ch);
}

TEST(chan_try_and_close_are_allowed_in_a_callback)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_chan *ch = cease_chan_new(sizeof(int), 1);
    cease_watch w = {0};
    CHECK(cease_watch_add(&w, ctx, try_in_callback, ch));
    cease_end(stop);
    int v;
    CHECK_OK(cease_chan_recv(cease_background(), ch, &v));
    CHECK_EQ(v, 3);
    CHECK_ERR(cease_chan_recv(cease_background(), ch, &v), CEASE_ECLOSED);
    cease_chan_unref(ch);
}

static void park_in_callback(void *arg)
{
    (void)cease_chan_recv(cease_background(), arg, &(int){0});
}

TEST_ABORTS(chan_recv_that_parks_in_a_callback_aborts, "chan_test.c")
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch w = {0};
    cease_watch_add(&w, ctx, park_in_callback, cease_chan_new(sizeof(int), 0));
    cease_cancel(stop);
}

/* ---- storms: every value is accounted for
 * -------------------------------------------------------- */

enum { STORM_PAIRS = 3 };

struct storm {
    cease_chan *ch;
    int rounds;
    uint64_t sent, received; /* atomic: sums of the values */
    uint64_t sent_count, received_count, cut_count;
    uint32_t seed;
};

struct racer {
    struct storm *storm;
    bool sends;
    uint32_t seed;
    pthread_t thread;
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static cease_error cancel_soon(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_yield();
    cease_end(arg);
    return CEASE_OK;
}

/* Each operation under a context of its own that somebody else cancels around the same time. */
static cease_error race(cease_ctx *ctx, void *arg)
{
    struct racer *r = arg;
    struct storm *s = r->storm;
    (void)ctx;
    for (int i = 0; i < s->rounds; i++) {
        cease_canceler *stop;
        cease_ctx *own = cease_with_cancel(cease_background(), &stop);
        cease_ref(own);
        switch (next_random(&r->seed) % 3) {
        case 0:
            CHECK_OK(cease_go(cease_background(), cancel_soon, stop));
            stop = NULL;
            break;
        case 1:
            cease_end(stop);
            stop = NULL;
            break;
        default:
            break;
        }
        uint64_t v = next_random(&r->seed);
        cease_error e =
            r->sends ? cease_chan_send(own, s->ch, &v) : cease_chan_recv(own, s->ch, &v);
        if (e == CEASE_OK) {
            ceasei_add(r->sends ? &s->sent : &s->received, v, RELAXED);
            ceasei_add(r->sends ? &s->sent_count : &s->received_count, 1, RELAXED);
        } else {
            CHECK(e == CEASE_ECANCELED || e == CEASE_ECLOSED);
            ceasei_add(&s->cut_count, 1, RELAXED);
        }
        cease_end(stop);
        cease_unref(own);
        if (e == CEASE_ECLOSED) {
            break;
        }
    }
    return CEASE_OK;
}

static void *race_thread(void *arg)
{
    (void)race(cease_background(), arg);
    return NULL;
}

/* Waits until only waiters are left over, then closes; what is inside then is received. */
static void storm(size_t capacity, bool threads, bool tasks, bool close_early)
{
    struct storm s = {.ch = cease_chan_new(sizeof(uint64_t), capacity),
                      .rounds = harness_is_slow() ? 150 : 2000};
    struct racer racers[4 * STORM_PAIRS] = {0};
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 4 * STORM_PAIRS; i++) {
        racers[i] = (struct racer){&s, i % 2 == 0, (uint32_t)i * 77u + 5u, 0};
        bool is_task = tasks && (!threads || i < 2 * STORM_PAIRS);
        if (is_task) {
            CHECK_OK(cease_group_go(g, race, &racers[i]));
        } else {
            CHECK_EQ(pthread_create(&racers[i].thread, NULL, race_thread, &racers[i]), 0);
        }
    }
    /* The early close hits the middle of it; else only those are left that nobody would wake. */
    int enough = close_early ? s.rounds : 4 * STORM_PAIRS * s.rounds / 10;
    CHECK_EVENTUALLY(ceasei_load(&s.cut_count, RELAXED) + ceasei_load(&s.sent_count, RELAXED) +
                         ceasei_load(&s.received_count, RELAXED) >=
                     (uint64_t)enough);
    if (!close_early) {
        /* No operation can be left uncut for ever: help both sides until the racers are through. */
        uint64_t v = 1;
        for (int i = 0; i < s.rounds; i++) {
            if (cease_chan_try_send(s.ch, &v) == CEASE_OK) {
                ceasei_add(&s.sent, v, RELAXED);
            }
            uint64_t got;
            if (cease_chan_try_recv(s.ch, &got) == CEASE_OK) {
                ceasei_add(&s.received, got, RELAXED);
            }
        }
    }
    cease_chan_close(s.ch);
    for (int i = 0; i < 4 * STORM_PAIRS; i++) {
        if (racers[i].thread) {
            CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
        }
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    uint64_t v;
    while (cease_chan_try_recv(s.ch, &v) == CEASE_OK) {
        s.received += v;
    }
    CHECK_EQ(s.sent, s.received);
    CHECK(s.cut_count > 0);
    CHECK_EQ(waiting(s.ch, true), 0);
    CHECK_EQ(waiting(s.ch, false), 0);
    cease_chan_unref(s.ch);
    /* Cancellers are detached: they are the process's last tasks. */
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

TEST(chan_cancel_storm_of_threads_loses_nothing_unbuffered)
{
    storm(0, true, false, false);
}

TEST(chan_cancel_storm_of_threads_loses_nothing_buffered)
{
    storm(3, true, false, false);
}

TEST(chan_cancel_storm_of_tasks_loses_nothing_unbuffered)
{
    storm(0, false, true, false);
}

TEST(chan_cancel_storm_of_tasks_loses_nothing_buffered)
{
    storm(3, false, true, false);
}

TEST(chan_cancel_storm_of_both_loses_nothing_unbuffered)
{
    storm(0, true, true, false);
}

TEST(chan_close_in_a_storm_of_both_loses_nothing)
{
    storm(0, true, true, true);
    storm(2, true, true, true);
}

/* ---- one worker's own, and then everybody's
 * -------------------------------------------------------------------------------------------- */

enum { OWN_TOUCHES = 600, SENDERS = 4, SENT_BY_EACH = 300 };

struct takeover {
    cease_chan *ch;
    bool select;
    uint64_t sum;
};

static cease_error send_many(cease_ctx *ctx, void *arg)
{
    struct takeover *t = arg;
    size_t fired;
    for (uint64_t i = 1; i <= SENT_BY_EACH; i++) {
        cease_case one = CEASE_SEND(t->ch, &i);
        CHECK_OK(t->select ? cease_select(ctx, &one, 1, &fired) : cease_chan_send(ctx, t->ch, &i));
    }
    return CEASE_OK;
}

static void *send_many_thread(void *arg)
{
    (void)send_many(cease_background(), arg);
    return NULL;
}

/* Used by this task alone for so long that its worker need not lock it any more; in the middle of that
 * others come, from a thread, from this worker and, while it is busy, from others. */
static cease_error use_alone_then_with_others(cease_ctx *ctx, void *arg)
{
    struct takeover *t = arg;
    pthread_t thread;
    uint64_t value = 7, all = SENDERS * SENT_BY_EACH;
    for (int i = 0; i < OWN_TOUCHES; i++) {
        CHECK_OK(cease_chan_send(ctx, t->ch, &value));
        CHECK_OK(cease_chan_recv(ctx, t->ch, &value));
    }
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_EQ(pthread_create(&thread, NULL, send_many_thread, t), 0);
    for (int i = 1; i < SENDERS; i++) {
        CHECK_OK(cease_group_go(g, send_many, t));
    }
    for (uint64_t i = 0; i < all; i++) {
        size_t fired;
        cease_case one = CEASE_RECV(t->ch, &value);
        CHECK_OK(t->select ? cease_select(ctx, &one, 1, &fired)
                           : cease_chan_recv(ctx, t->ch, &value));
        t->sum += value;
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return CEASE_OK;
}

static void take_over(size_t capacity, bool select)
{
    for (int round = 0; round < (harness_is_slow() ? 5 : 30); round++) {
        struct takeover t = {.ch = cease_chan_new(sizeof(uint64_t), capacity), .select = select};
        cease_group *g = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(g, use_alone_then_with_others, &t));
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
        CHECK_EQ(t.sum, (uint64_t)SENDERS * SENT_BY_EACH * (SENT_BY_EACH + 1) / 2);
        cease_chan_unref(t.ch);
    }
}

TEST(chan_of_one_worker_is_taken_over_by_others_without_loss)
{
    take_over(1, false);
    take_over(64, false);
}

TEST(chan_of_one_worker_is_taken_over_by_selects_without_loss)
{
    take_over(1, true);
    take_over(64, true);
}

/* ---- tasks
 * -------------------------------------------------------------------------------------------- */

struct pipe {
    cease_chan *in, *out;
    int rounds;
};

static cease_error forward(cease_ctx *ctx, void *arg)
{
    struct pipe *p = arg;
    int v;
    cease_error e;
    while ((e = cease_chan_recv(ctx, p->in, &v)) == CEASE_OK) {
        v++;
        e = cease_chan_send(ctx, p->out, &v);
        if (e) {
            return e;
        }
    }
    cease_chan_close(p->out);
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

TEST(chan_pipeline_of_tasks_delivers_all_in_order)
{
    enum { STAGES = 20 };
    cease_chan *ch[STAGES + 1];
    struct pipe pipes[STAGES];
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i <= STAGES; i++) {
        ch[i] = cease_chan_new(sizeof(int), (size_t)(i % 3));
    }
    for (int i = 0; i < STAGES; i++) {
        pipes[i] = (struct pipe){ch[i], ch[i + 1], 0};
        CHECK_OK(cease_group_go(g, forward, &pipes[i]));
    }
    int got = 0, rounds = 500, sent = 0;
    while (got < rounds) { /* one thread at both ends: must not wait for itself */
        if (sent < rounds && cease_chan_try_send(ch[0], &sent) == CEASE_OK && ++sent == rounds) {
            cease_chan_close(ch[0]);
        }
        int v;
        if (cease_chan_try_recv(ch[STAGES], &v) == CEASE_OK) {
            CHECK_EQ(v, got + STAGES);
            got++;
        } else {
            harness_pause();
        }
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i <= STAGES; i++) {
        cease_chan_unref(ch[i]);
    }
}

TEST(chan_group_stop_ends_tasks_parked_in_channels)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    struct pipe p = {ch, ch, 0};
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_group_go(g, forward, &p));
    }
    CHECK_EVENTUALLY(waiting(ch, false) == 100);
    CHECK_OK(cease_group_stop(g));
    CHECK_EQ(waiting(ch, false), 0);
    cease_group_free(g);
    cease_chan_unref(ch);
}

TEST(chan_new_without_memory_gives_null)
{
    if (!harness_heap_is_ours()) {
        SKIP("malloc is the sanitizer's");
    }
    harness_fail_alloc(1);
    CHECK_PTR(cease_chan_new(8, 8), NULL);
    CHECK(harness_alloc_failed());
    harness_fail_alloc(0);
}
