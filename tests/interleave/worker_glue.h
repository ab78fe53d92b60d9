/* SPDX-License-Identifier: MIT
 *
 * worker_glue.h: who of a model's threads is which worker. Nobody, unless a model says so.
 */
#ifndef WORKER_GLUE_H
#define WORKER_GLUE_H

/* In a model's set-up, as glue_start(): threads 0 and 1 are workers 0 and 1, whose locks may be theirs. */
void worker_glue_two(void);
/* As glue_end(). */
void worker_glue_end(void);

/* In a set-up: what follows is done by a task of that worker; -1: by a plain thread. */
void worker_glue_as(int index);

#endif
