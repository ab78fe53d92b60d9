/*
 * both.h: one body, run on a plain thread and in a task, because what blocks does it differently there.
 *
 *     static void warm_up(void) { …; harness_mark(); }      // before each of the two
 *
 *     BOTH(query_gives_rows)
 *     {
 *         …
 *     }
 */
#ifndef HARNESS_BOTH_H
#define HARNESS_BOTH_H

#include "harness.h"

#include <cease/group.h>

static inline void run_in_task(cease_task_fn *fn)
{
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK(group != NULL);
    CHECK_OK(cease_group_go(group, fn, NULL));
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
}

/* Defines `name`_on_thread and `name`_in_task. */
#define BOTH(name)                                            \
    static void name(void);                                   \
    static cease_error name##_task(cease_ctx *ctx, void *arg) \
    {                                                         \
        (void)ctx;                                            \
        (void)arg;                                            \
        name();                                               \
        return CEASE_OK;                                      \
    }                                                         \
    TEST(name##_on_thread)                                    \
    {                                                         \
        warm_up();                                            \
        name();                                               \
    }                                                         \
    TEST(name##_in_task)                                      \
    {                                                         \
        warm_up();                                            \
        run_in_task(name##_task);                             \
    }                                                         \
    static void name(void)

#endif
