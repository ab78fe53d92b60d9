/* SPDX-License-Identifier: MIT
 *
 * thread.c: what a thread keeps for itself: freed nodes for the next derivations, counts, and which
 * callback it is in.
 *
 * One pointer of thread-local storage leads to all of it. It is made at first use and goes with the
 * thread. When it cannot be allocated the thread shares a fallback, which keeps no nodes and counts
 * with atomic operations.
 */
#include "context/ctx.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#ifndef CEASE_INTERLEAVE
__thread struct ceasei_thread *ceasei_thread_current;
static struct ceasei_thread fallback = {.shared = true};

static struct {
    pthread_mutex_t mutex;
    struct ceasei_thread *first;
    uint64_t made, freed; /* of threads that have ended */
    uint32_t number;
    pthread_key_t key;
    bool has_key;
} threads = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void at_thread_exit(void *self)
{
    ceasei_thread_exit(self);
}

struct ceasei_thread *ceasei_thread_new(void)
{
    struct ceasei_thread *self = calloc(1, sizeof *self);
    if (self == NULL)
        return &fallback;
    self->node_limit = ceasei_debug ? 0 : CACHE_NODES;
    pthread_mutex_lock(&threads.mutex);
    if (!threads.has_key)
        threads.has_key = pthread_key_create(&threads.key, at_thread_exit) == 0;
    bool ok = threads.has_key && pthread_setspecific(threads.key, self) == 0;
    if (ok) {
        self->number = threads.number++;
        self->next = threads.first;
        self->pprev = &threads.first;
        if (self->next != NULL)
            self->next->pprev = &self->next;
        threads.first = self;
    }
    pthread_mutex_unlock(&threads.mutex);
    if (!ok) {
        free(self);
        return &fallback;
    }
    ceasei_thread_current = self;
    return self;
}

void ceasei_thread_exit(struct ceasei_thread *self)
{
    if (self->shared)
        return;
    if (CEASE_UNLIKELY(ceasei_debug))
        ceasei_debug_thread_gone(self);
#if CEASEI_CACHES
    ceasei_blocks_free(self->nodes, self->node_count);
#endif
    pthread_mutex_lock(&threads.mutex);
    threads.made += self->made;
    threads.freed += self->freed;
    *self->pprev = self->next;
    if (self->next != NULL)
        self->next->pprev = self->pprev;
    pthread_setspecific(threads.key, NULL);
    pthread_mutex_unlock(&threads.mutex);
    ceasei_thread_current = NULL;
    free(self);
}

void ceasei_threads_forget(const struct ceasei_thread *gone)
{
    pthread_mutex_lock(&threads.mutex);
    for (struct ceasei_thread *at = threads.first; at != NULL; at = at->next)
        /* not taken: it is waited for: its callback returned just now, and the waiter has not looked again */
        if (at->waits_for == gone)
            at->waits_for = NULL;
    pthread_mutex_unlock(&threads.mutex);
}

size_t cease_live_count(void)
{
    pthread_mutex_lock(&threads.mutex);
    uint64_t made = threads.made + ceasei_load(&fallback.made, RELAXED);
    uint64_t freed = threads.freed + ceasei_load(&fallback.freed, RELAXED);
    for (struct ceasei_thread *at = threads.first; at != NULL; at = at->next) {
        made += ceasei_load(&at->made, RELAXED);
        freed += ceasei_load(&at->freed, RELAXED);
    }
    pthread_mutex_unlock(&threads.mutex);
    return (size_t)(made - freed);
}

void ceasei_threads_fork(int phase)
{
    if (phase == FORK_PREPARE)
        pthread_mutex_lock(&threads.mutex);
    else /* in the child too: the thread that forked has locked it, as ThreadSanitizer remembers */
        pthread_mutex_unlock(&threads.mutex);
}

void cease_trim(void)
{
    if (ceasei_thread_current != NULL)
        ceasei_thread_exit(ceasei_thread_current);
}

void cease_threads_stop(void)
{
    ceasei_after_stop_helpers();
    ceasei_timer_stop_driver();
    if (ceasei_debug)
        ceasei_debug_trim();
}

bool ceasei_start_thread(pthread_t *ret_thread, void *(*fn)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Faults of our own stay deliverable: they are not asynchronous. */
    static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++)
        sigdelset(&all, synchronous[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}
#endif

/* ----- memory ----- */

static void count(uint64_t *counter, const struct ceasei_thread *self)
{
    if (CEASE_UNLIKELY(self->shared))
        ceasei_add(counter, 1, RELAXED);
    else
        ceasei_count(counter);
}

void *ceasei_alloc_slow(struct ceasei_thread *self, size_t size)
{
    void *ctx;
    if (CEASE_UNLIKELY(ceasei_debug))
        ctx = ceasei_debug_alloc(size);
#if CEASEI_CACHES
    else if (size <= sizeof(struct ceasei_node))
        ctx = ceasei_block_new(self); /* which serves any small context later */
#endif
    else
        ctx = malloc(size);
    if (ctx != NULL)
        count(&self->made, self);
    return ctx;
}

void ceasei_free_slow(struct ceasei_thread *self, void *ctx, size_t size)
{
    count(&self->freed, self);
    if (CEASE_UNLIKELY(ceasei_debug)) {
        ceasei_debug_free(ctx);
        return;
    }
#if CEASEI_CACHES
    if (size <= sizeof(struct ceasei_node)) {
        if (self->node_limit < CEASEI_BATCH) {
            ceasei_blocks_free(&ctx, 1);
            return;
        }
        /* The cache is full: its older half goes, and there is room for this one and more. */
        ceasei_blocks_free(self->nodes, CEASEI_BATCH);
        self->node_count -= CEASEI_BATCH;
        memmove(self->nodes, self->nodes + CEASEI_BATCH, self->node_count * sizeof *self->nodes);
        self->nodes[self->node_count++] = ctx;
        return;
    }
#endif
    (void)size;
    free(ctx);
}
