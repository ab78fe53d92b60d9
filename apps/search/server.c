/* SPDX-License-Identifier: MIT
 *
 * server.c: see server.h.
 *
 * A handler works under a context of its own below the request's: with the time that the user gave,
 * at most the server's limit, and with the user's address. The request's own context ends only when
 * the client has gone, the server stops, or a header's deadline has come; so a page that says "time
 * is up" can still be sent under it.
 */
#include "server.h"

#include <cease/duration.h>
#include <cease/http_debug.h>
#include <stdio.h>
#include <string.h>

#include "assets.h"
#include "page.h"
#include "remote.h"
#include "search.h"
#include "userip.h"

enum { QUERY_MAX = 1000, TIMEOUT_MAX = 64 };

/* What every answer is made of. */
struct exchange {
    cease_ctx *ctx; /* the request's own */
    cease_http_request *req;
    cease_http_response *res;
    struct app *app;
    bool json;
    char query[QUERY_MAX + 1];
    char timeout_text[TIMEOUT_MAX + 1];
    cease_dur timeout;
    cease_time since; /* before the timeout began */
    struct userip ip;
    struct remote_hops hops;
};

/* ---- sending ---- */

static cease_error send_text(struct exchange *x, int status, const char *type, const struct text *t)
{
    if (t->failed)
        return CEASE_ENOMEM;
    cease_http_response *res = x->res;
    cease_error e = cease_http_response_status(res, status);
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "Content-Type", type);
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "Cache-Control", "no-store");
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "Vary", "Accept");
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "X-Content-Type-Options", "nosniff");
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "Referrer-Policy", "no-referrer");
    if (e == CEASE_OK)
        e = cease_http_response_header(
            res, "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
            "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    if (e == CEASE_OK && status == 504)
        e = cease_http_response_header(res, "X-Request-Deadline-Expired", "1");
    return e == CEASE_OK ? cease_http_response_write(x->ctx, res, text_str(t), t->size) : e;
}

static const char *type_of(const struct exchange *x)
{
    return x->json ? "application/json" : "text/html; charset=utf-8";
}

static struct shell shell_of(const struct exchange *x, const char *title)
{
    return (struct shell){.title = title,
                          .query = x->query,
                          .timeout = x->timeout_text,
                          .indexes = x->app->indexes,
                          .backends = &x->app->backends};
}

/* An answer that is only a sentence, with what backends there were. */
static cease_error send_problem(struct exchange *x, int status, const char *message,
                                const struct result *result)
{
    TEXT_AUTO t = {0};
    char title[32];
    snprintf(title, sizeof title, "%d", status);
    struct shell shell = shell_of(x, title);
    if (x->json && result)
        json_results(&t, x->query, result, x->timeout, message);
    else if (x->json)
        json_error(&t, message);
    else
        page_error(&t, &shell, status, message, result, x->timeout);
    return send_text(x, status, type_of(x), &t);
}

/* ---- the request ---- */

/* JSON when asked for by name, or when the client accepts it and does not accept HTML. */
static bool wants_json(const cease_http_request *req)
{
    char format[16];
    cease_error e = cease_http_request_query_value(req, "format", format, sizeof format, NULL);
    if (e == CEASE_OK && format[0])
        return strcmp(format, "json") == 0;
    const char *accept = cease_http_request_header(req, "Accept");
    return accept && strstr(accept, "application/json") && !strstr(accept, "text/html");
}

/* Reads `timeout` and the user's address; a wrong one is answered here, and *ret_answered set. */
static cease_error begin(struct exchange *x, bool *ret_answered)
{
    char message[256];
    *ret_answered = true;
    x->json = wants_json(x->req);
    x->timeout = x->app->options->limit;
    cease_error e = cease_http_request_query_value(x->req, "timeout", x->timeout_text,
                                                   sizeof x->timeout_text, NULL);
    if (e == CEASE_ERANGE || e == CEASE_EPARSE)
        snprintf(x->timeout_text, sizeof x->timeout_text, "…");
    bool given = e != CEASE_ENOENT && x->timeout_text[0];
    if (given && cease_dur_parse(x->timeout_text, &x->timeout) != CEASE_OK) {
        snprintf(message, sizeof message,
                 "timeout \"%s\" is not a duration: expected a number with a unit (ns, us, ms, s, "
                 "m, h), such as 300ms, "
                 "1.5s or 1h2m3s",
                 x->timeout_text);
        return send_problem(x, 400, message, NULL);
    }
    if (x->timeout.ns > x->app->options->limit.ns)
        x->timeout = x->app->options->limit;
    /* A client on a Unix socket has no address: that is no fault of its. */
    const char *peer = cease_http_request_peer(x->req);
    if (strncmp(peer, "unix:", 5) != 0 &&
        userip_parse(peer, &x->ip, message, sizeof message) != CEASE_OK)
        return send_problem(x, 400, message, NULL);
    remote_read_hops(cease_http_request_header(x->req, REMOTE_HOPS_FIELD), &x->hops);
    *ret_answered = false;
    return CEASE_OK;
}

/* Whether there is anything in the query; trims it. */
static bool trim(char *s)
{
    size_t lead = strspn(s, " \t\r\n");
    memmove(s, s + lead, strlen(s + lead) + 1);
    size_t size = strlen(s);
    while (size > 0 && strchr(" \t\r\n", s[size - 1]))
        s[--size] = '\0';
    return size > 0;
}

/* The client has gone, or the server stops: then nobody wants an answer. */
static bool is_over(cease_ctx *ctx)
{
    return cease_err(ctx) == CEASE_ECANCELED;
}

/* ---- /search ---- */

static cease_error send_result(struct exchange *x, const struct result *result)
{
    int status = result_status(result);
    if (status != 200)
        return send_problem(x, status, status_sentence(status), result);
    TEXT_AUTO t = {0};
    struct shell shell = shell_of(x, x->query);
    if (x->json)
        json_results(&t, x->query, result, x->timeout, NULL);
    else
        page_results(&t, &shell, result, x->timeout);
    return send_text(x, 200, type_of(x), &t);
}

static cease_error search_under(cease_ctx *ctx, struct exchange *x)
{
    struct app *app = x->app;
    struct result result = {0};
    cease_error e = search_all(ctx, &app->backends, x->query, &result);
    result.elapsed = cease_time_sub(cease_now(), x->since);
    if (is_over(x->ctx))
        e = cease_err(x->ctx);
    else if (e == CEASE_OK)
        e = send_result(x, &result);
    result_deinit(&result);
    return e;
}

/* Runs fn under the time and the values that the request asked for. */
static cease_error under_request(struct exchange *x,
                                 cease_error (*fn)(cease_ctx *ctx, struct exchange *x))
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    x->since = cease_now();
    cease_ctx *limited = cease_with_timeout_cause(x->ctx, x->timeout, CEASE_EDEADLINE,
                                                  "the request's timeout is over", &stop);
    cease_ctx *known = userip_with(limited, &x->ip);
    cease_ctx *ctx = remote_with_hops(known, &x->hops);
    cease_error e = fn(ctx, x);
    cease_unref(ctx);
    cease_unref(known);
    return e;
}

static cease_error handle_search(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                 void *arg)
{
    struct exchange x = {.ctx = ctx, .req = req, .res = res, .app = arg};
    bool answered;
    size_t size = 0;
    cease_error e = cease_http_request_query_value(req, "q", x.query, sizeof x.query, &size);
    if (e == CEASE_OK && strlen(x.query) != size)
        e = CEASE_EPARSE; /* a NUL in the middle */
    cease_error begun = begin(&x, &answered);
    if (answered)
        return begun;
    if (e == CEASE_ERANGE)
        return send_problem(&x, 400, "the query is too long", NULL);
    if (e == CEASE_EPARSE)
        return send_problem(&x, 400, "the query is not correctly encoded text", NULL);
    if (e != CEASE_OK || !trim(x.query))
        return send_problem(&x, 400, "no query", NULL);
    return under_request(&x, search_under);
}

/* ---- /doc ---- */

static cease_error send_document(struct exchange *x, const struct backend *backend,
                                 const struct page *page)
{
    TEXT_AUTO t = {0};
    struct shell shell = shell_of(x, text_str(&page->title));
    if (x->json)
        json_document(&t, backend, page);
    else
        page_document(&t, &shell, backend, page);
    return send_text(x, 200, type_of(x), &t);
}

static cease_error read_under(cease_ctx *ctx, struct exchange *x)
{
    const char *name = cease_http_request_param(x->req, "backend");
    const char *key = cease_http_request_param(x->req, "id");
    const struct backend *backend = name ? backends_find(&x->app->backends, name) : NULL;
    if (!backend || !key)
        return send_problem(x, 404, status_sentence(404), NULL);
    struct page page = {0};
    struct trouble trouble = {0};
    cease_error e = backend->read(ctx, backend->self, key, &page, &trouble);
    if (is_over(x->ctx))
        e = cease_err(x->ctx);
    else if (e == CEASE_OK)
        e = send_document(x, backend, &page);
    else if (e == CEASE_ENOENT)
        e = send_problem(x, 404, status_sentence(404), NULL);
    else if (e == CEASE_EDEADLINE)
        e = send_problem(x, 504, "The time was over before the page was there.", NULL);
    else
        e = send_problem(x, 502, trouble.text[0] ? trouble.text : cease_strerror(e), NULL);
    page_deinit(&page);
    return e;
}

static cease_error handle_doc(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                              void *arg)
{
    struct exchange x = {.ctx = ctx, .req = req, .res = res, .app = arg};
    bool answered;
    cease_error e = begin(&x, &answered);
    x.timeout_text[0] = '\0'; /* it was for this page, not for the next search */
    return answered ? e : under_request(&x, read_under);
}

/* ---- the rest ---- */

static cease_error handle_home(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                               void *arg)
{
    struct exchange x = {.ctx = ctx, .req = req, .res = res, .app = arg};
    TEXT_AUTO t = {0};
    struct shell shell = shell_of(&x, NULL);
    page_home(&t, &shell);
    return send_text(&x, 200, type_of(&x), &t);
}

static cease_error handle_health(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                 void *arg)
{
    struct exchange x = {.ctx = ctx, .req = req, .res = res, .app = arg};
    TEXT_AUTO t = {0};
    status_json(&t, x.app);
    return send_text(&x, 200, "application/json", &t);
}

struct asset {
    const char *path;
    const char *type;
    const char *data;
    size_t size;
};

static const struct asset assets[] = {
    {"/style.css", "text/css; charset=utf-8", asset_style_css, sizeof asset_style_css - 1},
    {"/script.js", "text/javascript; charset=utf-8", asset_script_js, sizeof asset_script_js - 1},
    {"/icon.svg", "image/svg+xml", asset_icon_svg, sizeof asset_icon_svg - 1},
};

static cease_error handle_asset(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                void *arg)
{
    const struct asset *asset = arg;
    (void)req;
    cease_error e = cease_http_response_header(res, "Content-Type", asset->type);
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "Cache-Control", "max-age=300");
    if (e == CEASE_OK)
        e = cease_http_response_header(res, "X-Content-Type-Options", "nosniff");
    return e == CEASE_OK ? cease_http_response_write(ctx, res, asset->data, asset->size) : e;
}

cease_error server_routes(struct app *app)
{
    static const struct {
        const char *pattern;
        cease_http_handler *fn;
    } routes[] = {{"/", handle_home},
                  {"/search", handle_search},
                  {"/doc/{backend}/{id}", handle_doc},
                  {"/healthz", handle_health}};
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && e == CEASE_OK; i++)
        e = cease_http_server_route(app->server, "GET", routes[i].pattern, routes[i].fn, app);
    for (size_t i = 0; i < sizeof assets / sizeof *assets && e == CEASE_OK; i++)
        e = cease_http_server_route(app->server, "GET", assets[i].path, handle_asset,
                                    (void *)(uintptr_t)&assets[i]);
    if (e == CEASE_OK)
        e = cease_http_server_debug(app->server, NULL); /* for this machine only */
    return e;
}
