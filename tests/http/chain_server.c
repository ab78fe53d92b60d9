/* chain_server.c: one process of a chain: asks the next one for every request that it gets, under the
 * request's context; the last one waits until its context ends.
 *
 *     chain_server [PORT OF THE NEXT]
 *
 * Prints its port, then for every request three lines, of which only the last process prints no "out":
 *
 *     in MICROSECONDS-LEFT TRACEPARENT TRACESTATE BAGGAGE      ("-" for what is not there)
 *     out MICROSECONDS-LEFT
 *     end MONOTONIC-NANOSECONDS CAUSE-CODE
 *
 * and ends with its standard input. */
#include <cease/cease.h>
#include <cease/http_client.h>
#include <cease/propagate.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cease_canceler *stop;
static cease_http_client *client;
static const char *next_port;

static void need(cease_error e, const char *what)
{
    if (e != CEASE_OK) {
        fprintf(stderr, "%s: %s\n", what, cease_strerror(e));
        exit(1);
    }
}

static long long left_us(cease_ctx *ctx)
{
    cease_time deadline;
    return cease_deadline(ctx, &deadline) ? (long long)(cease_until(deadline).ns / 1000) : -1;
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static cease_error ask_next(cease_ctx *ctx)
{
    char url[64];
    cease_http_reply reply = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%s/", next_port);
    const cease_http_call call = {.size = sizeof call, .url = url};
    printf("out %lld\n", left_us(ctx));
    fflush(stdout);
    cease_error e = cease_http_client_do(ctx, client, &call, &reply);
    if (e == CEASE_OK && reply.status >= 500) {
        e = CEASE_EIO; /* it has given up first */
    }
    cease_http_reply_deinit(&reply);
    return e;
}

static cease_error handle(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                          void *arg)
{
    char parent[CEASE_TRACEPARENT_SIZE] = "-";
    const cease_trace_context *t = cease_trace_from_context(ctx);
    (void)req;
    (void)res;
    (void)arg;
    if (t) {
        cease_trace_format(t, parent);
    }
    printf("in %lld %s %s %s\n", left_us(ctx), parent, or_dash(t ? t->state : ""),
           or_dash(cease_baggage_from_context(ctx)));
    fflush(stdout);
    cease_error e = next_port ? ask_next(ctx) : cease_wait(ctx);
    const cease_cause *cause = cease_cause_of(ctx);
    printf("end %lld %s\n", (long long)cease_now().ns,
           cause ? cease_error_name((cease_error)cause->code) : "-");
    fflush(stdout);
    return e;
}

static void *wait_for_end(void *unused)
{
    char byte;
    (void)unused;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    cease_cancel(stop);
    return NULL;
}

int main(int argc, char **argv)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_http_server_opts opts = {.size = sizeof opts, .take_baggage = true};
    cease_http_server *server = cease_http_server_new(&opts);
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_listener *listener;
    next_port = argc > 1 ? argv[1] : NULL;
    client = cease_http_client_new(NULL);
    need(client ? CEASE_OK : CEASE_ENOMEM, "cease_http_client_new");
    need(cease_http_server_route(server, "GET", "/", handle, NULL), "cease_http_server_route");
    need(cease_listen(ctx, "127.0.0.1:0", NULL, &listener), "cease_listen");
    need(cease_listener_address(listener, address, sizeof address), "cease_listener_address");
    printf("%s\n", strrchr(address, ':') + 1);
    fflush(stdout);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_end, NULL);
    cease_error e = cease_http_server_serve(ctx, server, listener);
    pthread_join(thread, NULL);
    cease_http_server_free(server);
    cease_http_client_free(client);
    cease_end(stop);
    need(e, "cease_http_server_serve");
    return 0;
}
