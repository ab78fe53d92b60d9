/* SPDX-License-Identifier: MIT
 *
 * see_quit.c: SIGQUIT prints a snapshot.
 *
 * As in signal.c the handler only writes an eventfd, which is all that a handler may do; a thread of
 * ours, made when the program asks for it, reads that and prints.
 *
 * `state` is under its lock, which is not held while a snapshot is taken. `wake_fd` and `owner` are read
 * by the handler and change only while it is not installed; a forked child closes the former, before it
 * has a second thread.
 */
#include "base/atomic.h"
#include "runtime/aside.h"
#include "runtime/see.h"

#include <cease/snapshot.h>
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    struct sigaction former;
    pthread_t thread;
    bool is_on, has_fork_handler;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int wake_fd = -1;
static pid_t owner;
static uint32_t stopping; /* atomic */

static void on_quit(int number)
{
    int saved = errno;
    if (getpid() != owner) {
        signal(number, SIG_DFL);
        raise(number);
    } else {
        uint64_t one = 1;
        ssize_t ignored = write(wake_fd, &one, sizeof one);
        (void)ignored;
    }
    errno = saved;
}

static void *quit_main(void *arg)
{
    int fd = *(int *)arg;
    for (;;) {
        uint64_t count;
        if (read(fd, &count, sizeof count) < 0 && errno != EINTR) {
            return NULL;
        }
        if (ceasei_load(&stopping, ACQUIRE)) {
            return NULL;
        }
        (void)cease_snapshot_print(STDERR_FILENO);
    }
}

static void in_child(void)
{
    state.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    state.is_on = false; /* the handler stays, and sees that this is another process */
    if (wake_fd >= 0) {
        close(wake_fd);
    }
    wake_fd = -1;
}

/* Under the lock. */
static cease_error start(void)
{
    if (!state.has_fork_handler) {
        int failed = pthread_atfork(NULL, NULL, in_child);
        if (failed) {
            return (cease_error)-failed;
        }
        state.has_fork_handler = true;
    }
    wake_fd = eventfd(0, EFD_CLOEXEC);
    if (wake_fd < 0) {
        return (cease_error)-errno;
    }
    ceasei_store(&stopping, 0, RELAXED);
    cease_error err = ceasei_aside_start(&state.thread, "cease-see", quit_main, &wake_fd);
    if (err != CEASE_OK) {
        close(wake_fd);
        wake_fd = -1;
        return err;
    }
    owner = getpid();
    struct sigaction now, action = {.sa_handler = on_quit, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    sigaction(SIGQUIT, &action, &now);
    if (now.sa_handler != on_quit) { /* else inherited through a fork */
        state.former = now;
    }
    state.is_on = true;
    return CEASE_OK;
}

CEASE_PUBLIC cease_error cease_snapshot_on_sigquit(void)
{
    pthread_mutex_lock(&state.lock);
    cease_error err = state.is_on ? CEASE_OK : start();
    pthread_mutex_unlock(&state.lock);
    return err;
}

void ceasei_see_quit_stop(void)
{
    pthread_mutex_lock(&state.lock);
    if (state.is_on) {
        struct sigaction now;
        if (sigaction(SIGQUIT, NULL, &now) == 0 && now.sa_handler == on_quit) {
            sigaction(SIGQUIT, &state.former, NULL);
        }
        uint64_t one = 1;
        ceasei_store(&stopping, 1, RELEASE);
        while (write(wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
        }
        pthread_join(state.thread, NULL);
        close(wake_fd);
        wake_fd = -1;
        state.is_on = false;
    }
    pthread_mutex_unlock(&state.lock);
}
