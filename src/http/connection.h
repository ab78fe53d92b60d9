/* SPDX-License-Identifier: MIT
 *
 * connection.h: a server's connections, with and without a task. See connection.c.
 */
#ifndef CEASE_HTTP_CONNECTION_H
#define CEASE_HTTP_CONNECTION_H

#include "base/lock.h"

#include <cease/cease.h>
#include <cease/http_client.h>
#include <stdbool.h>
#include <stdint.h>

struct ceasei_http_run;

/* BUSY → IDLE → BUSY …; IDLE → EVICTED: it is being closed, and nobody is to serve it any more. */
enum ceasei_http_connection_state { CEASEI_CONN_BUSY, CEASEI_CONN_IDLE, CEASEI_CONN_EVICTED };

/* What a connection costs while it has no task. */
struct ceasei_http_connection {
    struct ceasei_http_run *run;                /* set at birth */
    cease_conn *conn;                           /* set at birth; our share */
    struct ceasei_http_connection *next, *prev; /* under its shelf's lock */
    struct ceasei_http_connection
        *next_ready;    /* under the list's lock, while it waits for a task */
    cease_time expires; /* under its shelf's lock */
    uint32_t state;     /* atomic */
    uint32_t shelf;     /* set at birth */
    bool woken;         /* something has come; whoever owns it */
    void *session;      /* of TLS; whoever owns the connection */
    bool begun;         /* its task's: a head has come, so it is HTTP/1.1 */
};

/* All connections of one run, spread over a few lists so that workers seldom meet at a lock. */
enum { CEASEI_HTTP_SHELVES = 8 };
struct ceasei_http_connections {
    struct ceasei_http_shelf {
        struct ceasei_lock lock;
        bool closing;                                /* under lock: nobody rests any more */
        struct ceasei_http_connection *first, *last; /* under lock: by `expires` */
    } shelves[CEASEI_HTTP_SHELVES];
    uint32_t next;       /* atomic: whose turn it is */
    uint32_t open;       /* atomic: connections, and 1 for the run itself; who makes it 0 wakes */
    cease_parker parker; /* of the run, which waits for that */
};

void ceasei_http_connections_init(struct ceasei_http_connections *all);
/* Closes all that rest, now and from now on. */
void ceasei_http_connections_close_idle(struct ceasei_http_connections *all);
/* Parks until the last one has ended. */
void ceasei_http_connections_join(struct ceasei_http_connections *all);
/* Closes those that have rested for too long. Gives when that is to be done next: who begins to rest later
 * expires later than that. */
cease_time ceasei_http_connections_sweep(struct ceasei_http_run *run);

/* Takes a connection and has it served. On failure take_conn has been told so and closed. */
void ceasei_http_connection_start(struct ceasei_http_run *run, cease_conn *take_conn);
/* Serves it until it rests or has ended; on the calling task. */
void ceasei_http_connection_serve(struct ceasei_http_connection *c);
/* Ends it: there is no task for it. */
void ceasei_http_connection_turn_away(struct ceasei_http_connection *c);

enum ceasei_http_rest { CEASEI_REST_READ, CEASEI_REST_GONE, CEASEI_REST_OK };
/* For the connection's task, when it waits for a request and nothing of one has come. OK: the connection
 * will get another task when something comes; it is not the caller's any more. READ: something has come
 * already. GONE: it is to be closed. */
enum ceasei_http_rest ceasei_http_connection_rest(struct ceasei_http_connection *c, cease_time now);

/* Bytes in and out, through TLS where the run has it. None waits longer than ctx. */
cease_error ceasei_http_connection_read(cease_ctx *ctx, struct ceasei_http_connection *c, void *buf,
                                        size_t size, size_t *ret_count);
/* What is there already: CEASE_EAGAIN, nothing. TLS: whether a read is worth a try. */
cease_error ceasei_http_connection_try_read(struct ceasei_http_connection *c, void *buf,
                                            size_t size, size_t *ret_count);
cease_error ceasei_http_connection_write(cease_ctx *ctx, struct ceasei_http_connection *c,
                                         const struct iovec *iov, int count, size_t *ret_count);
/* CEASE_EAGAIN: not all of it, without waiting; for TLS always. */
cease_error ceasei_http_connection_try_write(struct ceasei_http_connection *c,
                                             const struct iovec *iov, int count, size_t *ret_count);
/* Says that nothing more will be written. */
cease_error ceasei_http_connection_shutdown(cease_ctx *ctx, struct ceasei_http_connection *c);

#endif
