#include "harness.h"

/* [example] */
#include <cease/net.h>

/* Who can stop an accept loop from outside, without a context: the share keeps the listener's memory, so
 * it does not matter who closes first. */
struct door {
    cease_listener *listener;
};

static void door_init(struct door *d, cease_listener *listener)
{
    d->listener = cease_listener_ref(listener);
}

static void door_shut(struct door *d)
{
    cease_listener_close(d->listener); /* an accept that waits gives CEASE_ECLOSED */
}

static void door_forget(struct door *d)
{
    d->listener = cease_listener_unref(d->listener); /* it goes on as long as others have it */
}
/* [end] */

TEST(example_listener_ref)
{
    struct door door, other;
    cease_conn *conn;
    cease_listener *l;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &l));
    door_init(&other, l);
    door_forget(&other);
    door_init(&door, l);
    door_shut(&door);
    CHECK_ERR(cease_listener_accept(cease_background(), l, &conn), CEASE_ECLOSED);
    cease_listener_close(l);
}
