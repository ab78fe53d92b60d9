#include "harness.h"

/* [example] */
#include <cease/hooks.h>

/* An event loop that brings its own clock (here one that only moves when it is told to, for tests)
 * and drives the deadlines that its thread makes. */
enum { LOOP_SHARD = 1 };
static cease_time loop_now = {1};

static cease_time loop_clock(void)
{
    return loop_now;
}
static unsigned loop_shard(void)
{
    return LOOP_SHARD; /* deadlines go to this shard: no timer thread is started */
}
static void loop_kick(unsigned shard)
{
    (void)shard; /* a loop that sleeps would be woken: the next deadline has become earlier */
}

static const cease_hooks loop_hooks = {.size = sizeof loop_hooks,
                                       .clock = loop_clock,
                                       .timer_shard = loop_shard,
                                       .timer_kick = loop_kick};

/* Jumps to the next deadline and ends what is due. Returns how many contexts that were. */
static size_t loop_step(void)
{
    if (cease_hooks_installed()->clock != loop_clock)
        cease_hooks_install(&loop_hooks);
    cease_time next = cease_timers_next(LOOP_SHARD);
    if (next.ns == INT64_MAX)
        return 0; /* nothing has a deadline */
    loop_now = next;
    return cease_timers_run(LOOP_SHARD, loop_now);
}
/* [end] */

TEST(example_hooks_install)
{
    CHECK_EQ(loop_step(), 0);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    CHECK(!cease_done(ctx)); /* somebody has looked: the deadline is armed */
    CHECK_EQ(loop_step(), 1);
    CHECK_ERR(cease_err(ctx), CEASE_EDEADLINE);
    CHECK_EQ(loop_now.ns, 1 + cease_hour(1).ns);
    cease_end(stop);
    cease_hooks_install(NULL);
    CHECK(cease_hooks_installed()->clock != loop_clock);
}
