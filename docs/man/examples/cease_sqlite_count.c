#include "harness.h"

#include <sqlite3.h>

/* [example] */
#include <cease/sqlite.h>
#include <stdio.h>

static void print_status(FILE *out)
{
    struct cease_sqlite_counts counts;
    cease_sqlite_count(&counts);
    fprintf(out, "%llu connections, %llu statements running, %llu cut so far\n",
            (unsigned long long)counts.connections, (unsigned long long)counts.running,
            (unsigned long long)counts.interrupted);
}
/* [end] */

TEST(example_sqlite_count)
{
    char text[100] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    print_status(out);
    fclose(out);
    CHECK_STR(text, "0 connections, 0 statements running, 0 cut so far\n");
}
