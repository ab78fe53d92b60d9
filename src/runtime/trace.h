/* SPDX-License-Identifier: MIT
 *
 * trace.h: the points at which a trace listens, and what passes from the workers to the file.
 */
#ifndef CEASE_RUNTIME_TRACE_H
#define CEASE_RUNTIME_TRACE_H

#include "base/atomic.h"
#include "runtime/task.h"

#include <cease/hooks.h>
#include <stdint.h>
#include <stdio.h>
#if defined(CEASEI_HAVE_SDT)
#include <sys/sdt.h>
#endif

enum ceasei_trace_kind {
    CEASEI_TRACE_SPAWN, /* the calling task or thread starts another one */
    CEASEI_TRACE_BEGIN, /* a task's first instant; then it runs until PARK or END */
    CEASEI_TRACE_RUN,   /* it is back from a wait */
    CEASEI_TRACE_PARK,
    CEASEI_TRACE_END,
    CEASEI_TRACE_WAKE, /* somebody has made it ready */
    CEASEI_TRACE_CANCEL,
    CEASEI_TRACE_DEADLINE,
};

struct ceasei_trace_event {
    int64_t at_ns;
    uint64_t task;            /* 0: none */
    uintptr_t ctx;            /* an address, for comparing; of a task: that it was started under */
    const cease_place *place; /* BEGIN: of the task's start; CANCEL: the canceller's */
    union {
        const cease_place *made; /* BEGIN: of its context's making; may be NULL */
        const char *what;        /* PARK, of CEASEI_WAIT_NAMED: static, what it waits for */
    };
    uint8_t kind;
    uint8_t wait; /* PARK: enum ceasei_wait */
};

/* atomic: a trace is taken */
extern uint32_t ceasei_tracing __attribute__((visibility("hidden")));

/* trace.c */
void ceasei_trace_put(enum ceasei_trace_kind kind, const struct ceasei_task *task,
                      const cease_place *place);

/* Static probes (sys/sdt.h), for SystemTap, bpftrace and perf: one instruction that does nothing each. `kind`
 * is a constant, so one of them is left. */
static inline __attribute__((always_inline)) void ceasei_probe(enum ceasei_trace_kind kind,
                                                               const struct ceasei_task *task,
                                                               const cease_place *place)
{
#if defined(CEASEI_HAVE_SDT)
    if (kind == CEASEI_TRACE_SPAWN) {
        DTRACE_PROBE1(cease, task__spawn, place);
    } else if (kind == CEASEI_TRACE_BEGIN) {
        DTRACE_PROBE1(cease, task__begin, task->id);
    } else if (kind == CEASEI_TRACE_PARK) {
        DTRACE_PROBE3(cease, task__park, task->id, task->wait, task->wait_object);
    } else if (kind == CEASEI_TRACE_RUN) {
        DTRACE_PROBE1(cease, task__run, task->id);
    } else if (kind == CEASEI_TRACE_WAKE) {
        DTRACE_PROBE1(cease, task__wake, task->id);
    } else if (kind == CEASEI_TRACE_END) {
        DTRACE_PROBE1(cease, task__end, task->id);
    }
#else
    (void)kind;
    (void)task;
    (void)place;
#endif
}

static inline __attribute__((always_inline)) void ceasei_trace(enum ceasei_trace_kind kind,
                                                               const struct ceasei_task *task,
                                                               const cease_place *place)
{
    ceasei_probe(kind, task, place);
    if (CEASE_UNLIKELY(ceasei_load(&ceasei_tracing, RELAXED) != 0)) {
        ceasei_trace_put(kind, task, place);
    }
}

/* trace_write.c: the file. One thread at a time. */
struct ceasei_trace_file;
struct ceasei_trace_file *ceasei_trace_file_new(FILE *out); /* NULL without memory */
/* `worker` is UINT32_MAX for plain threads. */
void ceasei_trace_file_put(struct ceasei_trace_file *f, uint32_t worker,
                           const struct ceasei_trace_event *e);
/* Ends the file's text and frees f; true when something could not be remembered. */
bool ceasei_trace_file_end(struct ceasei_trace_file *f, uint64_t lost, int64_t now_ns);

#endif
