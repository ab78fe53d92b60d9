#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* Waits for input, or for the end of the context, in a loop of one's own. */
static cease_error wait_for_input(cease_ctx *ctx, int fd)
{
    int done = cease_done_fd(ctx); /* the context's: never close or read it */
    if (done < 0)
        return (cease_error)done;
    struct pollfd fds[2] = {{.fd = done, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR)
            return (cease_error)-errno;
    }
    return fds[0].revents != 0 ? cease_err(ctx) : CEASE_OK;
}
/* [end] */

TEST(example_done_fd)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(wait_for_input(ctx, ends[0]), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(wait_for_input(ctx, ends[0]));
    cease_end(stop);
    close(ends[0]);
    close(ends[1]);
}
