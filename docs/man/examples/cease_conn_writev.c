#include "harness.h"

/* [example] */
#include <cease/net.h>
#include <stdio.h>
#include <string.h>

/* Sends a line and the body behind it, without putting them together first; then says that this was all,
 * and reads what the peer has to say to it. */
static cease_error post(cease_ctx *ctx, cease_conn *conn, const char *body, char *ret_answer,
                        size_t size)
{
    char line[32];
    size_t got = 0, count;
    snprintf(line, sizeof line, "%zu\n", strlen(body));
    const struct iovec pieces[] = {{line, strlen(line)}, {(char *)(uintptr_t)body, strlen(body)}};
    cease_error err = cease_conn_writev(ctx, conn, pieces, 2, NULL);
    if (err == CEASE_OK)
        err = cease_conn_shutdown(conn);
    while (err == CEASE_OK && got + 1 < size) {
        err = cease_conn_read(ctx, conn, ret_answer + got, size - 1 - got, &count);
        got += err == CEASE_OK ? count : 0;
    }
    ret_answer[got] = '\0';
    return err == CEASE_EOF ? CEASE_OK : err;
}
/* [end] */

#include <cease/group.h>
#include <sys/socket.h>

static cease_error answer(cease_ctx *ctx, void *arg)
{
    char buf[32];
    size_t count;
    CHECK_OK(cease_conn_read(ctx, arg, buf, sizeof buf, &count));
    CHECK_OK(cease_conn_write(ctx, arg, "thanks", 6, NULL));
    cease_conn_close(arg);
    return CEASE_OK;
}

TEST(example_conn_writev)
{
    int fds[2];
    char text[16];
    cease_conn *a, *b;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &a));
    CHECK_OK(cease_conn_from_fd(fds[1], &b));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, answer, b));
    CHECK_OK(post(cease_background(), a, "body", text, sizeof text));
    CHECK_STR(text, "thanks");
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_conn_close(a);
}
