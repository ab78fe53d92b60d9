/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleAfterFunc_cond: threads that wait on a condition variable of POSIX, which knows nothing
 * of contexts, stop when theirs ends: an after-func wakes them.
 */
#include <cease/cease.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool condition; /* under lock; never comes true here */

/* Runs in a task or thread of its own, so it may take the lock. The lock is needed: without it the
 * broadcast could fall between a waiter's look at its context and its wait. */
static void wake_all(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static cease_error wait_on_condition(cease_ctx *ctx)
{
    cease_after *after = cease_after_func(ctx, wake_all, NULL);
    if (!after) {
        return CEASE_ENOMEM;
    }
    pthread_mutex_lock(&lock);
    while (!condition && !cease_done(ctx)) {
        pthread_cond_wait(&changed, &lock);
    }
    cease_error e = condition ? CEASE_OK : cease_err(ctx);
    pthread_mutex_unlock(&lock);
    (void)cease_after_stop(after);
    return e;
}

static void *waiter(void *arg)
{
    cease_error *ret = arg;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    *ret = wait_on_condition(cease_with_timeout(cease_background(), cease_ms(1), &stop));
    return NULL;
}

int main(void)
{
    enum { WAITERS = 4 };
    pthread_t threads[WAITERS];
    cease_error results[WAITERS];
    int status = EXIT_SUCCESS;
    for (int i = 0; i < WAITERS; i++) {
        if (pthread_create(&threads[i], NULL, waiter, &results[i])) {
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        puts(cease_strerror(results[i]));
        status = results[i] == CEASE_EDEADLINE ? status : EXIT_FAILURE;
    }
    return status;
}
