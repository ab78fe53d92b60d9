/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleWithDeadline: whoever waits for something that does not come stops at the deadline.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    cease_time deadline = cease_time_add(cease_now(), cease_ms(50));
    /* The context would end by itself; ending it at the end of the scope gives its memory back. */
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_deadline(cease_background(), deadline, &stop);

    cease_chan *never_ready = cease_chan_new(0, 0);
    cease_error e = cease_chan_recv(ctx, never_ready, NULL);
    puts(cease_strerror(e)); /* context deadline exceeded */
    cease_chan_unref(never_ready);
    return e == CEASE_EDEADLINE && cease_until(deadline).ns <= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
