/* SPDX-License-Identifier: MIT
 *
 * process.c: running a program under a context.
 *
 * The idea: everything that can happen to a running program is an fd (its end by pidfd, its two
 * output streams), and the three of them sit in an epoll instance of the run's own, which is one fd
 * to wait for. So one loop in the caller's task or thread does it all.
 *
 *     RUNNING  -> ENDED        the pidfd is readable
 *              -> TERMINATING  ctx is done, or the output is too large, or a read failed: SIGTERM
 *     TERMINATING -> ENDED
 *              -> KILLING      the grace period is over: SIGKILL
 *     KILLING  -> ENDED
 *
 * Each state has its own context to wait under: the caller's, one with the grace as its deadline,
 * none. From TERMINATING on, output is read and thrown away, so that a program that cleans up never
 * waits for us. A run that reaches ENDED from RUNNING is a success, even when ctx ended in the same
 * moment: nothing that was completed is reported as cancelled.
 *
 * The start is in process_start.c. The program's process id is ours until it is reaped, because
 * nobody else does that; so the group, whose number is the same, is always signalled before.
 */
#include "runtime/process.h"

#include "runtime/wait.h"

#include <cease/block.h>
#include <cease/fd.h>
#include <cease/task.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define OUTPUT_MAX_DEFAULT ((size_t)16 << 20) /* bytes */
#define GRACE_DEFAULT_S    5
#define READ_SIZE_MIN      4096 /* bytes that are free in the buffer before a read */

/* ---- while it runs --------------------------------------------------------------------------- */

static void signal_group(struct ceasei_run *run, int signal)
{
    /* The program may have moved to another group; SIGKILL must reach it wherever it is. */
    if (kill(-run->pid, signal) < 0 || signal == SIGKILL) {
        (void)syscall(SYS_pidfd_send_signal, run->pidfd, signal, NULL, 0);
    }
}

/* The run cannot be a success any more, because of e; what was first counts. Ends the program. */
static void fail(struct ceasei_run *run, cease_error e)
{
    if (!run->error) {
        run->error = e;
    }
    if (run->state == CEASEI_RUN_RUNNING) {
        run->state = run->opts.grace.ns < 0 ? CEASEI_RUN_KILLING : CEASEI_RUN_TERMINATING;
        signal_group(run, run->state == CEASEI_RUN_KILLING ? SIGKILL : SIGTERM);
    }
}

static void stream_close(struct ceasei_run *run, struct ceasei_stream *s)
{
    epoll_ctl(run->epoll, EPOLL_CTL_DEL, s->fd, NULL); /* the program may hold a copy of our end */
    ceasei_close_fd(&s->fd);
}

/* Sees to room for a read and for the NUL at the end. One read above the limit is enough to know
 * that it was passed, so the buffer stays below twice the limit and a bit. */
static cease_error make_room(struct ceasei_stream *s)
{
    if (s->room - s->size > READ_SIZE_MIN) {
        return CEASE_OK;
    }
    size_t room = s->room ? s->room * 2 : READ_SIZE_MIN * 2;
    char *data = realloc(s->data, room);
    if (!data) {
        return CEASE_ENOMEM;
    }
    s->data = data;
    s->room = room;
    return CEASE_OK;
}

/* Reads once, and keeps it while the run may still be a success. False: no more for now, or ever.
 */
static bool stream_read(struct ceasei_run *run, struct ceasei_stream *s)
{
    char waste[READ_SIZE_MIN];
    cease_error e = run->error ? CEASE_OK : make_room(s);
    if (e) {
        fail(run, e);
    }
    ssize_t n = run->error ? read(s->fd, waste, sizeof waste)
                           : read(s->fd, s->data + s->size, s->room - s->size - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return errno == EINTR;
    }
    if (n <= 0) {
        stream_close(run, s);
        return false;
    }
    if (!run->error) {
        s->size += (size_t)n;
        if (s->size > run->opts.output_max) {
            fail(run, CEASE_EMSGSIZE);
        }
    }
    return true;
}

/* Takes what the fds have to say now, without waiting. */
static void handle_events(struct ceasei_run *run)
{
    struct epoll_event events[3];
    int n = epoll_wait(run->epoll, events, 3, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == run->pidfd) {
            run->state = CEASEI_RUN_ENDED;
        } else if (fd == run->out.fd) {
            stream_read(run, &run->out);
        } else if (fd == run->err.fd) {
            stream_read(run, &run->err);
        }
    }
}

static bool has_ended(const struct ceasei_run *run)
{
    siginfo_t info = {0};
    return waitid((idtype_t)P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid != 0;
}

/* The wait under `ctx` has failed: with the context's error, or with one of the poller's. */
static void on_wait_failed(struct ceasei_run *run, cease_ctx *ctx, cease_error e)
{
    if (has_ended(run)) {
        run->state = CEASEI_RUN_ENDED; /* it was faster */
    } else if (run->state == CEASEI_RUN_RUNNING && cease_err(ctx)) {
        fail(run, e);
    } else { /* the grace is over; or waiting itself is impossible, for want of memory or fds */
        fail(run, e);
        run->state = CEASEI_RUN_KILLING;
        signal_group(run, SIGKILL);
    }
}

/* For the case that no wait can be set up: the program has got SIGKILL. */
static void wait_job(void *arg)
{
    struct ceasei_run *run = arg;
    siginfo_t info;
    while (waitid((idtype_t)P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR) {
    }
}

/* Waits under `ctx` until the state is another one. */
static void wait_in_state(struct ceasei_run *run, cease_ctx *ctx)
{
    enum ceasei_run_state state = run->state;
    while (run->state == state) {
        cease_error e = cease_fd_wait(ctx, run->epoll, CEASE_READABLE);
        if (!e) {
            handle_events(run);
            cease_yield(); /* a program that always has output must not hold the worker */
        } else if (state != CEASEI_RUN_KILLING) {
            on_wait_failed(run, ctx, e);
        } else {
            if (cease_block(ctx, wait_job, NULL, run)) {
                wait_job(run);
            }
            run->state = CEASEI_RUN_ENDED;
        }
    }
}

static void wait_for_end(struct ceasei_run *run, cease_ctx *ctx)
{
    wait_in_state(run, ctx);
    if (run->state == CEASEI_RUN_TERMINATING) {
        cease_canceler *stop;
        cease_ctx *grace = cease_with_grace(ctx, run->opts.grace, &stop);
        wait_in_state(run, grace);
        cease_end(stop);
    }
    if (run->state == CEASEI_RUN_KILLING) {
        wait_in_state(run, cease_background());
    }
}

/* ---- afterwards -------------------------------------------------------------------------------
 */

/* The program has ended and is not reaped yet, so its number is still its group's and nobody
 * else's: what it left behind in the group goes now. */
static void reap(struct ceasei_run *run, cease_process_result *result)
{
    siginfo_t info;
    if (waitid((idtype_t)P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
        run->error = run->error ? run->error : (cease_error)-errno; /* somebody has reaped it */
        return;
    }
    kill(-run->pid, SIGKILL);
    while (!run->error && run->out.fd >= 0 && stream_read(run, &run->out)) {
    }
    while (!run->error && run->err.fd >= 0 && stream_read(run, &run->err)) {
    }
    int status = 0;
    while (wait4(run->pid, &status, 0, &result->rusage) < 0) {
        if (errno != EINTR) {
            run->error = run->error ? run->error : (cease_error)-errno;
            return;
        }
    }
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* The text of a stream that the result takes over. */
static char *stream_take(struct ceasei_stream *s)
{
    char *data = s->data ? s->data : malloc(1);
    s->data = NULL;
    if (data) {
        data[s->size] = 0;
    }
    return data;
}

static void run_deinit(struct ceasei_run *run)
{
    struct ceasei_stream *streams[] = {&run->out, &run->err};
    for (size_t i = 0; i < 2; i++) {
        ceasei_close_fd(&streams[i]->fd);
        ceasei_close_fd(&streams[i]->child_fd);
        free(streams[i]->data);
    }
    ceasei_close_fd(&run->input_fd);
    ceasei_close_fd(&run->pidfd);
    ceasei_close_fd(&run->epoll);
}

static bool run_init(struct ceasei_run *run, const cease_process_opts *opts)
{
    *run = (struct ceasei_run){.pidfd = -1, .epoll = -1, .input_fd = -1};
    run->out = run->err = (struct ceasei_stream){.fd = -1, .child_fd = -1};
    if (!opts) {
        return false;
    }
    size_t size = opts->size && opts->size < sizeof run->opts ? opts->size : sizeof run->opts;
    memcpy(&run->opts, opts, size);
    if (run->opts.output_max == 0) {
        run->opts.output_max = OUTPUT_MAX_DEFAULT;
    }
    if (run->opts.grace.ns == 0) {
        run->opts.grace = cease_sec(GRACE_DEFAULT_S);
    }
    return run->opts.argv && run->opts.argv[0] && (run->opts.input || !run->opts.input_size);
}

CEASE_PUBLIC cease_error cease_process_run(cease_ctx *ctx, const cease_process_opts *opts,
                                           cease_process_result *ret)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e) {
        return e;
    }
    struct ceasei_run run;
    cease_process_result result = {0};
    if (!run_init(&run, opts)) {
        return CEASE_EINVAL;
    }
    e = cease_block(ctx, ceasei_process_start, NULL, &run);
    e = e ? e : run.error;
    if (!e) {
        wait_for_end(&run, ctx);
        reap(&run, &result);
        e = run.error;
    }
    if (!e) {
        result.output_size = run.out.size;
        result.errors_size = run.err.size;
        result.output = stream_take(&run.out);
        result.errors = stream_take(&run.err);
        if (!result.output || !result.errors) {
            cease_process_result_deinit(&result);
            e = CEASE_ENOMEM;
        }
    }
    run_deinit(&run);
    if (!e) {
        *ret = result;
    }
    return e;
}

CEASE_PUBLIC void cease_process_result_deinit(cease_process_result *r)
{
    free(r->output);
    free(r->errors);
    *r = (cease_process_result){0};
}
