/* SPDX-License-Identifier: MIT
 *
 * drive.c: curl's sockets and its timer on our poller.
 *
 * Curl says which sockets it waits for, and until when. The sockets are in an epoll instance of the seat's, which is
 * itself a descriptor that is readable when one of them is ready: so one cease_fd_wait, under a context that ends
 * when curl's timer is due, waits for all of it.
 */
#include "client.h"

#include <cease/fd.h>
#include <errno.h>
#include <sys/epoll.h>

enum { EVENTS_MAX = 16 };

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct ceasei_curl_seat *seat = arg;
    (void)easy;
    (void)of_socket;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(seat->epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                   (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (epoll_ctl(seat->epoll, EPOLL_CTL_MOD, fd, &event) != 0 &&
        epoll_ctl(seat->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        seat->epoll_failed = true;
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct ceasei_curl_seat *seat = arg;
    (void)multi;
    seat->timer = timeout_ms < 0 ? CEASE_NEVER : cease_time_add(cease_now(), cease_ms(timeout_ms));
    return 0;
}

void ceasei_curl_listen(struct ceasei_curl_seat *seat)
{
    seat->timer = CEASE_NEVER;
    curl_multi_setopt(seat->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(seat->multi, CURLMOPT_SOCKETDATA, seat);
    curl_multi_setopt(seat->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(seat->multi, CURLMOPT_TIMERDATA, seat);
}

/* Until a socket is ready or the timer is due. */
static cease_error wait_for_curl(cease_ctx *ctx, struct ceasei_curl_seat *seat)
{
    cease_canceler *stop;
    cease_ctx *limited = cease_with_deadline(ctx, seat->timer, &stop);
    cease_error e = cease_fd_wait(limited, seat->epoll, CEASE_READABLE);
    bool ended = e != CEASE_OK && e == cease_err(limited);
    cease_end(stop);
    if (!ended || cease_done(ctx))
        return ended ? cease_err(ctx) : e;
    return e == CEASE_EDEADLINE ? CEASE_OK
                                : CEASE_ENOMEM; /* the timer; or no context could be made */
}

static CURLMcode act(struct ceasei_curl_seat *seat, int *ret_running)
{
    if (cease_until(seat->timer).ns <= 0) {
        seat->timer = CEASE_NEVER;
        CURLMcode code = curl_multi_socket_action(seat->multi, CURL_SOCKET_TIMEOUT, 0, ret_running);
        if (code != CURLM_OK)
            return code;
    }
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(seat->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        CURLMcode code =
            curl_multi_socket_action(seat->multi, events[i].data.fd, mask, ret_running);
        if (code != CURLM_OK)
            return code;
    }
    return CURLM_OK;
}

static bool is_over(struct ceasei_curl_seat *seat, CURLcode *ret_code)
{
    int left;
    bool over = false;
    CURLMsg *message;
    while ((message = curl_multi_info_read(seat->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            *ret_code = message->data.result;
            over = true;
        }
    }
    return over;
}

cease_error ceasei_curl_drive(cease_ctx *ctx, struct ceasei_curl_seat *seat, CURLcode *ret_code)
{
    int running;
    seat->epoll_failed = false;
    for (;;) {
        CURLMcode code = act(seat, &running);
        if (is_over(seat, ret_code))
            return CEASE_OK;
        if (code != CURLM_OK)
            return code == CURLM_OUT_OF_MEMORY ? CEASE_ENOMEM : CEASE_EIO;
        if (seat->epoll_failed)
            return CEASE_ENOMEM;
        cease_error e = cease_done(ctx) ? cease_err(ctx) : wait_for_curl(ctx, seat);
        if (e != CEASE_OK)
            return e;
    }
}
