/* SPDX-License-Identifier: MIT
 *
 * Out to break the snapshot: a task or a context that is missing or stands in the wrong place, a wait
 * that is told wrongly, JSON that is none, a worker that does not answer, tasks that come and go by
 * the thousand while it is taken, and no memory for it.
 */
#include "harness.h"

#include <cease/cease.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char *text_now(void)
{
    char *text;
    size_t size;
    CHECK_OK(cease_snapshot_text(&text, &size));
    CHECK_EQ(strlen(text), size);
    return text;
}

/* Whether the text has all of the parts, in this order. */
static bool shows(const char *const parts[])
{
    char *text = text_now();
    const char *at = text;
    for (size_t i = 0; parts[i] && at; i++) {
        at = strstr(at, parts[i]);
        at = at ? at + strlen(parts[i]) : NULL;
    }
    bool all = at != NULL;
    free(text);
    return all;
}

#define SHOWS(...) shows((const char *const[]){__VA_ARGS__, NULL})

static cease_error receives(cease_ctx *ctx, void *arg)
{
    int value;
    return cease_chan_recv(ctx, arg, &value);
}

static cease_error sends(cease_ctx *ctx, void *arg)
{
    int value = 1;
    return cease_chan_send(ctx, arg, &value);
}

static cease_error sleeps(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_sleep(ctx, cease_hour(3));
}

static cease_error waits_for_end(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}

static cease_error waits_for_fd(cease_ctx *ctx, void *arg)
{
    return cease_fd_wait(ctx, *(int *)arg, CEASE_READABLE);
}

static cease_error joins(cease_ctx *ctx, void *arg)
{
    cease_group *inner = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(inner, waits_for_end, NULL));
    (void)arg;
    cease_error err = cease_group_wait(inner);
    cease_group_free(inner);
    return err;
}

static cease_error selects(cease_ctx *ctx, void *arg)
{
    int value;
    size_t index;
    cease_case cases[] = {CEASE_RECV(arg, &value), CEASE_RECV(NULL, &value)};
    return cease_select(ctx, cases, 2, &index);
}

static cease_key user = CEASE_KEY("user\"s key");

/* A tree of every kind of wait. */
struct scene {
    cease_canceler *stop, *late, *ended;
    cease_ctx *root, *deadline, *value, *done;
    cease_group *group;
    cease_chan *chan;
    int fds[2];
};

static void scene_begin(struct scene *s)
{
    s->root = cease_with_cancel(cease_background(), &s->stop);
    s->deadline = cease_with_timeout(s->root, cease_hour(2), &s->late);
    s->value = cease_with_value(s->deadline, &user, &user);
    s->done = cease_with_cancel(s->root, &s->ended);
    s->group = cease_group_new(s->value, NULL);
    s->chan = cease_chan_new(sizeof(int), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s->fds), 0);
    CHECK_OK(cease_group_go(s->group, receives, s->chan));
    CHECK_OK(cease_group_go(s->group, sleeps, NULL));
    CHECK_OK(cease_group_go(s->group, waits_for_end, NULL));
    CHECK_OK(cease_group_go(s->group, waits_for_fd, &s->fds[0]));
    CHECK_OK(cease_group_go(s->group, joins, NULL));
    CHECK_OK(cease_group_go(s->group, selects, s->chan));
}

static void scene_end(struct scene *s)
{
    (void)cease_group_stop(s->group);
    cease_group_free(s->group);
    cease_unref(s->value);
    cease_end(s->ended);
    cease_end(s->late);
    cease_end(s->stop);
    cease_chan_unref(s->chan);
    close(s->fds[0]);
    close(s->fds[1]);
}

TEST(snapshot_without_a_runtime_is_empty_and_starts_none)
{
    struct cease_runtime_counts counts = {.size = sizeof counts};
    char *text = text_now();
    CHECK(strstr(text, "0 tasks") != NULL);
    free(text);
    cease_runtime_count(&counts);
    CHECK_EQ(counts.workers, 0);
}

TEST(snapshot_of_a_known_tree_shows_each_task_below_its_context)
{
    struct scene s;
    scene_begin(&s);
    CHECK_EVENTUALLY(SHOWS("cease: 7 tasks", "\nbackground", "\n  cancel, made at ",
                           "in scene_begin", "\n    deadline, ", " left, made at ",
                           "\n      value user\"s key\n", "        cancel, made at ",
                           "\n          task ", ", started at ",
                           "snapshot_test.c:", " in scene_begin: waits "));
    CHECK_EVENTUALLY(SHOWS(": waits to receive from channel 0x", ", for "));
    CHECK_EVENTUALLY(SHOWS(": waits to have slept ", " h more, for "));
    CHECK_EVENTUALLY(SHOWS(": waits for its context's end or another wake, for "));
    CHECK_EVENTUALLY(SHOWS(": waits for the tasks of the group made at "));
    CHECK_EVENTUALLY(SHOWS(": waits for one of the 2 cases of a select, for "));
    char fd[40];
    snprintf(fd, sizeof fd, ": waits to read fd %d, for ", s.fds[0]);
    CHECK_EVENTUALLY(SHOWS(fd));
    scene_end(&s);
    CHECK_OK(cease_runtime_stop());
}

static cease_error send_until_told(cease_ctx *ctx, void *arg)
{
    (void)cease_wait(ctx); /* done soon; it lingers in a join, for the snapshot to see */
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, sends, arg));
    cease_error err = cease_group_wait(g);
    cease_group_free(g);
    return err;
}

TEST(snapshot_of_an_ended_context_says_why_and_where)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_chan *chan = cease_chan_new(sizeof(int), 0);
    CHECK_OK(cease_go(ctx, send_until_told, chan));
    cease_cancel_cause(stop, 7, "the \"client\" went\taway");
    CHECK_EVENTUALLY(SHOWS("\n  cancel, ENDED: the \"client\" went\taway, at ",
                           "in snapshot_of_an_ended_context",
                           "waits for the tasks of the group made at "));
    CHECK_EVENTUALLY(SHOWS("waits to send on channel 0x"));
    int value;
    CHECK_OK(cease_chan_recv(cease_background(), chan, &value));
    cease_end(stop);
    cease_chan_unref(chan);
    CHECK_EVENTUALLY(cease_runtime_stop() == CEASE_OK);
}

static cease_error sleeps_under_its_own(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    cease_ctx *mine = cease_with_timeout(ctx, cease_min(30), &stop);
    cease_error err = sleeps(mine, arg);
    cease_end(stop);
    return err;
}

TEST(snapshot_of_a_wait_under_a_derived_context_shows_it_there_with_its_time)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, sleeps_under_its_own, NULL));
    CHECK_EVENTUALLY(SHOWS("\n  cancel, made at ", "\n    deadline, ", " min left, made at ",
                           "in sleeps_under_its_own", "\n      task ", ": waits to have slept ",
                           " h more, for "));
    (void)cease_group_stop(g);
    cease_group_free(g);
    CHECK_OK(cease_runtime_stop());
}

/* What python says about the JSON of now. */
static int judge_json(const char *statements)
{
    char path[256], command[2048], *json;
    size_t size;
    CHECK_OK(cease_snapshot_json(&json, &size));
    snprintf(path, sizeof path, "%s/tree.json", harness_temp_dir());
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK_EQ(fwrite(json, 1, size, f), size);
    CHECK_EQ(fclose(f), 0);
    free(json);
    snprintf(command, sizeof command,
             "python3 -c '\nimport json, sys\ntree = json.load(open(sys.argv[1]))\n%s' %s",
             statements, path);
    return system(command);
}

static bool has_python(void)
{
    return system("python3 -c pass 2>/dev/null") == 0;
}

TEST(snapshot_as_json_is_read_back_by_another_program)
{
    if (!has_python()) {
        SKIP("no python3");
    }
    struct scene s;
    scene_begin(&s);
    CHECK_EVENTUALLY(SHOWS("waits for the tasks") && SHOWS("waits to have slept") &&
                     SHOWS("waits to receive") && SHOWS("cases of a select") &&
                     SHOWS("waits to read fd"));
    CHECK_EQ(
        judge_json("assert tree[\"workers\"] >= 1\n"
                   "contexts = {c[\"id\"]: c for c in tree[\"contexts\"]}\n"
                   "tasks = tree[\"tasks\"]\n"
                   "assert len(tasks) == 7, len(tasks)\n"
                   "assert len({t[\"id\"] for t in tasks}) == 7\n"
                   "for t in tasks:\n"
                   "    assert t[\"started\"][\"file\"].endswith(\"snapshot_test.c\"), t\n"
                   "    assert t[\"since_ns\"] >= 0, t\n"
                   "    kinds, at = [], t[\"context\"]\n"
                   "    while at is not None:\n"
                   "        kinds.append(contexts[at][\"kind\"])\n"
                   "        at = contexts[at][\"parent\"]\n"
                   "    assert kinds[-5:] == [\"cancel\", \"value\", \"deadline\", \"cancel\","
                   " \"background\"], kinds\n"
                   "left = [c[\"left_ns\"] for c in contexts.values()"
                   " if c[\"kind\"] == \"deadline\"]\n"
                   "assert len(left) == 1 and 0 < left[0] <= 2 * 3600 * 10**9, left\n"
                   "keys = [c[\"key\"] for c in contexts.values() if c[\"kind\"] == \"value\"]\n"
                   "assert keys == [\"user\\\"s key\"], keys\n"),
        0);
    scene_end(&s);
    CHECK_OK(cease_runtime_stop());
}

/* ---- a worker that does not answer ---------------------------------------------------------- */

static cease_semaphore spinning = CEASE_SEMAPHORE(1);
static int enough; /* atomic */

static cease_error spins(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    cease_semaphore_release(&spinning, 1);
    while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE)) {
    }
    return CEASE_OK;
}

TEST(snapshot_while_a_worker_is_stuck_tells_of_it_from_outside)
{
    CHECK_OK(cease_runtime_configure(&(cease_runtime_opts){.workers = 1}));
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, waits_for_end, NULL));
    CHECK_EVENTUALLY(SHOWS(": waits for its context's end"));
    CHECK_OK(cease_semaphore_try_acquire(&spinning, 1));
    CHECK_OK(cease_group_go(g, spins, NULL));
    CHECK_OK(cease_semaphore_acquire(cease_background(), &spinning, 1));
    CHECK_OK(cease_group_go(g, waits_for_end, NULL));
    CHECK(SHOWS("3 tasks"));
    CHECK(SHOWS("runs, and has not parked for a while"));
    CHECK(SHOWS("which runs another task and does not answer"));
    CHECK(SHOWS("not begun yet"));
    __atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
    cease_group_free(g);
    CHECK_OK(cease_runtime_stop());
}

/* ---- while everything moves ------------------------------------------------------------------ */

enum { CHURN = 10000, CHURN_SLOW = 2000 };

static cease_error comes_and_goes(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_canceler *stop;
    cease_ctx *mine = cease_with_timeout(ctx, cease_ms(50), &stop);
    cease_yield();
    (void)cease_sleep(mine, cease_us(200));
    cease_yield();
    cease_end(stop);
    return CEASE_OK;
}

static cease_error starts_many(cease_ctx *ctx, void *arg)
{
    cease_group *g = cease_group_new(ctx, &(cease_group_opts){.limit = 500});
    (void)arg;
    for (int i = 0; i < (harness_is_slow() ? CHURN_SLOW : CHURN); i++) {
        CHECK_OK(cease_group_go_wait(ctx, g, comes_and_goes, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    return CEASE_OK;
}

static cease_error looks(cease_ctx *ctx, void *arg)
{
    (void)arg;
    while (!cease_done(ctx)) {
        char *text;
        CHECK_OK(cease_snapshot_text(&text, NULL));
        CHECK(strstr(text, "looks") == NULL || strstr(text, "task ") != NULL);
        free(text);
        cease_yield();
    }
    return CEASE_OK;
}

TEST(snapshot_while_thousands_of_tasks_come_and_go_hurts_nobody)
{
    CHECK_OK(cease_runtime_configure(&(cease_runtime_opts){.workers = 2}));
    cease_group *churn = cease_group_new(cease_background(), NULL);
    cease_group *watch = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(watch, looks, NULL)); /* from a task as well */
    CHECK_OK(cease_group_go(churn, starts_many, NULL));
    CHECK_OK(cease_group_go(churn, starts_many, NULL));
    bool python = has_python();
    for (int i = 0; i < 10; i++) {
        free(text_now());
    }
    CHECK(!python || judge_json("assert len(tree[\"tasks\"]) >= 1\n") == 0);
    CHECK_OK(cease_group_wait(churn));
    (void)cease_group_stop(watch);
    cease_group_free(churn);
    cease_group_free(watch);
    CHECK_OK(cease_runtime_stop());
}

/* ---- without memory -------------------------------------------------------------------------- */

TEST(snapshot_without_memory_says_so_and_keeps_nothing)
{
    struct scene s;
    scene_begin(&s);
    CHECK_EVENTUALLY(SHOWS("cease: 7 tasks") && SHOWS("in joins: waits for its context's end"));
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        char *text = NULL;
        cease_error err = cease_snapshot_json(&text, NULL);
        CHECK(err == CEASE_OK || err == CEASE_ENOMEM);
        if (err == CEASE_OK) {
            free(text);
        }
    }
    scene_end(&s);
    CHECK_OK(cease_runtime_stop());
}

TEST(snapshot_printed_to_an_fd_is_the_text)
{
    int fds[2];
    char text[200];
    CHECK_EQ(pipe(fds), 0);
    CHECK_OK(cease_snapshot_print(fds[1]));
    ssize_t n = read(fds[0], text, sizeof text - 1);
    CHECK(n > 0);
    text[n] = '\0';
    CHECK(strstr(text, "cease: 0 tasks") == text);
    close(fds[0]);
    CHECK_ERR(cease_snapshot_print(-1), -EBADF);
    close(fds[1]);
}

/* ---- SIGQUIT ---------------------------------------------------------------------------------- */

/* Standard error is a pipe from here on; gives its reading end. */
static int catch_stderr(int *ret_former)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    *ret_former = dup(STDERR_FILENO);
    CHECK_EQ(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    return fds[0];
}

static void read_until(int fd, const char *wanted)
{
    char text[4096];
    size_t used = 0;
    do {
        /* Returns now and then: ThreadSanitizer runs a handler when a call that it knows returns. */
        struct pollfd in = {.fd = fd, .events = POLLIN};
        while (poll(&in, 1, 20) <= 0) {
        }
        ssize_t n = read(fd, text + used, sizeof text - 1 - used);
        CHECK(n > 0);
        used += (size_t)n;
        text[used] = '\0';
    } while (!strstr(text, wanted));
}

TEST(snapshot_on_sigquit_goes_to_stderr_and_the_program_goes_on)
{
    int former;
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, waits_for_end, NULL));
    CHECK_EVENTUALLY(SHOWS("waits for its context's end"));
    CHECK_OK(cease_snapshot_on_sigquit());
    CHECK_OK(cease_snapshot_on_sigquit());
    int fd = catch_stderr(&former);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(kill(getpid(), SIGQUIT), 0);
        read_until(fd, "waits for its context's end or another wake");
    }
    CHECK_EQ(dup2(former, STDERR_FILENO), STDERR_FILENO);
    close(former);
    close(fd);
    cease_group_free(g);
    CHECK_OK(cease_runtime_stop());
    struct sigaction now;
    CHECK_EQ(sigaction(SIGQUIT, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
}

/* ThreadSanitizer delivers signals late, and in a child that was forked beside other threads never. */
#if defined(__SANITIZE_THREAD__)
#define NO_SIGNALS_IN_CHILD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_SIGNALS_IN_CHILD 1
#endif
#endif
#if !defined(NO_SIGNALS_IN_CHILD)
#define NO_SIGNALS_IN_CHILD 0
#endif

TEST(snapshot_on_sigquit_in_a_forked_child_dies_as_ever)
{
    if (NO_SIGNALS_IN_CHILD || getenv("HARNESS_EMULATOR")) {
        SKIP("no signals in forked children here");
    }
    CHECK_OK(cease_snapshot_on_sigquit());
    int child = harness_fork();
    if (child == 0) {
        raise(SIGQUIT);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    CHECK_OK(cease_runtime_stop());
}

/* ---- the report at exit ----------------------------------------------------------------------- */

static int run_child(void)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    self[n] = '\0';
    char command[1200];
    const char *emulator = getenv("HARNESS_EMULATOR");
    snprintf(
        command, sizeof command,
        "SNAPSHOT_LEAK=1 CEASE_DEBUG=1 %s %s -v snapshot_at_exit_reports_tasks_that_live 2>&1 |"
        " grep -q 'snapshot_test.c:[0-9]*: leak_tasks: 3 tasks were started here and never ended'",
        emulator ? emulator : "", self);
    return system(command);
}

static void leak_tasks(void)
{
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_go(cease_background(), waits_for_end, NULL));
    }
    CHECK_EVENTUALLY(SHOWS("waits for its context's end", "waits for its context's end",
                           "waits for its context's end"));
}

TEST(snapshot_at_exit_reports_tasks_that_live)
{
    if (getenv("SNAPSHOT_LEAK")) {
        leak_tasks();
        exit(1); /* as a program that forgets them */
    }
    CHECK_EQ(run_child(), 0);
}
