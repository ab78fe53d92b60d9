#include "harness.h"

/* [example] */
#include <cease/packet.h>
#include <stdio.h>

/* Sends every datagram back to whoever sent it, until ctx ends. */
static cease_error answer_all(cease_ctx *ctx, cease_packet *socket)
{
    char buf[1500];
    char name[128];
    size_t size;
    cease_address from;
    cease_error err;
    while ((err = cease_packet_recv(ctx, socket, buf, sizeof buf, &size, &from)) == CEASE_OK) {
        cease_address_text(&from, name, sizeof name);
        printf("%zu bytes from %s\n", size, name);
        if ((err = cease_packet_send_to(ctx, socket, buf, size, &from)) != CEASE_OK)
            break;
    }
    return err;
}

/* Takes a port that the kernel chooses, and says which. */
static cease_error open_local(cease_ctx *ctx, cease_packet **ret_socket, char *ret_address,
                              size_t size)
{
    cease_error err = cease_packet_open(ctx, "127.0.0.1:0", NULL, ret_socket);
    return err != CEASE_OK ? err : cease_packet_local(*ret_socket, ret_address, size);
}

/* Asks once, and again when no answer comes within its time: datagrams may be lost. */
static cease_error ask(cease_ctx *parent, const char *address, int *ret_answer)
{
    cease_packet *socket;
    size_t size;
    cease_error err = cease_packet_dial(parent, address, NULL, &socket);
    if (err != CEASE_OK)
        return err;
    for (int tries = 0; tries < 3; tries++) {
        CEASE_AUTO_END cease_canceler *stop = NULL;
        cease_ctx *ctx = cease_with_timeout(parent, cease_sec(1), &stop);
        err = cease_packet_send(ctx, socket, "?", 1);
        if (err == CEASE_OK)
            err = cease_packet_recv(ctx, socket, ret_answer, sizeof *ret_answer, &size, NULL);
        if (err == CEASE_OK || cease_done(parent))
            break;
    }
    cease_packet_close(socket);
    return err;
}
/* [end] */

#include <cease/group.h>

static cease_error serve(cease_ctx *ctx, void *arg)
{
    return answer_all(ctx, arg);
}

TEST(example_packet_open)
{
    char address[128];
    int answer = 0;
    cease_packet *socket;
    CHECK_OK(open_local(cease_background(), &socket, address, sizeof address));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve, socket));
    CHECK_OK(ask(cease_background(), address, &answer));
    CHECK_EQ(answer & 0xff, '?');
    cease_group_stop(group);
    cease_group_free(group);
    cease_packet_close(socket);
}
