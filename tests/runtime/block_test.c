/* SPDX-License-Identifier: MIT
 *
 * Out to break the block pool: an interrupt that comes twice, before its function has a thread or
 * after it has returned; a signal that comes too early, too late or not at all; a job that runs although it was dropped; a pool that grows over its cap,
 * deadlocks in itself or leaves threads behind; threads that take other people's signals.
 */
#include "harness.h"

#include <cease/cease.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LIVE 0x600dU
#define DEAD 0xdeadU

static int add(int *counter, int n)
{
    return __atomic_add_fetch(counter, n, __ATOMIC_SEQ_CST);
}

static int look(int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Runs fn in a task and waits for it. */
static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, arg));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static void note_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

static cease_error block_elsewhere(cease_ctx *ctx, void *arg)
{
    pthread_t ran_on;
    (void)arg;
    CHECK_OK(cease_block(ctx, note_thread, NULL, &ran_on));
    CHECK(!pthread_equal(ran_on, pthread_self()));
    return CEASE_OK;
}

TEST(block_from_a_task_runs_on_another_thread)
{
    in_task(block_elsewhere, NULL);
}

TEST(block_from_a_thread_runs_on_it)
{
    pthread_t ran_on;
    CHECK_OK(cease_block(cease_background(), note_thread, NULL, &ran_on));
    CHECK(pthread_equal(ran_on, pthread_self()));
}

static void never(void *arg)
{
    (void)arg;
    CHECK_STR("never", "runs"); /* it must not */
}

static cease_error block_when_done(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    CHECK_ERR(cease_block(arg, never, never, NULL), CEASE_ECANCELED);
    return CEASE_OK;
}

TEST(block_under_a_done_context_starts_nothing)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_OK(block_when_done(NULL, ctx));
    in_task(block_when_done, ctx);
    cease_end(stop);
}

/* A function that sleeps until it is interrupted. */
struct sleeper {
    sem_t started, wake;
    int interrupts;
    uint32_t state; /* LIVE while cease_block has not returned */
};

static void sleep_fn(void *arg)
{
    struct sleeper *s = arg;
    sem_post(&s->started);
    while (sem_wait(&s->wake) < 0) {
    }
}

static void wake_fn(void *arg)
{
    struct sleeper *s = arg;
    CHECK_EQ(__atomic_load_n(&s->state, __ATOMIC_SEQ_CST), LIVE);
    add(&s->interrupts, 1);
    sem_post(&s->wake);
}

static void sleeper_init(struct sleeper *s)
{
    *s = (struct sleeper){.state = LIVE};
    sem_init(&s->started, 0, 0);
    sem_init(&s->wake, 0, 0);
}

struct under {
    cease_ctx *ctx;
    struct sleeper *sleeper;
    cease_error result;
};

static cease_error sleep_under(cease_ctx *ctx, void *arg)
{
    struct under *u = arg;
    (void)ctx;
    u->result = cease_block(u->ctx, sleep_fn, wake_fn, u->sleeper);
    __atomic_store_n(&u->sleeper->state, DEAD, __ATOMIC_SEQ_CST);
    return CEASE_OK;
}

static void *sleep_under_thread(void *arg)
{
    CHECK_OK(sleep_under(NULL, arg));
    return NULL;
}

TEST(block_interrupts_once_when_the_context_ends)
{
    for (int task = 0; task < 2; task++) {
        cease_canceler *stop;
        struct sleeper s;
        sleeper_init(&s);
        struct under u = {cease_with_cancel(cease_background(), &stop), &s, CEASE_EIO};
        cease_group *g = cease_group_new(cease_background(), NULL);
        pthread_t thread = 0;
        if (task) {
            CHECK_OK(cease_group_go(g, sleep_under, &u));
        } else {
            CHECK_EQ(pthread_create(&thread, NULL, sleep_under_thread, &u), 0);
        }
        while (sem_wait(&s.started) < 0) {
        }
        CHECK_EQ(look(&s.interrupts), 0);
        cease_cancel(stop);
        cease_cancel(stop);
        CHECK_OK(cease_group_wait(g));
        if (thread) {
            pthread_join(thread, NULL);
        }
        CHECK_OK(u.result); /* it ran */
        CHECK_EQ(s.interrupts, 1);
        cease_group_free(g);
        cease_end(stop);
    }
}

static void count_fn(void *arg)
{
    add(arg, 1);
}

static cease_error count_many(cease_ctx *ctx, void *arg)
{
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cease_block(ctx, count_fn, never, arg));
    }
    return CEASE_OK;
}

TEST(block_without_a_cancel_never_interrupts)
{
    int ran = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go(g, count_many, &ran));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_OK(count_many(ctx, &ran));
    cease_end(stop);
    CHECK_EQ(ran, 1100);
}

/* ---- the race: cancel around the moment in which fn begins or returns ---------------------------
 */

struct short_job {
    uint32_t state;
    int ran, interrupts;
    uint32_t spin;
};

static void short_fn(void *arg)
{
    struct short_job *j = arg;
    CHECK_EQ(__atomic_load_n(&j->state, __ATOMIC_SEQ_CST), LIVE);
    add(&j->ran, 1);
    for (volatile uint32_t i = 0; i < j->spin; i++) {
    }
}

static void short_interrupt(void *arg)
{
    struct short_job *j = arg;
    CHECK_EQ(__atomic_load_n(&j->state, __ATOMIC_SEQ_CST), LIVE);
    add(&j->interrupts, 1);
    for (volatile uint32_t i = 0; i < j->spin; i++) {
    }
    CHECK_EQ(__atomic_load_n(&j->state, __ATOMIC_SEQ_CST), LIVE);
}

static cease_error end_it(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    cease_end(arg);
    return CEASE_OK;
}

struct race {
    int rounds;
    uint32_t seed;
    int ran, dropped, interrupted; /* atomic: sums over all */
};

static cease_error race(cease_ctx *ctx, void *arg)
{
    struct race *r = arg;
    uint32_t seed = (uint32_t)add((int *)&r->seed, 7919);
    (void)ctx;
    for (int i = 0; i < r->rounds; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct short_job j = {.state = LIVE, .spin = (seed >> 8) % 2000};
        cease_canceler *stop;
        cease_ctx *own = cease_ref(cease_with_cancel(cease_background(), &stop));
        CHECK_OK(cease_go(cease_background(), end_it, stop));
        cease_error e = cease_block(own, short_fn, short_interrupt, &j);
        __atomic_store_n(&j.state, DEAD, __ATOMIC_SEQ_CST);
        CHECK_EQ(j.ran, e == CEASE_OK);
        CHECK(j.interrupts <= j.ran);
        add(e ? &r->dropped : &r->ran, 1);
        add(&r->interrupted, j.interrupts);
        cease_unref(own);
    }
    return CEASE_OK;
}

static void *race_thread(void *arg)
{
    CHECK_OK(race(NULL, arg));
    return NULL;
}

TEST(block_interrupt_never_meets_a_function_that_is_not_running)
{
    struct race r = {.rounds = harness_is_slow() ? 300 : 3000, .seed = 1};
    cease_group *g = cease_group_new(cease_background(), NULL);
    pthread_t threads[2];
    for (int i = 0; i < 4; i++) {
        CHECK_OK(cease_group_go(g, race, &r));
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, race_thread, &r), 0);
    }
    CHECK_OK(cease_group_wait(g));
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    cease_group_free(g);
    CHECK_EQ(r.ran + r.dropped, 6 * r.rounds);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
    CHECK_EQ(counts.block_jobs, 0);
}

/* ---- the cap
 * ------------------------------------------------------------------------------------------ */

static void set_cap(const char *n)
{
    setenv("CEASE_BLOCK_THREADS", n, 1);
    harness_mark(); /* libc keeps what setenv allocates */
}

TEST(block_cancelled_in_the_queue_never_starts)
{
    set_cap("1");
    struct sleeper s;
    sleeper_init(&s);
    struct under first = {cease_background(), &s, CEASE_EIO};
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, sleep_under, &first));
    while (sem_wait(&s.started) < 0) {
    }
    struct sleeper other;
    sleeper_init(&other);
    cease_canceler *stop;
    struct under queued = {cease_with_cancel(cease_background(), &stop), &other, CEASE_OK};
    cease_group *q = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(q, sleep_under, &queued));
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.block_jobs == 2));
    cease_cancel(stop);
    CHECK_OK(cease_group_wait(q));
    CHECK_ERR(queued.result, CEASE_ECANCELED);
    CHECK_EQ(other.interrupts, 0);
    CHECK(sem_trywait(&other.started) < 0);
    cease_runtime_count(&counts);
    CHECK_EQ(counts.block_jobs, 1);
    sem_post(&s.wake);
    CHECK_OK(cease_group_wait(g));
    CHECK_OK(first.result);
    cease_group_free(q);
    cease_group_free(g);
    cease_end(stop);
}

struct cap {
    int running, most, ran;
};

static void cap_fn(void *arg)
{
    struct cap *c = arg;
    int now = add(&c->running, 1);
    int most = look(&c->most);
    while (now > most && !__atomic_compare_exchange_n(&c->most, &most, now, false, __ATOMIC_SEQ_CST,
                                                      __ATOMIC_SEQ_CST)) {
    }
    for (volatile int i = 0; i < 20000; i++) {
    }
    add(&c->ran, 1);
    add(&c->running, -1);
}

static cease_error cap_task(cease_ctx *ctx, void *arg)
{
    return cease_block(ctx, cap_fn, NULL, arg);
}

TEST(block_pool_stays_under_its_cap_and_runs_all)
{
    set_cap("3");
    struct cap cap = {0};
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 200; i++) {
        CHECK_OK(cease_group_go(g, cap_task, &cap));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EQ(cap.ran, 200);
    CHECK(cap.most <= 3);
}

static void nested(void *arg)
{
    CHECK_OK(cease_block(cease_background(), count_fn, NULL, arg));
}

static cease_error nested_task(cease_ctx *ctx, void *arg)
{
    return cease_block(ctx, nested, NULL, arg);
}

TEST(block_in_a_job_does_not_wait_for_its_own_thread)
{
    set_cap("1");
    int ran = 0;
    in_task(nested_task, &ran);
    CHECK_EQ(ran, 1);
}

TEST(block_pool_comes_back_after_a_runtime_stop)
{
    for (int i = 0; i < 3; i++) {
        int ran = 0;
        in_task(nested_task, &ran);
        CHECK_EQ(ran, 1);
        CHECK_EVENTUALLY(cease_runtime_stop() == CEASE_OK);
    }
}

/* ---- jobs that are left behind ------------------------------------------------------------- */

struct leaver {
    cease_ctx *ctx;
    struct sleeper *sleeper;
    cease_error result;
};

static void release_sleeper(void *arg)
{
    struct sleeper *s = arg;
    add(&s->interrupts, 1); /* counts the releases here */
}

static cease_error leave_under(cease_ctx *ctx, void *arg)
{
    struct leaver *l = arg;
    (void)ctx;
    l->result = cease_block_leave(l->ctx, sleep_fn, release_sleeper, l->sleeper);
    return CEASE_OK;
}

static void *leave_thread(void *arg)
{
    CHECK_OK(leave_under(NULL, arg));
    return NULL;
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0) {
    }
}

TEST(block_leave_returns_while_its_function_still_runs)
{
    for (int task = 0; task < 2; task++) {
        cease_canceler *stop;
        struct sleeper s;
        sleeper_init(&s);
        struct leaver l = {cease_with_cancel(cease_background(), &stop), &s, CEASE_OK};
        cease_group *g = cease_group_new(cease_background(), NULL);
        pthread_t thread = 0;
        if (task) {
            CHECK_OK(cease_group_go(g, leave_under, &l));
        } else {
            CHECK_EQ(pthread_create(&thread, NULL, leave_thread, &l), 0);
        }
        wait_for(&s.started);
        cease_cancel(stop);
        CHECK_OK(cease_group_wait(g));
        if (thread) {
            pthread_join(thread, NULL);
        }
        CHECK_ERR(l.result, CEASE_ECANCELED);
        CHECK_EQ(look(&s.interrupts), 0); /* it still runs */
        CHECK_ERR(cease_runtime_stop(), CEASE_EBUSY);
        sem_post(&s.wake);
        CHECK_EVENTUALLY(look(&s.interrupts) == 1);
        struct cease_runtime_counts counts = {.size = sizeof counts};
        CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.block_jobs == 0));
        cease_group_free(g);
        cease_end(stop);
    }
}

TEST(block_leave_that_finishes_gives_its_argument_back)
{
    int ran = 0;
    CHECK_OK(cease_block_leave(cease_background(), count_fn, never, &ran));
    CHECK_EQ(ran, 1);
    in_task(nested_task, &ran); /* and the pool goes on */
    CHECK_EQ(ran, 2);
}

TEST(block_leave_under_a_done_context_releases_at_once)
{
    cease_canceler *stop;
    int released = 0;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_block_leave(ctx, never, count_fn, &released), CEASE_ECANCELED);
    CHECK_EQ(released, 1);
    cease_end(stop);
}

TEST(block_leave_joins_when_half_of_the_pool_is_left)
{
    set_cap("3"); /* one may be left */
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    struct sleeper s[2];
    struct leaver l[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        sleeper_init(&s[i]);
        l[i] = (struct leaver){ctx, &s[i], CEASE_EIO};
        CHECK_EQ(pthread_create(&threads[i], NULL, leave_thread, &l[i]), 0);
        wait_for(&s[i].started);
    }
    CHECK_EVENTUALLY(cease_child_count(ctx) == 2); /* both listen */
    cease_cancel(stop);
    sem_post(&s[0].wake);
    sem_post(&s[1].wake);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ((l[0].result == CEASE_OK) + (l[1].result == CEASE_OK), 1);
    CHECK_EVENTUALLY(look(&s[0].interrupts) + look(&s[1].interrupts) == 1);
    cease_end(stop);
}

struct leave_race {
    int rounds;
    int finished, released; /* atomic */
};

static void release_counted(void *arg)
{
    int *counter = *(int **)arg;
    free(arg);
    add(counter, 1);
}

static void nothing(void *arg)
{
    CHECK(*(int **)arg != NULL); /* a freed one is seen by the sanitizers */
}

static cease_error leave_race(cease_ctx *ctx, void *arg)
{
    struct leave_race *r = arg;
    (void)ctx;
    for (int i = 0; i < r->rounds; i++) {
        int **counter = malloc(sizeof(int *));
        *counter = &r->released;
        cease_canceler *stop;
        cease_ctx *own = cease_ref(cease_with_cancel(cease_background(), &stop));
        CHECK_OK(cease_go(cease_background(), end_it, stop));
        cease_error e = cease_block_leave(own, nothing, release_counted, counter);
        if (e == CEASE_OK) {
            free(counter);
            add(&r->finished, 1);
        }
        cease_unref(own);
    }
    return CEASE_OK;
}

TEST(block_leave_releases_once_whoever_is_faster)
{
    struct leave_race r = {.rounds = harness_is_slow() ? 200 : 3000};
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 6; i++) {
        CHECK_OK(cease_group_go(g, leave_race, &r));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EVENTUALLY(look(&r.finished) + look(&r.released) == 6 * r.rounds);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks + counts.block_jobs == 0));
}

/* ---- a signal -------------------------------------------------------------------------------- */

struct reader {
    cease_ctx *ctx;
    int fd;
    int times;      /* how often it reads though it was interrupted */
    int interrupts; /* of its reads */
    sem_t started;
    char byte;
    cease_error result;
};

/* After the first signal has come, and is gone, it goes into the system call again: as if the signal had come just
 * before it. */
static void read_again_and_again(void *arg)
{
    struct reader *r = arg;
    sem_post(&r->started);
    while (r->interrupts < r->times && read(r->fd, &r->byte, 1) < 0) {
        CHECK_EQ(errno, EINTR);
        CHECK(cease_done(r->ctx)); /* before the signal is sent */
        r->interrupts++;
    }
}

static cease_error read_under(cease_ctx *ctx, void *arg)
{
    struct reader *r = arg;
    (void)ctx;
    r->result = cease_block_signal(r->ctx, read_again_and_again, r);
    return CEASE_OK;
}

static void *read_thread(void *arg)
{
    CHECK_OK(read_under(NULL, arg));
    return NULL;
}

TEST(block_signal_that_came_too_early_comes_again)
{
    for (int task = 0; task < 2; task++) {
        cease_canceler *stop;
        int fds[2];
        CHECK_EQ(pipe(fds), 0);
        struct reader r = {.ctx = cease_with_cancel(cease_background(), &stop),
                           .fd = fds[0],
                           .times = 4,
                           .result = CEASE_EIO};
        sem_init(&r.started, 0, 0);
        cease_group *g = cease_group_new(cease_background(), NULL);
        pthread_t thread = 0;
        if (task) {
            CHECK_OK(cease_group_go(g, read_under, &r));
        } else {
            CHECK_EQ(pthread_create(&thread, NULL, read_thread, &r), 0);
        }
        wait_for(&r.started);
        cease_cancel(stop);
        CHECK_OK(cease_group_wait(g));
        if (thread) {
            pthread_join(thread, NULL);
        }
        CHECK_OK(r.result);
        CHECK_EQ(r.interrupts, 4);
        cease_group_free(g);
        cease_end(stop);
        close(fds[0]);
        close(fds[1]);
    }
}

/* The look at the context, a while, and the system call: the cancel comes anywhere. */
struct late {
    cease_ctx *ctx;
    int fd;
    uint32_t spin;
};

static void look_then_read(void *arg)
{
    struct late *l = arg;
    char byte;
    while (!cease_done(l->ctx)) {
        for (volatile uint32_t i = 0; i < l->spin; i++) {
        }
        CHECK(read(l->fd, &byte, 1) < 0 && errno == EINTR);
    }
}

static cease_error race_signals(cease_ctx *ctx, void *arg)
{
    uint32_t seed = 1;
    (void)ctx;
    for (int i = 0; i < (harness_is_slow() ? 100 : 1000); i++) {
        seed = seed * 1664525u + 1013904223u;
        cease_canceler *stop;
        cease_ctx *own = cease_ref(cease_with_cancel(cease_background(), &stop));
        struct late l = {own, *(int *)arg, (seed >> 8) % 20000};
        CHECK_OK(cease_go(cease_background(), end_it, stop));
        cease_error e = cease_block_signal(own, look_then_read, &l);
        CHECK(e == CEASE_OK || e == CEASE_ECANCELED);
        cease_unref(own);
    }
    return CEASE_OK;
}

TEST(block_signal_is_never_lost_before_the_system_call)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_group_go(g, race_signals, &fds[0]));
    }
    CHECK_OK(race_signals(NULL, &fds[0]));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    close(fds[0]);
    close(fds[1]);
}

static void read_mask(void *arg)
{
    pthread_sigmask(SIG_SETMASK, NULL, arg);
}

/* On the thread that was interrupted before: nothing of it is left, and its mask is what it was. */
static void look_for_leftovers(void *arg)
{
    sigset_t pending, mask;
    CHECK_EQ(sigpending(&pending), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
        CHECK(!sigismember(&pending, i));
        CHECK_EQ(sigismember(&mask, i), sigismember(arg, i));
    }
}

static cease_error be_interrupted_then_look(cease_ctx *ctx, void *arg)
{
    sigset_t mask;
    CHECK_OK(cease_block(ctx, read_mask, NULL, &mask));
    for (int i = 0; i < 20; i++) {
        cease_canceler *stop;
        struct late l = {cease_ref(cease_with_cancel(ctx, &stop)), *(int *)arg, 100};
        CHECK_OK(cease_go(ctx, end_it, stop));
        (void)cease_block_signal(l.ctx, look_then_read, &l);
        cease_unref(l.ctx);
        CHECK_OK(cease_block(ctx, look_for_leftovers, NULL, &mask));
    }
    return CEASE_OK;
}

TEST(block_signal_does_not_hit_what_its_thread_does_next)
{
    int fds[2];
    sigset_t former, mask, pending;
    set_cap("1");
    CHECK_EQ(pipe(fds), 0);
    in_task(be_interrupted_then_look, &fds[0]);
    pthread_sigmask(SIG_SETMASK, NULL, &former);
    CHECK_OK(race_signals(NULL, &fds[0])); /* on this thread */
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK_EQ(sigpending(&pending), 0);
    for (int i = 1; i <= SIGRTMAX; i++) {
        CHECK_EQ(sigismember(&mask, i), sigismember(&former, i));
        CHECK(i < SIGRTMIN || !sigismember(&pending, i));
    }
    close(fds[0]);
    close(fds[1]);
}

static int handlers(void)
{
    int count = 0;
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
        struct sigaction now;
        count += sigaction(i, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
    }
    return count;
}

static void count_handlers(void *arg)
{
    *(int *)arg = handlers();
}

static cease_error count_under_signal(cease_ctx *ctx, void *arg)
{
    return cease_block_signal(ctx, count_handlers, arg);
}

TEST(block_signal_has_one_handler_and_gives_it_back)
{
    int before = handlers(), during = 0;
    CHECK_OK(count_under_signal(cease_background(), &during));
    CHECK_EQ(during, before + 1);
    in_task(count_under_signal, &during);
    CHECK_EQ(during, before + 1);
    CHECK_OK(cease_runtime_stop());
    CHECK_EQ(handlers(), before);
}

static void their_handler(int number)
{
    (void)number;
}

static cease_error never_under_signal(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    CHECK_ERR(cease_block_signal(cease_background(), never, NULL), CEASE_EAGAIN);
    return CEASE_OK;
}

TEST(block_signal_takes_no_signal_of_others)
{
    struct sigaction theirs = {.sa_handler = their_handler}, now;
    int ran = 0;
    bool taken[_NSIG] = {false};
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
        taken[i] = sigaction(i, &theirs, NULL) == 0; /* Valgrind keeps one for itself */
    }
    CHECK_OK(never_under_signal(NULL, NULL));
    in_task(never_under_signal, NULL);
    CHECK_OK(cease_runtime_stop());
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
        CHECK(!taken[i] || (sigaction(i, NULL, &now) == 0 && now.sa_handler == their_handler));
    }
    signal(SIGRTMIN, SIG_DFL);
    CHECK_OK(cease_block_signal(cease_background(), count_fn, &ran));
    CHECK_EQ(ran, 1);
}

TEST(block_signal_without_a_timer_says_so_and_runs_nothing)
{
    struct rlimit none = {0}, former;
    CHECK_EQ(getrlimit(RLIMIT_SIGPENDING, &former), 0);
    none.rlim_max = former.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0) {
        timer_delete(timer);
        SKIP("timers are not limited here");
    }
    CHECK_OK(never_under_signal(NULL, NULL));
    in_task(never_under_signal, NULL);
}

/* ---- threads come and go --------------------------------------------------------------------- */

static size_t pool_threads(void)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *d; (d = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", d->d_name);
        FILE *f = fopen(path, "re"); /* it may have ended */
        if (f) {
            count += fgets(name, sizeof name, f) && strcmp(name, "cease-block\n") == 0;
            fclose(f);
        }
    }
    closedir(tasks);
    return count;
}

TEST(block_pool_grows_with_the_jobs_and_shrinks_when_there_are_none)
{
    enum { JOBS = 9 };
    setenv("CEASE_BLOCK_IDLE_MS", "1", 1);
    set_cap("20");
    for (int round = 0; round < 3; round++) {
        struct sleeper s[JOBS];
        struct under u[JOBS];
        cease_group *g = cease_group_new(cease_background(), NULL);
        for (int i = 0; i < JOBS; i++) {
            sleeper_init(&s[i]);
            u[i] = (struct under){cease_background(), &s[i], CEASE_EIO};
            CHECK_OK(cease_group_go(g, sleep_under, &u[i]));
        }
        for (int i = 0; i < JOBS; i++) {
            wait_for(&s[i].started); /* all at once: none waits for another's thread */
        }
        CHECK_EVENTUALLY(pool_threads() == JOBS); /* the last to start may not have its name yet */
        for (int i = 0; i < JOBS; i++) {
            sem_post(&s[i].wake);
        }
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
        CHECK_EVENTUALLY(pool_threads() == 0);
    }
}

/* ---- manners
 * ------------------------------------------------------------------------------------------ */

static cease_error read_mask_task(cease_ctx *ctx, void *arg)
{
    return cease_block(ctx, read_mask, NULL, arg);
}

TEST(block_threads_take_no_asynchronous_signal)
{
    sigset_t mask;
    in_task(read_mask_task, &mask);
    static const int theirs[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM, SIGPIPE};
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
        CHECK_EQ(sigismember(&mask, theirs[i]), 1);
    }
    CHECK_EQ(sigismember(&mask, SIGSEGV), 0);
    CHECK_EQ(sigismember(&mask, SIGBUS), 0);
}

static void block_in_callback(void *arg)
{
    (void)arg;
    (void)cease_block(cease_background(), count_fn, NULL, NULL);
}

TEST_ABORTS(block_in_a_callback_aborts, "block_test.c")
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch w = {0};
    cease_watch_add(&w, ctx, block_in_callback, NULL);
    cease_cancel(stop);
}

static void cancel_fn(void *arg)
{
    cease_cancel(arg);
}

static cease_error cancel_itself(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    (void)ctx;
    (void)arg;
    cease_ctx *own = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(cease_block(own, cancel_fn, NULL, stop));
    CHECK_ERR(cease_err(own), CEASE_ECANCELED);
    cease_end(stop);
    return CEASE_OK;
}

TEST(block_function_may_end_its_own_context)
{
    CHECK_OK(cancel_itself(NULL, NULL));
    in_task(cancel_itself, NULL);
}

static cease_error block_or_fail(cease_ctx *ctx, void *arg)
{
    cease_error e = cease_block(ctx, count_fn, NULL, arg);
    CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN);
    return CEASE_OK;
}

TEST(block_survives_every_failed_allocation)
{
    if (!harness_heap_is_ours()) {
        SKIP("malloc is the sanitizer's");
    }
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        int ran = 0;
        cease_group *g = cease_group_new(cease_background(), NULL);
        (void)cease_group_go(g, block_or_fail, &ran);
        (void)cease_group_wait(g);
        cease_group_free(g);
        CHECK_EVENTUALLY(cease_runtime_stop() == CEASE_OK); /* so that each round starts a pool */
    }
}
