/* SPDX-License-Identifier: MIT
 *
 * Pipelines of tasks, after Go's "Pipelines and cancellation": generate -> square -> print, the same stage
 * composed twice, fan-out and fan-in, and a reader that has had enough.
 *
 * A stage receives from one channel, sends to another, and closes that when its input has ended. A stage that
 * nobody reads any more is parked in its send; what ends it is the context. So there is no rule that
 * somebody must drain a channel, and no task is left behind: each part below counts them at its end.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

enum { STAGES_MAX = 8 };

struct stage {
    cease_chan *in, *out;
    int first, last; /* of a generator */
    cease_wait_group
        *siblings; /* who share `out`, and close it when the last has ended; NULL: none */
};

struct pipeline {
    cease_group *group;
    cease_chan *chans[STAGES_MAX];
    struct stage stages[STAGES_MAX];
    cease_wait_group mergers;
    int chan_count, stage_count;
};

static cease_chan *chan(struct pipeline *p)
{
    return p->chans[p->chan_count++] = cease_chan_new(sizeof(int), 0);
}

static void begin(struct pipeline *p)
{
    *p = (struct pipeline){.group = cease_group_new(cease_background(), NULL)};
}

static cease_error start(struct pipeline *p, cease_task_fn *fn, struct stage stage)
{
    struct stage *s = &p->stages[p->stage_count++];
    *s = stage;
    return cease_group_go(p->group, fn, s);
}

/* Waits for all stages, or ends them first. Whether none is left. */
static cease_error finish(struct pipeline *p, bool early)
{
    cease_error e = early ? cease_group_stop(p->group) : cease_group_wait(p->group);
    cease_group_free(p->group);
    for (int i = 0; i < p->chan_count; i++) {
        cease_chan_unref(p->chans[i]);
    }
    struct cease_runtime_counts left = {.size = sizeof left};
    cease_runtime_count(&left);
    return e ? e : left.tasks ? CEASE_EBUSY : CEASE_OK;
}

/* ---- stages ------------------------------------------------------------------------------------------- */

static cease_error generate(cease_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    cease_error e = CEASE_OK;
    for (int n = s->first; n <= s->last && !e; n++) {
        e = cease_chan_send(ctx, s->out, &n);
    }
    cease_chan_close(s->out);
    return e;
}

static cease_error square(cease_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    int n;
    cease_error e;
    while ((e = cease_chan_recv(ctx, s->in, &n)) == CEASE_OK) {
        n *= n;
        if ((e = cease_chan_send(ctx, s->out, &n)) != CEASE_OK) {
            break;
        }
    }
    cease_chan_close(s->out);
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

/* One of several that send to the same channel: the last to end closes it. */
static cease_error merge_one(cease_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    int n;
    cease_error e;
    while ((e = cease_chan_recv(ctx, s->in, &n)) == CEASE_OK) {
        if ((e = cease_chan_send(ctx, s->out, &n)) != CEASE_OK) {
            break;
        }
    }
    cease_wait_group_done(s->siblings);
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

static cease_error close_merged(cease_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    cease_error e = cease_wait_group_wait(ctx, s->siblings);
    cease_chan_close(s->out);
    return e;
}

/* ---- the parts ----------------------------------------------------------------------------------------- */

static cease_error print_all(cease_chan *ch, int *ret_sum)
{
    int n;
    cease_error e;
    while ((e = cease_chan_recv(cease_background(), ch, &n)) == CEASE_OK) {
        printf(" %d", n);
        *ret_sum += n;
    }
    printf("\n");
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

static cease_error squares(bool twice, int *ret_sum)
{
    struct pipeline p;
    begin(&p);
    cease_chan *numbers = chan(&p), *once = chan(&p), *again = twice ? chan(&p) : once;
    cease_error e = start(&p, generate, (struct stage){.out = numbers, .first = 2, .last = 3});
    e = e ? e : start(&p, square, (struct stage){.in = numbers, .out = once});
    if (twice && !e) {
        e = start(&p, square, (struct stage){.in = once, .out = again});
    }
    printf(twice ? "squared twice:" : "squared:");
    e = e ? e : print_all(again, ret_sum);
    cease_error ended = finish(&p, e != CEASE_OK);
    return e ? e : ended;
}

/* Two squarers read the same channel; what they make is merged. */
static cease_error fan_out(struct pipeline *p, int last, cease_chan **ret_merged)
{
    begin(p);
    cease_chan *numbers = chan(p), *left = chan(p), *right = chan(p), *merged = chan(p);
    cease_wait_group *mergers = &p->mergers;
    cease_wait_group_add(mergers, 2);
    cease_error e = start(p, generate, (struct stage){.out = numbers, .first = 1, .last = last});
    e = e ? e : start(p, square, (struct stage){.in = numbers, .out = left});
    e = e ? e : start(p, square, (struct stage){.in = numbers, .out = right});
    struct stage merge = {.in = left, .out = merged, .siblings = mergers};
    e = e ? e : start(p, merge_one, merge);
    merge.in = right;
    e = e ? e : start(p, merge_one, merge);
    e = e ? e : start(p, close_merged, merge);
    *ret_merged = merged;
    return e;
}

static cease_error merged(int *ret_sum)
{
    struct pipeline p;
    cease_chan *ch;
    cease_error e = fan_out(&p, 10, &ch);
    printf("merged, in any order:");
    e = e ? e : print_all(ch, ret_sum);
    cease_error ended = finish(&p, e != CEASE_OK);
    return e ? e : ended;
}

/* Takes one value of an endless pipeline. */
static cease_error first_only(int *ret_value)
{
    struct pipeline p;
    cease_chan *ch;
    cease_error e = fan_out(&p, 1000000000, &ch);
    e = e ? e : cease_chan_recv(cease_background(), ch, ret_value);
    cease_error ended = finish(&p, true); /* five stages were parked in a send */
    return e ? e : ended;
}

int main(void)
{
    int once = 0, twice = 0, all = 0, first = 0;
    cease_error e = squares(false, &once);
    e = e ? e : squares(true, &twice);
    e = e ? e : merged(&all);
    e = e ? e : first_only(&first);
    if (e) {
        fprintf(stderr, "pipeline: %s\n", cease_strerror(e));
        return EXIT_FAILURE;
    }
    printf("the first of very many: %d\n", first);
    return once == 4 + 9 && twice == 16 + 81 && all == 385 && (first == 1 || first == 4)
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
