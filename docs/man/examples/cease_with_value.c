#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdlib.h>
#include <string.h>

/* user.c: the key is static, so that nobody else can ask for, or hide, its values. */
static cease_key user_key = CEASE_KEY_OWNED("user", free);

/* A context with a user, to be given back with cease_unref(). */
static cease_ctx *user_new_context(cease_ctx *parent, const char *name)
{
    return cease_with_value(parent, &user_key, strdup(name)); /* freed with the context */
}

/* The user of the request; NULL when it has none. Valid as long as ctx is. */
static const char *user_from_context(const cease_ctx *ctx)
{
    return cease_value(ctx, &user_key);
}

static bool is_admin(cease_ctx *request)
{
    cease_ctx *ctx = user_new_context(request, "root");
    const char *name = user_from_context(ctx);
    bool yes = name != NULL && strcmp(name, "root") == 0;
    cease_unref(ctx);
    return yes;
}
/* [end] */

TEST(example_with_value)
{
    CHECK(is_admin(cease_background()));
    CHECK_PTR(user_from_context(cease_background()), NULL);
}
