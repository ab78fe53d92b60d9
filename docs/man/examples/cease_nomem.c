#include "harness.h"

/* [example] */
#include <cease/hooks.h>
#include <stdlib.h>

struct session {
    size_t size;
    char bytes[];
};

static cease_key session_key = CEASE_KEY_OWNED("session", free);

/* A derivation of one's own, which never gives NULL either. Give the result back with
 * cease_unref(), which does nothing to the static one. */
static cease_ctx *session_new_context(cease_ctx *parent, size_t size)
{
    struct session *session = malloc(sizeof *session + size);
    if (session == NULL)
        return cease_nomem(); /* ended already: CEASE_ECANCELED, with code CEASE_ENOMEM */
    session->size = size;
    return cease_with_value(parent, &session_key, session);
}
/* [end] */

TEST(example_nomem)
{
    cease_ctx *ctx = session_new_context(cease_background(), 10);
    struct session *session = cease_value(ctx, &session_key);
    CHECK_EQ(session->size, 10);
    cease_unref(ctx);
    harness_fail_alloc(1);
    ctx = session_new_context(cease_background(), 10);
    if (harness_heap_is_ours()) {
        CHECK_PTR(ctx, cease_nomem());
        CHECK_ERR(cease_err(ctx), CEASE_ECANCELED);
        CHECK_EQ(cease_cause_of(ctx)->code, CEASE_ENOMEM);
    }
    cease_unref(ctx);
}
