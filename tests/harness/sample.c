/* Cases with known verdicts: what self_test.py runs to see that the harness tells them apart. Not a
 * test by itself: most of these must fail. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static void *volatile kept;

TEST(pass_plain)
{
    kept = malloc(4);
    CHECK(kept != NULL);
    free(kept);
    CHECK_EQ(1u, 1L);
    CHECK_EQ(-1, -1ll);
    CHECK_STR("a", "a");
    CHECK_PTR(NULL, NULL);
    CHECK_OK(0);
    CHECK_ERR(-22, -22);
}

/* self_test.py starts this with a signal ignored and one blocked. */
TEST(pass_signals_are_as_after_boot)
{
    sigset_t mask;
    CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    for (int sig = 1; sig <= SIGRTMAX; sig++) {
        struct sigaction now = {0};
        CHECK_EQ(sigismember(&mask, sig) == 1, 0);
        if (sigaction(sig, NULL, &now) == 0)
            CHECK(now.sa_handler != SIG_IGN);
    }
}

TEST(pass_evaluates_once)
{
    int n = 0;
    CHECK_EQ(n++, 0);
    CHECK(n++ == 1);
    CHECK_EQ(n, 2);
}

static void *use_heap(void *arg)
{
    void *volatile block = malloc(100);
    free(block);
    return arg;
}

/* A joined thread's linker-made blocks stay cached with its stack: no leak. */
TEST(pass_threads_leave_nothing)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_heap, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void leak_and_exit(void)
{
    kept = malloc(16);
    kept = NULL;
    exit(0);
}

/* A forked child is not searched for leaks: it has the blocks of threads that stayed behind. */
TEST(pass_forked_child_exits_as_it_says)
{
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        leak_and_exit();
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

TEST(pass_realloc_keeps_the_count)
{
    long before = harness_heap_blocks();
    kept = realloc(NULL, 10);
    CHECK(kept != NULL);
    kept = realloc(kept, 100000);
    CHECK(kept != NULL);
    if (harness_heap_is_ours())
        CHECK_EQ(harness_heap_blocks(), before + 1);
    free(kept);
    CHECK_EQ(harness_heap_blocks(), before);
}

TEST(pass_marked_baseline)
{
    kept = malloc(16); /* a foreign library's one-time memory, so to speak */
    harness_mark();
}

TEST(pass_temp_dir)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/sub", harness_temp_dir());
    CHECK_EQ(mkdir(path, 0700), 0);
    printf("temp dir: %s\n", harness_temp_dir());
}

TEST(pass_torture_counts_rounds)
{
    int refused = 0, rounds = 0;
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        void *volatile a = malloc(3), *volatile b = calloc(3, 3), *volatile c = strdup("x");
        refused += (a == NULL) + (b == NULL) + (c == NULL);
        rounds++;
        free(a);
        free(b);
        free(c);
    }
    CHECK_EQ(refused, 3);
    CHECK_EQ(rounds, 4);
}

TEST_ABORTS(pass_abort_with_text, "good reason")
{
    fprintf(stderr, "a good reason\n");
    abort();
}

TEST_DIES(pass_dies_as_told, SIGUSR1, "so long")
{
    puts("so long");
    fflush(stdout);
    raise(SIGUSR1);
}

TEST(skip_says_why)
{
    SKIP("no moon tonight");
}

TEST(fail_check)
{
    CHECK(kept != NULL);
}

TEST(fail_int)
{
    CHECK_EQ(-1, 4294967295u);
}

TEST(fail_str)
{
    CHECK_STR("left", "right");
}

TEST(fail_err)
{
    CHECK_ERR(-22, -11);
}

TEST(fail_exits_early)
{
    exit(0);
}

TEST(fail_heap_leak)
{
    kept = malloc(100);
    CHECK(kept != NULL);
    kept = NULL;
}

TEST(fail_fd_leak)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

TEST(fail_process_left)
{
    if (fork() == 0) {
        pause();
        _exit(0);
    }
}

TEST(fail_hang)
{
    for (;;)
        pause();
}

TEST(fail_crash)
{
    signal(SIGSEGV, SIG_DFL); /* also where a sanitizer has its own handler */
    raise(SIGSEGV);
}

TEST(fail_abort)
{
    abort();
}

TEST_ABORTS(fail_abort_other_text, "good reason")
{
    fprintf(stderr, "a bad one\n");
    abort();
}

TEST_ABORTS(fail_should_have_aborted, "good reason")
{
    fprintf(stderr, "good reason\n");
}
