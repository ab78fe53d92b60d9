/* SPDX-License-Identifier: MIT
 *
 * json.c: answers for programs.
 *
 *     {"query": "signal",
 *      "results": [{"title", "url", "summary", "snippet", "snippet_html", "backend"}, …],
 *      "elapsed_ms": 3.1, "timeout_ms": 1000, "partial": false,
 *      "backends": [{"name", "results", "elapsed_ms", "error": null or a text, "cached"}, …]}
 *
 * When nobody answered there is also "error". `snippet` is plain text, `snippet_html` is escaped
 * and marks the hits.
 */
#include "page.h"

static void add_hit(struct text *t, const struct answer *a, const struct hit *hit)
{
    struct text html = {0};
    text_html_marked(&html, hit->snippet);
    text_puts(t, "{\"title\":");
    text_json(t, hit->title);
    text_printf(t, ",\"url\":\"/doc/%s/", a->backend->name);
    text_url(t, hit->key);
    text_puts(t, "\",\"summary\":");
    text_json(t, hit->summary);
    text_puts(t, ",\"snippet\":");
    text_json(t, hit->snippet);
    text_puts(t, ",\"snippet_html\":");
    text_json(t, text_str(&html));
    text_printf(t, ",\"backend\":\"%s\"}", a->backend->name);
    t->failed = t->failed || html.failed;
    text_deinit(&html);
}

static void add_backend(struct text *t, const struct answer *a)
{
    text_printf(t, "{\"name\":\"%s\",\"results\":%zu,\"elapsed_ms\":", a->backend->name,
                a->error == CEASE_OK ? a->hits.count : 0);
    text_ms(t, a->elapsed);
    text_puts(t, ",\"error\":");
    text_json(t, answer_error(a));
    text_printf(t, ",\"cached\":%s}", a->hits.cached ? "true" : "false");
}

void json_results(struct text *t, const char *query, const struct result *result, cease_dur timeout,
                  const char *error)
{
    bool partial = false;
    text_puts(t, "{\"query\":");
    text_json(t, query);
    text_puts(t, ",\"results\":[");
    for (size_t i = 0; i < result->ranked_count; i++) {
        if (i > 0)
            text_putc(t, ',');
        add_hit(t, result->ranked[i].answer, result->ranked[i].hit);
    }
    text_puts(t, "],\"elapsed_ms\":");
    text_ms(t, result->elapsed);
    text_puts(t, ",\"timeout_ms\":");
    text_ms(t, timeout);
    text_puts(t, ",\"backends\":[");
    for (size_t i = 0; i < result->count; i++) {
        if (i > 0)
            text_putc(t, ',');
        add_backend(t, &result->answers[i]);
        partial = partial || result->answers[i].error != CEASE_OK;
    }
    text_printf(t, "],\"partial\":%s", partial ? "true" : "false");
    if (error) {
        text_puts(t, ",\"error\":");
        text_json(t, error);
    }
    text_puts(t, "}\n");
}

void json_error(struct text *t, const char *message)
{
    text_puts(t, "{\"error\":");
    text_json(t, message);
    text_puts(t, "}\n");
}

void json_document(struct text *t, const struct backend *backend, const struct page *page)
{
    text_printf(t, "{\"backend\":\"%s\",\"title\":", backend->name);
    text_json(t, text_str(&page->title));
    text_printf(t, ",\"url\":\"/doc/%s/", backend->name);
    text_url(t, text_str(&page->key));
    text_puts(t, "\",\"summary\":");
    text_json(t, text_str(&page->summary));
    text_puts(t, ",\"text\":");
    text_json(t, text_str(&page->body));
    text_puts(t, ",\"html\":");
    text_json(t, page->html);
    text_puts(t, ",\"extra\":");
    text_json(t, text_str(&page->extra));
    text_puts(t, "}\n");
}
