/* SPDX-License-Identifier: MIT
 *
 * A pipeline of tasks (Go: "Pipelines and cancellation"): generate -> square -> print.
 *
 * The first stage would go on for ever. The last one takes ten values and returns; main then stops
 * the group, which ends the stages that are parked in a send.
 */
#include <cease/cease.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct stage {
    cease_chan *in, *out;
};

static cease_error generate(cease_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    for (uint64_t n = 1;; n++) {
        cease_error e = cease_chan_send(ctx, s->out, &n);
        if (e) {
            return e;
        }
    }
}

static cease_error square(cease_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    uint64_t n;
    cease_error e;
    while ((e = cease_chan_recv(ctx, s->in, &n)) == CEASE_OK) {
        n *= n;
        e = cease_chan_send(ctx, s->out, &n);
        if (e) {
            break;
        }
    }
    return e;
}

int main(void)
{
    cease_ctx *ctx = cease_background();
    cease_chan *numbers = cease_chan_new(sizeof(uint64_t), 0);
    cease_chan *squares = cease_chan_new(sizeof(uint64_t), 4);
    struct stage first = {NULL, numbers}, second = {numbers, squares};
    cease_group *g = cease_group_new(ctx, NULL);

    cease_error e = cease_group_go(g, generate, &first);
    e = e ? e : cease_group_go(g, square, &second);
    for (int i = 0; i < 10 && !e; i++) {
        uint64_t n;
        e = cease_chan_recv(ctx, squares, &n);
        if (!e) {
            printf("%" PRIu64 "\n", n);
        }
    }
    cease_error stopped = cease_group_stop(g); /* both stages have returned */
    e = e ? e : stopped;
    cease_group_free(g);
    cease_chan_unref(numbers);
    cease_chan_unref(squares);
    if (e) {
        fprintf(stderr, "pipeline: %s\n", cease_strerror(e));
    }
    return e ? EXIT_FAILURE : EXIT_SUCCESS;
}
