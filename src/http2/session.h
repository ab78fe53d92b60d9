/* SPDX-License-Identifier: MIT
 *
 * session.h: one HTTP/2 connection's protocol, as a machine over bytes: no I/O, no clock, no task.
 *
 * Frames, HPACK and the stream states are nghttp2's. What is here: the streams with what has come in
 * for them and what is to go out, the limits on what a peer can make us keep or do, and one callback
 * that says which stream has something new. Both roles.
 *
 * Bytes that came go in by ceasei_h2_feed, bytes to send come out by ceasei_h2_pump. Whoever owns the
 * session calls all of this under one lock.
 */
#ifndef CEASE_HTTP2_SESSION_H
#define CEASE_HTTP2_SESSION_H

#include "http2/block.h"
#include "http2/memory.h"

#include <cease/error.h>
#include <cease/time.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    /* Fields of a head: above head_max it is refused; above so many times head_max the connection is
     * ended, since decoding it costs more than it can be worth (a "header bomb"). */
    CEASEI_H2_BOMB_FACTOR = 4,
    /* CONTINUATION frames of one head. */
    CEASEI_H2_CONTINUATION_MAX = 8,
    /* Entries in one SETTINGS frame. */
    CEASEI_H2_SETTINGS_MAX = 32,
    /* Answers to PING and SETTINGS that wait to be sent. */
    CEASEI_H2_ACK_MAX = 128,
    /* Frames that cost us work and bring the peer nothing (PING, SETTINGS, PRIORITY, an empty DATA,
     * the reset of a stream that was not answered): so many at once, and so many a second for ever. A
     * peer that sends more is told ENHANCE_YOUR_CALM, and the connection ends. */
    CEASEI_H2_NOISE_BURST = 1000,
    CEASEI_H2_NOISE_PER_SECOND = 100,
    /* A reset is dearer than a PING: it has started a task. */
    CEASEI_H2_NOISE_RESET = 4,
    /* What a DATA frame that we send gives back, in thousandths: a WINDOW_UPDATE costs one frame, so
     * a peer that opens its window byte by byte runs out. */
    CEASEI_H2_NOISE_BACK_SMALL = 250,
    CEASEI_H2_NOISE_BACK = 2000,
    CEASEI_H2_SMALL = 1024,
    /* Bytes that wait for the socket before streams are no longer asked for more. */
    CEASEI_H2_OUT_HIGH = 32 * 1024,
    /* Streams that a server is thought to take, until it has said how many. */
    CEASEI_H2_PEER_MAX = 100,
    /* A larger input buffer is given back when it is empty. */
    CEASEI_H2_KEEP = 16 * 1024,
    CEASEI_H2_INLINE_TEXT = 384,
    CEASEI_H2_INLINE_FIELDS = 16,
};

struct ceasei_h2_opts {
    bool server;
    uint32_t stream_max;        /* streams that the peer may have open */
    uint32_t stream_window;     /* bytes of a body that may wait to be read */
    uint32_t connection_window; /* of all bodies together */
    uint32_t head_max;          /* names, values and 32 bytes for each (RFC 9113, 6.5.2) */
    uint32_t field_max;
    size_t user_size; /* of what its user keeps in a stream (user_room) */
};

struct ceasei_h2_stream {
    struct ceasei_h2_stream *next, *prev; /* of all that the session knows */
    struct ceasei_h2_session *session;    /* which lives longer */
    int32_t id;
    uint32_t refs; /* the session's, until it is closed, and its user's */
    void *user;    /* its user's */

    struct ceasei_h2_block head, trailers;
    bool head_ended;
    cease_time head_at;         /* when it had come */
    struct ceasei_h2_buffer in; /* never more than the window */
    bool in_ended;              /* the peer has sent all of it */
    bool in_dropped;            /* nobody will read it: what comes is thrown away */

    const struct iovec *out;    /* borrowed until out_left is 0 or ceasei_h2_take_back */
    size_t out_at;              /* taken of the first piece */
    size_t out_left, out_taken; /* taken: since the stream began */
    bool out_begun;             /* the head was submitted */
    bool out_end;               /* what is there is the last of it */
    bool out_ended;             /* END_STREAM has been handed out */
    bool out_lost;              /* it was closed before all that was given had been taken */
    const nghttp2_nv *trailing; /* borrowed likewise: sent after the last byte */
    size_t trailing_count;

    bool closed;   /* the session has let go of it */
    uint32_t code; /* why: an HTTP/2 error code */
    bool by_peer;  /* the peer has reset it */

    char text[CEASEI_H2_INLINE_TEXT];
    struct ceasei_h2_field fields[CEASEI_H2_INLINE_FIELDS];
    void *user_room[]; /* zero at first */
};

/* What is given to be sent. */
struct ceasei_h2_piece {
    const struct iovec *iov;
    int count;
    bool end;                   /* the last bytes, followed by the trailers if there are any */
    const nghttp2_nv *trailers; /* with `end` */
    size_t trailer_count;
};

enum ceasei_h2_event {
    CEASEI_H2_HEAD,   /* a request's, or a response's final one, is complete */
    CEASEI_H2_INPUT,  /* bytes, or their end with or without trailers */
    CEASEI_H2_OUTPUT, /* everything that was given has been taken */
    CEASEI_H2_CLOSED, /* nothing more happens; the last event of a stream */
};

/* Called inside feed and pump, so it must not park and must not call the session. */
typedef void ceasei_h2_event_fn(void *arg, struct ceasei_h2_stream *s, enum ceasei_h2_event event);

struct ceasei_h2_session {
    nghttp2_session *ng;
    struct ceasei_h2_memory memory; /* nghttp2's, and the streams' */
    struct ceasei_h2_opts opts;
    ceasei_h2_event_fn *on_event;
    void *arg;
    struct ceasei_h2_stream *streams; /* newest first */
    struct ceasei_h2_stream *recent;  /* one of them, or NULL: whose frame was the last */
    uint32_t stream_count;
    int64_t noise_left;  /* thousandths of a frame */
    cease_time now;      /* up to when noise was forgotten */
    cease_time fed;      /* when the last input came */
    uint32_t doom;       /* what to end the connection with; 0: nothing */
    uint32_t peer_max;   /* streams that the peer takes at a time */
    bool peer_settled;   /* its SETTINGS have come: peer_max is no guess */
    bool peer_going;     /* GOAWAY has come */
    uint32_t peer_code;  /* of that GOAWAY */
    bool peer_has_begun; /* with a stream of ours: a head has come, or a GOAWAY that says so */
    bool over;           /* no input is taken any more; what is left may be pumped */
    bool dead;           /* nothing is pumped either */
    bool drained;        /* the last pump has found nothing */
    bool settings_acked; /* the peer has answered our SETTINGS */
    bool pong;           /* and our last PING */
};

/* Makes the session, its SETTINGS ready to be pumped. False: out of memory. */
bool ceasei_h2_init(struct ceasei_h2_session *ses, const struct ceasei_h2_opts *opts,
                    ceasei_h2_event_fn *on_event, void *arg);
/* Closes every stream (event CLOSED, with `code`). Nothing is fed or pumped from then on. */
void ceasei_h2_abort(struct ceasei_h2_session *ses, uint32_t code);
/* Frees it, after an abort and when nobody has a stream of it any more. */
void ceasei_h2_deinit(struct ceasei_h2_session *ses);

/* Takes what has come. False: the connection is over, after what ceasei_h2_pump still has. */
bool ceasei_h2_feed(struct ceasei_h2_session *ses, cease_time now, const void *data, size_t size);
/* The next piece to be sent, valid until the next call of the session; 0: nothing, or *ret NULL. A
 * negative value: out of memory, the connection is over. */
int64_t ceasei_h2_pump(struct ceasei_h2_session *ses, const uint8_t **ret);
/* Whether a head that is given now is the very next that is pumped. */
bool ceasei_h2_pumps_next(const struct ceasei_h2_session *ses);
bool ceasei_h2_wants_write(const struct ceasei_h2_session *ses);
/* False when nothing that comes can matter: after the GOAWAY that ends it, or when all streams of a
 * connection that goes are over. */
bool ceasei_h2_wants_read(const struct ceasei_h2_session *ses);
/* Whether the connection may be closed: nothing to come and nothing to go. */
bool ceasei_h2_finished(const struct ceasei_h2_session *ses);

/* Says that the connection will end. 1: no new streams, please. 2, when that has been pumped: a PING, so
 * that `pong` says when the peer knows. 3: none is taken any more. */
void ceasei_h2_going(struct ceasei_h2_session *ses, int phase);

/* client: opens a stream. NULL: out of memory, or the connection takes no more. */
struct ceasei_h2_stream *ceasei_h2_request(struct ceasei_h2_session *ses, const nghttp2_nv *nv,
                                           size_t count, bool end);
/* server: the head of a response (or an interim one, which ends nothing). Its names are in small letters.
 * `lent`: names and values stay where they are until the next pump, and ceasei_h2_pumps_next is true; else
 * they are copied. */
cease_error ceasei_h2_respond(struct ceasei_h2_stream *s, nghttp2_nv *nv, size_t count, bool end,
                              bool lent);
cease_error ceasei_h2_interim(struct ceasei_h2_stream *s, const nghttp2_nv *nv, size_t count);
/* Gives bytes to be sent, which stay the caller's and must stay where they are until OUTPUT, CLOSED or
 * ceasei_h2_take_back. */
cease_error ceasei_h2_give(struct ceasei_h2_stream *s, const struct ceasei_h2_piece *piece);
/* Withdraws what was not taken yet. */
void ceasei_h2_take_back(struct ceasei_h2_stream *s);
/* Ends a stream before its time. */
void ceasei_h2_reset(struct ceasei_h2_stream *s, uint32_t code);

/* Copies input out and opens the window by as much. */
size_t ceasei_h2_read(struct ceasei_h2_stream *s, void *buf, size_t size);
/* Nobody will read: throws away what is there and what comes. */
void ceasei_h2_drop_input(struct ceasei_h2_stream *s);

void ceasei_h2_stream_unref(struct ceasei_h2_stream *s);

/* "CANCEL" for 8; "unknown" for what the RFC does not name. */
const char *ceasei_h2_code_name(uint32_t code);

#endif
