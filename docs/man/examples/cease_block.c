#include "harness.h"

#include <string.h>

/* [example] */
#include <cease/block.h>
#include <errno.h>
#include <stdio.h>

struct reading {
    const char *path;
    char line[128];
    cease_error result;
};

/* On a thread that may block, with `arg` on the stack of the task that waits. */
static void read_first_line(void *arg)
{
    struct reading *r = arg;
    FILE *file = fopen(r->path, "re");
    if (file == NULL) {
        r->result = (cease_error)-errno;
        return;
    }
    r->result = fgets(r->line, sizeof r->line, file) != NULL ? CEASE_OK : CEASE_EOF;
    fclose(file);
}

static cease_error first_line(cease_ctx *ctx, struct reading *r)
{
    cease_error err = cease_block(ctx, read_first_line, NULL, r); /* not to be interrupted */
    return err != CEASE_OK ? err : r->result;
}
/* [end] */

TEST(example_block)
{
    struct reading r = {.path = "/proc/self/comm"};
    CHECK_OK(first_line(cease_background(), &r));
    CHECK(strlen(r.line) > 0);
    r.path = "/proc/self/no-such-file";
    CHECK_ERR(first_line(cease_background(), &r), CEASE_ENOENT);
}
