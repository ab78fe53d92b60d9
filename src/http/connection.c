/* SPDX-License-Identifier: MIT
 *
 * connection.c: a server's connections: most of them wait, and those cost neither a task nor a buffer.
 *
 * The idea: between two requests a connection has no task; when bytes come the poller hands it to one
 * (ready.c). What stays is this struct, the cease_conn and the poller's entry, some 350 bytes.
 *
 *     start ──> BUSY: a task has it ──rest──> IDLE: the poller has it
 *                 ^                             │ bytes, the end, a reset
 *                 └─────────────────────────────┤
 *                                               └─ idle too long, or the server stops ──> EVICTED
 *
 *  - Who owns it: the task while BUSY, or the list of those that wait for one; the function that the poller will call, on_readable, once it is
 *    armed. The sweep and the stop never own one: they only close its socket, and closing calls
 *    on_readable, which finds EVICTED and ends it. If the socket is closed before it is armed, arming
 *    fails, and the task ends it. So exactly one ends each connection.
 *  - State IDLE is set, and EVICTED, under the shelf's lock; IDLE → BUSY is a compare-and-swap by
 *    on_readable, against EVICTED.
 *  - Every connection is on a shelf from start to end, those that rest ordered by when they expire: all
 *    have the same time, so whoever begins to rest goes to the back. A busy one that the sweep meets in
 *    front goes to the back too.
 *  - `open` counts connections and the run itself. Whoever takes it to 0 wakes the run, and touches
 *    nothing of it afterwards.
 */
#include "http/connection.h"

#include "base/atomic.h"
#include "http/http1.h"

#include <stdlib.h>

enum { EVICT_MAX = 64 };

/* ---- the shelves ---- */

void ceasei_http_connections_init(struct ceasei_http_connections *all)
{
    *all = (struct ceasei_http_connections){.open = 1};
    cease_parker_init(&all->parker);
}

static void push(struct ceasei_http_shelf *s, struct ceasei_http_connection *c)
{
    c->next = NULL;
    c->prev = s->last;
    if (s->last) {
        s->last->next = c;
    } else {
        s->first = c;
    }
    s->last = c;
}

static void take_out(struct ceasei_http_shelf *s, struct ceasei_http_connection *c)
{
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        s->first = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    } else {
        s->last = c->prev;
    }
}

static struct ceasei_http_shelf *shelf_of(const struct ceasei_http_connection *c)
{
    return &c->run->connections.shelves[c->shelf];
}

static void leave(struct ceasei_http_connections *all)
{
    if (ceasei_sub(&all->open, 1, ACQ_REL) == 1) {
        cease_wake(&all->parker);
    }
}

void ceasei_http_connections_join(struct ceasei_http_connections *all)
{
    leave(all);
    cease_park(&all->parker);
}

/* ---- one connection ---- */

/* The last thing that happens to c. */
static void end(struct ceasei_http_connection *c)
{
    struct ceasei_http_run *run = c->run;
    struct ceasei_http_shelf *s = shelf_of(c);
    ceasei_lock(&s->lock);
    take_out(s, c);
    ceasei_unlock(&s->lock);
    if (c->session) {
        run->tls->close(c->session);
    }
    cease_conn_close(c->conn);
    free(c);
    ceasei_sub(&run->server->connections, 1, RELAXED);
    leave(&run->connections);
}

/* Says 503 to a connection that cannot be served: what fits the socket's buffer, without waiting. Over TLS
 * nothing can be said without a handshake. */
static void say_busy(cease_http_server *s, cease_conn *conn, bool tls)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Type: text/plain\r\n"
                               "Content-Length: 24\r\n"
                               "Retry-After: 1\r\n"
                               "Connection: close\r\n\r\n"
                               "503 Service Unavailable\n";
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1};
    size_t n;
    ceasei_add(&s->busy_total, 1, RELAXED);
    if (!tls) {
        cease_conn_try_writev(conn, &piece, 1, &n);
    }
    cease_conn_shutdown(conn);
}

/* The handshake, before anything else: in the time of a head. */
static bool open_session(struct ceasei_http_connection *c)
{
    struct ceasei_http_run *run = c->run;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(run->idle, run->server->opts.head_timeout, &stop);
    cease_error e = run->tls->open(ctx, run->tls_arg, cease_conn_ref(c->conn), NULL, &c->session);
    cease_end(stop);
    if (e != CEASE_OK) {
        if (c->session) {
            run->tls->close(c->session);
            c->session = NULL;
        }
        ceasei_add(&run->server->bad_total, 1, RELAXED);
    }
    return e == CEASE_OK;
}

void ceasei_http_connection_serve(struct ceasei_http_connection *c)
{
    bool rests = false;
    if (!c->run->tls || c->session || open_session(c)) {
        if (!c->begun && ceasei_http_protocol_agreed(c)) {
            ceasei_http_protocol_run(c, NULL, 0);
        } else {
            rests = ceasei_http1_run(c);
        }
    }
    if (!rests) {
        end(c);
    }
}

void ceasei_http_connection_turn_away(struct ceasei_http_connection *c)
{
    say_busy(c->run->server, c->conn, c->run->tls != NULL);
    end(c);
}

/* On a poller's thread, or inside whoever closes the socket. */
static void on_readable(void *arg)
{
    struct ceasei_http_connection *c = arg;
    uint32_t idle = CEASEI_CONN_IDLE;
    ceasei_sub(&c->run->server->idle, 1, RELAXED);
    c->woken = true;
    if (ceasei_cas(&c->state, &idle, CEASEI_CONN_BUSY, ACQ_REL)) {
        ceasei_http_ready_push(c);
    } else {
        end(c);
    }
}

enum ceasei_http_rest ceasei_http_connection_rest(struct ceasei_http_connection *c, cease_time now)
{
    struct ceasei_http_shelf *s = shelf_of(c);
    cease_time expires = cease_time_add(now, c->run->server->opts.idle_timeout);
    ceasei_lock(&s->lock);
    bool closing = s->closing;
    if (!closing) {
        take_out(s, c);
        c->expires = expires;
        push(s, c);
        ceasei_store(&c->state, CEASEI_CONN_IDLE, RELEASE);
    }
    ceasei_unlock(&s->lock);
    if (closing) {
        return CEASEI_REST_GONE;
    }
    ceasei_add(&c->run->server->idle, 1, RELAXED);
    cease_error e = cease_conn_on_readable(c->conn, on_readable, c);
    if (e == CEASE_OK) {
        return CEASEI_REST_OK;
    }
    uint32_t idle = CEASEI_CONN_IDLE;
    ceasei_sub(&c->run->server->idle, 1, RELAXED);
    bool back = ceasei_cas(&c->state, &idle, CEASEI_CONN_BUSY, ACQ_REL);
    c->woken = true;
    return back && e == CEASE_EAGAIN ? CEASEI_REST_READ : CEASEI_REST_GONE;
}

void ceasei_http_connection_start(struct ceasei_http_run *run, cease_conn *take_conn)
{
    cease_http_server *server = run->server;
    ceasei_add(&server->connections_total, 1, RELAXED);
    bool room = ceasei_add(&server->connections, 1, RELAXED) < server->opts.connection_max;
    struct ceasei_http_connection *c = room ? malloc(sizeof *c) : NULL;
    if (!c) {
        ceasei_sub(&server->connections, 1, RELAXED);
        say_busy(server, take_conn, run->tls != NULL);
        cease_conn_close(take_conn);
        return;
    }
    uint32_t shelf = ceasei_add(&run->connections.next, 1, RELAXED) % CEASEI_HTTP_SHELVES;
    *c = (struct ceasei_http_connection){.run = run,
                                         .conn = take_conn,
                                         .expires =
                                             cease_time_add(cease_now(), server->opts.idle_timeout),
                                         .shelf = shelf};
    ceasei_add(&run->connections.open, 1, RELAXED);
    struct ceasei_http_shelf *s = shelf_of(c);
    ceasei_lock(&s->lock);
    push(s, c);
    ceasei_unlock(&s->lock);
    ceasei_http_ready_push(c);
}

/* ---- those that rest for too long, or when the server stops ---- */

/* Sockets to be closed, without any lock. */
struct evicted {
    size_t count;
    cease_conn *conns[EVICT_MAX];
};

static bool evict(struct ceasei_http_connection *c, struct evicted *ret)
{
    uint32_t idle = CEASEI_CONN_IDLE;
    if (!ceasei_cas(&c->state, &idle, CEASEI_CONN_EVICTED, ACQ_REL)) {
        return false;
    }
    ret->conns[ret->count++] = cease_conn_ref(c->conn);
    return true;
}

static void close_evicted(struct evicted *e)
{
    for (size_t i = 0; i < e->count; i++) {
        cease_conn_close(e->conns[i]); /* calls on_readable, which ends the connection */
    }
    e->count = 0;
}

void ceasei_http_connections_close_idle(struct ceasei_http_connections *all)
{
    for (size_t i = 0; i < CEASEI_HTTP_SHELVES; i++) {
        struct ceasei_http_shelf *s = &all->shelves[i];
        struct evicted evicted = {0};
        do {
            close_evicted(&evicted);
            ceasei_lock(&s->lock);
            s->closing = true;
            struct ceasei_http_connection *c = s->first;
            for (; c && evicted.count < EVICT_MAX; c = c->next) {
                evict(c, &evicted);
            }
            ceasei_unlock(&s->lock);
        } while (evicted.count > 0);
    }
}

/* Evicts what has expired, at most EVICT_MAX; the others in front go to the back. Gives when the next one
 * expires. */
static cease_time sweep_shelf(struct ceasei_http_shelf *s, cease_dur timeout)
{
    struct evicted evicted = {0};
    cease_time now = cease_now();
    cease_time back = cease_time_add(now, timeout);
    ceasei_lock(&s->lock);
    for (int i = 0; i < EVICT_MAX && s->first && s->first->expires.ns <= now.ns; i++) {
        struct ceasei_http_connection *c = s->first;
        evict(c, &evicted);
        take_out(s, c);
        c->expires = back;
        push(s, c);
    }
    cease_time next = s->first ? s->first->expires : back;
    ceasei_unlock(&s->lock);
    close_evicted(&evicted);
    return next;
}

cease_time ceasei_http_connections_sweep(struct ceasei_http_run *run)
{
    cease_dur timeout = run->server->opts.idle_timeout;
    cease_time next = cease_time_add(cease_now(), timeout);
    for (size_t i = 0; i < CEASEI_HTTP_SHELVES; i++) {
        cease_time t = sweep_shelf(&run->connections.shelves[i], timeout);
        next = t.ns < next.ns ? t : next;
    }
    return next;
}

/* ---- bytes in and out ---- */

cease_error ceasei_http_connection_read(cease_ctx *ctx, struct ceasei_http_connection *c, void *buf,
                                        size_t size, size_t *ret_count)
{
    return c->session ? c->run->tls->read(ctx, c->session, buf, size, ret_count)
                      : cease_conn_read(ctx, c->conn, buf, size, ret_count);
}

cease_error ceasei_http_connection_try_read(struct ceasei_http_connection *c, void *buf,
                                            size_t size, size_t *ret_count)
{
    if (!c->session) {
        return cease_conn_try_read(c->conn, buf, size, ret_count);
    }
    bool some = c->woken || c->run->tls->pending(c->session);
    c->woken = false;
    return some ? CEASE_OK : CEASE_EAGAIN; /* which bytes, only a read that may wait can say */
}

cease_error ceasei_http_connection_write(cease_ctx *ctx, struct ceasei_http_connection *c,
                                         const struct iovec *iov, int count, size_t *ret_count)
{
    if (!c->session) {
        return cease_conn_writev(ctx, c->conn, iov, count, ret_count);
    }
    cease_error e = CEASE_OK;
    *ret_count = 0;
    for (int i = 0; i < count && e == CEASE_OK; i++) {
        size_t n = 0;
        e = c->run->tls->write(ctx, c->session, iov[i].iov_base, iov[i].iov_len, &n);
        *ret_count += n;
    }
    return e;
}

cease_error ceasei_http_connection_try_write(struct ceasei_http_connection *c,
                                             const struct iovec *iov, int count, size_t *ret_count)
{
    *ret_count = 0;
    return c->session ? CEASE_EAGAIN : cease_conn_try_writev(c->conn, iov, count, ret_count);
}

cease_error ceasei_http_connection_shutdown(cease_ctx *ctx, struct ceasei_http_connection *c)
{
    return c->session ? c->run->tls->shutdown(ctx, c->session) : cease_conn_shutdown(c->conn);
}
