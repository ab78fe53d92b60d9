/* SPDX-License-Identifier: MIT
 *
 * http_hello.c: a server that greets, and says what became of each request. A client asks it three times: for
 * a greeting, with too little time, and not waiting for the answer.
 *
 *     curl http://127.0.0.1:8080/hello/world        with an address as its argument it just serves
 */
#include <cease/cease.h>
#include <cease/http.h>
#include <stdio.h>
#include <string.h>

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    (void)arg;
    cease_error e = cease_http_response_header(res, "Content-Type", "text/plain; charset=utf-8");
    if (e != CEASE_OK)
        return e;
    return cease_http_response_print(ctx, res, "Hello, %s\n", cease_http_request_param(req, "who"));
}

/* Works for ten seconds, unless somebody stops it: then it returns at once. */
static cease_error work(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    (void)req;
    cease_chan_close(arg); /* the example waits for this moment */
    cease_error e = cease_sleep(ctx, cease_sec(10));
    return e == CEASE_OK ? cease_http_response_print(ctx, res, "done\n") : e;
}

static void log_request(const cease_http_log_entry *entry, void *arg)
{
    (void)arg;
    printf("%s %s: %d, %s\n", entry->method, entry->target, entry->status, entry->cause_text);
}

struct service {
    cease_http_server *server;
    cease_listener *listener;
};

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct service *s = arg;
    return cease_http_server_serve(ctx, s->server, s->listener);
}

/* A GET whose answer is waited for at most so long; the status. */
static int get(const char *address, const char *path, cease_dur patience, const char *timeout_ms)
{
    char url[128];
    cease_http_header headers[] = {{"X-Request-Timeout-Ms", timeout_ms}, {0}};
    cease_http_reply reply = {0};
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), patience, &stop);
    snprintf(url, sizeof url, "http://%s%s", address, path);
    const cease_http_call call = {.size = sizeof call,
                                  .url = url,
                                  .headers = timeout_ms ? headers : NULL,
                                  .no_deadline = true};
    int status = cease_http_do(ctx, &call, &reply) == CEASE_OK ? reply.status : 0;
    cease_http_reply_deinit(&reply);
    return status;
}

static cease_error get_and_give_up(cease_ctx *ctx, void *arg)
{
    cease_http_reply reply = {0};
    cease_error e = cease_http_get(ctx, arg, NULL, &reply); /* its end closes the connection */
    cease_http_reply_deinit(&reply);
    return e;
}

int main(int argc, char **argv)
{
    char address[CEASE_ADDRESS_SIZE], url[CEASE_ADDRESS_SIZE + 32];
    const cease_http_server_opts opts = {.size = sizeof opts, .log = log_request};
    struct service s = {.server = cease_http_server_new(&opts)};
    cease_chan *begun = cease_chan_new(1, 1), *again = cease_chan_new(1, 1);
    if (cease_http_server_route(s.server, "GET", "/hello/{who}", hello, NULL) != CEASE_OK ||
        cease_http_server_route(s.server, "GET", "/slow", work, begun) != CEASE_OK ||
        cease_http_server_route(s.server, "GET", "/slow/again", work, again) != CEASE_OK ||
        cease_listen(cease_background(), argc > 1 ? argv[1] : "127.0.0.1:0", NULL, &s.listener) !=
            CEASE_OK ||
        cease_listener_address(s.listener, address, sizeof address) != CEASE_OK)
        return 1;
    if (argc > 1)
        return serve(cease_background(), &s) != CEASE_OK;

    cease_group *group = cease_group_new(cease_background(), NULL);
    cease_group *client = cease_group_new(cease_background(), NULL);
    snprintf(url, sizeof url, "http://%s/slow/again", address);
    bool fine = cease_group_go(group, serve, &s) == CEASE_OK;
    fine = fine && get(address, "/hello/world", cease_sec(20), NULL) == 200;
    fine = fine && get(address, "/slow", cease_sec(20), "20") == 504;
    fine = fine && cease_group_go(client, get_and_give_up, url) == CEASE_OK;
    char none;
    fine = fine && cease_chan_recv(cease_background(), again, &none) == CEASE_ECLOSED;
    cease_group_stop(client); /* the client goes: the server's work ends with it */
    cease_group_stop(group);
    cease_group_free(client);
    cease_group_free(group);
    cease_http_server_free(s.server);
    cease_chan_unref(begun);
    cease_chan_unref(again);
    return !fine;
}
