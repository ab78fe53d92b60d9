#include "harness.h"

/* [example] */
#include <cease/context.h>

struct server {
    cease_ctx *lifetime; /* ends when the server stops */
};

/* The work ends with the request, or with the server. Values (user, trace id) are the request's. */
static cease_error handle(struct server *server, cease_ctx *request,
                          cease_error (*work)(cease_ctx *ctx))
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_merge(request, server->lifetime, &stop);
    return work(ctx);
}
/* [end] */

static cease_canceler *server_stop;
static cease_error stop_server_meanwhile(cease_ctx *ctx)
{
    CHECK_OK(cease_err(ctx));
    cease_cancel_cause(server_stop, 7, "server stopping");
    CHECK_EQ(cease_cause_of(ctx)->code, 7);
    return cease_err(ctx);
}

TEST(example_with_merge)
{
    struct server server = {cease_with_cancel(cease_background(), &server_stop)};
    cease_canceler *stop;
    cease_ctx *request = cease_with_cancel(cease_background(), &stop);
    CHECK_ERR(handle(&server, request, stop_server_meanwhile), CEASE_ECANCELED);
    CHECK_OK(cease_err(request));
    cease_end(stop);
    cease_end(server_stop);
}
