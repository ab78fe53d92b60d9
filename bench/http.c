/* SPDX-License-Identifier: MIT
 *
 * http.c: the server of the http_ benches, and with BENCH_HTTP2 of h2_hello: 13 bytes, a fresh context with
 * a timeout of 1 s for every request; under /article the article's shape: besides that a value, a task that
 * asks a backend, and a wait for its answer or the context's end. Prints its port, serves until its
 * standard input ends.
 */
#include <cease/cease.h>
#include <cease/http.h>
#ifdef BENCH_HTTP2
#include <cease/http2.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cease_canceler *stop;

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)req;
    (void)arg;
    cease_http_response_header(res, "Content-Type", "text/plain");
    return cease_http_response_write(ctx, res, "Hello, world\n", 13);
}

static cease_key user_ip = CEASE_KEY("user_ip");

/* What a search would do: looks at whom it is for, answers. */
static cease_error backend(cease_ctx *ctx, void *arg)
{
    const char *answer = cease_value(ctx, &user_ip) ? "Hello, world\n" : "";
    cease_error e = cease_chan_send(ctx, arg, &answer);
    cease_chan_unref(arg);
    return e;
}

static cease_error article(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    const char *answer = NULL;
    (void)req;
    CEASE_AUTO_END cease_canceler *end = NULL;
    cease_ctx *limited = cease_with_timeout(ctx, cease_sec(1), &end);
    CEASE_AUTO_UNREF cease_ctx *with = cease_with_value(limited, &user_ip, &user_ip);
    cease_chan *answers = cease_chan_new(sizeof answer, 1);
    cease_error e = cease_go(with, backend, cease_chan_ref(answers));
    if (e != CEASE_OK)
        cease_chan_unref(answers);
    if (e == CEASE_OK)
        e = cease_chan_recv(with, answers, &answer); /* or the context's end */
    cease_chan_unref(answers);
    return e == CEASE_OK ? hello(with, req, res, arg) : e;
}

static void *wait_for_end(void *unused)
{
    (void)unused;
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    cease_cancel(stop);
    return NULL;
}

static void need(cease_error e, const char *what)
{
    if (e == CEASE_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, cease_strerror(e));
    exit(1);
}

int main(void)
{
    cease_http_server_opts opts = {.size = sizeof opts, .request_timeout = cease_sec(1)};
    cease_http_server *server = cease_http_server_new(&opts);
    need(server ? CEASE_OK : CEASE_ENOMEM, "cease_http_server_new");
    need(cease_http_server_route(server, "GET", "/", hello, NULL), "cease_http_server_route");
#ifdef BENCH_HTTP2
    need(cease_http2_enable(server, NULL), "cease_http2_enable");
#endif
    need(cease_http_server_route(server, "GET", "/article", article, NULL),
         "cease_http_server_route");
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_listener *listener;
    need(cease_listen(ctx, "127.0.0.1:0", NULL, &listener), "cease_listen");
    char address[64];
    need(cease_listener_address(listener, address, sizeof address), "cease_listener_address");
    printf("%s\n", strrchr(address, ':') + 1);
    fflush(stdout);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_end, NULL);
    cease_error e = cease_http_server_serve(ctx, server, listener);
    pthread_join(thread, NULL);
    cease_http_server_free(server);
    cease_end(stop);
    need(e == CEASE_ECANCELED ? CEASE_OK : e, "cease_http_server_serve");
    return 0;
}
