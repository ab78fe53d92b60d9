/* SPDX-License-Identifier: MIT
 *
 * Tasks that belong together (Go: errgroup): three backends are asked at once, under a budget of
 * 10 seconds. One fails; the slow one is told so at once, instead of being waited for.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>

struct backend {
    const char *name;
    cease_dur takes;
    cease_error result;
    const char *answer; /* written by the task, read after the join */
};

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct backend *b = arg;
    cease_error e = cease_sleep(ctx, b->takes); /* the work */
    b->answer = e ? "was told to stop" : b->result ? "failed" : "answered";
    return e ? e : b->result;
}

int main(void)
{
    struct backend backends[] = {
        {"quick", cease_ms(1), CEASE_OK, NULL},
        {"broken", cease_ms(20), CEASE_EIO, NULL},
        {"slow", cease_hour(1), CEASE_OK, NULL},
    };
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(10), &stop);

    cease_group *g = cease_group_new(ctx, NULL);
    for (size_t i = 0; i < 3; i++) {
        cease_error e = cease_group_go(g, ask, &backends[i]);
        if (e) {
            backends[i].answer = cease_strerror(e);
        }
    }
    cease_error e = cease_group_wait(g); /* all three have returned */
    for (size_t i = 0; i < 3; i++) {
        printf("%s %s\n", backends[i].name, backends[i].answer);
    }
    printf("the group: %s (%s)\n", cease_strerror(e), cease_cause_of(cease_group_ctx(g))->text);
    cease_group_free(g);
    return e == CEASE_EIO ? EXIT_SUCCESS : EXIT_FAILURE;
}
