/* SPDX-License-Identifier: MIT
 *
 * run.c: runs a script of context operations against the library and says the state after each.
 *
 * The one idea: through hooks.h the clock is ours and after-funcs are started by us, so that a step
 * has one outcome. The clock goes from deadline to deadline, as Go's virtual clock does; after-funcs
 * that a step has started run when the step is over. One thread does it all.
 *
 * Every operation that makes no sense at its moment (a slot that is empty, or taken) does nothing,
 * here as in peer_test.go, so any part of a script is a script: the shrinker relies on it.
 */
#include "script.h"

#include <cease/hooks.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    cease_ctx *ctx; /* NULL: empty. A reference, also when there are shares */
    cease_canceler *stop;
    int shares;
};

struct after {
    cease_after *handle; /* NULL: empty */
    int *count;
    cease_watch watch; /* on the same context: the two must agree */
    cease_ctx *ctx;    /* a reference, for the watch */
    int watched;
};

struct job {
    void (*fn)(void *arg);
    void *arg;
};

static struct {
    cease_time now;
    struct slot slots[SLOTS];
    struct after afters[AFTERS];
    int counts[STEPS_MAX]; /* one for each after-func ever made in the script */
    int after_count;
    struct job jobs[STEPS_MAX];
    int job_count;
    int values_made, values_gone, sources_made, sources_gone;
    struct text *out;
    enum mistake mistake;
} m;

static char code_texts[CODES][8];

void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    for (;;) {
        va_start(args, format);
        char *end = t->data != NULL ? t->data + t->size : NULL;
        int n = vsnprintf(end, t->capacity - t->size, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < t->capacity - t->size) {
            t->size += (size_t)n;
            return;
        }
        t->capacity = 2 * t->capacity + (size_t)n + 1;
        t->data = realloc(t->data, t->capacity);
        if (t->data == NULL)
            abort();
    }
}

/* ----- hooks ----- */

enum { SHARD = 1 }; /* not the core's own, which has a thread */

static cease_time read_clock(void)
{
    return m.now;
}
static unsigned choose_shard(void)
{
    return SHARD;
}
static void kick(unsigned shard)
{
    (void)shard;
}
static cease_error spawn(void (*fn)(void *arg), void *arg)
{
    m.jobs[m.job_count++] = (struct job){fn, arg};
    return CEASE_OK;
}
static const cease_hooks hooks = {
    .size = sizeof hooks,
    .clock = read_clock,
    .timer_shard = choose_shard,
    .timer_kick = kick,
    .spawn = spawn,
};

void runner_start(void)
{
    for (int i = 0; i < CODES; i++)
        snprintf(code_texts[i], sizeof code_texts[i], "c%d", i);
    cease_hooks_install(&hooks);
}

static void run_jobs(void)
{
    for (int i = 0; i < m.job_count; i++)
        m.jobs[i].fn(m.jobs[i].arg);
    m.job_count = 0;
}

static void advance(int64_t by_ns)
{
    cease_time end = cease_time_add(m.now, cease_ns(by_ns));
    for (cease_time next; (next = cease_timers_next(SHARD)).ns <= end.ns;) {
        m.now = next.ns > m.now.ns ? next : m.now;
        cease_timers_run(SHARD, m.now);
    }
    m.now = end;
}

/* ----- values ----- */

static void value_gone(void *value)
{
    (void)value;
    m.values_gone++;
}

/* The last key owns its values: each but NULL must be destroyed once. */
static cease_key keys[KEYS] = {CEASE_KEY("k0"), CEASE_KEY("k1"), CEASE_KEY_OWNED("k2", value_gone)};

struct table {
    cease_key *key;
    void *value;
};

static bool table_value(void *self, cease_key *key, void **ret_value)
{
    struct table *table = self;
    if (key != table->key)
        return false;
    *ret_value = table->value;
    return true;
}

static void table_release(void *self)
{
    m.sources_gone++;
    free(self);
}

static const cease_source table_source = {sizeof table_source, table_value, table_release};

static cease_ctx *derive_source(cease_ctx *parent, int64_t key, int64_t value)
{
    struct table *table = malloc(sizeof *table);
    if (table == NULL)
        abort();
    *table = (struct table){&keys[key], (void *)(intptr_t)value};
    m.sources_made++;
    return cease_with_source(parent, &table_source, table);
}

/* ----- steps ----- */

static cease_ctx *derive_deadline(cease_ctx *parent, const struct step *s, cease_canceler **stop)
{
    int code = (int)s->n[3];
    if (s->op == 'd') {
        cease_time at = {UNIT + s->n[2]};
        return code == 0 ? cease_with_deadline(parent, at, stop)
                         : cease_with_deadline_cause(parent, at, code, code_texts[code], stop);
    }
    if (m.mistake == MISTAKE_DEADLINE && cease_deadline(parent, NULL))
        return cease_with_grace(parent, cease_ns(s->n[2]), stop);
    return code == 0
               ? cease_with_timeout(parent, cease_ns(s->n[2]), stop)
               : cease_with_timeout_cause(parent, cease_ns(s->n[2]), code, code_texts[code], stop);
}

/* Derives into an empty slot, or does nothing. */
static void derive(const struct step *s)
{
    struct slot made = {.stop = NULL};
    cease_ctx *parent = m.slots[s->n[1]].ctx;
    cease_ctx *other = s->op == 'm' ? m.slots[s->n[2]].ctx : NULL;
    if (m.slots[s->n[0]].ctx != NULL || parent == NULL)
        return;
    switch (s->op) {
    case 'c':
        made.ctx = cease_with_cancel(parent, &made.stop);
        break;
    case 'd':
    case 't':
        made.ctx = derive_deadline(parent, s, &made.stop);
        break;
    case 'g':
        made.ctx = m.mistake == MISTAKE_GRACE
                       ? cease_with_timeout(parent, cease_ns(s->n[2]), &made.stop)
                       : cease_with_grace(parent, cease_ns(s->n[2]), &made.stop);
        break;
    case 'm':
        if (other == NULL || cease_deadline(other, NULL))
            return; /* Go has no merge; its way to make one loses the error of a deadline */
        made.ctx = cease_with_merge(parent, other, &made.stop);
        break;
    case 'v':
        m.values_made += s->n[2] == KEYS - 1 && s->n[3] != 0;
        made.ctx = cease_with_value(parent, &keys[s->n[2]], (void *)(intptr_t)s->n[3]);
        break;
    case 's':
        made.ctx = derive_source(parent, s->n[2], s->n[3]);
        break;
    default:
        made.ctx = cease_without_cancel(parent);
    }
    if (made.stop != NULL) {
        made.shares = 1;
        cease_ref(made.ctx); /* looked at until the slot is dropped */
    }
    m.slots[s->n[0]] = made;
}

static void cancel(struct slot *slot, int code)
{
    if (slot->shares == 0)
        return;
    if (code == 0 || m.mistake == MISTAKE_CAUSE)
        cease_cancel(slot->stop);
    else
        cease_cancel_cause(slot->stop, code, "c%d", code);
}

static void end_share(struct slot *slot)
{
    if (slot->shares == 0)
        return;
    slot->shares--;
    cease_end(slot->stop);
}

static void drop(int64_t at)
{
    struct slot *slot = &m.slots[at];
    if (at == 0 || slot->ctx == NULL)
        return;
    while (slot->shares > 0)
        end_share(slot);
    cease_unref(slot->ctx);
    *slot = (struct slot){.ctx = NULL};
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static void after_start(struct after *a, cease_ctx *ctx)
{
    if (ctx == NULL || a->handle != NULL)
        return;
    a->count = &m.counts[m.after_count++];
    a->handle = cease_after_func(ctx, count_up, a->count);
    a->watched = 0;
    a->ctx = cease_ref(ctx);
    cease_watch_add(&a->watch, ctx, count_up, &a->watched);
}

static void after_end(struct after *a, bool tell)
{
    if (a->handle == NULL)
        return;
    bool prevented = cease_after_stop(a->handle);
    cease_watch_state found = cease_watch_remove(&a->watch);
    if (a->watched == prevented || found != (prevented ? CEASE_WATCH_REMOVED : CEASE_WATCH_RAN))
        text_add(m.out, "(the watch and the after-func disagree) ");
    cease_unref(a->ctx);
    if (tell)
        text_add(m.out, "%s ", prevented ? "true" : "false");
    a->handle = NULL;
}

/* ----- looking ----- */

static void show(const cease_ctx *ctx, int64_t at)
{
    cease_error e = cease_err(ctx);
    const cease_cause *cause = cease_cause_of(ctx);
    text_add(m.out, "%d:%s,%s,", (int)at, e == CEASE_OK ? "-" : cease_strerror(e),
             cause == NULL ? "-" : cause->text);
    cease_time deadline;
    if (cease_deadline(ctx, &deadline))
        text_add(m.out, "%lld", (long long)(deadline.ns - UNIT));
    else
        text_add(m.out, "-");
    for (int i = 0; i < KEYS; i++)
        text_add(m.out, ",%d", (int)(intptr_t)cease_value(ctx, &keys[i]));
    text_add(m.out, "; ");
    /* What Go has no word for must agree with itself. */
    bool whole = cease_done(ctx) == (e != CEASE_OK) && (cause != NULL) == (e != CEASE_OK);
    if (whole && cause != NULL) {
        int code = cause->text[0] == 'c' && cause->text[1] != 'o' ? atoi(cause->text + 1) : e;
        /* A plain cancel may have been handed on as a cause: its error is the canceller's. */
        whole = cause->error == e && cause->code == code && cause->place != NULL;
    }
    if (!whole)
        text_add(m.out, "(cause, code and error disagree) ");
}

static void show_fd(cease_ctx *ctx)
{
    struct pollfd p = {.fd = cease_done_fd(ctx), .events = POLLIN};
    if (p.fd < 0 || (poll(&p, 1, 0) == 1) != cease_done(ctx))
        text_add(m.out, "(the done fd disagrees) ");
}

static void show_all(void)
{
    for (int i = 1; i < SLOTS; i++)
        if (m.slots[i].ctx != NULL)
            show(m.slots[i].ctx, i);
    for (int i = 0; i < AFTERS; i++)
        if (m.afters[i].handle != NULL)
            text_add(m.out, "f%d:%d; ", i, *m.afters[i].count);
}

static void take_step(const struct step *s)
{
    struct slot *slot = &m.slots[s->n[0]];
    switch (s->op) {
    case 'x':
        cancel(slot, (int)s->n[1]);
        break;
    case 'h':
        if (slot->shares > 0) {
            cease_canceler_ref(slot->stop);
            slot->shares++;
        }
        break;
    case 'e':
        end_share(slot);
        break;
    case 'r':
        drop(s->n[0]);
        break;
    case 'f':
        after_start(&m.afters[s->n[0] % AFTERS], m.slots[s->n[1]].ctx);
        break;
    case 'z':
        after_end(&m.afters[s->n[0] % AFTERS], true);
        break;
    case 'a':
        advance(s->n[1]);
        break;
    case 'l':
        if (slot->ctx != NULL) {
            show(slot->ctx, s->n[0]);
            show_fd(slot->ctx);
        }
        break;
    default:
        derive(s);
    }
    run_jobs();
}

static void clear(void)
{
    for (int i = 0; i < AFTERS; i++)
        after_end(&m.afters[i], false);
    for (int i = 1; i < SLOTS; i++)
        drop(i);
    run_jobs();
    if (cease_live_count() != 0 || m.values_made != m.values_gone ||
        m.sources_made != m.sources_gone || cease_timers_next(SHARD).ns != INT64_MAX)
        text_add(m.out, "left behind: %zu contexts, %d values, %d sources%s\n", cease_live_count(),
                 m.values_made - m.values_gone, m.sources_made - m.sources_gone,
                 cease_timers_next(SHARD).ns != INT64_MAX ? ", a timer" : "");
}

void run_script(const struct script *script, enum mistake mistake, struct text *ret_out)
{
    memset(&m, 0, sizeof m);
    m.now = (cease_time){UNIT}; /* what the scripts call 0 */
    m.slots[0].ctx = cease_background();
    m.out = ret_out;
    m.mistake = mistake;
    bool always = false;
    for (int i = 0; i < script->count; i++) {
        const struct step *s = &script->steps[i];
        always = always || s->op == 'A';
        if (s->op != 'A' && s->op != 'q')
            take_step(s);
        if (always || s->op == 'q')
            show_all();
        text_add(ret_out, "\n");
    }
    clear();
}
