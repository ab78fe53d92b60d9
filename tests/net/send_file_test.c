/* SPDX-License-Identifier: MIT
 *
 * send_file_test.c: out to break the sending of files: parts of them, files that are shorter than was
 * said, peers that stop reading or go away (without a signal), contexts that end in the middle, and what
 * is no file.
 */
#include "harness.h"

#include <cease/cease.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 3000000 };

static cease_ctx *root(void)
{
    return cease_background();
}

static char byte_at(uint64_t at)
{
    return (char)(at * 7 + at / 251);
}

static cease_file *make_file(void)
{
    char path[256];
    cease_file *f = NULL;
    char *data = malloc(SIZE);
    CHECK(data != NULL);
    for (size_t i = 0; i < SIZE; i++) {
        data[i] = byte_at(i);
    }
    snprintf(path, sizeof path, "%s/file", harness_temp_dir());
    CHECK_OK(cease_file_open(root(), path, O_RDWR | O_CREAT, 0600, &f));
    CHECK_OK(cease_file_write(root(), f, data, SIZE, 0, NULL));
    free(data);
    return f;
}

struct sending {
    cease_conn *conn, *peer;
    cease_file *file;
    uint64_t offset, size, count;
    cease_error error;
};

static struct sending sending_new(const char *address)
{
    struct sending s = {.file = make_file()};
    char text[CEASE_ADDRESS_SIZE];
    cease_listener *l = NULL;
    CHECK_OK(cease_listen(root(), address, NULL, &l));
    CHECK_OK(cease_listener_address(l, text, sizeof text));
    CHECK_OK(cease_dial(root(), text, NULL, &s.peer));
    CHECK_OK(cease_listener_accept(root(), l, &s.conn));
    cease_listener_close(l);
    return s;
}

static void sending_end(struct sending *s)
{
    cease_conn_close(s->conn);
    cease_conn_close(s->peer);
    cease_file_close(s->file);
}

static cease_error send_task(cease_ctx *ctx, void *arg)
{
    struct sending *s = arg;
    s->error =
        cease_conn_send_file(ctx, s->conn, cease_file_fd(s->file), s->offset, s->size, &s->count);
    CHECK_OK(cease_conn_shutdown(s->conn));
    return CEASE_OK;
}

/* Reads to the end; how much that was. */
static uint64_t read_all(struct sending *s)
{
    static char buf[65536];
    uint64_t at = s->offset;
    size_t n = 0;
    while (cease_conn_read(root(), s->peer, buf, sizeof buf, &n) == CEASE_OK) {
        for (size_t i = 0; i < n; i++, at++) {
            if (buf[i] != byte_at(at)) {
                CHECK_EQ(buf[i], byte_at(at));
            }
        }
    }
    return at - s->offset;
}

static void check_arrives(const char *address, uint64_t offset, uint64_t size, bool cached)
{
    struct sending s = sending_new(address);
    s.offset = offset;
    s.size = size;
    if (!cached) { /* where the file system has a cache to lose: then the block pool sends */
        CHECK_EQ(fdatasync(cease_file_fd(s.file)), 0);
        (void)posix_fadvise(cease_file_fd(s.file), 0, 0, POSIX_FADV_DONTNEED);
    }
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, send_task, &s));
    CHECK_EQ(read_all(&s), size);
    CHECK_OK(cease_group_wait(g));
    CHECK_OK(s.error);
    CHECK_EQ(s.count, size);
    cease_group_free(g);
    sending_end(&s);
}

TEST(sendFile_whole_arrives_whole)
{
    check_arrives("127.0.0.1:0", 0, SIZE, true);
}

TEST(sendFile_from_the_disk_arrives_whole)
{
    check_arrives("127.0.0.1:0", 0, SIZE, false);
}

TEST(sendFile_part_over_a_unix_socket_arrives)
{
    check_arrives("unix:@cease-send-file", 12345, 678901, true);
}

TEST(sendFile_of_nothing_sends_nothing)
{
    check_arrives("127.0.0.1:0", 5, 0, true);
}

TEST(sendFile_that_is_shorter_than_said_ends_with_what_there_was)
{
    struct sending s = sending_new("127.0.0.1:0");
    s.offset = SIZE - 100;
    s.size = 200;
    CHECK_OK(send_task(root(), &s));
    CHECK_ERR(s.error, CEASE_EOF);
    CHECK_EQ(s.count, 100);
    CHECK_EQ(read_all(&s), 100);
    sending_end(&s);
}

TEST(sendFile_to_a_peer_that_does_not_read_ends_with_its_context)
{
    struct sending s = sending_new("127.0.0.1:0");
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(30), &stop);
    /* over and over, until the buffers on both sides are full */
    do {
        s.error = cease_conn_send_file(ctx, s.conn, cease_file_fd(s.file), 0, SIZE, &s.count);
    } while (s.error == CEASE_OK);
    CHECK_ERR(s.error, CEASE_EDEADLINE);
    CHECK(s.count < SIZE);
    cease_end(stop);
    sending_end(&s);
}

TEST(sendFile_cut_short_says_how_much_the_peer_gets)
{
    struct sending s = sending_new("unix:@cease-send-file");
    cease_canceler *stop;
    char first;
    size_t n = 0;
    s.size = SIZE;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(g, send_task, &s));
    CHECK_OK(cease_conn_read(root(), s.peer, &first, 1, &n)); /* it has begun, and waits for room */
    cease_cancel(stop);
    CHECK_OK(cease_group_wait(g));
    CHECK_ERR(s.error, CEASE_ECANCELED);
    CHECK(s.count > 0 && s.count < SIZE);
    s.offset = 1;
    CHECK_EQ(1 + read_all(&s), s.count);
    cease_group_free(g);
    cease_end(stop);
    sending_end(&s);
}

static cease_error send_to_nobody(cease_ctx *ctx, void *arg)
{
    struct sending *s = arg;
    s->error = cease_conn_send_file(ctx, s->conn, cease_file_fd(s->file), 0, SIZE, &s->count);
    return CEASE_OK;
}

/* The signal would end the process. */
TEST(sendFile_to_a_peer_that_has_gone_is_an_error_and_no_signal)
{
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    sigset_t pending;
    struct sending s = sending_new("unix:@cease-send-file");
    cease_conn_close(s.peer);
    s.peer = NULL;
    CHECK_OK(send_to_nobody(root(), &s));
    CHECK_ERR(s.error, CEASE_EPIPE);
    CHECK_EQ(sigpending(&pending), 0);
    CHECK(!sigismember(&pending, SIGPIPE));
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, send_to_nobody, &s));
    CHECK_OK(cease_group_wait(g));
    CHECK_ERR(s.error, CEASE_EPIPE);
    cease_group_free(g);
    sending_end(&s);
}

TEST(sendFile_of_what_is_no_file_is_refused)
{
    struct sending s = sending_new("127.0.0.1:0");
    int ends[2];
    uint64_t n = 9;
    CHECK_EQ(pipe(ends), 0);
    CHECK_ERR(cease_conn_send_file(root(), s.conn, ends[0], 0, 1, &n), CEASE_EINVAL);
    CHECK_ERR(cease_conn_send_file(root(), s.conn, -1, 0, 1, &n), CEASE_EINVAL);
    CHECK_ERR(cease_conn_send_file(root(), s.conn, cease_file_fd(s.file), UINT64_MAX, 1, &n),
              CEASE_EINVAL);
    CHECK_ERR(cease_conn_send_file(root(), NULL, cease_file_fd(s.file), 0, 1, &n), CEASE_ENOMEM);
    CHECK_EQ(n, 0);
    close(ends[0]);
    close(ends[1]);
    cease_conn *shared = cease_conn_ref(s.conn);
    cease_conn_close(s.conn);
    CHECK_ERR(cease_conn_send_file(root(), shared, cease_file_fd(s.file), 0, 1, NULL),
              CEASE_ECLOSED);
    s.conn = shared;
    sending_end(&s);
}
