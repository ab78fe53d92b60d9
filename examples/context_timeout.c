/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleWithTimeout: a budget for something that may take too long, with a reason that the
 * reader of a log understands.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOO_SLOW = 7 };

int main(void)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout_cause(cease_background(), cease_ms(50), TOO_SLOW,
                                              "the backend has 50 ms", &stop);
    cease_error e = cease_sleep(ctx, cease_hour(1)); /* the work */
    const cease_cause *cause = cease_cause_of(ctx);
    printf("%s: %s\n", cease_strerror(e), cause ? cause->text : "no cause");
    return e == CEASE_EDEADLINE && cause && cause->code == TOO_SLOW ? EXIT_SUCCESS : EXIT_FAILURE;
}
