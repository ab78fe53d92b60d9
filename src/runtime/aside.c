/* SPDX-License-Identifier: MIT
 *
 * aside.c: starting a thread that disturbs nobody in a program that is not ours.
 */
#include "runtime/aside.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define TIMER_SLACK_NS 50000 /* the kernel's own default; workers have less and hand it on */

struct start {
    char name[16];
    void *(*fn)(void *);
    void *arg;
};

static void *thread_main(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), start.name);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    return start.fn(start.arg);
}

cease_error ceasei_aside_start(pthread_t *ret_id, const char *name, void *(*fn)(void *), void *arg)
{
    struct start *start = calloc(1, sizeof *start);
    if (!start) {
        return CEASE_ENOMEM;
    }
    strncpy(start->name, name, sizeof start->name - 1);
    start->fn = fn;
    start->arg = arg;
    /* The mask is inherited, so there is no moment in which the thread could take a signal. What a
     * thread does to itself (a fault) must not be blocked: the kernel would kill without a word. */
    sigset_t all, old;
    sigfillset(&all);
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        sigdelset(&all, own[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(ret_id, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed) {
        free(start);
        return (cease_error)-failed;
    }
    return CEASE_OK;
}
