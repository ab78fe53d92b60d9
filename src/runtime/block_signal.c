/* SPDX-License-Identifier: MIT
 *
 * block_signal.c: blocking calls that a signal interrupts.
 *
 * A signal that comes just before a system call interrupts nothing, and the call then waits for ever. Nothing that
 * is done once helps: between the look at the context and the call there is always a moment. So the signal comes
 * again and again until the function has returned. A timer of the kernel's sends it, aimed at the thread that runs
 * the function; the interrupt only starts that timer. Nobody has to wait, and no thread is there for it.
 *
 * The rest is cease_block's: a job whose function brings its timer and takes it away again. Afterwards the
 * signal is blocked first and then taken, in case one is still pending, so that it cannot hit what the thread does
 * next.
 *
 * The signal is a real-time signal that nobody uses, from the middle of the range, because others count from its
 * ends. Its handler does nothing, and is there while anybody might be interrupted, until the runtime stops.
 *
 * Who guards what: `shared` is under its lock; a job's `armed` and `wanted` under the job's, since the interrupt may
 * come before there is a timer, and while it is being deleted.
 */
#include "base/lock.h"
#include "runtime/aside.h"

#include <cease/block.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { AGAIN_NS = 2 * 1000 * 1000 };

static struct {
    pthread_mutex_t lock;
    int number;     /* 0: none */
    unsigned users; /* functions that may be interrupted now */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct job {
    cease_block_fn *fn; /* set at birth */
    void *arg;          /* set at birth */
    cease_error error;  /* the runner's, then the caller's */
    struct ceasei_lock lock;
    bool armed;  /* under lock: there is a timer */
    bool wanted; /* under lock: the interrupt has come */
    timer_t timer;
};

/* ---- the signal --------------------------------------------------------------------------------- */

static void do_nothing(int number)
{
    (void)number;
}

static bool is_ours(int number)
{
    struct sigaction now;
    return number && sigaction(number, NULL, &now) == 0 && now.sa_handler == do_nothing;
}

/* Under the lock: a signal that nobody handles, with our handler. */
static int find_signal(void)
{
    int first = SIGRTMIN, count = SIGRTMAX - SIGRTMIN + 1;
    for (int i = 0; i < count; i++) {
        int number = first + (count / 2 + i) % count;
        struct sigaction now,
            own = {.sa_handler = do_nothing}; /* no SA_RESTART: EINTR is the point */
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL &&
            sigaction(number, &own, NULL) == 0 && is_ours(number)) {
            return number;
        }
    }
    return 0;
}

static int signal_take(void)
{
    pthread_mutex_lock(&shared.lock);
    if (!is_ours(shared.number)) {
        shared.number = find_signal();
    }
    int number = shared.number;
    shared.users += number != 0;
    pthread_mutex_unlock(&shared.lock);
    return number;
}

static void signal_give(void)
{
    pthread_mutex_lock(&shared.lock);
    shared.users--;
    pthread_mutex_unlock(&shared.lock);
}

void ceasei_block_signal_stop(void)
{
    pthread_mutex_lock(&shared.lock);
    if (shared.users == 0 && is_ours(shared.number)) {
        signal(shared.number, SIG_DFL);
        shared.number = 0;
    }
    pthread_mutex_unlock(&shared.lock);
}

/* ---- the timer ---------------------------------------------------------------------------------- */

/* Under the lock. */
static void send_until_disarmed(struct job *job)
{
    struct itimerspec soon = {.it_value.tv_nsec = 1, .it_interval.tv_nsec = AGAIN_NS};
    (void)timer_settime(job->timer, 0, &soon, NULL);
}

/* The interrupt: a callback of the context. */
static void on_interrupt(void *arg)
{
    struct job *job = arg;
    ceasei_lock(&job->lock);
    job->wanted = true;
    if (job->armed) {
        send_until_disarmed(job);
    }
    ceasei_unlock(&job->lock);
}

static bool arm(struct job *job, int number)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = number;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &job->timer) != 0) {
        job->error = (cease_error)-errno;
        return false;
    }
    ceasei_lock(&job->lock);
    job->armed = true;
    if (job->wanted) {
        send_until_disarmed(job);
    }
    ceasei_unlock(&job->lock);
    return true;
}

static void disarm(struct job *job)
{
    ceasei_lock(&job->lock);
    job->armed = false;
    ceasei_unlock(&job->lock);
    timer_delete(job->timer);
}

/* On the thread that may block. */
static void run(void *arg)
{
    struct job *job = arg;
    sigset_t own, former;
    int number = signal_take();
    if (!number) {
        job->error = CEASE_EAGAIN;
        return;
    }
    sigemptyset(&own);
    sigaddset(&own, number);
    pthread_sigmask(SIG_BLOCK, &own, &former);
    if (arm(job, number)) {
        pthread_sigmask(SIG_UNBLOCK, &own, NULL);
        job->fn(job->arg);
        pthread_sigmask(SIG_BLOCK, &own, NULL);
        disarm(job);
        while (sigtimedwait(&own, NULL, &(struct timespec){0}) > 0) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    signal_give();
}

CEASE_PUBLIC cease_error cease_block_signal(cease_ctx *ctx, cease_block_fn *fn, void *arg)
{
    struct job job = {.fn = fn, .arg = arg};
    cease_error e = cease_block(ctx, run, on_interrupt, &job);
    return e ? e : job.error;
}
