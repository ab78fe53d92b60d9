#include "redis_common.h"

/* [example] */
#include <cease/redis.h>
#include <stdio.h>

static void print_status(FILE *out)
{
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    fprintf(out, "%llu connections; %llu commands cut so far, %llu of them in the server\n",
            (unsigned long long)counts.connections, (unsigned long long)counts.cut,
            (unsigned long long)counts.unblocked);
}
/* [end] */

TEST(example_redis_count)
{
    char text[100] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    print_status(out);
    fclose(out);
    CHECK_STR(text, "0 connections; 0 commands cut so far, 0 of them in the server\n");
}
