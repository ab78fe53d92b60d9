#include "harness.h"

/* [example] */
#include <cease/net.h>
#include <stdio.h>

/* Says between whom a connection is: "192.0.2.1:50000 -> 192.0.2.7:80". */
static cease_error describe(cease_conn *conn, char *ret, size_t size)
{
    char peer[CEASE_ADDRESS_SIZE], local[CEASE_ADDRESS_SIZE];
    cease_error err = cease_conn_peer(conn, peer, sizeof peer);
    if (err == CEASE_OK)
        err = cease_conn_local(conn, local, sizeof local);
    if (err == CEASE_OK)
        snprintf(ret, size, "%s -> %s", peer, local);
    return err;
}

/* One who may cut a connection that another serves: with a share of its own, the memory stays valid
 * whatever the other does. */
struct guest {
    cease_conn *conn;
};

static void guest_init(struct guest *g, cease_conn *conn)
{
    g->conn = cease_conn_ref(conn);
}

static void guest_show_out(struct guest *g)
{
    cease_conn_close(g->conn); /* gives the share back, and whoever waits gets CEASE_ECLOSED */
}

static void guest_leave_alone(struct guest *g)
{
    g->conn = cease_conn_unref(g->conn); /* the connection goes on as long as others have it */
}
/* [end] */

#include <string.h>

TEST(example_conn_peer)
{
    char address[CEASE_ADDRESS_SIZE], text[3 * CEASE_ADDRESS_SIZE], byte;
    size_t count;
    struct guest guest, other;
    cease_listener *l;
    cease_conn *client, *server;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &l));
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    CHECK_OK(cease_dial(cease_background(), address, NULL, &client));
    CHECK_OK(cease_listener_accept(cease_background(), l, &server));
    CHECK_OK(describe(client, text, sizeof text));
    CHECK(strncmp(text, address, strlen(address)) == 0);
    guest_init(&other, server);
    guest_leave_alone(&other);
    guest_init(&guest, server);
    guest_show_out(&guest);
    CHECK_ERR(cease_conn_read(cease_background(), server, &byte, 1, &count), CEASE_ECLOSED);
    CHECK_ERR(cease_conn_read(cease_background(), client, &byte, 1, &count), CEASE_EOF);
    cease_conn_close(server);
    cease_conn_close(client);
    cease_listener_close(l);
}
