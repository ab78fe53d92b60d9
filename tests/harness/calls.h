/*
 * calls.h: each system call of a scenario fails in turn. Needs faults_dep, and a program of its own for it: its read,
 * connect and so on are the whole process's then.
 */
#ifndef HARNESS_CALLS_H
#define HARNESS_CALLS_H

#include "harness.h"

#include <cease/faults.h>
#include <cease/runtime.h>
#include <cease/test.h>

/* Ends the case as skipped where that cannot be. Time stands while the scenario waits for a server: no deadline in it. */
static inline void each_system_call_fails(cease_task_fn *scenario, void *arg)
{
    cease_runtime_stop();
    cease_faults_system_calls();
    cease_error e = cease_test_each_failure(NULL, scenario, arg);
    if (e == CEASE_ENOTSUP)
        SKIP("a sanitizer has the system calls");
    CHECK_OK(e);
}

#endif
