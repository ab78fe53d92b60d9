/* SPDX-License-Identifier: MIT
 *
 * dial.c: connecting, under a context.
 *
 * A name with several addresses is a race (RFC 8305): the families take turns, the first address of the
 * resolver's order begins, and whenever one has failed, or has not answered for a while, the next one
 * joins in; whoever is connected first wins, and the others are closed. The while is 250 ms, or the part
 * that each of those left can have of the time that is left, where that is less: so a host that swallows
 * packets never uses up the time of the others, and no attempt is given up while there is time.
 *
 * The attempts are sockets in an epoll instance of the race's own, which is one fd to wait for: no task
 * and no thread is started, so a race costs the same from everywhere and has nothing to join.
 *
 * A dial whose context has ended fails, also when a connection was made in the same moment: it is
 * closed. (An accepted connection or a byte that was read would be lost to the caller; a connection that
 * nobody has used yet is not, and who cancels a dial counts on its failure.)
 *
 * A socket is given to the poller only after connect() has been called: before that, epoll reports an
 * unconnected socket as hung up.
 */
#include "net/address.h"
#include "net/conn.h"

#include "net/dial.h"

#include <cease/fd.h>
#include <cease/task.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const int64_t STAGGER_NS = 250000000; /* RFC 8305, section 5: the Connection Attempt Delay */

/* A connect to a port of one's own ephemeral range can meet itself (simultaneous open). */
static bool is_self(int fd)
{
    struct ceasei_address here = {.size = sizeof here.u};
    struct ceasei_address there = {.size = sizeof there.u};
    return getsockname(fd, &here.u.any, &here.size) == 0 &&
           getpeername(fd, &there.u.any, &there.size) == 0 && here.u.any.sa_family != AF_UNIX &&
           here.size == there.size && memcmp(&here.u, &there.u, here.size) == 0;
}

/* What has become of a connect that was under way: CEASE_OK, its error, or CEASE_EAGAIN. */
static cease_error outcome(int fd)
{
    struct ceasei_address peer = {.size = sizeof peer.u};
    int status = 0;
    socklen_t size = sizeof status;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &size);
    if (status != 0 && status != EINPROGRESS && status != EALREADY && status != EINTR) {
        return (cease_error)-status;
    }
    if (getpeername(fd, &peer.u.any, &peer.size) < 0) {
        return errno == ENOTCONN ? CEASE_EAGAIN : (cease_error)-errno; /* a wake-up for nothing */
    }
    return is_self(fd) ? CEASE_ECONNREFUSED : CEASE_OK;
}

/* Waits for the end of a connect that is under way. */
static cease_error finish(cease_ctx *ctx, cease_conn *c)
{
    cease_error e = ceasei_fd_lock(ctx, &c->fd, CEASEI_POLL_WRITE);
    if (e != CEASE_OK) {
        return e;
    }
    do {
        e = ceasei_fd_wait(ctx, &c->fd, CEASEI_POLL_WRITE);
        e = e == CEASE_OK ? outcome(c->fd.number) : e;
    } while (e == CEASE_EAGAIN);
    ceasei_fd_unlock(&c->fd, CEASEI_POLL_WRITE);
    return e;
}

/* Calls connect(). A Unix listener whose queue is full says EAGAIN and cannot be waited for. */
static cease_error begin(cease_ctx *ctx, int fd, const struct ceasei_address *a, bool *ret_pending)
{
    for (int64_t pause_ms = 1;; pause_ms = pause_ms < 50 ? pause_ms * 2 : 50) {
        if (connect(fd, &a->u.any, a->size) == 0) {
            *ret_pending = false;
            return CEASE_OK;
        }
        if (errno == EINPROGRESS || errno == EINTR) {
            *ret_pending = true;
            return CEASE_OK;
        }
        if (errno != EAGAIN || a->u.any.sa_family != AF_UNIX) {
            return (cease_error)-errno;
        }
        cease_error e = cease_sleep(ctx, cease_ms(pause_ms));
        if (e != CEASE_OK) {
            return e;
        }
    }
}

static cease_error open_socket(const struct ceasei_address *a, const cease_dial_opts *opts,
                               int *ret_fd)
{
    int on = 1;
    int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return (cease_error)-errno;
    }
    if (a->u.any.sa_family != AF_UNIX && !opts->delay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    *ret_fd = fd;
    return CEASE_OK;
}

static cease_error dial_one(cease_ctx *ctx, const struct ceasei_address *a,
                            const cease_dial_opts *opts, cease_conn **ret_conn)
{
    cease_conn *c;
    bool pending = false;
    int fd = -1;
    cease_error e = open_socket(a, opts, &fd);
    e = e == CEASE_OK ? ceasei_conn_new(fd, &c) : e;
    if (e != CEASE_OK) {
        return e;
    }
    e = begin(ctx, fd, a, &pending);
    if (e == CEASE_OK && pending) {
        e = finish(ctx, c);
    } else if (e == CEASE_OK && is_self(fd)) {
        e = CEASE_ECONNREFUSED;
    }
    if (e != CEASE_OK) {
        cease_conn_close(c);
        return e;
    }
    *ret_conn = c;
    return CEASE_OK;
}

/* ---- races --------------------------------------------------------------------------------------- */

struct race {
    const struct ceasei_address *addresses;
    const cease_dial_opts *opts;
    int count;                     /* of addresses */
    int begun;                     /* so many have had their turn */
    int running;                   /* of the fds, so many are not -1 */
    int fds[CEASEI_ADDRESSES_MAX]; /* attempts that are under way */
    int epoll;
    int winner; /* its fd; -1 */
    cease_error first;
    cease_time next_at; /* when the next address joins in */
};

static void lose(struct race *r, cease_error e)
{
    r->first = r->first == CEASE_OK ? e : r->first;
    r->next_at = cease_now(); /* the next one need not wait any longer */
}

cease_dur ceasei_dial_stagger(cease_ctx *ctx, int left)
{
    cease_time deadline;
    cease_dur d = {STAGGER_NS};
    if (left > 0 && cease_deadline(ctx, &deadline)) {
        int64_t part = cease_until(deadline).ns / (left + 1);
        d.ns = part < d.ns ? part : d.ns;
    }
    return d;
}

/* Lets the next address join in. */
static void begin_next(cease_ctx *ctx, struct race *r)
{
    int at = r->begun++;
    int fd = -1;
    bool pending = false;
    cease_error e = open_socket(&r->addresses[at], r->opts, &fd);
    e = e == CEASE_OK ? begin(ctx, fd, &r->addresses[at], &pending) : e;
    if (e == CEASE_OK && !pending) {
        e = outcome(fd);
        r->winner = e == CEASE_OK ? fd : -1;
    } else if (e == CEASE_OK) {
        struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)at};
        e = epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? CEASE_OK : (cease_error)-errno;
    }
    if (e != CEASE_OK) {
        if (fd >= 0) {
            close(fd);
        }
        lose(r, e);
    } else if (pending) {
        r->fds[at] = fd;
        r->running++;
        r->next_at = cease_time_add(cease_now(), ceasei_dial_stagger(ctx, r->count - r->begun));
    }
}

/* Takes what the attempts have to say now. */
static void look(struct race *r)
{
    struct epoll_event events[CEASEI_ADDRESSES_MAX];
    int n = epoll_wait(r->epoll, events, CEASEI_ADDRESSES_MAX, 0);
    for (int i = 0; i < n && r->winner < 0; i++) {
        int *fd = &r->fds[events[i].data.u32];
        cease_error e = outcome(*fd);
        if (e == CEASE_EAGAIN) {
            continue;
        }
        if (e == CEASE_OK) {
            epoll_ctl(r->epoll, EPOLL_CTL_DEL, *fd, NULL);
            r->winner = *fd;
        } else {
            close(*fd);
            lose(r, e);
        }
        *fd = -1;
        r->running--;
    }
}

/* Waits for news of the attempts, or until the next one should begin. */
static cease_error wait_for_news(cease_ctx *ctx, struct race *r)
{
    if (r->begun == r->count) {
        return cease_fd_wait(ctx, r->epoll, CEASE_READABLE);
    }
    cease_canceler *stop;
    cease_ctx *limited = cease_with_deadline(ctx, r->next_at, &stop);
    cease_error e = cease_fd_wait(limited, r->epoll, CEASE_READABLE);
    if (e != CEASE_OK && e == cease_err(limited) && cease_err(ctx) == CEASE_OK &&
        cease_until(r->next_at).ns <= 0) {
        e = CEASE_OK; /* its time has come; the caller's is not over */
    }
    cease_end(stop);
    return e;
}

static cease_error run(cease_ctx *ctx, struct race *r)
{
    while (r->winner < 0) {
        bool idle = r->running == 0;
        cease_error e = cease_err(ctx);
        if (e != CEASE_OK) {
            return e;
        }
        if (idle && r->begun == r->count) {
            return r->first;
        }
        if (r->begun < r->count && (idle || cease_until(r->next_at).ns <= 0)) {
            begin_next(ctx, r);
            continue;
        }
        e = wait_for_news(ctx, r);
        if (e != CEASE_OK) {
            return e;
        }
        look(r);
    }
    return CEASE_OK;
}

static cease_error race(cease_ctx *ctx, struct race *r, cease_conn **ret_conn)
{
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll < 0) {
        return (cease_error)-errno;
    }
    r->winner = -1;
    for (int i = 0; i < r->count; i++) {
        r->fds[i] = -1;
    }
    cease_error e = run(ctx, r);
    for (int i = 0; i < r->begun; i++) {
        if (r->fds[i] >= 0) {
            close(r->fds[i]);
        }
    }
    close(r->epoll);
    return e == CEASE_OK ? ceasei_conn_new(r->winner, ret_conn) : e;
}

/* RFC 8305, section 4: the families take turns, each in its own order, the first one's first. */
void ceasei_dial_order(struct ceasei_address *addresses, int count)
{
    struct ceasei_address sorted[CEASEI_ADDRESSES_MAX];
    int next[2] = {0, 0}; /* where to look on: for the first one's family, for others */
    for (int i = 0, turn = 0; i < count; turn = !turn) {
        int *at = &next[turn];
        while (*at < count &&
               (addresses[*at].u.any.sa_family != addresses[0].u.any.sa_family) != (turn == 1)) {
            ++*at;
        }
        if (*at < count) {
            sorted[i++] = addresses[(*at)++];
        }
    }
    memcpy(addresses, sorted, (size_t)count * sizeof *addresses);
}

cease_error ceasei_dial_any(cease_ctx *ctx, const struct ceasei_address *addresses, int count,
                            const cease_dial_opts *opts, cease_conn **ret_conn)
{
    cease_conn *c = NULL;
    struct race r = {.addresses = addresses, .opts = opts, .count = count};
    cease_error e = count == 1 ? dial_one(ctx, addresses, opts, &c) : race(ctx, &r, &c);
    if (e == CEASE_OK && (e = cease_err(ctx)) != CEASE_OK) {
        cease_conn_close(c);
    }
    if (e == CEASE_OK) {
        *ret_conn = c;
    }
    return e;
}

cease_error cease_dial(cease_ctx *ctx, const char *address, const cease_dial_opts *opts,
                       cease_conn **ret_conn)
{
    static const cease_dial_opts none;
    struct ceasei_address_text text;
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
    int count = 0;
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    if (!address || !ceasei_address_parse(address, &text)) {
        return CEASE_EINVAL;
    }
    e = ceasei_address_resolve(ctx, &text, found, &count);
    if (e != CEASE_OK) {
        return e;
    }
    ceasei_dial_order(found, count);
    return ceasei_dial_any(ctx, found, count, opts ? opts : &none, ret_conn);
}
