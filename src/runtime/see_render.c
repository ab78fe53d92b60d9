/* SPDX-License-Identifier: MIT
 *
 * see_render.c: a snapshot as text for people, and as JSON for programs.
 *
 * The text is a tree, walked without recursion (contexts may be a million deep) and indented up to
 * INDENT_MAX only. The JSON is flat lists with numbers as references, for the same reason.
 */
#include "runtime/see.h"

#include <dlfcn.h>
#include <inttypes.h>

enum { INDENT_MAX = 40 };
#define NONE UINT32_MAX

/* ---- both ------------------------------------------------------------------------------------ */

static const char *function_name(cease_task_fn *fn)
{
    Dl_info info;
    void *address;
    _Static_assert(sizeof address == sizeof fn, "a function's address is one");
    __builtin_memcpy(&address, &fn, sizeof address);
    return dladdr(address, &info) != 0 && info.dli_saddr == address ? info.dli_sname : NULL;
}

/* 1.2 s, 340 ms, 12 us. */
static void put_duration(int64_t ns, FILE *out)
{
    if (ns >= INT64_C(3600000000000)) {
        fprintf(out, "%.1f h", (double)ns / 3600e9);
    } else if (ns >= INT64_C(120000000000)) {
        fprintf(out, "%.1f min", (double)ns / 60e9);
    } else if (ns >= 1000000000) {
        fprintf(out, "%.1f s", (double)ns / 1e9);
    } else if (ns >= 1000000) {
        fprintf(out, "%" PRId64 " ms", ns / 1000000);
    } else {
        fprintf(out, "%" PRId64 " us", ns > 0 ? ns / 1000 : 0);
    }
}

/* What a task waits for, as the end of a sentence. */
static void put_wait(const struct ceasei_seen *t, cease_time now, FILE *out)
{
    const cease_place *place = NULL;
    switch ((enum ceasei_wait)t->wait) {
    case CEASEI_WAIT_SEND:
        fprintf(out, "to send on channel 0x%" PRIxPTR, t->object);
        break;
    case CEASEI_WAIT_RECV:
        fprintf(out, "to receive from channel 0x%" PRIxPTR, t->object);
        break;
    case CEASEI_WAIT_SELECT:
        fprintf(out, "for one of the %" PRIuPTR " cases of a select", t->object);
        break;
    case CEASEI_WAIT_SLEEP:
        fputs("to have slept ", out);
        put_duration((int64_t)t->object - now.ns, out);
        fputs(" more", out);
        break;
    case CEASEI_WAIT_READ:
        fprintf(out, "to read fd %" PRIuPTR, t->object);
        break;
    case CEASEI_WAIT_WRITE:
        fprintf(out, "to write fd %" PRIuPTR, t->object);
        break;
    case CEASEI_WAIT_JOIN:
    case CEASEI_WAIT_LIMIT:
        place = (const cease_place *)t->object; /* NOLINT */
        fprintf(out, "for %s of the group made at %s:%d",
                t->wait == CEASEI_WAIT_JOIN ? "the tasks" : "a place under the limit", place->file,
                place->line);
        break;
    case CEASEI_WAIT_BLOCK:
        fputs("for a blocking call", out);
        break;
    case CEASEI_WAIT_NAMED:
        fprintf(out, "for %s", (const char *)t->object);
        break;
    case CEASEI_WAIT_MUTEX:
        place = (const cease_place *)t->object; /* NOLINT */
        fprintf(out, "for a mutex that had been taken at %s:%d", place->file, place->line);
        break;
    case CEASEI_WAIT_READY:
    case CEASEI_WAIT_PARKED:
        fputs("for its context's end or another wake", out);
        break;
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_place(const char *before, const cease_place *place, FILE *out)
{
    if (place) {
        fprintf(out, "%s%s:%d in %s", before, place->file, place->line, place->function);
    }
}

static void put_indent(size_t depth, FILE *out)
{
    fprintf(out, "%*s", (int)(2 * (depth < INDENT_MAX ? depth : INDENT_MAX)), "");
}

static void text_task(const struct ceasei_seen *t, size_t depth, cease_time now, FILE *out)
{
    const char *name = function_name(t->fn);
    put_indent(depth, out);
    if (t->id != 0) {
        fprintf(out, "task %" PRIu64, t->id);
    } else {
        fputs("a task", out);
    }
    if (name) {
        fprintf(out, " %s", name);
    }
    put_place(", started at ", t->place, out);
    switch ((enum ceasei_seen_state)t->state) {
    case CEASEI_SEEN_WAITING:
        fputs(": waits ", out);
        put_wait(t, now, out);
        break;
    case CEASEI_SEEN_READY:
        fputs(": waits for its turn", out);
        break;
    case CEASEI_SEEN_RUNNING:
        fprintf(out, ": runs, and has not parked for a while; worker %" PRIu32 " does not answer",
                t->worker);
        break;
    case CEASEI_SEEN_UNKNOWN:
        fprintf(out, ": on worker %" PRIu32 ", which runs another task and does not answer",
                t->worker);
        break;
    default:
        fputs(": not begun yet", out);
    }
    if (t->state == CEASEI_SEEN_WAITING || t->state == CEASEI_SEEN_READY) {
        fputs(", for ", out);
        put_duration(ceasei_seen_ns(now, t->since_ms), out);
    }
    fputc('\n', out);
}

/* Whether it brings a deadline, and does not just inherit one. */
static bool has_own_deadline(const struct ceasei_tree *tree, const struct ceasei_seen_ctx *c)
{
    int64_t above = c->parent != NONE ? tree->contexts[c->parent].info.deadline.ns : INT64_MAX;
    return c->info.deadline.ns != above && c->info.deadline.ns != INT64_MAX;
}

static void text_context(const struct ceasei_tree *tree, const struct ceasei_seen_ctx *c,
                         size_t depth, FILE *out)
{
    const cease_ctx_info *info = &c->info;
    put_indent(depth, out);
    fputs(info->kind, out);
    if (info->key) {
        fprintf(out, " %s", info->key);
    }
    if (info->cause) {
        fprintf(out, ", ENDED: %s", info->cause->text);
        put_place(", at ", info->cause->place, out);
    } else {
        if (has_own_deadline(tree, c)) {
            fputs(", ", out);
            put_duration(info->deadline.ns - tree->now.ns, out);
            fputs(" left", out);
        }
        put_place(", made at ", info->place, out);
    }
    if (c->other != NONE) {
        put_place(", and ends with the one made at ", tree->contexts[c->other].info.place, out);
    }
    fputc('\n', out);
    for (uint32_t i = c->first_task; i != NONE; i = tree->tasks[i].next) {
        text_task(&tree->tasks[i], depth + 1, tree->now, out);
    }
}

void ceasei_tree_text(const struct ceasei_tree *tree, FILE *out)
{
    fprintf(out, "cease: %zu tasks, %zu contexts above them, %" PRIu32 " workers\n",
            tree->task_count, tree->context_count, tree->workers);
    for (uint32_t root = 0; root < tree->context_count; root++) {
        if (tree->contexts[root].parent != NONE) {
            continue;
        }
        size_t depth = 0;
        for (uint32_t at = root; at != NONE;) {
            const struct ceasei_seen_ctx *c = &tree->contexts[at];
            text_context(tree, c, depth, out);
            if (c->first_child != NONE) {
                at = c->first_child;
                depth++;
                continue;
            }
            while (at != root && tree->contexts[at].next == NONE) {
                at = tree->contexts[at].parent;
                depth--;
            }
            at = at == root ? NONE : tree->contexts[at].next;
        }
    }
    for (size_t i = 0; i < tree->task_count; i++) {
        if (tree->tasks[i].context == NONE) {
            text_task(&tree->tasks[i], 0, tree->now, out);
        }
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Bytes that are not UTF-8 are shown as if they were Latin-1. */
static void json_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(out, "\\%c", *at);
        } else if (*at < 0x20 || *at >= 0x7f) {
            fprintf(out, "\\u%04x", *at);
        } else {
            fputc(*at, out);
        }
    }
    fputc('"', out);
}

static void json_text(const char *name, const char *text, FILE *out)
{
    fprintf(out, ",\"%s\":", name);
    if (text) {
        json_string(text, out);
    } else {
        fputs("null", out);
    }
}

static void json_place(const char *name, const cease_place *place, FILE *out)
{
    fprintf(out, ",\"%s\":", name);
    if (!place) {
        fputs("null", out);
        return;
    }
    fprintf(out, "{\"line\":%d", place->line);
    json_text("file", place->file, out);
    json_text("function", place->function, out);
    fputc('}', out);
}

static void json_number(const char *name, bool known, int64_t value, FILE *out)
{
    if (known) {
        fprintf(out, ",\"%s\":%" PRId64, name, value);
    } else {
        fprintf(out, ",\"%s\":null", name);
    }
}

static void json_context(const struct ceasei_tree *tree, uint32_t number, FILE *out)
{
    const struct ceasei_seen_ctx *c = &tree->contexts[number];
    const cease_ctx_info *info = &c->info;
    fprintf(out, "{\"id\":%" PRIu32, number);
    json_number("parent", c->parent != NONE, c->parent, out);
    json_number("other", c->other != NONE, c->other, out);
    json_text("kind", info->kind, out);
    json_text("key", info->key, out);
    json_number("left_ns", info->deadline.ns != INT64_MAX, info->deadline.ns - tree->now.ns, out);
    json_place("made", info->cause ? NULL : info->place, out);
    if (info->cause) {
        fputs(",\"cause\":{", out);
        fprintf(out, "\"code\":%d", info->cause->code);
        json_text("error", cease_error_name(info->cause->error), out);
        json_text("text", info->cause->text, out);
        json_place("at", info->cause->place, out);
        fputs("}}", out);
    } else {
        fputs(",\"cause\":null}", out);
    }
}

static void json_for(const struct ceasei_seen *t, cease_time now, FILE *out)
{
    char text[512] = "";
    FILE *line = t->state == CEASEI_SEEN_WAITING ? fmemopen(text, sizeof text, "w") : NULL;
    if (line) {
        put_wait(t, now, line);
        fclose(line);
        text[sizeof text - 1] = '\0';
    }
    json_text("for", line ? text : NULL, out);
}

static void json_task(const struct ceasei_seen *t, cease_time now, FILE *out)
{
    static const char *const states[] = {"new", "ready", "running", "waiting", "unknown"};
    bool waits = t->state == CEASEI_SEEN_WAITING || t->state == CEASEI_SEEN_READY;
    fprintf(out, "{\"id\":%" PRIu64, t->id);
    json_number("context", t->context != NONE, t->context, out);
    json_place("started", t->place, out);
    json_text("function", function_name(t->fn), out);
    json_number("worker", t->worker != NONE, t->worker, out);
    json_text("state", states[t->state], out);
    json_for(t, now, out);
    json_number("since_ns", waits, ceasei_seen_ns(now, t->since_ms), out);
    fputc('}', out);
}

void ceasei_tree_json(const struct ceasei_tree *tree, FILE *out)
{
    fprintf(out, "{\"workers\":%" PRIu32 ",\"contexts\":[", tree->workers);
    for (uint32_t i = 0; i < tree->context_count; i++) {
        fputs(i > 0 ? "," : "", out);
        json_context(tree, i, out);
    }
    fputs("],\"tasks\":[", out);
    for (size_t i = 0; i < tree->task_count; i++) {
        fputs(i > 0 ? "," : "", out);
        json_task(&tree->tasks[i], tree->now, out);
    }
    fputs("]}\n", out);
}
