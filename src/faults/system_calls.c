/* SPDX-License-Identifier: MIT
 *
 * system_calls.c: the program's system calls: the C library's, failing on demand.
 *
 * Each wrapper has one error, one that the world can cause there. Transfers (read, send, ...) fail for sockets, pipes
 * and files only: what epoll and eventfds do for the runtime has no error that anybody could handle.
 */
#undef _FILE_OFFSET_BITS /* both names of open and mmap are defined here, not one made of the other */
#undef _FORTIFY_SOURCE
#include <cease/faults.h>
#include <cease/test.h>

/* ThreadSanitizer maps memory with these before it can run any code that is not its own. */
#if defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

void cease_faults_system_calls(void) {}

#else

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t fail_in; /* atomic: counts down to the one that fails */
static bool has_failed;  /* atomic */

static bool is_next(void)
{
    uint64_t left = __atomic_load_n(&fail_in, __ATOMIC_RELAXED);
    while (left > 0 && !__atomic_compare_exchange_n(&fail_in, &left, left - 1, false,
                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    if (left == 1) {
        __atomic_store_n(&has_failed, true, __ATOMIC_RELAXED);
    }
    return left == 1;
}

/* What a transfer on fd fails with; 0: it must not. */
static int transfer_error(int fd)
{
    struct stat what;
    if (__atomic_load_n(&fail_in, __ATOMIC_RELAXED) == 0 || fstat(fd, &what) != 0) {
        return 0;
    }
    switch (what.st_mode & S_IFMT) {
    case S_IFSOCK:
        return ECONNRESET;
    case S_IFREG:
    case S_IFIFO:
    case S_IFBLK:
        return EIO;
    default:
        return 0;
    }
}

static bool fails(int error)
{
    if (error == 0 || !is_next()) {
        return false;
    }
    errno = error;
    return true;
}

/* A connection that was reset stays so: who swallows the error of a write (libpq does) meets the end with the next
 * read. */
static bool transfer_fails(int fd)
{
    if (!fails(transfer_error(fd))) {
        return false;
    }
    int error = errno;
    if (error == ECONNRESET) {
        shutdown(fd, SHUT_RDWR);
    }
    errno = error;
    return true;
}

#define REAL(name)                                         \
    static __typeof__(&name) real;                         \
    if (!real) {                                           \
        *(void **)(void *)&real = dlsym(RTLD_NEXT, #name); \
    }

/* A call that gives -1 and errno. */
#define CALL_IF(type, name, failed, params, args) \
    type name params                              \
    {                                             \
        REAL(name)                                \
        if (failed) {                             \
            return -1;                            \
        }                                         \
        return real args;                         \
    }
#define CALL(type, name, error, params, args) CALL_IF(type, name, fails(error), params, args)

CALL(int, socket, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
CALL(int, socketpair, EMFILE, (int domain, int type, int protocol, int ends[2]),
     (domain, type, protocol, ends))
CALL(int, bind, EADDRINUSE, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
CALL(int, listen, EADDRINUSE, (int fd, int backlog), (fd, backlog))
CALL(int, connect, ECONNREFUSED, (int fd, const struct sockaddr *to, socklen_t size),
     (fd, to, size))
CALL(int, accept4, EMFILE, (int fd, struct sockaddr *from, socklen_t *size, int flags),
     (fd, from, size, flags))
CALL(int, setsockopt, ENOBUFS, (int fd, int level, int name, const void *value, socklen_t size),
     (fd, level, name, value, size))
CALL(int, getsockname, ENOBUFS, (int fd, struct sockaddr *to, socklen_t *size), (fd, to, size))
CALL(int, getpeername, ENOBUFS, (int fd, struct sockaddr *to, socklen_t *size), (fd, to, size))
CALL(int, epoll_create1, EMFILE, (int flags), (flags))
CALL(int, epoll_ctl, op == EPOLL_CTL_DEL ? 0 : ENOSPC,
     (int fd, int op, int watched, struct epoll_event *event), (fd, op, watched, event))
CALL(int, eventfd, EMFILE, (unsigned count, int flags), (count, flags))
CALL(int, pipe2, EMFILE, (int ends[2], int flags), (ends, flags))
CALL(int, fsync, EIO, (int fd), (fd))
CALL(int, fdatasync, EIO, (int fd), (fd))
CALL(int, unlink, EACCES, (const char *path), (path))
CALL(int, rename, EACCES, (const char *from, const char *to), (from, to))
CALL(int, mkdir, EACCES, (const char *path, mode_t mode), (path, mode))
CALL_IF(ssize_t, read, transfer_fails(fd), (int fd, void *buf, size_t size), (fd, buf, size))
CALL_IF(ssize_t, write, transfer_fails(fd), (int fd, const void *buf, size_t size), (fd, buf, size))
CALL_IF(ssize_t, readv, transfer_fails(fd), (int fd, const struct iovec *iov, int n), (fd, iov, n))
CALL_IF(ssize_t, writev, transfer_fails(fd), (int fd, const struct iovec *iov, int n), (fd, iov, n))
CALL_IF(ssize_t, pread, transfer_fails(fd), (int fd, void *buf, size_t size, off_t at),
        (fd, buf, size, at))
CALL_IF(ssize_t, pread64, transfer_fails(fd), (int fd, void *buf, size_t size, off64_t at),
        (fd, buf, size, at))
CALL_IF(ssize_t, pwrite, transfer_fails(fd), (int fd, const void *buf, size_t size, off_t at),
        (fd, buf, size, at))
CALL_IF(ssize_t, pwrite64, transfer_fails(fd), (int fd, const void *buf, size_t size, off64_t at),
        (fd, buf, size, at))
CALL_IF(ssize_t, recv, transfer_fails(fd), (int fd, void *buf, size_t size, int flags),
        (fd, buf, size, flags))
CALL_IF(ssize_t, recvmsg, transfer_fails(fd), (int fd, struct msghdr *m, int flags), (fd, m, flags))
CALL_IF(ssize_t, send, transfer_fails(fd), (int fd, const void *buf, size_t size, int flags),
        (fd, buf, size, flags))
CALL_IF(ssize_t, sendmsg, transfer_fails(fd), (int fd, const struct msghdr *m, int flags),
        (fd, m, flags))

#define OPEN(name, params, args)            \
    int name params                         \
    {                                       \
        REAL(name)                          \
        va_list rest;                       \
        va_start(rest, flags);              \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest);                       \
        if (fails(EMFILE)) {                \
            return -1;                      \
        }                                   \
        return real args;                   \
    }

/* The mode is read whether it was given or not, as the C library does: it is not used without O_CREAT. */
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap)
    return fails(ENOMEM) ? MAP_FAILED : real(at, size, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    REAL(mmap64)
    return fails(ENOMEM) ? MAP_FAILED : real(at, size, protection, flags, fd, offset);
}

CALL(int, mprotect, ENOMEM, (void *at, size_t size, int protection), (at, size, protection))

int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
                   void *arg)
{
    REAL(pthread_create)
    return fails(EAGAIN) ? EAGAIN : real(ret_thread, attr, fn, arg);
}

/* ---- for the runner ------------------------------------------------------------------------------------ */

static void arm(uint64_t n)
{
    if (n > 0) {
        __atomic_store_n(&has_failed, false, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&fail_in, n, __ATOMIC_RELAXED);
}

static bool failed(void)
{
    return __atomic_load_n(&has_failed, __ATOMIC_RELAXED);
}

void cease_faults_system_calls(void)
{
    static const cease_test_faults faults = {sizeof faults, arm, failed, NULL};
    cease_test_faults_use(CEASE_TEST_SYSTEM_CALL, &faults);
}

#endif
