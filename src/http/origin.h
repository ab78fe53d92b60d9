/* SPDX-License-Identifier: MIT
 *
 * origin.h: the origins of a pool of connections. See origin.c; for pool.c only.
 */
#ifndef CEASE_HTTP_ORIGIN_H
#define CEASE_HTTP_ORIGIN_H

#include "http/pool.h"

enum { CEASEI_ORIGIN_BUCKETS = 64, CEASEI_ORIGIN_KEY_MAX = 640 };

/* Of a connection; pool.c has what leads from one to the other. */
enum ceasei_link_state {
    CEASEI_LINK_BUSY,
    CEASEI_LINK_ARMING,
    CEASEI_LINK_IDLE,
    CEASEI_LINK_TAKEN,
    CEASEI_LINK_FIRED,
    CEASEI_LINK_ABANDONED
};

struct waiter;

/* All under the pool's lock. */
struct ceasei_origin {
    struct ceasei_origin *next;  /* in its bucket */
    struct ceasei_link *idle;    /* the newest first */
    struct ceasei_link *listed;  /* multiplexed, in use, and good for more */
    struct waiter *first, *last; /* calls that wait; pool.c */
    uint32_t idle_count, count, holders, dialing;
    bool single;   /* a connection has turned out not to be multiplexed */
    uint32_t hash; /* set at birth, as is what follows */
    size_t key_size;
    char key[];
};

/* Writes what tells an origin from others, and gives its size; 0: it is too long. */
size_t ceasei_origin_key(const struct ceasei_target *t, char key[CEASEI_ORIGIN_KEY_MAX]);
uint32_t ceasei_origin_hash(const char *key, size_t size);

/* Finds or makes the origin, and holds it. Takes the lock itself, as does the other. */
cease_error ceasei_origin_hold(struct ceasei_pool *p, uint32_t hash, const char *key, size_t size,
                               struct ceasei_origin **ret_origin);
void ceasei_origin_let_go(struct ceasei_pool *p, struct ceasei_origin *o);

/* The rest under the lock. NULL: there is none. */
struct ceasei_origin *ceasei_origin_find(struct ceasei_pool *p, uint32_t hash, const char *key,
                                         size_t size);
/* Takes it out of the table when nobody needs it any more; then it is to be freed after unlock. */
struct ceasei_origin *ceasei_origin_unneeded(struct ceasei_pool *p, struct ceasei_origin *o);
/* Puts a busy connection to the idle ones, the newest; and takes one out. */
void ceasei_origin_rest(struct ceasei_pool *p, struct ceasei_link *l);
void ceasei_origin_take(struct ceasei_pool *p, struct ceasei_link *l);
/* The same for those that are multiplexed and in use. Taking one out that is not there is fine. */
void ceasei_origin_list(struct ceasei_link *l);
void ceasei_origin_unlist(struct ceasei_link *l);
/* One of these with room for another user; NULL: none. */
struct ceasei_link *ceasei_origin_roomy(const struct ceasei_origin *o);

#endif
