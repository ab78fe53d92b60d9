/* SPDX-License-Identifier: MIT
 *
 * bench.h: what every bench program shares.
 *
 *     static void cancel(uint64_t n) { while (n-- > 0) …one operation…; }
 *     BENCH(ctx_cancel, cancel, "What does …cost?")
 *
 * A program is some of these; main() is in bench.c. `program NAME` finds out how many operations take
 * about 30 ms, does so nine times after a first one that is thrown away, and prints the median in
 * ns for one operation. A second thread is alive all the time, asleep, so that no shortcut for
 * single-threaded programs is taken anywhere. A bench that measures something else than time
 * returns it from a BENCH_VALUE, with its unit.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void bench_fn(uint64_t n);
typedef double bench_value_fn(void);

struct bench {
    const char *name;
    bench_fn *fn;          /* one of the two */
    bench_value_fn *value; /* measures by itself */
    const char *unit;
    const char *question;
    struct bench *next;
};

void bench_register(struct bench *b);

#define BENCH_(bench_name, ...)                                                \
    __attribute__((constructor)) static void bench_register_##bench_name(void) \
    {                                                                          \
        static struct bench b = {__VA_ARGS__, 0};                              \
        bench_register(&b);                                                    \
    }
#define BENCH(bench_name, run, question) BENCH_(bench_name, #bench_name, run, 0, "ns", question)
#define BENCH_VALUE(bench_name, run, unit, question) \
    BENCH_(bench_name, #bench_name, 0, run, unit, question)

int64_t bench_now_ns(void);
void bench_failed(const char *what) __attribute__((noreturn));
/* Stops the program with a message when `ok` is false: a bench that went wrong has no figure. */
static inline void bench_need(bool ok, const char *what)
{
    if (__builtin_expect(!ok, 0)) /* inline: it stands in every loop */
        bench_failed(what);
}
/* The resident memory of this process, in bytes. */
double bench_resident(void);
/* The median in ns, as main() takes it: for a bench that prepares something first. */
double bench_measure(bench_fn *fn);
/* Runs fn(n) in `threads` threads that start together; returns the wall time. */
int64_t bench_threads(bench_fn *fn, uint64_t n, int threads);

/* The compiler may neither drop a computation of x nor keep memory in registers over this. */
#define BENCH_KEEP(x) __asm__ __volatile__("" : : "g"(x) : "memory")

#ifdef __cplusplus
}
#endif

#endif
