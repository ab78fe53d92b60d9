/* SPDX-License-Identifier: MIT
 *
 * Out to break: what the calls of context.h do when memory, threads or file descriptors run out,
 * wherever that happens; and the corners of the same calls that no other file goes into.
 *
 * The one idea: this program has eventfd(), pthread_create() and write() of its own, which the
 * library calls, and which fail when they are told to. Memory fails through the harness.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sanitizers have these functions for themselves. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define OURS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define OURS 0
#endif
#endif
#ifndef OURS
#define OURS 1
#endif

static int eventfds_to_fail, threads_to_fail, writes_to_interrupt; /* atomic: how many calls */

#if OURS
static bool take_one(int *left)
{
    int n = __atomic_load_n(left, __ATOMIC_SEQ_CST);
    while (n > 0)
        if (__atomic_compare_exchange_n(left, &n, n - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    return false;
}

/* The system's own, looked for before anything fails: looking allocates. */
static struct {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*set)(pthread_key_t, const void *);
} real;

__attribute__((constructor(101))) static void find_real(void)
{
    if (real.set != NULL)
        return;
    void *found[] = {dlsym(RTLD_NEXT, "pthread_create"), dlsym(RTLD_NEXT, "pthread_setspecific")};
    _Static_assert(sizeof found == sizeof real, "one for each");
    memcpy(&real, found, sizeof real);
}

int eventfd(unsigned int count, int flags)
{
    if (take_one(&eventfds_to_fail)) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_eventfd2, count, flags);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (take_one(&writes_to_interrupt)) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_write, fd, data, size);
}

static int settings_to_fail;

int pthread_setspecific(pthread_key_t key, const void *value)
{
    if (take_one(&settings_to_fail))
        return ENOMEM;
    find_real();
    return real.set(key, value);
}

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
                   void *(*fn)(void *), void *restrict arg)
{
    if (take_one(&threads_to_fail))
        return EAGAIN;
    find_real();
    return real.create(thread, attr, fn, arg);
}
#endif

static void need_ours(void)
{
    if (!OURS)
        SKIP("the sanitizer has the system's functions for itself");
}

static cease_key keys[40] = {CEASE_KEY("first")};

static void count(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static int released;
static void release(void *self)
{
    (void)self;
    released++;
}
static bool no_value(void *self, cease_key *key, void **ret_value)
{
    (void)self;
    (void)key;
    (void)ret_value;
    return false;
}
static const cease_source source = {sizeof source, no_value, release};
static const cease_source bare = {.size = sizeof bare};
static int destroyed;
static void destroy(void *value)
{
    (void)value;
    destroyed++;
}
static cease_key owned = CEASE_KEY_OWNED("owned", destroy);

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* A derived context is open, or says that there was no memory. */
static cease_ctx *sound(cease_ctx *ctx)
{
    if (ctx == cease_nomem() || cease_done(ctx))
        CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ENOMEM);
    return ctx;
}

/* ----- the n-th allocation fails ----- */

static void use(cease_ctx *ctx, cease_canceler *stop)
{
    int calls = 0;
    cease_watch w = {0};
    bool added = cease_watch_add(&w, ctx, count, &calls);
    int fd = cease_done_fd(ctx);
    if (fd < 0)
        CHECK_EQ(fd, CEASE_ENOMEM);
    static int afters; /* on a context that has ended it runs at once, and may outlive this call */
    cease_after *after = cease_after_func(ctx, count, &afters);
    (void)cease_after_stop(after);
    (void)cease_value(ctx, &keys[0]);
    cease_cancel_cause(stop, 7, "because of %d", 7);
    CHECK(cease_done(ctx));
    CHECK_EQ(calls, 1);
    if (fd >= 0)
        CHECK(is_readable(fd));
    CHECK_EQ(cease_watch_remove(&w), CEASE_WATCH_RAN);
    (void)added;
}

static void derive_all(cease_ctx *top)
{
    cease_canceler *stop[5], *merged, *share;
    cease_ctx *ctx[5];
    ctx[0] = sound(cease_with_cancel(top, &stop[0]));
    ctx[1] = sound(cease_with_timeout(top, cease_hour(1), &stop[1]));
    ctx[2] = sound(cease_with_deadline_cause(top, cease_time_add(cease_now(), cease_hour(2)), 3,
                                             "late", &stop[2]));
    ctx[3] = sound(cease_with_grace(top, cease_hour(1), &stop[3]));
    ctx[4] = sound(cease_with_cancel(ctx[1], &stop[4]));
    cease_ctx *merge = sound(cease_with_merge(ctx[0], ctx[2], &merged));
    int before = destroyed, releases = released;
    cease_ctx *value = cease_with_value(merge, &owned, &owned);
    cease_ctx *from = cease_with_source(value, &source, NULL);
    cease_ctx *bare_from = cease_with_source(value, &bare, NULL);
    cease_ctx *detached = cease_without_cancel(from);
    share = cease_canceler_ref(stop[0]);
    for (size_t i = 5; i-- > 0;)
        use(ctx[i], stop[i]);
    cease_end(share);
    cease_unref(detached);
    cease_unref(bare_from);
    cease_unref(from);
    cease_unref(value);
    CHECK_EQ(destroyed, before + 1);
    CHECK_EQ(released, releases + 1);
    cease_end(merged);
    for (size_t i = 0; i < 5; i++)
        cease_end(stop[i]);
}

static unsigned given_shard;
static unsigned shard_of_test(void)
{
    return given_shard;
}

TEST(everyCall_theNthAllocationFails_saysSoOrSucceedsAndLeavesNothing)
{
    (void)cease_done_fd(cease_nomem()); /* made once, for everybody, and never closed */
    harness_mark();
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_canceler *stop;
        cease_ctx *top = sound(cease_with_cancel(cease_background(), &stop));
        derive_all(top);
        cease_end(stop);
        cease_trim();
        cease_threads_stop();
        CHECK_EQ(cease_live_count(), 0);
    }
    harness_fail_alloc(0);
}

TEST(cancelCause_withoutMemoryForItsText_keepsTheCode)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not the harness's");
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    harness_fail_alloc(1);
    cease_cancel_cause(stop, 5, "a text of %d", 1);
    harness_fail_alloc(0);
    CHECK_EQ(cease_cause_of(ctx)->code, 5);
    CHECK_STR(cease_cause_of(ctx)->text, "context canceled");
    cease_end(stop);
}

/* ----- system calls fail ----- */

TEST(doneFd_withoutDescriptors_saysSoAndWorksLater)
{
    need_ours();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    eventfds_to_fail = 3;
    CHECK_EQ(cease_done_fd(ctx), -EMFILE);
    CHECK_EQ(cease_done_fd(cease_background()), -EMFILE);
    CHECK_EQ(cease_done_fd(cease_nomem()), -EMFILE);
    CHECK_EQ(eventfds_to_fail, 0);
    int fd = cease_done_fd(ctx);
    CHECK(fd >= 0 && !is_readable(fd));
    writes_to_interrupt = 2;
    cease_cancel(stop);
    CHECK_EQ(writes_to_interrupt, 0);
    CHECK(is_readable(fd));
    cease_end(stop);
}

TEST(deadline_noThreadToBeHad_endsTheContextAndSaysWhy)
{
    need_ours();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    threads_to_fail = 1;
    CHECK(cease_done(ctx));
    CHECK_EQ(threads_to_fail, 0);
    CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_EAGAIN);
    cease_end(stop);
    ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    CHECK(!cease_done(ctx)); /* and the next one works again */
    cease_end(stop);
    cease_threads_stop();
}

TEST(afterFunc_noThreadToBeHad_promisesNothing)
{
    need_ours();
    int calls = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    threads_to_fail = 1;
    CHECK(cease_after_func(ctx, count, &calls) == NULL);
    CHECK(!cease_after_stop(NULL));
    cease_end(stop);
    CHECK_EQ(calls, 0);
}

static int gate; /* atomic */
static void wait_for_gate(void *arg)
{
    count(arg);
    CHECK_EVENTUALLY(__atomic_load_n(&gate, __ATOMIC_SEQ_CST) != 0);
}

TEST(afterFunc_noSecondThreadToBeHad_runsWhenTheFirstIsIdle)
{
    need_ours();
    int begun = 0, calls = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_after *second = cease_after_func(ctx, count, &calls);
    cease_after *first = cease_after_func(ctx, wait_for_gate, &begun); /* runs first: newest */
    threads_to_fail = 2;
    cease_cancel(stop);
    CHECK_EVENTUALLY(__atomic_load_n(&begun, __ATOMIC_SEQ_CST) == 1);
    CHECK_EQ(__atomic_load_n(&calls, __ATOMIC_SEQ_CST), 0);
    threads_to_fail = 0;
    __atomic_store_n(&gate, 1, __ATOMIC_SEQ_CST);
    CHECK_EVENTUALLY(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) == 1);
    (void)cease_after_stop(first);
    (void)cease_after_stop(second);
    cease_end(stop);
    cease_threads_stop();
}

#if OURS
TEST(thread_withoutRoomForItsOwn_sharesTheFallback)
{
    cease_canceler *stop;
    cease_trim();
    settings_to_fail = 3;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(settings_to_fail < 3);
    CHECK_EQ(cease_live_count(), 1);
    CHECK(!cease_done(ctx));
    cease_end(stop);
    settings_to_fail = 0;
    CHECK_EQ(cease_live_count(), 0);
}
#endif

/* ----- hooks ----- */

static int spawns, kicks, parks, wakes;
static cease_error spawn_fails_first(void (*fn)(void *arg), void *arg)
{
    if (spawns++ == 0)
        return CEASE_EAGAIN;
    fn(arg);
    return CEASE_OK;
}
static void kick(unsigned shard)
{
    CHECK_EQ(shard, 1);
    kicks++;
}
static void park(cease_parker *p)
{
    parks++;
    cease_park_thread(p);
}
static void wake(cease_parker *p)
{
    wakes++;
    cease_wake_thread(p);
}
static uint64_t task(void)
{
    return 42;
}
static const cease_hooks hooks = {.size = sizeof hooks,
                                  .timer_shard = shard_of_test,
                                  .timer_kick = kick,
                                  .park = park,
                                  .wake = wake,
                                  .spawn = spawn_fails_first,
                                  .task_id = task};

TEST(hooks_ofARuntime_areAskedForEverything)
{
    int calls = 0;
    cease_canceler *stop, *timed, *far;
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_after *a = cease_after_func(ctx, count, &calls),
                *b = cease_after_func(ctx, count, &calls);
    cease_cancel(stop);
    CHECK_EQ(cease_cause_of(ctx)->task, 42);
    CHECK_EVENTUALLY(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) == 2); /* one on a helper */
    CHECK_EQ(spawns, 2);
    (void)cease_after_stop(a);
    (void)cease_after_stop(b);

    given_shard = 1;
    ctx = cease_with_timeout(cease_background(), cease_hour(1), &timed);
    CHECK(!cease_done(ctx));
    CHECK_EQ(kicks, 1);
    CHECK(cease_timers_next(1).ns != INT64_MAX);
    given_shard = CEASE_TIMER_SHARDS; /* too large: the core's own */
    (void)cease_with_timeout(cease_background(), cease_hour(2), &far);
    cease_watch w = {0};
    cease_parker parker;
    cease_parker_init(&parker);
    cease_wake(&parker);
    cease_park(&parker);
    CHECK_EQ(parks + wakes, 2);
    CHECK(cease_watch_add(&w, ctx, count, &calls));
    CHECK_EQ(cease_timers_run(1, CEASE_NEVER), 1);
    CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
    cease_end(timed);
    cease_end(far);
    cease_end(stop);
    cease_hooks_install(NULL);
    cease_threads_stop();
}

TEST_ABORTS(timersNext_ofNoShard_aborts, "cease_timers_next")
{
    (void)cease_timers_next(CEASE_TIMER_SHARDS);
}
TEST_ABORTS(timersRun_ofNoShard_aborts, "cease_timers_run")
{
    (void)cease_timers_run(CEASE_TIMER_SHARDS, cease_now());
}

/* ----- corners ----- */

TEST(null_whereItMeansNothing_isTakenAndDoesNothing)
{
    cease_cancel(NULL);
    cease_cancel_cause(NULL, 1, "nothing");
    (cease_cancel_cause)(NULL, 1, "nothing");
    cease_end(NULL);
    CHECK(cease_ref(NULL) == NULL);
    CHECK(cease_unref(NULL) == NULL);
    CHECK(cease_canceler_ref(NULL) == NULL);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    CHECK(cease_deadline(ctx, NULL));
    cease_end(stop);
    CHECK_EQ(cease_child_count(cease_background()), 0);
}

TEST(withoutMemory_itsContext_isDescribedAndCannotBeShared)
{
    char text[400], name[300];
    CHECK_EQ(cease_describe(cease_nomem(), text, sizeof text), strlen("out of memory"));
    CHECK_STR(text, "out of memory");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cease_key key = {.name = name};
    cease_ctx *ctx = cease_with_value(cease_background(), &key, NULL);
    CHECK_EQ(cease_describe(ctx, text, sizeof text), strlen("background") + 255);
    cease_unref(ctx);
    cease_canceler *stop;
    if (harness_heap_is_ours()) {
        cease_trim();
        harness_fail_alloc(2); /* the first is the thread's own */
        ctx = cease_with_cancel(cease_background(), &stop);
        harness_fail_alloc(0);
        CHECK_PTR(ctx, cease_nomem());
        CHECK_PTR(cease_canceler_ref(stop), stop);
        cease_cancel(stop);
        cease_end(stop);
        cease_end(stop);
    }
}

TEST(errors_ofNoKnownNumber_areUnknown)
{
    CHECK_STR(cease_strerror((cease_error)4), "unknown error");
    CHECK_STR(cease_error_name((cease_error)4), "unknown");
    CHECK_STR(cease_strerror((cease_error)-123456), "unknown error");
    CHECK_STR(cease_error_name((cease_error)-123456), "unknown");
    CHECK_STR(cease_error_name((cease_error)-EXDEV), "EXDEV");
}

TEST(values_underManyKeys_areFoundWhereverTheTableGrew)
{
    cease_ctx *all = cease_ref(cease_background());
    cease_key *last = &keys[39];
    for (size_t i = 0; i < 40; i++) {
        keys[i].name = "one of many";
        cease_ctx *next = cease_with_value(all, &keys[i], &keys[i]);
        cease_unref(all);
        all = next;
    }
    for (size_t i = 0; i < 40; i++)
        CHECK_PTR(cease_value(all, &keys[i]), &keys[i]);
    cease_ctx *few = cease_with_value(cease_background(), &keys[0], last);
    cease_ctx *taller = cease_with_value(few, last, few);
    cease_ctx *from = cease_with_source(taller, &bare, NULL); /* which has no `value` at all */
    CHECK_PTR(cease_value(from, last), few);
    CHECK_PTR(cease_value(from, &keys[0]), last);
    CHECK(cease_value(from, &keys[20]) == NULL);
    cease_unref(from);
    cease_unref(taller);
    cease_unref(few);
    cease_unref(all);
}

/* Without a place, as bindings of other languages call. */
TEST_ABORTS(withCancel_nullWithoutAPlace_aborts, "the parent is NULL")
{
    cease_canceler *stop;
    (void)(cease_with_cancel)(NULL, &stop);
}
static void park_here(void *arg)
{
    (void)arg;
    cease_parker parker;
    cease_parker_init(&parker);
    cease_park(&parker);
}
TEST_ABORTS(callback_addedWithoutAPlaceParks_aborts, "unknown")
{
    cease_canceler *stop;
    cease_watch w = {0};
    cease_ctx *ctx = (cease_with_cancel)(cease_background(), &stop);
    (void)(cease_watch_add)(&w, ctx, park_here, NULL);
    (cease_cancel)(stop);
}

TEST(deadline_aboveHasPassedUnnoticed_endsThatAboveToo)
{
    cease_canceler *stop, *below;
    cease_time soon = cease_time_add(cease_now(), cease_ms(2));
    given_shard = 1; /* which nobody drives */
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_with_deadline(cease_background(), soon, &stop);
    (void)cease_done(ctx); /* arms it */
    cease_canceler *middle;
    cease_ctx *value = cease_with_value(cease_with_cancel(ctx, &middle), &keys[0], NULL);
    CHECK_EVENTUALLY(cease_now().ns >= soon.ns);
    cease_ctx *late = cease_with_deadline(value, soon, &below);
    CHECK_ERR(cease_err(late), CEASE_EDEADLINE);
    CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
    cease_unref(value);
    cease_end(below);
    cease_end(middle);
    cease_end(stop);
    cease_hooks_install(NULL);
    cease_threads_stop();
}
