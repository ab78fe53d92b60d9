/* SPDX-License-Identifier: MIT
 *
 * embedded.c: a backend on a store in this process.
 *
 * Its connections wait in a channel, which is all that a pool needs to be: whoever receives one may
 * use it alone, waiting for it obeys the context, and it goes back when the adapter has returned,
 * that is, when SQLite is at rest. An empty place (NULL) is a connection that was not opened yet.
 */
#include <cease/chan.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend.h"

struct embedded {
    const char *path;
    long slow_ms;
    size_t readers;
    cease_chan *pool; /* of cease_sqlite * */
};

/* ---- the expression ---- */

static bool has_token(const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (isalnum((unsigned char)word[i]) || (unsigned char)word[i] >= 0x80)
            return true;
    return false;
}

/* Words that say nothing about what is looked for ("how to catch a signal"), and are in every text.
 */
static bool is_filler(const char *word, size_t size)
{
    static const char *const fillers[] = {
        "a",    "an",   "and",  "are", "as",   "at",   "be",    "by",    "can", "do",  "does",
        "for",  "from", "how",  "i",   "in",   "is",   "it",    "my",    "of",  "on",  "or",
        "that", "the",  "this", "to",  "what", "when", "where", "which", "why", "with"};
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++)
        if (strlen(fillers[i]) == size && strncasecmp(fillers[i], word, size) == 0)
            return true;
    return false;
}

static size_t next_word(const char **at)
{
    *at += strspn(*at, " \t\r\n");
    return strcspn(*at, " \t\r\n");
}

void embedded_expression(struct text *t, const char *query, bool any)
{
    bool only_fillers = true;
    size_t size;
    for (const char *at = query; (size = next_word(&at)) > 0; at += size)
        only_fillers = only_fillers && (is_filler(at, size) || !has_token(at, size));
    for (const char *at = query; (size = next_word(&at)) > 0; at += size) {
        if (!has_token(at, size) || (!only_fillers && is_filler(at, size)))
            continue;
        text_puts(t, t->size == 0 ? "\"" : any ? " OR \"" : " AND \"");
        for (size_t i = 0; i < size; i++) {
            if (at[i] == '"')
                text_putc(t, '"'); /* a quote is written twice */
            text_add(t, &at[i], 1);
        }
        text_puts(t, any && size > 2 ? "\"*" : "\"");
    }
}

/* ---- connections ---- */

static cease_error take(cease_ctx *ctx, struct embedded *b, cease_sqlite **ret_db,
                        struct trouble *ret_trouble)
{
    cease_sqlite *db;
    cease_error e = cease_chan_recv(ctx, b->pool, &db);
    if (e == CEASE_OK && !db) {
        e = store_open_reader(ctx, b->path, &db, ret_trouble);
        if (e != CEASE_OK) {
            db = NULL;
            cease_chan_try_send(b->pool, &db);
        }
    }
    if (e == CEASE_OK)
        *ret_db = db;
    return e;
}

static void give_back(struct embedded *b, cease_sqlite *db)
{
    cease_chan_try_send(b->pool, &db); /* there is room: it came from there */
}

static cease_error explain(cease_sqlite *db, cease_error e, struct trouble *ret_trouble)
{
    if (e != CEASE_OK)
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "%s", cease_sqlite_message(db));
    return e;
}

/* ---- searching ---- */

static cease_error add_hit(cease_sqlite_row *row, void *arg)
{
    return hits_add(arg, cease_sqlite_row_text(row, FOUND_KEY, NULL),
                    cease_sqlite_row_text(row, FOUND_TITLE, NULL),
                    cease_sqlite_row_text(row, FOUND_SUMMARY, NULL),
                    cease_sqlite_row_text(row, FOUND_SNIPPET, NULL),
                    cease_sqlite_row_int(row, FOUND_EXACT) != 0);
}

/* All words first; when nothing has them all, any of them. */
static cease_error search_with(cease_ctx *ctx, struct embedded *b, cease_sqlite *db,
                               const char *query, struct hits *ret_hits)
{
    cease_error e = b->slow_ms > 0 ? store_idle(ctx, db, b->slow_ms) : CEASE_OK;
    for (int any = 0; any < 2 && e == CEASE_OK && ret_hits->count == 0; any++) {
        TEXT_AUTO match = {0};
        embedded_expression(&match, query, any);
        if (match.failed)
            return CEASE_ENOMEM;
        if (match.size == 0)
            break;
        e = store_search(ctx, db, match.data, query, HITS_MAX, add_hit, ret_hits);
    }
    return e;
}

static cease_error embedded_search(cease_ctx *ctx, void *self, const char *query,
                                   struct hits *ret_hits, struct trouble *ret_trouble)
{
    struct embedded *b = self;
    cease_sqlite *db;
    cease_error e = take(ctx, b, &db, ret_trouble);
    if (e != CEASE_OK)
        return e;
    e = explain(db, search_with(ctx, b, db, query, ret_hits), ret_trouble);
    give_back(b, db);
    return e;
}

/* ---- reading ---- */

static cease_error add_page(cease_sqlite_row *row, void *arg)
{
    const char *texts[READ_BODY + 1];
    for (int i = 0; i <= READ_BODY; i++)
        texts[i] = cease_sqlite_row_text(row, i, NULL);
    return found_row(arg, texts);
}

static cease_error embedded_read(cease_ctx *ctx, void *self, const char *key, struct page *ret_page,
                                 struct trouble *ret_trouble)
{
    struct embedded *b = self;
    struct found f = {.page = ret_page};
    cease_sqlite *db;
    cease_error e = take(ctx, b, &db, ret_trouble);
    if (e != CEASE_OK)
        return e;
    if (b->slow_ms > 0)
        e = store_idle(ctx, db, b->slow_ms);
    if (e == CEASE_OK)
        e = store_read(ctx, db, key, add_page, &f);
    explain(db, e, ret_trouble);
    give_back(b, db);
    cease_error end = found_finish(ctx, &f);
    return e == CEASE_OK ? end : e;
}

/* ---- life ---- */

static void embedded_free(void *self)
{
    struct embedded *b = self;
    if (!b)
        return;
    cease_sqlite *db;
    while (cease_chan_try_recv(b->pool, &db) == CEASE_OK)
        cease_sqlite_close(db);
    cease_chan_unref(b->pool);
    free(b);
}

struct backend embedded_backend(const char *name, const char *title, const char *path,
                                size_t readers, long slow_ms)
{
    struct backend backend = {.name = name,
                              .title = title,
                              .search = embedded_search,
                              .read = embedded_read,
                              .free = embedded_free};
    struct embedded *b = calloc(1, sizeof *b);
    if (!b)
        return backend;
    *b = (struct embedded){
        .path = path, .slow_ms = slow_ms, .pool = cease_chan_new(sizeof(cease_sqlite *), readers)};
    cease_sqlite *none = NULL;
    for (size_t i = 0; i < readers && b->pool; i++)
        cease_chan_try_send(b->pool, &none);
    if (!b->pool) {
        free(b);
        return backend;
    }
    backend.self = b;
    return backend;
}
