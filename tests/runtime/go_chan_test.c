/* SPDX-License-Identifier: MIT
 *
 * What Go's own tests try to break in channels and select (test/chan/, runtime/chan_test.go), tried here, and each
 * in four mixes: tasks on one worker, tasks on four, plain threads, tasks and threads by turns. The table in
 * tests/README.md says which case stands for which of Go's.
 *
 * Where Go's tests sleep "to make sure" that somebody waits, these look into the channel's queue.
 */
#include "harness.h"

#include "base/atomic.h"
#include "runtime/chan.h"

#include <cease/cease.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- crews ---------------------------------------------------------------------------------------- */

enum mix { ONE_WORKER, FOUR_WORKERS, THREADS, BOTH, MIXES };

enum { HANDS = 64 };

/* Those who run at once in a case. */
struct crew {
    enum mix mix;
    cease_group *group;
    struct hand {
        void (*fn)(void *arg);
        void *arg;
        pthread_t thread;
        bool is_thread;
    } hands[HANDS];
    int count;
};

static cease_ctx *ctx(void)
{
    return cease_background();
}

static void *hand_thread(void *arg)
{
    struct hand *h = arg;
    h->fn(h->arg);
    return NULL;
}

static cease_error hand_task(cease_ctx *own, void *arg)
{
    (void)own;
    (void)hand_thread(arg);
    return CEASE_OK;
}

static void go(struct crew *crew, void (*fn)(void *arg), void *arg)
{
    struct hand *h = &crew->hands[crew->count++];
    CHECK(crew->count <= HANDS);
    *h = (struct hand){.fn = fn, .arg = arg};
    h->is_thread = crew->mix == THREADS || (crew->mix == BOTH && crew->count % 2);
    if (h->is_thread) {
        CHECK_EQ(pthread_create(&h->thread, NULL, hand_thread, h), 0);
    } else {
        CHECK_OK(cease_group_go(crew->group, hand_task, h));
    }
}

static void join(struct crew *crew)
{
    for (int i = 0; i < crew->count; i++) {
        if (crew->hands[i].is_thread) {
            CHECK_EQ(pthread_join(crew->hands[i].thread, NULL), 0);
        }
    }
    CHECK_OK(cease_group_wait(crew->group));
    cease_group_free(crew->group);
    crew->group = cease_group_new(ctx(), NULL);
    crew->count = 0;
}

struct leader {
    void (*body)(struct crew *crew);
    struct crew *crew;
};

static void lead(void *arg)
{
    struct leader *l = arg;
    l->body(l->crew);
}

/* The case's main part is a task or a thread like the others. */
static void in_every_mix(void (*body)(struct crew *crew))
{
    for (enum mix mix = ONE_WORKER; mix < MIXES; mix++) {
        cease_runtime_opts opts = {.size = sizeof opts, .workers = mix == ONE_WORKER ? 1 : 4};
        CHECK_OK(cease_runtime_stop());
        CHECK_OK(cease_runtime_configure(&opts));
        struct crew leaders = {.mix = mix, .group = cease_group_new(ctx(), NULL)};
        struct crew crew = {.mix = mix, .group = cease_group_new(ctx(), NULL)};
        struct leader l = {body, &crew};
        go(&leaders, lead, &l);
        join(&leaders);
        join(&crew);
        cease_group_free(leaders.group);
        cease_group_free(crew.group);
    }
}

/* ---- short forms ------------------------------------------------------------------------------------- */

static cease_chan *make(size_t capacity)
{
    cease_chan *ch = cease_chan_new(sizeof(int), capacity);
    CHECK(ch != NULL);
    return ch;
}

static void send(cease_chan *ch, int v)
{
    CHECK_OK(cease_chan_send(ctx(), ch, &v));
}

static int recv(cease_chan *ch)
{
    int v = -1;
    CHECK_OK(cease_chan_recv(ctx(), ch, &v));
    return v;
}

static void until_waiting(cease_chan *ch, bool senders, size_t wanted)
{
    for (;;) {
        size_t n = 0;
        uintptr_t *hold = ceasei_bias_lock(&ch->lock);
        for (struct ceasei_chan_node *i = senders ? ch->senders.first : ch->receivers.first; i;
             i = i->next) {
            n++;
        }
        ceasei_bias_unlock(&ch->lock, hold);
        if (n == wanted) {
            return;
        }
        cease_yield();
    }
}

/* A select; which case fired. */
static size_t choose(cease_case *cases, size_t count)
{
    size_t fired = 99;
    CHECK_OK(cease_select(ctx(), cases, count, &fired));
    return fired;
}

static bool would_block_recv(cease_chan *ch)
{
    int v;
    cease_case cases[] = {CEASE_RECV(ch, &v), CEASE_DEFAULT};
    return choose(cases, 2) == 1 && cease_chan_try_recv(ch, &v) == CEASE_EAGAIN;
}

static bool would_block_send(cease_chan *ch)
{
    int v = 0;
    cease_case cases[] = {CEASE_SEND(ch, &v), CEASE_DEFAULT};
    return choose(cases, 2) == 1 && cease_chan_try_send(ch, &v) == CEASE_EAGAIN;
}

static int rounds(int n)
{
    return harness_is_slow() ? n / 20 + 1 : n;
}

static const size_t capacities[] = {0, 1, 2, 3, 10, 19};
#define EACH_CAPACITY(c) \
    for (const size_t *c = capacities; c < capacities + sizeof capacities / sizeof *capacities; c++)

/* ---- TestChan ------------------------------------------------------------------------------------------ */

static void recv_one(void *arg)
{
    (void)recv(arg);
}

static void empty_blocks(struct crew *crew)
{
    EACH_CAPACITY(capacity)
    {
        cease_chan *ch = make(*capacity);
        go(crew, recv_one, ch);
        go(crew, recv_one, ch);
        until_waiting(ch, false, 2);
        CHECK(would_block_recv(ch));
        send(ch, 0);
        send(ch, 0);
        join(crew);
        cease_chan_unref(ch);
    }
}

TEST(go_chan_receivers_of_an_empty_one_wait)
{
    in_every_mix(empty_blocks);
}

static void send_zero(void *arg)
{
    send(arg, 0);
}

static void full_blocks(struct crew *crew)
{
    EACH_CAPACITY(capacity)
    {
        cease_chan *ch = make(*capacity);
        for (size_t i = 0; i < *capacity; i++) {
            send(ch, (int)i);
        }
        go(crew, send_zero, ch);
        until_waiting(ch, true, 1);
        CHECK(would_block_send(ch));
        CHECK_EQ(recv(ch), 0);
        join(crew);
        cease_chan_unref(ch);
    }
}

TEST(go_chan_senders_to_a_full_one_wait)
{
    in_every_mix(full_blocks);
}

static void recv_closed(void *arg)
{
    int v = 77;
    CHECK_ERR(cease_chan_recv(ctx(), arg, &v), CEASE_ECLOSED);
    CHECK_EQ(v, 77); /* Go gives a zero: ours is left alone */
}

static void closed_drains(struct crew *crew)
{
    EACH_CAPACITY(capacity)
    {
        cease_chan *ch = make(*capacity);
        go(crew, recv_closed, ch);
        until_waiting(ch, false, 1);
        cease_chan_close(ch);
        join(crew);
        cease_chan_unref(ch);
        ch = make(*capacity);
        for (size_t i = 0; i < *capacity; i++) {
            send(ch, (int)i);
        }
        cease_chan_close(ch);
        for (size_t i = 0; i < *capacity; i++) {
            CHECK_EQ(recv(ch), i);
        }
        recv_closed(ch);
        recv_closed(ch);
        cease_chan_unref(ch);
    }
}

TEST(go_chan_closed_one_drains_and_lets_nobody_wait)
{
    in_every_mix(closed_drains);
}

struct numbers {
    cease_chan *ch;
    int count;
    int *seen;
};

static void send_numbers(void *arg)
{
    struct numbers *n = arg;
    for (int i = 0; i < n->count; i++) {
        send(n->ch, i);
    }
}

static void recv_numbers(void *arg)
{
    struct numbers *n = arg;
    for (int i = 0; i < n->count; i++) {
        n->seen[recv(n->ch)]++;
    }
}

static void all_arrive(struct crew *crew)
{
    enum { P = 4, L = 1000 };
    EACH_CAPACITY(capacity)
    {
        struct numbers hundred = {make(*capacity), 100, NULL};
        go(crew, send_numbers, &hundred);
        for (int i = 0; i < hundred.count; i++) {
            CHECK_EQ(recv(hundred.ch), i);
        }
        join(crew);
        static int seen[P][L];
        memset(seen, 0, sizeof seen);
        struct numbers some[P];
        int count = rounds(L);
        for (int p = 0; p < P; p++) {
            some[p] = (struct numbers){hundred.ch, count, seen[p]};
            go(crew, send_numbers, &some[p]);
            go(crew, recv_numbers, &some[p]);
        }
        join(crew);
        for (int i = 0; i < count; i++) {
            CHECK_EQ(seen[0][i] + seen[1][i] + seen[2][i] + seen[3][i], P);
        }
        cease_chan_unref(hundred.ch);
    }
}

TEST(go_chan_all_values_arrive_once_and_in_order)
{
    in_every_mix(all_arrive);
}

TEST(go_chan_length_and_capacity_are_what_is_inside_and_what_fits)
{
    EACH_CAPACITY(capacity)
    {
        cease_chan *ch = make(*capacity);
        CHECK_EQ(cease_chan_length(ch), 0);
        CHECK_EQ(cease_chan_capacity(ch), *capacity);
        for (size_t i = 0; i < *capacity; i++) {
            send(ch, 1);
        }
        CHECK_EQ(cease_chan_length(ch), *capacity);
        CHECK_EQ(cease_chan_capacity(ch), *capacity);
        cease_chan_unref(ch);
    }
    CHECK_EQ(cease_chan_length(NULL), 0);
    CHECK_EQ(cease_chan_capacity(NULL), 0);
}

/* ---- races of a select that does not wait ------------------------------------------------------------ */

static void must_be_ready(void *arg)
{
    int v;
    cease_case cases[] = {CEASE_RECV(arg, &v), CEASE_DEFAULT};
    CHECK_EQ(choose(cases, 2), 0);
}

static void nonblock_recv_race(struct crew *crew)
{
    for (int i = 0; i < rounds(1000); i++) {
        cease_chan *ch = make(1);
        send(ch, 1);
        go(crew, must_be_ready, ch);
        cease_chan_close(ch);
        int v;
        cease_error e = cease_chan_recv(ctx(), ch, &v);
        CHECK(e == CEASE_OK || e == CEASE_ECLOSED);
        join(crew);
        cease_chan_unref(ch);
    }
}

TEST(go_chan_try_recv_racing_a_close_finds_value_or_close)
{
    in_every_mix(nonblock_recv_race);
}

struct two {
    cease_chan *first, *second;
};

/* At every moment one of the two is ready, though not the same one. */
static void one_must_be_ready(void *arg)
{
    struct two *t = arg;
    int v;
    cease_case cases[] = {CEASE_RECV(t->first, &v), CEASE_RECV(t->second, &v), CEASE_DEFAULT};
    CHECK(choose(cases, 3) != 2);
}

static void nonblock_select_race(struct crew *crew, bool closes)
{
    for (int i = 0; i < rounds(2000); i++) {
        struct two t = {make(1), make(1)};
        int v;
        send(t.first, 1);
        go(crew, one_must_be_ready, &t);
        if (closes) {
            cease_chan_close(t.second);
        } else {
            send(t.second, 1);
        }
        (void)cease_chan_try_recv(t.first, &v);
        join(crew);
        cease_chan_unref(t.first);
        cease_chan_unref(t.second);
    }
}

static void select_race_send(struct crew *crew)
{
    nonblock_select_race(crew, false);
}

static void select_race_close(struct crew *crew)
{
    nonblock_select_race(crew, true);
}

TEST(go_select_default_is_never_taken_while_something_is_always_ready)
{
    in_every_mix(select_race_send);
}

TEST(go_select_default_is_never_taken_while_something_is_always_ready_or_closed)
{
    in_every_mix(select_race_close);
}

/* ---- select ------------------------------------------------------------------------------------------ */

struct self {
    cease_chan *ch;
    int number;
};

static void self_select(void *arg)
{
    struct self *s = arg;
    int n = rounds(1000);
    bool is_buffered = s->ch->capacity > 0;
    for (int i = 0; i < n; i++) {
        int in = s->number, out = -1;
        cease_case forward[] = {CEASE_SEND(s->ch, &in), CEASE_RECV(s->ch, &out)};
        cease_case backward[] = {CEASE_RECV(s->ch, &out), CEASE_SEND(s->ch, &in)};
        bool turned = s->number != 0 && i % 2;
        size_t fired = choose(turned ? backward : forward, 2);
        if (fired == (turned ? 0 : 1)) {
            CHECK(is_buffered || out == 1 - s->number);
        }
    }
}

static void self_selects(struct crew *crew)
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        cease_chan *ch = make(capacity);
        struct self first = {ch, 0}, second = {ch, 1};
        go(crew, self_select, &first);
        go(crew, self_select, &second);
        join(crew);
        cease_chan_unref(ch);
    }
}

TEST(go_select_on_both_ends_of_one_channel_never_serves_itself)
{
    in_every_mix(self_selects);
}

enum { STRESSED = 4 };

struct stress {
    cease_chan *chans[STRESSED];
    int count;
};

struct stress_one {
    cease_chan *ch;
    int count;
};

static void stress_send(void *arg)
{
    struct stress_one *s = arg;
    for (int i = 0; i < s->count; i++) {
        send(s->ch, 0);
    }
}

static void stress_recv(void *arg)
{
    struct stress_one *s = arg;
    for (int i = 0; i < s->count; i++) {
        (void)recv(s->ch);
    }
}

/* Each channel as often as the others: one that has had enough is switched off. */
static void stress_select(struct stress *s, bool sends)
{
    int v = 0, n[STRESSED] = {0};
    cease_case cases[STRESSED];
    for (int k = 0; k < STRESSED; k++) {
        cases[k] = sends ? (cease_case)CEASE_SEND(s->chans[k], &v)
                         : (cease_case)CEASE_RECV(s->chans[k], &v);
    }
    for (int i = 0; i < STRESSED * s->count; i++) {
        size_t fired = choose(cases, STRESSED);
        CHECK_OK(cases[fired].result);
        if (++n[fired] == s->count) {
            cases[fired].ch = NULL;
        }
    }
}

static void stress_select_send(void *arg)
{
    stress_select(arg, true);
}

static void stress_select_recv(void *arg)
{
    stress_select(arg, false);
}

static void stress(struct crew *crew)
{
    struct stress s = {{make(0), make(0), make(2), make(3)}, rounds(2000)};
    struct stress_one ones[STRESSED];
    for (int k = 0; k < STRESSED; k++) {
        ones[k] = (struct stress_one){s.chans[k], s.count};
        go(crew, stress_send, &ones[k]);
        go(crew, stress_recv, &ones[k]);
    }
    go(crew, stress_select_send, &s);
    go(crew, stress_select_recv, &s);
    join(crew);
    for (int k = 0; k < STRESSED; k++) {
        CHECK(would_block_recv(s.chans[k]));
        cease_chan_unref(s.chans[k]);
    }
}

TEST(go_select_among_senders_and_receivers_of_all_kinds_loses_nothing)
{
    in_every_mix(stress);
}

static void fairness(struct crew *crew)
{
    (void)crew;
    enum { TRIALS = 10000 };
    cease_chan *full[2] = {make(TRIALS), make(TRIALS)}, *empty[2] = {make(0), make(0)};
    for (int i = 0; i < TRIALS; i++) {
        send(full[0], 1);
        send(full[1], 2);
    }
    int v = 0, count[3] = {0};
    cease_case cases[] = {CEASE_RECV(empty[0], &v), CEASE_RECV(empty[1], &v),
                          CEASE_RECV(full[0], &v), CEASE_RECV(full[1], &v)};
    for (int i = 0; i < TRIALS; i++) {
        (void)choose(cases, 4);
        count[v]++;
    }
    /* Ten standard deviations, as Go allows. */
    CHECK(count[1] >= TRIALS / 2 - 500 && count[1] <= TRIALS / 2 + 500);
    CHECK_EQ(count[1] + count[2], TRIALS);
    for (int k = 0; k < 2; k++) {
        cease_chan_unref(full[k]);
        cease_chan_unref(empty[k]);
    }
}

TEST(go_select_takes_ready_channels_equally_often)
{
    in_every_mix(fairness);
}

struct pseudo {
    cease_chan *ch;
    int ones, count;
};

static void pseudo_recv(void *arg)
{
    struct pseudo *p = arg;
    for (int i = 0; i < p->count; i++) {
        cease_yield();
        p->ones += recv(p->ch);
    }
}

static void pseudo_random(struct crew *crew)
{
    for (size_t capacity = 0; capacity <= 100; capacity += 100) {
        struct pseudo p = {make(capacity), 0, 100};
        go(crew, pseudo_recv, &p);
        int one = 1, zero = 0;
        cease_case cases[] = {CEASE_SEND(p.ch, &one), CEASE_SEND(p.ch, &zero)};
        for (int i = 0; i < p.count; i++) {
            (void)choose(cases, 2);
        }
        join(crew);
        CHECK(p.ones > p.count / 10 && p.count - p.ones > p.count / 10);
        cease_chan_unref(p.ch);
    }
}

TEST(go_select_with_one_channel_twice_takes_both_cases)
{
    in_every_mix(pseudo_random);
}

struct consumers {
    cease_chan *work, *results;
    cease_wait_group workers;
    int count, expected;
};

static void consume(void *arg)
{
    struct consumers *c = arg;
    int v;
    while (cease_chan_recv(ctx(), c->work, &v) == CEASE_OK) {
        if (v % 3 == 0) {
            cease_yield();
        }
        send(c->results, v);
    }
    cease_wait_group_done(&c->workers);
}

static void feed(void *arg)
{
    struct consumers *c = arg;
    for (int i = 0; i < c->count; i++) {
        c->expected += i % 31;
        send(c->work, i % 31);
    }
    cease_chan_close(c->work);
    CHECK_OK(cease_wait_group_wait(ctx(), &c->workers));
    cease_chan_close(c->results);
}

static void multi_consumer(struct crew *crew)
{
    enum { WORKERS = 23 };
    struct consumers c = {make(WORKERS * 3), make(WORKERS * 3), CEASE_WAIT_GROUP, rounds(10000), 0};
    cease_wait_group_add(&c.workers, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        go(crew, consume, &c);
    }
    go(crew, feed, &c);
    int v, n = 0, sum = 0;
    while (cease_chan_recv(ctx(), c.results, &v) == CEASE_OK) {
        n++;
        sum += v;
    }
    join(crew);
    CHECK_EQ(n, c.count);
    CHECK_EQ(sum, c.expected);
    cease_chan_unref(c.work);
    cease_chan_unref(c.results);
}

TEST(go_chan_many_consumers_share_the_work_and_all_stop_at_its_close)
{
    in_every_mix(multi_consumer);
}

struct three {
    cease_chan *c, *d, *e;
};

static void duplicate_select(void *arg)
{
    struct three *t = arg;
    int v;
    cease_case cases[] = {CEASE_RECV(t->c, &v), CEASE_RECV(t->c, &v), CEASE_RECV(t->d, &v)};
    CHECK_EQ(choose(cases, 3), 2);
    CHECK_EQ(v, 7);
    send(t->e, 9);
}

static void duplicate_channel(struct crew *crew)
{
    struct three t = {make(0), make(0), make(0)};
    go(crew, duplicate_select, &t);
    until_waiting(t.c, false, 2);
    go(crew, recv_one, t.c);
    until_waiting(t.c, false, 3);
    send(t.d, 7);
    CHECK_EQ(recv(t.e), 9);
    send(t.c, 8);
    join(crew);
    cease_chan_unref(t.c);
    cease_chan_unref(t.d);
    cease_chan_unref(t.e);
}

TEST(go_select_that_names_a_channel_twice_leaves_its_queue_whole)
{
    in_every_mix(duplicate_channel);
}

/* ---- test/chan/ -------------------------------------------------------------------------------------- */

struct doubles {
    cease_chan *from[4], *to;
    int count;
};

static void double_send(void *arg)
{
    struct doubles *d = arg;
    for (int i = 0; i < d->count; i++) {
        cease_case cases[] = {CEASE_SEND(d->from[0], &i), CEASE_SEND(d->from[1], &i),
                              CEASE_SEND(d->from[2], &i), CEASE_SEND(d->from[3], &i)};
        (void)choose(cases, 4);
    }
    for (int k = 0; k < 4; k++) {
        cease_chan_close(d->from[k]);
    }
}

static void mux(void *arg)
{
    struct two *t = arg;
    int v;
    while (cease_chan_recv(ctx(), t->first, &v) == CEASE_OK) {
        send(t->second, v);
    }
}

static void doubleselect(struct crew *crew)
{
    struct doubles d = {{make(0), make(0), make(0), make(0)}, make(0), rounds(5000)};
    struct two muxes[4];
    bool *seen = calloc((size_t)d.count, 1);
    go(crew, double_send, &d);
    for (int k = 0; k < 4; k++) {
        muxes[k] = (struct two){d.from[k], d.to};
        go(crew, mux, &muxes[k]);
    }
    for (int i = 0; i < d.count; i++) {
        int v = recv(d.to);
        CHECK(!seen[v]);
        seen[v] = true;
    }
    join(crew);
    CHECK(would_block_recv(d.to));
    for (int k = 0; k < 4; k++) {
        cease_chan_unref(d.from[k]);
    }
    cease_chan_unref(d.to);
    free(seen);
}

TEST(go_select_of_sends_never_sends_twice)
{
    in_every_mix(doubleselect);
}

enum { CHAIN = 10 };

struct link {
    cease_chan *ch, *in, *out;
    int expected;
};

static void chain_link(void *arg)
{
    struct link *l = arg;
    (void)recv(l->in);
    CHECK_EQ(recv(l->ch), l->expected);
    send(l->out, 1);
}

static void fifo(struct crew *crew)
{
    cease_chan *ch = make(CHAIN), *ends[CHAIN + 1];
    for (int i = 0; i < CHAIN; i++) {
        send(ch, i);
    }
    for (int i = 0; i < CHAIN; i++) {
        CHECK_EQ(recv(ch), i);
    }
    cease_chan_unref(ch);
    ch = make(0);
    struct link links[CHAIN];
    ends[0] = make(0);
    for (int i = 0; i < CHAIN; i++) {
        ends[i + 1] = make(0);
        links[i] = (struct link){ch, ends[i], ends[i + 1], i};
        go(crew, chain_link, &links[i]);
    }
    send(ends[0], 0);
    for (int i = 0; i < CHAIN; i++) {
        send(ch, i);
    }
    CHECK_EQ(recv(ends[CHAIN]), 1);
    join(crew);
    for (int i = 0; i <= CHAIN; i++) {
        cease_chan_unref(ends[i]);
    }
    cease_chan_unref(ch);
}

TEST(go_chan_is_first_in_first_out_with_and_without_a_buffer)
{
    in_every_mix(fifo);
}

/* goroutines.go: a daisy chain of ten thousand. Tasks only: that many threads there are not. */
static cease_error daisy(cease_ctx *own, void *arg)
{
    struct two *t = arg;
    int v;
    CHECK_OK(cease_chan_recv(own, t->second, &v));
    return cease_chan_send(own, t->first, &v);
}

TEST(go_chan_chain_of_ten_thousand_tasks_hands_on_a_value)
{
    int n = rounds(10000);
    struct two *links = calloc((size_t)n, sizeof *links);
    cease_group *g = cease_group_new(ctx(), NULL);
    cease_chan *leftmost = make(0), *left = leftmost;
    for (int i = 0; i < n; i++) {
        links[i] = (struct two){left, make(0)};
        CHECK_OK(cease_group_go(g, daisy, &links[i]));
        left = links[i].second;
    }
    send(left, 42);
    CHECK_EQ(recv(leftmost), 42);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    for (int i = 0; i < n; i++) {
        cease_chan_unref(links[i].second);
    }
    cease_chan_unref(leftmost);
    free(links);
}

/* nonblock.go: several sizes of value. */
struct sized {
    cease_chan *ch;
    size_t size;
};

static void sized_recv(void *arg)
{
    struct sized *s = arg;
    unsigned char value[40] = {0}, expected[40];
    memset(expected, 0xa5, sizeof expected);
    CHECK_OK(cease_chan_recv(ctx(), s->ch, value));
    CHECK_EQ(memcmp(value, expected, s->size), 0);
}

static void sized_send(void *arg)
{
    struct sized *s = arg;
    unsigned char value[40];
    memset(value, 0x5a, sizeof value);
    CHECK_OK(cease_chan_send(ctx(), s->ch, value));
}

static void nonblock(struct crew *crew)
{
    static const size_t sizes[] = {1, 4, 8, 16, 40};
    for (size_t buffer = 0; buffer < 2; buffer++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            struct sized s = {cease_chan_new(sizes[k], buffer), sizes[k]};
            unsigned char value[40], got[40] = {0};
            memset(value, 0xa5, sizeof value);
            CHECK_ERR(cease_chan_try_recv(s.ch, got), CEASE_EAGAIN);
            go(crew, sized_recv, &s);
            while (cease_chan_try_send(s.ch, value) == CEASE_EAGAIN) {
                cease_yield();
            }
            join(crew);
            go(crew, sized_send, &s);
            while (cease_chan_try_recv(s.ch, got) == CEASE_EAGAIN) {
                cease_yield();
            }
            join(crew);
            memset(value, 0x5a, sizeof value);
            CHECK_EQ(memcmp(value, got, s.size), 0);
            cease_chan_unref(s.ch);
        }
    }
}

TEST(go_chan_try_forms_meet_who_waits_whatever_the_size)
{
    in_every_mix(nonblock);
}

/* select.go */
static int send_to_both(cease_chan *a, cease_chan *b, unsigned *shift)
{
    cease_case cases[] = {CEASE_SEND(a, NULL), CEASE_SEND(b, NULL), CEASE_DEFAULT};
    for (int sent = 0;; sent++, (*shift)++) {
        int value = 1 << *shift;
        cases[0].value = cases[1].value = &value;
        size_t fired = choose(cases, 3);
        if (fired == 2) {
            return sent;
        }
        cases[fired].ch = NULL;
    }
}

TEST(go_select_case_that_is_set_to_null_is_switched_off)
{
    cease_chan *a = make(1), *b = make(1);
    unsigned shift = 0;
    CHECK_EQ(send_to_both(a, b, &shift), 2);
    CHECK_EQ(recv(a) | recv(b), 3);
    CHECK_EQ(send_to_both(a, NULL, &shift), 1);
    cease_chan_unref(a);
    cease_chan_unref(b);
}

/* select2.go */
static void selects_without_memory(struct crew *crew)
{
    struct stress_one s = {make(0), rounds(5000)};
    cease_chan *dummy = make(0);
    int v;
    for (int round = 0; round < 2; round++) {
        go(crew, stress_send, &s);
        until_waiting(s.ch, true, 1);
        long before = harness_heap_allocs();
        for (int i = 0; i < s.count; i++) {
            cease_case cases[] = {CEASE_RECV(s.ch, &v), CEASE_RECV(dummy, &v)};
            CHECK_EQ(choose(cases, 2), 0);
        }
        CHECK(round == 0 || harness_heap_allocs() - before < 100);
        join(crew);
    }
    cease_chan_unref(s.ch);
    cease_chan_unref(dummy);
}

TEST(go_select_a_thousand_times_takes_no_memory)
{
    in_every_mix(selects_without_memory);
}

/* select3.go: what waits for ever, and what never waits. */
struct waits {
    cease_ctx *ctx;
    cease_case *cases;
    size_t count;
};

static void wait_until_cut(void *arg)
{
    struct waits *w = arg;
    size_t fired;
    CHECK_ERR(cease_select(w->ctx, w->cases, w->count, &fired), CEASE_EDEADLINE);
}

static void waits_for_ever(struct crew *crew)
{
    cease_chan *ch = make(0);
    int v = 7;
    cease_case nothing[] = {CEASE_NIL}, nil_recv[] = {CEASE_RECV(NULL, &v)},
               nil_send[] = {CEASE_SEND(NULL, &v)},
               nil_both[] = {CEASE_RECV(NULL, &v), CEASE_SEND(NULL, &v)},
               not_ready[] = {CEASE_RECV(ch, &v)}, not_taken[] = {CEASE_SEND(ch, &v)},
               itself[] = {CEASE_SEND(ch, &v), CEASE_RECV(ch, &v)};
    cease_canceler *stop;
    cease_ctx *brief = cease_with_timeout(ctx(), cease_ms(20), &stop);
    struct waits all[] = {{brief, nothing, 0},  {brief, nothing, 1},  {brief, nil_recv, 1},
                          {brief, nil_send, 1}, {brief, nil_both, 2}, {brief, not_ready, 1},
                          {brief, itself, 2}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        go(crew, wait_until_cut, &all[i]);
        join(crew);
        cease_end(stop);
        brief = cease_with_timeout(ctx(), cease_ms(20), &stop);
        for (size_t k = i + 1; k < sizeof all / sizeof *all; k++) {
            all[k].ctx = brief;
        }
    }
    struct waits last = {brief, not_taken, 1};
    wait_until_cut(&last);
    cease_end(stop);
    cease_chan_unref(ch);
}

TEST(go_select_with_nothing_that_can_fire_waits_for_its_context)
{
    in_every_mix(waits_for_ever);
}

TEST(go_select_with_something_ready_or_closed_or_a_default_never_waits)
{
    cease_chan *ready = make(1), *closed = make(0);
    cease_chan_close(closed);
    int v = 7;
    cease_case only_default[] = {CEASE_DEFAULT}, nil[] = {CEASE_RECV(NULL, &v), CEASE_DEFAULT},
               nil_send[] = {CEASE_SEND(NULL, &v), CEASE_DEFAULT},
               room[] = {CEASE_SEND(ready, &v), CEASE_DEFAULT},
               full[] = {CEASE_RECV(ready, &v), CEASE_DEFAULT}, gone[] = {CEASE_RECV(closed, &v)},
               gone_send[] = {CEASE_SEND(closed, &v)};
    CHECK_EQ(choose(only_default, 1), 0);
    CHECK_EQ(choose(nil, 2), 1);
    CHECK_EQ(choose(nil_send, 2), 1);
    CHECK_EQ(choose(room, 2), 0);
    CHECK_EQ(choose(full, 2), 0);
    CHECK_EQ(choose(gone, 1), 0);
    CHECK_ERR(gone[0].result, CEASE_ECLOSED);
    CHECK_EQ(choose(gone_send, 1), 0);
    CHECK_ERR(gone_send[0].result, CEASE_ECLOSED); /* Go panics */
    CHECK_ERR(cease_chan_send(ctx(), closed, &v), CEASE_ECLOSED);
    cease_chan_close(closed); /* Go panics */
    cease_chan_unref(ready);
    cease_chan_unref(closed);
}

/* select4.go */
TEST(go_select_writes_nothing_for_cases_that_did_not_fire)
{
    cease_chan *full = make(1), *empty = make(0);
    int got = 0, untouched = 5;
    send(full, 42);
    cease_case cases[] = {CEASE_RECV(empty, &untouched), CEASE_RECV(full, &got)};
    cases[0].result = CEASE_EIO;
    CHECK_EQ(choose(cases, 2), 1);
    CHECK_EQ(got, 42);
    CHECK_EQ(untouched, 5);
    CHECK_ERR(cases[0].result, CEASE_EIO);
    cease_chan_unref(full);
    cease_chan_unref(empty);
}

/* select6.go */
static void select_last_in_the_queue(void *arg)
{
    struct three *t = arg;
    int v;
    cease_case cases[] = {CEASE_RECV(t->c, &v), CEASE_RECV(t->d, &v)};
    CHECK_EQ(choose(cases, 2), 1);
    send(t->e, 1);
    (void)recv(t->c);
}

static void failed_case(struct crew *crew)
{
    struct three t = {make(0), make(0), make(0)};
    go(crew, recv_one, t.c);
    until_waiting(t.c, false, 1);
    go(crew, select_last_in_the_queue, &t);
    until_waiting(t.c, false, 2);
    go(crew, send_zero, t.d);
    (void)recv(t.e);
    send(t.c, 1);
    send(t.c, 1);
    join(crew);
    cease_chan_unref(t.c);
    cease_chan_unref(t.d);
    cease_chan_unref(t.e);
}

TEST(go_select_that_was_last_in_a_queue_leaves_it_whole)
{
    in_every_mix(failed_case);
}

/* select7.go: plain and select forms of both sides meet. */
static void recv_by_select(void *arg)
{
    int v;
    cease_case cases[] = {CEASE_RECV(arg, &v)};
    CHECK_EQ(choose(cases, 1), 0);
    CHECK_EQ(v, 1);
}

static void recv_by_select_of_two(void *arg)
{
    cease_chan *never = make(0);
    int v;
    cease_case cases[] = {CEASE_RECV(arg, &v), CEASE_RECV(never, &v)};
    CHECK_EQ(choose(cases, 2), 0);
    CHECK_EQ(v, 1);
    cease_chan_unref(never);
}

static void forms_meet(struct crew *crew)
{
    void (*const receivers[])(void *) = {recv_one, recv_by_select, recv_by_select_of_two};
    for (int r = 0; r < 3; r++) {
        for (int form = 0; form < 3; form++) {
            cease_chan *ch = make(0), *never = make(0);
            int one = 1;
            cease_case cases[] = {CEASE_SEND(ch, &one), CEASE_SEND(never, &one)};
            go(crew, receivers[r], ch);
            cease_yield();
            if (form == 0) {
                send(ch, 1);
            } else {
                CHECK_EQ(choose(cases, (size_t)form), 0);
            }
            join(crew);
            cease_chan_unref(ch);
            cease_chan_unref(never);
        }
    }
}

TEST(go_select_and_plain_forms_meet_each_other)
{
    in_every_mix(forms_meet);
}

/* sendstmt.go: a channel through a channel. */
TEST(go_chan_through_a_channel)
{
    cease_chan *outer = cease_chan_new(sizeof(cease_chan *), 1), *inner = make(1), *got = NULL;
    CHECK_OK(cease_chan_send(ctx(), outer, &inner));
    CHECK_OK(cease_chan_recv(ctx(), outer, &got));
    CHECK_PTR(got, inner);
    send(got, 2);
    CHECK_EQ(recv(inner), 2);
    cease_chan_unref(outer);
    cease_chan_unref(inner);
}

/* zerosize.go */
TEST(go_chan_of_nothing_hands_on_signals)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        cease_chan *ch = cease_chan_new(0, capacity);
        CHECK_EQ(cease_chan_try_send(ch, NULL), capacity ? CEASE_OK : CEASE_EAGAIN);
        CHECK_EQ(cease_chan_try_recv(ch, NULL), capacity ? CEASE_OK : CEASE_EAGAIN);
        cease_chan_unref(ch);
    }
}

/* sieve1.go: a chain of filters that grows while it runs. Tasks only: as many as there are primes. */
struct filter {
    cease_chan *in, *out;
    int prime;
};

static cease_error filter_multiples(cease_ctx *own, void *arg)
{
    struct filter *f = arg;
    int v;
    cease_error e;
    while ((e = cease_chan_recv(own, f->in, &v)) == CEASE_OK) {
        if (v % f->prime != 0 && (e = cease_chan_send(own, f->out, &v)) != CEASE_OK) {
            break;
        }
    }
    return e;
}

static cease_error count_up(cease_ctx *own, void *arg)
{
    cease_error e = CEASE_OK;
    for (int i = 2; e == CEASE_OK; i++) {
        e = cease_chan_send(own, arg, &i);
    }
    return e;
}

TEST(go_chan_sieve_finds_the_primes_and_stops_as_a_whole)
{
    enum { PRIMES = 100 };
    static struct filter filters[PRIMES];
    cease_group *g = cease_group_new(ctx(), NULL);
    cease_chan *ch = make(0), *first = ch;
    CHECK_OK(cease_group_go(g, count_up, ch));
    int last = 0;
    for (int i = 0; i < PRIMES; i++) {
        last = recv(ch);
        filters[i] = (struct filter){ch, make(0), last};
        CHECK_OK(cease_group_go(g, filter_multiples, &filters[i]));
        ch = filters[i].out;
    }
    CHECK_EQ(last, 541);
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
    cease_chan_unref(first);
    for (int i = 0; i < PRIMES; i++) {
        cease_chan_unref(filters[i].out);
    }
}

/* powser1.go: power series as tasks that give a coefficient when they are asked for one. Here 1/(1-x), its product
 * with itself, and the sum of both. */
struct series {
    cease_chan *ask, *answer;
    struct series *left, *right;
    int (*next)(cease_ctx *own, struct series *s, int n);
};

static cease_error serve_series(cease_ctx *own, void *arg)
{
    struct series *s = arg;
    cease_error e = CEASE_OK;
    for (int n = 0; e == CEASE_OK; n++) {
        e = cease_chan_recv(own, s->ask, NULL);
        int v = e == CEASE_OK ? s->next(own, s, n) : 0;
        e = e ? e : cease_chan_send(own, s->answer, &v);
    }
    return e;
}

static int demand(cease_ctx *own, struct series *s)
{
    int v = 0;
    (void)cease_chan_send(own, s->ask, NULL);
    (void)cease_chan_recv(own, s->answer, &v);
    return v;
}

static int all_ones(cease_ctx *own, struct series *s, int n)
{
    (void)own, (void)s, (void)n;
    return 1;
}

/* Asks both at once, and takes the answers as they come. */
static int sum_of_both(cease_ctx *own, struct series *s, int n)
{
    (void)n;
    int left = 0, right = 0;
    cease_case cases[] = {CEASE_SEND(s->left->ask, NULL), CEASE_SEND(s->right->ask, NULL),
                          CEASE_RECV(NULL, &left), CEASE_RECV(NULL, &right)};
    for (int steps = 0; steps < 4; steps++) {
        size_t fired;
        if (cease_select(own, cases, 4, &fired) != CEASE_OK) {
            return 0;
        }
        cases[fired].ch = NULL;
        if (fired < 2) {
            cases[fired + 2].ch = fired == 0 ? s->left->answer : s->right->answer;
        }
    }
    return left + right;
}

enum { TERMS = 20 };

static int product_of_both(cease_ctx *own, struct series *s, int n)
{
    static int left[TERMS], right[TERMS]; /* one task's */
    left[n] = demand(own, s->left);
    right[n] = demand(own, s->right);
    int sum = 0;
    for (int i = 0; i <= n; i++) {
        sum += left[i] * right[n - i];
    }
    return sum;
}

static void power_series(struct crew *crew)
{
    (void)crew;
    struct series s[5] = {{.next = all_ones},
                          {.next = all_ones},
                          {.next = all_ones},
                          {.left = &s[0], .right = &s[1], .next = product_of_both},
                          {.left = &s[2], .right = &s[3], .next = sum_of_both}};
    cease_group *g = cease_group_new(ctx(), NULL);
    for (int i = 0; i < 5; i++) {
        s[i].ask = cease_chan_new(0, 0);
        s[i].answer = make(0);
        CHECK_OK(cease_group_go(g, serve_series, &s[i]));
    }
    for (int n = 0; n < TERMS; n++) {
        CHECK_EQ(demand(ctx(), &s[4]), n + 2); /* 1/(1-x) + 1/(1-x)^2 */
    }
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
    for (int i = 0; i < 5; i++) {
        cease_chan_unref(s[i].ask);
        cease_chan_unref(s[i].answer);
    }
}

TEST(go_chan_power_series_are_computed_on_demand)
{
    in_every_mix(power_series);
}
