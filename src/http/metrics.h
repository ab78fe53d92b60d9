/* SPDX-License-Identifier: MIT
 *
 * metrics.h: what a server counts for /metrics.
 */
#ifndef CEASE_HTTP_METRICS_H
#define CEASE_HTTP_METRICS_H

#include <cease/http.h>
#include <stdbool.h>
#include <stdint.h>

enum ceasei_http_end {
    CEASEI_END_RETURNED,
    CEASEI_END_GONE,
    CEASEI_END_DEADLINE,
    CEASEI_END_STOPPING,
    CEASEI_END_BUSY,
    CEASEI_END_FAILED,
    CEASEI_ENDS,
};
enum { CEASEI_BUCKETS = 13 }; /* the last one has no upper end */

/* All atomic, each for itself. */
struct ceasei_http_metrics {
    uint64_t ends[CEASEI_ENDS];
    uint64_t classes[5]; /* 1xx to 5xx */
    uint64_t buckets[CEASEI_BUCKETS];
    uint64_t elapsed_ns;
    uint64_t deadlines_in, deadlines_late;
    bool anywhere; /* set before serving: the debug pages are for everybody */
};

/* A request is over. */
void ceasei_http_metrics_note(struct ceasei_http_metrics *m, int status, int cause_code,
                              cease_dur elapsed);
/* A request came with a deadline of its own, of which this much is left. */
void ceasei_http_metrics_deadline(struct ceasei_http_metrics *m, cease_dur left);
/* Whether the client may see what we show of ourselves. */
bool ceasei_http_debug_allowed(const struct ceasei_http_metrics *m, const cease_http_request *req);

/* The handlers; arg is the server. */
cease_http_handler ceasei_http_metrics_serve, ceasei_http_debug_page_serve,
    ceasei_http_debug_json_serve;

#endif
