/* SPDX-License-Identifier: MIT
 *
 * after.c: functions that run by themselves once a context has ended.
 *
 * A cease_after is a watch whose callback starts the function in a task of its own, by the hook of
 * the runtime, or on a helper thread of this file when there is no runtime or it has no task to
 * give. Two share it: the caller, until cease_after_stop(), and the engine, until the function has
 * returned or was prevented. The later one frees it.
 *
 * Helpers. cease_after_func() makes sure that one helper is running before it promises anything;
 * when a job finds none idle another is started, so that one function that blocks does not hold up
 * the others; if that fails the job waits for the first that becomes idle. Those beyond the first
 * end when there is nothing to do.
 */
#include "context/ctx.h"

#include <stdlib.h>
#include <sys/prctl.h>

struct cease_after {
    cease_watch watch;
    cease_ctx *ctx; /* a reference                                         */
    void (*fn)(void *arg);
    void *arg;
    uint32_t holders;         /* atomic: the caller and the engine         */
    struct cease_after *next; /* under the helpers' mutex                  */
};

static void drop(struct cease_after *a)
{
    if (ceasei_sub(&a->holders, 1, ACQ_REL) != 1)
        return;
    ceasei_release(a->ctx);
    free(a);
}

static void run(void *arg)
{
    struct cease_after *a = arg;
    a->fn(a->arg);
    drop(a);
}

/* ----- helpers ----- */

#ifndef CEASE_INTERLEAVE
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* work has come, or stop is set, or a helper has ended */
    struct cease_after *first, **last;
    unsigned running, idle, queued;
    bool stop;
} helpers = {.mutex = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER,
             .last = &helpers.first};

static struct cease_after *pop(void)
{
    struct cease_after *a = helpers.first;
    helpers.first = a->next;
    helpers.queued--;
    if (helpers.first == NULL)
        helpers.last = &helpers.first;
    return a;
}

static void *help(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "cease-after");
    pthread_mutex_lock(&helpers.mutex);
    for (;;) {
        if (helpers.first != NULL) {
            struct cease_after *a = pop();
            pthread_mutex_unlock(&helpers.mutex);
            run(a);
            pthread_mutex_lock(&helpers.mutex);
        } else if (helpers.stop || helpers.idle > 0) {
            break; /* one idle helper is enough */
        } else {
            helpers.idle++;
            pthread_cond_wait(&helpers.changed, &helpers.mutex);
            helpers.idle--;
        }
    }
    helpers.running--;
    pthread_cond_broadcast(&helpers.changed);
    pthread_mutex_unlock(&helpers.mutex);
    ceasei_thread_exit(ceasei_thread_self());
    return NULL;
}

/* Under the mutex. */
static bool start_helper(void)
{
    pthread_t thread;
    if (!ceasei_start_thread(&thread, help, NULL))
        return false;
    pthread_detach(thread);
    helpers.running++;
    return true;
}

static bool ensure_helper(void)
{
    pthread_mutex_lock(&helpers.mutex);
    bool ok = helpers.running > 0 || start_helper();
    pthread_mutex_unlock(&helpers.mutex);
    return ok;
}

static void give_to_helper(struct cease_after *a)
{
    pthread_mutex_lock(&helpers.mutex);
    a->next = NULL;
    *helpers.last = a;
    helpers.last = &a->next;
    /* An idle one that has been woken for another job still counts as idle until it runs. */
    if (++helpers.queued > helpers.idle)
        (void)start_helper();
    pthread_cond_broadcast(&helpers.changed);
    pthread_mutex_unlock(&helpers.mutex);
}

void ceasei_after_stop_helpers(void)
{
    pthread_mutex_lock(&helpers.mutex);
    helpers.stop = true;
    pthread_cond_broadcast(&helpers.changed);
    while (helpers.running > 0)
        pthread_cond_wait(&helpers.changed, &helpers.mutex);
    helpers.stop = false;
    pthread_mutex_unlock(&helpers.mutex);
}

/* What was queued runs in the parent process. */
void ceasei_after_fork(int phase)
{
    if (phase == FORK_PREPARE) {
        pthread_mutex_lock(&helpers.mutex);
    } else if (phase == FORK_PARENT) {
        pthread_mutex_unlock(&helpers.mutex);
    } else {
        helpers.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        helpers.changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
        helpers.first = NULL;
        helpers.last = &helpers.first;
        helpers.running = helpers.idle = helpers.queued = 0;
        helpers.stop = false;
    }
}
#else
/* The models install a spawn hook. */
static bool ensure_helper(void)
{
    return true;
}
static void give_to_helper(struct cease_after *a)
{
    run(a);
}
#endif

/* ----- the calls ----- */

static void ended(void *arg)
{
    struct cease_after *a = arg;
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    if (hooks->spawn == NULL || hooks->spawn(run, a) != CEASE_OK)
        give_to_helper(a);
}

cease_after *cease_after_func_at(cease_ctx *ctx, void (*fn)(void *arg), void *arg,
                                 const cease_place *place)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    struct cease_after *a = malloc(sizeof *a);
    if (a == NULL || (hooks->spawn == NULL && !ensure_helper())) {
        free(a);
        return NULL;
    }
    *a = (struct cease_after){.ctx = cease_ref(ctx), .fn = fn, .arg = arg, .holders = 2};
    cease_watch_add_at(&a->watch, ctx, ended, a, place);
    return a;
}

cease_after *(cease_after_func)(cease_ctx *ctx, void (*fn)(void *arg), void *arg)
{
    return cease_after_func_at(ctx, fn, arg, NULL);
}

bool cease_after_stop(cease_after *a)
{
    if (a == NULL)
        return false;
    cease_watch_state state = cease_watch_remove(&a->watch);
    bool prevented = state == CEASE_WATCH_REMOVED ||
                     (CEASE_SEED_BUG(BUG_AFTER_STOP) && state == CEASE_WATCH_RUNNING);
    if (prevented)
        drop(a);
    drop(a);
    return prevented;
}
