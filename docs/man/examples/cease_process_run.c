#include "harness.h"

/* [example] */
#include <cease/process.h>
#include <string.h>

/* How many lines `text` has, as wc(1) says. */
static cease_error count_lines(cease_ctx *ctx, const char *text, char *ret_count, size_t size)
{
    const char *argv[] = {"wc", "-l", NULL};
    cease_process_opts opts = {
        .size = sizeof opts, .argv = argv, .input = text, .input_size = strlen(text)};
    cease_process_result result;
    cease_error err = cease_process_run(ctx, &opts, &result);
    if (err != CEASE_OK)
        return err; /* nothing of it is left, neither process nor memory */
    if (result.status != 0 || result.signal != 0 || result.output_size >= size)
        err = CEASE_EIO;
    else
        memcpy(ret_count, result.output, result.output_size + 1);
    cease_process_result_deinit(&result);
    return err;
}
/* [end] */

TEST(example_process_run)
{
    char count[16];
    CHECK_OK(count_lines(cease_background(), "a\nb\n", count, sizeof count));
    CHECK_STR(count, "2\n");
}
