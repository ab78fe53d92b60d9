#include "harness.h"

/* [example] */
#include <cease/fd.h>
#include <errno.h>
#include <unistd.h>

/* Reads from a non-blocking fd of another library. */
static cease_error read_fd(cease_ctx *ctx, int fd, void *buf, size_t size, size_t *ret_count)
{
    for (;;) {
        ssize_t count = read(fd, buf, size);
        if (count >= 0) {
            *ret_count = (size_t)count;
            return count > 0 ? CEASE_OK : CEASE_EOF;
        }
        if (errno != EAGAIN)
            return (cease_error)-errno;
        cease_error err = cease_fd_wait(ctx, fd, CEASE_READABLE);
        if (err != CEASE_OK)
            return err;
    }
}
/* [end] */

#include <fcntl.h>

TEST(example_fd_wait)
{
    int ends[2];
    char buf[8];
    size_t count = 0;
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(read_fd(ctx, ends[0], buf, sizeof buf, &count), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_EQ(write(ends[1], "abc", 3), 3);
    CHECK_OK(read_fd(cease_background(), ends[0], buf, sizeof buf, &count));
    CHECK_EQ(count, 3);
    close(ends[0]);
    close(ends[1]);
}
