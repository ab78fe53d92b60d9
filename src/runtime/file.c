/* SPDX-License-Identifier: MIT
 *
 * file.c: files on disk, through the block pool.
 *
 * Each call is one job on the caller's stack; cease_block joins, so nothing outlives the call. A read is
 * first tried with RWF_NOWAIT, which gives what the kernel has in its cache and refuses to wait for a
 * disk: most reads of a busy server end there, at the cost of one system call. Writes are not tried so:
 * they go to the cache, too, but may wait for the disk at any time (for space in the journal, for dirty
 * pages to be written), and the kernel refuses more often than it helps.
 *
 * A file is opened non-blocking, so that a pipe without a writer cannot hold a thread for ever before
 * it is found to be none of our business. For files the flag means nothing.
 */
#include <cease/file.h>

#include "runtime/wait.h"

#include <cease/block.h>
#include <cease/task.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIECE = 1 << 20 }; /* bytes that one job writes: ctx is looked at in between */

struct cease_file {
    int fd;
};

struct job {
    int fd;
    const char *path;
    int flags;
    unsigned mode;
    void *buf;
    size_t size;
    uint64_t offset;
    ssize_t count; /* what the call returned */
    uint64_t length;
    cease_error error;
};

static void end(struct job *job, ssize_t count)
{
    job->count = count;
    job->error = count < 0 ? (cease_error)-errno : CEASE_OK;
}

static cease_error run(cease_ctx *ctx, cease_block_fn *fn, struct job *job)
{
    cease_error e = cease_block(ctx, fn, NULL, job);
    return e == CEASE_OK ? job->error : e;
}

/* ---- open and close ---------------------------------------------------------------------------- */

static void open_job(void *arg)
{
    struct job *job = arg;
    struct stat st;
    do {
        job->fd = open(job->path, job->flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, job->mode);
    } while (job->fd < 0 && errno == EINTR);
    end(job, job->fd);
    if (job->fd < 0 || fstat(job->fd, &st) < 0) {
        job->error = job->error ? job->error : (cease_error)-errno;
    } else if (S_ISDIR(st.st_mode)) {
        job->error = (cease_error)-EISDIR;
    } else if (!S_ISREG(st.st_mode)) {
        job->error = CEASE_EINVAL;
    }
    if (job->error && job->fd >= 0) {
        close(job->fd);
        job->fd = -1;
    }
}

CEASE_PUBLIC cease_error cease_file_open(cease_ctx *ctx, const char *path, int flags, unsigned mode,
                                         cease_file **ret_file)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e) {
        return e;
    }
    struct cease_file *f = malloc(sizeof *f);
    if (!f) {
        return CEASE_ENOMEM;
    }
    struct job job = {.fd = -1, .path = path, .flags = flags, .mode = mode};
    e = run(ctx, open_job, &job);
    if (e) {
        free(f);
        return e;
    }
    *f = (struct cease_file){.fd = job.fd};
    *ret_file = f;
    return CEASE_OK;
}

CEASE_PUBLIC void cease_file_close(cease_file *f)
{
    if (f) {
        close(f->fd); /* EINTR: Linux has closed it all the same */
        free(f);
    }
}

CEASE_PUBLIC int cease_file_fd(const cease_file *f)
{
    return f ? f->fd : -1;
}

/* ---- reading and writing ----------------------------------------------------------------------- */

static void read_job(void *arg)
{
    struct job *job = arg;
    ssize_t n;
    do {
        n = pread(job->fd, job->buf, job->size, (off_t)job->offset);
    } while (n < 0 && errno == EINTR);
    end(job, n);
}

/* Whether the kernel's cache could answer; else the disk must be asked. */
static bool read_cached(struct job *job)
{
    struct iovec piece = {.iov_base = job->buf, .iov_len = job->size};
    ssize_t n = preadv2(job->fd, &piece, 1, (off_t)job->offset, RWF_NOWAIT);
    if (n <
        0) { /* EAGAIN: not there; EOPNOTSUPP: a file system that cannot tell; or a real error */
        return false;
    }
    end(job, n);
    return true;
}

CEASE_PUBLIC cease_error cease_file_read(cease_ctx *ctx, cease_file *f, void *buf, size_t size,
                                         uint64_t offset, size_t *ret_count)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e) {
        return e;
    }
    if (!f) {
        return CEASE_ENOMEM;
    }
    if (size == 0 || offset > INT64_MAX) {
        return CEASE_EINVAL;
    }
    struct job job = {.fd = f->fd, .buf = buf, .size = size, .offset = offset};
    if (cease_task_id() == 0 || !read_cached(&job)) {
        e = run(ctx, read_job, &job);
    }
    if (e) {
        return e;
    }
    if (job.count == 0) {
        return CEASE_EOF;
    }
    *ret_count = (size_t)job.count;
    return CEASE_OK;
}

static void write_job(void *arg)
{
    struct job *job = arg;
    ssize_t n;
    do { /* with O_APPEND the kernel ignores the offset */
        n = pwrite(job->fd, job->buf, job->size, (off_t)job->offset);
    } while (n < 0 && errno == EINTR);
    end(job, n);
}

CEASE_PUBLIC cease_error cease_file_write(cease_ctx *ctx, cease_file *f, const void *buf,
                                          size_t size, uint64_t offset, size_t *ret_count)
{
    size_t done = 0;
    cease_error e = ceasei_enter(ctx, __func__);
    if (!e && !f) {
        e = CEASE_ENOMEM;
    }
    if (!e && (offset > INT64_MAX || size > INT64_MAX - offset)) {
        e = CEASE_EINVAL;
    }
    while (!e && done < size) {
        struct job job = {.fd = f->fd,
                          .buf = (char *)(uintptr_t)buf + done,
                          .size = size - done < PIECE ? size - done : PIECE,
                          .offset = offset + done};
        e = run(ctx, write_job, &job);
        done += e ? 0 : (size_t)job.count;
    }
    if (ret_count) {
        *ret_count = done;
    }
    return e;
}

static void size_job(void *arg)
{
    struct job *job = arg;
    struct stat st;
    end(job, fstat(job->fd, &st));
    job->length = job->error ? 0 : (uint64_t)st.st_size;
}

static void sync_job(void *arg)
{
    struct job *job = arg;
    int n;
    do {
        n = fdatasync(job->fd);
    } while (n < 0 && errno == EINTR);
    end(job, n);
}

static cease_error run_on(cease_ctx *ctx, cease_file *f, cease_block_fn *fn, struct job *job,
                          const char *function)
{
    cease_error e = ceasei_enter(ctx, function);
    if (e) {
        return e;
    }
    if (!f) {
        return CEASE_ENOMEM;
    }
    job->fd = f->fd;
    return run(ctx, fn, job);
}

CEASE_PUBLIC cease_error cease_file_size(cease_ctx *ctx, cease_file *f, uint64_t *ret_size)
{
    struct job job = {.fd = -1};
    cease_error e = run_on(ctx, f, size_job, &job, __func__);
    if (!e) {
        *ret_size = job.length;
    }
    return e;
}

CEASE_PUBLIC cease_error cease_file_sync(cease_ctx *ctx, cease_file *f)
{
    struct job job = {.fd = -1};
    return run_on(ctx, f, sync_job, &job, __func__);
}
