/* SPDX-License-Identifier: MIT
 *
 * faults_program.c: mistakes in tasks, one for each name that it is called with, for faults_test.py to see that the
 * sanitizers and Valgrind tell of them; and the same without the mistake, of which they must not.
 *
 * Every mistake is made after a wait, so that the stack has been left and come back to.
 */
#include <cease/cease.h>
#include <stdlib.h>
#include <string.h>

/* Not hidden from anybody: they must be frames. */
#define FRAME __attribute__((noinline))

FRAME static void waits_a_little(cease_ctx *ctx)
{
    cease_yield();
    (void)cease_sleep(ctx, cease_us(1));
}

static void run_tasks(cease_task_fn *one, cease_task_fn *other, void *arg)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    (void)cease_group_go(g, one, arg);
    if (other) {
        (void)cease_group_go(g, other, arg);
    }
    (void)cease_group_wait(g);
    cease_group_free(g);
}

static volatile int beyond = 16; /* what no compiler knows */

/* ---- beyond an array on the task's stack, in a scope and a function that have ended -------------------------- */

FRAME static int writes_beyond_its_array(cease_ctx *ctx)
{
    char array[16];
    memset(array, 0, sizeof array);
    waits_a_little(ctx);
    ((volatile char *)array)[beyond] = 1;
    return array[0];
}

static cease_error overflowing_task(cease_ctx *ctx, void *arg)
{
    *(int *)arg = writes_beyond_its_array(ctx);
    return CEASE_OK;
}

static void stack_buffer(void)
{
    int kept;
    run_tasks(overflowing_task, NULL, &kept);
}

static cease_error scoping_task(cease_ctx *ctx, void *arg)
{
    volatile int *left;
    {
        volatile int inside = 1;
        left = &inside;
    }
    waits_a_little(ctx);
    *left = 2;
    *(int *)arg = *left;
    return CEASE_OK;
}

static void ended_scope(void)
{
    int kept;
    run_tasks(scoping_task, NULL, &kept);
}

FRAME static volatile int *keeps_its_own(void)
{
    volatile int own = 1;
    volatile int *at = &own;
    return at;
}

static cease_error returning_task(cease_ctx *ctx, void *arg)
{
    volatile int *left = keeps_its_own();
    waits_a_little(ctx);
    *left = 2;
    *(int *)arg = *left;
    return CEASE_OK;
}

static void ended_function(void)
{
    int kept;
    run_tasks(returning_task, NULL, &kept);
}

/* ---- a block that another task has freed --------------------------------------------------------- */

struct handed {
    cease_chan *freed;
    char *block;
};

FRAME static void frees_the_block(char *block)
{
    free(block);
}

FRAME static void uses_the_block(char *block)
{
    ((volatile char *)block)[0] = 1;
}

static cease_error freeing_task(cease_ctx *ctx, void *arg)
{
    struct handed *h = arg;
    waits_a_little(ctx);
    frees_the_block(h->block);
    return cease_chan_send(ctx, h->freed, NULL);
}

static cease_error using_task(cease_ctx *ctx, void *arg)
{
    struct handed *h = arg;
    (void)cease_chan_recv(ctx, h->freed, NULL);
    uses_the_block(h->block);
    return CEASE_OK;
}

static void use_after_free(void)
{
    struct handed h = {cease_chan_new(0, 0), malloc(64)};
    run_tasks(freeing_task, using_task, &h);
    cease_chan_unref(h.freed);
}

/* ---- memory that nobody has written -------------------------------------------------------------- */

FRAME static int branches_on(const int *value)
{
    return *value == 7 ? 1 : 2;
}

static cease_error reading_task(cease_ctx *ctx, void *arg)
{
    int *block = malloc(sizeof *block);
    waits_a_little(ctx);
    *(int *)arg = branches_on(block);
    free(block);
    return CEASE_OK;
}

static void uninitialised(void)
{
    int kept;
    run_tasks(reading_task, NULL, &kept);
}

FRAME static void writes_beyond(char *block, size_t size)
{
    ((volatile char *)block)[size] = 1;
}

static cease_error writing_task(cease_ctx *ctx, void *arg)
{
    char *block = malloc(24);
    (void)arg;
    waits_a_little(ctx);
    writes_beyond(block, 24);
    free(block);
    return CEASE_OK;
}

static void heap_buffer(void)
{
    run_tasks(writing_task, NULL, NULL);
}

/* ---- a block that is lost, and one that only a parked task knows --------------------------------- */

FRAME static void loses_a_block(void)
{
    char *volatile block = malloc(1234);
    block[0] = 1;
    block = NULL;
}

static cease_error losing_task(cease_ctx *ctx, void *arg)
{
    (void)arg;
    waits_a_little(ctx);
    loses_a_block();
    return CEASE_OK;
}

static void lost(void)
{
    run_tasks(losing_task, NULL, NULL);
}

static cease_error keeping_task(cease_ctx *ctx, void *arg)
{
    char *volatile block = malloc(4321);
    block[0] = 1;
    (void)cease_chan_send(ctx, arg, NULL);
    (void)cease_wait(ctx);
    free(block);
    return CEASE_OK;
}

/* The program ends while it waits. */
static void kept_by_a_parked_task(void)
{
    cease_chan *told = cease_chan_new(0, 0);
    (void)cease_go(cease_background(), keeping_task, told);
    (void)cease_chan_recv(cease_background(), told, NULL);
    exit(0);
}

/* ---- two tasks and one variable ------------------------------------------------------------------ */

static struct {
    int there;   /* atomic, and orders nothing */
    int counter; /* whose? */
    cease_mutex mutex;
} shared;

/* Returns when `count` have come. At a task's beginning it puts each on a worker of its own: one that computes keeps
 * its worker from starting another. */
static void meet(int count)
{
    __atomic_fetch_add(&shared.there, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&shared.there, __ATOMIC_RELAXED) < count) {
    }
}

FRAME static void counts_without_a_lock(void)
{
    shared.counter++;
}

static cease_error racing_task(cease_ctx *ctx, void *arg)
{
    (void)arg;
    meet(2);
    waits_a_little(ctx);
    meet(4);
    counts_without_a_lock();
    return CEASE_OK;
}

static void race(void)
{
    run_tasks(racing_task, racing_task, NULL);
}

static cease_error locking_task(cease_ctx *ctx, void *arg)
{
    (void)arg;
    meet(2);
    waits_a_little(ctx);
    meet(4);
    for (int i = 0; i < 100; i++) {
        (void)cease_mutex_lock(ctx, &shared.mutex);
        counts_without_a_lock();
        cease_mutex_unlock(&shared.mutex);
    }
    return CEASE_OK;
}

static void no_race(void)
{
    run_tasks(locking_task, locking_task, NULL);
}

/* ---- no mistake ---------------------------------------------------------------------------------- */

FRAME static int sums(cease_ctx *ctx, int depth)
{
    volatile char array[200];
    memset((void *)(uintptr_t)array, depth, sizeof array);
    waits_a_little(ctx);
    return array[depth] + (depth > 0 ? sums(ctx, depth - 1) : 0);
}

static cease_error summing_task(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return sums(ctx, 8) == 36 ? CEASE_OK : CEASE_EIO;
}

static void nothing(void)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 200; i++) {
        (void)cease_group_go(g, summing_task, NULL);
    }
    if (cease_group_wait(g) != CEASE_OK) {
        exit(3);
    }
    cease_group_free(g);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } cases[] = {
        {"stack_buffer", stack_buffer},
        {"ended_scope", ended_scope},
        {"ended_function", ended_function},
        {"use_after_free", use_after_free},
        {"uninitialised", uninitialised},
        {"heap_buffer", heap_buffer},
        {"lost", lost},
        {"kept_by_a_parked_task", kept_by_a_parked_task},
        {"race", race},
        {"no_race", no_race},
        {"nothing", nothing},
    };
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].fn();
            return cease_runtime_stop() == CEASE_OK ? 0 : 1;
        }
    }
    return 2;
}
