#include "harness.h"

#include <string.h>

/* [example] */
#include <cease/context.h>
#include <stdio.h>

enum { BAD_ROW = 1 };

static void reject_row(cease_canceler *stop, int row)
{
    cease_cancel_cause(stop, BAD_ROW, "row %d has no key", row);
}

/* For example "canceled: row 3 has no key (code 1, import.c:12)". */
static void explain(const cease_ctx *ctx, char *ret_text, size_t size)
{
    const cease_cause *cause = cease_cause_of(ctx);
    if (cause == NULL)
        snprintf(ret_text, size, "still running");
    else
        snprintf(ret_text, size, "%s: %s (code %d, %s:%d)",
                 cause->error == CEASE_EDEADLINE ? "too late" : "canceled", cause->text,
                 cause->code, cause->place->file, cause->place->line);
}
/* [end] */

TEST(example_cancel_cause)
{
    char text[256];
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    explain(ctx, text, sizeof text);
    CHECK_STR(text, "still running");
    reject_row(stop, 3);
    cease_cancel(stop); /* the first cause counts */
    explain(ctx, text, sizeof text);
    CHECK(strstr(text, "canceled: row 3 has no key (code 1, ") == text);
    cease_end(stop);
}
