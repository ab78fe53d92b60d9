#include "pg_common.h"

/* [example] */
#include <cease/pg.h>
#include <stdio.h>

static void print_status(FILE *out)
{
    struct cease_pg_counts counts;
    cease_pg_count(&counts);
    fprintf(out, "%llu connections; %llu statements cut so far, by %llu cancel requests\n",
            (unsigned long long)counts.connections, (unsigned long long)counts.cut,
            (unsigned long long)counts.cancels);
}
/* [end] */

TEST(example_pg_count)
{
    char text[100] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    print_status(out);
    fclose(out);
    CHECK_STR(text, "0 connections; 0 statements cut so far, by 0 cancel requests\n");
}
