/*
 * The side of the harness that runs inside a case's process: checks, and what is left behind.
 *
 * The one idea: a case is over when everything it took is back. So after the body this file stops
 * the runtime (when the program has one), gives the thread's caches back, and compares live
 * contexts, tasks, fds and heap blocks with what was there before. Threads that end by themselves
 * get a moment (settle_ms) to do it; what is still there then is a leak.
 *
 * The libraries' counters are weak references: a test that links none of them works the same.
 */
#include <cease/hooks.h>
#include <cease/runtime.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

enum { SETTLE_ROUNDS = 2000 }; /* of about a millisecond */

#pragma weak cease_live_count
#pragma weak cease_trim
#pragma weak cease_threads_stop
#pragma weak cease_runtime_stop
#pragma weak cease_runtime_count
#pragma weak cease_error_name

static int fds_at_start;
static long blocks_at_start;
static size_t contexts_at_start;

/* Sanitizers that stop at the first finding, however the program is started; the environment wins.
 * Without them nobody calls these. */
const char *__ubsan_default_options(void);
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
int __lsan_is_turned_off(void);

const char *__ubsan_default_options(void)
{
    return "halt_on_error=1:print_stacktrace=1";
}

const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=0:strict_string_checks=1";
}

const char *__tsan_default_options(void)
{
    return "halt_on_error=1:second_deadlock_stack=1";
}

/* A child that a case forks off while it has threads would look for leaks at its exit on the threads that
 * stayed with its parent, wait for them in vain, and report what they own. The case's own process looks. */
static bool is_forked;

int __lsan_is_turned_off(void)
{
    return is_forked;
}

static void note_fork(void)
{
    is_forked = true;
}

/* ---- checks --------------------------------------------------------------------------------- */

_Noreturn static void end_process(int status)
{
    fflush(NULL);
    _exit(status);
}

void harness_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fflush(NULL);
    dprintf(STDERR_FILENO, "%s:%d: %s\n", file, line, text);
    end_process(HARNESS_EXIT_FAILED);
}

void harness_skip(const char *file, int line, const char *why)
{
    fflush(NULL);
    dprintf(STDERR_FILENO, "%s:%d: skipped: %s\n", file, line, why);
    end_process(HARNESS_EXIT_SKIPPED);
}

static const char *int_text(char *text, size_t size, harness_int value)
{
    if (value > INT64_MAX)
        snprintf(text, size, "%llu", (unsigned long long)value);
    else
        snprintf(text, size, "%lld", (long long)value);
    return text;
}

void harness_check_int(const char *file, int line, const char *what, harness_int a, harness_int b)
{
    char left[24], right[24];
    if (a != b)
        harness_fail(file, line, "%s: %s != %s", what, int_text(left, sizeof(left), a),
                     int_text(right, sizeof(right), b));
}

void harness_check_str(const char *file, int line, const char *what, const char *a, const char *b)
{
    if (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0))
        return;
    harness_fail(file, line, "%s: \"%s\" != \"%s\"", what, a ? a : "(null)", b ? b : "(null)");
}

void harness_check_ptr(const char *file, int line, const char *what, const void *a, const void *b)
{
    if (a != b)
        harness_fail(file, line, "%s: %p != %p", what, a, b);
}

static const char *error_text(int e)
{
    return cease_error_name ? cease_error_name((cease_error)e) : strerror(e < 0 ? -e : e);
}

void harness_check_err(const char *file, int line, const char *what, int got, int expected)
{
    if (got != expected)
        harness_fail(file, line, "%s: %d (%s) instead of %d (%s)", what, got, error_text(got),
                     expected, error_text(expected));
}

/* ---- waiting -------------------------------------------------------------------------------- */

void harness_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/* Only for a debugger or a core of a hanging case: what it waits for. */
static struct {
    const char *file;
    int line;
    const char *what;
} volatile waiting;

void harness_waiting(const char *file, int line, const char *what)
{
    waiting.file = file;
    waiting.line = line;
    waiting.what = what;
}

/* ---- surroundings --------------------------------------------------------------------------- */

const char *harness_temp_dir(void)
{
    const char *dir = getenv("HARNESS_TEMP_DIR");
    if (dir == NULL)
        harness_fail(__FILE__, __LINE__, "harness_temp_dir outside of a case");
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        harness_fail(__FILE__, __LINE__, "mkdir %s: %s", dir, strerror(errno));
    return dir;
}

bool harness_is_slow(void)
{
    const char *emulator = getenv("HARNESS_EMULATOR");
    return HARNESS_SANITIZED || (emulator != NULL && emulator[0] != '\0') ||
           !harness_heap_is_ours();
}

/* Whether a thread of this process sleeps, as the kernel says. One that is gone does, too. */
static bool is_asleep(const char *thread)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", thread);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return true;
    bool was_read = fgets(line, sizeof(line), f) != NULL;
    fclose(f);
    const char *state = was_read ? strrchr(line, ')') : NULL;
    return state == NULL || state[2] == 'S';
}

static bool are_others_asleep(void)
{
    char self[24];
    snprintf(self, sizeof(self), "%d", (int)gettid());
    DIR *dir = opendir("/proc/self/task");
    bool asleep = true;
    for (const struct dirent *entry; dir != NULL && asleep && (entry = readdir(dir)) != NULL;)
        asleep =
            entry->d_name[0] == '.' || strcmp(entry->d_name, self) == 0 || is_asleep(entry->d_name);
    if (dir != NULL)
        closedir(dir);
    return asleep;
}

int harness_fork(void)
{
    CHECK_EVENTUALLY(are_others_asleep());
    return fork();
}

/* ---- what is left behind -------------------------------------------------------------------- */

/* Counts this process's open fds; prints each when asked to. */
static int count_fds(bool print)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    int count = -1; /* the folder's own */
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char target[256] = "?";
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (print) {
            ssize_t size = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
            if (size > 0)
                target[size] = '\0';
            dprintf(STDERR_FILENO, "  fd %s: %s\n", entry->d_name, target);
        }
    }
    closedir(dir);
    return count;
}

static void pause_ms(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static size_t count_contexts(void)
{
    return cease_live_count ? cease_live_count() : 0;
}

void harness_mark(void)
{
    fds_at_start = count_fds(false);
    contexts_at_start = count_contexts();
    blocks_at_start = harness_heap_blocks();
}

static bool is_settled(void)
{
    return count_contexts() <= contexts_at_start && count_fds(false) <= fds_at_start &&
           harness_heap_blocks() <= blocks_at_start;
}

/* Stops the runtime once all tasks have ended. Says what is alive when it does not come to that. */
static bool stop_runtime(void)
{
    struct cease_runtime_counts counts = {.size = sizeof(counts)};
    if (cease_runtime_stop == NULL)
        return true;
    cease_error stopped = cease_runtime_stop();
    for (int i = 0; i < SETTLE_ROUNDS && stopped == CEASE_EBUSY; i++) {
        pause_ms();
        stopped = cease_runtime_stop();
    }
    cease_runtime_count(&counts);
    if (stopped == CEASE_OK && counts.tasks + counts.stacks + counts.fds + counts.block_jobs == 0)
        return true;
    dprintf(STDERR_FILENO,
            "left behind: %zu tasks, %zu stacks, %zu registered fds, %zu block jobs "
            "(cease_runtime_stop: %s)\n",
            counts.tasks, counts.stacks, counts.fds, counts.block_jobs, error_text((int)stopped));
    return false;
}

static bool check_left_behind(void)
{
    bool stopped = stop_runtime();
    if (cease_threads_stop)
        cease_threads_stop();
    if (cease_trim)
        cease_trim();
    for (int i = 0; i < SETTLE_ROUNDS && !is_settled(); i++)
        pause_ms();
    if (is_settled())
        return stopped;

    long blocks = harness_heap_blocks();
    if (count_contexts() > contexts_at_start)
        dprintf(STDERR_FILENO, "left behind: %zu live contexts (at the start: %zu)\n",
                count_contexts(), contexts_at_start);
    if (blocks > blocks_at_start) {
        dprintf(STDERR_FILENO, "left behind: %ld heap blocks (at the start: %ld)\n", blocks,
                blocks_at_start);
        harness_heap_report();
    }
    if (count_fds(false) > fds_at_start) {
        dprintf(STDERR_FILENO, "left behind: %d open fds (at the start: %d)\n", count_fds(false),
                fds_at_start);
        count_fds(true);
    }
    return false;
}

void harness_child(struct harness_case *c)
{
    static char out[BUFSIZ];
    setvbuf(stdout, out, _IOLBF, sizeof(out));
    setvbuf(stderr, NULL, _IONBF, 0);
    if (HARNESS_FINDS_LEAKS)
        pthread_atfork(NULL, NULL, note_fork);
    count_fds(false); /* the first opendir's own allocations are over after this */
    harness_mark();
    c->fn();
    harness_fail_alloc(0);
    fflush(NULL);
    bool clean = check_left_behind();
    exit(clean ? HARNESS_EXIT_PASSED : HARNESS_EXIT_FAILED);
}
