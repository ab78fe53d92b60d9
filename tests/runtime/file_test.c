/* SPDX-License-Identifier: MIT
 *
 * file_test.c: out to break files: offsets, ends, flags, what is no file, contexts that end before and
 * between pieces, many tasks on one file, and memory that runs out.
 */
#include "harness.h"

#include <cease/cease.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

static const char *path_at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", harness_temp_dir(), name);
    return path;
}

static cease_error everything(cease_ctx *ctx, void *arg)
{
    char buf[16] = "";
    size_t n = 0;
    uint64_t size = 0;
    cease_file *f = NULL;
    CHECK_OK(cease_file_open(ctx, arg, O_RDWR | O_CREAT | O_EXCL, 0600, &f));
    CHECK_ERR(cease_file_read(ctx, f, buf, sizeof buf, 0, &n), CEASE_EOF);
    CHECK_OK(cease_file_write(ctx, f, "hello", 5, 3, &n));
    CHECK_EQ(n, 5);
    CHECK_OK(cease_file_sync(ctx, f));
    CHECK_OK(cease_file_size(ctx, f, &size));
    CHECK_EQ(size, 8);
    CHECK_OK(cease_file_read(ctx, f, buf, 4, 2, &n));
    CHECK_EQ(n, 4);
    CHECK(memcmp(buf, "\0hel", 4) == 0);
    CHECK_OK(cease_file_read(ctx, f, buf, sizeof buf, 7, &n));
    CHECK_EQ(n, 1);
    CHECK_ERR(cease_file_read(ctx, f, buf, sizeof buf, 8, &n), CEASE_EOF);
    CHECK_ERR(cease_file_read(ctx, f, buf, 0, 0, &n), CEASE_EINVAL);
    CHECK_ERR(cease_file_read(ctx, f, buf, 1, UINT64_MAX, &n), CEASE_EINVAL);
    CHECK_ERR(cease_file_write(ctx, f, buf, 1, UINT64_MAX, &n), CEASE_EINVAL);
    CHECK(fcntl(cease_file_fd(f), F_GETFD) & FD_CLOEXEC);
    cease_file_close(f);
    CHECK_EQ(unlink(arg), 0);
    return CEASE_OK;
}

TEST(file_from_a_thread_is_written_and_read_at_any_offset)
{
    CHECK_OK(everything(root(), (void *)(uintptr_t)path_at("a")));
}

TEST(file_from_tasks_is_written_and_read_at_any_offset)
{
    char paths[20][300];
    cease_group *g = cease_group_new(root(), NULL);
    for (int i = 0; i < 20; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d", harness_temp_dir(), i);
        CHECK_OK(cease_group_go(g, everything, paths[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

static cease_error open_wrongly(cease_ctx *ctx, void *arg)
{
    char buf[8];
    size_t n = 9;
    cease_file *f = NULL;
    (void)arg;
    CHECK_ERR(cease_file_open(ctx, path_at("none"), O_RDONLY, 0, &f), CEASE_ENOENT);
    CHECK_ERR(cease_file_open(ctx, harness_temp_dir(), O_RDONLY, 0, &f), -EISDIR);
    CHECK_ERR(cease_file_open(ctx, "/dev/null", O_RDWR, 0, &f), CEASE_EINVAL);
    CHECK_EQ(mkfifo(path_at("fifo"), 0600), 0);
    CHECK_ERR(cease_file_open(ctx, path_at("fifo"), O_RDONLY, 0, &f), CEASE_EINVAL);
    CHECK_PTR(f, NULL);
    CHECK_OK(cease_file_open(ctx, path_at("w"), O_WRONLY | O_CREAT | O_APPEND, 0640, &f));
    CHECK_ERR(cease_file_read(ctx, f, buf, sizeof buf, 0, &n), CEASE_EBADF);
    CHECK_OK(cease_file_write(ctx, f, "ab", 2, 100, NULL)); /* to the end */
    CHECK_OK(cease_file_write(ctx, f, "cd", 2, 0, NULL));
    cease_file_close(f);
    CHECK_ERR(cease_file_open(ctx, path_at("w"), O_WRONLY | O_CREAT | O_EXCL, 0600, &f),
              CEASE_EEXIST);
    CHECK_OK(cease_file_open(ctx, path_at("w"), O_RDONLY, 0, &f));
    CHECK_OK(cease_file_read(ctx, f, buf, sizeof buf, 0, &n));
    CHECK_EQ(n, 4);
    CHECK(memcmp(buf, "abcd", 4) == 0);
    CHECK_ERR(cease_file_write(ctx, f, "x", 1, 0, &n), CEASE_EBADF);
    CHECK_EQ(n, 0);
    cease_file_close(f);
    return CEASE_OK;
}

TEST(file_opened_wrongly_says_why)
{
    CHECK_OK(open_wrongly(root(), NULL));
}

TEST(file_opened_wrongly_in_a_task_says_why)
{
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, open_wrongly, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(file_under_a_done_context_is_left_alone)
{
    char byte;
    size_t n = 7;
    uint64_t size;
    cease_canceler *stop;
    cease_file *f = NULL;
    cease_file *none = NULL;
    CHECK_OK(cease_file_open(root(), path_at("a"), O_RDWR | O_CREAT, 0600, &f));
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_file_open(ctx, path_at("b"), O_RDWR | O_CREAT, 0600, &none), CEASE_ECANCELED);
    CHECK(access(path_at("b"), F_OK) < 0);
    CHECK_ERR(cease_file_write(ctx, f, "x", 1, 0, &n), CEASE_ECANCELED);
    CHECK_EQ(n, 0);
    CHECK_ERR(cease_file_read(ctx, f, &byte, 1, 0, &n), CEASE_ECANCELED);
    CHECK_ERR(cease_file_size(ctx, f, &size), CEASE_ECANCELED);
    CHECK_ERR(cease_file_sync(ctx, f), CEASE_ECANCELED);
    CHECK_OK(cease_file_size(root(), f, &size));
    CHECK_EQ(size, 0);
    cease_file_close(f);
    cease_end(stop);
}

/* Ends the context while the write is under way: what it says it wrote is what the file has. */
struct big {
    cease_file *file;
    char *data;
    size_t size, count;
    cease_error error;
};

static cease_error write_big(cease_ctx *ctx, void *arg)
{
    struct big *b = arg;
    b->error = cease_file_write(ctx, b->file, b->data, b->size, 0, &b->count);
    return CEASE_OK;
}

TEST(file_write_cut_short_says_how_much_the_file_has)
{
    struct big b = {.size = 24 << 20};
    b.data = calloc(1, b.size);
    CHECK(b.data != NULL);
    for (int i = 0; i < 5; i++) {
        uint64_t size = 0;
        cease_canceler *stop;
        CHECK_OK(
            cease_file_open(root(), path_at("big"), O_RDWR | O_CREAT | O_TRUNC, 0600, &b.file));
        cease_ctx *ctx = cease_with_cancel(root(), &stop);
        cease_group *g = cease_group_new(ctx, NULL);
        CHECK_OK(cease_group_go(g, write_big, &b));
        do { /* some of it is there */
            CHECK_OK(cease_file_size(root(), b.file, &size));
        } while (size == 0);
        cease_cancel(stop);
        cease_group_free(g);
        CHECK_OK(cease_file_size(root(), b.file, &size));
        CHECK_EQ(size, b.count);
        CHECK(b.count > 0);
        CHECK_ERR(b.error, b.count == b.size ? CEASE_OK : CEASE_ECANCELED);
        cease_file_close(b.file);
        cease_end(stop);
    }
    free(b.data);
}

static cease_error read_own_part(cease_ctx *ctx, void *arg)
{
    cease_file *f = arg;
    char buf[100];
    size_t n = 0;
    for (uint64_t at = 0; at < 100000; at += n) {
        CHECK_OK(cease_file_read(ctx, f, buf, sizeof buf, at, &n));
        for (size_t i = 0; i < n; i++) {
            CHECK_EQ((unsigned char)buf[i], (at + i) % 251);
        }
    }
    return CEASE_OK;
}

TEST(file_shared_by_tasks_needs_no_turns)
{
    cease_file *f = NULL;
    char *data = malloc(100000);
    CHECK(data != NULL);
    for (size_t i = 0; i < 100000; i++) {
        data[i] = (char)(i % 251);
    }
    CHECK_OK(cease_file_open(root(), path_at("a"), O_RDWR | O_CREAT, 0600, &f));
    CHECK_OK(cease_file_write(root(), f, data, 100000, 0, NULL));
    CHECK_EQ(fdatasync(cease_file_fd(f)), 0);
    /* out of the cache, where the file system has one to lose: then the pool reads */
    (void)posix_fadvise(cease_file_fd(f), 0, 0, POSIX_FADV_DONTNEED);
    cease_group *g = cease_group_new(root(), NULL);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(cease_group_go(g, read_own_part, f));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    cease_file_close(f);
    free(data);
}

TEST(file_without_memory_says_so)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_file *f = NULL;
        cease_error e = cease_file_open(root(), path_at("a"), O_RDWR | O_CREAT, 0600, &f);
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM);
        cease_file_close(f);
    }
    char byte;
    size_t n;
    CHECK_ERR(cease_file_read(root(), NULL, &byte, 1, 0, &n), CEASE_ENOMEM);
    CHECK_ERR(cease_file_write(root(), NULL, &byte, 1, 0, &n), CEASE_ENOMEM);
    CHECK_ERR(cease_file_sync(root(), NULL), CEASE_ENOMEM);
    CHECK_EQ(cease_file_fd(NULL), -1);
    cease_file_close(NULL);
}
