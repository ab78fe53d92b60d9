/* A reverse proxy: what it asks the upstream goes under the request's context, its deadline and its end with it.
 *     example-reverse-proxy http://127.0.0.1:8080 127.0.0.1:8081      (upstream, own address) */
#include <cease/cease.h>
#include <cease/http_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1024 * 1024, FIELDS = 100 };
static cease_http_client *client;

static bool has(const char *list, const char *name) /* one of its elements */
{
    for (const char *p = list; p && (p = strcasestr(p, name)); p++)
        if ((p == list || strchr(", ", p[-1])) && strchr(", ", p[strlen(name)]))
            return true;
    return false;
}

static bool is_ours(const char *name, const char *connection)
{
    static const char ours[] =
        "Connection,Keep-Alive,Proxy-Connection,TE,Trailer,Upgrade,Date,Host,"
        "Transfer-Encoding,Proxy-Authenticate,Proxy-Authorization,Expect";
    return has(ours, name) || has(connection, name);
}

static cease_error read_body(cease_ctx *ctx, cease_http_request *req, cease_http_call *call)
{
    cease_error e = CEASE_OK;
    char *body = malloc(BODY_MAX + 1); /* whole, so that it can be repeated */
    for (size_t n = 0; body && e == CEASE_OK; call->body_size += e == CEASE_OK ? n : 0)
        e = cease_http_request_read(ctx, req, body + call->body_size,
                                    BODY_MAX + 1 - call->body_size, &n);
    call->body = body;
    return !body ? CEASE_ENOMEM : e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error pass_on(cease_ctx *ctx, const cease_http_call *call, cease_http_response *res)
{
    char piece[16 * 1024];
    const char *name, *value;
    size_t n = 0;
    cease_http_answer *a;
    cease_error e = cease_http_client_open(ctx, client, call, &a);
    if (e != CEASE_OK)
        return cease_err(ctx) == CEASE_OK ? cease_http_response_status(res, 502) : e;
    cease_http_response_status(res, cease_http_answer_status(a));
    for (size_t i = 0; cease_http_answer_header_at(a, i, &name, &value); i++)
        if (!is_ours(name, cease_http_answer_header(a, "Connection")))
            cease_http_response_header(res, name, value); /* up to 16 KiB of them */
    while ((e = cease_http_answer_read(ctx, a, piece, sizeof piece, &n)) == CEASE_OK &&
           (e = cease_http_response_write(ctx, res, piece, n)) == CEASE_OK &&
           (e = cease_http_response_flush(ctx, res)) == CEASE_OK) /* it may be an event */
        ;
    cease_http_answer_close(a);
    return e == CEASE_EOF ? CEASE_OK : e; /* of the context: the server answers 504 to a deadline */
}

static cease_error forward(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    char url[20 * 1024]; /* a target is at most 16 KiB */
    cease_http_header fields[FIELDS + 1], *f = fields;
    cease_http_call call = {.size = sizeof call, .url = url, .headers = fields};
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < FIELDS && cease_http_request_header_at(req, i, &f->name, &f->value); i++)
        if (!has("Content-Length", f->name) &&
            !is_ours(f->name, cease_http_request_header(req, "Connection")))
            f++;
    f->name = NULL;
    call.method = cease_http_request_method(req);
    snprintf(url, sizeof url, "%s%s", (const char *)arg, cease_http_request_target(req));
    if (cease_http_request_header(req, "Content-Length") ||
        cease_http_request_header(req, "Transfer-Encoding"))
        e = read_body(ctx, req, &call);
    if (e == CEASE_OK)
        e = pass_on(ctx, &call, res);
    free((void *)call.body);
    return e;
}

int main(int argc, char **argv)
{
    const cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .no_gzip = true, .redirect_max = CEASE_HTTP_NO_REDIRECTS};
    cease_http_server *server = cease_http_server_new(NULL);
    cease_listener *listener;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    client = cease_http_client_new(&opts);
    if (argc != 3 || cease_http_server_route(server, NULL, "/{path...}", forward, argv[1]) ||
        cease_listen(ctx, argv[2], NULL, &listener))
        return 1;
    cease_error e = cease_http_server_serve(ctx, server, listener);
    cease_http_server_free(server);
    cease_http_client_free(client);
    return e != CEASE_OK;
}
