/* SPDX-License-Identifier: MIT
 *
 * trace_write.c: trace events as JSON that Perfetto opens.
 *
 * Tracks are named by two numbers, pid and tid. Pid 1 has the workers. Every context under which a task
 * was started is a pid of its own, with its tasks as tids. Contexts are known by their address; when one
 * has ended and the address comes again with a new task, it is another context and gets a new number.
 *
 * Slices are written when they are over, as complete ones ("X"), so they nest whatever was lost; one that
 * never ends is not in the file. What a task does since when is kept in a table by task number.
 */
#include "runtime/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct track { /* a task */
    uint64_t task;
    int64_t since_ns;
    uint32_t pid;
    uint8_t wait;     /* enum ceasei_wait; when it does not run */
    const char *what; /* of CEASEI_WAIT_NAMED */
    bool runs;
};

struct context {
    uintptr_t address; /* 0: a free cell */
    uint32_t pid;
    bool ended;
};

/* The tables are open addressing, without removal but by a rebuild. */
struct ceasei_trace_file {
    FILE *out;
    bool is_first, failed;
    uint32_t next_pid;
    uint64_t named_workers; /* bits; the last one also stands for the plain threads */
    struct track *tracks;   /* by task number */
    size_t track_room, track_count;
    struct context *contexts; /* by address */
    size_t context_room, context_count;
};

static const char *const waits[] = {
    [CEASEI_WAIT_PARKED] = "waits",
    [CEASEI_WAIT_READY] = "ready",
    [CEASEI_WAIT_SEND] = "waits to send",
    [CEASEI_WAIT_RECV] = "waits to receive",
    [CEASEI_WAIT_SELECT] = "waits in a select",
    [CEASEI_WAIT_SLEEP] = "sleeps",
    [CEASEI_WAIT_READ] = "waits to read",
    [CEASEI_WAIT_WRITE] = "waits to write",
    [CEASEI_WAIT_JOIN] = "joins",
    [CEASEI_WAIT_LIMIT] = "waits for a place",
    [CEASEI_WAIT_BLOCK] = "waits for a blocking call",
    [CEASEI_WAIT_NAMED] = "waits for ",
    [CEASEI_WAIT_MUTEX] = "waits for a mutex",
};

/* ---- tables ---------------------------------------------------------------------------------- */

static size_t slot_of(uint64_t key, size_t room)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (room - 1);
}

static struct track *track_slot(const struct ceasei_trace_file *f, uint64_t task)
{
    size_t at = slot_of(task, f->track_room);
    while (f->tracks[at].task != 0 && f->tracks[at].task != task) {
        at = (at + 1) & (f->track_room - 1);
    }
    return &f->tracks[at];
}

/* Leaves tasks behind that have ended (pid 0), and makes twice the room when there are few of them. */
static bool tracks_grow(struct ceasei_trace_file *f)
{
    struct track *old = f->tracks;
    size_t old_room = f->track_room, live = 0;
    for (size_t i = 0; i < old_room; i++) {
        live += old[i].pid != 0;
    }
    size_t room = old_room == 0 ? 1024 : live * 4 > old_room ? old_room * 2 : old_room;
    struct track *tracks = calloc(room, sizeof *tracks);
    if (!tracks) {
        return false;
    }
    f->tracks = tracks;
    f->track_room = room;
    f->track_count = 0;
    for (size_t i = 0; i < old_room; i++) {
        if (old[i].task != 0 && old[i].pid != 0) {
            *track_slot(f, old[i].task) = old[i];
            f->track_count++;
        }
    }
    free(old);
    return true;
}

/* NULL without memory. A new one has pid 0. */
static struct track *track_of(struct ceasei_trace_file *f, uint64_t task)
{
    if (f->track_count * 2 >= f->track_room && !tracks_grow(f)) {
        f->failed = true;
        return NULL;
    }
    struct track *t = track_slot(f, task);
    if (t->task == 0) {
        *t = (struct track){.task = task};
        f->track_count++;
    }
    return t;
}

static struct context *context_slot(const struct ceasei_trace_file *f, uintptr_t address)
{
    size_t at = slot_of(address >> 4, f->context_room);
    while (f->contexts[at].address != 0 && f->contexts[at].address != address) {
        at = (at + 1) & (f->context_room - 1);
    }
    return &f->contexts[at];
}

/* NULL without memory. A new one has pid 0. */
static struct context *context_of(struct ceasei_trace_file *f, uintptr_t address)
{
    if (f->context_count * 2 >= f->context_room) {
        struct context *old = f->contexts;
        size_t old_room = f->context_room;
        f->context_room = old_room ? old_room * 2 : 256;
        f->contexts = calloc(f->context_room, sizeof *f->contexts);
        if (!f->contexts) {
            f->contexts = old;
            f->context_room = old_room;
            f->failed = true;
            return NULL;
        }
        for (size_t i = 0; i < old_room; i++) {
            if (old[i].address != 0) {
                *context_slot(f, old[i].address) = old[i];
            }
        }
        free(old);
    }
    struct context *c = context_slot(f, address);
    if (c->address == 0) {
        *c = (struct context){.address = address};
        f->context_count++;
    }
    return c;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void put_text(const char *text, FILE *out)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 0x20 || *at >= 0x7f || *at == '"' || *at == '\\') {
            fprintf(out, "\\u%04x", *at);
        } else {
            fputc(*at, out);
        }
    }
}

static void put_place(const char *before, const cease_place *place, FILE *out)
{
    if (place) {
        fputs(before, out);
        put_text(place->file, out);
        fprintf(out, ":%d in ", place->line);
        put_text(place->function, out);
    }
}

/* Up to the name, which the caller puts, with what follows. */
static void begin(struct ceasei_trace_file *f, const char *phase, uint32_t pid, uint64_t tid)
{
    fprintf(f->out, "%s{\"ph\":\"%s\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu64,
            f->is_first ? "" : ",\n", phase, pid, tid);
    f->is_first = false;
}

static void put_time(struct ceasei_trace_file *f, const char *name, int64_t ns)
{
    fprintf(f->out, ",\"%s\":%" PRId64 ".%03d", name, ns / 1000, (int)(ns % 1000));
}

static void slice(struct ceasei_trace_file *f, const struct track *t, uint32_t pid, uint64_t tid,
                  int64_t end_ns)
{
    begin(f, "X", pid, tid);
    put_time(f, "ts", t->since_ns);
    put_time(f, "dur", end_ns > t->since_ns ? end_ns - t->since_ns : 0);
    fprintf(f->out, ",\"cat\":\"task\",\"args\":{\"task\":%" PRIu64 "},\"name\":\"", t->task);
    if (pid == 1) {
        fprintf(f->out, "task %" PRIu64 "\"}", t->task);
    } else {
        fprintf(f->out, "%s%s\"}", t->runs ? "runs" : waits[t->wait],
                !t->runs && t->what ? t->what : "");
    }
}

/* On the track of a task, or of a worker when pid is 1; for the whole group with scope "p". */
static void instant(struct ceasei_trace_file *f, const struct ceasei_trace_event *e, uint32_t pid,
                    uint64_t tid, const char *name)
{
    bool group = e->kind >= CEASEI_TRACE_CANCEL;
    begin(f, "i", pid, tid);
    put_time(f, "ts", e->at_ns);
    fprintf(f->out, ",\"s\":\"%s\",\"cat\":\"%s\",\"args\":{\"by\":%" PRIu64 "},\"name\":\"%s",
            group ? "p" : "t", group ? "context" : "task", e->task, name);
    put_place(" at ", e->place, f->out);
    fputs("\"}", f->out);
}

static void name_track(struct ceasei_trace_file *f, const char *what, uint32_t pid, uint64_t tid)
{
    begin(f, "M", pid, tid);
    fprintf(f->out, ",\"name\":\"%s\",\"args\":{\"name\":\"", what);
}

static void name_worker(struct ceasei_trace_file *f, uint32_t worker)
{
    uint64_t bit = UINT64_C(1) << (worker < 63 ? worker : 63);
    if (!(f->named_workers & bit)) {
        f->named_workers |= bit;
        name_track(f, "thread_name", 1, worker);
        if (worker == UINT32_MAX) {
            fputs("other threads\"}}", f->out);
        } else {
            fprintf(f->out, "worker %" PRIu32 "\"}}", worker);
        }
    }
}

/* The group of tracks of the context that a task was started under. */
static uint32_t group_of(struct ceasei_trace_file *f, const struct ceasei_trace_event *e)
{
    struct context *c = context_of(f, e->ctx);
    if (!c) {
        return 2; /* one for all that could not be told apart */
    }
    if (c->pid == 0 || (c->ended && e->made)) { /* a new one, perhaps where an old one was */
        c->pid = f->next_pid++;
        c->ended = false;
        name_track(f, "process_name", c->pid, 0);
        fputs("context", f->out);
        put_place(" made at ", e->made, f->out);
        fputs("\"}}", f->out);
    }
    return c->pid;
}

static void task_event(struct ceasei_trace_file *f, uint32_t worker,
                       const struct ceasei_trace_event *e)
{
    struct track *t = track_of(f, e->task);
    if (!t) {
        return;
    }
    if (t->pid == 0) { /* it begins, or the trace does */
        t->pid = group_of(f, e);
        t->runs = e->kind != CEASEI_TRACE_RUN;
        t->since_ns = e->at_ns;
        name_track(f, "thread_name", t->pid, e->task);
        fprintf(f->out, "task %" PRIu64, e->task);
        put_place(" started at ", e->kind == CEASEI_TRACE_BEGIN ? e->place : NULL, f->out);
        fputs("\"}}", f->out);
    }
    if (t->since_ns != e->at_ns) {
        slice(f, t, t->pid, e->task, e->at_ns);
        if (t->runs) {
            slice(f, t, 1, worker, e->at_ns);
        }
    }
    t->since_ns = e->at_ns;
    t->runs = e->kind != CEASEI_TRACE_PARK;
    t->wait = e->wait;
    t->what = t->runs ? NULL : e->what;
    if (e->kind == CEASEI_TRACE_END) {
        t->pid = 0;
    }
}

static void context_event(struct ceasei_trace_file *f, uint32_t worker,
                          const struct ceasei_trace_event *e)
{
    const char *name = e->kind == CEASEI_TRACE_CANCEL ? "cancel" : "deadline";
    struct context *c = context_of(f, e->ctx);
    if (c && c->pid != 0 && !c->ended) {
        instant(f, e, c->pid, 0, name);
    } else { /* no task was started under it: where it was ended */
        instant(f, e, 1, worker, name);
    }
    if (c) {
        c->ended = true;
    }
}

void ceasei_trace_file_put(struct ceasei_trace_file *f, uint32_t worker,
                           const struct ceasei_trace_event *e)
{
    name_worker(f, worker);
    switch ((enum ceasei_trace_kind)e->kind) {
    case CEASEI_TRACE_SPAWN:
        instant(f, e, 1, worker, "spawn");
        break;
    case CEASEI_TRACE_WAKE: {
        struct track *t = track_of(f, e->task);
        if (t && t->pid != 0) {
            instant(f, e, t->pid, e->task, "wake");
        }
        break;
    }
    case CEASEI_TRACE_CANCEL:
    case CEASEI_TRACE_DEADLINE:
        context_event(f, worker, e);
        break;
    default:
        task_event(f, worker, e);
    }
}

struct ceasei_trace_file *ceasei_trace_file_new(FILE *out)
{
    struct ceasei_trace_file *f = calloc(1, sizeof *f);
    if (f) {
        f->out = out;
        f->next_pid = 3;
        fputs("{\"traceEvents\":[\n"
              "{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"process_name\","
              "\"args\":{\"name\":\"workers\"}}",
              out);
    }
    return f;
}

bool ceasei_trace_file_end(struct ceasei_trace_file *f, uint64_t lost, int64_t now_ns)
{
    bool failed = f->failed;
    begin(f, "i", 1, 0);
    put_time(f, "ts", now_ns);
    fprintf(f->out, ",\"s\":\"g\",\"name\":\"trace ends\",\"args\":{\"lost\":%" PRIu64 "}}\n]}\n",
            lost);
    free(f->tracks);
    free(f->contexts);
    free(f);
    return failed;
}
