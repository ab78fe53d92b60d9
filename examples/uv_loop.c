/* SPDX-License-Identifier: MIT
 *
 * A libuv loop and contexts: the loop hears of a context's end through its done fd, and what the
 * loop hears of (a timer, a signal, a connection that closes) ends a context through its canceler.
 * Contexts may be ended on any thread; libuv's handles are touched on the loop's thread only, and
 * the done fd is what carries the news from one to the other.
 */
#include <cease/context.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* What works for one request in the loop: a ticking timer, until the context ends. */
struct request {
    uv_poll_t ended;
    uv_timer_t tick;
    cease_ctx *ctx; /* outlives the handles */
    int ticks;
    cease_error result;
};

static void on_tick(uv_timer_t *timer)
{
    struct request *r = timer->data;
    r->ticks++;
}

/* The fd leaves the loop here, before anybody can drop the context. */
static void on_ended(uv_poll_t *poll, int status, int events)
{
    struct request *r = poll->data;
    (void)events;
    r->result = status == 0 ? cease_err(r->ctx) : (cease_error)status; /* libuv's are -errno too */
    uv_close((uv_handle_t *)&r->ended, NULL);
    uv_close((uv_handle_t *)&r->tick, NULL);
}

static bool request_start(struct request *r, uv_loop_t *loop, cease_ctx *ctx)
{
    *r = (struct request){.ctx = ctx};
    int fd = cease_done_fd(ctx);
    if (fd < 0 || uv_poll_init(loop, &r->ended, fd) != 0 || uv_timer_init(loop, &r->tick) != 0)
        return false;
    r->ended.data = r->tick.data = r;
    return uv_poll_start(&r->ended, UV_READABLE, on_ended) == 0 &&
           uv_timer_start(&r->tick, on_tick, 1, 1) == 0;
}

/* The other way round: an event of the loop ends a context. */
static void on_hang_up(uv_timer_t *timer)
{
    cease_cancel_cause(timer->data, 1, "the client has gone");
    uv_close((uv_handle_t *)timer, NULL);
}

int main(void)
{
    uv_loop_t loop;
    struct request timed, cancelled;
    uv_timer_t client;
    if (uv_loop_init(&loop) != 0 || uv_timer_init(&loop, &client) != 0)
        return EXIT_FAILURE;
    CEASE_AUTO_END cease_canceler *stop = NULL, *stop_timed = NULL;
    cease_ctx *root = cease_with_cancel(cease_background(), &stop);
    client.data = stop;
    uv_timer_start(&client, on_hang_up, 10, 0);

    /* One ends by its own deadline, the other with the client. */
    if (!request_start(&timed, &loop, cease_with_timeout(root, cease_ms(3), &stop_timed)) ||
        !request_start(&cancelled, &loop, root))
        return EXIT_FAILURE;
    uv_run(&loop, UV_RUN_DEFAULT); /* returns when all handles are closed */
    int left = uv_loop_close(&loop);

    printf("one: %s\n", cease_strerror(timed.result));
    printf("the other: %s: %s\n", cease_strerror(cancelled.result), cease_cause_of(root)->text);
    /* On a machine that was held up the client may go before the deadline is noticed. */
    bool right = timed.result != CEASE_OK && cancelled.result == CEASE_ECANCELED && left == 0;
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
