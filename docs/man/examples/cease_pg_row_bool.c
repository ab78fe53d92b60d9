#include "pg_common.h"

/* [example] */
#include <cease/pg.h>
#include <stdio.h>

static cease_error keep(cease_ctx *ctx, cease_pg *db, double value, const char *unit,
                        const void *raw, size_t raw_size)
{
    cease_pg_value args[] = {
        cease_pg_real(value),     unit ? cease_pg_text(unit) : cease_pg_null(),
        cease_pg_bool(value > 0), cease_pg_bytes(raw, raw_size),
        cease_pg_int(1),
    };
    return cease_pg_query(ctx, db, "INSERT INTO measured VALUES($1, $2, $3, $4, $5)", args, 5, NULL,
                          NULL);
}

static cease_error print_measured(cease_pg_row *row, void *arg)
{
    fprintf(arg, "%g %s%s\n", cease_pg_row_real(row, 0),
            cease_pg_row_null(row, 1) ? "(no unit)" : cease_pg_row_text(row, 1, NULL),
            cease_pg_row_bool(row, 2) ? "" : " ?");
    return CEASE_OK;
}
/* [end] */

TEST(example_pg_row_bool)
{
    warm_up();
    cease_pg *db = open_pg();
    cease_ctx *bg = cease_background();
    CHECK_OK(cease_pg_exec(bg, db,
                           "CREATE TEMP TABLE measured(value float8, unit text, plausible bool,"
                           " raw bytea, version int)"));
    CHECK_OK(keep(bg, db, 21.5, "K", "\0\1", 2));
    CHECK_OK(keep(bg, db, -1, NULL, "", 0));
    char text[64] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    CHECK_OK(cease_pg_query(bg, db, "SELECT * FROM measured", NULL, 0, print_measured, out));
    fclose(out);
    CHECK_STR(text, "21.5 K\n-1 (no unit) ?\n");
    cease_pg_close(db);
}
