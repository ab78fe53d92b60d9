#include "harness.h"

#include <unistd.h>

/* [example] */
#include <cease/context.h>
#include <semaphore.h>
#include <sys/socket.h>

struct call {
    int fd;
    sem_t hung_up;
};

/* In a thread or task of its own: it may block, unlike a watch's callback. */
static void hang_up(void *arg)
{
    struct call *call = arg;
    shutdown(call->fd, SHUT_RDWR); /* the blocking read below returns */
    sem_post(&call->hung_up);
}

static ssize_t read_under(cease_ctx *ctx, int fd, void *buf, size_t size)
{
    struct call call = {.fd = fd};
    sem_init(&call.hung_up, 0, 0);
    cease_after *after = cease_after_func(ctx, hang_up, &call);
    ssize_t count = after != NULL ? recv(fd, buf, size, 0) : CEASE_ENOMEM;
    if (after != NULL && !cease_after_stop(after))
        sem_wait(&call.hung_up); /* it has begun, and uses `call` until it has posted */
    sem_destroy(&call.hung_up);
    return count;
}
/* [end] */

TEST(example_after_func)
{
    int ends[2];
    char c = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(read_under(cease_background(), ends[0], &c, 1), 1);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_EQ(read_under(ctx, ends[0], &c, 1), 0);
    cease_end(stop);
    close(ends[0]);
    close(ends[1]);
}
