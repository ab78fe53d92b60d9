/* SPDX-License-Identifier: MIT
 *
 * long_run.h: reports of tasks that run for long without parking. See long_run.c.
 */
#ifndef CEASE_RUNTIME_LONG_RUN_H
#define CEASE_RUNTIME_LONG_RUN_H

#include <stdint.h>

/* A worker begins or has slept, or somebody to report to has come: looks begin unless they go on. */
void ceasei_long_run_begin(void);

/* The monitor's, with the runtime kept from being stopped: looks at all workers, and says when it wants to be
 * called again; INT64_MAX: when it is begun again. */
int64_t ceasei_long_run_look(int64_t now_ns);
/* The monitor ends. */
void ceasei_long_run_end(void);

#endif
