/* SPDX-License-Identifier: MIT
 *
 * backend.c: what all backends share; see backend.h.
 */
#include "backend.h"

#include <stdlib.h>
#include <string.h>

#include "render.h"

cease_error hits_add(struct hits *hits, const char *key, const char *title, const char *summary,
                     const char *snippet, bool exact)
{
    enum { TEXTS = 4 };
    const char *const texts[TEXTS] = {key, title, summary, snippet};
    if (hits->count == HITS_MAX)
        return CEASE_EOF;
    size_t sizes[TEXTS];
    size_t total = 0;
    for (int i = 0; i < TEXTS; i++)
        total += sizes[i] = strlen(texts[i]) + 1;
    char *at = malloc(total);
    if (!at)
        return CEASE_ENOMEM;
    struct hit *hit = &hits->data[hits->count++];
    *hit = (struct hit){.memory = at, .exact = exact};
    const char **const fields[TEXTS] = {&hit->key, &hit->title, &hit->summary, &hit->snippet};
    for (int i = 0; i < TEXTS; i++) {
        memcpy(at, texts[i], sizes[i]);
        *fields[i] = at;
        at += sizes[i];
    }
    return CEASE_OK;
}

void hits_deinit(struct hits *hits)
{
    for (size_t i = 0; i < hits->count; i++)
        free(hits->data[i].memory);
    hits->count = 0;
}

void page_deinit(struct page *page)
{
    text_deinit(&page->key);
    text_deinit(&page->title);
    text_deinit(&page->summary);
    text_deinit(&page->extra);
    text_deinit(&page->body);
    free(page->html);
    page->html = NULL;
}

cease_error found_row(struct found *f, const char *const texts[READ_BODY + 1])
{
    struct text *const fields[] = {
        [READ_KEY] = &f->page->key,         [READ_TITLE] = &f->page->title,
        [READ_SUMMARY] = &f->page->summary, [READ_SOURCE] = &f->source,
        [READ_EXTRA] = &f->page->extra,     [READ_BODY] = &f->page->body};
    bool failed = false;
    for (int i = 0; i <= READ_BODY; i++) {
        text_puts(fields[i], texts[i]);
        failed = failed || fields[i]->failed;
    }
    f->any = true;
    return failed ? CEASE_ENOMEM : CEASE_OK;
}

cease_error found_finish(cease_ctx *ctx, struct found *f)
{
    cease_error e = f->any ? CEASE_OK : CEASE_ENOENT;
    if (f->source.size > 0 && render_html(ctx, f->source.data, &f->page->html) != CEASE_OK)
        e = cease_err(ctx);
    text_deinit(&f->source);
    return e;
}

const struct backend *backends_find(const struct backends *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->of[i].name, name) == 0)
            return &all->of[i];
    return NULL;
}
