#include "harness.h"

/* [example] */
#include <cease/context.h>

/* cease_done() and cease_err() are inline: what is loaded at run time, or called from another
 * language, takes these. */
static const struct {
    bool (*done)(const cease_ctx *ctx);
    cease_error (*err)(const cease_ctx *ctx);
} binding = {cease_done_exported, cease_err_exported};
/* [end] */

TEST(example_done_exported)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK(!binding.done(ctx));
    CHECK_OK(binding.err(ctx));
    cease_cancel(stop);
    CHECK(binding.done(ctx));
    CHECK_ERR(binding.err(ctx), CEASE_ECANCELED);
    cease_end(stop);
}
