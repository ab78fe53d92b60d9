/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleAfterFunc_merge: a context that ends when either of two does, here a request and the
 * server that it runs in, and that says which it was.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

enum { STOPPED = 5 };

int main(void)
{
    CEASE_AUTO_END cease_canceler *end_request = NULL, *stop_server = NULL, *end_both = NULL;
    cease_ctx *request = cease_with_cancel(cease_background(), &end_request);
    cease_ctx *server = cease_with_cancel(cease_background(), &stop_server);
    cease_ctx *both = cease_with_merge(request, server, &end_both);

    cease_cancel_cause(stop_server, STOPPED, "the server stops");
    cease_error e = cease_wait(both);
    printf("%s: %s\n", cease_strerror(e), cease_cause_of(both)->text);
    return cease_cause_of(both)->code == STOPPED && !cease_done(request) ? EXIT_SUCCESS
                                                                         : EXIT_FAILURE;
}
