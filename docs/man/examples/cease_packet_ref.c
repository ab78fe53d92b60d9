#include "harness.h"

/* [example] */
#include <cease/packet.h>
#include <cease/task.h>

/* Receives until somebody closes the socket; has a share of its own. */
static cease_error count_packets(cease_ctx *ctx, void *arg)
{
    cease_packet *socket = arg;
    char buf[1500];
    size_t size;
    while (cease_packet_recv(ctx, socket, buf, sizeof buf, &size, NULL) != CEASE_ECLOSED)
        if (cease_done(ctx))
            break;
    cease_packet_unref(socket);
    return CEASE_OK;
}

static cease_error start_counting(cease_ctx *ctx, cease_packet *socket)
{
    cease_error err = cease_go(ctx, count_packets, cease_packet_ref(socket));
    if (err != CEASE_OK)
        cease_packet_unref(socket); /* the task's share */
    return err;
}
/* [end] */

TEST(example_packet_ref)
{
    cease_packet *socket;
    CHECK_OK(cease_packet_open(cease_background(), "127.0.0.1:0", NULL, &socket));
    CHECK_OK(start_counting(cease_background(), socket));
    cease_packet_close(socket);
}
