/* SPDX-License-Identifier: MIT
 *
 * server.h: the insides of the HTTP server.
 *
 *     server.c                       options, routes, accepting, stopping in two phases
 *     connection.c                   connections, of which those that wait have no task
 *     ready.c                        those that something has come for, and the tasks that take them
 *     http1.c, http1_*.c             one HTTP/1.1 connection: heads and bodies in, responses out
 *     exchange.c                     one request and its response: route, limits, context, handler,
 *                                    the server's own pages, log; knows no protocol
 *     gate.c                         how many handlers run, and who waits for a place
 *     request.c, response.c          what the handler sees of it
 *
 * The seam between the protocols and what they have in common is struct ceasei_http_carrier. Whoever
 * has read a request's head fills a struct ceasei_http_exchange (ceasei_http_exchange_init, then the
 * head, its text and its scratch room, see there) and calls ceasei_http_exchange_serve on the task
 * that the handler is to run on. Everything that then happens comes back through the carrier's
 * functions, on that task, one at a time, and the exchange needs no lock:
 *
 *     guard ─ [read the body | send a part of the response] … ─ unguard ─ send the last part ─ log
 *
 * `guard` … `unguard` bracket the handler: in between, the carrier cancels x->stop (any thread may) when
 * it learns that the client is gone, with CEASE_EPEERGONE; after unguard has returned it never does. When
 * serve returns, x->res.stage says what to do with what carried it: ENDED, all has been sent;
 * BROKEN, it must be cut off, so that the client can tell (HTTP/1.1: close; HTTP/2: RST_STREAM). What of
 * the body was not read is the carrier's to skip.
 *
 * A protocol that is a library of its own comes in by cease_http_server_protocol, and calls what is here
 * through struct ceasei_http_seam, since our symbols are hidden from it.
 *
 * Waits: a carrier's function parks under the ctx that it is given and never longer than the response's
 * write budget (ceasei_http_budget_begin and _end) or the body's deadline (ceasei_http_body_begin, and
 * _end).
 */
#ifndef CEASE_HTTP_SERVER_H
#define CEASE_HTTP_SERVER_H

#include "http/connection.h"
#include "http/gate.h"
#include "http/metrics.h"
#include "http/parse.h"
#include "http/ready.h"
#include "http/route.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <cease/http_protocol.h>
#include <string.h>

struct ceasei_http_exchange;

enum {
    CEASEI_HTTP_FIELD_ROOM = 16 * 1024, /* header fields of a response */
    CEASEI_HTTP_TRAILER_ROOM = 2 * 1024,
    CEASEI_HTTP_BODY_ROOM = 16 * 1024, /* a response up to this size is sent in one piece */
    CEASEI_HTTP_SKIP_MAX = 64 * 1024,  /* of a body that nobody reads */
};

/* The middleware of a server, outermost first. */
struct ceasei_http_layers {
    struct ceasei_http_layer {
        cease_http_middleware *fn;
        void *arg;
    } * list;
    size_t count;
};

struct cease_http_server {
    cease_http_server_opts opts; /* with the defaults filled in; set at birth */
    struct ceasei_routes routes; /* fixed while serving */
    uint32_t serving;            /* atomic: how many serve calls run */
    uint64_t connections_total, requests_total, bad_total, busy_total, bad_deadline_total,
        bad_trace_total;              /* atomic */
    uint32_t connections, idle;       /* atomic */
    struct ceasei_http_gate gate;     /* of the handlers */
    struct ceasei_http_layers layers; /* fixed while serving */
    struct ceasei_http_metrics metrics;
    cease_http_protocol protocol; /* size 0: none; fixed while serving */
};

/* One call of serve. All but the connections is set before the first connection. */
struct ceasei_http_run {
    cease_http_server *server;
    cease_ctx *idle;   /* ends at once when the server stops: waiting for and reading of heads; from
                           then on responses say Connection: close */
    cease_ctx *active; /* ends when the grace is over: the parent of every request's context */
    cease_ctx *final;  /* ends a little later: what is still being written */
    cease_group *group;        /* of all its tasks */
    const cease_http_tls *tls; /* NULL: plain */
    void *tls_arg;
    struct ceasei_http_connections connections;
    struct ceasei_http_ready ready[CEASEI_HTTP_READY_LISTS];
};

/* What is to be sent next. The head, when `head`: x->res's status, fields and length. */
struct ceasei_http_part {
    bool head;            /* comes first; exactly one part of a response has it */
    bool last;            /* nothing follows */
    bool body;            /* there may be one; false for HEAD, 204 and 304: pieces are empty */
    struct iovec data[2]; /* of the body, in order; either may be empty */
};

/* What a protocol does for one exchange. */
struct ceasei_http_carrier {
    /* Hands out the next bytes of the body, decoded: at least one, at most `size`. CEASE_EOF: that was
     * all. CEASE_ETIMEDOUT: x->req.body_deadline. CEASE_EPEERGONE: no more will come, and x->stop
     * has been cancelled. CEASE_EPROTO. Else ctx's error: the body can be read on. Not called
     * again after anything but CEASE_OK and ctx's error. */
    cease_error (*read)(cease_ctx *ctx, struct ceasei_http_exchange *x, void *buf, size_t size,
                        size_t *ret_count);
    /* Sends a part whole. ctx is NULL after the handler: then only the write budget and the run's last
     * context bound it. *ret_taken, also on errors: how much of the body has left our hands. Not called
     * again after an error. CEASE_ETIMEDOUT: the budget. */
    cease_error (*send)(cease_ctx *ctx, struct ceasei_http_exchange *x,
                        const struct ceasei_http_part *part, size_t *ret_taken);
    /* See above; x->stop is set. An error: nobody would hear the client go, so no handler is run. */
    cease_error (*guard)(struct ceasei_http_exchange *x, bool half_closed);
    void (*unguard)(struct ceasei_http_exchange *x);
};

struct cease_http_request {
    const char *method, *target, *query;
    char *path;
    struct ceasei_http_params params;
    bool body_ended;        /* the carrier sets it at birth when there is none */
    cease_error body_error; /* what ended the body before its time */
    uint64_t body_total;    /* handed out so far */
    uint64_t body_max;
    cease_time body_deadline;
    char *trailers; /* "Name: value\r\n" …, once the body has ended; the bytes may be changed */
    size_t trailers_size;
    struct ceasei_http_exchange *x;
};

/* HEAD_SENT implies that nothing can be taken back. OPEN → HEAD_SENT → ENDED; any → BROKEN. */
enum ceasei_http_stage {
    CEASEI_RES_OPEN,
    CEASEI_RES_HEAD_SENT,
    CEASEI_RES_ENDED,
    CEASEI_RES_BROKEN
};

struct cease_http_response {
    enum ceasei_http_stage stage;
    int status;
    bool touched;      /* the handler has set or written something */
    bool length_given; /* by the handler; or known, since the whole body was there with the head */
    bool no_body;      /* HEAD: what is written is only counted */
    bool close;        /* the connection ends with this response; the carrier's, too */
    uint64_t length;   /* valid when length_given */
    uint64_t total;    /* written by the handler */
    uint64_t sent;     /* of the body, taken by the carrier */
    cease_error error; /* why it is BROKEN */
    size_t fields_size;
    size_t trailers_size;
    size_t body_size;
    struct ceasei_compress *compress; /* NULL: what is written goes as it is */
    struct ceasei_http_exchange *x;
    char fields[CEASEI_HTTP_FIELD_ROOM];     /* "Name: value\r\n", as often as needed */
    char trailers[CEASEI_HTTP_TRAILER_ROOM]; /* likewise; sent with the last part */
    char body[CEASEI_HTTP_BODY_ROOM];
};

/* One request and its response. Lives on the stack of the task that serves it, of which only what is
 * used costs memory. */
struct ceasei_http_exchange {
    /* The carrier's, before serve. The head is a parsed one: offsets into `text`, whose bytes behind each
     * name and value may be overwritten by a NUL. */
    const struct ceasei_http_carrier *carrier;
    struct ceasei_http_run *run;
    cease_http_server *server;
    cease_conn *conn; /* for the peer's address only */
    void *session;    /* of the run's TLS, for what it knows of the peer; NULL: plain */
    struct ceasei_http_head *head;
    char *text;
    char *scratch; /* for the decoded path and parameters: 2 * (path_size + 32) bytes */
    /* The exchange's own. */
    const struct ceasei_route *route; /* NULL: none */
    cease_canceler *stop;             /* of the request's context, while the handler runs */
    cease_dur write_left;             /* of the response's budget */
    cease_time start; /* when the head was complete; a carrier may say it before serve */
    cease_time end;   /* when the response was sent; 0: none was yet */
    struct cease_http_request req;
    char peer[CEASE_ADDRESS_SIZE]; /* "" until somebody asks */
    struct cease_http_response res;
};

/* exchange.c. init makes all but head, text and scratch valid; an exchange may be served again and again,
 * with a new head each time. */
void ceasei_http_exchange_init(struct ceasei_http_exchange *x,
                               const struct ceasei_http_carrier *carrier,
                               struct ceasei_http_run *run, cease_conn *conn);
/* Serves the request whose head is complete. */
void ceasei_http_exchange_serve(struct ceasei_http_exchange *x);
/* Answers a head that was refused: `status`, and `why` (static) for the log. */
void ceasei_http_exchange_refuse(struct ceasei_http_exchange *x, int status, const char *why);

/* protocol.c: whether these first bytes of a connection are, or may become, the protocol's preface. */
enum ceasei_http_preface { CEASEI_PREFACE_NO, CEASEI_PREFACE_MORE, CEASEI_PREFACE_YES };
enum ceasei_http_preface ceasei_http_preface(const cease_http_server *s, const char *data,
                                             size_t size);
/* Whether both sides have agreed on the protocol, over TLS. */
bool ceasei_http_protocol_agreed(const struct ceasei_http_connection *c);
void ceasei_http_protocol_run(struct ceasei_http_connection *c, const void *data, size_t size);

/* http1.c: what happens on one connection while it is busy. True: it rests, and is not the caller's any
 * more; false: it is to be closed. */
bool ceasei_http1_run(struct ceasei_http_connection *c);

/* request.c */
void ceasei_http_request_begin(struct ceasei_http_exchange *x);
/* A context that ends with ctx or at the body's deadline, for one wait of a carrier's read; then the
 * error of that wait in words: CEASE_ETIMEDOUT for the body's deadline, ctx's error, or e. */
cease_ctx *ceasei_http_body_begin(struct cease_http_request *req, cease_ctx *ctx,
                                  cease_canceler **ret_stop);
cease_error ceasei_http_body_end(cease_ctx *ctx, cease_canceler *stop, cease_error e);

/* response.c */
void ceasei_http_response_begin(struct ceasei_http_exchange *x);
/* Sends what is left; no context of the request bounds it, only the write budget. */
cease_error ceasei_http_response_finish(struct cease_http_response *res);
/* Replaces what was buffered by a page of ours. `field` is "" or a whole header line. */
void ceasei_http_response_page(struct cease_http_response *res, int status, const char *field);
const char *ceasei_http_reason(int status);

/* A context for one wait of a carrier's send: ends with ctx (NULL: the run's last one) or when the write
 * budget is used up; then the error of that wait in words, the budget reduced by what it took. */
struct ceasei_http_budget {
    cease_ctx *parent;
    cease_canceler *stop;
    cease_time begin;
};
cease_ctx *ceasei_http_budget_begin(struct ceasei_http_exchange *x, cease_ctx *ctx,
                                    struct ceasei_http_budget *b);
cease_error ceasei_http_budget_end(struct ceasei_http_exchange *x, struct ceasei_http_budget *b,
                                   cease_error e);

/* What a protocol in another library calls; the functions are those of the same names. */
struct ceasei_http_seam {
    void (*exchange_init)(struct ceasei_http_exchange *x, const struct ceasei_http_carrier *carrier,
                          struct ceasei_http_run *run, cease_conn *conn);
    void (*exchange_serve)(struct ceasei_http_exchange *x);
    void (*exchange_refuse)(struct ceasei_http_exchange *x, int status, const char *why);
    cease_ctx *(*body_begin)(struct cease_http_request *req, cease_ctx *ctx,
                             cease_canceler **ret_stop);
    cease_error (*body_end)(cease_ctx *ctx, cease_canceler *stop, cease_error e);
    cease_ctx *(*budget_begin)(struct ceasei_http_exchange *x, cease_ctx *ctx,
                               struct ceasei_http_budget *b);
    cease_error (*budget_end)(struct ceasei_http_exchange *x, struct ceasei_http_budget *b,
                              cease_error e);
    char *(*put_number)(char *p, uint64_t n, unsigned base);
    char *(*put_date)(char *p);
    cease_error (*connection_read)(cease_ctx *ctx, struct ceasei_http_connection *c, void *buf,
                                   size_t size, size_t *ret_count);
    cease_error (*connection_write)(cease_ctx *ctx, struct ceasei_http_connection *c,
                                    const struct iovec *iov, int count, size_t *ret_count);
    cease_error (*connection_try_write)(struct ceasei_http_connection *c, const struct iovec *iov,
                                        int count, size_t *ret_count);
    cease_error (*connection_shutdown)(cease_ctx *ctx, struct ceasei_http_connection *c);
};

/* Building messages: each returns the end of what it has written. */
static inline char *ceasei_put(char *p, const char *text, size_t size)
{
    memcpy(p, text, size);
    return p + size;
}
static inline char *ceasei_put_text(char *p, const char *text)
{
    return ceasei_put(p, text, strlen(text));
}

/* text.c */
char *ceasei_put_number(char *p, uint64_t n, unsigned base); /* 10 or 16 */
enum { CEASEI_DATE_SIZE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" - 1 };
/* The time of day as in a Date field; not terminated. */
char *ceasei_put_date(char *p);
void ceasei_make_date(char text[CEASEI_DATE_SIZE], int64_t seconds);

#endif
