/* SPDX-License-Identifier: MIT
 *
 * conn.h: one HTTP/2 connection with its tasks, and calls: streams that are waited for under contexts.
 *
 * A connection has one task that reads (whoever runs ceasei_h2_conn_read_all) and, while there is
 * something to send, one that writes. Everybody else, a handler or a client's task, does what it has to
 * do with the session itself, under the connection's lock, and waits for its own stream only.
 *
 * Locking. `lock` guards the session, its streams, the calls' slots and the output buffers. It is held
 * for some microseconds (nghttp2 allocates and compresses), never while anybody parks, and no context is
 * cancelled under it: what has to be cancelled is put on `ended` and done by ceasei_h2_conn_unlock.
 */
#ifndef CEASE_HTTP2_CONN_H
#define CEASE_HTTP2_CONN_H

#include "http2/guard.h"
#include "http2/session.h"

#include <cease/cease.h>
#include <cease/hooks.h>
#include <pthread.h>

/* What carries the bytes: read and write may be called at the same time by two tasks. */
struct ceasei_h2_io {
    cease_error (*read)(cease_ctx *ctx, void *self, void *buf, size_t size, size_t *ret_count);
    cease_error (*write)(cease_ctx *ctx, void *self, const void *data, size_t size);
    /* What is taken at once. CEASE_EAGAIN: not all, or nobody can say. */
    cease_error (*try_write)(void *self, const void *data, size_t size, size_t *ret_count);
};

/* One wait, on the waiter's stack: for its stream or for the end of its context, whoever claims it
 * first. Peers claim under the connection's lock, and forget it then. */
struct ceasei_h2_wait {
    uint32_t claim; /* atomic: 0 waiting, 1 by the context, 2 by a peer */
    cease_parker parker;
    cease_watch watch;
};

struct ceasei_h2_conn;

/* A stream as its user has it. */
struct ceasei_h2_call {
    struct ceasei_h2_conn *conn;
    struct ceasei_h2_stream *s;             /* a reference */
    struct ceasei_h2_wait *reader, *writer; /* under lock: who waits for input, for output */
    struct ceasei_h2_guard guard;           /* cancels who is ended early when the stream is */
    struct ceasei_h2_call *next;            /* under lock: of `fresh` or `ended` */
    bool listed;                            /* under lock: it is on `ended` */
    bool past;                              /* under lock: counted in the connection's `past` */
    bool bodiless;                          /* server, set at birth: the head was all */
};

/* What the owner of a connection wants to hear. */
struct ceasei_h2_owner {
    /* server: a request's head is complete. Consumes call, which goes with ceasei_h2_call_close. Without the
     * lock. */
    void (*start)(void *self, struct ceasei_h2_call *take_call);
    /* server: the first call has come, or the last one is over. This one under the lock. */
    void (*rests)(void *self, bool rests);
    size_t call_size; /* of what begins with a call */
};

struct ceasei_h2_bytes {
    char *data;
    size_t size, room;
};

struct ceasei_h2_conn {
    pthread_mutex_t lock;
    struct ceasei_h2_session ses;
    struct ceasei_h2_bytes out[2]; /* one fills, the other is being written */
    unsigned filling;              /* under lock: which one fills */
    bool writing;                  /* under lock: a task writes, or is about to */
    bool stopped;                  /* under lock: nothing is written any more */
    struct ceasei_h2_call *fresh;  /* under lock, newest first: to be started */
    struct ceasei_h2_call *ended;  /* under lock: to be cancelled */
    uint32_t calls;                /* under lock: not yet closed by their users */
    uint32_t past;                 /* under lock: of them, those whose stream has ended in order */
    cease_time idle_since;         /* under lock: valid while calls is 0 */
    cease_time asked; /* under lock: client: the first request since anything has come; 0: none */
    struct ceasei_h2_wait *opener; /* under lock: client: who waits for the server's SETTINGS */
    bool mute;     /* under lock: client: so much time has passed since that it may be dead */
    bool draining; /* under lock: quit is cancelled when there is nothing left to do */

    /* set at birth */
    const struct ceasei_h2_io *io;
    void *io_self;
    const struct ceasei_h2_owner *owner;
    void *owner_self;
    cease_group *group;     /* the writer's, and on a server the handlers' */
    cease_ctx *alive;       /* ends when the connection is to be given up */
    cease_canceler *kill;   /* of alive */
    cease_ctx *reading;     /* ends before it when the connection is drained */
    cease_canceler *quit;   /* of reading */
    cease_dur write_budget; /* what one write may wait for its reader */
};

/* What a connection is made of. */
struct ceasei_h2_conn_opts {
    struct ceasei_h2_opts session;
    const struct ceasei_h2_io *io;
    void *io_self;
    const struct ceasei_h2_owner *owner; /* server */
    void *owner_self;
    cease_ctx *parent; /* of everything that reads and writes */
    cease_dur write_budget;
};

cease_error ceasei_h2_conn_init(struct ceasei_h2_conn *c, const struct ceasei_h2_conn_opts *opts);
/* Waits for the peer's SETTINGS. CEASE_ECLOSED: it has gone. One caller. */
cease_error ceasei_h2_conn_await_settings(cease_ctx *ctx, struct ceasei_h2_conn *c);
/* Joins the tasks, which must have been given reason to end. */
void ceasei_h2_conn_join(struct ceasei_h2_conn *c);
/* The same, and frees everything. */
void ceasei_h2_conn_deinit(struct ceasei_h2_conn *c);

/* Gives back memory that is kept for the next streams. */
void ceasei_h2_conn_trim(struct ceasei_h2_conn *c);

/* For changes of the session: unlock sends what has become ready and cancels who has to be. */
void ceasei_h2_conn_lock(struct ceasei_h2_conn *c);
void ceasei_h2_conn_unlock(struct ceasei_h2_conn *c);

/* One read under ctx, and everything that follows from it. An error is ctx's or the connection's;
 * CEASE_ECLOSED: the session is over. */
cease_error ceasei_h2_conn_read(cease_ctx *ctx, struct ceasei_h2_conn *c);
/* The same for bytes that were read by others. */
cease_error ceasei_h2_conn_take(struct ceasei_h2_conn *c, const void *data, size_t size);
/* ceasei_h2_going: phases 1 and 2, or 3, after which `reading` ends when the last call is over and everything is written. */
void ceasei_h2_conn_going(struct ceasei_h2_conn *c, int phase);
/* Ends every stream, with `code`, and the writing after what is ready has been written. */
void ceasei_h2_conn_end(struct ceasei_h2_conn *c, uint32_t code);

/* ---- calls ---- */

/* client: opens one. `end`: without a body. */
cease_error ceasei_h2_call_open(struct ceasei_h2_conn *c, struct ceasei_h2_call *call,
                                const nghttp2_nv *nv, size_t count, bool end);
/* Gives the stream back: one that is not complete is reset with `code`. */
void ceasei_h2_call_close(struct ceasei_h2_call *call, uint32_t code);
/* From now on `stop` is cancelled when the stream ends before its time, until unguard. */
void ceasei_h2_call_guard(struct ceasei_h2_call *call, cease_canceler *stop);
void ceasei_h2_call_unguard(struct ceasei_h2_call *call);

/* Cancels with why the stream has ended: for who learns of it by an error before the guard has cancelled, so that
 * whoever is first says the same. */
void ceasei_h2_call_say_end(struct ceasei_h2_call *call, cease_canceler *stop);

/* Waits for the head (client). */
cease_error ceasei_h2_call_wait(cease_ctx *ctx, struct ceasei_h2_call *call);
/* Reads the body: CEASE_EOF at its end, CEASE_ECONNRESET when the stream was ended before. */
cease_error ceasei_h2_call_read(cease_ctx *ctx, struct ceasei_h2_call *call, void *buf, size_t size,
                                size_t *ret_count);
/* What is there; CEASE_EAGAIN: nothing yet, or never. */
cease_error ceasei_h2_call_try_read(struct ceasei_h2_call *call, void *buf, size_t size,
                                    size_t *ret_count);
/* Sends a head, when there is one, then the piece. If *ret_waits was set, not all of it could be taken
 * yet: it stays borrowed, and ceasei_h2_call_flush is to be called. No piece: the head is all. */
cease_error ceasei_h2_call_send(struct ceasei_h2_call *call, nghttp2_nv *nv, size_t count,
                                const struct ceasei_h2_piece *piece, bool *ret_waits);
/* Waits until the piece has been taken; on an error, what has not been is withdrawn. */
cease_error ceasei_h2_call_flush(cease_ctx *ctx, struct ceasei_h2_call *call);
cease_error ceasei_h2_call_interim(struct ceasei_h2_call *call, const nghttp2_nv *nv, size_t count);

#endif
