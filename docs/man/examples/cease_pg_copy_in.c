#include "pg_common.h"

/* [example] */
#include <cease/pg.h>
#include <stdio.h>

struct numbers {
    int next, last;
    char line[32];
};

static cease_error next_line(void *arg, const void **ret_data, size_t *ret_size)
{
    struct numbers *n = arg;
    if (n->next > n->last)
        return CEASE_EOF;
    *ret_data = n->line;
    *ret_size = (size_t)snprintf(n->line, sizeof n->line, "%d\n", n->next++);
    return CEASE_OK;
}

static cease_error print_line(const void *data, size_t size, void *arg)
{
    fwrite(data, 1, size, arg);
    return CEASE_OK;
}

static cease_error fill_and_print(cease_ctx *ctx, cease_pg *db, FILE *out)
{
    struct numbers n = {.next = 1, .last = 1000};
    cease_error err = cease_pg_copy_in(ctx, db, "COPY number FROM STDIN", next_line, &n);
    if (err == CEASE_OK)
        err = cease_pg_copy_out(ctx, db, "COPY number TO STDOUT", print_line, out);
    return err;
}
/* [end] */

TEST(example_pg_copy)
{
    warm_up();
    cease_pg *db = open_pg();
    CHECK_OK(cease_pg_exec(cease_background(), db, "CREATE TEMP TABLE number(n int)"));
    CHECK_OK(fill_and_print(cease_background(), db, stdout));
    CHECK_EQ(ask_int(db, "SELECT sum(n) FROM number"), 500500);
    cease_pg_close(db);
}
