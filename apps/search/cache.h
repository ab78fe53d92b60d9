/* SPDX-License-Identifier: MIT
 *
 * cache.h: results that are kept in Redis for a while, and searches that many share.
 *
 * Wrapped around a backend: who asks what somebody else is asking at this moment waits for that one search
 * (cease/flight.h); it is cancelled when the last of them has gone. What it finds is kept for the others
 * and for other instances. A Redis that is slow or away costs a few milliseconds and nothing else.
 */
#ifndef SEARCH_CACHE_H
#define SEARCH_CACHE_H

#include "backend.h"

struct cache;

/* Whether this program was built with it. */
bool cache_is_there(void);

/* Whether cease_redis_open would take it for an address. Connects to nothing. */
bool cache_url_is_good(const char *url);

/* `url` is cease_redis_open's, borrowed. NULL: out of memory. */
struct cache *cache_new(const char *url, cease_dur ttl);
/* After the backends around it were freed. NULL is fine. */
void cache_free(struct cache *c);

/* The backend with the cache before it; takes `take_inner`. NULL self: out of memory. */
struct backend cache_wrap(struct cache *c, struct backend take_inner);

#endif
