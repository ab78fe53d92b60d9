#include "harness.h"

#include <cease/group.h>
#include <cease/runtime.h>
#include <string.h>
#include <unistd.h>

/* [example] */
#include <cease/snapshot.h>
#include <stdio.h>
#include <stdlib.h>

/* For an administrator's page. */
static cease_error show(FILE *out, bool as_json)
{
    char *text;
    size_t size;
    cease_error err =
        as_json ? cease_snapshot_json(&text, &size) : cease_snapshot_text(&text, &size);
    if (err != CEASE_OK)
        return err;
    bool written = fwrite(text, 1, size, out) == size;
    free(text);
    return written ? CEASE_OK : CEASE_EIO;
}

/* For whoever sits in front of it: `kill -QUIT` shows what everything waits for. */
static cease_error show_when_asked(void)
{
    return cease_snapshot_on_sigquit();
}

/* For a watchdog that is about to end the process. */
static void last_words(void)
{
    (void)cease_snapshot_print(STDERR_FILENO);
}
/* [end] */

static cease_error waits(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}

TEST(example_snapshot_text)
{
    char path[300], text[4096] = "";
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, waits, NULL));
    CHECK_OK(show_when_asked());
    snprintf(path, sizeof path, "%s/tree", harness_temp_dir());
    for (int json = 0; json < 2; json++) {
        FILE *out = fopen(path, "w+e");
        CHECK(out != NULL);
        CHECK_OK(show(out, json));
        rewind(out);
        CHECK(fread(text, 1, sizeof text - 1, out) > 0);
        CHECK(strstr(text, json ? "\"tasks\"" : "1 tasks") || strstr(text, "1 task"));
        fclose(out);
    }
    last_words();
    (void)cease_group_stop(g);
    cease_group_free(g);
    CHECK_OK(cease_runtime_stop()); /* the former handler of SIGQUIT is back */
}
