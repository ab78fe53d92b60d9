/* SPDX-License-Identifier: MIT
 *
 * cease/process.h: programs that are run, and reaped, under a context.
 *
 * cease_process_run starts a program in a process group of its own, gives it its input, collects
 * what it writes, and returns when it has ended. Nothing that works for the request outlives it:
 * when the context ends, the whole group gets SIGTERM, and SIGKILL when a grace period is over; and
 * when the program has ended by itself, whatever is left in its group is killed before the
 * program's process is reaped. What should live on, a daemon, leaves the group with setsid(2).
 *
 * The program gets default signal dispositions, an empty signal mask, standard input, output and
 * error, and no other fd of this process. The calling process must not reap children that it does
 * not know (no wait(-1), no ignored SIGCHLD): the exit status would be lost, and the call says
 * -ECHILD.
 */
#ifndef CEASE_PROCESS_H
#define CEASE_PROCESS_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/time.h>

CEASE_BEGIN_DECLS

/* What to run. All zero but argv means the defaults. Borrowed until the call returns. */
typedef struct cease_process_opts {
    size_t size;             /* sizeof(cease_process_opts)                                  */
    const char *const *argv; /* the program and its arguments, NULL at the end; without a
                              * slash it is looked up in this process's PATH                */
    const char *const *env;  /* NULL at the end; NULL: this process's environment           */
    const char *dir;         /* the working directory, where a relative program path starts
                              * too; NULL: this process's                                   */
    const void *input;       /* what the program reads on its standard input                */
    size_t input_size;       /* bytes; 0: nothing, the input is /dev/null                   */
    size_t output_max;       /* bytes, for standard output and error each; 0: 16 MiB        */
    cease_dur grace;         /* from SIGTERM to SIGKILL; 0: 5 s; negative: SIGKILL at once  */
} cease_process_opts;

/* How it ended. The texts are the result's own, for cease_process_result_deinit, and end with a NUL
 * that is not counted. */
typedef struct cease_process_result {
    int status;           /* the exit status, 0 to 255; 0 when a signal ended it            */
    int signal;           /* the signal that ended it; 0: it exited                         */
    char *output;         /* what it wrote to standard output; not NULL after CEASE_OK      */
    size_t output_size;   /* bytes                                                          */
    char *errors;         /* what it wrote to standard error; not NULL after CEASE_OK       */
    size_t errors_size;   /* bytes                                                          */
    struct rusage rusage; /* of the program and the children that it waited for             */
} cease_process_result;

/* Runs a program to its end.
 *
 * CEASE_OK says that it ran and ended by itself, also with a status other than 0 or by a signal:
 * look at *ret. A program that has ended before the context is never reported as cancelled.
 *
 * Output is read until both streams are closed or the program has ended; what a process that it
 * left behind has written by then is included, what it writes later is not waited for. More than
 * output_max bytes on either stream end the group as the context's end does, and the call returns
 * CEASE_EMSGSIZE.
 *
 * Parks: yes; when ctx ends, until the group is dead: for up to opts->grace
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: *ret is the caller's with CEASE_OK, for cease_process_result_deinit; untouched on error
 * Errors: ctx's; what the start met (CEASE_ENOENT, CEASE_EACCES, a missing dir, CEASE_EMFILE, …);
 * CEASE_EMSGSIZE; CEASE_ENOMEM; CEASE_EINVAL for missing or empty argv; -ECHILD when somebody else
 * reaped it
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_process_run(cease_ctx *ctx, const cease_process_opts *opts,
                                           cease_process_result *ret);

/* Frees what the result holds and zeroes it. A zeroed result is fine.
 *
 * Parks: no
 * Callers: the result's owner
 * Owns: takes the texts
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_process_result_deinit(cease_process_result *r);

CEASE_END_DECLS

#endif
