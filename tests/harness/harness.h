/*
 * The test harness: cases that register themselves, each run in a process of its own.
 *
 *     #include "harness.h"
 *
 *     TEST(chan_recv_from_closed_drains_first)
 *     {
 *         CHECK_OK(cease_chan_recv(cease_background(), ch, &got));
 *         CHECK_EQ(got, 7);
 *     }
 *
 * A test program is one or more such files and nothing else: main() is here. It runs every case by
 * executing itself again, ends it after a limit (30 s; longer under sanitizers and emulators), and
 * afterwards compares what the case holds with what it held at its start: open fds, heap blocks,
 * live contexts, live tasks. A check prints both sides, with file and line, and ends the process,
 * so it may stand in any thread and on any stack.
 *
 * Options: --list, -v, --limit=SECONDS, and names or globs of cases. The last line of the output is
 * "N passed, N failed, N skipped". Environment: HARNESS_LIMIT (seconds), HARNESS_EMULATOR (words to
 * put before the program when it executes itself, as "qemu-aarch64 -L /usr/aarch64-linux-gnu").
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>

/* ---- cases ---------------------------------------------------------------------------------- */

struct harness_case {
    const char *name;
    void (*fn)(void);
    int signal;       /* the signal the case must die of; 0: it must return      */
    const char *text; /* what it must have written by then, on stdout or stderr  */
    struct harness_case *next;
};

void harness_register(struct harness_case *c);

#define HARNESS_CASE(case_name, case_signal, case_text)                                       \
    static void case_name(void);                                                              \
    __attribute__((constructor)) static void harness_register_##case_name(void)               \
    {                                                                                         \
        static struct harness_case c = {#case_name, case_name, case_signal, case_text, NULL}; \
        harness_register(&c);                                                                 \
    }                                                                                         \
    static void case_name(void)

/* A case: passes when its body returns, leaving nothing behind. */
#define TEST(name)                    HARNESS_CASE(name, 0, NULL)
/* Passes when the body dies of SIGABRT and has written `text` (on stderr, usually) before. */
#define TEST_ABORTS(name, text)       HARNESS_CASE(name, 6, text)
/* The same with any signal, as SIGSEGV for a stack overflow that must be explained first. */
#define TEST_DIES(name, signal, text) HARNESS_CASE(name, signal, text)

/* ---- checks: each evaluates its arguments once --------------------------------------------- */

#define CHECK(cond) \
    ((cond) ? (void)0 : harness_fail(__FILE__, __LINE__, "CHECK(%s) is false", #cond))
/* Integers of any kind, compared by value whatever their signs and widths. */
#define CHECK_EQ(a, b) \
    harness_check_int(__FILE__, __LINE__, #a " == " #b, (harness_int)(a), (harness_int)(b))
#define CHECK_STR(a, b)   harness_check_str(__FILE__, __LINE__, #a " == " #b, (a), (b))
#define CHECK_PTR(a, b)   harness_check_ptr(__FILE__, __LINE__, #a " == " #b, (a), (b))
#define CHECK_OK(err)     harness_check_err(__FILE__, __LINE__, #err, (int)(err), 0)
#define CHECK_ERR(err, e) harness_check_err(__FILE__, __LINE__, #err, (int)(err), (int)(e))
/* Looks again and again until it is true; the case's limit bounds it. Never for order, only for
 * what no event tells (a thread of ours that is about to exit, say). */
#define CHECK_EVENTUALLY(cond)                      \
    do {                                            \
        harness_waiting(__FILE__, __LINE__, #cond); \
        while (!(cond))                             \
            harness_pause();                        \
        harness_waiting(NULL, 0, NULL);             \
    } while (0)
/* Ends the case as skipped. Skips are counted and printed, never silent. */
#define SKIP(why) harness_skip(__FILE__, __LINE__, why)

/* ---- the heap ------------------------------------------------------------------------------- */

/* The n-th allocation from now on, by any thread, fails once; 0: none does. Does nothing when
 * malloc is not ours (sanitizers, Valgrind): ask harness_heap_is_ours(). */
void harness_fail_alloc(unsigned long n);
/* Whether an allocation failed since the last harness_fail_alloc(). */
bool harness_alloc_failed(void);
bool harness_heap_is_ours(void);
/* Live blocks now; allocations ever. 0 when malloc is not ours. */
long harness_heap_blocks(void);
long harness_heap_allocs(void);
/* What is held now becomes what the case may hold at its end: for what a foreign library sets up
 * once and keeps (say which at the call). */
void harness_mark(void);

/* The torture loop: runs the body with the first allocation failing, then the second, until a round
 * in which nothing was left to fail:
 *
 *     HARNESS_EACH_ALLOC_FAILS (n) {
 *         scenario();          // must give a clear error or succeed, and leave nothing
 *     }
 */
#define HARNESS_EACH_ALLOC_FAILS(n) for (unsigned long n = 1; harness_torture_next(n); n++)
bool harness_torture_next(unsigned long n);

/* ---- surroundings --------------------------------------------------------------------------- */

/* A folder of this case alone, made at the first call, removed by the runner afterwards. */
const char *harness_temp_dir(void);
/* True when an emulator or a sanitizer makes everything an order of magnitude slower: for choosing
 * the number of rounds, never for choosing what is checked. */
bool harness_is_slow(void);

/* fork() for a case that has threads: waits until all others sleep, so that none holds a lock of the
 * sanitizer's allocator, which the child could never take (gcc 12's does not mend that at a fork). */
int harness_fork(void);

/* ---- what the macros call ------------------------------------------------------------------- */

__extension__ typedef __int128 harness_int;
_Noreturn void harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void harness_skip(const char *file, int line, const char *why);
void harness_check_int(const char *file, int line, const char *what, harness_int a, harness_int b);
void harness_check_str(const char *file, int line, const char *what, const char *a, const char *b);
void harness_check_ptr(const char *file, int line, const char *what, const void *a, const void *b);
void harness_check_err(const char *file, int line, const char *what, int got, int expected);
void harness_waiting(const char *file, int line, const char *what);
void harness_pause(void);

#endif
