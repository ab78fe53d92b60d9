/* SPDX-License-Identifier: MIT
 *
 * context_glue.c: what the core is given in place of the parts that talk to the operating system:
 * per-thread state by model thread, the counts, and a panic that is a failed execution.
 */
#include "context/ctx.h"
#include "explore.h"

#include <stdarg.h>
#include <stdio.h>

static struct ceasei_thread threads[EXPLORE_THREADS];

struct ceasei_thread *ceasei_thread_self(void)
{
    struct ceasei_thread *self = &threads[explore_current()];
    self->number = (uint32_t)explore_current();
    return self;
}

/* For a model's check, when nothing else runs. */
size_t cease_live_count(void)
{
    uint64_t live = 0;
    for (int t = 0; t < EXPLORE_THREADS; t++)
        live += threads[t].made - threads[t].freed;
    return (size_t)live;
}

/* There is no timer thread here that could take over: a model's thread runs what is due. */
void ceasei_timer_take_over(void) {}

_Noreturn void ceasei_panic_at(const char *file, int line, const char *function, const char *format,
                               ...)
{
    char text[300];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    explore_fail("panic: %s:%d: %s: %s", file ? explore_file_name(file) : "?", line,
                 function ? function : "?", text);
}
