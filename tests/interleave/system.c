/* SPDX-License-Identifier: MIT
 *
 * system.c: the few system calls that the code under test makes, as models: eventfds as one word
 * each, whose write and close are steps; the clock as a variable that stands still.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { FD_FIRST = 5000, FDS = sizeof((struct engine *)0)->fds / sizeof(int) };

int __real_close(int fd);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_clock_gettime(clockid_t id, struct timespec *ret);
long __real_sysconf(int name);
int __wrap_eventfd(unsigned initial, int flags);
int __wrap_close(int fd);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
long __wrap_sysconf(int name);

static const struct explore_site site_write = {"fd", 0, "write", "the done fd"};
static const struct explore_site site_close = {"fd", 0, "close", "the done fd"};
static const struct explore_site site_poll = {"fd", 0, "poll", "the done fd"};

static int *modelled(int fd)
{
    int index = fd - FD_FIRST;
    if (!E || index < 0 || index >= FDS)
        return NULL;
    if (E->fds[index] < 0)
        explore_fail("thread %d uses fd %d, which is closed", E->current, fd);
    return &E->fds[index];
}

int __wrap_eventfd(unsigned initial, int flags)
{
    (void)flags;
    for (int i = 0; i < FDS; i++)
        if (E->fds[i] == -1) {
            E->fds[i] = initial > 0;
            return FD_FIRST + i;
        }
    errno = EMFILE;
    return -1;
}

/* A closed number is not handed out again in this execution, so that a late use is seen. */
int __wrap_close(int fd)
{
    int *word = modelled(fd);
    if (!word)
        return __real_close(fd);
    explore_store(&site_close, word, sizeof *word, (uint64_t)-2, __ATOMIC_SEQ_CST);
    return 0;
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    int *word = modelled(fd);
    if (!word)
        return __real_write(fd, data, size);
    explore_store(&site_write, word, sizeof *word, 1, __ATOMIC_SEQ_CST);
    return (ssize_t)size;
}

bool explore_fd_readable(int fd)
{
    int *word = modelled(fd);
    if (!word)
        explore_fail("fd %d is not one of the model's", fd);
    return explore_load(&site_poll, word, sizeof *word, __ATOMIC_SEQ_CST) == 1;
}

int explore_fds_open(void)
{
    int count = 0;
    for (int i = 0; i < FDS; i++)
        count += E->fds[i] >= 0;
    return count;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
    if (!E || !E->inside)
        return __real_clock_gettime(id, ret);
    ret->tv_sec = (time_t)(explore_clock_ns / 1000000000);
    ret->tv_nsec = (long)(explore_clock_ns % 1000000000);
    return 0;
}

/* One processor: the real answer costs several system calls, in each execution anew. */
long __wrap_sysconf(int name)
{
    return E && E->inside ? 1 : __real_sysconf(name);
}
