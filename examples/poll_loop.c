/* SPDX-License-Identifier: MIT
 *
 * A poll loop that obeys a context, with the core library alone: the context's done fd is one more
 * fd to wait for. Any loop that takes file descriptors can do this: epoll, libevent, a GUI's.
 *
 * The rules for the done fd: it belongs to the context (never close or read it), and it is taken out
 * of the loop before the context is dropped. Here both end with serve().
 */
#include <cease/context.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Reads lines from `fd` until the context ends, and counts them. What has been read is never thrown
 * away because of a cancel that came later; but nothing more is begun on a context that has ended. */
static cease_error serve(cease_ctx *ctx, int fd, int *ret_lines)
{
    int done = cease_done_fd(ctx);
    if (done < 0)
        return (cease_error)done;
    for (int lines = 0;;) {
        struct pollfd fds[] = {{.fd = done, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return (cease_error)-errno;
        if (fds[0].revents != 0) { /* readable when, and only when, the context has ended */
            *ret_lines = lines;
            return cease_err(ctx);
        }
        char buffer[64];
        ssize_t count = fds[1].revents != 0 ? read(fd, buffer, sizeof buffer) : 0;
        for (ssize_t i = 0; i < count; i++)
            lines += buffer[i] == '\n';
        if (count < 0 || (count == 0 && fds[1].revents != 0))
            return CEASE_EOF;
    }
}

struct client {
    int fd;
    cease_canceler *stop; /* a share of its own */
};

static void *talk_then_hang_up(void *arg)
{
    struct client *client = arg;
    bool written = write(client->fd, "one\ntwo\nthree\n", 14) == 14;
    cease_cancel_cause(client->stop, written ? 1 : 2, "the user pressed stop");
    cease_end(client->stop);
    return NULL;
}

int main(void)
{
    int ends[2], lines = -1;
    pthread_t thread;
    if (pipe(ends) != 0)
        return EXIT_FAILURE;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_min(1), &stop);

    struct client client = {ends[1], cease_canceler_ref(stop)};
    if (pthread_create(&thread, NULL, talk_then_hang_up, &client) != 0)
        return EXIT_FAILURE;
    cease_error e = serve(ctx, ends[0], &lines);
    pthread_join(thread, NULL);
    printf("%s: %s\n", cease_strerror(e), cease_cause_of(ctx)->text);

    /* The same with a deadline: nothing comes any more, and the loop ends all the same. */
    CEASE_AUTO_END cease_canceler *stop_soon = NULL;
    cease_error late =
        serve(cease_with_timeout(cease_background(), cease_ms(5), &stop_soon), ends[0], &lines);
    printf("%s\n", cease_strerror(late));
    close(ends[0]);
    close(ends[1]);
    return e == CEASE_ECANCELED && late == CEASE_EDEADLINE && lines >= 0 ? EXIT_SUCCESS
                                                                         : EXIT_FAILURE;
}
