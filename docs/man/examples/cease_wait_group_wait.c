#include "harness.h"

/* [example] */
#include <cease/sync.h>

/* Requests that are being served, so that a reload can wait until none uses the old settings. */
struct settings {
    cease_wait_group users;
    const char *name;
};

static void settings_init(struct settings *settings, const char *name)
{
    settings->name = name;
    cease_wait_group_init(&settings->users);
}

static void settings_use(struct settings *settings)
{
    cease_wait_group_add(&settings->users, 1); /* before the request begins, not inside it */
}

static void settings_unuse(struct settings *settings)
{
    cease_wait_group_done(&settings->users);
}

static cease_error settings_retire(cease_ctx *ctx, struct settings *settings)
{
    cease_error err = cease_wait_group_wait(ctx, &settings->users);
    if (err == CEASE_OK)
        cease_wait_group_deinit(&settings->users); /* nobody touches it any more */
    return err;                                    /* else they are still in use */
}
/* [end] */

static cease_error serve(cease_ctx *ctx, void *arg)
{
    cease_error err = cease_sleep(ctx, cease_ms(1));
    settings_unuse(arg);
    return err;
}

TEST(example_wait_group_wait)
{
    struct settings settings;
    settings_init(&settings, "old");
    for (int i = 0; i < 3; i++) {
        settings_use(&settings);
        CHECK_OK(cease_go(cease_background(), serve, &settings));
    }
    CHECK_OK(settings_retire(cease_background(), &settings));
    CHECK_STR(settings.name, "old");
    CHECK_OK(settings_retire(cease_background(), &settings));
}
