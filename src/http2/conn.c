/* SPDX-License-Identifier: MIT
 *
 * conn.c: one HTTP/2 connection with its tasks, and calls: streams that are waited for under contexts.
 *
 * Sending. Who has something for the session gives it and at once lets the session fill the output
 * buffer with frames, as far as windows and CEASEI_H2_OUT_HIGH allow. Unless a writer is there already,
 * it then starts one, a task that is queued behind all that are ready: so the answers of all handlers
 * that run meanwhile go out in one system call. The writer writes one buffer while the other fills, and
 * ends when there is nothing more. What does not fit stays with its giver, who waits: a slow reader
 * costs two buffers and nothing else.
 *
 * Waiting. A call has a slot for one reader and one for one writer. The session's events empty the slot
 * and wake who stood in it; the end of a context wakes it too, whichever claims first.
 *
 * The end. A stream that is over before its time cancels its call's context with the HTTP/2 code as the
 * cause's code (positive, so that no cease_error is like it). A connection that is lost ends all of them
 * with CEASE_EPEERGONE.
 */
#include "http2/conn.h"

#include "base/atomic.h"

#include <stdlib.h>
#include <string.h>

enum { READ_ROOM = 16 * 1024, OUT_KEEP = 4 * 1024 };
enum { WAITING, BY_CTX, BY_PEER };

/* ---- waiting ---- */

static bool claim(struct ceasei_h2_wait *w, uint32_t by)
{
    uint32_t expected = WAITING;
    return ceasei_cas(&w->claim, &expected, by, ACQ_REL); /* pairs with the other claimer's */
}

static void on_ctx_done(void *arg)
{
    struct ceasei_h2_wait *w = arg;
    if (claim(w, BY_CTX)) {
        cease_wake(&w->parker);
    }
}

/* Under the lock. */
static void notify(struct ceasei_h2_wait **slot)
{
    struct ceasei_h2_wait *w = *slot;
    *slot = NULL;
    if (w && claim(w, BY_PEER)) {
        cease_wake(&w->parker);
    }
}

/* Under the lock, which is given back meanwhile: waits until notified. */
static cease_error wait_in(cease_ctx *ctx, struct ceasei_h2_conn *c, struct ceasei_h2_wait **slot)
{
    struct ceasei_h2_wait w;
    w.claim = WAITING;
    cease_parker_init(&w.parker);
    *slot = &w;
    ceasei_h2_conn_unlock(c);
    cease_watch_add_waiter(&w.watch, ctx, on_ctx_done, &w);
    cease_park(&w.parker);
    if (cease_watch_remove(&w.watch) == CEASE_WATCH_RUNNING) {
        cease_watch_remove_sync(&w.watch);
    }
    ceasei_h2_conn_lock(c);
    if (*slot == &w) {
        *slot = NULL;
    }
    return ceasei_load(&w.claim, ACQUIRE) == BY_CTX ? cease_err(ctx) : CEASE_OK;
}

/* ---- what the session says ---- */

/* Handlers of streams that were reset count, those that have answered and only return do not: their peer
 * keeps to the number of open streams as it sees it. Twice the number is the end of that, too. */
static bool has_room(const struct ceasei_h2_conn *c)
{
    uint32_t max = c->ses.opts.stream_max;
    return c->calls - c->past < max && c->calls / 2 < max;
}

static void stream_is_new(struct ceasei_h2_conn *c, struct ceasei_h2_stream *s)
{
    struct ceasei_h2_call *call = (struct ceasei_h2_call *)s->user_room;
    if (!has_room(c)) {
        ceasei_h2_reset(s, NGHTTP2_REFUSED_STREAM); /* which says that it may be tried again */
        return;
    }
    s->user = call;
    s->refs++;
    call->conn = c;
    call->s = s;
    call->bodiless = s->in_ended && s->in.at == s->in.size;
    call->next = c->fresh;
    c->fresh = call;
    if (c->calls++ == 0) {
        c->owner->rests(c->owner_self, false);
    }
}

static void stream_is_closed(struct ceasei_h2_conn *c, struct ceasei_h2_call *call)
{
    notify(&call->reader);
    notify(&call->writer);
    bool early = call->s->by_peer || call->s->session->dead || !call->s->out_ended;
    if (early && !call->listed && ceasei_h2_guard_is_set(&call->guard)) {
        call->listed = true;
        call->next = c->ended;
        c->ended = call;
    }
    if (!early && !call->past) {
        call->past = true;
        c->past++;
    }
}

static void on_event(void *arg, struct ceasei_h2_stream *s, enum ceasei_h2_event event)
{
    struct ceasei_h2_conn *c = arg;
    struct ceasei_h2_call *call = s->user;
    if (!call) {
        if (event == CEASEI_H2_HEAD && c->owner) {
            stream_is_new(c, s);
        }
    } else if (event == CEASEI_H2_OUTPUT) {
        notify(&call->writer);
    } else if (event == CEASEI_H2_CLOSED) {
        stream_is_closed(c, call);
    } else {
        notify(&call->reader);
    }
}

/* ---- writing ---- */

static bool reserve(struct ceasei_h2_bytes *b, size_t more)
{
    if (more > b->room - b->size) {
        size_t room = b->size + more < OUT_KEEP ? OUT_KEEP : (b->size + more) * 2;
        char *grown = realloc(b->data, room);
        if (!grown) {
            return false;
        }
        b->data = grown;
        b->room = room;
    }
    return true;
}

/* Under the lock: frames into the buffer. */
static void fill(struct ceasei_h2_conn *c)
{
    struct ceasei_h2_bytes *b = &c->out[c->filling];
    while (b->size < CEASEI_H2_OUT_HIGH && !c->stopped) {
        const uint8_t *data = NULL;
        int64_t n = ceasei_h2_pump(&c->ses, &data);
        if (n == 0) {
            break;
        }
        if (n < 0 || !reserve(b, (size_t)n)) {
            c->ses.over = true; /* a frame is lost: the stream of bytes cannot go on */
            c->stopped = true;
            break;
        }
        memcpy(b->data + b->size, data, (size_t)n);
        b->size += (size_t)n;
    }
}

static void empty(struct ceasei_h2_bytes *b)
{
    b->size = 0;
    if (b->room > OUT_KEEP) {
        free(b->data);
        *b = (struct ceasei_h2_bytes){0};
    }
}

/* A context for the wait is made when there is one: to look at its deadline would make a timer. */
static cease_error write_out(struct ceasei_h2_conn *c, const struct ceasei_h2_bytes *b)
{
    size_t n = 0;
    cease_error e = c->io->try_write(c->io_self, b->data, b->size, &n);
    if (e != CEASE_EAGAIN) {
        return e;
    }
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(c->alive, c->write_budget, &stop);
    e = c->io->write(ctx, c->io_self, b->data + n, b->size - n);
    cease_end(stop);
    return e;
}

/* The writer: `writing` is set, and its own. */
static cease_error write_all(cease_ctx *ctx, void *arg)
{
    struct ceasei_h2_conn *c = arg;
    cease_error e = CEASE_OK;
    (void)ctx;
    ceasei_h2_conn_lock(c);
    for (;;) {
        fill(c);
        struct ceasei_h2_bytes *b = &c->out[c->filling];
        if (b->size == 0 || e != CEASE_OK) {
            break;
        }
        c->filling ^= 1;
        pthread_mutex_unlock(&c->lock);
        e = write_out(c, b);
        ceasei_h2_conn_lock(c);
        empty(b);
    }
    empty(&c->out[c->filling]);
    c->writing = false;
    if (e != CEASE_OK) {
        c->stopped = true;
        ceasei_h2_abort(&c->ses, NGHTTP2_INTERNAL_ERROR);
    }
    ceasei_h2_conn_unlock(c);
    return CEASE_OK;
}

/* ---- the lock ---- */

void ceasei_h2_conn_lock(struct ceasei_h2_conn *c)
{
    pthread_mutex_lock(&c->lock);
}

static void cancel_call(const struct ceasei_h2_stream *s, cease_canceler *stop)
{
    if (s->by_peer) {
        cease_cancel_cause(stop, s->code != 0 ? (int)s->code : CEASE_EPEERGONE,
                           "the client reset the stream: %s", ceasei_h2_code_name(s->code));
    } else if (s->session->dead || !s->closed) { /* with its connection */
        cease_cancel_cause(stop, CEASE_EPEERGONE, "the client went away");
    } else {
        cease_cancel_cause(stop, s->code != 0 ? (int)s->code : CEASE_EPEERGONE,
                           "the stream has ended: %s", ceasei_h2_code_name(s->code));
    }
}

void ceasei_h2_call_say_end(struct ceasei_h2_call *call, cease_canceler *stop)
{
    ceasei_h2_conn_lock(call->conn);
    struct ceasei_h2_stream *s = call->s; /* stays, and stays as it is: it has ended */
    pthread_mutex_unlock(&call->conn->lock);
    cancel_call(s, stop);
}

/* Under the lock, which is given back for each cancel. */
static void cancel_ended(struct ceasei_h2_conn *c)
{
    while (c->ended) {
        struct ceasei_h2_call *call = c->ended;
        struct ceasei_h2_stream *s = call->s;
        cease_canceler *stop = ceasei_h2_guard_take(&call->guard);
        c->ended = call->next;
        call->listed = false;
        if (!stop) {
            continue; /* unguarded meanwhile */
        }
        s->refs++;
        pthread_mutex_unlock(&c->lock);
        cancel_call(s, stop);
        cease_end(stop);
        pthread_mutex_lock(&c->lock);
        ceasei_h2_stream_unref(s);
    }
}

/* Under the lock: the calls that are to be started, oldest first. */
static struct ceasei_h2_call *take_fresh(struct ceasei_h2_conn *c)
{
    struct ceasei_h2_call *list = NULL;
    while (c->fresh) {
        struct ceasei_h2_call *call = c->fresh;
        c->fresh = call->next;
        call->next = list;
        list = call;
    }
    return list;
}

/* The same where nothing has become ready, or was taken already. */
static void release(struct ceasei_h2_conn *c)
{
    struct ceasei_h2_call *fresh = take_fresh(c);
    cancel_ended(c);
    bool write = !c->writing && c->out[c->filling].size > 0 && !c->stopped;
    c->writing = c->writing || write;
    bool quit = c->draining && c->calls == 0 && !c->writing;
    bool kill = c->stopped;
    pthread_mutex_unlock(&c->lock);
    if (kill) {
        cease_cancel_cause(c->kill, CEASE_EPIPE, "the connection cannot be written to");
    } else if (quit) {
        cease_cancel(c->quit);
    }
    while (fresh) {
        struct ceasei_h2_call *call = fresh;
        fresh = call->next;
        c->owner->start(c->owner_self, call);
    }
    if (write && cease_group_go(c->group, write_all, c) != CEASE_OK) {
        write_all(NULL, c);
    }
}

static bool is_settled(const struct ceasei_h2_conn *c)
{
    return c->ses.peer_settled || c->ses.over || c->ses.dead;
}

void ceasei_h2_conn_unlock(struct ceasei_h2_conn *c)
{
    fill(c);
    if (c->opener && is_settled(c)) {
        notify(&c->opener);
    }
    release(c);
}

cease_error ceasei_h2_conn_await_settings(cease_ctx *ctx, struct ceasei_h2_conn *c)
{
    cease_error e = CEASE_OK;
    ceasei_h2_conn_lock(c);
    while (e == CEASE_OK && !is_settled(c)) {
        e = wait_in(ctx, c, &c->opener);
    }
    if (e == CEASE_OK && !c->ses.peer_settled) {
        e = CEASE_ECLOSED;
    }
    ceasei_h2_conn_unlock(c);
    return e;
}

void ceasei_h2_conn_trim(struct ceasei_h2_conn *c)
{
    pthread_mutex_lock(&c->lock);
    ceasei_h2_memory_trim(&c->ses.memory);
    pthread_mutex_unlock(&c->lock);
}

/* ---- reading ---- */

cease_error ceasei_h2_conn_take(struct ceasei_h2_conn *c, const void *data, size_t size)
{
    ceasei_h2_conn_lock(c);
    c->asked = (cease_time){0};
    c->mute = false;
    bool more = ceasei_h2_feed(&c->ses, cease_now(), data, size);
    fill(c); /* a GOAWAY that ends everything counts once it is out */
    more = more && ceasei_h2_wants_read(&c->ses);
    ceasei_h2_conn_unlock(c);
    return more ? CEASE_OK : CEASE_ECLOSED;
}

cease_error ceasei_h2_conn_read(cease_ctx *ctx, struct ceasei_h2_conn *c)
{
    char buf[READ_ROOM];
    size_t n = 0;
    cease_error e = c->io->read(ctx, c->io_self, buf, sizeof buf, &n);
    return e == CEASE_OK ? ceasei_h2_conn_take(c, buf, n) : e;
}

void ceasei_h2_conn_going(struct ceasei_h2_conn *c, int phase)
{
    ceasei_h2_conn_lock(c);
    ceasei_h2_going(&c->ses, phase);
    if (phase == 1) {
        fill(c);
        ceasei_h2_going(&c->ses, 2);
    }
    c->draining = c->draining || phase == 3;
    ceasei_h2_conn_unlock(c);
}

void ceasei_h2_conn_end(struct ceasei_h2_conn *c, uint32_t code)
{
    ceasei_h2_conn_lock(c);
    fill(c);
    ceasei_h2_abort(&c->ses, code);
    ceasei_h2_conn_unlock(c);
}

/* ---- birth and death ---- */

cease_error ceasei_h2_conn_init(struct ceasei_h2_conn *c, const struct ceasei_h2_conn_opts *opts)
{
    static const cease_group_opts supervise = {.size = sizeof supervise, .supervise = true};
    memset(c, 0, sizeof *c);
    c->io = opts->io;
    c->io_self = opts->io_self;
    c->owner = opts->owner;
    c->owner_self = opts->owner_self;
    c->write_budget = opts->write_budget;
    struct ceasei_h2_opts session = opts->session;
    session.user_size = opts->owner ? opts->owner->call_size : 0;
    if (!ceasei_h2_init(&c->ses, &session, on_event, c)) {
        return CEASE_ENOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->alive = cease_with_cancel(opts->parent, &c->kill);
    c->reading = cease_with_cancel(c->alive, &c->quit);
    c->idle_since = cease_now();
    c->group = cease_group_new(c->alive, &supervise);
    if (!c->group) {
        ceasei_h2_conn_deinit(c);
        return CEASE_ENOMEM;
    }
    return CEASE_OK;
}

void ceasei_h2_conn_join(struct ceasei_h2_conn *c)
{
    if (c->group) {
        cease_group_wait(c->group);
    }
}

void ceasei_h2_conn_deinit(struct ceasei_h2_conn *c)
{
    ceasei_h2_conn_join(c);
    cease_group_free(c->group);
    ceasei_h2_abort(&c->ses, NGHTTP2_NO_ERROR);
    ceasei_h2_deinit(&c->ses);
    free(c->out[0].data);
    free(c->out[1].data);
    cease_end(c->quit);
    cease_end(c->kill);
    pthread_mutex_destroy(&c->lock);
}

/* ---- calls ---- */

cease_error ceasei_h2_call_open(struct ceasei_h2_conn *c, struct ceasei_h2_call *call,
                                const nghttp2_nv *nv, size_t count, bool end)
{
    cease_error e = CEASE_ECLOSED;
    *call = (struct ceasei_h2_call){.conn = c};
    ceasei_h2_conn_lock(c);
    call->s = ceasei_h2_request(&c->ses, nv, count, end);
    if (call->s) {
        call->s->user = call;
        call->s->refs++;
        c->calls++;
        c->asked = c->asked.ns != 0 ? c->asked : cease_now();
        e = CEASE_OK;
    } else if (!c->ses.over && !c->ses.peer_going) {
        e = CEASE_ENOMEM;
    }
    ceasei_h2_conn_unlock(c);
    return e;
}

/* Under the lock: takes a call off the list of those to be cancelled. */
static void unlist(struct ceasei_h2_conn *c, struct ceasei_h2_call *call)
{
    struct ceasei_h2_call **p = &c->ended;
    while (call->listed && *p) {
        if (*p == call) {
            *p = call->next;
            call->listed = false;
            return;
        }
        p = &(*p)->next;
    }
}

void ceasei_h2_call_close(struct ceasei_h2_call *call, uint32_t code)
{
    struct ceasei_h2_conn *c = call->conn;
    ceasei_h2_conn_lock(c);
    struct ceasei_h2_stream *s = call->s;
    bool whole = s->out_ended && s->in_ended && s->in.at == s->in.size;
    ceasei_h2_drop_input(s);
    if (!s->out_ended || !s->in_ended) {
        ceasei_h2_reset(s, code);
    }
    unlist(c, call);
    s->user = NULL;
    c->past -= call->past;
    if (--c->calls == 0) {
        c->idle_since = cease_now();
        if (c->owner) {
            c->owner->rests(c->owner_self, true);
        }
    }
    ceasei_h2_stream_unref(s); /* and a server's call with it */
    if (!whole) {
        fill(c);
    }
    release(c);
}

void ceasei_h2_call_guard(struct ceasei_h2_call *call, cease_canceler *stop)
{
    struct ceasei_h2_conn *c = call->conn;
    ceasei_h2_conn_lock(c);
    ceasei_h2_guard_set(&call->guard, stop);
    if (call->s->closed) {
        stream_is_closed(c, call);
    }
    release(c);
}

void ceasei_h2_call_unguard(struct ceasei_h2_call *call)
{
    if (!ceasei_h2_guard_drop(&call->guard)) {
        pthread_mutex_lock(&call->conn->lock);
        pthread_mutex_unlock(&call->conn->lock);
    }
}

/* Under the lock: why a stream that is closed gives no more. */
static cease_error end_of(const struct ceasei_h2_stream *s)
{
    return s->code == NGHTTP2_REFUSED_STREAM ? CEASE_EAGAIN
           : s->session->dead                ? CEASE_EPIPE
                                             : CEASE_ECONNRESET;
}

/* The same for one who waits under ctx: what a peer does because a deadline is over is that deadline's. */
static cease_error end_under(cease_ctx *ctx, const struct ceasei_h2_stream *s)
{
    cease_error e = cease_err(ctx);
    return e != CEASE_OK ? e : end_of(s);
}

cease_error ceasei_h2_call_wait(cease_ctx *ctx, struct ceasei_h2_call *call)
{
    struct ceasei_h2_stream *s = call->s;
    ceasei_h2_conn_lock(call->conn);
    cease_error e = cease_err(ctx);
    while (e == CEASE_OK && !s->head_ended) {
        e = s->closed ? end_under(ctx, s) : wait_in(ctx, call->conn, &call->reader);
    }
    ceasei_h2_conn_unlock(call->conn);
    return e;
}

cease_error ceasei_h2_call_read(cease_ctx *ctx, struct ceasei_h2_call *call, void *buf, size_t size,
                                size_t *ret_count)
{
    struct ceasei_h2_stream *s = call->s;
    ceasei_h2_conn_lock(call->conn);
    cease_error e = cease_err(ctx);
    while (e == CEASE_OK && s->in.at == s->in.size) {
        e = s->in_ended ? CEASE_EOF
            : s->closed ? end_under(ctx, s)
                        : wait_in(ctx, call->conn, &call->reader);
    }
    if (e == CEASE_OK) {
        *ret_count = ceasei_h2_read(s, buf, size);
    }
    ceasei_h2_conn_unlock(call->conn);
    return e;
}

cease_error ceasei_h2_call_try_read(struct ceasei_h2_call *call, void *buf, size_t size,
                                    size_t *ret_count)
{
    struct ceasei_h2_stream *s = call->s;
    ceasei_h2_conn_lock(call->conn);
    cease_error e = CEASE_EAGAIN;
    if (s->in.at < s->in.size) {
        *ret_count = ceasei_h2_read(s, buf, size);
        e = CEASE_OK;
    } else if (s->in_ended) {
        e = CEASE_EOF;
    }
    ceasei_h2_conn_unlock(call->conn);
    return e;
}

/* Under the lock: whether all that was given has been taken. */
static bool all_taken(const struct ceasei_h2_stream *s)
{
    return !s->out_lost && s->out_left == 0 && s->out_end == s->out_ended;
}

cease_error ceasei_h2_call_send(struct ceasei_h2_call *call, nghttp2_nv *nv, size_t count,
                                const struct ceasei_h2_piece *piece, bool *ret_waits)
{
    struct ceasei_h2_stream *s = call->s;
    cease_error e = CEASE_OK;
    ceasei_h2_conn_lock(call->conn);
    if (nv) {
        bool lent = ceasei_h2_pumps_next(s->session); /* by the fill below */
        e = ceasei_h2_respond(s, nv, count, piece == NULL, lent);
    }
    if (e == CEASE_OK && piece) {
        e = ceasei_h2_give(s, piece);
    }
    fill(call->conn);
    if (e == CEASE_OK && piece) {
        *ret_waits = !s->closed && !all_taken(s);
        e = s->closed && !all_taken(s) ? CEASE_ECLOSED : CEASE_OK;
    }
    e = e == CEASE_ECLOSED ? end_of(s) : e;
    release(call->conn);
    return e;
}

cease_error ceasei_h2_call_flush(cease_ctx *ctx, struct ceasei_h2_call *call)
{
    struct ceasei_h2_stream *s = call->s;
    ceasei_h2_conn_lock(call->conn);
    cease_error e = cease_err(ctx);
    while (e == CEASE_OK && !all_taken(s)) {
        e = s->closed ? end_under(ctx, s) : wait_in(ctx, call->conn, &call->writer);
    }
    if (e != CEASE_OK) {
        ceasei_h2_take_back(s);
    }
    ceasei_h2_conn_unlock(call->conn);
    return e;
}

cease_error ceasei_h2_call_interim(struct ceasei_h2_call *call, const nghttp2_nv *nv, size_t count)
{
    ceasei_h2_conn_lock(call->conn);
    cease_error e = ceasei_h2_interim(call->s, nv, count);
    e = e == CEASE_ECLOSED ? end_of(call->s) : e;
    ceasei_h2_conn_unlock(call->conn);
    return e;
}
