/* SPDX-License-Identifier: MIT
 *
 * thread.c: a worker towards the operating system: its thread's state, its epoll instance, its bell.
 *
 * The bell is an eventfd, edge-triggered and never read: each write ends one epoll_wait, the current or
 * the next; and a futex, for a worker without sockets (bell.h).
 */
#include "runtime/bias.h"
#include "runtime/fiber.h"
#include "runtime/group.h"
#include "runtime/runtime.h"
#include "runtime/switch.h"

#include <cease/hooks.h>
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 128, SIGNAL_STACK = 64 << 10 };

void ceasei_worker_ring(struct ceasei_worker *w)
{
    uint64_t one = 1;
    int saved_errno = errno;
    if (ceasei_bell_ring(&w->bell)) {
        errno = saved_errno;
        return;
    }
    while (write(w->event, &one, sizeof one) < 0 && errno == EINTR) {
    }
    errno = saved_errno;
}

/* epoll_wait to the nanosecond; to the millisecond, rounded up, on a kernel before 5.11. */
static int wait_events(struct ceasei_worker *w, struct epoll_event *events, int64_t timeout_ns)
{
    static uint32_t is_old; /* atomic */
    if (timeout_ns == 0) {
        return epoll_wait(w->epoll, events, EVENTS, 0);
    }
#ifdef SYS_epoll_pwait2
    if (!ceasei_load(&is_old, RELAXED)) {
        struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        long n = syscall(SYS_epoll_pwait2, w->epoll, events, EVENTS,
                         timeout_ns == INT64_MAX ? NULL : &ts, NULL, 0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return (int)n;
        }
        ceasei_store(&is_old, 1, RELAXED);
    }
#endif
    int64_t ms = timeout_ns / 1000000 + 1;
    return epoll_wait(w->epoll, events, EVENTS,
                      timeout_ns == INT64_MAX ? -1
                      : ms > INT32_MAX        ? INT32_MAX
                                              : (int)ms);
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void nap(struct ceasei_worker *w, int64_t timeout_ns)
{
    int64_t until_ns = 0;
    bool is_endless =
        timeout_ns == INT64_MAX || __builtin_add_overflow(monotonic_ns(), timeout_ns, &until_ns);
    if (ceasei_bell_nap_begin(&w->bell)) {
        while (ceasei_bell_naps(&w->bell) && (is_endless || monotonic_ns() < until_ns)) {
            if (is_endless) {
                ceasei_futex_wait(&w->bell.word, CEASEI_BELL_NAPS);
            } else {
                ceasei_futex_wait_until(&w->bell.word, CEASEI_BELL_NAPS, until_ns);
            }
        }
    }
    ceasei_bell_nap_end(&w->bell);
}

void ceasei_worker_poll(struct ceasei_worker *w, int64_t timeout_ns)
{
    /* SEQ_CST: see bell.h. */
    if (timeout_ns > 0 && ceasei_load(&w->bell.sockets, SEQ_CST) == 0) {
        nap(w, timeout_ns);
        return;
    }
    struct epoll_event events[EVENTS];
    int n = wait_events(w, events, timeout_ns);
    if (n > 0) {
        ceasei_poller_dispatch(w, events, n);
    }
}

void ceasei_worker_set_up(struct ceasei_worker *w)
{
    stack_t old, signals = {.ss_sp = w->signal_stack, .ss_size = SIGNAL_STACK};
    if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE)) {
        sigaltstack(&signals, NULL);
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    w->errno_at = &errno;
    ceasei_modes_set(CEASEI_MODES_DEFAULT); /* not those of whoever made this thread */
    w->base_fiber = ceasei_fiber_current();
#if defined(CEASEI_ASAN)
    pthread_attr_t attr;
    void *bottom = NULL;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &bottom, &w->base_size);
        pthread_attr_destroy(&attr);
    }
    w->base_bottom = bottom;
#endif
    ceasei_worker_self = w;
}

void ceasei_worker_tear_down(struct ceasei_worker *w)
{
    ceasei_stack_spill(&w->stacks, 0);
    ceasei_groups_trim(w);
    stack_t now, none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == w->signal_stack) {
        sigaltstack(&none, NULL);
    }
    cease_trim();
    ceasei_worker_self = NULL;
    ceasei_store(&w->gone, 1, RELEASE);
}

cease_error ceasei_worker_new(uint32_t index, struct ceasei_worker **ret_worker)
{
    size_t size = sizeof(struct ceasei_worker) + SIGNAL_STACK;
    struct ceasei_worker *w =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED) {
        return CEASE_ENOMEM;
    }
    w->index = index;
    w->number = index + 1;
    w->entered = &ceasei_entered[index].word;
    w->signal_stack = w + 1;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event bell = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    if (w->epoll < 0 || w->event < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->event, &bell) != 0) {
        cease_error err = (cease_error)-errno;
        ceasei_worker_free(w);
        return err;
    }
    *ret_worker = w;
    return CEASE_OK;
}

void ceasei_worker_free(struct ceasei_worker *w)
{
    if (w->epoll >= 0) {
        close(w->epoll);
    }
    if (w->event >= 0) {
        close(w->event);
    }
    munmap(w, sizeof(struct ceasei_worker) + SIGNAL_STACK);
}
