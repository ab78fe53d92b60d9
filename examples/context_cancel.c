/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleWithCancel: a generator that would go on for ever is told when its reader has enough,
 * so that no task is left behind.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

static cease_error generate(cease_ctx *ctx, void *arg)
{
    cease_chan *numbers = arg;
    cease_error e = CEASE_OK;
    for (int n = 1; !e; n++) {
        e = cease_chan_send(ctx, numbers, &n);
    }
    cease_chan_close(numbers);
    cease_chan_unref(numbers);
    return e;
}

int main(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_chan *numbers = cease_chan_new(sizeof(int), 0);
    if (cease_go(ctx, generate, cease_chan_ref(numbers))) {
        return EXIT_FAILURE;
    }
    int n = 0;
    while (n < 5 && cease_chan_recv(ctx, numbers, &n) == CEASE_OK) {
        printf("%d\n", n);
    }
    cease_end(stop); /* done with the numbers: the generator ends, and closes its channel */
    cease_error e;
    while ((e = cease_chan_recv(cease_background(), numbers, &n)) == CEASE_OK) {
    }
    cease_chan_unref(numbers);
    return e == CEASE_ECLOSED ? EXIT_SUCCESS : EXIT_FAILURE;
}
