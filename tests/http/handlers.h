/* handlers.h: what servers of several tests answer. */
#ifndef CEASE_TESTS_HTTP_HANDLERS_H
#define CEASE_TESTS_HTTP_HANDLERS_H

#include <cease/cease.h>
#include <cease/http.h>
#include <stdio.h>

static inline cease_error handle_hello(cease_ctx *ctx, cease_http_request *req,
                                       cease_http_response *res, void *arg)
{
    (void)req;
    (void)arg;
    return cease_http_response_write(ctx, res, "Hello, world\n", 13);
}

/* The request's body, piece by piece. */
static inline cease_error handle_echo(cease_ctx *ctx, cease_http_request *req,
                                      cease_http_response *res, void *arg)
{
    char buf[8192];
    size_t n = 0;
    cease_error e;
    (void)arg;
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_http_response_write(ctx, res, buf, n);
        if (e != CEASE_OK) {
            return e;
        }
    }
    return e == CEASE_EOF ? CEASE_OK : e;
}

static inline cease_error handle_wait(cease_ctx *ctx, cease_http_request *req,
                                      cease_http_response *res, void *arg)
{
    (void)req;
    (void)res;
    (void)arg;
    return cease_wait(ctx);
}

static inline void log_to_stderr(const cease_http_log_entry *entry, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s %s %d %s\n", entry->method, entry->target, entry->status,
            entry->cause_text);
}

#endif
