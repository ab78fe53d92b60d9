/* SPDX-License-Identifier: MIT
 *
 * Out to break: what CEASE_DEBUG=1 promises to notice. This program runs with it (meson.build); the first case says so.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <cease/nopark.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static cease_key key = CEASE_KEY("key");

TEST(debug_environment_isSet)
{
    CHECK(getenv("CEASE_DEBUG") != NULL);
}

TEST(debug_ordinaryUse_saysNothingAndLeavesNothing)
{
    cease_canceler *stop, *below;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    cease_ctx *value = cease_with_value(ctx, &key, "v");
    (void)cease_with_merge(value, ctx, &below);
    cease_cancel(stop);
    cease_end(below);
    cease_unref(value);
    cease_end(stop);
    CHECK_EQ(cease_live_count(), 0);
}

TEST_ABORTS(debug_doneAfterTheLastUnref_abortsAndSaysWhereItWasMade, "debug_test.c")
{
    cease_ctx *ctx = cease_with_value(cease_background(), &key, "v");
    cease_unref(ctx);
    (void)cease_done(ctx);
}

TEST_ABORTS(debug_unrefTooOften_aborts, "cease_unref: this context is gone")
{
    cease_ctx *ctx = cease_without_cancel(cease_background());
    cease_unref(ctx);
    cease_unref(ctx);
}

TEST_ABORTS(debug_cancelAfterTheLastEnd_abortsWithTheCallersPlace,
            "cease_cancel: this context is gone")
{
    cease_canceler *stop;
    (void)cease_with_cancel(cease_background(), &stop);
    cease_end(stop);
    cease_cancel(stop);
}

TEST_ABORTS(debug_deriveFromAGoneContext_aborts, "the parent: this context is gone")
{
    cease_canceler *stop, *other;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_end(stop);
    (void)cease_with_cancel(ctx, &other);
}

TEST_ABORTS(debug_watchOnAGoneContext_aborts, "cease_watch_add: this context is gone")
{
    cease_canceler *stop;
    cease_watch w;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_end(stop);
    cease_watch_add(&w, ctx, (cease_watch_fn *)abort, NULL);
}

/* The other calls with one that is gone. */
static cease_ctx *gone_context(cease_canceler **ret_stop)
{
    cease_ctx *ctx = cease_with_cancel(cease_background(), ret_stop);
    cease_end(*ret_stop);
    return ctx;
}
TEST_ABORTS(debug_cancelCauseOfAGoneContext_aborts, "cease_cancel_cause: this context is gone")
{
    cease_canceler *stop;
    (void)gone_context(&stop);
    cease_cancel_cause(stop, 1, NULL);
}
TEST_ABORTS(debug_endTooOften_aborts, "cease_end: this context is gone")
{
    cease_canceler *stop;
    (void)gone_context(&stop);
    cease_end(stop);
}
TEST_ABORTS(debug_shareOfAGoneContext_aborts, "cease_canceler_ref: this context is gone")
{
    cease_canceler *stop;
    (void)gone_context(&stop);
    (void)cease_canceler_ref(stop);
}
TEST_ABORTS(debug_refOfAGoneContext_aborts, "cease_ref: this context is gone")
{
    cease_canceler *stop;
    (void)cease_ref(gone_context(&stop));
}
TEST_ABORTS(debug_valueOfAGoneContext_aborts, "cease_value: this context is gone")
{
    cease_canceler *stop;
    (void)cease_value(gone_context(&stop), &key);
}
TEST_ABORTS(debug_deadlineOfAGoneContext_aborts, "cease_deadline: this context is gone")
{
    cease_canceler *stop;
    (void)cease_deadline(gone_context(&stop), NULL);
}
TEST_ABORTS(debug_doneFdOfAGoneContext_aborts, "cease_done_fd: this context is gone")
{
    cease_canceler *stop;
    (void)cease_done_fd(gone_context(&stop));
}

/* Trap: a context wrapped again in a loop. */
static int depth_reports;
static const cease_place *depth_place;
static void count_report(const cease_report *report)
{
    if (report->kind == CEASE_REPORT_DEPTH) {
        depth_reports++;
        depth_place = report->place;
    }
}

TEST(debug_wrappingInALoop_isReportedOnce)
{
    static const cease_hooks hooks = {.size = sizeof hooks, .report = count_report};
    cease_hooks_install(&hooks);
    cease_ctx *ctx = cease_background();
    for (int i = 0; i < 3000; i++) {
        cease_ctx *next = cease_with_value(ctx, &key, "again");
        cease_unref(ctx);
        ctx = next;
    }
    CHECK_EQ(depth_reports, 1);
    CHECK_STR(depth_place->function, __func__);
    cease_unref(ctx);
}

/* Trap: two callbacks that each remove the other synchronously. */
struct pair {
    cease_canceler *stop;
    cease_watch mine, *theirs;
    int *entered; /* atomic */
};
static void remove_the_other(void *arg)
{
    struct pair *p = arg;
    __atomic_add_fetch(p->entered, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(p->entered, __ATOMIC_SEQ_CST) != 2)
        sched_yield();
    cease_watch_remove_sync(p->theirs);
}
static void *cancel_pair(void *arg)
{
    cease_cancel(((struct pair *)arg)->stop);
    return NULL;
}

static void let_them_wait_for_each_other(void)
{
    static const cease_place place_a = {"a.c", 11, "first"}, place_b = {"b.c", 22, "second"};
    int entered = 0;
    struct pair a = {.entered = &entered}, b = {.entered = &entered};
    a.theirs = &b.mine;
    b.theirs = &a.mine;
    cease_ctx *one = cease_with_cancel(cease_background(), &a.stop);
    cease_ctx *two = cease_with_cancel(cease_background(), &b.stop);
    cease_watch_add_at(&a.mine, one, remove_the_other, &a, &place_a);
    cease_watch_add_at(&b.mine, two, remove_the_other, &b, &place_b);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, cancel_pair, &a), 0);
    cease_cancel(b.stop);
    pthread_join(thread, NULL);
}

/* Runs fn in a child process, and gives how that ended and what it has written on stderr. */
static int status_and_text(void (*fn)(void), char *ret_text, size_t size)
{
    int out[2], status;
    CHECK_EQ(pipe(out), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* when the case's limit is over, it is over here, too */
        dup2(out[1], STDERR_FILENO);
        fn();
        exit(0);
    }
    close(out[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(out[0], ret_text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    ret_text[length] = '\0';
    close(out[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

/* Either may be the one that notices. */
TEST(debug_callbacksThatWaitForEachOther_abortWithBothPlaces)
{
    char text[4096];
    int status = status_and_text(let_them_wait_for_each_other, text, sizeof text);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    CHECK(strstr(text, "each removes the other") != NULL);
    CHECK(strstr(text, "a.c:11: first: ") != NULL || strstr(text, "b.c:22: second: ") != NULL);
    CHECK(strstr(text, "a.c:11 in first") != NULL || strstr(text, "b.c:22 in second") != NULL);
    CHECK(strstr(text, "a.c:11") != NULL && strstr(text, "b.c:22") != NULL);
}

/* A wait that is over is forgotten: first a callback waits for one of the other thread, then, still there, it is waited
 * for by that thread's next. */
static struct turns {
    cease_canceler *stop, *first_stop, *second_stop;
    cease_watch long_one, first, second;
    int entered, waited, waiting; /* atomic */
} turns;
static void wait_for_flag(const int *flag)
{
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        sched_yield();
}
static void set_flag(int *flag)
{
    __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}
static void give_others_time(void)
{
    for (int i = 0; i < 100; i++)
        sched_yield();
}
static void wait_and_be_waited_for(void *unused)
{
    (void)unused;
    wait_for_flag(&turns.entered);
    cease_watch_remove_sync(&turns.first);
    set_flag(&turns.waited);
    wait_for_flag(&turns.waiting);
    give_others_time();
}
static void be_waited_for(void *unused)
{
    (void)unused;
    set_flag(&turns.entered);
    give_others_time();
}
static void wait_for_the_long_one(void *unused)
{
    (void)unused;
    wait_for_flag(&turns.waited);
    set_flag(&turns.waiting);
    cease_watch_remove_sync(&turns.long_one);
}
static void *cancel_long_one(void *unused)
{
    (void)unused;
    cease_cancel(turns.stop);
    return NULL;
}

TEST(debug_callbacksThatWaitForEachOtherByTurns_areLeftAlone)
{
    for (int i = 0; i < 20; i++) {
        turns = (struct turns){0};
        cease_ctx *ctx = cease_with_cancel(cease_background(), &turns.stop);
        CHECK(cease_watch_add(&turns.long_one, ctx, wait_and_be_waited_for, NULL));
        ctx = cease_with_cancel(cease_background(), &turns.first_stop);
        CHECK(cease_watch_add(&turns.first, ctx, be_waited_for, NULL));
        ctx = cease_with_cancel(cease_background(), &turns.second_stop);
        CHECK(cease_watch_add(&turns.second, ctx, wait_for_the_long_one, NULL));
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, cancel_long_one, NULL), 0);
        cease_cancel(turns.first_stop);
        cease_cancel(turns.second_stop);
        pthread_join(thread, NULL);
        cease_end(turns.second_stop);
        cease_end(turns.first_stop);
        cease_end(turns.stop);
    }
}

static void remove_itself(void *arg)
{
    struct pair *p = arg;
    cease_watch_remove_sync(&p->mine);
    ++*p->entered;
}

TEST(debug_callbackThatRemovesItself_waitsForNobody)
{
    int entered = 0;
    struct pair a = {.entered = &entered};
    cease_ctx *ctx = cease_with_cancel(cease_background(), &a.stop);
    cease_watch_add(&a.mine, ctx, remove_itself, &a);
    cease_cancel(a.stop);
    CHECK_EQ(entered, 1);
    cease_end(a.stop);
}

/* This program again, when a case asks for it: leaves a context, and says nothing itself. */
__attribute__((constructor)) static void leak_when_asked(void)
{
    static cease_canceler *left;
    if (getenv("DEBUG_TEST_LEAK") != NULL) {
        (void)cease_with_cancel(cease_background(), &left);
        exit(0);
    }
}

/* Whether a program that is run with CEASE_DEBUG set to this says that it left a context. */
static bool reports_a_leak(const char *value)
{
    char exe[512], command[1200], text[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    CHECK(n > 0);
    exe[n] = '\0';
    const char *emulator = getenv("HARNESS_EMULATOR");
    snprintf(command, sizeof command, "DEBUG_TEST_LEAK=1 CEASE_DEBUG='%s' %s '%s' 2>&1", value,
             emulator != NULL ? emulator : "", exe);
    FILE *out = popen(command, "r");
    CHECK(out != NULL);
    size_t length = fread(text, 1, sizeof text - 1, out);
    text[length] = '\0';
    CHECK_EQ(pclose(out), 0);
    return strstr(text, "never ended") != NULL;
}

TEST(debug_environmentEmptyOrZero_isOff)
{
    CHECK(reports_a_leak("1"));
    CHECK(reports_a_leak("01"));
    CHECK(!reports_a_leak("0"));
    CHECK(!reports_a_leak(""));
}

static void leave_three_contexts(void)
{
    cease_canceler *stop;
    for (int i = 0; i < 3; i++)
        (void)cease_with_cancel(cease_background(), &stop);
}

TEST(debug_contextsNeverEnded_areReportedAtExitWithTheirPlace)
{
    char text[4096];
    (void)status_and_text(leave_three_contexts, text, sizeof text);
    CHECK(strstr(text, "3 contexts were made here and never ended") != NULL);
    CHECK(strstr(text, "leave_three_contexts") != NULL);
}

/* ----- scopes in which nothing may park ----- */

static cease_ctx *open_context(cease_canceler **ret_stop)
{
    return cease_with_cancel(cease_background(), ret_stop);
}

TEST_ABORTS(debug_waitInAScopeWithoutParking_namesTheScope,
            "parks inside the scope that begins here, in which nothing may")
{
    cease_canceler *stop;
    cease_ctx *ctx = open_context(&stop);
    CEASE_AUTO_NOPARK cease_nopark scope = {0};
    cease_nopark_begin(&scope);
    (void)cease_wait(ctx);
}

static void wait_for_it(void *arg)
{
    (void)cease_wait(arg);
}

TEST_ABORTS(debug_callbackThatWaitsInAScope_namesTheCallback,
            "cease_park inside a callback of a context: the callback that was added here parks")
{
    cease_canceler *stop, *other;
    cease_watch watch = {0};
    CHECK(cease_watch_add(&watch, open_context(&stop), wait_for_it, open_context(&other)));
    cease_nopark scope;
    cease_nopark_begin(&scope);
    cease_cancel(stop);
}

TEST(debug_scopesWithoutParking_nestAndEnd)
{
    cease_nopark outer = {0}, inner;
    cease_nopark_end(&outer); /* has not begun */
    (cease_nopark_begin)(&outer);
    cease_nopark_begin(&inner);
    CHECK(cease_callback_place() != NULL);
    cease_nopark_end(&inner);
    cease_nopark_end(&inner); /* once is enough */
    CHECK(cease_callback_place() != NULL);
    cease_nopark_end(&outer);
    CHECK_PTR(cease_callback_place(), NULL);
}

TEST_ABORTS(debug_scopesWithoutParkingThatCross_abort,
            "is not the one that began last on this thread")
{
    cease_nopark first, second;
    cease_nopark_begin(&first);
    cease_nopark_begin(&second);
    cease_nopark_end(&first);
}

static void end_the_scope(void *arg)
{
    cease_nopark_end(arg);
}

/* The callback has the scope's place for its own, but it is not the scope. */
TEST_ABORTS(debug_scopeEndedInACallback_aborts, "is not the one that began last on this thread")
{
    static const cease_place place = {"here", 1, "here"};
    cease_canceler *stop;
    cease_watch watch = {0};
    cease_nopark scope;
    cease_nopark_begin_at(&scope, &place);
    CHECK(cease_watch_add_at(&watch, open_context(&stop), end_the_scope, &scope, &place));
    cease_cancel(stop);
}
