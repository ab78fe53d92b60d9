#include "harness.h"

/* [example] */
#include <cease/packet.h>

/* Sends to all who are on the list, but not to oneself. */
static cease_error tell_others(cease_ctx *ctx, cease_packet *socket, const char *const *names)
{
    cease_address self, other;
    char own[128];
    cease_error err = cease_packet_local(socket, own, sizeof own);
    if (err == CEASE_OK)
        err = cease_address_resolve(ctx, own, &self);
    for (; err == CEASE_OK && *names; names++) {
        err = cease_address_resolve(ctx, *names, &other); /* may ask a resolver */
        if (err == CEASE_OK && !cease_address_equal(&self, &other))
            err = cease_packet_send_to(ctx, socket, "hello", 5, &other);
    }
    return err;
}
/* [end] */

TEST(example_address_resolve)
{
    char a[128], b[128], buf[8];
    size_t size;
    cease_packet *one, *two;
    CHECK_OK(cease_packet_open(cease_background(), "127.0.0.1:0", NULL, &one));
    CHECK_OK(cease_packet_open(cease_background(), "127.0.0.1:0", NULL, &two));
    CHECK_OK(cease_packet_local(one, a, sizeof a));
    CHECK_OK(cease_packet_local(two, b, sizeof b));
    CHECK_OK(tell_others(cease_background(), one, (const char *const[]){a, b, NULL}));
    CHECK_OK(cease_packet_recv(cease_background(), two, buf, sizeof buf, &size, NULL));
    CHECK_EQ(size, 5);
    cease_packet_close(one);
    cease_packet_close(two);
}
