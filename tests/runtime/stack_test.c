/* SPDX-License-Identifier: MIT
 *
 * stack_test.c: sets out to break stacks: use all of one, one byte too many, thousands in a row, with
 * the size changed, with the guard refused.
 */
#include "harness.h"

#include <alloca.h>
#include <cease/cease.h>
#include <cease/group.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* libc keeps the string for ever: that is not a leak. */
static void set_env(const char *name, const char *value)
{
    CHECK_EQ(setenv(name, value, 1), 0);
    harness_mark();
}

static void in_task(cease_task_fn *fn, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, fn, arg));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static bool somebody_takes_segv(void)
{
    struct sigaction old;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &old), 0);
    return old.sa_handler != SIG_DFL;
}

/* Touches `size` bytes of stack, downwards; the sum keeps the compiler from leaving it out. */
static __attribute__((noinline)) unsigned touch(size_t size)
{
    volatile unsigned char block[1024];
    memset((void *)(uintptr_t)block, (int)(size & 0xff), sizeof block);
    unsigned below = size > sizeof block + 128 ? touch(size - sizeof block - 128) : 0;
    return below + block[size % sizeof block];
}

static cease_error use(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    CHECK(touch(*(size_t *)arg) != 1);
    return CEASE_OK;
}

TEST(stack_default_has_150_kib_to_use)
{
    size_t size = 150 << 10;
    if (harness_is_slow()) {
        size /= 4; /* sanitizers' frames are larger */
    }
    unsetenv("CEASE_STACK");
    in_task(use, &size);
}

TEST(stack_size_comes_from_the_environment)
{
    size_t size = harness_is_slow() ? 200 << 10 : 800 << 10;
    set_env("CEASE_STACK", "1M");
    in_task(use, &size);
}

TEST(stack_size_comes_from_configure)
{
    size_t size = harness_is_slow() ? 200 << 10 : 1600 << 10;
    cease_runtime_opts opts = {.size = sizeof opts, .stack_size = 2 << 20};
    unsetenv("CEASE_STACK");
    CHECK_OK(cease_runtime_configure(&opts));
    in_task(use, &size);
    CHECK_OK(cease_runtime_stop());
    opts.stack_size = 0;
    CHECK_OK(cease_runtime_configure(&opts));
    size = 10 << 10;
    in_task(use, &size);
}

TEST_ABORTS(stack_overflow_names_the_task_and_its_place, "stack_test.c")
{
    size_t size = 100 << 20;
    if (somebody_takes_segv()) {
        SKIP("a sanitizer takes SIGSEGV");
    }
    in_task(use, &size);
}

TEST_ABORTS(stack_overflow_says_what_it_is, "stack overflow in task")
{
    size_t size = 100 << 20;
    if (somebody_takes_segv()) {
        SKIP("a sanitizer takes SIGSEGV");
    }
    in_task(use, &size);
}

TEST_DIES(stack_overflow_without_the_handler_is_a_plain_fault, SIGSEGV, "")
{
    size_t size = 100 << 20;
    if (somebody_takes_segv()) {
        SKIP("a sanitizer takes SIGSEGV");
    }
    set_env("CEASE_SEGV", "0");
    in_task(use, &size);
}

static cease_error write_nowhere(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    **(volatile int **)arg = 1;
    return CEASE_OK;
}

TEST_DIES(stack_handler_leaves_other_faults_alone, SIGSEGV, "")
{
    if (somebody_takes_segv()) {
        SKIP("a sanitizer takes SIGSEGV");
    }
    int *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    in_task(write_nowhere, &nowhere);
}

static void own_handler(int signal_number)
{
    (void)signal_number;
}

TEST(stack_handler_is_not_installed_over_another_and_goes_at_stop)
{
    struct sigaction now, own = {.sa_handler = own_handler};
    if (somebody_takes_segv()) {
        SKIP("a sanitizer takes SIGSEGV");
    }
    size_t size = 1000;
    in_task(use, &size);
    CHECK(somebody_takes_segv());
    CHECK_OK(cease_runtime_stop());
    CHECK(!somebody_takes_segv());
    CHECK_EQ(sigaction(SIGSEGV, &own, NULL), 0);
    in_task(use, &size);
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == own_handler);
    CHECK_OK(cease_runtime_stop());
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == own_handler);
}

/* ---- reuse ---------------------------------------------------------------------------------- */

static cease_error one_after_the_other(cease_ctx *ctx, void *arg)
{
    size_t size = 20 << 10;
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        cease_group *g = cease_group_new(ctx, NULL);
        CHECK_OK(cease_group_go(g, use, &size));
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
    }
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    CHECK(c.stacks <= 3);
    return CEASE_OK;
}

/* Only one byte of each frame is touched: what is stepped over must not be more than the guard. */
static __attribute__((noinline)) unsigned step(unsigned depth)
{
    volatile unsigned char frame[40 << 10];
    frame[0] = (unsigned char)depth;
    return depth == UINT32_MAX ? 0 : step(depth + 1) + frame[0];
}

static cease_error take_big_steps(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    CHECK(step(0) != 1);
    return CEASE_OK;
}

TEST_ABORTS(stack_overflow_by_frames_of_many_pages_is_caught, "stack overflow in task")
{
    if (somebody_takes_segv()) {
        SKIP("a sanitizer takes SIGSEGV");
    }
    in_task(take_big_steps, NULL);
}

/* ---- marks ---------------------------------------------------------------------------------- */

/* Under CEASE_DEBUG, in a process of its own: one place whose tasks go deep, another one whose do not, each with
 * stacks that the other has used. */
static void leave_marks(void)
{
    for (int i = 0; i < 3; i++) {
        cease_group *g = cease_group_new(cease_background(), NULL);
        size_t deep = 100 << 10, shallow = 2 << 10;
        CHECK_OK(cease_group_go(g, use, &deep));
        CHECK_OK(cease_group_wait(g));
        cease_group_free(g);
        in_task(use, &shallow);
    }
}

TEST(stack_marks_say_how_deep_the_tasks_of_a_place_went)
{
    if (getenv("STACK_MARKS")) {
        leave_marks();
        exit(0);
    }
    if (somebody_takes_segv() || getenv("HARNESS_EMULATOR")) {
        SKIP("a sanitizer minds looking at stacks; an emulator does not run a child");
    }
    char self[512], command[800], line[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    self[n] = '\0';
    snprintf(command, sizeof command,
             "STACK_MARKS=1 CEASE_DEBUG=stack %s -v "
             "stack_marks_say_how_deep_the_tasks_of_a_place_went 2>&1",
             self);
    FILE *out = popen(command, "re");
    CHECK(out != NULL);
    unsigned deep = 0, shallow = 0, tasks;
    while (fgets(line, sizeof line, out)) {
        const char *at = strstr(line, "leave_marks: ");
        if (at) {
            CHECK_EQ(
                sscanf(at, "leave_marks: %u tasks started here used at most %u of", &tasks, &deep),
                2);
            CHECK_EQ(tasks, 3);
        }
        at = strstr(line, "in_task: ");
        if (at) {
            CHECK_EQ(
                sscanf(at, "in_task: %u tasks started here used at most %u of", &tasks, &shallow),
                2);
            CHECK_EQ(tasks, 3);
        }
    }
    CHECK(pclose(out) >= 0);
    CHECK(deep >= 80 && deep < 120);
    CHECK(shallow >= 2 && shallow < 20);
}

TEST(stack_of_a_task_that_has_ended_is_used_by_the_next)
{
    set_env("CEASE_WORKERS", "1");
    in_task(one_after_the_other, NULL);
}

static cease_error wait_for_end(cease_ctx *ctx, void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    (void)cease_wait(ctx);
    return CEASE_OK;
}

static size_t stack_count(void)
{
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    return c.stacks;
}

TEST(stack_memory_of_a_burst_is_given_back_by_idle_workers)
{
    int n = harness_is_slow() ? 1000 : 5000;
    atomic_int count = 0;
    set_env("CEASE_WORKERS", "2");
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < n; i++) {
        CHECK_OK(cease_group_go(g, wait_for_end, &count));
    }
    CHECK_EVENTUALLY(atomic_load(&count) == n);
    CHECK(stack_count() >= (size_t)n);
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
    CHECK_EVENTUALLY(stack_count() < 600); /* what is kept: 256 shared, 64 for each worker */
    g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < n; i++) { /* and they can be had again */
        CHECK_OK(cease_group_go(g, wait_for_end, &count));
    }
    CHECK_EVENTUALLY(atomic_load(&count) == 2 * n);
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
}

/* ---- a crowd's guards -------------------------------------------------------------------------- */

enum { CROWD = 1500, SLOT = 64 << 10 };

static cease_error note_slot(cease_ctx *ctx, void *arg)
{
    atomic_store((atomic_uintptr_t *)arg,
                 (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(SLOT - 1));
    return cease_wait(ctx);
}

/* Below each stack of many that are in use at a time is something that cannot even be read. */
static void check_guards(void)
{
    static atomic_uintptr_t slots[CROWD];
    set_env("CEASE_STACK", "64K");
    cease_group *g = cease_group_new(cease_background(), &(cease_group_opts){.supervise = true});
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(cease_group_go(g, note_slot, &slots[i]));
    }
    for (int i = 0; i < CROWD; i++) {
        CHECK_EVENTUALLY(atomic_load(&slots[i]) != 0);
        const char *guard = (const char *)atomic_load(&slots[i]);
        for (int page = 0; page < 4; page++) {
            CHECK(access(guard + 4096 * page, F_OK) != 0 && errno == EFAULT);
        }
        CHECK(access(guard + SLOT / 2, F_OK) != 0 && errno != EFAULT);
    }
    CHECK_OK(cease_group_stop(g));
    cease_group_free(g);
}

TEST(stack_each_of_a_crowd_has_a_guard)
{
    check_guards();
}

/* What a sandbox may do. */
static bool refuse(unsigned call)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

TEST(stack_each_of_a_crowd_has_a_guard_where_they_are_made_one_by_one)
{
    if (!refuse(440)) { /* process_madvise */
        SKIP("no system call can be refused here");
    }
    check_guards();
}

static cease_error leave_early(cease_ctx *ctx, void *arg)
{
    (void)arg;
    char *block = alloca(8000); /* its poison must not be the next task's */
    memset(block, 1, 8000);
    return cease_done(ctx) && block[7] ? CEASE_OK : CEASE_OK;
}

TEST(stack_used_again_is_clean_for_the_sanitizers)
{
    size_t size = 30 << 10;
    for (int i = 0; i < 200; i++) {
        in_task(leave_early, NULL);
        in_task(use, &size);
    }
}
