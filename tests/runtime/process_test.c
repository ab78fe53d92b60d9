/* SPDX-License-Identifier: MIT
 *
 * Out to break child processes: zombies and fds left behind, a program that outlives its context, a
 * wait that hangs on somebody who holds the pipe, output that is lost, cut or grows without bound,
 * inherited masks, dispositions and fds, and a start that fails half way.
 *
 * "Gone" is asked of the kernel: kill(pid, 0) of a process that wrote its own number to a file.
 */
#include "harness.h"

#include <cease/cease.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGV(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(text) ARGV("/bin/sh", "-c", text)
#define OPTS(...)   (&(cease_process_opts){.size = sizeof(cease_process_opts), __VA_ARGS__})

/* qemu's user mode makes a vfork a fork, so that an exec that fails cannot be told, and keeps other
 * signals for itself. */
static void skip_under_emulator(void)
{
    if (getenv("HARNESS_EMULATOR")) {
        SKIP("the emulator has no vfork");
    }
}

/* Nothing of ours is left for the kernel to report. */
static void check_no_child(void)
{
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

/* The number that a program has written to a file, once it has. */
static pid_t read_pid(const char *path)
{
    long pid = 0;
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%ld", &pid) != 1 || fgetc(f) != '\n') {
            pid = 0;
        }
        fclose(f);
    }
    return (pid_t)pid;
}

static bool is_gone(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    if (!f) {
        return true;
    }
    bool zombie = fgets(text, sizeof text, f) && strstr(text, ") Z "); /* init has not come yet */
    fclose(f);
    return zombie;
}

static char path_buffer[512];

static const char *temp_path(const char *name)
{
    snprintf(path_buffer, sizeof path_buffer, "%s/%s", harness_temp_dir(), name);
    return path_buffer;
}

/* ---- what a program gets and gives ------------------------------------------------------------- */

static cease_error run_everything(cease_ctx *ctx, void *arg)
{
    cease_process_result r;
    (void)arg;
    CHECK_OK(cease_process_run(
        ctx, OPTS(.argv = SHELL("cat; echo oops >&2; exit 3"), .input = "hello", .input_size = 5),
        &r));
    CHECK_EQ(r.status, 3);
    CHECK_EQ(r.signal, 0);
    CHECK_STR(r.output, "hello");
    CHECK_EQ(r.output_size, 5);
    CHECK_STR(r.errors, "oops\n");
    CHECK_EQ(r.errors_size, 5);
    CHECK(r.rusage.ru_maxrss > 0);
    cease_process_result_deinit(&r);
    CHECK_PTR(r.output, NULL);
    cease_process_result_deinit(&r);
    return CEASE_OK;
}

TEST(process_input_output_errors_and_status_from_a_thread)
{
    CHECK_OK(run_everything(cease_background(), NULL));
    check_no_child();
}

TEST(process_many_at_once_from_tasks)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cease_group_go(g, run_everything, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    check_no_child();
}

TEST(process_that_writes_nothing_gives_empty_texts)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(), OPTS(.argv = ARGV("true")), &r));
    CHECK_EQ(r.status, 0);
    CHECK_STR(r.output, "");
    CHECK_STR(r.errors, "");
    cease_process_result_deinit(&r);
}

TEST(process_without_input_reads_the_end_at_once)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(), OPTS(.argv = ARGV("cat")), &r));
    CHECK_EQ(r.output_size, 0);
    cease_process_result_deinit(&r);
}

TEST(process_environment_and_folder_are_as_told)
{
    cease_process_result r;
    CHECK_OK(
        cease_process_run(cease_background(),
                          OPTS(.argv = SHELL("pwd; echo \"$A\"; /usr/bin/env | grep -c ^HOME="),
                               .dir = "/usr", .env = ARGV("A=b c", "PATH=/usr/bin:/bin")),
                          &r));
    CHECK_STR(r.output, "/usr\nb c\n0\n");
    cease_process_result_deinit(&r);
    setenv("CEASE_TEST_INHERITED", "yes", 1);
    harness_mark(); /* libc keeps what setenv allocates */
    CHECK_OK(cease_process_run(cease_background(),
                               OPTS(.argv = SHELL("echo $CEASE_TEST_INHERITED")), &r));
    CHECK_STR(r.output, "yes\n");
    cease_process_result_deinit(&r);
}

TEST(process_input_larger_than_any_pipe_arrives_whole)
{
    size_t size = 5 << 20;
    char *input = malloc(size);
    for (size_t i = 0; i < size; i++) {
        input[i] = (char)(i * 31 + i / 257);
    }
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(),
                               OPTS(.argv = ARGV("cat"), .input = input, .input_size = size), &r));
    CHECK_EQ(r.output_size, size);
    CHECK_EQ(memcmp(r.output, input, size), 0);
    cease_process_result_deinit(&r);
    CHECK_OK(cease_process_run(cease_background(), /* and is no trouble when nobody reads it */
                               OPTS(.argv = ARGV("true"), .input = input, .input_size = size), &r));
    CHECK_EQ(r.status, 0);
    cease_process_result_deinit(&r);
    free(input);
}

TEST(process_killed_by_a_signal_says_which)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(), OPTS(.argv = SHELL("kill -USR1 $$")), &r));
    CHECK_EQ(r.signal, SIGUSR1);
    CHECK_EQ(r.status, 0);
    cease_process_result_deinit(&r);
}

TEST(process_inherits_no_mask_no_disposition_no_fd)
{
    skip_under_emulator();
    /* /proc/self/status: SigBlk, SigIgn are hexadecimal masks. */
    sigset_t all, old;
    sigfillset(&all);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int leak = dup(1); /* not CLOEXEC, as other libraries have it */
    cease_process_result r;
    CHECK_OK(cease_process_run(
        cease_background(),
        OPTS(.argv = SHELL("grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd")), &r));
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(leak);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    /* The C library keeps its own two signals, 32 and 33, ignored around a spawn. ls has the three
     * and the folder that it reads. */
    unsigned long long blocked = 1, ignored = 1;
    int used = 0;
    CHECK_EQ(sscanf(r.output, "SigBlk: %llx SigIgn: %llx %n", &blocked, &ignored, &used), 2);
    CHECK_EQ(blocked, 0);
    CHECK_EQ(ignored & ~0x180000000ULL, 0);
    CHECK_STR(r.output + used, "0\n1\n2\n3\n");
    cease_process_result_deinit(&r);
}

/* Workers run with a timer slack of 1 ns; a program must not inherit that. */
static cease_error look_at_slack(cease_ctx *ctx, void *arg)
{
    cease_process_result r;
    (void)arg;
    CHECK_OK(cease_process_run(ctx, OPTS(.argv = ARGV("cat", "/proc/self/timerslack_ns")), &r));
    CHECK_STR(r.output, "50000\n");
    cease_process_result_deinit(&r);
    return CEASE_OK;
}

TEST(process_from_a_task_has_the_systems_timer_slack)
{
    if (access("/proc/self/timerslack_ns", R_OK) != 0) {
        SKIP("the kernel does not tell");
    }
    skip_under_emulator();
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, look_at_slack, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(process_runs_in_a_group_of_its_own)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(),
                               OPTS(.argv = SHELL("read a b c d group rest < /proc/self/stat; "
                                                  "test $group = $$ && echo own")),
                               &r));
    CHECK_STR(r.output, "own\n");
    cease_process_result_deinit(&r);
}

TEST(process_starts_with_closed_standard_fds)
{
    int saved = dup(STDOUT_FILENO);
    int saved_in = dup(STDIN_FILENO);
    close(STDIN_FILENO);
    close(STDOUT_FILENO); /* now our pipes get the numbers 0 and 1 */
    cease_process_result r;
    cease_error e = cease_process_run(
        cease_background(),
        OPTS(.argv = SHELL("cat; echo err >&2"), .input = "in", .input_size = 2), &r);
    dup2(saved_in, STDIN_FILENO);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(saved_in);
    CHECK_OK(e);
    CHECK_STR(r.output, "in");
    CHECK_STR(r.errors, "err\n");
    cease_process_result_deinit(&r);
}

/* ---- starts that fail ---------------------------------------------------------------------------- */

TEST(process_that_cannot_start_says_why)
{
    skip_under_emulator();
    cease_process_result r = {.status = 99};
    cease_ctx *ctx = cease_background();
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = ARGV("/no/such/program")), &r), CEASE_ENOENT);
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = ARGV("no-such-program-anywhere")), &r),
              CEASE_ENOENT);
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = ARGV("/etc/passwd")), &r), CEASE_EACCES);
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = ARGV("true"), .dir = "/no/such/dir"), &r),
              CEASE_ENOENT);
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = NULL), &r), CEASE_EINVAL);
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = (const char *const[]){NULL}), &r), CEASE_EINVAL);
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = ARGV("true"), .input_size = 3), &r),
              CEASE_EINVAL);
    CHECK_EQ(r.status, 99); /* untouched */
    check_no_child();
}

TEST(process_under_a_done_context_does_not_start)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    const char *path = temp_path("ran");
    cease_process_result r;
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = ARGV("touch", path)), &r), CEASE_ECANCELED);
    CHECK(access(path, F_OK) < 0);
    cease_end(stop);
}

/* ---- ends ---------------------------------------------------------------------------------------- */

struct cancel_when {
    const char *path; /* holds a number: the program is where it should be */
    cease_canceler *stop;
    pid_t pid;
    pthread_t thread;
};

static void *cancel_when(void *arg)
{
    struct cancel_when *c = arg;
    CHECK_EVENTUALLY((c->pid = read_pid(c->path)) != 0);
    cease_cancel(c->stop);
    return NULL;
}

/* Runs a script under a context that is cancelled as soon as $OUT holds a process id. Returns it. */
static pid_t run_cancelled(const char *script, cease_dur grace, cease_error expected)
{
    char out[600];
    struct cancel_when c = {.path = temp_path("pid")};
    unlink(c.path);
    snprintf(out, sizeof out, "OUT=%s", c.path);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &c.stop);
    CHECK_EQ(pthread_create(&c.thread, NULL, cancel_when, &c), 0);
    cease_process_result r;
    CHECK_ERR(cease_process_run(ctx,
                                OPTS(.argv = SHELL(script), .grace = grace,
                                     .env = ARGV(out, "PATH=/usr/bin:/bin")),
                                &r),
              expected);
    pthread_join(c.thread, NULL);
    cease_end(c.stop);
    check_no_child();
    return c.pid;
}

TEST(process_that_sleeps_ends_with_its_context)
{
    pid_t pid = run_cancelled("echo $$ > $OUT; exec sleep 1000", cease_min(10), CEASE_ECANCELED);
    CHECK(is_gone(pid));
}

TEST(process_children_in_its_group_end_with_it)
{
    pid_t pid = run_cancelled("sleep 1000 & echo $! > $OUT; wait", cease_min(10), CEASE_ECANCELED);
    CHECK_EVENTUALLY(is_gone(pid));
}

TEST(process_that_ignores_sigterm_is_killed_after_its_grace)
{
    pid_t pid = run_cancelled("trap '' TERM; echo $$ > $OUT; while :; do sleep 1000; done",
                              cease_ms(50), CEASE_ECANCELED);
    CHECK(is_gone(pid));
}

TEST(process_without_grace_is_killed_at_once)
{
    const char *cleaned = strdup(temp_path("cleaned"));
    char script[700];
    snprintf(script, sizeof script, "trap 'touch %s; exit' TERM; echo $$ > $OUT; sleep 1000 & wait",
             cleaned);
    pid_t pid = run_cancelled(script, cease_ns(-1), CEASE_ECANCELED);
    CHECK(is_gone(pid));
    CHECK(access(cleaned, F_OK) < 0);
    free((char *)(uintptr_t)cleaned);
}

TEST(process_that_cleans_up_on_sigterm_gets_its_time)
{
    const char *cleaned = strdup(temp_path("cleaned"));
    char script[700];
    snprintf(
        script, sizeof script,
        "trap 'head -c 1000000 /dev/zero; touch %s; exit' TERM; echo $$ > $OUT; sleep 1000 & wait",
        cleaned);
    (void)run_cancelled(script, cease_min(10), CEASE_ECANCELED);
    CHECK(access(cleaned, F_OK) == 0);
    free((char *)(uintptr_t)cleaned);
}

static cease_error sleep_in_task(cease_ctx *ctx, void *arg)
{
    cease_process_result r;
    CHECK_ERR(cease_process_run(ctx, OPTS(.argv = arg), &r), CEASE_EDEADLINE);
    return CEASE_OK;
}

TEST(process_deadline_ends_it_from_tasks_too)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(30), &stop);
    cease_group *g = cease_group_new(ctx, NULL);
    const char *const argv[] = {"sleep", "1000", NULL};
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cease_group_go(g, sleep_in_task, (void *)(uintptr_t)argv));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_end(stop);
    check_no_child();
}

/* The leader has gone; somebody in its group, or even outside, still holds the pipe. */
TEST(process_left_behind_in_the_group_neither_hangs_nor_survives)
{
    cease_process_result r;
    CHECK_OK(
        cease_process_run(cease_background(), OPTS(.argv = SHELL("sleep 1000 & echo $!")), &r));
    pid_t pid = (pid_t)atol(r.output);
    CHECK(pid > 0);
    CHECK_EVENTUALLY(is_gone(pid));
    cease_process_result_deinit(&r);
}

TEST(process_daemon_that_holds_the_pipe_lives_and_does_not_hang_us)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(),
                               OPTS(.argv = SHELL("setsid sleep 1000 & echo $!; sleep 0.2")), &r));
    pid_t pid = (pid_t)atol(r.output);
    CHECK(pid > 0);
    CHECK(!is_gone(pid));
    kill(pid, SIGKILL);
    cease_process_result_deinit(&r);
}

TEST(process_that_closes_its_output_is_still_waited_for)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(cease_background(),
                               OPTS(.argv = SHELL("exec >&- 2>&-; sleep 0.1; exit 5")), &r));
    CHECK_EQ(r.status, 5);
    cease_process_result_deinit(&r);
}

/* ---- output ---------------------------------------------------------------------------------------- */

TEST(process_output_up_to_the_limit_is_whole)
{
    cease_process_result r;
    CHECK_OK(cease_process_run(
        cease_background(),
        OPTS(.argv = ARGV("head", "-c", "100000", "/dev/zero"), .output_max = 100000), &r));
    CHECK_EQ(r.output_size, 100000);
    cease_process_result_deinit(&r);
    CHECK_ERR(cease_process_run(
                  cease_background(),
                  OPTS(.argv = ARGV("head", "-c", "100001", "/dev/zero"), .output_max = 100000),
                  &r),
              CEASE_EMSGSIZE);
    check_no_child();
}

TEST(process_endless_output_is_ended)
{
    cease_process_result r;
    CHECK_ERR(cease_process_run(cease_background(), OPTS(.argv = ARGV("cat", "/dev/zero")), &r),
              CEASE_EMSGSIZE);
    CHECK_ERR(cease_process_run(cease_background(),
                                OPTS(.argv = SHELL("cat /dev/zero >&2"), .output_max = 1), &r),
              CEASE_EMSGSIZE);
    check_no_child();
}

static cease_error run_often(cease_ctx *ctx, void *arg)
{
    (void)arg;
    for (int i = 0; i < (harness_is_slow() ? 5 : 40); i++) {
        cease_process_result r;
        CHECK_OK(cease_process_run(ctx, OPTS(.argv = SHELL("printf %05000d 7; kill -9 $$")), &r));
        CHECK_EQ(r.output_size, 5000);
        CHECK_EQ(r.output[4999], '7');
        CHECK_EQ(r.signal, SIGKILL);
        cease_process_result_deinit(&r);
    }
    return CEASE_OK;
}

/* The end and the last output come together: none may be lost, whichever is seen first. */
TEST(process_last_output_before_its_end_is_never_lost)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(cease_group_go(g, run_often, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    check_no_child();
}

TEST(process_cancelled_at_any_moment_leaves_nothing)
{
    for (int i = 0; i < (harness_is_slow() ? 20 : 150); i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i * 20), &stop);
        cease_process_result r;
        cease_error e = cease_process_run(ctx, OPTS(.argv = ARGV("true")), &r);
        if (e == CEASE_OK) {
            CHECK_EQ(r.status, 0);
            cease_process_result_deinit(&r);
        } else {
            CHECK_ERR(e, CEASE_EDEADLINE);
        }
        cease_end(stop);
        check_no_child();
    }
}

TEST(process_survives_every_failed_allocation)
{
    if (!harness_heap_is_ours()) {
        SKIP("malloc is the sanitizer's");
    }
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_process_result r;
        cease_error e = cease_process_run(
            cease_background(),
            OPTS(.argv = SHELL("head -c 20000 /dev/zero"), .grace = cease_ms(1)), &r);
        if (e == CEASE_OK) {
            CHECK_EQ(r.output_size, 20000);
            cease_process_result_deinit(&r);
        } else {
            CHECK_ERR(e, CEASE_ENOMEM);
        }
        check_no_child();
    }
}

TEST(process_survives_running_out_of_fds)
{
    int held[8];
    for (int want = 0; want < 8; want++) { /* exactly `want` are free */
        struct rlimit limit, old;
        getrlimit(RLIMIT_NOFILE, &old);
        int top = dup(0);
        close(top);
        (void)held;
        limit = old;
        limit.rlim_cur = (rlim_t)(top + want);
        setrlimit(RLIMIT_NOFILE, &limit);
        cease_process_result r;
        cease_error e = cease_process_run(
            cease_background(), OPTS(.argv = ARGV("true"), .input = "x", .input_size = 1), &r);
        setrlimit(RLIMIT_NOFILE, &old);
        if (e == CEASE_OK) {
            cease_process_result_deinit(&r);
        } else {
            CHECK_ERR(e, CEASE_EMFILE);
        }
        CHECK(want < 7 || e == CEASE_OK);
        check_no_child();
    }
}
