/* SPDX-License-Identifier: MIT
 *
 * A pool of child processes (what make -j does): at most three commands run at a time, each has a budget
 * of its own, and one that hangs, and does not want to be told, takes nobody with it.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 3 };

struct job {
    const char *command;
    cease_dur budget;
    cease_error error; /* as below, written by the task, read after the join */
    cease_process_result result;
};

static cease_error run(cease_ctx *parent, void *arg)
{
    struct job *job = arg;
    const char *argv[] = {"/bin/sh", "-c", job->command, NULL};
    const cease_process_opts opts = {.size = sizeof opts,
                                     .argv = argv,
                                     .output_max = 1000,
                                     .grace = cease_ms(50)}; /* from SIGTERM to SIGKILL */
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout_cause(parent, job->budget, 1, "its budget is over", &stop);
    job->error = cease_process_run(ctx, &opts, &job->result);
    return CEASE_OK; /* the others go on whatever came of this one */
}

int main(void)
{
    struct job jobs[] = {
        {.command = "echo one", .budget = cease_min(1)},
        {.command = "trap '' TERM; while :; do sleep 1000; done", .budget = cease_ms(100)},
        {.command = "sleep 1000 & sleep 1000", .budget = cease_ms(100)}, /* its child goes, too */
        {.command = "exit 3", .budget = cease_min(1)},
        {.command = "kill -USR1 $$", .budget = cease_min(1)},
        {.command = "yes", .budget = cease_min(1)}, /* more than it may say */
        {.command = "wc -c </dev/null", .budget = cease_min(1)},
    };
    enum { JOBS = sizeof jobs / sizeof jobs[0] };
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop); /* Ctrl-C ends all of them */
    const cease_group_opts opts = {.size = sizeof opts, .limit = AT_ONCE};
    cease_group *pool = cease_group_new(ctx, &opts);
    for (size_t i = 0; i < JOBS; i++) {
        cease_error e = cease_group_go_wait(ctx, pool, run, &jobs[i]); /* waits for a free place */
        if (e != CEASE_OK) {
            jobs[i].error = e;
        }
    }
    (void)cease_group_wait(pool);
    cease_group_free(pool);

    int finished = 0, stopped = 0;
    for (size_t i = 0; i < JOBS; i++) {
        struct job *job = &jobs[i];
        if (job->error == CEASE_OK) {
            printf("%-45s status %d, signal %d, said %zu bytes\n", job->command, job->result.status,
                   job->result.signal, job->result.output_size);
            cease_process_result_deinit(&job->result);
            finished++;
        } else {
            printf("%-45s %s\n", job->command, cease_strerror(job->error));
            stopped++;
        }
    }
    return finished == 4 && stopped == 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
