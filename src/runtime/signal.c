/* SPDX-License-Identifier: MIT
 *
 * signal.c: contexts that end on SIGINT and SIGTERM.
 *
 * The idea: the handler remembers the first signal in one word and writes an eventfd, which is all
 * that a handler may do; a thread of ours reads the eventfd and cancels. The thread starts with the
 * first context and stays, blocked in a read, until cease_runtime_stop.
 *
 * What the caller gets is a chain:
 *
 *     parent <- inner (cancelled by us; we hold its only share)
 *               <- value (its destructor is how we learn that nobody is left)
 *                  <- ctx (the caller's, with the canceler that he gets)
 *
 * An entry is the value. It is on the list from its making to its destructor, which ends our share
 * of `inner`, and with the last entry puts the old handlers back. So the handlers stay as long as
 * anything derived from ctx lives, also after ctx is done: that is when a second signal matters.
 *
 * Fork. A child has our handlers but not our thread: there they do what the signal does by default,
 * until the child makes a context of its own. Entries of the parent's are only freed, without the
 * lock, which somebody may have held at the moment of the fork.
 *
 * Who guards what: everything in `state` and the entries' links and marks are under the lock, which
 * is never held while a context is cancelled or ended, because callbacks and destructors run there.
 * `first_signal` is atomic: set by the handler, cleared before the handlers are installed.
 * `wake_fd` and `owner` are read by the handler and only change while no handler of ours is
 * installed.
 */
#include "base/atomic.h"
#include "base/panic.h"
#include "runtime/aside.h"

#include <cease/signal.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM};
#define SIGNALS (sizeof signals / sizeof signals[0])

struct entry {
    struct entry *next, *prev;
    bool linked;
    bool told;                /* has been cancelled, or is being */
    cease_canceler *share;    /* set at birth */
    const cease_place *place; /* set at birth */
    pid_t owner;              /* set at birth: the process that made it */
};

static struct {
    pthread_mutex_t lock;
    struct entry *entries;
    struct sigaction former[SIGNALS];
    pthread_t thread;
    bool has_thread;
    bool
        telling; /* the thread is cancelling: contexts that were ended meanwhile go when it is done */
    bool stopping;
    bool has_fork_handler;
    pthread_cond_t told;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};

static uint32_t first_signal; /* 0: none yet */
static int wake_fd = -1;
static pid_t owner;

static void on_signal(int number)
{
    int saved = errno;
    if (getpid() != owner) { /* a forked child that did not ask for this: what it would have been */
        signal(number, SIG_DFL);
        raise(number);
        errno = saved;
        return;
    }
    uint32_t none = 0;
    if (!ceasei_cas(&first_signal, &none, (uint32_t)number, SEQ_CST)) {
        _exit(128 + number);
    }
    uint64_t one = 1;
    ssize_t ignored = write(wake_fd, &one, sizeof one);
    (void)ignored;
    errno = saved;
}

static void cancel_by(cease_canceler *share, const cease_place *place, uint32_t number)
{
    cease_cancel_cause_at(share, place, (int)number, "%s", number == SIGINT ? "SIGINT" : "SIGTERM");
}

/* Cancels every entry that has not been told, one at a time, each kept alive by a share of its own.
 */
static void tell_all(uint32_t number)
{
    for (;;) {
        pthread_mutex_lock(&state.lock);
        struct entry *e = state.entries;
        while (e && e->told) {
            e = e->next;
        }
        if (!e) {
            pthread_mutex_unlock(&state.lock);
            return;
        }
        e->told = true;
        cease_canceler *share = cease_canceler_ref(e->share);
        const cease_place *place = e->place;
        pthread_mutex_unlock(&state.lock);
        cancel_by(share, place, number);
        cease_end(share);
    }
}

static void *signal_main(void *arg)
{
    int fd = *(int *)arg;
    for (;;) {
        uint64_t count;
        if (read(fd, &count, sizeof count) < 0 && errno != EINTR) {
            return NULL;
        }
        pthread_mutex_lock(&state.lock);
        bool stopping = state.stopping;
        state.telling = !stopping;
        pthread_mutex_unlock(&state.lock);
        if (stopping) {
            return NULL;
        }
        uint32_t number = ceasei_load(&first_signal, SEQ_CST);
        if (number) {
            tell_all(number);
        }
        pthread_mutex_lock(&state.lock);
        state.telling = false;
        pthread_cond_broadcast(&state.told);
        pthread_mutex_unlock(&state.lock);
    }
}

/* Under the lock. */
static cease_error start_thread(void)
{
    if (state.has_thread) {
        return CEASE_OK;
    }
    wake_fd = eventfd(0, EFD_CLOEXEC);
    if (wake_fd < 0) {
        return (cease_error)-errno;
    }
    cease_error e = ceasei_aside_start(&state.thread, "cease-signal", signal_main, &wake_fd);
    if (e) {
        close(wake_fd);
        wake_fd = -1;
        return e;
    }
    state.has_thread = true;
    return CEASE_OK;
}

static void in_child(void)
{
    state.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    state.told = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    state.entries = NULL;
    state.has_thread = state.telling = state.stopping = false;
    if (wake_fd >= 0) {
        close(wake_fd); /* the parent's: not even a handler writes it here */
    }
    wake_fd = -1;
}

/* Under the lock, with the first entry. */
static cease_error take_signals(void)
{
    if (!state.has_fork_handler) {
        int failed = pthread_atfork(NULL, NULL, in_child);
        if (failed) {
            return (cease_error)-failed;
        }
        state.has_fork_handler = true;
    }
    cease_error e = start_thread();
    if (e) {
        return e;
    }
    owner = getpid();
    ceasei_store(&first_signal, 0, SEQ_CST);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction former;
        sigaction(signals[i], &action, &former);
        if (former.sa_handler != on_signal) { /* else inherited: the parent knows what was before */
            state.former[i] = former;
        }
    }
    return CEASE_OK;
}

/* Under the lock, with the last entry. A handler that somebody has put over ours stays. */
static void give_signals_back(void)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == on_signal) {
            sigaction(signals[i], &state.former[i], NULL);
        }
    }
}

/* The destructor of the value: nothing that was derived from the context is left. */
static void entry_destroy(void *value)
{
    struct entry *e = value;
    if (e->owner != getpid()) {
        cease_end(e->share);
        free(e);
        return;
    }
    pthread_mutex_lock(&state.lock);
    if (e->linked) {
        if (e->prev) {
            e->prev->next = e->next;
        } else {
            state.entries = e->next;
        }
        if (e->next) {
            e->next->prev = e->prev;
        }
        if (!state.entries) {
            give_signals_back();
        }
    }
    pthread_mutex_unlock(&state.lock);
    cease_end(e->share);
    free(e);
}

static cease_key entry_key = CEASE_KEY_OWNED("signals", entry_destroy);

/* Puts the entry on the list; *ret_signal is the one that it comes too late for, 0 if none. */
static cease_error entry_add(struct entry *e, uint32_t *ret_signal)
{
    pthread_mutex_lock(&state.lock);
    cease_error error = state.entries ? CEASE_OK : take_signals();
    if (!error) {
        *ret_signal = ceasei_load(&first_signal, SEQ_CST);
        e->told = *ret_signal != 0;
        e->linked = true;
        e->next = state.entries;
        if (e->next) {
            e->next->prev = e;
        }
        state.entries = e;
    }
    pthread_mutex_unlock(&state.lock);
    return error;
}

CEASE_PUBLIC cease_ctx *cease_with_signals_at(cease_ctx *parent, cease_canceler **ret_canceler,
                                              const cease_place *place)
{
    if (!parent) {
        ceasei_panic(place, "cease_with_signals: the parent is NULL");
    }
    struct entry *e = calloc(1, sizeof *e);
    if (!e) {
        cease_ctx *ctx = cease_with_cancel_at(parent, ret_canceler, place);
        cease_cancel_cause_at(*ret_canceler, place, CEASE_ENOMEM, "signals cannot be taken");
        return ctx;
    }
    e->place = place;
    e->owner = getpid();
    cease_ctx *inner = cease_with_cancel_at(parent, &e->share, place);
    uint32_t number = 0;
    cease_error error = entry_add(e, &number);
    if (error) {
        cease_cancel_cause_at(e->share, place, error, "signals cannot be taken: %s",
                              cease_strerror(error));
    } else if (number) {
        cancel_by(e->share, place, number);
    }
    cease_ctx *value = cease_with_value_at(inner, &entry_key, e, place); /* takes e */
    cease_ctx *ctx = cease_with_cancel_at(value, ret_canceler, place);
    cease_unref(value);
    return ctx;
}

#undef cease_with_signals
CEASE_PUBLIC cease_ctx *cease_with_signals(cease_ctx *parent, cease_canceler **ret_canceler)
{
    return cease_with_signals_at(parent, ret_canceler, CEASE_HERE);
}

void ceasei_signal_stop(void)
{
    pthread_mutex_lock(&state.lock);
    while (state.telling) {
        pthread_cond_wait(&state.told, &state.lock);
    }
    bool stop = state.has_thread && !state.entries && !state.stopping;
    state.stopping = stop || state.stopping;
    pthread_mutex_unlock(&state.lock);
    if (!stop) {
        return;
    }
    uint64_t one = 1;
    ssize_t ignored = write(wake_fd, &one, sizeof one);
    (void)ignored;
    pthread_join(state.thread, NULL);
    pthread_mutex_lock(&state.lock);
    close(wake_fd);
    wake_fd = -1;
    state.has_thread = false;
    state.stopping = false;
    pthread_mutex_unlock(&state.lock);
}
