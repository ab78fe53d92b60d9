/* SPDX-License-Identifier: MIT
 *
 * echo.c: the server of echo_100 and echo_1000: a task for each connection, which sends back what it
 * reads. Prints its port, serves until its standard input ends.
 */
#include <cease/cease.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cease_canceler *stop;

static cease_error echo(cease_ctx *ctx, void *arg)
{
    char buf[1024];
    size_t count;
    while (cease_conn_read(ctx, arg, buf, sizeof buf, &count) == CEASE_OK)
        if (cease_conn_write(ctx, arg, buf, count, NULL) != CEASE_OK)
            break;
    cease_conn_close(arg);
    return CEASE_OK;
}

static cease_error serve(cease_ctx *ctx, void *arg)
{
    cease_conn *conn;
    while (cease_listener_accept(ctx, arg, &conn) == CEASE_OK)
        if (cease_go(ctx, echo, conn) != CEASE_OK)
            cease_conn_close(conn);
    return CEASE_OK;
}

static void *wait_for_end(void *unused)
{
    (void)unused;
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    cease_cancel(stop);
    return NULL;
}

static void need(cease_error e, const char *what)
{
    if (e == CEASE_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, cease_strerror(e));
    exit(1);
}

int main(void)
{
    cease_listener *listener;
    char address[CEASE_ADDRESS_SIZE];
    pthread_t thread;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    need(cease_listen(ctx, "127.0.0.1:0", NULL, &listener), "cease_listen");
    need(cease_listener_address(listener, address, sizeof address), "cease_listener_address");
    printf("%s\n", strrchr(address, ':') + 1);
    fflush(stdout);
    cease_group *group = cease_group_new(ctx, NULL);
    need(cease_group_go(group, serve, listener), "cease_group_go");
    pthread_create(&thread, NULL, wait_for_end, NULL);
    pthread_join(thread, NULL);
    cease_group_free(group);
    cease_listener_close(listener);
    return 0;
}
