/* SPDX-License-Identifier: MIT
 *
 * Out to break: contexts in a child that was forked while another thread was in the middle of an operation, after
 * every single instruction of it.
 *
 * The thread runs its operation with the processor's trap flag set, and stands still after each instruction in the
 * library while the main thread forks. Only on x86-64.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#include <link.h>
#include <signal.h>
#include <ucontext.h>

enum { TRAP_FLAG = 0x100, KIDS = 3 };

/* ---- standing still after each instruction ------------------------------------------------------ */

static uintptr_t text_begin, text_end; /* of the library */
static int steps;
static int stands;     /* atomic: the thread is between two instructions */
static int is_over;    /* atomic: the operation has returned */
static bool is_traced; /* the thread's */

static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t end = begin + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (uintptr_t)arg >= begin &&
            (uintptr_t)arg < end) {
            text_begin = begin;
            text_end = end;
        }
    }
    return 0;
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t at = (uintptr_t)registers[REG_RIP];
    if (!is_traced) {
        registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    } else if (at >= text_begin && at < text_end) {
        steps++;
        __atomic_store_n(&stands, 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&stands, __ATOMIC_ACQUIRE))
            sched_yield();
    }
}

static void trace(void)
{
    is_traced = true;
    __asm__ volatile(
        "sub $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::
            : "memory", "cc");
}

/* ---- the contexts, and what a child does with them --------------------------------------------- */

static struct {
    cease_ctx *root, *kids[KIDS], *below;
    cease_canceler *root_stop, *stops[KIDS], *below_stop;
    cease_watch watches[KIDS];
    int told[KIDS];
} tree;

static bool root_is_theirs; /* the thread cancels it */

static void count(void *told)
{
    ++*(int *)told;
}

static void make_tree(void)
{
    tree.root = cease_with_cancel(cease_background(), &tree.root_stop);
    for (int i = 0; i < KIDS; i++) {
        tree.told[i] = 0;
        tree.kids[i] = cease_with_cancel(tree.root, &tree.stops[i]);
        cease_watch_add(&tree.watches[i], tree.root, count, &tree.told[i]);
    }
    tree.below = cease_with_cancel(tree.kids[1], &tree.below_stop);
}

/* Whatever of the tree the thread was at, the rest of it works. The kid in the middle and its watch are the
 * thread's. */
static bool use_tree(void)
{
    cease_canceler *stop, *other_stop;
    cease_ctx *fresh = cease_with_cancel(tree.root, &stop);
    cease_ctx *other = cease_with_cancel(tree.kids[2], &other_stop);
    cease_end(tree.stops[0]);
    bool removed = cease_watch_remove(&tree.watches[0]) == CEASE_WATCH_REMOVED;
    cease_cancel(tree.root_stop);
    bool done =
        cease_done(tree.root) && cease_done(fresh) && cease_done(other) && cease_done(tree.kids[2]);
    /* Who cancelled the root in the parent process tells its watches there. */
    bool told = root_is_theirs ? tree.told[0] + tree.told[2] <= 2
                               : removed && tree.told[0] == 0 && tree.told[2] == 1;
    cease_end(other_stop);
    cease_end(stop);
    cease_end(tree.stops[2]);
    return done && told && cease_child_count(tree.root) <= 2;
}

static void fork_here(const char *name)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(25);
        _exit(use_tree() ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fprintf(stderr, "%s: after instruction %d\n", name, steps);
    CHECK_EQ(status, 0);
}

/* ---- operations --------------------------------------------------------------------------------- */

struct operation {
    const char *name;
    void (*fn)(void);
    void (*undo)(void); /* may be NULL */
};

static cease_canceler *made_stop;
static cease_watch made_watch;
static int made_told;

static void derive(void)
{
    (void)cease_with_cancel(tree.root, &made_stop);
}

static void derive_below(void)
{
    (void)cease_with_cancel(tree.kids[1], &made_stop);
}

static void end_made(void)
{
    cease_end(made_stop);
}

static void end_below(void)
{
    cease_end(tree.below_stop);
    tree.below_stop = NULL;
}

static void end_middle(void)
{
    cease_end(tree.stops[1]);
    tree.stops[1] = NULL;
}

static void cancel_middle(void)
{
    cease_cancel(tree.stops[1]);
}

static void cancel_root(void)
{
    cease_cancel(tree.root_stop);
}

static void add_watch(void)
{
    cease_watch_add(&made_watch, tree.root, count, &made_told);
}

static void remove_made(void)
{
    cease_watch_remove_sync(&made_watch);
}

static void remove_middle(void)
{
    cease_watch_remove_sync(&tree.watches[1]);
}

static void *run_traced(void *arg)
{
    const struct operation *o = arg;
    derive(); /* what a thread makes once, under a lock that a fork takes */
    end_made();
    trace();
    o->fn();
    is_traced = false;
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    if (o->undo)
        o->undo();
    return NULL;
}

static void fork_after_each_instruction(const struct operation *o)
{
    pthread_t thread;
    void *arg = (void *)(uintptr_t)o;
    make_tree();
    steps = is_over = 0;
    root_is_theirs = o->fn == cancel_root;
    CHECK_EQ(pthread_create(&thread, NULL, run_traced, arg), 0);
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(&stands, __ATOMIC_ACQUIRE)) {
            fork_here(o->name);
            __atomic_store_n(&stands, 0, __ATOMIC_RELEASE);
        } else {
            sched_yield();
        }
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(steps > 10);
    for (int i = 0; i < KIDS; i++) {
        cease_watch_remove_sync(&tree.watches[i]);
        cease_end(tree.stops[i]);
    }
    cease_end(tree.below_stop);
    cease_end(tree.root_stop);
    CHECK_EQ(cease_live_count(), 0);
}

static const struct operation operations[] = {
    {"derive", derive, end_made},
    {"derive below a child", derive_below, end_made},
    {"end a leaf", end_below, NULL},
    {"end one with a child", end_middle, NULL},
    {"cancel one with a child", cancel_middle, NULL},
    {"cancel the root", cancel_root, NULL},
    {"add a watch", add_watch, remove_made},
    {"remove a watch", remove_middle, NULL},
};

TEST(child_forkedAfterEachInstructionOfAnOperation_usesTheContexts)
{
    if (getenv("HARNESS_EMULATOR") || harness_is_slow())
        SKIP("traps that are emulated");
    struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    CHECK_EQ(sigaction(SIGTRAP, &trap, NULL), 0);
    dl_iterate_phdr(find_text, (void *)(uintptr_t)cease_unref);
    CHECK(text_end > text_begin);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        fork_after_each_instruction(&operations[i]);
}

#else
TEST(child_forkedAfterEachInstructionOfAnOperation_usesTheContexts)
{
    SKIP("needs the trap flag of x86-64, and no sanitizer");
}
#endif
