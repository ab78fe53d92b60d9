/* SPDX-License-Identifier: MIT
 *
 * gdb_program.c: tasks in known states, for gdb_test.py to look at.
 */
#include <cease/cease.h>

void everything_stands(void);

static __attribute__((noinline)) cease_error receives_deep_down(cease_ctx *ctx, cease_chan *ch,
                                                                int depth)
{
    int value;
    cease_error err =
        depth > 0 ? receives_deep_down(ctx, ch, depth - 1) : cease_chan_recv(ctx, ch, &value);
    __asm__ volatile("" ::: "memory"); /* no tail call: each depth has its frame */
    return err;
}

static cease_error receiver(cease_ctx *ctx, void *arg)
{
    return receives_deep_down(ctx, arg, 3);
}

static cease_error sleeper(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_sleep(ctx, cease_hour(1));
}

static cease_semaphore semaphore = CEASE_SEMAPHORE(1);

static cease_error acquirer(cease_ctx *ctx, void *arg)
{
    (void)arg;
    return cease_semaphore_acquire(ctx, &semaphore, 1);
}

static cease_error later(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return CEASE_OK;
}

static cease_error runner(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_error err = cease_go(ctx, later, NULL);
    everything_stands();
    return err;
}

__attribute__((noinline)) void everything_stands(void)
{
    __asm__ volatile("" ::: "memory");
}

int main(void)
{
    cease_chan *ch = cease_chan_new(sizeof(int), 0);
    cease_group *g = cease_group_new(cease_background(), NULL);
    cease_group_go(g, receiver, ch);
    cease_group_go(g, sleeper, NULL);
    cease_semaphore_try_acquire(&semaphore, 1);
    cease_group_go(g, acquirer, NULL);
    /* One worker runs them in this order: the others are parked when the runner runs. */
    cease_group *last = cease_group_new(cease_background(), NULL);
    cease_group_go(last, runner, NULL);
    cease_group_wait(last);
    cease_group_free(last);
    cease_group_free(g);
    cease_chan_unref(ch);
    return cease_runtime_stop() == CEASE_OK ? 0 : 1;
}
