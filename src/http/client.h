/* SPDX-License-Identifier: MIT
 *
 * client.h: the insides of the HTTP client.
 */
#ifndef CEASE_HTTP_CLIENT_PRIVATE_H
#define CEASE_HTTP_CLIENT_PRIVATE_H

#include "http/answer.h"
#include "http/call.h"
#include "http/pool.h"
#include "http/proxy.h"

struct cease_http_client {
    struct ceasei_pool pool;
    struct ceasei_proxies proxies; /* set at birth, as are the next ones */
    uint32_t redirect_max, head_max;
    bool gzip, trace, baggage;
    struct ceasei_lock lock;
    struct cease_http_answer *spare; /* under lock */
    uint32_t spare_count;            /* under lock */
    uint32_t open;                   /* atomic: answers, and calls that will have one */
    uint64_t calls_total, reused_total, retries_total, redirects_total; /* atomic */
};

/* client.c: one request of `c` from its connection to the head of its answer, tried again where that is
 * safe. Without a client, over a connection of its own. */
cease_error ceasei_exchange(cease_ctx *ctx, struct cease_http_client *client, struct ceasei_call *c,
                            struct cease_http_answer *a);

#endif
