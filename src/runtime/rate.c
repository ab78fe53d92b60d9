/* SPDX-License-Identifier: MIT
 *
 * rate.c: limiters and tickers.
 *
 * A limiter keeps one number: the time at which its bucket will be full (full_at_). Taking n tokens
 * moves it on by n periods; they are there when it is at most `burst` periods ahead of now. (The
 * generic cell rate algorithm.)
 *
 * Those who wait stand in line for turn_, a mutex; whoever has it sleeps until its tokens are there and
 * takes them only then. So nothing is reserved, and who gives up has nothing to give back: the next in
 * line looks at the clock again. queued_ is what those in line want, for whoever comes to know how
 * long it would wait.
 *
 * Who guards what: full_at_ and queued_ are under the lock of sync_; the rest is set at birth.
 */
#include "base/panic.h"
#include "runtime/sync.h"

#include <cease/hooks.h>
#include <cease/rate.h>

static const cease_place here = {__FILE__, __LINE__, "cease_limiter_wait"};

/* ---- limiter ------------------------------------------------------------------------------------ */

CEASE_PUBLIC void cease_limiter_init(cease_limiter *l, cease_dur every, uint64_t burst)
{
    *l = (cease_limiter){.every_ = every, .burst_ = burst};
}

CEASE_PUBLIC void cease_limiter_deinit(cease_limiter *l)
{
    if (!l) {
        return;
    }
    ceasei_sync_lock(&l->sync_);
    uint64_t queued = l->queued_;
    ceasei_sync_unlock(&l->sync_);
    if (queued) {
        ceasei_panic_at(NULL, 0, __func__, "somebody still waits at this limiter");
    }
    cease_mutex_deinit(&l->turn_);
}

/* So many periods; for ever when that is too long to be said. */
static int64_t periods(const cease_limiter *l, uint64_t count)
{
    int64_t ns;
    return __builtin_mul_overflow(count, l->every_.ns, &ns) ? INT64_MAX : ns;
}

/* Under the lock: when the bucket would be full again if `tokens` were taken now. */
static cease_time full_after(const cease_limiter *l, uint64_t tokens, cease_time now)
{
    cease_time full_at = l->full_at_.ns > now.ns ? l->full_at_ : now;
    return cease_time_add(full_at, (cease_dur){periods(l, tokens)});
}

/* Under the lock: from when on `tokens` can be taken. */
static cease_time ready_at(const cease_limiter *l, uint64_t tokens, cease_time now)
{
    return (cease_time){full_after(l, tokens, now).ns - periods(l, l->burst_)};
}

/* Under the lock: takes the tokens behind `before` others, or says when it could. */
static bool take(cease_limiter *l, uint64_t tokens, uint64_t before, cease_time *ret_ready)
{
    cease_time now = cease_now();
    *ret_ready = ready_at(l, before + tokens, now);
    if (before > 0 || ret_ready->ns > now.ns) {
        return false;
    }
    l->full_at_ = full_after(l, tokens, now);
    return true;
}

/* With the turn; what is wanted is counted in queued_ until this returns. */
static cease_error wait_for_tokens(cease_ctx *ctx, cease_limiter *l, uint64_t tokens)
{
    cease_error e = CEASE_OK;
    cease_time ready;
    ceasei_sync_lock(&l->sync_);
    while (e == CEASE_OK && !take(l, tokens, 0, &ready)) {
        ceasei_sync_unlock(&l->sync_);
        e = cease_sleep(ctx, cease_until(ready));
        ceasei_sync_lock(&l->sync_);
    }
    l->queued_ -= tokens;
    ceasei_sync_unlock(&l->sync_);
    return e;
}

CEASE_PUBLIC cease_error cease_limiter_wait(cease_ctx *ctx, cease_limiter *l, uint64_t tokens)
{
    cease_error e = ceasei_enter(ctx, __func__);
    if (e != CEASE_OK || l->every_.ns <= 0) {
        return e;
    }
    if (tokens > l->burst_) {
        return CEASE_EINVAL;
    }
    cease_time ready, deadline = CEASE_NEVER;
    (void)cease_deadline(ctx, &deadline);
    ceasei_sync_lock(&l->sync_);
    bool taken = take(l, tokens, l->queued_, &ready);
    bool waits = !taken && ready.ns <= deadline.ns;
    l->queued_ += waits ? tokens : 0;
    ceasei_sync_unlock(&l->sync_);
    if (!waits) {
        return taken ? CEASE_OK : CEASE_EDEADLINE;
    }
    e = ceasei_mutex_lock(ctx, &l->turn_, "its turn at a rate limiter", &here);
    if (e == CEASE_OK) {
        e = wait_for_tokens(ctx, l, tokens);
        cease_mutex_unlock(&l->turn_);
        return e;
    }
    ceasei_sync_lock(&l->sync_);
    l->queued_ -= tokens;
    ceasei_sync_unlock(&l->sync_);
    return e;
}

CEASE_PUBLIC cease_error cease_limiter_try(cease_limiter *l, uint64_t tokens)
{
    cease_time ready;
    if (l->every_.ns <= 0) {
        return CEASE_OK;
    }
    if (tokens > l->burst_) {
        return CEASE_EINVAL;
    }
    ceasei_sync_lock(&l->sync_);
    bool taken = take(l, tokens, l->queued_, &ready);
    ceasei_sync_unlock(&l->sync_);
    return taken ? CEASE_OK : CEASE_EAGAIN;
}

/* ---- ticker ------------------------------------------------------------------------------------- */

CEASE_PUBLIC void cease_ticker_init(cease_ticker *t, cease_dur every)
{
    if (every.ns <= 0) {
        ceasei_panic_at(NULL, 0, __func__, "the period must be longer than 0");
    }
    *t = (cease_ticker){.next_ = cease_time_add(cease_now(), every), .every_ = every};
}

CEASE_PUBLIC cease_error cease_ticker_wait(cease_ctx *ctx, cease_ticker *t)
{
    cease_error e = ceasei_enter(ctx, __func__);
    cease_time now = cease_now();
    if (e == CEASE_OK && t->next_.ns > now.ns) {
        e = cease_sleep(ctx, cease_time_sub(t->next_, now));
        now = cease_now();
    }
    if (e == CEASE_OK) {
        int64_t passed = (now.ns - t->next_.ns) / t->every_.ns;
        cease_time last = {t->next_.ns + passed * t->every_.ns}; /* not after now: no overflow */
        t->next_ = cease_time_add(last, t->every_);
    }
    return e;
}
