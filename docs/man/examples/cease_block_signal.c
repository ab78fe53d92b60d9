#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* [example] */
#include <cease/block.h>
#include <errno.h>
#include <fcntl.h>

struct opening {
    cease_ctx *ctx;
    const char *path;
    int fd;
};

/* Opening a FIFO waits for a writer, and only a signal ends that. It may have come, and will come again, so
 * nothing is lost between the look at the context and the call. */
static void open_fifo(void *arg)
{
    struct opening *o = arg;
    do
        o->fd = open(o->path, O_RDONLY | O_CLOEXEC);
    while (o->fd < 0 && errno == EINTR && !cease_done(o->ctx));
}

static cease_error open_for_reading(cease_ctx *ctx, const char *path, int *ret_fd)
{
    struct opening o = {.ctx = ctx, .path = path, .fd = -1};
    cease_error err = cease_block_signal(ctx, open_fifo, &o);
    if (err == CEASE_OK && o.fd < 0)
        err = cease_done(ctx) ? cease_err(ctx) : CEASE_EIO;
    *ret_fd = o.fd;
    return err;
}
/* [end] */

static void *write_later(void *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* waits for the reader */
    CHECK(fd >= 0);
    close(fd);
    return NULL;
}

TEST(example_block_signal)
{
    char path[256];
    int fd;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(5), &stop);
    snprintf(path, sizeof path, "%s/fifo", harness_temp_dir());
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK_ERR(open_for_reading(ctx, path, &fd), CEASE_EDEADLINE);
    cease_end(stop);
    pthread_t writer;
    CHECK_EQ(pthread_create(&writer, NULL, write_later, path), 0);
    CHECK_OK(open_for_reading(cease_background(), path, &fd));
    close(fd);
    pthread_join(writer, NULL);
}
