#include "harness.h"

/* [example] */
#include <cease/file.h>

/* Copies what is in one file to another, and waits until the disk has it. */
static cease_error copy(cease_ctx *ctx, cease_file *from, cease_file *to)
{
    char buf[16384];
    uint64_t at = 0;
    size_t count;
    cease_error err;
    while ((err = cease_file_read(ctx, from, buf, sizeof buf, at, &count)) == CEASE_OK) {
        if ((err = cease_file_write(ctx, to, buf, count, at, NULL)) != CEASE_OK)
            return err;
        at += count;
    }
    return err == CEASE_EOF ? cease_file_sync(ctx, to) : err;
}

static cease_error copy_file(cease_ctx *ctx, const char *from, const char *to)
{
    cease_file *source = NULL, *target = NULL;
    cease_error err = cease_file_open(ctx, from, O_RDONLY, 0, &source);
    if (err == CEASE_OK)
        err = cease_file_open(ctx, to, O_WRONLY | O_CREAT | O_TRUNC, 0644, &target);
    if (err == CEASE_OK)
        err = copy(ctx, source, target);
    cease_file_close(source);
    cease_file_close(target);
    return err;
}
/* [end] */

#include <stdio.h>

TEST(example_file_open)
{
    char path[300];
    uint64_t size = 0;
    cease_file *f;
    snprintf(path, sizeof path, "%s/copy", harness_temp_dir());
    CHECK_OK(copy_file(cease_background(), "/etc/passwd", path));
    CHECK_OK(cease_file_open(cease_background(), path, O_RDONLY, 0, &f));
    CHECK_OK(cease_file_size(cease_background(), f, &size));
    CHECK(size > 0);
    cease_file_close(f);
}
