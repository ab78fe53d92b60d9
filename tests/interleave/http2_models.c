/* SPDX-License-Identifier: MIT
 *
 * http2_models.c: a handler returns while its stream ends (src/http2/guard.h), under every interleaving.
 *
 * Checked: the canceler is not used after the handler has let go of it, and nothing is left behind. The
 * connection's mutex is a lock of ours here.
 */
#include "explore.h"
#include "http2/guard.h"

#include <cease/cease.h>

static struct ceasei_lock connection;
static struct ceasei_h2_guard guard;
static cease_ctx *request;
static cease_canceler *stop;

static void begin(void)
{
    request = cease_with_cancel(cease_background(), &stop);
    ceasei_lock(&connection);
    ceasei_h2_guard_set(&guard, stop);
    ceasei_unlock(&connection);
}

static void handler_returns(void)
{
    if (!ceasei_h2_guard_drop(&guard)) {
        ceasei_lock(&connection);
        ceasei_unlock(&connection);
    }
    cease_end(stop);
}

static void stream_ends(void)
{
    cease_canceler *taken = NULL;
    ceasei_lock(&connection);
    if (ceasei_h2_guard_is_set(&guard)) {
        taken = ceasei_h2_guard_take(&guard);
    }
    ceasei_unlock(&connection);
    if (taken) {
        cease_cancel(taken);
        cease_end(taken);
    }
}

static void check_gone(void)
{
    EXPLORE_CHECK(!ceasei_h2_guard_is_set(&guard));
    EXPLORE_CHECK(cease_live_count() == 0);
}

MODEL(h2_guard_end_cancel, .setup = begin, .threads = {handler_returns, stream_ends},
      .check = check_gone,
      .seeds = {
          {BUG_GUARD, false, "who takes his canceler back does not wait for whoever has it"}});
