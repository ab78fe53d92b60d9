#include "pg_common.h"

/* [example] */
#include <cease/pg.h>
#include <stdio.h>

static void print_news(const char *channel, const char *payload, int pid, void *arg)
{
    printf("%s says on %s: %s\n", (const char *)arg, channel, payload);
    (void)pid;
}

/* Until ctx ends; the connection is this task's alone. */
static cease_error print_all_news(cease_ctx *ctx, cease_pg *db)
{
    cease_error err = cease_pg_exec(ctx, db, "LISTEN news");
    while (err == CEASE_OK)
        err = cease_pg_notified(ctx, db, print_news, "the server");
    return err;
}
/* [end] */

TEST(example_pg_notified)
{
    warm_up();
    cease_pg *db = open_pg();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(50), &stop);
    CHECK_OK(cease_pg_exec(ctx, db, "LISTEN news; NOTIFY news, 'hello'"));
    CHECK_ERR(print_all_news(ctx, db), CEASE_EDEADLINE);
    cease_end(stop);
    cease_pg_close(db);
}
