/* SPDX-License-Identifier: MIT
 *
 * process_start.c: starting a program without giving it anything of ours that it should not have.
 *
 * It runs in a block job, because fork and exec may take long. posix_spawn is the C library's careful
 * vfork: signals are blocked around it, dispositions are reset in the child, errors of exec come back
 * as its result.
 *
 * The program's standard input is a file in memory (memfd), written before the start: no pipe to
 * feed, no SIGPIPE, no deadlock between feeding and reading. The fds that it inherits are made with
 * numbers above 2, so that moving them to 0, 1 and 2 cannot overwrite one that is still to be moved;
 * everything from 3 on is closed in the child, whoever has opened it.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

extern char **environ;

/* ---- fds ------------------------------------------------------------------------------------ */

/* The same file under a number above 2; takes fd. Negative: an error. */
static int above_stdio(int fd)
{
    if (fd < 0) {
        return -errno;
    }
    if (fd > STDERR_FILENO) {
        return fd;
    }
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int e = errno;
    close(fd);
    return moved < 0 ? -e : moved;
}

static cease_error stream_open(struct ceasei_stream *s)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return (cease_error)-errno;
    }
    s->fd = ends[0];
    s->child_fd = above_stdio(ends[1]);
    if (s->child_fd < 0) {
        return (cease_error)s->child_fd;
    }
    /* Only our end: the flag belongs to the end, so the program's stays as programs expect it. */
    if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0) {
        return (cease_error)-errno;
    }
    return CEASE_OK;
}

static cease_error write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size < SSIZE_MAX ? size : SSIZE_MAX);
        if (n < 0 && errno != EINTR) {
            return (cease_error)-errno;
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return CEASE_OK;
}

static cease_error input_open(struct ceasei_run *run)
{
    if (run->opts.input_size == 0) {
        return CEASE_OK; /* /dev/null, opened by the child */
    }
    int fd = memfd_create("cease-input", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) { /* before Linux 6.3 */
        fd = memfd_create("cease-input", MFD_CLOEXEC);
    }
    run->input_fd = above_stdio(fd);
    if (run->input_fd < 0) {
        return (cease_error)run->input_fd;
    }
    cease_error e = write_all(run->input_fd, run->opts.input, run->opts.input_size);
    if (!e && lseek(run->input_fd, 0, SEEK_SET) < 0) {
        e = (cease_error)-errno;
    }
    return e;
}

static cease_error watch_fd(struct ceasei_run *run, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? (cease_error)-errno : CEASE_OK;
}

/* ---- the start ----------------------------------------------------------------
 */

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t set;
    sigfillset(&set);
    int e = posix_spawnattr_setsigdefault(attr, &set);
    sigemptyset(&set);
    e = e ? e : posix_spawnattr_setsigmask(attr, &set);
    e = e ? e : posix_spawnattr_setpgroup(attr, 0);
    return e ? e
             : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETPGROUP);
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct ceasei_run *run)
{
    int e = run->input_fd >= 0
                ? posix_spawn_file_actions_adddup2(actions, run->input_fd, STDIN_FILENO)
                : posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    e = e ? e : posix_spawn_file_actions_adddup2(actions, run->out.child_fd, STDOUT_FILENO);
    e = e ? e : posix_spawn_file_actions_adddup2(actions, run->err.child_fd, STDERR_FILENO);
#if __GLIBC_PREREQ(2, 34)
    /* Other libraries are not as careful with CLOEXEC as we are. */
    e = e ? e : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
#endif
    if (run->opts.dir) {
        e = e ? e : posix_spawn_file_actions_addchdir_np(actions, run->opts.dir);
    }
    return e;
}

static cease_error spawn(struct ceasei_run *run)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    int e = posix_spawnattr_init(&attr);
    if (e) {
        return (cease_error)-e;
    }
    e = posix_spawn_file_actions_init(&actions);
    if (!e) {
        e = set_attributes(&attr);
        e = e ? e : set_actions(&actions, run);
        char *const *argv = (char *const *)(uintptr_t)run->opts.argv;
        char *const *env = run->opts.env ? (char *const *)(uintptr_t)run->opts.env : environ;
        e = e ? e : posix_spawnp(&run->pid, argv[0], &actions, &attr, argv, env);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attr);
    return (cease_error)-e;
}

/* After the spawn: what fails now must take the program with it. */
static cease_error attach(struct ceasei_run *run)
{
    run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0); /* CLOEXEC by itself */
    cease_error e = run->pidfd < 0 ? (cease_error)-errno : watch_fd(run, run->pidfd);
    if (e) {
        kill(-run->pid, SIGKILL);
        while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    return e;
}

static cease_error try_start(struct ceasei_run *run)
{
    cease_error e = stream_open(&run->out);
    e = e ? e : stream_open(&run->err);
    e = e ? e : input_open(run);
    if (e) {
        return e;
    }
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run->epoll < 0) {
        return (cease_error)-errno;
    }
    e = watch_fd(run, run->out.fd);
    e = e ? e : watch_fd(run, run->err.fd);
    e = e ? e : spawn(run);
    /* The program has its own; as long as we hold these, the streams would never end. */
    ceasei_close_fd(&run->out.child_fd);
    ceasei_close_fd(&run->err.child_fd);
    ceasei_close_fd(&run->input_fd);
    return e ? e : attach(run);
}

void ceasei_process_start(void *arg)
{
    struct ceasei_run *run = arg;
    run->error = try_start(run);
}
