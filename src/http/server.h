/* SPDX-License-Identifier: MIT
 *
 * server.h: the insides of the HTTP server: a server, one run of it, one connection's exchange.
 */
#ifndef CEASE_HTTP_SERVER_H
#define CEASE_HTTP_SERVER_H

#include "http/metrics.h"
#include "http/parse.h"
#include "http/route.h"

#include <cease/cease.h>
#include <cease/http.h>

enum {
    CEASEI_HTTP_HEAD_ROOM = 16 * 1024, /* a head up to this size needs no heap */
    CEASEI_HTTP_READ_ROOM = 4 * 1024,  /* always free behind a head, for a chunked body */
    CEASEI_HTTP_FIELDS = 256,
    CEASEI_HTTP_FIELD_ROOM = 4 * 1024, /* header fields of a response */
    CEASEI_HTTP_BODY_ROOM = 16 * 1024, /* a response up to this size is sent in one piece */
    CEASEI_HTTP_SKIP_MAX = 64 * 1024,  /* of a body that nobody reads */
};

struct cease_http_server {
    cease_http_server_opts opts; /* with the defaults filled in; set at birth */
    struct ceasei_routes routes; /* fixed while serving */
    uint32_t serving;            /* atomic: how many serve calls run */
    uint64_t connections_total, requests_total, bad_total, busy_total,
        bad_deadline_total;               /* atomic */
    uint32_t connections, idle, requests; /* atomic */
    struct ceasei_http_metrics metrics;
};

/* One call of serve. All but `draining` is set before the first connection. */
struct ceasei_http_run {
    cease_http_server *server;
    cease_ctx *idle;   /* ends at once when the server stops: waiting for and reading of heads */
    cease_ctx *active; /* ends when the grace is over: the parent of every request's context */
    cease_ctx *final;  /* ends a little later: what is still being written */
    uint32_t draining; /* atomic: responses say Connection: close */
};

/* How the bytes of a request's body are told from what follows. */
enum ceasei_http_body { CEASEI_BODY_NONE, CEASEI_BODY_LENGTH, CEASEI_BODY_CHUNKED };

struct cease_http_request {
    const char *method, *target, *query;
    char *path;
    struct ceasei_http_params params;
    enum ceasei_http_body body;
    bool body_ended;
    bool expects;           /* 100 Continue is still to be sent */
    cease_error body_error; /* what ended the body before its time */
    uint64_t body_left;     /* of a Content-Length */
    uint64_t body_total;    /* handed out so far */
    uint64_t body_max;
    cease_time body_deadline;
    struct ceasei_http_chunks chunks;
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
    bool chunked;      /* since the head was sent without a length */
    bool length_given; /* by the handler */
    bool no_body;      /* HEAD: what is written is only counted */
    bool close;        /* the connection ends with this response */
    uint64_t length;   /* valid when length_given */
    uint64_t total;    /* written by the handler */
    uint64_t sent;     /* of the body, taken by the kernel */
    cease_error error; /* why it is BROKEN */
    size_t fields_size;
    size_t body_size;
    struct ceasei_http_exchange *x;
    char fields[CEASEI_HTTP_FIELD_ROOM];
    char body[CEASEI_HTTP_BODY_ROOM];
};

/* One connection while it has a task: lives on the task's stack, of which only what is used costs
 * memory. */
struct ceasei_http_exchange {
    struct ceasei_http_run *run;
    cease_http_server *server;
    cease_conn *conn;
    const struct ceasei_route *route; /* of the current request; NULL: none */
    cease_canceler *stop;             /* of the current request's context; NULL: none */
    cease_dur write_left;             /* of the current response's budget */
    cease_time start;                 /* when the current head was complete */
    char *in;                         /* input: the head, then what follows it */
    size_t in_room, in_size, in_at;   /* allocated; filled; consumed */
    char *scratch;                    /* decoded path and parameters, in_room * 2 bytes */
    char *heap;                       /* in and scratch, when they are not in the room below */
    struct ceasei_http_head head;
    struct cease_http_request req;
    char peer[CEASE_ADDRESS_SIZE]; /* "" until somebody asks */
    struct cease_http_response res;
    struct ceasei_http_field fields[CEASEI_HTTP_FIELDS];
    char in_memory[CEASEI_HTTP_HEAD_ROOM + CEASEI_HTTP_READ_ROOM];
    char scratch_memory[2 * (CEASEI_HTTP_HEAD_ROOM + CEASEI_HTTP_READ_ROOM)];
};

/* exchange.c: everything that happens on one connection, until it is to be closed. */
void ceasei_http_exchange_run(struct ceasei_http_run *run, cease_conn *conn);

/* request.c */
void ceasei_http_request_begin(struct ceasei_http_exchange *x);
/* Reads what the handler left. False: the connection cannot be used again. */
bool ceasei_http_request_skip(struct ceasei_http_exchange *x, cease_ctx *ctx);

/* response.c */
void ceasei_http_response_begin(struct ceasei_http_exchange *x);
/* Sends what is left; no context of the request bounds it, only the write budget. */
cease_error ceasei_http_response_finish(struct cease_http_response *res);
/* Replaces what was buffered by a page of ours. `field` is "" or a whole header line. */
void ceasei_http_response_page(struct cease_http_response *res, int status, const char *field);
/* Writes under ctx, or NULL: under the run's last context; bounded by the write budget. */
cease_error ceasei_http_send(struct ceasei_http_exchange *x, cease_ctx *ctx,
                             const struct iovec *iov, int count, size_t *ret_count);
const char *ceasei_http_reason(int status);

#endif
