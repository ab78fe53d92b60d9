/* SPDX-License-Identifier: MIT
 *
 * trace.c: from the points in trace.h to the thread that writes the file.
 *
 * The idea: a worker writes its events into its own ring (one writer, one reader); plain threads share one
 * more ring under a lock. A thread empties all of them every DRAIN_NS and hands the events to
 * trace_write.c. A full ring drops, and counts: whoever is traced never waits for the file.
 *
 * The rings are static and stay, because a worker that has seen `ceasei_tracing` set may write an event
 * after it was cleared. What is in a ring when a trace begins belongs to an older one and is skipped.
 *
 * `trace` is under its lock; a ring's tail is released by its writer, its head by the reader.
 */
#include "runtime/trace.h"

#include "base/lock.h"
#include "runtime/aside.h"
#include "runtime/runtime.h"

#include <cease/trace.h>
#include <errno.h>
#include <time.h>

enum { RING = 4096, DRAIN_NS = 2 * 1000 * 1000 };

struct ring {
    _Alignas(64) uint32_t tail; /* atomic: released by the writer */
    uint64_t lost;              /* atomic: counted by the writer */
    _Alignas(64) uint32_t head; /* atomic: released by the reader */
    struct ceasei_trace_event events[RING];
};

uint32_t ceasei_tracing;

static struct ring rings[CEASEI_WORKERS_MAX + 1]; /* the last one is the plain threads' */
static struct ceasei_lock outside_lock;           /* its writers */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t bell;
    pthread_t thread;
    bool is_on, quit;
    FILE *out;
    struct ceasei_trace_file *file; /* the thread's, while it runs */
    uint64_t lost_before;
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER};

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* the world's time, in a test run too */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void push(struct ring *r, const struct ceasei_trace_event *e)
{
    uint32_t tail = r->tail;
    if (tail - ceasei_load(&r->head, ACQUIRE) == RING) {
        ceasei_store(&r->lost, r->lost + 1, RELAXED);
        return;
    }
    r->events[tail % RING] = *e;
    ceasei_store(&r->tail, tail + 1, RELEASE);
}

/* Not inlined: a started task stays on its worker, but the compiler should not keep its address. */
static __attribute__((noinline)) void put(const struct ceasei_trace_event *e)
{
    struct ceasei_worker *w = ceasei_worker_self;
    if (w) {
        push(&rings[w->index], e);
        return;
    }
    ceasei_lock(&outside_lock);
    push(&rings[CEASEI_WORKERS_MAX], e);
    ceasei_unlock(&outside_lock);
}

void ceasei_trace_put(enum ceasei_trace_kind kind, const struct ceasei_task *task,
                      const cease_place *place)
{
    struct ceasei_trace_event e = {.at_ns = clock_ns(), .kind = (uint8_t)kind, .place = place};
    const struct ceasei_task *about = task ? task : ceasei_worker_task();
    if (about) {
        e.task = about->id;
        e.ctx = (uintptr_t)about->ctx;
    }
    if (kind == CEASEI_TRACE_PARK) {
        e.wait = about->wait;
        e.what = about->wait == CEASEI_WAIT_NAMED ? (const char *)about->wait_object : NULL;
    }
    if (kind == CEASEI_TRACE_BEGIN) {
        cease_ctx_info info = {.size = sizeof info};
        cease_inspect(about->ctx, &info);
        e.made = info.cause ? NULL : info.place;
    }
    put(&e);
}

static void on_end(const cease_ctx *ctx, cease_error error, const cease_place *place)
{
    put(&(struct ceasei_trace_event){
        .at_ns = clock_ns(),
        .task = cease_task_id(),
        .ctx = (uintptr_t)ctx,
        .place = place,
        .kind = error == CEASE_EDEADLINE ? CEASEI_TRACE_DEADLINE : CEASEI_TRACE_CANCEL,
    });
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Everything that is there, in order of time over all rings, so that a file reads like a story. */
static void drain(struct ceasei_trace_file *file)
{
    uint32_t ends[CEASEI_WORKERS_MAX + 1];
    for (int i = 0; i <= CEASEI_WORKERS_MAX; i++) {
        ends[i] = ceasei_load(&rings[i].tail, ACQUIRE);
    }
    for (;;) {
        int next = -1;
        int64_t at = INT64_MAX;
        for (int i = 0; i <= CEASEI_WORKERS_MAX; i++) {
            const struct ring *r = &rings[i];
            if (r->head != ends[i] && r->events[r->head % RING].at_ns < at) {
                at = r->events[r->head % RING].at_ns;
                next = i;
            }
        }
        if (next < 0) {
            return;
        }
        struct ring *r = &rings[next];
        ceasei_trace_file_put(file, next < CEASEI_WORKERS_MAX ? (uint32_t)next : UINT32_MAX,
                              &r->events[r->head % RING]);
        ceasei_store(&r->head, r->head + 1, RELEASE);
    }
}

static void *trace_main(void *arg)
{
    pthread_mutex_lock(&trace.lock);
    while (!trace.quit) {
        pthread_mutex_unlock(&trace.lock);
        drain(arg);
        pthread_mutex_lock(&trace.lock);
        int64_t until = clock_ns() + DRAIN_NS;
        struct timespec ts = {until / 1000000000, until % 1000000000};
        if (!trace.quit) {
            pthread_cond_clockwait(&trace.bell, &trace.lock, CLOCK_MONOTONIC, &ts);
        }
    }
    pthread_mutex_unlock(&trace.lock);
    drain(arg);
    return NULL;
}

static uint64_t lost_so_far(void)
{
    uint64_t lost = 0;
    for (int i = 0; i <= CEASEI_WORKERS_MAX; i++) {
        lost += ceasei_load(&rings[i].lost, RELAXED);
    }
    return lost;
}

/* Under the lock. */
static cease_error start(const char *path)
{
    trace.out = fopen(path, "we");
    if (!trace.out) {
        return (cease_error)-errno;
    }
    trace.file = ceasei_trace_file_new(trace.out);
    for (int i = 0; i <= CEASEI_WORKERS_MAX; i++) {
        ceasei_store(&rings[i].head, ceasei_load(&rings[i].tail, ACQUIRE), RELEASE);
    }
    trace.lost_before = lost_so_far();
    trace.quit = false;
    cease_error err = CEASE_ENOMEM;
    if (trace.file) {
        err = ceasei_aside_start(&trace.thread, "cease-trace", trace_main, trace.file);
    }
    if (err != CEASE_OK) {
        if (trace.file) {
            (void)ceasei_trace_file_end(trace.file, 0, clock_ns());
        }
        fclose(trace.out);
    }
    return err;
}

CEASE_PUBLIC cease_error cease_trace_start(const char *path)
{
    ceasei_runtime_check_fork();
    pthread_mutex_lock(&trace.lock);
    cease_error err = trace.is_on ? CEASE_EBUSY : start(path);
    if (err == CEASE_OK) {
        trace.is_on = true;
        ceasei_store(&ceasei_tracing, 1, RELEASE);
        cease_on_end(on_end);
    }
    pthread_mutex_unlock(&trace.lock);
    return err;
}

CEASE_PUBLIC cease_error cease_trace_stop(void)
{
    cease_error err = CEASE_OK;
    ceasei_runtime_check_fork();
    pthread_mutex_lock(&trace.lock);
    if (trace.is_on && !trace.quit) {
        cease_on_end(NULL);
        ceasei_store(&ceasei_tracing, 0, RELEASE);
        trace.quit = true;
        pthread_cond_signal(&trace.bell);
        pthread_mutex_unlock(&trace.lock);
        pthread_join(trace.thread, NULL);
        pthread_mutex_lock(&trace.lock);
        bool failed =
            ceasei_trace_file_end(trace.file, lost_so_far() - trace.lost_before, clock_ns());
        err = failed ? CEASE_ENOMEM : CEASE_OK;
        bool is_bad = ferror(trace.out) != 0;
        if (fclose(trace.out) != 0 || is_bad) {
            err = errno != 0 ? (cease_error)-errno : CEASE_EIO;
        }
        trace.is_on = false;
    }
    pthread_mutex_unlock(&trace.lock);
    return err;
}
