/* SPDX-License-Identifier: MIT
 *
 * explore.h: small programs of two or three threads, run in every order that they can run in.
 *
 *     static int counter;
 *     static void add(void) { ceasei_store(&counter, ceasei_load(&counter, RELAXED) + 1, RELAXED);
 * } static void both(void) { EXPLORE_CHECK(counter == 2); } MODEL(lost_update, .threads = {add,
 * add}, .check = both, .sc_fails = "counter == 2");
 *
 * A model's set-up runs alone, then its threads run, one step (one atomic operation, lock, sleep or
 * wake, and the plain code behind it) at a time in an order that the explorer chooses, then its
 * check runs alone. All of it runs again and again from the same memory until no order that differs
 * in an observable way is left, or until a limit. Static variables are put back between executions.
 *
 * A failed check, an abort, a deadlock, threads that only spin, a use of freed memory, two accesses
 * that race (no order between them by acquire and release), a block that is left allocated: each
 * ends the exploration, with the steps and a string for --replay.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "base/atomic.h"
#include "base/lock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bug that CEASE_SEED_BUG(number) puts in, and that the exploration of this model must find. */
struct explore_seed {
    enum explore_bug number; /* 0 ends the list                          */
    bool tso;                /* shows with store buffers only                         */
    const char *what;
};

struct explore_model {
    const char *name;
    void (*setup)(void);      /* may be NULL */
    void (*threads[3])(void); /* one to three */
    void (*check)(void);      /* may be NULL */
    /* Substring of the failure that must be found with sequentially consistent memory, with store
     * buffers. NULL: there must be none. */
    const char *sc_fails;
    const char *tso_fails;
    struct explore_seed seeds[5];
    /* Of the mutations of its own atomic sites (see main.c), so many must be found at least. */
    int mutants_found_min;
    bool may_leak; /* blocks may be left (a cache outlives the model) */
    const struct explore_model *next;
};

void explore_register(struct explore_model *model);

#define MODEL(model_name, ...)                                                   \
    __attribute__((constructor)) static void explore_register_##model_name(void) \
    {                                                                            \
        static struct explore_model model = {.name = #model_name, __VA_ARGS__};  \
        explore_register(&model);                                                \
    }                                                                            \
    struct explore_model /* takes the semicolon */

/* Ends the execution, and the exploration, as a failure. */
_Noreturn void explore_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define EXPLORE_CHECK(condition) \
    ((condition)                 \
         ? (void)0               \
         : explore_fail("%s:%d: not true: %s", explore_file_name(__FILE__), __LINE__, #condition))
const char *explore_file_name(const char *path);

/* 0, 1, 2: a model's thread; EXPLORE_MAIN: its set-up and check. */
enum { EXPLORE_MAIN = 3, EXPLORE_THREADS = 4 };
int explore_current(void);

/* Called on each model thread when its function has returned. Set by a constructor; NULL: nothing.
 */
extern void (*explore_at_thread_end)(void);
/* Called before a model's set-up, on the main thread. */
extern void (*explore_at_start)(void);

/* A step of its own that touches nothing: a place for the others to run, and a line in the trace.
 */
void explore_note(const char *text);

/* The n-th allocation of this thread from now on fails; 0: none does. */
void explore_fail_alloc(int n);

/* The modelled clock, in ns: what clock_gettime gives. */
extern int64_t explore_clock_ns;
/* Whether the modelled eventfd is readable: a step. */
bool explore_fd_readable(int fd);
/* Modelled fds that are open. */
int explore_fds_open(void);

#endif
