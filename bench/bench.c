/* SPDX-License-Identifier: MIT
 *
 * bench.c: main() of every bench program; see bench.h.
 */
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, ROUND_NS = 30 * 1000 * 1000, THREADS_MAX = 16 };

static struct bench *benches;

void bench_register(struct bench *b)
{
    b->next = benches;
    benches = b;
}

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_failed(const char *what)
{
    fprintf(stderr, "bench: failed: %s\n", what);
    exit(1);
}

double bench_resident(void)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    bench_need(statm != NULL && fscanf(statm, "%*s %ld", &pages) == 1, "/proc/self/statm");
    fclose(statm);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void *sleep_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

struct runner {
    bench_fn *fn;
    uint64_t n;
    pthread_barrier_t *start;
};

static void *run_thread(void *arg)
{
    struct runner *r = arg;
    pthread_barrier_wait(r->start);
    r->fn(r->n);
    return NULL;
}

int64_t bench_threads(bench_fn *fn, uint64_t n, int threads)
{
    pthread_t thread[THREADS_MAX];
    pthread_barrier_t start;
    struct runner r = {fn, n, &start};
    bench_need(threads <= THREADS_MAX, "that many threads");
    pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++)
        bench_need(pthread_create(&thread[i], NULL, run_thread, &r) == 0, "pthread_create");
    pthread_barrier_wait(&start);
    int64_t from = bench_now_ns();
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    int64_t took = bench_now_ns() - from;
    pthread_barrier_destroy(&start);
    return took;
}

static double time_round(bench_fn *fn, uint64_t n)
{
    int64_t from = bench_now_ns();
    fn(n);
    return (double)(bench_now_ns() - from) / (double)n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_measure(bench_fn *fn)
{
    uint64_t n = 1;
    int64_t took;
    for (;; n *= 2) {
        took = INT64_MAX;
        for (int twice = 0; twice < 2; twice++) { /* the faster: somebody else may have been on */
            int64_t from = bench_now_ns();
            fn(n);
            int64_t once = bench_now_ns() - from;
            took = once < took ? once : took;
        }
        if (took > ROUND_NS / 4)
            break;
    }
    n = n * ROUND_NS / (uint64_t)took + 1;
    double rounds[ROUNDS];
    time_round(fn, n);
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] = time_round(fn, n);
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    return rounds[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (struct bench *b = benches; b; b = b->next)
            printf("%s\t%s\t%s\n", b->name, b->unit, b->question);
        return 0;
    }
    pthread_t second;
    bench_need(pthread_create(&second, NULL, sleep_for_ever, NULL) == 0, "pthread_create");
    for (struct bench *b = benches; b && argc == 2; b = b->next)
        if (strcmp(b->name, argv[1]) == 0) {
            printf("%.2f\n", b->value ? b->value() : bench_measure(b->fn));
            fflush(stdout);
            _exit(0); /* what a bench leaves running is not waited for */
        }
    fprintf(stderr, "usage: %s --list | NAME\n", argv[0]);
    return 2;
}
