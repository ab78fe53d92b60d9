#include "harness.h"

#include <stddef.h>

/* [example] */
#include <cease/hooks.h>

/* The task that runs on this thread; NULL on a thread that is none of the runtime's workers. */
struct task;
static __thread struct task *current_task;
void task_suspend(struct task *task, cease_parker *p);
void task_resume(struct task *task);

/* A runtime's hooks. It knows by `owner` what it has parked; everything else is a plain thread. */
static void runtime_park(cease_parker *p)
{
    if (current_task == NULL) {
        cease_park_thread(p);
        return;
    }
    task_suspend(current_task, p); /* sets p->owner, unless it was woken before */
}

static void runtime_wake(cease_parker *p)
{
    struct task *task = p->owner;
    if (task == NULL)
        cease_wake_thread(p);
    else
        task_resume(task);
}
/* [end] */

void task_suspend(struct task *task, cease_parker *p)
{
    p->owner = task;
}
void task_resume(struct task *task)
{
    (void)task;
}

TEST(example_park_thread)
{
    static const cease_hooks hooks = {
        .size = sizeof hooks, .park = runtime_park, .wake = runtime_wake};
    cease_hooks_install(&hooks);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(1), &stop);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    cease_end(stop);
    cease_hooks_install(NULL);
}
