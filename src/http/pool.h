/* SPDX-License-Identifier: MIT
 *
 * pool.h: connections of a client, by origin.
 */
#ifndef CEASE_HTTP_POOL_H
#define CEASE_HTTP_POOL_H

#include "base/lock.h"

#include <cease/cease.h>
#include <cease/http_client.h>
#include <sys/uio.h>

struct ceasei_origin;

enum { CEASEI_WHY_SIZE = 192 }; /* bytes of words for an error */

/* One connection, plain or with TLS. Used by one exchange at a time, or by `users` if it is multiplexed; what is
 * marked so is under the pool's lock. */
struct ceasei_link {
    cease_conn *conn;
    const cease_http_tls *tls;
    void *session;                     /* of tls; NULL: plain, or multiplexed */
    const cease_http_multiplex *multi; /* set at birth, as is the next; NULL: HTTP/1.1 */
    void *shared;                      /* of multi */
    uint32_t users, limit;             /* of shared; under lock, as is what follows */
    bool gone;                         /* it is lost */
    bool listed;                       /* among those of the origin that take more */
    struct ceasei_link *listed_next;
    struct ceasei_pool *pool;                      /* set at birth; NULL: belongs to no pool */
    struct ceasei_origin *origin;                  /* the same */
    uint64_t used;                                 /* atomic: exchanges begun */
    uint8_t state;                                 /* enum ceasei_link_state; under lock */
    cease_time idle_since;                         /* under lock, as are the lists */
    struct ceasei_link *older, *newer;             /* of all idle ones */
    struct ceasei_link *origin_next, *origin_prev; /* of the idle ones of the origin */
};

/* As cease_conn_read, cease_conn_writev. */
cease_error ceasei_link_read(cease_ctx *ctx, struct ceasei_link *l, void *buf, size_t size,
                             size_t *ret_count);
cease_error ceasei_link_write(cease_ctx *ctx, struct ceasei_link *l, const struct iovec *iov,
                              int count, size_t *ret_count);
/* What is known of its last error; "": nothing. */
const char *ceasei_link_why(const struct ceasei_link *l);
/* Whether nothing has come that was not read. */
bool ceasei_link_is_quiet(const struct ceasei_link *l);
/* Whether one task may read while another writes. */
bool ceasei_link_is_duplex(const struct ceasei_link *l);

/* Where a request goes. The texts are borrowed and not NUL-terminated, but for `address`. */
struct ceasei_target {
    bool tls;
    const char *host; /* without brackets, for the certificate */
    size_t host_size;
    const char *authority; /* host:port, the port always there */
    size_t authority_size;
    const char *address;    /* what to dial; of the proxy, when there is one */
    bool tunnel;            /* ask the proxy at `address` for a connection to the authority */
    const char *proxy_auth; /* a whole header line for CONNECT, or "" */
    cease_time since;       /* its place in the queue: before those who came later; 0: now */
    char *
        why; /* gets what is known of a failed dial: CEASEI_WHY_SIZE bytes, "" at first; NULL: nobody asks */
};

struct ceasei_pool {
    uint32_t connection_max, idle_max, idle_per_origin_max; /* set at birth */
    cease_dur idle_timeout, dial_timeout;                   /* set at birth */
    const cease_http_tls *tls;                              /* set at birth, as are the next two */
    void *tls_arg;
    const cease_http_multiplex *multi; /* NULL: HTTP/1.1 only */
    cease_group *group;                /* dials and the sweeper; set at birth */
    struct ceasei_lock lock;
    struct ceasei_origin **table; /* under lock, as is all that follows */
    uint32_t table_size, origin_count;
    struct ceasei_link *oldest, *newest;
    uint32_t idle, busy, dialing, waiting; /* busy: neither idle nor being dialed */
    bool sweeping;                         /* the sweeper runs */
    bool closed;
    uint64_t dials_total;
};

/* The limits are set; the rest is zero. */
cease_error ceasei_pool_init(struct ceasei_pool *p);
/* Joins what runs. Nothing may be in use. Accepts one whose init has failed. */
void ceasei_pool_deinit(struct ceasei_pool *p);
void ceasei_pool_close_idle(struct ceasei_pool *p);

/* A connection to the target: an idle one, a new one, or one that somebody gives back meanwhile. */
cease_error ceasei_pool_get(cease_ctx *ctx, struct ceasei_pool *p, const struct ceasei_target *t,
                            struct ceasei_link **ret_link);
/* Gives one back that can be used again: nothing is unread, nothing unsent. A multiplexed one is always given
 * back, whatever has become of it: others may be using it. */
void ceasei_pool_put(struct ceasei_link *take_link);
/* Closes one, idle or not; of a pool or not. NULL is fine. Not for a multiplexed one. */
void ceasei_link_close(struct ceasei_link *take_link);
/* One from the pool was found dead: those that are idle for its origin are as old, and closed. */
void ceasei_pool_distrust(struct ceasei_link *l);

/* connect.c: makes one. `p` has the TLS table and the protocols, and hears of the end of a connection that is
 * multiplexed (ceasei_pool_gone); NULL: neither. */
cease_error ceasei_link_dial(cease_ctx *ctx, struct ceasei_pool *p, const struct ceasei_target *t,
                             struct ceasei_link **ret_link);
/* A multiplexed connection is lost; arg is its link. */
void ceasei_pool_gone(void *arg);

#endif
