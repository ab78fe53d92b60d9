#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdio.h>

static cease_key trace_key = CEASE_KEY("trace");

/* An audit record is written whether or not the client has gone: it has the request's values, but
 * neither its end nor its deadline. */
static cease_error audit(cease_ctx *request, const char *what, FILE *log)
{
    CEASE_AUTO_UNREF cease_ctx *ctx = cease_without_cancel(request);
    const char *trace = cease_value(ctx, &trace_key);
    if (fprintf(log, "%s: %s\n", trace ? trace : "-", what) < 0)
        return CEASE_EIO;
    return cease_err(ctx); /* CEASE_OK: this context never ends */
}
/* [end] */

TEST(example_without_cancel)
{
    char id[] = "4711", line[32] = "";
    cease_canceler *stop;
    cease_ctx *request = cease_with_cancel(cease_background(), &stop);
    cease_ctx *ctx = cease_with_value(request, &trace_key, id);
    cease_cancel(stop);
    FILE *log = fmemopen(line, sizeof line, "w");
    CHECK_OK(audit(ctx, "order placed", log));
    fclose(log);
    CHECK_STR(line, "4711: order placed\n");
    cease_unref(ctx);
    cease_end(stop);
}
