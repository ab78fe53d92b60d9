/* SPDX-License-Identifier: MIT
 *
 * overflow.c: says which task has run out of stack.
 *
 * Running into the guard raises SIGSEGV, which the worker takes on a signal stack of its own. The
 * handler is installed only where there was none; everything that is not a guard of the running task
 * goes on to the default action, with the same core dump as without us. Whoever installs a handler
 * after us and chains finds ours.
 */
#include "base/panic.h"
#include "runtime/runtime.h"

#include <signal.h>
#include <stddef.h>

static bool is_installed; /* under runtime.c's life */

static void on_segv(int signal_number, siginfo_t *info, void *frame)
{
    (void)frame;
    struct ceasei_task *task = ceasei_task_self();
    if (task) {
        struct ceasei_stack_bounds b = ceasei_stack_bounds(task);
        char *at = info->si_addr;
        if (at >= b.guard && at < b.bottom) {
            ceasei_panic(task->place,
                         "stack overflow in task %llu, which was started here; it has %zu KiB "
                         "(CEASE_STACK or cease_runtime_configure give more)",
                         (unsigned long long)task->id, (size_t)(b.top - b.bottom) >> 10);
        }
    }
    struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(signal_number, &none, NULL); /* it happens again, and nobody catches it */
}

void ceasei_overflow_install(void)
{
    struct sigaction old, ours = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaction(SIGSEGV, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
        old.sa_handler == SIG_DFL) {
        sigemptyset(&ours.sa_mask);
        is_installed = sigaction(SIGSEGV, &ours, NULL) == 0;
    }
}

void ceasei_overflow_remove(void)
{
    struct sigaction now, none = {.sa_handler = SIG_DFL};
    if (is_installed && sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_segv) {
        sigaction(SIGSEGV, &none, NULL);
    }
    is_installed = false;
}
