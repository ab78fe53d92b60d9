/* SPDX-License-Identifier: MIT
 *
 * checkpoint_test.c: out to break what a cancel leaves behind at any wait: whole scenarios over sockets,
 * datagrams, files, names and child processes, cancelled at their first wait, then at their second, until
 * nothing is left to cancel. The harness looks for what was not given back.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cease_error echo_one(cease_ctx *ctx, void *arg)
{
    cease_conn *c = NULL;
    char buf[64];
    size_t n;
    cease_error e = cease_listener_accept(ctx, arg, &c);
    while (e == CEASE_OK && (e = cease_conn_read(ctx, c, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_conn_write(ctx, c, buf, n, NULL);
    }
    cease_conn_close(c);
    return e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error ask(cease_ctx *ctx, cease_listener *l)
{
    char address[CEASE_ADDRESS_SIZE], buf[8];
    cease_conn *c = NULL;
    size_t n;
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    cease_error e = cease_dial(ctx, address, NULL, &c);
    for (int i = 0; i < 3 && e == CEASE_OK; i++) {
        e = cease_conn_write(ctx, c, "ping", 4, NULL);
        e = e == CEASE_OK ? cease_conn_read(ctx, c, buf, sizeof buf, &n) : e;
    }
    cease_conn_close(c);
    return e;
}

static cease_error over_sockets(cease_ctx *ctx, void *arg)
{
    cease_listener *l = NULL;
    (void)arg;
    cease_error e = cease_listen(ctx, "127.0.0.1:0", NULL, &l);
    if (e != CEASE_OK) {
        return e;
    }
    cease_group *g = cease_group_new(ctx, NULL);
    e = cease_group_go(g, echo_one, l);
    e = e == CEASE_OK ? ask(cease_group_ctx(g), l) : e;
    cease_error served = cease_group_wait(g);
    cease_group_free(g);
    cease_listener_close(l);
    return e == CEASE_OK ? served : e;
}

static cease_error over_datagrams(cease_ctx *ctx, void *arg)
{
    cease_packet *server = NULL, *client = NULL;
    cease_address from;
    char address[CEASE_ADDRESS_SIZE], buf[8];
    size_t n;
    (void)arg;
    cease_error e = cease_packet_open(ctx, "unix:@cease-checkpoint", NULL, &server);
    e = e == CEASE_OK ? cease_packet_local(server, address, sizeof address) : e;
    e = e == CEASE_OK ? cease_packet_dial(ctx, address, NULL, &client) : e;
    for (int i = 0; i < 3 && e == CEASE_OK; i++) {
        e = cease_packet_send(ctx, client, "ask", 3);
        e = e == CEASE_OK ? cease_packet_recv(ctx, server, buf, sizeof buf, &n, &from) : e;
        e = e == CEASE_OK ? cease_packet_send_to(ctx, server, "answer", 6, &from) : e;
        e = e == CEASE_OK ? cease_packet_recv(ctx, client, buf, sizeof buf, &n, NULL) : e;
    }
    cease_packet_close(client);
    cease_packet_close(server);
    return e;
}

static cease_error over_files(cease_ctx *ctx, void *arg)
{
    char path[300], buf[8];
    uint64_t size;
    size_t n;
    cease_file *f = NULL;
    (void)arg;
    snprintf(path, sizeof path, "%s/file", harness_temp_dir());
    cease_error e = cease_file_open(ctx, path, O_RDWR | O_CREAT, 0600, &f);
    e = e == CEASE_OK ? cease_file_write(ctx, f, "abc", 3, 0, NULL) : e;
    e = e == CEASE_OK ? cease_file_sync(ctx, f) : e;
    e = e == CEASE_OK ? cease_file_size(ctx, f, &size) : e;
    e = e == CEASE_OK ? cease_file_read(ctx, f, buf, sizeof buf, 0, &n) : e;
    cease_file_close(f);
    return e;
}

static cease_error over_a_process(cease_ctx *ctx, void *arg)
{
    const char *argv[] = {"/bin/sh", "-c", "sleep 1000 & echo x; kill $!; wait", NULL};
    const cease_process_opts opts = {.size = sizeof opts, .argv = argv, .grace = cease_ns(-1)};
    cease_process_result r = {0};
    (void)arg;
    cease_error e = cease_process_run(ctx, &opts, &r);
    cease_process_result_deinit(&r);
    return e;
}

static int rounds;

static cease_error counted(cease_ctx *ctx, void *arg)
{
    cease_task_fn *const *scenario = arg;
    rounds++;
    return (*scenario)(ctx, NULL);
}

static void check_each(cease_task_fn *scenario, int waits_min)
{
    rounds = 0;
    CHECK_OK(cease_test_each_cancel(NULL, counted, &scenario));
    CHECK(rounds >
          waits_min); /* it was cancelled so often at least; a job that is done before the task
                                * parks is no wait */
}

TEST(checkpoint_sockets_cancelled_at_any_wait_leave_nothing)
{
    check_each(over_sockets, 1);
}

TEST(checkpoint_datagrams_cancelled_at_any_wait_leave_nothing)
{
    check_each(over_datagrams, 0);
}

TEST(checkpoint_files_cancelled_at_any_wait_leave_nothing)
{
    check_each(over_files, 0);
}

TEST(checkpoint_processes_cancelled_at_any_wait_leave_nothing)
{
    check_each(over_a_process, 0);
}
