#include "harness.h"

#include <cease/group.h>
#include <stdio.h>
#include <string.h>

/* [example] */
#include <cease/trace.h>

/* A file for https://ui.perfetto.dev of all that happens while `work` runs. */
static cease_error traced(const char *path, cease_error (*work)(void))
{
    cease_error err = cease_trace_start(path);
    if (err != CEASE_OK)
        return err;
    err = work();
    cease_error written = cease_trace_stop(); /* the file is complete */
    return err != CEASE_OK ? err : written;
}
/* [end] */

static cease_error waits(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_sleep(ctx, cease_us(10));
}

static cease_error some_tasks(void)
{
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 3; i++)
        CHECK_OK(cease_group_go(g, waits, NULL));
    cease_error err = cease_group_wait(g);
    cease_group_free(g);
    return err;
}

TEST(example_trace_start)
{
    char path[300], text[16384] = "";
    snprintf(path, sizeof path, "%s/trace.json", harness_temp_dir());
    CHECK_OK(traced(path, some_tasks));
    FILE *f = fopen(path, "re");
    CHECK(f != NULL);
    CHECK(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    CHECK(strstr(text, "traceEvents") && strstr(text, "sleeps"));
}
