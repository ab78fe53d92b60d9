/* SPDX-License-Identifier: MIT
 *
 * Out to break select: two cases that both fire, a value that moves although its case did not fire,
 * a case that is starved, a waiter left in the queue of a channel that did not serve it, two selects
 * that wait for each other's locks or serve each other twice, a select that meets itself.
 */
#include "harness.h"

#include "runtime/chan.h"

#include <cease/cease.h>
#include <cease/select.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

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

TEST(select_takes_the_default_only_when_nothing_is_ready)
{
    cease_chan *a = cease_chan_new(sizeof(int), 1), *b = cease_chan_new(sizeof(int), 0);
    int in = 7, out = 0;
    size_t i = 99;
    cease_case cases[] = {CEASE_RECV(a, &out), CEASE_SEND(b, &in), CEASE_DEFAULT};
    CHECK_OK(cease_select(root(), cases, 3, &i));
    CHECK_EQ(i, 2);
    CHECK_EQ(out, 0);
    CHECK_OK(cease_chan_try_send(a, &in));
    CHECK_OK(cease_select(root(), cases, 3, &i));
    CHECK_EQ(i, 0);
    CHECK_OK(cases[0].result);
    CHECK_EQ(out, 7);
    cease_chan_unref(a);
    cease_chan_unref(b);
}

TEST(select_refuses_what_makes_no_sense)
{
    cease_case cases[CEASE_SELECT_MAX + 1] = {CEASE_DEFAULT, CEASE_DEFAULT};
    size_t i = 99;
    CHECK_ERR(cease_select(root(), cases, 2, &i), CEASE_EINVAL);
    CHECK_ERR(cease_select(root(), cases, CEASE_SELECT_MAX + 1, &i), CEASE_EINVAL);
    cases[1].kind = (cease_case_kind)77;
    CHECK_ERR(cease_select(root(), cases, 2, &i), CEASE_EINVAL);
    cases[1] = (cease_case)CEASE_ENDED(NULL);
    CHECK_ERR(cease_select(root(), cases, 2, &i), CEASE_EINVAL);
    CHECK_EQ(i, 99);
}

TEST(select_looks_at_its_own_context_first)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    cease_chan *a = cease_chan_new(sizeof(int), 1);
    int v = 1;
    size_t i = 99;
    CHECK_OK(cease_chan_try_send(a, &v));
    cease_case cases[] = {CEASE_RECV(a, &v), CEASE_DEFAULT};
    cease_cancel(stop);
    CHECK_ERR(cease_select(ctx, cases, 2, &i), CEASE_ECANCELED);
    CHECK_EQ(i, 99);
    CHECK_OK(cease_chan_try_recv(a, &v)); /* still there */
    cease_end(stop);
    cease_chan_unref(a);
}

TEST(select_nil_cases_never_fire)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(2), &stop);
    size_t i = 99;
    cease_case cases[] = {CEASE_NIL, CEASE_RECV(NULL, NULL), CEASE_SEND(NULL, NULL)};
    CHECK_ERR(cease_select(ctx, cases, 3, &i), CEASE_EDEADLINE);
    cease_end(stop);
    ctx = cease_with_timeout(root(), cease_ms(2), &stop);
    CHECK_ERR(cease_select(ctx, NULL, 0, &i), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_EQ(i, 99);
}

TEST(select_closed_channels_fire_with_eclosed)
{
    cease_chan *a = cease_chan_new(sizeof(int), 0);
    int v = 5;
    size_t i = 99;
    cease_chan_close(a);
    cease_case recv[] = {CEASE_RECV(a, &v)}, send[] = {CEASE_SEND(a, &v)};
    CHECK_OK(cease_select(root(), recv, 1, &i));
    CHECK_ERR(recv[0].result, CEASE_ECLOSED);
    CHECK_OK(cease_select(root(), send, 1, &i));
    CHECK_ERR(send[0].result, CEASE_ECLOSED);
    CHECK_EQ(v, 5);
    cease_chan_unref(a);
}

TEST(select_among_the_ready_starves_none)
{
    enum { N = 4, ROUNDS = 4000 };
    cease_chan *ch[N];
    int v = 0, fired[N] = {0};
    cease_case cases[N];
    for (int k = 0; k < N; k++) {
        ch[k] = cease_chan_new(sizeof(int), 1);
        CHECK_OK(cease_chan_try_send(ch[k], &v));
        cases[k] = (cease_case)CEASE_RECV(ch[k], &v);
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t i;
        CHECK_OK(cease_select(root(), cases, N, &i));
        fired[i]++;
        CHECK_OK(cease_chan_try_send(ch[i], &v));
    }
    for (int k = 0; k < N; k++) { /* a fair one is within 5 sigma of 1000 by far */
        CHECK(fired[k] > ROUNDS / N * 3 / 4);
        cease_chan_unref(ch[k]);
    }
}

struct waiter {
    cease_ctx *ctx;
    cease_case *cases;
    size_t count, index;
    cease_error result;
    pthread_t thread;
};

static void *waiter_run(void *arg)
{
    struct waiter *w = arg;
    w->result = cease_select(w->ctx, w->cases, w->count, &w->index);
    return NULL;
}

static void waiter_start(struct waiter *w)
{
    w->index = 99;
    CHECK_EQ(pthread_create(&w->thread, NULL, waiter_run, w), 0);
}

/* Parks on many channels at once, is served by one, and is in no queue afterwards. */
static void served_by(int which, size_t count)
{
    cease_chan *ch[CEASE_SELECT_MAX];
    cease_case cases[CEASE_SELECT_MAX];
    int values[CEASE_SELECT_MAX];
    for (size_t k = 0; k < count; k++) {
        ch[k] = cease_chan_new(sizeof(int), 0);
        values[k] = (int)k;
        cases[k] = k % 2 ? (cease_case)CEASE_SEND(ch[k], &values[k])
                         : (cease_case)CEASE_RECV(ch[k], &values[k]);
    }
    struct waiter w = {.ctx = root(), .cases = cases, .count = count};
    waiter_start(&w);
    for (size_t k = 0; k < count; k++) {
        CHECK_EVENTUALLY(waiting(ch[k], k % 2) == 1);
    }
    int v = 1000;
    if (which % 2) {
        CHECK_OK(cease_chan_recv(root(), ch[which], &v));
        CHECK_EQ(v, which);
    } else {
        CHECK_OK(cease_chan_send(root(), ch[which], &v));
    }
    pthread_join(w.thread, NULL);
    CHECK_OK(w.result);
    CHECK_EQ(w.index, which);
    CHECK_OK(cases[which].result);
    CHECK_EQ(values[which], which % 2 ? which : 1000);
    for (size_t k = 0; k < count; k++) {
        CHECK_EQ(waiting(ch[k], k % 2), 0);
        CHECK_EQ(values[k], k == (size_t)which ? values[k] : (int)k);
        cease_chan_unref(ch[k]);
    }
}

TEST(select_parked_is_served_once_and_leaves_every_queue)
{
    served_by(0, 2);
    served_by(1, 2);
    served_by(7, 8);
    served_by(8, 9); /* the big frame */
    served_by(63, CEASE_SELECT_MAX);
}

TEST(select_parked_is_woken_by_close_by_its_context_and_by_another)
{
    cease_chan *a = cease_chan_new(0, 0), *b = cease_chan_new(0, 0);
    for (int how = 0; how < 3; how++) {
        cease_canceler *stop, *stop_other;
        cease_ctx *ctx = cease_with_cancel(root(), &stop);
        cease_ctx *other = cease_with_cancel(root(), &stop_other);
        cease_case cases[] = {CEASE_RECV(a, NULL), CEASE_SEND(b, NULL), CEASE_ENDED(other)};
        struct waiter w = {.ctx = ctx, .cases = cases, .count = 3};
        waiter_start(&w);
        CHECK_EVENTUALLY(waiting(b, true) == 1);
        if (how == 0) {
            cease_cancel(stop);
        } else if (how == 1) {
            cease_cancel(stop_other);
        } else {
            cease_chan_close(b);
        }
        pthread_join(w.thread, NULL);
        CHECK_ERR(w.result, how == 0 ? CEASE_ECANCELED : CEASE_OK);
        CHECK_EQ(w.index, how == 0 ? 99 : how == 1 ? 2 : 1);
        CHECK_ERR(cases[1].result, how == 2 ? CEASE_ECLOSED : CEASE_OK);
        CHECK_ERR(cases[2].result, how == 1 ? CEASE_ECANCELED : CEASE_OK);
        CHECK_EQ(waiting(a, false) + waiting(b, true), 0);
        cease_end(stop);
        cease_end(stop_other);
    }
    cease_chan_unref(a);
    cease_chan_unref(b);
}

TEST(select_does_not_meet_itself_on_one_channel)
{
    cease_chan *a = cease_chan_new(sizeof(int), 0);
    int out = 1, in = 2, second = 3;
    cease_case cases[] = {CEASE_SEND(a, &out), CEASE_RECV(a, &in), CEASE_RECV(a, &second)};
    struct waiter w = {.ctx = root(), .cases = cases, .count = 3};
    waiter_start(&w);
    CHECK_EVENTUALLY(waiting(a, true) == 1 && waiting(a, false) == 2);
    CHECK_OK(cease_chan_send(root(), a, &(int){9}));
    pthread_join(w.thread, NULL);
    CHECK_OK(w.result);
    CHECK(w.index == 1 || w.index == 2); /* which of the two is drawn */
    CHECK_EQ(in, w.index == 1 ? 9 : 2);
    CHECK_EQ(second, w.index == 2 ? 9 : 3);
    CHECK_EQ(waiting(a, true) + waiting(a, false), 0);
    cease_chan_unref(a);
}

/* ---- a storm: selects against selects, cancels and plain calls --------------------------------- */

enum { CHANS = 4, RACERS = 6 };

struct storm {
    cease_chan *ch[CHANS];
    int rounds;
    uint64_t sent, received, fired, cut; /* atomic */
};

struct racer {
    struct storm *storm;
    uint32_t seed;
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

static cease_error race(cease_ctx *ctx, void *arg)
{
    struct racer *r = arg;
    struct storm *s = r->storm;
    (void)ctx;
    for (int round = 0; round < s->rounds; round++) {
        cease_canceler *stop;
        cease_ctx *own = cease_ref(cease_with_cancel(root(), &stop));
        bool cancels = next_random(&r->seed) % 2;
        if (cancels) {
            CHECK_OK(cease_go(root(), cancel_soon, stop));
        }
        uint64_t out[CHANS], in[CHANS];
        cease_case cases[CHANS];
        for (size_t k = 0; k < CHANS; k++) { /* every racer in another order */
            size_t at = (k + r->seed) % CHANS;
            out[k] = next_random(&r->seed);
            in[k] = 0;
            cases[k] = next_random(&r->seed) % 2 ? (cease_case)CEASE_SEND(s->ch[at], &out[k])
                                                 : (cease_case)CEASE_RECV(s->ch[at], &in[k]);
        }
        size_t i = 0;
        cease_error e = cease_select(own, cases, CHANS, &i);
        for (size_t k = 0; k < CHANS; k++) { /* no other case has received */
            CHECK(in[k] == 0 || (e == CEASE_OK && k == i && cases[k].result == CEASE_OK));
        }
        if (e == CEASE_OK && cases[i].result == CEASE_OK) {
            bool sends = cases[i].kind == CEASE_CASE_SEND;
            ceasei_add(sends ? &s->sent : &s->received, sends ? out[i] : in[i], RELAXED);
            ceasei_add(&s->fired, 1, RELAXED);
        } else {
            ceasei_add(&s->cut, 1, RELAXED);
        }
        cease_end(cancels ? NULL : stop);
        cease_unref(own);
        if (e == CEASE_OK && cases[i].result == CEASE_ECLOSED) {
            break;
        }
    }
    return CEASE_OK;
}

static void *race_thread(void *arg)
{
    CHECK_OK(race(NULL, arg));
    return NULL;
}

static void storm(size_t capacity)
{
    struct storm s = {.rounds = harness_is_slow() ? 200 : 3000};
    for (int k = 0; k < CHANS; k++) {
        s.ch[k] = cease_chan_new(sizeof(uint64_t), capacity);
    }
    struct racer racers[RACERS];
    pthread_t threads[RACERS / 2];
    cease_group *g = cease_group_new(root(), NULL);
    for (uint32_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){&s, i * 97 + 13};
        if (i % 2) {
            CHECK_EQ(pthread_create(&threads[i / 2], NULL, race_thread, &racers[i]), 0);
        } else {
            CHECK_OK(cease_group_go(g, race, &racers[i]));
        }
    }
    CHECK_EVENTUALLY(ceasei_load(&s.fired, RELAXED) + ceasei_load(&s.cut, RELAXED) >=
                     (uint64_t)s.rounds * RACERS / 2);
    for (int k = 0; k < CHANS; k++) {
        cease_chan_close(s.ch[k]);
    }
    for (int i = 0; i < RACERS / 2; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int k = 0; k < CHANS; k++) {
        uint64_t v;
        while (cease_chan_try_recv(s.ch[k], &v) == CEASE_OK) {
            s.received += v;
        }
        CHECK_EQ(waiting(s.ch[k], true) + waiting(s.ch[k], false), 0);
        cease_chan_unref(s.ch[k]);
    }
    CHECK_EQ(s.sent, s.received);
    CHECK(s.fired > 0);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

TEST(select_storm_loses_nothing_unbuffered)
{
    storm(0);
}

TEST(select_storm_loses_nothing_buffered)
{
    storm(2);
}

/* ---- channels that are their worker's own: a way of its own through the same steps -------------- */

/* One that is the calling task's worker's, where the kernel makes that possible. */
static cease_chan *own_chan(size_t capacity)
{
    cease_chan *ch = cease_chan_new(sizeof(int), capacity);
    for (int i = 0; i < CEASEI_BIAS_AFTER + 2; i++) {
        (void)cease_chan_length(ch);
    }
    long possible = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (possible > 0 && (possible & MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
        CHECK(ch->lock.owner != 0);
    }
    return ch;
}

/* What another task of the worker does while the select is parked. */
struct peer {
    enum { PEER_SENDS, PEER_RECEIVES, PEER_CLOSES, PEER_CANCELS } does;
    cease_chan *ch;
    int value;
    cease_canceler *stop;
};

static cease_error peer_run(cease_ctx *ctx, void *arg)
{
    struct peer *p = arg;
    if (p->does == PEER_SENDS) {
        CHECK_OK(cease_chan_send(ctx, p->ch, &p->value));
    } else if (p->does == PEER_RECEIVES) {
        CHECK_OK(cease_chan_recv(ctx, p->ch, &p->value));
    } else if (p->does == PEER_CLOSES) {
        cease_chan_close(p->ch);
    } else {
        cease_cancel(p->stop);
    }
    return CEASE_OK;
}

/* Selects beside a peer, and leaves nothing in a queue. Which case fired; 99: none. */
static size_t select_beside(struct peer *p, cease_ctx *ctx, cease_case *cases, size_t count)
{
    size_t i = 99;
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, peer_run, p));
    cease_error e = cease_select(ctx, cases, count, &i);
    CHECK_ERR(e, i == 99 ? CEASE_ECANCELED : CEASE_OK);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (size_t k = 0; k < count; k++) {
        CHECK(!cases[k].ch || (!cases[k].ch->receivers.first && !cases[k].ch->senders.first));
    }
    return i;
}

static cease_error own_without_parking(cease_ctx *ctx, void *unused)
{
    (void)unused;
    cease_chan *a = own_chan(1), *b = own_chan(1);
    int in = 7, out = 0, fired[2] = {0};
    size_t i = 99;
    cease_case cases[] = {CEASE_NIL, CEASE_RECV(a, &out), CEASE_SEND(NULL, &in), CEASE_DEFAULT,
                          CEASE_RECV(b, &out)};
    CHECK_OK(cease_select(ctx, cases, 5, &i));
    CHECK_EQ(i, 3);
    CHECK_EQ(out, 0);
    CHECK_OK(cease_chan_try_send(b, &in));
    CHECK_OK(cease_select(ctx, cases, 5, &i));
    CHECK_EQ(i, 4);
    CHECK_EQ(out, 7);
    for (int round = 0; round < 200; round++) { /* both are ready */
        (void)cease_chan_try_send(a, &in);
        (void)cease_chan_try_send(b, &in);
        CHECK_OK(cease_select(ctx, cases, 5, &i));
        CHECK(i == 1 || i == 4);
        fired[i == 4]++;
    }
    CHECK(fired[0] > 50 && fired[1] > 50);
    cases[0] = (cease_case)CEASE_DEFAULT;
    CHECK_ERR(cease_select(ctx, cases, 5, &i), CEASE_EINVAL);
    cases[0] = (cease_case)CEASE_ENDED(NULL);
    CHECK_ERR(cease_select(ctx, cases, 5, &i), CEASE_EINVAL);
    cases[0].kind = (cease_case_kind)77;
    CHECK_ERR(cease_select(ctx, cases, 5, &i), CEASE_EINVAL);
    cease_chan_unref(a);
    cease_chan_unref(b);
    return CEASE_OK;
}

static cease_error own_parked(cease_ctx *unused, void *arg)
{
    (void)unused;
    (void)arg;
    cease_chan *a = own_chan(0), *b = own_chan(0);
    int in = 0, again = 0, out = 5;
    cease_case cases[] = {CEASE_RECV(a, &in), CEASE_SEND(b, &out), CEASE_RECV(a, &again),
                          CEASE_SEND(a, &out)};
    int first = 0;
    for (int round = 1; round <= 100; round++) { /* a stands there twice, and with its other side */
        struct peer sends = {.does = PEER_SENDS, .ch = a, .value = round};
        size_t i = select_beside(&sends, root(), cases, 4);
        CHECK(i == 0 || i == 2);
        CHECK_EQ(i == 0 ? in : again, round);
        first += i == 0;
    }
    CHECK(first > 20 && first < 80);
    struct peer receives = {.does = PEER_RECEIVES, .ch = b};
    CHECK_EQ(select_beside(&receives, root(), cases, 3), 1);
    CHECK_EQ(receives.value, 5);
    for (int how = 0; how < 2; how++) { /* its own context, and another */
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(root(), &stop);
        struct peer cancels = {.does = PEER_CANCELS, .stop = stop};
        cases[3] = (cease_case)CEASE_ENDED(ctx);
        CHECK_EQ(select_beside(&cancels, how ? root() : ctx, cases, how ? 4 : 3), how ? 3 : 99);
        if (how) {
            CHECK_ERR(cases[3].result, CEASE_ECANCELED);
            size_t i;
            CHECK_OK(cease_select(root(), cases, 4, &i)); /* it has ended before */
            CHECK_EQ(i, 3);
        }
        cease_end(stop);
    }
    struct peer closes = {.does = PEER_CLOSES, .ch = b};
    CHECK_EQ(select_beside(&closes, root(), cases, 3), 1);
    CHECK_ERR(cases[1].result, CEASE_ECLOSED);
    CHECK_EQ(select_beside(&closes, root(), cases, 3), 1); /* closed before */
    CHECK_ERR(cases[1].result, CEASE_ECLOSED);
    cease_chan_unref(a);
    cease_chan_unref(b);
    return CEASE_OK;
}

static void run_on_one_worker(cease_task_fn *fn)
{
    CHECK_EQ(setenv("CEASE_WORKERS", "1", 1), 0);
    harness_mark(); /* libc keeps the string */
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, fn, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(select_of_its_workers_own_channels_without_parking)
{
    run_on_one_worker(own_without_parking);
}

TEST(select_of_its_workers_own_channels_parked)
{
    run_on_one_worker(own_parked);
}
