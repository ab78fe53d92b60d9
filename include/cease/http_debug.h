/* SPDX-License-Identifier: MIT
 *
 * cease/http_debug.h: what a server shows of itself: metrics for a collector, and the live tree for a
 * person in a hurry.
 *
 *     cease_http_server_debug(server, NULL);
 *
 * adds three routes:
 *
 *     GET /metrics            counters and a latency histogram, in Prometheus' text format (0.0.4)
 *     GET /debug/cease        a page that shows which requests run, how long, what each task waits for
 *                             and how much time is left, and updates itself
 *     GET /debug/cease.json   what the page is made of: cease_snapshot_json (cease/snapshot.h)
 *
 * They are answered to clients on this machine only: the peer's address must be a loopback one, the Host
 * must be one too (else a web page elsewhere could have its own name point here and read along), and
 * the request must not have been handed on by a proxy. Others get 404. A proxy on this machine that does
 * not say so (with Forwarded or X-Forwarded-For) looks like a client on this machine: keep these paths
 * from it, or do not add them.
 */
#ifndef CEASE_HTTP_DEBUG_H
#define CEASE_HTTP_DEBUG_H

#include <cease/attr.h>
#include <cease/error.h>
#include <cease/http.h>
#include <stdbool.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

/* Options of cease_http_server_debug; zero is the default of each. */
typedef struct cease_http_debug_opts {
    size_t size;   /* sizeof(cease_http_debug_opts) */
    bool anywhere; /* answer every client, not those on this machine only */
} cease_http_debug_opts;

/* Adds /metrics, /debug/cease and /debug/cease.json to a server. opts may be NULL, and is copied.
 *
 * The metrics count requests by status class and by the cause that ended their contexts (returned,
 * client_gone, deadline, stopping, busy, failed), deadlines that came in and those that had passed, connections,
 * requests and their queue now, tasks, workers, live contexts and jobs of the block pool, and the time from a
 * request's head to its response's end in a histogram.
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: nothing.
 * Errors: CEASE_EEXIST (the server has such a route), CEASE_ENOMEM, CEASE_EBUSY (serving already).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_debug(cease_http_server *s,
                                                 const cease_http_debug_opts *opts);

CEASE_END_DECLS

#endif
