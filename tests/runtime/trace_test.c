/* SPDX-License-Identifier: MIT
 *
 * Out to break the trace: a file that is no JSON, slices that overlap on a track, a wake outside of the
 * wait that it ends, a start without its task, an end of a context that is missing or on another's track,
 * and a trace that begins and ends while tasks run.
 */
#include "harness.h"

#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What every trace must obey. Afterwards `tasks` has for each track of a task its slices, `marks` its
 * instants. */
static const char rules[] =
    "import json, sys\n"
    "trace = json.load(open(sys.argv[1]))['traceEvents']\n"
    "names, groups, slices, marks = {}, {}, {}, {}\n"
    "for e in trace:\n"
    "    key = (e['pid'], e['tid'])\n"
    "    if e['ph'] == 'M':\n"
    "        (groups if e['name'] == 'process_name' else names)[e['pid'] if e['name'] == "
    "'process_name' else key] = e['args']['name']\n"
    "    elif e['ph'] == 'X':\n"
    "        slices.setdefault(key, []).append((e['ts'], e['ts'] + e['dur'], e['name'], "
    "e['args']['task']))\n"
    "    else:\n"
    "        assert e['ph'] == 'i', e\n"
    "        marks.setdefault(key, []).append((e['ts'], e['name'], e['s']))\n"
    "for key, line in slices.items():\n"
    "    assert key in names and key[0] in groups, key\n"
    "    line.sort()\n"
    "    for a, b in zip(line, line[1:]):\n"
    "        assert a[1] <= b[0] + 0.002, ('overlap', key, a, b)\n"
    "lost = [e['args']['lost'] for e in trace if e['name'] == 'trace ends']\n"
    "assert len(lost) == 1, lost\n"
    "tasks = {k: v for k, v in slices.items() if k[0] != 1}\n"
    "if lost == [0]:\n"
    "    runs = sorted((s[3], s[0], s[1]) for v in tasks.values() for s in v if s[2] == 'runs')\n"
    "    there = sorted((s[3], s[0], s[1]) for k, v in slices.items() if k[0] == 1 for s in v)\n"
    "    assert runs == there, 'what tasks ran and what workers ran differ'\n"
    "    for key, line in marks.items():\n"
    "        for ts, name, _ in line:\n"
    "            if name == 'wake' and key in tasks:\n"
    "                # a wait that the trace's end cuts off has no slice\n"
    "                cut_off = ts >= max(s[1] for s in tasks[key])\n"
    "                assert cut_off or any(s[0] - 0.002 <= ts <= s[1] + 0.002 for s in "
    "tasks[key]), "
    "(key, ts)\n"
    "started = [n for line in marks.values() for _, n, _ in line if n.startswith('spawn')]\n"
    "ends = lambda what: [(k, n) for k, l in marks.items() for _, n, s in l if n.startswith(what) "
    "and s "
    "== 'p']\n";

/* Whether python finds the rules kept and these statements true. */
static void judge(const char *path, const char *statements)
{
    char script[256], command[600];
    snprintf(script, sizeof script, "%s/judge.py", harness_temp_dir());
    FILE *f = fopen(script, "w");
    CHECK(f != NULL);
    fputs(rules, f);
    fputs(statements, f);
    CHECK_EQ(fclose(f), 0);
    snprintf(command, sizeof command, "python3 %s %s", script, path);
    CHECK_EQ(system(command), 0);
}

static const char *begin_trace(void)
{
    static char path[256];
    if (system("python3 -c pass 2>/dev/null") != 0) {
        SKIP("no python3");
    }
    snprintf(path, sizeof path, "%s/trace.json", harness_temp_dir());
    CHECK_OK(cease_trace_start(path));
    return path;
}

static cease_error naps(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_sleep(ctx, cease_ms(1));
}

static cease_error receives(cease_ctx *ctx, void *arg)
{
    int value;
    return cease_chan_recv(ctx, arg, &value);
}

static cease_error sends(cease_ctx *ctx, void *arg)
{
    int value = 1;
    cease_yield();
    return cease_chan_send(ctx, arg, &value);
}

static int begun; /* atomic */

static cease_error receives_and_says_so(cease_ctx *ctx, void *arg)
{
    __atomic_fetch_add(&begun, 1, __ATOMIC_RELEASE);
    return receives(ctx, arg);
}

TEST(trace_of_a_known_program_has_its_tasks_waits_and_ends)
{
    const char *path = begin_trace();
    cease_canceler *stop, *late_stop;
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    cease_ctx *cancelled = cease_with_cancel(cease_background(), &stop);
    cease_ctx *late = cease_with_timeout(cease_background(), cease_ms(5), &late_stop);
    cease_group *g = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(g, receives, ch));
    CHECK_OK(cease_group_go(g, sends, ch));
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cease_group_go(g, naps, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    CHECK_OK(cease_go(cancelled, receives_and_says_so, ch));
    CHECK_OK(cease_go(late, receives_and_says_so, ch));
    CHECK_EVENTUALLY(__atomic_load_n(&begun, __ATOMIC_ACQUIRE) == 2);
    CHECK_ERR(cease_wait(late), CEASE_EDEADLINE);
    cease_cancel(stop);
    struct cease_runtime_counts counts = {.size = sizeof counts};
    do {
        cease_runtime_count(&counts);
    } while (counts.tasks > 0);
    CHECK_OK(cease_runtime_stop());
    CHECK_OK(cease_trace_stop());
    judge(path, "assert len(started) == 24, started\n"
                "assert all('trace_test.c:' in n for n in started), started\n"
                "assert len(tasks) == 24, len(tasks)\n"
                "assert sum(s[2] == 'sleeps' for v in tasks.values() for s in v) == 20\n"
                "assert len(ends('deadline')) == 1, marks\n"
                "gone = ends('cancel at ')\n"
                "own = [k for k, n in gone if 'trace_of_a_known_program' in n and "
                "groups[k[0]].startswith('context made at ')]\n"
                "assert len(own) >= 1, (gone, groups)\n"
                "assert lost == [0], lost\n");
    cease_group_free(g);
    cease_end(late_stop);
    cease_end(stop);
    cease_chan_unref(ch);
}

/* ---- every kind of wait ---------------------------------------------------------------------------- */

static struct {
    cease_chan *empty;
    cease_mutex mutex;
    cease_semaphore semaphore;
    cease_wait_group wait_group;
    int pipe[2];
} things;

static cease_error waits_in_select(cease_ctx *ctx, void *arg)
{
    int value;
    size_t fired;
    cease_case one = CEASE_RECV(things.empty, &value);
    (void)arg;
    return cease_select(ctx, &one, 1, &fired);
}

static cease_error waits_for_mutex(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_mutex_lock(ctx, &things.mutex);
}

static cease_error waits_for_semaphore(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_semaphore_acquire(ctx, &things.semaphore, 1);
}

static cease_error waits_for_wait_group(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait_group_wait(ctx, &things.wait_group);
}

static cease_error waits_to_read(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_fd_wait(ctx, things.pipe[0], CEASE_READABLE);
}

static cease_error waits_for_end(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_wait(ctx);
}

static cease_error joins(cease_ctx *ctx, void *arg)
{
    cease_group *g = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(g, waits_for_end, arg));
    cease_error err = cease_group_wait(g);
    cease_group_free(g);
    return err;
}

static bool all_wait(size_t count)
{
    char *text;
    size_t waiting = 0;
    CHECK_OK(cease_snapshot_text(&text, NULL));
    for (const char *at = text; (at = strstr(at, ": waits ")); at++) {
        waiting++;
    }
    free(text);
    return waiting == count;
}

TEST(trace_names_what_each_task_waits_for)
{
    static cease_task_fn *const waits[] = {waits_in_select,
                                           waits_for_mutex,
                                           waits_for_semaphore,
                                           waits_for_wait_group,
                                           waits_to_read,
                                           waits_for_end,
                                           joins};
    enum { COUNT = sizeof waits / sizeof waits[0] };
    const char *path = begin_trace();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_group *g = cease_group_new(ctx, &(cease_group_opts){.supervise = true});
    things.empty = cease_chan_new(sizeof(int), 0);
    CHECK_EQ(pipe(things.pipe), 0);
    cease_semaphore_init(&things.semaphore, 1);
    CHECK_OK(cease_semaphore_try_acquire(&things.semaphore, 1));
    cease_wait_group_add(&things.wait_group, 1);
    CHECK_OK(cease_mutex_lock(ctx, &things.mutex));
    cease_group *first = cease_group_new(ctx, NULL);
    CHECK_OK(cease_group_go(first, naps, NULL));
    CHECK_OK(cease_group_wait(first));
    cease_group_free(first);
    CHECK_OK(cease_group_go(g, receives, things.empty));
    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(cease_group_go(g, waits[i], NULL));
    }
    CHECK_EVENTUALLY(all_wait(COUNT + 2)); /* one of them has started another */
    cease_cancel(stop);
    CHECK_OK(cease_group_wait(g));
    cease_mutex_unlock(&things.mutex);
    CHECK_OK(cease_runtime_stop());
    CHECK_OK(cease_trace_stop());
    judge(
        path,
        "waits = sorted({s[2] for v in tasks.values() for s in v} - {'runs', 'ready'})\n"
        "assert waits == ['joins', 'sleeps', 'waits', 'waits for a mutex', 'waits for a semaphore',"
        " 'waits for a wait group', 'waits in a select', 'waits to read', 'waits to receive'], "
        "waits\n"
        "assert lost == [0], lost\n");
    cease_group_free(g);
    cease_end(stop);
    cease_chan_unref(things.empty);
    close(things.pipe[0]);
    close(things.pipe[1]);
}

static int churned; /* atomic */

static cease_error churns(cease_ctx *ctx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        __atomic_fetch_add(&churned, 1, __ATOMIC_RELAXED);
        cease_canceler *stop;
        cease_ctx *mine = cease_with_cancel(ctx, &stop);
        cease_group *g = cease_group_new(mine, NULL);
        for (int k = 0; k < 10; k++) {
            CHECK_OK(cease_group_go(g, naps, NULL));
        }
        cease_cancel(stop);
        (void)cease_group_wait(g);
        cease_group_free(g);
        cease_end(stop);
    }
    return CEASE_OK;
}

TEST(trace_begun_and_ended_while_tasks_run_is_whole_each_time)
{
    CHECK_OK(cease_runtime_configure(&(cease_runtime_opts){.workers = 2}));
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(cease_group_go(g, churns, NULL));
    }
    for (int i = 0; i < 3; i++) {
        const char *path = begin_trace();
        CHECK_ERR(cease_trace_start(path), CEASE_EBUSY);
        int enough = __atomic_load_n(&churned, __ATOMIC_RELAXED) + 10;
        CHECK_EVENTUALLY(__atomic_load_n(&churned, __ATOMIC_RELAXED) >=
                         (enough < 200 ? enough : 200));
        CHECK_OK(cease_trace_stop());
        CHECK_OK(cease_trace_stop());
        judge(path, "");
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_OK(cease_runtime_stop());
}

TEST(trace_into_nowhere_says_why)
{
    CHECK_ERR(cease_trace_start("/nonexistent/folder/trace.json"), CEASE_ENOENT);
    CHECK_OK(cease_trace_stop());
}
