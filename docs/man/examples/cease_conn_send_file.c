#include "harness.h"

/* [example] */
#include <cease/file.h>
#include <cease/net.h>
#include <stdio.h>

/* Sends a file with its size in front. */
static cease_error send_named(cease_ctx *ctx, cease_conn *conn, const char *path)
{
    cease_file *file;
    uint64_t size = 0;
    char head[32];
    cease_error err = cease_file_open(ctx, path, O_RDONLY, 0, &file);
    if (err != CEASE_OK)
        return err;
    err = cease_file_size(ctx, file, &size);
    if (err == CEASE_OK) {
        int length = snprintf(head, sizeof head, "%llu\n", (unsigned long long)size);
        err = cease_conn_write(ctx, conn, head, (size_t)length, NULL);
    }
    if (err == CEASE_OK)
        err = cease_conn_send_file(ctx, conn, cease_file_fd(file), 0, size, NULL);
    cease_file_close(file);
    return err; /* CEASE_EOF: it has become shorter meanwhile */
}
/* [end] */

#include <sys/socket.h>

TEST(example_conn_send_file)
{
    int fds[2];
    char buf[4];
    size_t count;
    cease_conn *a, *b;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &a));
    CHECK_OK(cease_conn_from_fd(fds[1], &b));
    CHECK_OK(send_named(cease_background(), a, "/etc/passwd"));
    CHECK_OK(cease_conn_read(cease_background(), b, buf, sizeof buf, &count));
    CHECK(count > 0);
    cease_conn_close(a);
    cease_conn_close(b);
}
