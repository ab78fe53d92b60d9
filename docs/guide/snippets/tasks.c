/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/tasks.md.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/test.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- tasks ------------------------------------------------------------------------------------------ */

/* [task] */
static cease_error remind(cease_ctx *ctx, void *arg)
{
    char *text = arg; /* handed over: ours */
    cease_error err = cease_sleep(ctx, cease_ms(1));
    if (err == CEASE_OK)
        puts(text);
    free(text);
    return err; /* of a detached task: to nobody */
}

static cease_error remind_later(cease_ctx *ctx, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return CEASE_ENOMEM;
    cease_error err = cease_go(ctx, remind, copy);
    if (err != CEASE_OK)
        free(copy); /* it will not run: copy is still ours */
    return err;
}
/* [end] */

TEST(guide_task)
{
    CHECK_OK(remind_later(cease_background(), "later"));
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

/* [detach] */
static cease_error log_visit(cease_ctx *request, cease_task_fn *write_log, void *entry)
{
    cease_ctx *kept = cease_without_cancel(request); /* the values, not the end */
    cease_error err = cease_go(kept, write_log, entry);
    cease_unref(kept); /* the task has a reference of its own */
    return err;
}
/* [end] */

static cease_error write_nothing(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_err(ctx);
}

TEST(guide_detach)
{
    CHECK_OK(log_visit(cease_background(), write_nothing, NULL));
    struct cease_runtime_counts counts = {.size = sizeof counts};
    CHECK_EVENTUALLY((cease_runtime_count(&counts), counts.tasks == 0));
}

/* ---- groups ------------------------------------------------------------------------------------------ */

/* [group] */
struct question {
    const char *backend;
    int answer;
};

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct question *q = arg;
    cease_error err = cease_sleep(ctx, cease_ms(1)); /* the network */
    if (err == CEASE_OK)
        q->answer = (int)strlen(q->backend);
    return err;
}

static cease_error ask_all(cease_ctx *ctx, struct question *questions, size_t count)
{
    cease_group *group = cease_group_new(ctx, NULL);
    cease_error err = CEASE_OK;
    for (size_t i = 0; i < count && err == CEASE_OK; i++)
        err = cease_group_go(group, ask, &questions[i]);
    if (err == CEASE_OK)
        err = cease_group_wait(group); /* the first error, after all have returned */
    cease_group_free(group);           /* on any way out: stops and joins what still runs */
    return err;
}
/* [end] */

TEST(guide_group)
{
    struct question questions[] = {{"one", 0}, {"three", 0}};
    CHECK_OK(ask_all(cease_background(), questions, 2));
    CHECK_EQ(questions[0].answer + questions[1].answer, 8);
}

/* [limit] */
static cease_error fetch_all(cease_ctx *ctx, cease_task_fn *fetch, void **jobs, size_t count)
{
    cease_group_opts opts = {.size = sizeof opts, .limit = 8};
    cease_group *group = cease_group_new(ctx, &opts);
    cease_error err = CEASE_OK;
    for (size_t i = 0; i < count && err == CEASE_OK; i++) /* waits while eight are at work */
        err = cease_group_go_wait(cease_group_ctx(group), group, fetch, jobs[i]);
    cease_error failed = cease_group_wait(group);
    cease_group_free(group);
    return failed != CEASE_OK ? failed : err; /* what a task said first, not the waiting's end */
}
/* [end] */

static cease_error count_up(cease_ctx *ctx, void *arg)
{
    cease_error err = cease_sleep(ctx, cease_us(10));
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
    return err;
}

TEST(guide_limit)
{
    int count = 0;
    void *jobs[30];
    for (int i = 0; i < 30; i++)
        jobs[i] = &count;
    CHECK_OK(fetch_all(cease_background(), count_up, jobs, 30));
    CHECK_EQ(count, 30);
}

/* ---- channels ------------------------------------------------------------------------------------------ */

/* [pipe] */
static cease_error produce(cease_ctx *ctx, void *arg)
{
    cease_chan *out = arg;
    cease_error err = CEASE_OK;
    for (int i = 1; i <= 10 && err == CEASE_OK; i++)
        err = cease_chan_send(ctx, out, &i);
    cease_chan_close(out); /* the sender closes: it knows that nothing more comes */
    return err;
}

static cease_error add_up(cease_ctx *ctx, cease_chan *in, int *ret_sum)
{
    int value, sum = 0;
    cease_error err;
    while ((err = cease_chan_recv(ctx, in, &value)) == CEASE_OK)
        sum += value;
    if (err != CEASE_ECLOSED)
        return err; /* the context's */
    *ret_sum = sum;
    return CEASE_OK;
}
/* [end] */

TEST(guide_pipe)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, produce, ch));
    int sum = 0;
    CHECK_OK(add_up(cease_background(), ch, &sum));
    CHECK_EQ(sum, 55);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_chan_unref(ch);
}

/* [own] */
static void drop_text(void *value)
{
    free(*(char **)value);
}

static cease_chan *texts_new(size_t capacity)
{
    cease_chan *texts = cease_chan_new(sizeof(char *), capacity);
    cease_chan_on_drop(texts, drop_text); /* for what nobody has received in the end */
    return texts;
}

static cease_error text_send(cease_ctx *ctx, cease_chan *texts, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return CEASE_ENOMEM;
    cease_error err = cease_chan_send(ctx, texts, &copy);
    if (err != CEASE_OK)
        free(copy); /* not sent: still ours */
    return err;
}
/* [end] */

TEST(guide_own)
{
    cease_chan *texts = texts_new(2);
    CHECK_OK(text_send(cease_background(), texts, "left inside"));
    cease_chan_close(texts);
    CHECK_ERR(text_send(cease_background(), texts, "too late"), CEASE_ECLOSED);
    cease_chan_unref(texts);
}

/* [select] */
/* The first of two answers, or the error of whatever ended the wait. */
static cease_error first_answer(cease_ctx *ctx, cease_chan *one, cease_chan *other, int *ret_answer)
{
    int answer;
    cease_case cases[] = {CEASE_RECV(one, &answer), CEASE_RECV(other, &answer)};
    for (;;) {
        size_t fired;
        cease_error err = cease_select(ctx, cases, 2, &fired);
        if (err != CEASE_OK)
            return err;
        if (cases[fired].result == CEASE_OK) {
            *ret_answer = answer;
            return CEASE_OK;
        }
        cases[fired].ch = NULL; /* closed: switch this case off, wait for the other */
        if (cases[1 - fired].ch == NULL)
            return CEASE_ECLOSED;
    }
}
/* [end] */

TEST(guide_select)
{
    cease_chan *one = cease_chan_new(sizeof(int), 1), *other = cease_chan_new(sizeof(int), 1);
    int answer = 0;
    cease_chan_close(one);
    CHECK_OK(cease_chan_try_send(other, &(int){42}));
    CHECK_OK(first_answer(cease_background(), one, other, &answer));
    CHECK_EQ(answer, 42);
    cease_chan_close(other);
    CHECK_ERR(first_answer(cease_background(), one, other, &answer), CEASE_ECLOSED);
    cease_chan_unref(one);
    cease_chan_unref(other);
}

/* ---- cancelling well ------------------------------------------------------------------------------------- */

/* [loop] */
static cease_error checksum(cease_ctx *ctx, const unsigned char *data, size_t size,
                            unsigned *ret_sum)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + data[i];
        if (i % 65536 == 65535) {
            if (cease_done(ctx))
                return cease_err(ctx);
            cease_yield(); /* nobody takes the processor away from a task */
        }
    }
    *ret_sum = sum;
    return CEASE_OK;
}
/* [end] */

TEST(guide_loop)
{
    static unsigned char data[200000];
    unsigned sum = 1;
    CHECK_OK(checksum(cease_background(), data, sizeof data, &sum));
    CHECK_EQ(sum, 0);
}

/* [cleanup] */
static cease_error with_lock_file(cease_ctx *ctx, const char *path,
                                  cease_error (*work)(cease_ctx *))
{
    int fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600);
    if (fd < 0)
        return (cease_error)-errno;
    cease_error err = work(ctx); /* returns soon after ctx has ended, by ordinary returns */
    close(fd);
    unlink(path); /* so this runs, whatever ended the work */
    return err;
}
/* [end] */

static cease_error sleep_long(cease_ctx *ctx)
{
    return cease_sleep(ctx, cease_hour(1));
}

TEST(guide_cleanup)
{
    char path[300];
    snprintf(path, sizeof path, "%s/lock", harness_temp_dir());
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(with_lock_file(ctx, path, sleep_long), CEASE_EDEADLINE);
    CHECK(access(path, F_OK) != 0);
    cease_end(stop);
}

/* ---- what must not be done ---------------------------------------------------------------------------------- */

/* [blocking] */
struct dump {
    const char *path;
    bool ok;
};

static void dump_now(
    void *arg) /* on a thread of the block pool: may block for as long as it likes */
{
    struct dump *dump = arg;
    FILE *out = fopen(dump->path, "we");
    dump->ok = out != NULL && fputs("state\n", out) >= 0;
    if (out != NULL)
        dump->ok = fclose(out) == 0 && dump->ok;
}

static cease_error dump_state(cease_ctx *ctx, const char *path)
{
    struct dump dump = {.path = path};
    cease_error err = cease_block(ctx, dump_now, NULL, &dump); /* parks this task meanwhile */
    return err != CEASE_OK ? err : dump.ok ? CEASE_OK : CEASE_EIO;
}
/* [end] */

TEST(guide_blocking)
{
    char path[300];
    snprintf(path, sizeof path, "%s/dump", harness_temp_dir());
    CHECK_OK(dump_state(cease_background(), path));
    unlink(path);
}

/* [nopark] */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static int table[4];

static int table_sum(void (*each)(int value))
{
    int sum = 0;
    pthread_mutex_lock(&table_lock);
    cease_nopark scope;
    cease_nopark_begin(&scope); /* `each` must not wait; under CEASE_DEBUG it cannot */
    for (int i = 0; i < 4; i++) {
        each(table[i]);
        sum += table[i];
    }
    cease_nopark_end(&scope);
    pthread_mutex_unlock(&table_lock);
    return sum;
}
/* [end] */

static void look_at(int value)
{
    CHECK_EQ(value, 0);
}

TEST(guide_nopark)
{
    CHECK_EQ(table_sum(look_at), 0);
}

/* ---- testing -------------------------------------------------------------------------------------------------- */

/* [test] */
static cease_error a_slow_backend_costs_its_budget_only(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_time begin = cease_now();
    cease_canceler *stop;
    cease_ctx *budget = cease_with_timeout(ctx, cease_sec(30), &stop);
    cease_error err = sleep_long(budget); /* an hour, in no time */
    cease_end(stop);
    bool ok = err == CEASE_EDEADLINE && cease_time_sub(cease_now(), begin).ns == cease_sec(30).ns;
    return ok ? CEASE_OK : CEASE_EINVAL;
}
/* [end] */

TEST(guide_test)
{
    CHECK_OK(cease_test_run(NULL, a_slow_backend_costs_its_budget_only, NULL));
}
