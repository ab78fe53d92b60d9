/* [example] */
#include <cease/cease.h>
#include <cease/faults.h>
#include <cease/test.h>
#include <fcntl.h>
#include <stdlib.h>

/* Reads a file of one line. Each call that can fail is made to, in turn. */
static cease_error read_name(cease_ctx *ctx, const char *path, char **ret_name)
{
    cease_file *file;
    size_t n;
    cease_error err = cease_file_open(ctx, path, O_RDONLY, 0, &file);
    if (err != CEASE_OK)
        return err;
    char *name = calloc(1, 64);
    err = name != NULL ? cease_file_read(ctx, file, name, 63, 0, &n) : CEASE_ENOMEM;
    cease_file_close(file);
    if (err != CEASE_OK)
        free(name);
    else
        *ret_name = name;
    return err;
}

static cease_error scenario(cease_ctx *ctx, void *arg)
{
    char *name;
    cease_error err = read_name(ctx, arg, &name);
    if (err == CEASE_OK)
        free(name);
    return err;
}

/* Whether it leaves nothing behind, whatever fails. */
int main(void)
{
    static char path[] = "/proc/sys/kernel/hostname";
    cease_faults_allocations();
    cease_faults_system_calls();
    cease_error err = cease_test_each_failure(NULL, scenario, path);
    return err == CEASE_OK || err == CEASE_ENOTSUP ? 0 : 1; /* the latter under a sanitizer */
}
/* [end] */
