/* SPDX-License-Identifier: MIT
 *
 * remote.c: see remote.h.
 *
 * A document's key here is "backend/key" of the other instance, so /doc/NAME/backend%2Fkey leads
 * there through us. What comes back is somebody else's text like any page: its HTML goes through the
 * same filter, and its links to other pages lead through us as well.
 */
#include "remote.h"

#include <cease/http_client.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "render.h"
#include "userip.h"

enum { REPLY_MAX = 8 << 20 };

struct remote {
    const char *name;
    const char *const *urls;
    size_t count;
    cease_dur hedge;
    cease_http_client *client;
    uint64_t turn; /* atomic: which replica is asked first */
};

/* ---- hops ---- */

static cease_key hops_key = CEASE_KEY("search hops");

void remote_read_hops(const char *field, struct remote_hops *ret_hops)
{
    char *end;
    long count = field && *field >= '0' && *field <= '9' ? strtol(field, &end, 10) : 0;
    ret_hops->count = count > HOPS_MAX ? HOPS_MAX : count;
}

cease_ctx *remote_with_hops(cease_ctx *parent, struct remote_hops *hops)
{
    return cease_with_value(parent, &hops_key, hops);
}

static long hops_of(const cease_ctx *ctx)
{
    const struct remote_hops *hops = cease_value(ctx, &hops_key);
    return hops ? hops->count : 0;
}

/* ---- one instance ---- */

static cease_error complain(struct trouble *ret_trouble, const char *url, const char *what)
{
    snprintf(ret_trouble->text, sizeof ret_trouble->text, "%s: %s", url, what);
    return CEASE_EIO;
}

/* What an instance says about a request that it could not answer. */
static cease_error refused(const char *url, const cease_http_reply *reply,
                           struct trouble *ret_trouble)
{
    char what[200];
    json_t *json = json_loadb(reply->body, reply->body_size, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    snprintf(what, sizeof what, "answered %d%s%s", reply->status, error ? ": " : "",
             error ? error : "");
    json_decref(json);
    if (reply->status == 404)
        return CEASE_ENOENT;
    complain(ret_trouble, url, what);
    return reply->status == 504 ? CEASE_EDEADLINE : CEASE_EIO;
}

/* GETs `target` from one of the instances. On CEASE_OK the reply is a 200. */
static cease_error ask_instances(cease_ctx *ctx, struct remote *r, const char *target,
                                 cease_http_reply *ret_reply, struct trouble *ret_trouble)
{
    struct text urls[REPLICAS_MAX] = {0};
    cease_http_call calls[REPLICAS_MAX];
    char hops[24];
    const struct userip *ip = userip_from(ctx);
    snprintf(hops, sizeof hops, "%ld", hops_of(ctx) + 1);
    cease_http_header headers[] = {
        {"Accept", "application/json"},
        {REMOTE_HOPS_FIELD, hops},
        {ip && ip->text[0] ? "X-Forwarded-For" : NULL, ip ? ip->text : ""},
        {NULL, NULL}};
    size_t first = (size_t)__atomic_fetch_add(&r->turn, 1, __ATOMIC_RELAXED);
    size_t last = 0;
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < r->count; i++) {
        text_puts(&urls[i], r->urls[(first + i) % r->count]);
        text_puts(&urls[i], target);
        e = urls[i].failed ? CEASE_ENOMEM : e;
        calls[i] = (cease_http_call){.size = sizeof calls[i],
                                     .url = urls[i].data,
                                     .headers = headers,
                                     .reply_max = REPLY_MAX};
    }
    if (e == CEASE_OK)
        e = cease_http_client_hedge(ctx, r->client, calls, r->count, r->hedge, ret_reply, &last);
    const char *url = r->urls[(first + last) % r->count];
    if (e != CEASE_OK) {
        complain(ret_trouble, url, cease_strerror(e));
    } else if (ret_reply->status != 200) {
        e = refused(url, ret_reply, ret_trouble);
        cease_http_reply_deinit(ret_reply);
    }
    for (size_t i = 0; i < r->count; i++)
        text_deinit(&urls[i]);
    return e;
}

static cease_error ask(cease_ctx *ctx, struct remote *r, const struct text *target,
                       cease_http_reply *ret_reply, struct trouble *ret_trouble)
{
    if (target->failed)
        return CEASE_ENOMEM;
    if (hops_of(ctx) >= HOPS_MAX)
        return complain(ret_trouble, r->name, "the request has been through too many instances");
    return ask_instances(ctx, r, target->data, ret_reply, ret_trouble);
}

/* ---- searching ---- */

/* A snippet's HTML back to text with marks. What is not one of our own escapes stays as it is: it is
 * only text, and is escaped again when it is shown. */
static void add_unescaped(struct text *t, const char *html)
{
    static const struct {
        const char *html;
        const char *text;
    } escapes[] = {{"&amp;", "&"}, {"&lt;", "<"},      {"&gt;", ">"},      {"&quot;", "\""},
                   {"&#39;", "'"}, {"<mark>", "\x02"}, {"</mark>", "\x03"}};
    while (*html) {
        size_t i = 0, count = sizeof escapes / sizeof *escapes;
        while (i < count && strncmp(html, escapes[i].html, strlen(escapes[i].html)) != 0)
            i++;
        text_add(t, i < count ? escapes[i].text : html, 1);
        html += i < count ? strlen(escapes[i].html) : 1;
    }
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* "/doc/manual/signal.2" becomes "manual/signal.2". False: it is no document's URL. */
static bool key_of(const char *url, struct text *ret_key)
{
    static const char prefix[] = "/doc/";
    if (!url || strncmp(url, prefix, sizeof prefix - 1) != 0)
        return false;
    for (const char *s = url + sizeof prefix - 1; *s; s++) {
        int high = *s == '%' ? hex(s[1]) : -1;
        int low = high >= 0 ? hex(s[2]) : -1;
        if (*s == '%' && (low < 0 || (high == 0 && low == 0)))
            return false;
        text_putc(ret_key, *s == '%' ? (char)(high * 16 + low) : *s);
        s += *s == '%' ? 2 : 0;
    }
    const char *slash = strchr(text_str(ret_key), '/');
    return slash && slash > ret_key->data && slash[1];
}

/* "signal(2)" and "signal" are what a search for "signal" is after. */
static bool is_exact(const char *title, const char *query)
{
    size_t size = strlen(query);
    return strncasecmp(title, query, size) == 0 && (title[size] == '\0' || title[size] == '(');
}

static cease_error add_hit(const json_t *result, const char *query, struct hits *ret_hits)
{
    TEXT_AUTO key = {0};
    TEXT_AUTO snippet = {0};
    const char *title = json_string_value(json_object_get(result, "title"));
    const char *summary = json_string_value(json_object_get(result, "summary"));
    const char *html = json_string_value(json_object_get(result, "snippet_html"));
    if (!title || !key_of(json_string_value(json_object_get(result, "url")), &key))
        return CEASE_EPARSE;
    add_unescaped(&snippet, html ? html : "");
    if (key.failed || snippet.failed)
        return CEASE_ENOMEM;
    return hits_add(ret_hits, key.data, title, summary ? summary : "", text_str(&snippet),
                    is_exact(title, query));
}

cease_error remote_parse_hits(const char *json, size_t size, const char *query,
                              struct hits *ret_hits)
{
    json_t *root = json_loadb(json, size, 0, NULL);
    json_t *results = json_object_get(root, "results");
    cease_error e = json_is_array(results) ? CEASE_OK : CEASE_EPARSE;
    for (size_t i = 0; e == CEASE_OK && i < json_array_size(results); i++)
        e = add_hit(json_array_get(results, i), query, ret_hits);
    json_decref(root);
    return e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error remote_search(cease_ctx *ctx, void *self, const char *query,
                                 struct hits *ret_hits, struct trouble *ret_trouble)
{
    struct remote *r = self;
    TEXT_AUTO target = {0};
    cease_http_reply reply = {0};
    text_puts(&target, "/search?format=json&q=");
    text_url(&target, query);
    cease_error e = ask(ctx, r, &target, &reply, ret_trouble);
    if (e == CEASE_OK)
        e = remote_parse_hits(reply.body, reply.body_size, query, ret_hits);
    if (e == CEASE_EPARSE)
        complain(ret_trouble, r->name, "its answer is none of a cease-search");
    cease_http_reply_deinit(&reply);
    return e;
}

/* ---- reading ---- */

/* The fragment with its links to pages leading through this backend. NULL: out of memory. */
static char *through_us(const char *name, char *take_html)
{
    static const char ours[] = "href=\"/doc/";
    struct text t = {0};
    const char *s = take_html;
    for (const char *link; (link = strstr(s, ours)); s = link) {
        link += sizeof ours - 1;
        text_add(&t, s, (size_t)(link - s));
        text_url(&t, name);
        text_puts(&t, "/");
        size_t size = strcspn(link, "/\"");
        text_add(&t, link, size);
        text_puts(&t, link[size] == '/' ? "%2F" : "");
        link += size + (link[size] == '/');
    }
    text_puts(&t, s);
    free(take_html);
    if (t.failed) {
        text_deinit(&t);
        return NULL;
    }
    return t.data ? t.data : strdup("");
}

static void put(struct text *t, const json_t *root, const char *field)
{
    const char *value = json_string_value(json_object_get(root, field));
    text_puts(t, value ? value : "");
}

static cease_error parse_page(const char *name, const cease_http_reply *reply, const char *key,
                              struct page *ret_page)
{
    json_t *root = json_loadb(reply->body, reply->body_size, 0, NULL);
    if (!json_is_string(json_object_get(root, "title"))) {
        json_decref(root);
        return CEASE_EPARSE;
    }
    const char *html = json_string_value(json_object_get(root, "html"));
    cease_error e = CEASE_OK;
    text_puts(&ret_page->key, key);
    put(&ret_page->title, root, "title");
    put(&ret_page->summary, root, "summary");
    put(&ret_page->body, root, "text");
    put(&ret_page->extra, root, "extra");
    if (html) {
        char *safe = render_sanitize(html);
        ret_page->html = safe ? through_us(name, safe) : NULL;
        e = ret_page->html ? CEASE_OK : CEASE_ENOMEM;
    }
    json_decref(root);
    return e;
}

static cease_error remote_read(cease_ctx *ctx, void *self, const char *key, struct page *ret_page,
                               struct trouble *ret_trouble)
{
    struct remote *r = self;
    TEXT_AUTO target = {0};
    TEXT_AUTO backend = {0};
    cease_http_reply reply = {0};
    const char *slash = strchr(key, '/');
    if (!slash || slash == key || !slash[1])
        return CEASE_ENOENT;
    text_add(&backend, key, (size_t)(slash - key));
    text_puts(&target, "/doc/");
    text_url(&target, text_str(&backend));
    text_putc(&target, '/');
    text_url(&target, slash + 1);
    text_puts(&target, "?format=json");
    cease_error e = ask(ctx, r, &target, &reply, ret_trouble);
    if (e == CEASE_OK)
        e = parse_page(r->name, &reply, key, ret_page);
    if (e == CEASE_EPARSE)
        complain(ret_trouble, r->name, "its answer is none of a cease-search");
    cease_http_reply_deinit(&reply);
    return e;
}

/* ---- life ---- */

static void remote_free(void *self)
{
    struct remote *r = self;
    if (r)
        cease_http_client_free(r->client);
    free(r);
}

struct backend remote_backend(const char *name, const char *title, const char *const *urls,
                              size_t count, cease_dur hedge)
{
    /* Instances are named one by one: no proxy is meant, and nobody sends us elsewhere. */
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .redirect_max = CEASE_HTTP_NO_REDIRECTS};
    struct remote *r = calloc(1, sizeof *r);
    if (r)
        *r = (struct remote){.name = name,
                             .urls = urls,
                             .count = count,
                             .hedge = hedge,
                             .client = cease_http_client_new(&opts)};
    if (r && !r->client) {
        free(r);
        r = NULL;
    }
    return (struct backend){.name = name,
                            .title = title,
                            .relays = true,
                            .self = r,
                            .search = remote_search,
                            .read = remote_read,
                            .free = remote_free};
}
