/* A reverse proxy: every request goes on to one upstream, under the context that it came with: so that is
 * told how much time is left, and stops when the client goes away. Requests are read whole, up to 1 MiB,
 * to be repeatable; answers are streamed.
 *     example-reverse-proxy http://127.0.0.1:8080 127.0.0.1:8081      (upstream, own address) */
#include <cease/cease.h>
#include <cease/http_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { BODY_MAX = 1024 * 1024, FIELDS = 100 };
static cease_http_client *client;
static const char *upstream;

static bool is_ours(const char *name)
{
    static const char ours[][20] = {
        "Connection", "Keep-Alive",        "TE",   "Trailer", "Upgrade",
        "Date",       "Transfer-Encoding", "Host", "Expect",  "Proxy-Connection"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    return false;
}

static cease_error read_body(cease_ctx *ctx, cease_http_request *req, cease_http_call *call)
{
    cease_error e = CEASE_OK;
    char *body = malloc(BODY_MAX + 1);
    for (size_t n = 0; body && e == CEASE_OK; call->body_size += e == CEASE_OK ? n : 0)
        e = cease_http_request_read(ctx, req, body + call->body_size,
                                    BODY_MAX + 1 - call->body_size, &n);
    call->body = body;
    return !body ? CEASE_ENOMEM : e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error pass_on(cease_ctx *ctx, cease_http_answer *a, cease_http_response *res)
{
    char piece[16 * 1024];
    const char *name, *value;
    size_t n = 0;
    cease_error e = cease_http_response_status(res, cease_http_answer_status(a));
    for (size_t i = 0; cease_http_answer_header_at(a, i, &name, &value); i++)
        if (!is_ours(name))
            cease_http_response_header(res, name, value);
    while (e == CEASE_OK &&
           (e = cease_http_answer_read(ctx, a, piece, sizeof piece, &n)) == CEASE_OK)
        e = cease_http_response_write(ctx, res, piece, n);
    return e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error forward(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    char url[20 * 1024]; /* a target is at most 16 KiB */
    cease_http_header fields[FIELDS + 1], *f = fields;
    cease_http_answer *answer = NULL;
    cease_http_call call = {.size = sizeof call, .url = url, .headers = fields};
    cease_error e = CEASE_OK;
    call.method = cease_http_request_method(req);
    for (size_t i = 0; i < FIELDS && cease_http_request_header_at(req, i, &f->name, &f->value); i++)
        if (strcasecmp(f->name, "Content-Length") != 0 && !is_ours(f->name))
            f++;
    f->name = arg;
    snprintf(url, sizeof url, "%s%s", upstream, cease_http_request_target(req));
    if (cease_http_request_header(req, "Content-Length") ||
        cease_http_request_header(req, "Transfer-Encoding"))
        e = read_body(ctx, req, &call);
    if (e == CEASE_OK) {
        e = cease_http_client_open(ctx, client, &call, &answer);
        if (e == CEASE_OK)
            e = pass_on(ctx, answer, res);
        else if (cease_err(ctx) == CEASE_OK)
            e = cease_http_response_status(res, 502);
    }
    cease_http_answer_close(answer);
    free((void *)call.body);
    return e; /* of the context: the server answers 504 to a deadline */
}

int main(int argc, char **argv)
{
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .no_gzip = true};
    cease_http_server *server = cease_http_server_new(NULL);
    cease_listener *listener;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    opts.redirect_max = CEASE_HTTP_NO_REDIRECTS; /* they are the client's to follow */
    client = cease_http_client_new(&opts);
    upstream = argc == 3 ? argv[1] : "";
    if (argc != 3 || cease_http_server_route(server, NULL, "/{path...}", forward, NULL) ||
        cease_listen(ctx, argv[2], NULL, &listener))
        return 1;
    cease_error e = cease_http_server_serve(ctx, server, listener);
    cease_http_server_free(server);
    cease_http_client_free(client);
    cease_end(stop);
    return e != CEASE_OK;
}
