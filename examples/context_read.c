/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleAfterFunc_connection: a read from a connection stops when its context ends. Go needs an
 * after-func that moves the connection's read deadline; here the read takes the context.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    cease_ctx *root = cease_background();
    cease_listener *listener = NULL;
    cease_conn *conn = NULL;
    char address[CEASE_ADDRESS_SIZE], byte;
    cease_error e = cease_listen(root, "127.0.0.1:0", NULL, &listener);
    e = e ? e : cease_listener_address(listener, address, sizeof address);
    e = e ? e : cease_dial(root, address, NULL, &conn);
    if (!e) {
        CEASE_AUTO_END cease_canceler *stop = NULL;
        cease_ctx *ctx = cease_with_timeout(root, cease_ms(1), &stop);
        size_t count;
        e = cease_conn_read(ctx, conn, &byte, 1, &count); /* nobody ever writes */
    }
    puts(cease_strerror(e)); /* context deadline exceeded */
    cease_conn_close(conn);
    cease_listener_close(listener);
    return e == CEASE_EDEADLINE ? EXIT_SUCCESS : EXIT_FAILURE;
}
