/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/processes.md.
 */
#include "harness.h"

/* [convert] */
#include <cease/process.h>
#include <string.h>

/* What `tr a-z A-Z` makes of a text; within five seconds, or not at all. */
static cease_error upper(cease_ctx *parent, const char *text, cease_process_result *ret)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(parent, cease_sec(5), &stop);
    const char *argv[] = {"tr", "a-z", "A-Z", NULL};
    const cease_process_opts opts = {.size = sizeof opts,
                                     .argv = argv,
                                     .input = text,
                                     .input_size = strlen(text),
                                     .output_max = 1 << 20,
                                     .grace = cease_ms(100)};
    return cease_process_run(ctx, &opts, ret);
}
/* [end] */

/* [signals] */
#include <cease/signal.h>
#include <stdio.h>

/* Runs the program's work until it is done or somebody wants it to stop. */
static int run_until_told(cease_error (*work)(cease_ctx *ctx))
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_error err = work(ctx);
    if (cease_done(ctx)) {
        const cease_cause *cause = cease_cause_of(ctx);
        fprintf(stderr, "stopped by %s\n", cause->text); /* "SIGTERM" */
        return 128 + cause->code;
    }
    return err == CEASE_OK ? 0 : 1;
}
/* [end] */

#include <signal.h>
#include <unistd.h>

static cease_error stop_oneself(cease_ctx *ctx)
{
    kill(getpid(), SIGTERM);
    return cease_wait(ctx);
}

static cease_error nothing(cease_ctx *ctx)
{
    return cease_err(ctx);
}

TEST(guide_processes_convert)
{
    cease_process_result result;
    cease_error err = upper(cease_background(), "abc", &result);
    CHECK_OK(err);
    CHECK_STR(result.output, "ABC");
    cease_process_result_deinit(&result);
}

TEST(guide_processes_signals)
{
    CHECK_EQ(run_until_told(nothing), 0);
    CHECK_EQ(run_until_told(stop_oneself), 128 + SIGTERM);
}
