/* SPDX-License-Identifier: MIT
 *
 * Out to break: the corners that `make coverage` found no case in: forks at odd moments, shards that
 * lose their runtime, tables of thousands of keys, exact chunk sizes.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <cease/nopark.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static cease_key many_keys[5000];

static void count(void *arg)
{
    ++*(int *)arg;
}

TEST(values_whoseTableGrowsByLevelsAtOnce_areAllFound)
{
    for (size_t i = 0; i < 5000; i++) {
        many_keys[i].name = "one of many";
        cease_unref(cease_with_value(cease_background(), &many_keys[i], NULL)); /* gives a slot */
    }
    static const size_t jumps[][3] = {{0, 300, 4900}, {1, 20, 4900}, {2, 4900, 3}, {30, 290, 4999}};
    for (size_t i = 0; i < 4; i++) {
        cease_ctx *ctx[3], *above = cease_background();
        for (size_t k = 0; k < 3; k++)
            above = ctx[k] = cease_with_value(above, &many_keys[jumps[i][k]], &ctx[k]);
        for (size_t k = 0; k < 3; k++)
            CHECK_PTR(cease_value(above, &many_keys[jumps[i][k]]), &ctx[k]);
        CHECK(cease_value(above, &many_keys[4000]) == NULL);
        for (size_t k = 3; k-- > 0;)
            cease_unref(ctx[k]);
    }
}

TEST(walk_whoseLastOfAChunkMustBeEntered_goesOnBehindIt)
{
    int calls = 0;
    cease_canceler *stop, *stops[300];
    cease_watch w = {0};
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop), *children[300];
    for (size_t i = 0; i < 300; i++) {
        children[i] = cease_with_cancel(ctx, &stops[i]);
        if (i == 300 - 256) /* the 256th, newest first */
            CHECK(cease_watch_add(&w, children[i], count, &calls));
    }
    cease_cancel(stop);
    CHECK_EQ(calls, 1);
    for (size_t i = 0; i < 300; i++) {
        CHECK(cease_done(children[i]));
        cease_end(stops[i]);
    }
    cease_end(stop);
}

static cease_ctx *looked_at;
static void look_and_fork(void *arg)
{
    CHECK_EQ(cease_child_count(looked_at), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        cease_watch w = {0};
        int calls = 0;
        bool ok = cease_done(looked_at) && !cease_watch_add(&w, looked_at, count, &calls) &&
                  calls == 1 && cease_watch_remove(&w) == CEASE_WATCH_RAN;
        _exit(ok ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    count(arg);
}

TEST(callback_countsAndForks_theChildSeesTheEnd)
{
    int calls = 0;
    cease_canceler *stop;
    cease_watch w = {0};
    looked_at = cease_with_cancel(cease_background(), &stop);
    CHECK(cease_watch_add(&w, looked_at, look_and_fork, &calls));
    cease_cancel(stop);
    CHECK_EQ(calls, 1);
    cease_end(stop);
}

struct family {
    cease_ctx *ctx, *merge, *watched;
    cease_canceler *stop, *merge_stop, *watched_stop, *ended;
    cease_watch w;
    int calls, fd;
};

static bool child_agrees(struct family *f)
{
    int fd = cease_done_fd(f->ctx);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    cease_cancel(f->ended); /* once more, in the child */
    cease_cancel(f->stop);
    bool ok = fd >= 0 && poll(&p, 1, 0) == 1 && cease_done(f->merge) && cease_done(f->watched) &&
              f->calls == 1 && cease_done_fd(cease_background()) >= 0;
    cease_end(f->merge_stop);
    cease_end(f->watched_stop);
    cease_end(f->ended);
    cease_end(f->stop);
    return ok;
}

TEST(family_endedInAForkedChild_staysOpenInTheParent)
{
    struct family f = {.calls = 0};
    (void)cease_done_fd(cease_background()); /* made once and never closed */
    harness_mark();
    f.ctx = cease_with_cancel(cease_background(), &f.stop);
    f.watched = cease_with_cancel(f.ctx, &f.watched_stop);
    f.merge = cease_with_merge(f.watched, f.ctx, &f.merge_stop);
    CHECK(cease_watch_add(&f.w, f.watched, count, &f.calls));
    (void)cease_with_cancel(f.ctx, &f.ended);
    cease_cancel(f.ended);
    f.fd = cease_done_fd(f.ctx);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(child_agrees(&f) ? 0 : 1);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(!cease_done(f.ctx) && !cease_done(f.merge));
    CHECK_EQ(f.calls, 0);
    CHECK_EQ(cease_watch_remove(&f.w), CEASE_WATCH_REMOVED);
    cease_end(f.merge_stop);
    cease_end(f.watched_stop);
    cease_end(f.ended);
    cease_end(f.stop);
}

/* ----- shards without their runtime ----- */

static unsigned shard_1(void)
{
    return 1;
}
static void nobody(unsigned shard)
{
    (void)shard;
}
static const cease_hooks runtime = {
    .size = sizeof runtime, .timer_shard = shard_1, .timer_kick = nobody};

TEST(deadlines_whoseRuntimeHasGone_areTheTimerThreads)
{
    cease_canceler *far, *near, *soon;
    cease_hooks_install(&runtime);
    cease_ctx *in_1 = cease_with_timeout(cease_background(), cease_hour(1), &far);
    cease_ctx *due = cease_with_timeout(cease_background(), cease_ms(20), &soon);
    CHECK(!cease_done(in_1));
    cease_hooks_install(NULL);
    cease_ctx *in_0 = cease_with_timeout(cease_background(), cease_hour(2), &near);
    CHECK(!cease_done(in_0));
    cease_hooks_install(NULL); /* again: what is earliest is looked for in both */
    CHECK_ERR(cease_wait(due), CEASE_EDEADLINE);
    cease_threads_stop(); /* with deadlines still to come */
    CHECK(!cease_done(in_0) && !cease_done(in_1));
    int fd = cease_done_fd(in_1);
    CHECK(fd >= 0);
    cease_end(far);
    cease_end(near);
    cease_end(soon);
    cease_threads_stop();
}

static cease_time before_zero(void)
{
    return (cease_time){-5};
}
static const cease_hooks early = {
    .size = sizeof early, .clock = before_zero, .timer_shard = shard_1, .timer_kick = nobody};

TEST(deadline_atTheClocksZero_isKeptLikeOthers)
{
    cease_canceler *stop;
    cease_hooks_install(&early);
    cease_ctx *ctx = cease_with_deadline(cease_background(), (cease_time){0}, &stop);
    CHECK(cease_done_fd(ctx) >= 0); /* the first look is this one */
    CHECK(!cease_done(ctx));
    CHECK_EQ(cease_timers_run(1, (cease_time){-1}), 0);
    CHECK_EQ(cease_timers_run(1, (cease_time){1}), 1);
    CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
    cease_end(stop);
    cease_hooks_install(NULL);
}

/* ----- without thread-locals ----- */

TEST(threadKeys_usedUp_contextsWorkAllTheSame)
{
    static pthread_key_t keys[PTHREAD_KEYS_MAX];
    size_t count = 0;
    while (count < PTHREAD_KEYS_MAX && pthread_key_create(&keys[count], NULL) == 0)
        count++;
    CHECK(count > 0);
    cease_canceler *stop, *below;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_timeout(ctx, cease_hour(1), &below);
    cease_cancel(stop);
    CHECK(cease_done(child));
    cease_end(below);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
    while (count > 0)
        pthread_key_delete(keys[--count]);
}

/* ----- under CEASE_DEBUG ----- */

/* As the library reads it. */
static bool is_debug(void)
{
    const char *wanted = getenv("CEASE_DEBUG");
    return wanted != NULL && *wanted != '\0' && strcmp(wanted, "0") != 0;
}

TEST(debug_leaksInManyPlaces_areCountedPerPlaceAndTheRestTogether)
{
    if (!is_debug())
        SKIP("for the run with CEASE_DEBUG=1");
    int pipe_fds[2];
    static char said[16384];
    CHECK_EQ(pipe(pipe_fds), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        static cease_place places[70];
        cease_canceler *stop;
        dup2(pipe_fds[1], STDERR_FILENO);
        for (int i = 0; i < 70; i++) {
            places[i] = (cease_place){"leaky.c", i + 1, "leak"};
            (void)cease_with_cancel_at(cease_background(), &stop, &places[i]);
        }
        (void)cease_with_cancel_at(cease_background(), &stop, &places[69]);
        exit(0);
    }
    close(pipe_fds[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(pipe_fds[0], said + size, sizeof said - 1 - size)) > 0;)
        size += (size_t)n;
    close(pipe_fds[0]);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(strstr(said, "leaky.c:70: leak: 2 contexts were made here") != NULL);
    CHECK(strstr(said, "leaky.c:69: leak: 1 context was made here") != NULL);
    CHECK(strstr(said, "6 more contexts, made in other places") != NULL);
}

TEST(watch_removedSynchronously_isGone)
{
    int calls = 0;
    cease_canceler *stop;
    cease_watch w = {0};
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(cease_watch_add(&w, ctx, count, &calls));
    cease_watch_remove_sync(&w);
    cease_cancel(stop);
    CHECK_EQ(calls, 0);
    cease_end(stop);
}

static int told_canceled, told_deadline;

static void note_end(const cease_ctx *ctx, cease_error error, const cease_place *place)
{
    CHECK(ctx != NULL);
    CHECK((place == NULL) == (error == CEASE_EDEADLINE));
    *(error == CEASE_EDEADLINE ? &told_deadline : &told_canceled) += 1;
}

TEST(onEnd_ofAContextWithAndWithoutChildren_isToldOnceEach)
{
    cease_canceler *stop, *stop_child, *stop_late;
    cease_on_end(note_end);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(ctx, &stop_child);
    cease_ctx *late = cease_with_timeout(ctx, cease_ms(1), &stop_late);
    CHECK_ERR(cease_wait(late), CEASE_EDEADLINE);
    cease_cancel(stop);
    CHECK(cease_done(child));
    cease_cancel(stop_child);
    cease_end(stop_late);
    cease_end(stop_child);
    cease_end(stop);
    cease_on_end(NULL);
    CHECK_EQ(told_canceled, 1);
    CHECK_EQ(told_deadline, 1);
}

static cease_ctx_info inspected(const cease_ctx *ctx)
{
    cease_ctx_info info = {.size = sizeof info};
    cease_inspect(ctx, &info);
    return info;
}

/* The record of a place is left out: without CEASE_DEBUG plain contexts have none, with it all have. */
TEST(inspect_ofEachKind_saysWhatItIsWithoutArmingIt)
{
    static cease_key key = CEASE_KEY("user");
    cease_canceler *stop, *stop_other, *stop_both;
    cease_ctx *root = cease_background();
    cease_ctx *timed = cease_with_timeout(root, cease_hour(1), &stop);
    cease_ctx *other = cease_with_cancel(root, &stop_other);
    cease_ctx *value = cease_with_value(timed, &key, "x");
    cease_ctx *both = cease_with_merge(value, other, &stop_both);
    CHECK_STR(inspected(root).kind, "background");
    CHECK_STR(inspected(cease_todo()).kind, "todo");
    CHECK_PTR(inspected(root).parent, NULL);
    CHECK_PTR(inspected(root).place, NULL);

    cease_ctx_info info = inspected(timed);
    CHECK_STR(info.kind, "deadline");
    CHECK_PTR(info.parent, root);
    CHECK_PTR(info.key, NULL);
    CHECK_PTR(info.other, NULL);
    CHECK_PTR(info.cause, NULL);
    CHECK_STR(info.place->file, __FILE__);
    CHECK(info.deadline.ns != CEASE_NEVER.ns);

    info = inspected(value);
    CHECK_STR(info.kind, "value");
    CHECK_STR(info.key, "user");
    CHECK_PTR(info.parent, timed);

    info = inspected(both);
    CHECK_STR(info.kind, "merge");
    CHECK_PTR(info.parent, value);
    CHECK_PTR(info.other, other);

    cease_cancel(stop_other);
    CHECK_PTR(inspected(both).cause, cease_cause_of(both));
    CHECK_PTR(inspected(other).cause, cease_cause_of(other));
    CHECK(inspected(other).cause != NULL);
    CHECK_PTR(inspected(timed).cause, NULL);
    cease_end(stop_both);
    cease_unref(value);
    cease_end(stop_other);
    cease_end(stop);
}

/* A caller that was built with an older, smaller structure. */
TEST(inspect_intoASmallerStructure_writesNoFurther)
{
    cease_ctx_info info;
    memset(&info, 0x55, sizeof info);
    info.size = offsetof(cease_ctx_info, key);
    cease_inspect(cease_background(), &info);
    CHECK_STR(info.kind, "background");
    CHECK_EQ((uintptr_t)info.key & 0xff, 0x55);
}

TEST(nopark_without_debug_forbids_nothing)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CEASE_AUTO_NOPARK cease_nopark scope;
    cease_nopark_begin(&scope);
    CHECK_EQ(cease_callback_place() != NULL, is_debug());
    if (is_debug()) {
        cease_nopark_end(&scope);
    }
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    cease_end(stop);
}
