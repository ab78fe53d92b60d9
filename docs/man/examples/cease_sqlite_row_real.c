#include "harness.h"

#include <sqlite3.h>

/* [example] */
#include <cease/sqlite.h>
#include <stdio.h>

/* A measurement, whose unit may not be known. */
static cease_error keep(cease_ctx *ctx, cease_sqlite *db, double value, const char *unit,
                        size_t unit_size, const void *raw, size_t raw_size)
{
    cease_sqlite_value args[] = {
        cease_sqlite_real(value),
        unit ? cease_sqlite_text_n(unit, unit_size) : cease_sqlite_null(),
        cease_sqlite_blob(raw, raw_size),
    };
    return cease_sqlite_query(ctx, db, "INSERT INTO measured VALUES(?1, ?2, ?3)", args, 3, NULL,
                              NULL);
}

static cease_error print_measured(cease_sqlite_row *row, void *arg)
{
    fprintf(arg, "%g %s\n", cease_sqlite_row_real(row, 0),
            cease_sqlite_row_null(row, 1) ? "(no unit)" : cease_sqlite_row_text(row, 1, NULL));
    return CEASE_OK;
}
/* [end] */

TEST(example_sqlite_row_real)
{
    sqlite3_initialize();
    harness_mark();
    cease_sqlite *db;
    cease_ctx *bg = cease_background();
    CHECK_OK(cease_sqlite_open(bg, ":memory:", NULL, &db));
    CHECK_OK(cease_sqlite_exec(bg, db, "CREATE TABLE measured(value, unit, raw)"));
    CHECK_OK(keep(bg, db, 21.5, "K and more", 1, "\0\1", 2));
    CHECK_OK(keep(bg, db, -1, NULL, 0, NULL, 0));
    char text[64] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    CHECK_OK(cease_sqlite_query(bg, db, "SELECT value, unit FROM measured", NULL, 0, print_measured,
                                out));
    fclose(out);
    CHECK_STR(text, "21.5 K\n-1 (no unit)\n");
    cease_sqlite_close(db);
}
