#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdlib.h>
#include <string.h>

/* Another framework's request, which keeps its attributes by name. */
struct foreign_request {
    const char *names[4];
    char *values[4];
    int references;
};

static bool attribute(void *self, cease_key *key, void **ret_value)
{
    struct foreign_request *r = self;
    for (int i = 0; i < 4 && r->names[i] != NULL; i++) {
        if (strcmp(r->names[i], key->name) == 0) {
            *ret_value = r->values[i];
            return true;
        }
    }
    return false; /* the parent is asked next */
}

static void release(void *self)
{
    struct foreign_request *r = self;
    r->references--;
}

static const cease_source foreign_source = {
    .size = sizeof foreign_source, .value = attribute, .release = release};

/* A context whose values are the foreign request's attributes. Give it back with cease_unref(). */
static cease_ctx *foreign_context(cease_ctx *parent, struct foreign_request *r)
{
    r->references++;
    return cease_with_source(parent, &foreign_source, r);
}
/* [end] */

TEST(example_with_source)
{
    static cease_key user = CEASE_KEY("user"), other = CEASE_KEY("other");
    char gopher[] = "gopher";
    struct foreign_request r = {{"user"}, {gopher}, 1};
    cease_ctx *ctx = foreign_context(cease_background(), &r);
    CHECK_PTR(cease_value(ctx, &user), gopher);
    CHECK_PTR(cease_value(ctx, &other), NULL);
    CHECK_EQ(r.references, 2);
    cease_unref(ctx);
    CHECK_EQ(r.references, 1);
}
