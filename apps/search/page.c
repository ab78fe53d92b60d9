/* SPDX-License-Identifier: MIT
 *
 * page.c: see page.h. Plain HTML that works without script; script.js adds the stop button and the
 * running bars.
 *
 * Bars are SVG, whose lengths are attributes: the pages' security policy allows no inline style.
 */
#include "page.h"

#include <cease/duration.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A duration for people, as Go writes it, with no more digits than mean something. */
static void add_duration(struct text *t, cease_dur d)
{
    char text[CEASE_DUR_SIZE];
    int64_t unit = d.ns >= 1000000000 ? 1000000 : d.ns >= 1000000 ? 10000 : d.ns >= 1000 ? 1000 : 1;
    cease_dur_format(cease_ns((d.ns + unit / 2) / unit * unit), text, sizeof text);
    text_puts(t, text);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* ---- around ---- */

static void add_progress(struct text *t, const struct indexes *indexes)
{
    static const char *const kinds[INDEX_COUNT] = {"manual pages", "packages"};
    bool filling = false;
    for (int i = 0; i < INDEX_COUNT; i++) {
        enum index_state state = index_status(&indexes->of[i]).state;
        filling = filling || state == INDEX_LOOKING || state == INDEX_FILLING;
    }
    text_printf(t, "<aside id=indexing aria-label=Indexing%s>", filling ? "" : " hidden");
    for (int i = 0; i < INDEX_COUNT; i++) {
        struct index_status s = index_status(&indexes->of[i]);
        text_printf(t,
                    "<label data-index=%s><span>%s</span> <progress max=%" PRIu64 " value=%" PRIu64
                    "></progress> <output>%" PRIu64 " of %" PRIu64 "</output></label>",
                    indexes->of[i].name, kinds[i], s.total ? s.total : 1, s.done, s.done, s.total);
    }
    text_puts(t, "</aside>");
}

static void add_form(struct text *t, const struct shell *shell, bool focus)
{
    cease_dur limit = shell->indexes->of[0].options->limit;
    text_puts(t, "<form id=ask action=/search role=search data-backends=\"");
    for (size_t i = 0; i < shell->backends->count; i++) {
        text_puts(t, i > 0 ? "\n" : "");
        text_html(t, shell->backends->of[i].title);
    }
    text_puts(t, "\"><label class=q><span class=off>Search for</span>"
                 "<input id=q name=q type=search required maxlength=1000 autocomplete=off "
                 "autocapitalize=none spellcheck=false "
                 "placeholder=\"Search manual pages and packages\" value=\"");
    text_html(t, or_empty(shell->query));
    text_printf(t, "\"%s></label>", focus ? " autofocus" : "");
    text_puts(t, "<label class=t title=\"How long the search may take: 300ms, 1.5s, 1m\">"
                 "<span>within</span><input id=timeout name=timeout autocomplete=off "
                 "spellcheck=false size=5 placeholder=");
    add_duration(t, limit);
    text_puts(t, " data-limit=");
    text_ms(t, limit);
    text_puts(t, " value=\"");
    text_html(t, or_empty(shell->timeout));
    text_puts(t, "\"></label><button id=go>Search</button>"
                 "<button id=stop type=button hidden>Stop</button></form>");
}

static void begin(struct text *t, const struct shell *shell, const char *class)
{
    text_puts(t,
              "<!doctype html><html lang=en><meta charset=utf-8>"
              "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
              "<meta name=color-scheme content=\"light dark\"><link rel=icon href=/icon.svg>"
              "<link rel=stylesheet href=/style.css><script src=/script.js defer></script><title>");
    if (shell->title) {
        text_html(t, shell->title);
        text_puts(t, " – ");
    }
    text_printf(t,
                "cease search</title><body class=%s><header><a class=mark href=/>cease<i>.</i></a>",
                class);
    add_form(t, shell, strcmp(class, "home") == 0);
    text_puts(t, "</header>");
    add_progress(t, shell->indexes);
    text_puts(t, "<main id=main>");
}

static void end(struct text *t)
{
    text_puts(t, "</main>\n");
}

/* ---- results ---- */

static void add_bar(struct text *t, const struct answer *a, cease_dur timeout)
{
    const char *error = answer_error(a);
    double part = timeout.ns > 0 ? (double)a->elapsed.ns / (double)timeout.ns * 100 : 100;
    text_printf(t, "<li class=%s><b>", error ? "late" : "ok");
    text_html(t, a->backend->title);
    text_printf(t,
                "</b><svg viewBox=\"0 0 100 1\" preserveAspectRatio=none aria-hidden=true>"
                "<rect width=\"%.2f\" height=1></rect></svg><span>",
                part < 0.8   ? 0.8
                : part > 100 ? 100.0
                             : part);
    if (error)
        text_html(t, error);
    else
        text_printf(t, "%zu result%s%s", a->hits.count, a->hits.count == 1 ? "" : "s",
                    a->hits.cached ? ", cached" : "");
    text_puts(t, "</span><time>");
    add_duration(t, a->elapsed);
    text_puts(t, "</time>");
}

static void add_bars(struct text *t, const struct result *result, cease_dur timeout)
{
    text_puts(t, "<ul class=bars>");
    for (size_t i = 0; i < result->count; i++)
        add_bar(t, &result->answers[i], timeout);
    text_puts(t, "</ul>");
}

static void add_hit(struct text *t, const struct answer *a, const struct hit *hit)
{
    text_printf(t, "<li><h2><a href=\"/doc/%s/", a->backend->name);
    text_url(t, hit->key);
    text_puts(t, "\">");
    text_html(t, hit->title);
    text_printf(t, "</a> <small class=%s>%s</small></h2><p class=summary>", a->backend->name,
                a->backend->name);
    text_html_marked(t, hit->summary);
    text_puts(t, "<p class=snippet>");
    text_html_marked(t, hit->snippet);
}

void page_results(struct text *t, const struct shell *shell, const struct result *result,
                  cease_dur timeout)
{
    begin(t, shell, "found");
    text_printf(t, "<p class=sum role=status>%zu result%s in ", result->ranked_count,
                result->ranked_count == 1 ? "" : "s");
    add_duration(t, result->elapsed);
    text_puts(t, "; timeout ");
    add_duration(t, timeout);
    text_puts(t, "</p>");
    add_bars(t, result, timeout);
    for (size_t i = 0; i < result->count; i++) {
        const struct answer *a = &result->answers[i];
        if (a->error == CEASE_OK)
            continue;
        text_puts(t, "<p class=note>These are partial results: ");
        text_html(t, a->backend->title);
        text_puts(t, " did not answer (");
        text_html(t, answer_error(a));
        text_puts(t, ").</p>");
    }
    if (result->ranked_count == 0)
        text_puts(t, "<p class=none>Nothing was found. Fewer or shorter words find more.</p>");
    text_puts(t, "<ol class=hits>");
    for (size_t i = 0; i < result->ranked_count; i++)
        add_hit(t, result->ranked[i].answer, result->ranked[i].hit);
    text_puts(t, "</ol>");
    end(t);
}

void page_home(struct text *t, const struct shell *shell)
{
    static const char *const examples[] = {"signal", "pthread_create", "deadline",
                                           "regular expression", "man page viewer"};
    begin(t, shell, "home");
    text_puts(t, "<p class=lead>Search this machine: its manual pages and package descriptions, "
                 "asked at the same time, "
                 "within the time you give.</p><p class=try>Try");
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        text_puts(t, " <a href=\"/search?q=");
        text_url(t, examples[i]);
        text_puts(t, "\">");
        text_html(t, examples[i]);
        text_puts(t, "</a>");
    }
    text_printf(
        t,
        "</p><p class=facts>%" PRIu64 " manual pages and %" PRIu64
        " packages. <kbd>/</kbd> goes to the search box, <kbd>Esc</kbd> stops a search.</p>",
        index_status(&shell->indexes->of[INDEX_MANUAL]).done,
        index_status(&shell->indexes->of[INDEX_PACKAGES]).done);
    end(t);
}

/* ---- errors ---- */

const char *status_sentence(int status)
{
    switch (status) {
    case 504:
        return "The time was over before anything was found.";
    case 502:
        return "No backend could answer.";
    case 404:
        return "There is no such page.";
    default:
        return "That did not work.";
    }
}

void page_error(struct text *t, const struct shell *shell, int status, const char *message,
                const struct result *result, cease_dur timeout)
{
    begin(t, shell, "error");
    text_printf(t, "<p class=wrong role=alert><b>%d</b> ", status);
    text_html(t, message);
    text_puts(t, "</p>");
    if (result && result->count > 0)
        add_bars(t, result, timeout);
    end(t);
}

/* ---- documents ---- */

/* Lines that begin with a space are verbatim; others are paragraphs. */
static void add_plain(struct text *t, const char *body)
{
    bool verbatim = false;
    while (*body) {
        size_t size = strcspn(body, "\n");
        struct text line = {0};
        text_add(&line, body, size);
        bool indented = *body == ' ' || *body == '\t';
        if (indented != verbatim)
            text_puts(t, indented ? "<pre>" : "</pre>");
        verbatim = indented;
        if (!indented && size > 0)
            text_puts(t, "<p>");
        text_html(t, text_str(&line));
        text_puts(t, indented ? "\n" : "");
        text_deinit(&line);
        body += size + (body[size] == '\n');
    }
    if (verbatim)
        text_puts(t, "</pre>");
}

/* "Name: value" lines as a list; values that are addresses of the web become links. */
static void add_extra(struct text *t, const char *extra)
{
    if (*extra)
        text_puts(t, "<dl class=extra>");
    for (bool any = *extra; *extra;) {
        size_t size = strcspn(extra, "\n");
        struct text line = {0};
        text_add(&line, extra, size);
        char *colon = line.data ? strstr(line.data, ": ") : NULL;
        if (colon) {
            *colon = '\0';
            const char *value = colon + 2;
            bool link = strncmp(value, "https://", 8) == 0 || strncmp(value, "http://", 7) == 0;
            text_puts(t, "<dt>");
            text_html(t, line.data);
            text_puts(t, "<dd>");
            if (link)
                text_puts(t, "<a rel=noreferrer href=\"");
            if (link)
                text_html(t, value);
            if (link)
                text_puts(t, "\">");
            text_html(t, value);
            if (link)
                text_puts(t, "</a>");
        }
        text_deinit(&line);
        extra += size + (extra[size] == '\n');
        if (any && !*extra)
            text_puts(t, "</dl>");
    }
}

void page_document(struct text *t, const struct shell *shell, const struct backend *backend,
                   const struct page *page)
{
    begin(t, shell, "doc");
    text_printf(t, "<article class=%s>", backend->name);
    if (!page->html) {
        text_puts(t, "<h1>");
        text_html(t, text_str(&page->title));
        text_puts(t, "</h1><p class=summary>");
        text_html(t, text_str(&page->summary));
        text_puts(t, "</p>");
        add_plain(t, text_str(&page->body));
    } else {
        text_puts(t, page->html); /* sanitized where it was made */
    }
    add_extra(t, text_str(&page->extra));
    text_puts(t, "</article>");
    end(t);
}
