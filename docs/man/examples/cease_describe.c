#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdio.h>

/* For example "background.cancel.deadline: context deadline exceeded". */
static void print_context(const cease_ctx *ctx, FILE *out)
{
    char text[200];
    if (cease_describe(ctx, text, sizeof text) >= sizeof text)
        fputs("(cut) ", out);
    fprintf(out, "%s: %s\n", text, cease_strerror(cease_err(ctx)));
}
/* [end] */

TEST(example_describe)
{
    char line[100] = "";
    cease_canceler *stop, *stop_late;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *late = cease_with_timeout(ctx, cease_ms(0), &stop_late);
    FILE *out = fmemopen(line, sizeof line, "w");
    print_context(late, out);
    fclose(out);
    CHECK_STR(line, "background.cancel.deadline: context deadline exceeded\n");
    cease_end(stop_late);
    cease_end(stop);
}
