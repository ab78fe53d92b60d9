/* SPDX-License-Identifier: MIT
 *
 * hedge.c: the same request to several replicas; the first good answer wins.
 *
 * Every call has a task in one group; the caller waits on a channel for what came of each, at most `delay`
 * at a time. Whoever loses is cancelled with the group and joined, so nothing runs on, and what it had
 * received is freed here.
 */
#include <cease/cease.h>
#include <cease/http_client.h>

enum { CALLS_MAX = 16 };

struct hedge {
    cease_http_client *client;
    cease_chan *done; /* gets the index of each call that has ended; room for all */
    struct one {
        struct hedge *all;
        const cease_http_call *call;
        cease_http_reply reply;
        cease_error error;
    } one[CALLS_MAX];
};

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct one *o = arg;
    o->error = cease_http_client_do(ctx, o->all->client, o->call, &o->reply);
    const size_t index = (size_t)(o - o->all->one);
    cease_chan_try_send(o->all->done, &index);
    return CEASE_OK;
}

static bool is_good(const struct one *o)
{
    return o->error == CEASE_OK && o->reply.status < 500;
}

/* Waits for the next that ends; `delay` at most, when there are more to begin. CEASE_EAGAIN: nothing yet. */
static cease_error next(cease_ctx *ctx, struct hedge *h, bool more, cease_dur delay,
                        size_t *ret_index)
{
    if (!more || delay.ns == INT64_MAX) {
        return cease_chan_recv(ctx, h->done, ret_index);
    }
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, delay, &stop);
    cease_error e = cease_chan_recv(limited, h->done, ret_index);
    cease_end(stop);
    if (e != CEASE_OK && cease_err(ctx) == CEASE_OK) {
        return CEASE_EAGAIN;
    }
    return e;
}

/* The winner, or who failed best; -1: none has ended, or it could not begin. */
static cease_error race(cease_ctx *ctx, struct hedge *h, cease_group *g, size_t count,
                        cease_dur delay, int *ret_best)
{
    size_t begun = 0;
    size_t ended = 0;
    bool begin = true;
    cease_error first = CEASE_OK;
    while (ended < begun || begin) {
        size_t i = 0;
        if (begin) {
            cease_error e = cease_group_go(g, ask, &h->one[begun]);
            if (e != CEASE_OK) {
                return e;
            }
            begun++;
        }
        cease_error e = next(ctx, h, begun < count, delay, &i);
        begin = begun < count;
        if (e == CEASE_EAGAIN) {
            continue;
        }
        if (e != CEASE_OK) {
            return e;
        }
        ended++;
        if (is_good(&h->one[i])) {
            *ret_best = (int)i;
            return CEASE_OK;
        }
        if (h->one[i].error == CEASE_OK) {
            *ret_best = (int)i;
        }
        first = first != CEASE_OK ? first : h->one[i].error;
    }
    return *ret_best >= 0 ? CEASE_OK : first;
}

cease_error cease_http_client_hedge(cease_ctx *ctx, cease_http_client *c,
                                    const cease_http_call *calls, size_t count, cease_dur delay,
                                    cease_http_reply *ret, size_t *ret_index)
{
    if (!c) {
        return CEASE_ENOMEM;
    }
    if (count == 0 || count > CALLS_MAX) {
        return CEASE_EINVAL;
    }
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    int best = -1;
    struct hedge h = {.client = c, .done = cease_chan_new(sizeof(size_t), CALLS_MAX)};
    for (size_t i = 0; i < count; i++) {
        h.one[i] = (struct one){.all = &h, .call = &calls[i]};
    }
    cease_group *g = cease_group_new(ctx, NULL);
    e = g && h.done ? race(ctx, &h, g, count, delay, &best) : CEASE_ENOMEM;
    cease_group_free(g); /* cancels and joins the others */
    for (size_t i = 0; i < count; i++) {
        if (e == CEASE_OK && (int)i == best) {
            *ret = h.one[i].reply;
            if (ret_index) {
                *ret_index = i;
            }
        } else {
            cease_http_reply_deinit(&h.one[i].reply);
        }
    }
    cease_chan_unref(h.done);
    return e;
}
