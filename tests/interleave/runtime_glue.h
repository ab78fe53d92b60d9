/* SPDX-License-Identifier: MIT
 *
 * runtime_glue.h: what the runtime's waiting is given in place of a scheduler: threads 0 and 1 of a
 * model are tasks, thread 2 is a plain thread, so a model can have both kinds of waiter.
 */
#ifndef RUNTIME_GLUE_H
#define RUNTIME_GLUE_H

#include "explore.h"
#include "runtime/task.h"

#include <cease/context.h>

/* In a model's set-up: the hooks, and a context `glue_root` that anybody may cancel. */
void glue_start(void);
extern cease_ctx *glue_root;
void glue_cancel(void);
/* In its check: ends that context; nothing of the core is left. */
void glue_end(void);

/* What a worker does once between its tasks; set by a model's set-up. */
extern void (*glue_between_tasks)(struct ceasei_task *parked);

/* A model's thread runs the n-th task that ceasei_task_start has been given, to its end. False: there
 * was none before glue_no_more_tasks. */
bool glue_run_task(unsigned n);
void glue_no_more_tasks(void);

/* A model's thread that has nothing to do, so that the third is a plain one. */
void glue_nothing(void);

#endif
