/*
 * The side of the harness that runs the cases: one process each, a limit each, one verdict each.
 *
 * The one idea: the runner never runs a case itself. It executes its own program again with --run,
 * output into a temporary file, and judges what it sees from outside: the exit status, the signal,
 * the text. So a crash, a hang and a leak are all just failing cases.
 *
 * A case's process leads a process group of its own; what is left of the group when the case is
 * over is killed, and counts as left behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

enum { LIMIT_S = 30, SLOW_FACTOR = 5, WORDS_MAX = 32, OUTPUT_SHOWN_MAX = 64 * 1024 };

enum verdict { PASSED, FAILED, SKIPPED };

static struct harness_case *cases; /* in order of registration */
static struct harness_case **cases_end = &cases;

static struct {
    long limit_s;
    bool verbose;
    bool list;
    bool traits;
    const char *run; /* the one case to run in this process */
    char **patterns;
    int pattern_count;
} options;

void harness_register(struct harness_case *c)
{
    *cases_end = c;
    cases_end = &c->next;
}

/* ---- starting a case ------------------------------------------------------------------------ */

/* The words that execute this program again: the emulator's, when there is one, then our own. */
static int program_words(char **words, char *storage, size_t size)
{
    const char *emulator = getenv("HARNESS_EMULATOR");
    int count = 0;
    char *rest = NULL;
    snprintf(storage, size, "%s", emulator ? emulator : "");
    for (char *word = strtok_r(storage, " \n\t", &rest); word != NULL && count < WORDS_MAX - 4;
         word = strtok_r(NULL, " \n\t", &rest))
        words[count++] = word;
    return count;
}

/* Whoever started the tests may ignore signals (a shell does that to what it puts into the background),
 * and an ignored signal stays ignored over exec. */
static void reset_signals(void)
{
    for (int sig = 1; sig <= SIGRTMAX; sig++)
        signal(sig, SIG_DFL); /* fails for SIGKILL, SIGSTOP and the C library's own two */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void start_case(const struct harness_case *c, int output, const char *program,
                                 bool trace)
{
    char storage[512];
    char *words[WORDS_MAX] = {0};
    int count = program_words(words, storage, sizeof(storage));
    char option[] = "--run";
    words[count++] = (char *)(uintptr_t)program;
    words[count++] = option;
    words[count++] = (char *)(uintptr_t)c->name;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* an interrupted runner takes its case with it */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (trace)
        setenv("HARNESS_TRACE", "1", 1);
    int null = open("/dev/null", O_RDONLY);
    if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        _exit(HARNESS_EXIT_FAILED);
    if (null > 2)
        close(null);
    reset_signals();
    execvp(words[0], words);
    dprintf(2, "cannot execute %s: %s\n", words[0], strerror(errno));
    _exit(HARNESS_EXIT_FAILED);
}

/* ---- waiting for it ------------------------------------------------------------------------- */

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void read_word(const char *path, char *ret, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t count = f != NULL ? fread(ret, 1, size - 1, f) : 0;
    ret[count] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    if (f != NULL)
        fclose(f);
}

/* What the threads of a process that hangs are doing, into its output. */
static void show_threads(pid_t pid, int output)
{
    char path[512], name[64], place[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)pid, entry->d_name);
        read_word(path, name, sizeof(name));
        snprintf(path, sizeof(path), "/proc/%d/task/%s/wchan", (int)pid, entry->d_name);
        read_word(path, place, sizeof(place));
        dprintf(output, "thread %s \"%s\" is in %s\n", entry->d_name, name,
                place[0] == '\0' || place[0] == '0' ? "its own code" : place);
    }
    if (dir != NULL)
        closedir(dir);
}

/* Waits until the child has ended or the limit is over (then kills it): false. */
static bool wait_for(pid_t pid, int *ret_status, long limit_s, int output)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    long end = now_ms() + limit_s * 1000;
    for (;;) {
        if (waitpid(pid, ret_status, WNOHANG) == pid)
            return true;
        long left = end - now_ms();
        if (left <= 0)
            break;
        struct timespec t = {left / 1000, left % 1000 * 1000000};
        sigtimedwait(&child, NULL, &t);
    }
    show_threads(pid, output);
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(pid, ret_status, 0);
    return false;
}

/* ---- judging it ----------------------------------------------------------------------------- */

static void show_output(const char *text, size_t size)
{
    if (size > OUTPUT_SHOWN_MAX) {
        printf("    … (%zu bytes left out)\n", size - OUTPUT_SHOWN_MAX);
        text += size - OUTPUT_SHOWN_MAX;
        size = OUTPUT_SHOWN_MAX;
    }
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t line = end != NULL ? (size_t)(end - text) : size;
        printf("    %.*s\n", (int)line, text);
        line += end != NULL ? 1 : 0;
        text += line;
        size -= line;
    }
}

/* The sentence about how it ended, or NULL when that is how it should end. */
static const char *judge(const struct harness_case *c, int status, const char *output, char *reason,
                         size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) != c->signal)
        snprintf(reason, size, "died of SIG%s", sigabbrev_np(WTERMSIG(status)));
    else if (!WIFSIGNALED(status) && c->signal != 0)
        snprintf(reason, size, "should have died of SIG%s, exited with %d", sigabbrev_np(c->signal),
                 WEXITSTATUS(status));
    else if (c->text != NULL && strstr(output, c->text) == NULL)
        snprintf(reason, size, "did not say \"%s\"", c->text);
    else if (!WIFSIGNALED(status) && c->signal == 0 && WEXITSTATUS(status) == HARNESS_EXIT_FAILED)
        snprintf(reason, size, "a check failed");
    else if (!WIFSIGNALED(status) && WEXITSTATUS(status) != HARNESS_EXIT_PASSED)
        snprintf(reason, size, "ended the process with status %d", WEXITSTATUS(status));
    else
        return NULL;
    return reason;
}

struct outcome {
    enum verdict verdict;
    char reason[256];
    char *output;
    size_t output_size;
};

static void read_output(int fd, struct outcome *o)
{
    off_t size = lseek(fd, 0, SEEK_END);
    o->output_size = size > 0 ? (size_t)size : 0;
    o->output = calloc(o->output_size + 1, 1);
    if (o->output == NULL || pread(fd, o->output, o->output_size, 0) < 0)
        abort();
}

static void run_case(const struct harness_case *c, const char *program, bool trace,
                     struct outcome *o)
{
    int output = memfd_create("output", MFD_CLOEXEC);
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        start_case(c, output, program, trace);
    if (pid < 0 || output < 0) {
        perror("harness");
        exit(1);
    }
    setpgid(pid, pid);
    bool in_time = wait_for(pid, &status, options.limit_s, output);
    bool rest = in_time && kill(-pid, SIGKILL) == 0;
    read_output(output, o);
    close(output);

    o->verdict = FAILED;
    if (!in_time)
        snprintf(o->reason, sizeof(o->reason), "hangs: ended after %ld s", options.limit_s);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_EXIT_SKIPPED)
        o->verdict = SKIPPED;
    else if (judge(c, status, o->output, o->reason, sizeof(o->reason)) != NULL)
        o->verdict = FAILED;
    else if (rest)
        snprintf(o->reason, sizeof(o->reason), "left behind: a process");
    else
        o->verdict = PASSED;
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *where)
{
    (void)s, (void)type, (void)where;
    return remove(path);
}

static enum verdict verdict_of(const struct harness_case *c, const char *program)
{
    static const char *const words[] = {"ok", "FAIL", "skip"};
    const char *base = getenv("TMPDIR");
    char temp[256];
    struct outcome o = {0};
    snprintf(temp, sizeof(temp), "%s/cease-test.%d.%s", base ? base : "/tmp", (int)getpid(),
             c->name);
    setenv("HARNESS_TEMP_DIR", temp, 1);
    long start = now_ms();
    run_case(c, program, false, &o);
    nftw(temp, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (o.verdict == FAILED && strncmp(o.reason, "hangs", 5) == 0 && getenv("HARNESS_EMULATOR")) {
        /* qemu's user mode itself waits for ever now and then, in a fork or an abort of a program with threads. A
         * hang of ours comes again. */
        printf("again %s: hung in the emulator\n", c->name);
        free(o.output);
        run_case(c, program, false, &o);
        nftw(temp, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    if (o.verdict == FAILED && strstr(o.output, "heap blocks") != NULL) {
        free(o.output); /* once more, and this time it says whose blocks they are */
        run_case(c, program, true, &o);
        nftw(temp, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    printf("%-5s %s", words[o.verdict], c->name);
    if (options.verbose)
        printf(" (%ld ms)", now_ms() - start);
    printf("%s%s\n", o.reason[0] != '\0' && o.verdict == FAILED ? ": " : "",
           o.verdict == FAILED ? o.reason : "");
    if (o.verdict != PASSED || options.verbose)
        show_output(o.output, o.output_size);
    fflush(stdout);
    free(o.output);
    return o.verdict;
}

/* ---- main ----------------------------------------------------------------------------------- */

static long limit_from(const char *text)
{
    char *end;
    long limit = strtol(text, &end, 10);
    if (end == text || *end != '\0' || limit <= 0) {
        fprintf(stderr, "harness: a limit is a positive number of seconds, not \"%s\"\n", text);
        exit(2);
    }
    return limit;
}

static void read_options(int argc, char **argv)
{
    const char *limit = getenv("HARNESS_LIMIT");
    options.limit_s =
        limit != NULL ? limit_from(limit) : LIMIT_S * (harness_is_slow() ? SLOW_FACTOR : 1);
    options.patterns = argv;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            options.list = true;
        else if (strcmp(argv[i], "--traits") == 0)
            options.traits = true;
        else if (strcmp(argv[i], "-v") == 0)
            options.verbose = true;
        else if (strncmp(argv[i], "--limit=", 8) == 0)
            options.limit_s = limit_from(argv[i] + 8);
        else if (strcmp(argv[i], "--run") == 0 && i + 1 < argc)
            options.run = argv[++i];
        else if (argv[i][0] != '-')
            options.patterns[options.pattern_count++] = argv[i];
        else {
            fprintf(stderr, "usage: %s [--list] [-v] [--limit=SECONDS] [CASE or GLOB]…\n", argv[0]);
            exit(2);
        }
    }
}

static bool is_chosen(const struct harness_case *c)
{
    for (int i = 0; i < options.pattern_count; i++) {
        if (fnmatch(options.patterns[i], c->name, 0) == 0)
            return true;
    }
    return options.pattern_count == 0;
}

/* What this build can see, for the self test: our own malloc; leaks, by whoever finds them. */
static int print_traits(void)
{
    if (harness_heap_is_ours())
        puts("heap");
    if (harness_heap_is_ours() || HARNESS_FINDS_LEAKS)
        puts("leak");
    return 0;
}

int main(int argc, char **argv)
{
    char program[4096];
    unsigned counts[3] = {0};
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    snprintf(program + (size > 0 ? size : 0), size > 0 ? 1 : sizeof(program), "%s",
             size > 0 ? "" : argv[0]);
    read_options(argc, argv);
    if (options.traits)
        return print_traits();
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (options.run == NULL)
        sigprocmask(SIG_BLOCK, &child, NULL);
    for (struct harness_case *c = cases; c != NULL; c = c->next) {
        if (options.run != NULL && strcmp(options.run, c->name) == 0)
            harness_child(c);
        else if (options.run == NULL && is_chosen(c) && options.list)
            puts(c->name);
        else if (options.run == NULL && is_chosen(c))
            counts[verdict_of(c, program)]++;
    }
    if (options.list)
        return 0;
    if (options.run != NULL || counts[PASSED] + counts[FAILED] + counts[SKIPPED] == 0) {
        fprintf(stderr, "no such case: %s\n", options.run ? options.run : "(none matches)");
        return 2;
    }
    printf("%u passed, %u failed, %u skipped\n", counts[PASSED], counts[FAILED], counts[SKIPPED]);
    return counts[FAILED] != 0;
}
