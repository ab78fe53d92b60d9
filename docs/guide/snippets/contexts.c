/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/contexts.md. What stands between a name in brackets and `[end]` is shown
 * there; the rest makes it a program and runs it. tools/make-man --guide copies a change into the
 * chapter.
 */
#include "harness.h"

#include <cease/context.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- deriving ---- */

struct page {
    int parts;
    cease_time until; /* the deadline of the last step */
};

static cease_error load(cease_ctx *ctx, struct page *page)
{
    page->parts++;
    CHECK(cease_deadline(ctx, &page->until));
    return cease_err(ctx);
}

/* [passing_on] */
static cease_error load_body(cease_ctx *ctx, struct page *page)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    /* At most 50 ms for this step. When less is left of the request, that is what counts. */
    cease_ctx *step = cease_with_timeout(ctx, cease_ms(50), &stop);
    return load(step, page);
}
/* [end] */

/* [deriving] */
static cease_error handle(cease_ctx *request, struct page *page)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(request, cease_ms(200), &stop);
    cease_error err = load(ctx, page);
    if (err == CEASE_OK)
        err = load_body(ctx, page);
    return err; /* here the context ends, and with it whatever still works for it */
}
/* [end] */

TEST(guide_deriving)
{
    struct page page = {0};
    cease_canceler *stop;
    cease_time until = cease_time_add(cease_now(), cease_ms(20));
    cease_ctx *request = cease_with_deadline(cease_background(), until, &stop);
    cease_error err = handle(request, &page);
    if (err == CEASE_OK) { /* unless this machine was slow */
        CHECK_EQ(page.parts, 2);
        CHECK_EQ(page.until.ns, until.ns);
    }
    cease_cancel(stop);
    CHECK(handle(request, &page) != CEASE_OK);
    cease_end(stop);
    CHECK_OK(handle(cease_background(), &page));
}

/* ---- causes ---- */

/* [causes] */
enum stop_code { CLIENT_LEFT = 1, QUOTA_USED_UP };

static void on_quota(cease_canceler *stop, unsigned used, unsigned quota)
{
    cease_cancel_cause(stop, QUOTA_USED_UP, "%u of %u requests used", used, quota);
}
/* [end] */

/* [reading_causes] */
static void log_end(const cease_ctx *ctx, FILE *log)
{
    const cease_cause *cause = cease_cause_of(ctx);
    if (cause == NULL)
        return; /* still open */
    fprintf(log, "%s: %s (code %d) by %s()\n", cease_error_name(cause->error), cause->text,
            cause->code, cause->place->function);
}
/* [end] */

TEST(guide_causes)
{
    char line[128] = "";
    cease_canceler *stop, *stop_child;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *child = cease_with_cancel(ctx, &stop_child);
    FILE *log = fmemopen(line, sizeof line, "w");
    log_end(child, log);
    on_quota(stop, 10, 9);
    cease_cancel_cause(stop, CLIENT_LEFT, NULL);
    log_end(child, log);
    fclose(log);
    CHECK_STR(line, "CEASE_ECANCELED: 10 of 9 requests used (code 2) by on_quota()\n");
    cease_end(stop_child);
    cease_end(stop);
}

/* [budgets] */
static cease_error ask_index(cease_ctx *request, cease_error (*ask)(cease_ctx *ctx))
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout_cause(request, cease_ms(30), 0, "the index is slow", &stop);
    cease_error err = ask(ctx);
    if (err == CEASE_EDEADLINE)
        fprintf(stderr, "%s\n", cease_cause_of(ctx)->text); /* this budget, or the request's? */
    return err;
}
/* [end] */

TEST(guide_budgets)
{
    CHECK_ERR(ask_index(cease_background(), cease_wait), CEASE_EDEADLINE);
}

/* ---- looking and waiting ---- */

/* [looking] */
static cease_error count_lines(cease_ctx *ctx, const char *text, size_t size, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (i % 4096 == 0 && cease_done(ctx))
            return cease_err(ctx);
        count += text[i] == '\n';
    }
    *ret_count = count;
    return CEASE_OK;
}
/* [end] */

TEST(guide_looking)
{
    size_t count = 0;
    CHECK_OK(count_lines(cease_background(), "a\nb\n", 4, &count));
    CHECK_EQ(count, 2);
}

/* [retrying] */
static cease_error retry(cease_ctx *ctx, cease_error (*attempt)(cease_ctx *ctx))
{
    cease_dur wait = cease_ms(1);
    for (;;) {
        cease_error err = attempt(ctx);
        if (err != CEASE_EAGAIN)
            return err;
        cease_canceler *stop;
        cease_ctx *pause = cease_with_timeout(ctx, wait, &stop);
        cease_wait(pause); /* until the pause is over, or ctx is done */
        cease_end(stop);
        if (cease_done(ctx))
            return cease_err(ctx);
        wait = cease_ns(wait.ns * 2);
    }
}
/* [end] */

static int attempts;
static cease_error third_time_lucky(cease_ctx *ctx)
{
    (void)ctx;
    return ++attempts < 3 ? CEASE_EAGAIN : CEASE_OK;
}
static cease_error never_lucky(cease_ctx *ctx)
{
    (void)ctx;
    return CEASE_EAGAIN;
}

TEST(guide_retrying)
{
    CHECK_OK(retry(cease_background(), third_time_lucky));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(3), &stop);
    CHECK_ERR(retry(ctx, never_lucky), CEASE_EDEADLINE);
    cease_end(stop);
}

/* ---- values ---- */

/* [values] */
struct trace {
    char id[17];
};

/* trace.c keeps the key to itself; trace.h declares the two functions. */
static cease_key trace_key = CEASE_KEY_OWNED("trace", free);

static cease_ctx *trace_new_context(cease_ctx *parent, const char *id)
{
    struct trace *trace = calloc(1, sizeof *trace);
    if (trace != NULL)
        snprintf(trace->id, sizeof trace->id, "%s", id);
    return cease_with_value(parent, &trace_key, trace); /* consumes it in any case */
}

static const char *trace_id(const cease_ctx *ctx)
{
    const struct trace *trace = cease_value(ctx, &trace_key);
    return trace != NULL ? trace->id : "-";
}
/* [end] */

TEST(guide_values)
{
    CEASE_AUTO_UNREF cease_ctx *ctx = trace_new_context(cease_background(), "4711");
    cease_canceler *stop;
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    CHECK_STR(trace_id(child), "4711");
    CHECK_STR(trace_id(cease_background()), "-");
    cease_end(stop);
}

/* ---- being told ---- */

/* [watch] */
struct engine {
    int abort; /* atomic: what the engine looks at between two steps */
};

static void abort_engine(void *arg)
{
    struct engine *engine = arg;
    __atomic_store_n(&engine->abort, 1, __ATOMIC_RELEASE);
}

static bool run_engine(cease_ctx *ctx, struct engine *engine, bool (*run)(struct engine *engine))
{
    cease_watch watch = {0}; /* on the stack: no allocation, and it cannot fail */
    cease_watch_add(&watch, ctx, abort_engine, engine);
    bool ok = run(engine);
    cease_watch_remove_sync(&watch); /* from here on the callback does not run */
    return ok;
}
/* [end] */

static bool run_until_aborted(struct engine *engine)
{
    while (!__atomic_load_n(&engine->abort, __ATOMIC_ACQUIRE))
        poll(NULL, 0, 1);
    return false;
}

TEST(guide_watch)
{
    struct engine engine = {0};
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK(!run_engine(ctx, &engine, run_until_aborted));
    cease_end(stop);
}

/* [after_func] */
static void remove_upload(void *arg)
{
    char *path = arg;
    if (unlink(path) != 0 && errno != ENOENT) /* may block: it has a thread or task of its own */
        perror(path);
    free(path);
}

/* The file goes when the request ends, unless the result is stopped before. */
static cease_after *remove_with(cease_ctx *request, const char *path)
{
    char *copy = strdup(path);
    cease_after *after = copy != NULL ? cease_after_func(request, remove_upload, copy) : NULL;
    if (after == NULL)
        free(copy); /* it will never run */
    return after;
}
/* [end] */

TEST(guide_after_func)
{
    char path[256];
    snprintf(path, sizeof path, "%s/upload", harness_temp_dir());
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fclose(file);
    cease_canceler *stop;
    cease_ctx *request = cease_with_cancel(cease_background(), &stop);
    cease_after *after = remove_with(request, path);
    cease_end(stop);
    CHECK(!cease_after_stop(after));
    CHECK_EVENTUALLY(access(path, F_OK) != 0);
}

/* [done_fd] */
static cease_error poll_under(cease_ctx *ctx, struct pollfd *fds, nfds_t count)
{
    /* The last entry is ours: the caller leaves room for it. */
    int done = cease_done_fd(ctx);
    if (done < 0)
        return (cease_error)done;
    fds[count] = (struct pollfd){.fd = done, .events = POLLIN};
    while (poll(fds, count + 1, -1) < 0) {
        if (errno != EINTR)
            return (cease_error)-errno;
    }
    return fds[count].revents != 0 ? cease_err(ctx) : CEASE_OK;
}
/* [end] */

TEST(guide_done_fd)
{
    struct pollfd fds[1];
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(poll_under(ctx, fds, 0), CEASE_EDEADLINE);
    cease_end(stop);
}

/* ---- cleaning up ---- */

struct lease {
    bool held;
};
static cease_error lease_take(cease_ctx *ctx, struct lease *lease)
{
    cease_error err = cease_err(ctx); /* asked once: it may end in between */
    lease->held = err == CEASE_OK;
    return err;
}
static cease_error lease_give_back(cease_ctx *ctx, struct lease *lease)
{
    cease_error err = cease_err(ctx);
    if (err == CEASE_OK)
        lease->held = false;
    return err;
}

/* [grace] */
static cease_error with_lease(cease_ctx *request, struct lease *lease,
                              cease_error (*work)(cease_ctx *ctx))
{
    cease_error err = lease_take(request, lease);
    if (err != CEASE_OK)
        return err;
    err = work(request); /* ends early when the request does */
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *cleanup = cease_with_grace(request, cease_sec(2), &stop);
    cease_error undone = lease_give_back(cleanup, lease);
    return err != CEASE_OK ? err : undone;
}
/* [end] */

TEST(guide_grace)
{
    struct lease lease = {false};
    cease_canceler *stop;
    cease_ctx *request = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(with_lease(request, &lease, cease_wait), CEASE_EDEADLINE);
    CHECK(!lease.held);
    cease_end(stop);
}

/* ---- mistakes ---- */

/* [mistake_blocking] */
static void wait_for_other(void *arg)
{
    cease_wait(arg); /* wrong: aborts here, and names the place of the cease_watch_add() */
}
/* [end] */

TEST_ABORTS(guide_mistake_blocking, "callback")
{
    cease_canceler *stop, *stop_other;
    cease_watch watch = {0};
    cease_ctx *other = cease_with_cancel(cease_background(), &stop_other);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_watch_add(&watch, ctx, wait_for_other, other);
    cease_cancel(stop);
}

/* [mistake_unref] */
static void give_back_twice(cease_ctx *request)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(request, &stop);
    cease_unref(ctx); /* wrong: the context is the canceler's; this aborts */
}
/* [end] */

TEST_ABORTS(guide_mistake_unref, "cease_unref")
{
    give_back_twice(cease_background());
}

/* [returning] */
static cease_ctx *begin_session(cease_ctx *parent, cease_canceler **ret_stop)
{
    return cease_with_timeout(parent, cease_min(30), ret_stop); /* the caller ends it */
}
/* [end] */

TEST(guide_returning)
{
    cease_canceler *stop;
    CHECK_OK(cease_err(begin_session(cease_background(), &stop)));
    cease_end(stop);
}

/* [fork] */
static int run_in_child(cease_ctx *ctx, int (*run)(cease_ctx *ctx))
{
    pid_t pid = fork();
    if (pid != 0)
        return (int)pid;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    _exit(run(cease_with_timeout(ctx, cease_sec(5), &stop))); /* new contexts work in the child */
}
/* [end] */

static int check_child(cease_ctx *ctx)
{
    return cease_err(ctx) == CEASE_OK ? 7 : 1;
}

TEST(guide_fork)
{
    int status = 0;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    int pid = run_in_child(ctx, check_child);
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 7);
    cease_end(stop);
}
