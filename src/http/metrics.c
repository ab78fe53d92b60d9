/* SPDX-License-Identifier: MIT
 *
 * metrics.c: counting requests, and /metrics in Prometheus' text format.
 *
 * Every figure is read for itself, so sums may be off by the requests that end while they are read; only
 * the histogram's count is made of its own buckets, because collectors check that.
 */
#include "http/metrics.h"

#include "base/atomic.h"
#include "http/server.h"

#include <cease/http_debug.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper ends in microseconds: 1 ms to 10 s, and what is faster. */
static const uint32_t bucket_us[CEASEI_BUCKETS - 1] = {
    100, 250, 500, 1000, 5000, 10000, 50000, 100000, 250000, 1000000, 2500000, 10000000,
};
static const char *const end_names[CEASEI_ENDS] = {
    "returned", "client_gone", "deadline", "stopping", "busy", "failed",
};

static enum ceasei_http_end end_of(int cause_code)
{
    switch (cause_code) {
    case CEASE_ERETURNED:
        return CEASEI_END_RETURNED;
    case CEASE_EPEERGONE:
    case CEASE_EPIPE:
        return CEASEI_END_GONE;
    case CEASE_EDEADLINE:
        return CEASEI_END_DEADLINE;
    case CEASE_ESTOPPING:
        return CEASEI_END_STOPPING;
    case CEASE_EAGAIN:
    case CEASE_ENOMEM:
        return CEASEI_END_BUSY;
    default: /* a positive one is an HTTP/2 code: the client reset the stream */
        return cause_code > 0 ? CEASEI_END_GONE : CEASEI_END_FAILED;
    }
}

void ceasei_http_metrics_note(struct ceasei_http_metrics *m, int status, int cause_code,
                              cease_dur elapsed)
{
    size_t bucket = 0;
    while (bucket < CEASEI_BUCKETS - 1 && elapsed.ns > bucket_us[bucket] * INT64_C(1000)) {
        bucket++;
    }
    ceasei_add(&m->buckets[bucket], 1, RELAXED);
    ceasei_add(&m->elapsed_ns, elapsed.ns > 0 ? (uint64_t)elapsed.ns : 0, RELAXED);
    ceasei_add(&m->ends[end_of(cause_code)], 1, RELAXED);
    if (status >= 100 && status < 600) {
        ceasei_add(&m->classes[status / 100 - 1], 1, RELAXED);
    }
}

void ceasei_http_metrics_deadline(struct ceasei_http_metrics *m, cease_dur left)
{
    ceasei_add(&m->deadlines_in, 1, RELAXED);
    if (left.ns <= 0) {
        ceasei_add(&m->deadlines_late, 1, RELAXED);
    }
}

/* ---- the text -------------------------------------------------------------------------------- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_requests(FILE *out, const struct ceasei_http_metrics *m)
{
    head(out, "cease_http_responses_total", "counter", "Requests that are over, by status class.");
    for (int i = 0; i < 5; i++) {
        fprintf(out, "cease_http_responses_total{class=\"%dxx\"} %" PRIu64 "\n", i + 1,
                ceasei_load(&m->classes[i], RELAXED));
    }
    head(out, "cease_http_contexts_ended_total", "counter",
         "Contexts of requests, by what ended them.");
    for (int i = 0; i < CEASEI_ENDS; i++) {
        fprintf(out, "cease_http_contexts_ended_total{cause=\"%s\"} %" PRIu64 "\n", end_names[i],
                ceasei_load(&m->ends[i], RELAXED));
    }
    const char *name = "cease_http_request_duration_seconds";
    head(out, name, "histogram", "From a request's head to the end of its response.");
    uint64_t sum = 0;
    for (int i = 0; i < CEASEI_BUCKETS; i++) {
        sum += ceasei_load(&m->buckets[i], RELAXED);
        if (i < CEASEI_BUCKETS - 1) {
            fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)bucket_us[i] / 1e6,
                    sum);
        } else {
            fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
        }
    }
    fprintf(out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name,
            (double)ceasei_load(&m->elapsed_ns, RELAXED) / 1e9, name, sum);
}

static void put_server(FILE *out, cease_http_server *s)
{
    cease_http_server_counts c;
    cease_http_server_count(s, &c);
    one(out, "cease_http_requests_total", "counter", "Requests with a head that could be read.",
        c.requests_total);
    one(out, "cease_http_bad_requests_total", "counter", "Heads that were refused.", c.bad_total);
    one(out, "cease_http_busy_total", "counter", "Turned away with 503 for want of room.",
        c.busy_total);
    one(out, "cease_http_connections_total", "counter", "Connections taken.", c.connections_total);
    one(out, "cease_http_connections", "gauge", "Connections now.", c.connections);
    one(out, "cease_http_connections_idle", "gauge", "Connections between two requests.", c.idle);
    one(out, "cease_http_requests_running", "gauge", "Handlers that run.", c.requests);
    one(out, "cease_http_requests_queued", "gauge", "Requests that wait for a place to run.",
        c.queued);
    one(out, "cease_http_deadlines_received_total", "counter",
        "Requests that came with a deadline.", ceasei_load(&s->metrics.deadlines_in, RELAXED));
    one(out, "cease_http_deadlines_expired_total", "counter",
        "Requests whose deadline had passed when they came.",
        ceasei_load(&s->metrics.deadlines_late, RELAXED));
    one(out, "cease_http_deadlines_malformed_total", "counter", "Deadline headers not understood.",
        c.bad_deadline_total);
}

static void put_runtime(FILE *out)
{
    struct cease_runtime_counts c = {.size = sizeof c};
    cease_runtime_count(&c);
    one(out, "cease_contexts", "gauge", "Contexts alive in this process.", cease_live_count());
    one(out, "cease_tasks", "gauge", "Tasks started and not returned.", c.tasks);
    one(out, "cease_workers", "gauge", "Threads that run tasks.", c.workers);
    one(out, "cease_stacks", "gauge", "Stacks in use or kept.", c.stacks);
    one(out, "cease_fds", "gauge", "File descriptors registered with the poller.", c.fds);
    one(out, "cease_block_jobs", "gauge", "Blocking calls that run or wait in the queue.",
        c.block_jobs);
}

cease_error ceasei_http_metrics_serve(cease_ctx *ctx, cease_http_request *req,
                                      cease_http_response *res, void *arg)
{
    cease_http_server *s = arg;
    char *text = NULL;
    size_t size = 0;
    if (!ceasei_http_debug_allowed(&s->metrics, req)) {
        return cease_http_response_status(res, 404);
    }
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        return CEASE_ENOMEM;
    }
    put_requests(out, &s->metrics);
    put_server(out, s);
    put_runtime(out);
    cease_error e = fclose(out) == 0 ? CEASE_OK : CEASE_ENOMEM;
    if (e == CEASE_OK) {
        e = cease_http_response_header(res, "Content-Type",
                                       "text/plain; version=0.0.4; charset=utf-8");
    }
    if (e == CEASE_OK) {
        e = cease_http_response_write(ctx, res, text, size);
    }
    free(text);
    return e;
}
