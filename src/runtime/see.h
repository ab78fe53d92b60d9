/* SPDX-License-Identifier: MIT
 *
 * see.h: the snapshot between those who take it (see.c) and those who show it (see_render.c).
 */
#ifndef CEASE_RUNTIME_SEE_H
#define CEASE_RUNTIME_SEE_H

#include "runtime/task.h"

#include <cease/hooks.h>
#include <stdio.h>

struct ceasei_worker;

enum ceasei_seen_state {
    CEASEI_SEEN_NEW = 0, /* nobody has begun it                                       */
    CEASEI_SEEN_READY,
    CEASEI_SEEN_RUNNING,
    CEASEI_SEEN_WAITING,
    CEASEI_SEEN_UNKNOWN, /* its worker did not answer                                  */
    CEASEI_SEEN_GONE,    /* ended before it was looked at                              */
};

/* How long ago a time was that is kept in milliseconds modulo 2^32. */
static inline int64_t ceasei_seen_ns(cease_time now, uint32_t since_ms)
{
    return (int32_t)((uint32_t)(now.ns / 1000000) - since_ms) * INT64_C(1000000);
}

/* One task. */
struct ceasei_seen {
    uint64_t id;
    const cease_place *place;
    cease_task_fn *fn;
    cease_ctx *ctx; /* a reference; NULL: not known */
    uintptr_t object;
    uint32_t since_ms;
    uint32_t worker;
    uint32_t context; /* see.c: number in ceasei_tree.contexts; UINT32_MAX: none */
    uint32_t next;    /* see.c: the next task of the same context */
    uint8_t state;    /* enum ceasei_seen_state */
    uint8_t wait;     /* enum ceasei_wait, when it waits */
};

struct ceasei_seen_ctx {
    cease_ctx *ctx; /* alive: a task's reference is below it */
    cease_ctx_info info;
    uint32_t parent, other;     /* numbers; UINT32_MAX: none */
    uint32_t first_child, next; /* by number; UINT32_MAX: none */
    uint32_t first_task;        /* number in ceasei_tree.tasks */
};

struct ceasei_tree {
    struct ceasei_seen *tasks;
    size_t task_count, task_room;
    struct ceasei_seen_ctx *contexts;
    size_t context_count, context_room;
    uint32_t *index; /* of contexts, by hash of their address: number + 1; 0: free */
    size_t index_size;
    uint32_t workers;
    cease_time now;
};

/* see.c. From a plain thread. */
cease_error ceasei_tree_take(struct ceasei_tree *ret_tree);
void ceasei_tree_deinit(struct ceasei_tree *tree);
/* The worker's answer, between two tasks, when its `ask` is set. */
void ceasei_see_answer(struct ceasei_worker *w);

/* see_quit.c: puts the handler of SIGQUIT back and ends its thread. */
void ceasei_see_quit_stop(void);

/* see_exit.c: at the end of the process, when no worker runs: reports tasks that live. */
void ceasei_see_exit(void);

/* see_render.c */
void ceasei_tree_text(const struct ceasei_tree *tree, FILE *out);
void ceasei_tree_json(const struct ceasei_tree *tree, FILE *out);

#endif
