#include "harness.h"

/* [example] */
#include <cease/hooks.h>
#include <stdio.h>

/* Where each context was made from ctx up to the root, as far as that is recorded. */
static void print_origin(cease_ctx *ctx, FILE *out)
{
    cease_ctx_info info = {.size = sizeof info};
    for (; ctx; ctx = info.parent) {
        cease_inspect(ctx, &info);
        fprintf(out, "%s %s, ", info.kind, info.place ? info.place->function : "(unknown)");
    }
}
/* [end] */

static cease_key colour = CEASE_KEY("colour");

TEST(example_inspect)
{
    char line[200] = "";
    cease_canceler *stop, *stop_both;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    cease_ctx *value = cease_with_value(ctx, &colour, &colour);
    cease_ctx *both = cease_with_merge(value, cease_todo(), &stop_both);
    FILE *out = fmemopen(line, sizeof line, "w");
    print_origin(both, out);
    fclose(out);
    CHECK_STR(line, "merge example_inspect, value (unknown), deadline example_inspect, "
                    "background (unknown), ");
    cease_ctx_info info = {.size = sizeof info};
    cease_inspect(both, &info);
    CHECK_PTR(info.other, cease_todo());
    CHECK(info.cause == NULL);
    cease_cancel(stop);
    cease_inspect(value, &info);
    CHECK_STR(info.key, "colour");
    CHECK_EQ(info.cause->error, CEASE_ECANCELED);
    CHECK(info.deadline.ns > cease_now().ns);
    cease_end(stop_both);
    cease_unref(value);
    cease_end(stop);
}
