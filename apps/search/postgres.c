/* SPDX-License-Identifier: MIT
 *
 * postgres.c: asking PostgreSQL; see postgres.h.
 *
 * Names and aliases are indexed as they are ('simple'), texts by their English stems, and a query is both, so
 * "pthread_create" and "waiting" are found alike. websearch_to_tsquery takes whatever people type. As in the embedded
 * index, all words are looked for first, and when nothing has them all, any of them.
 */
#include "postgres.h"

#include <cease/pg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 16 };

struct postgres {
    cease_pg_pool *pool;
    long slow_ms;
};

bool postgres_is_there(void)
{
    return true;
}

bool postgres_url_is_good(const char *url)
{
    cease_canceler *stop;
    cease_pg *none;
    cease_ctx *ended = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    cease_error e = cease_pg_open(ended, url, NULL, &none); /* looks at the string first */
    cease_end(stop);
    return e != CEASE_EINVAL;
}

static cease_error explain(cease_pg *db, cease_error e, struct trouble *ret_trouble)
{
    if (e != CEASE_OK)
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "PostgreSQL: %s",
                 cease_pg_message(db));
    return e;
}

static cease_error take(cease_ctx *ctx, struct postgres *p, cease_pg **ret_db,
                        struct trouble *ret_trouble)
{
    cease_error e = cease_pg_pool_take(ctx, p->pool, ret_db);
    if (e != CEASE_OK) {
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "PostgreSQL: %s", cease_strerror(e));
        return e;
    }
    if (p->slow_ms > 0) {
        cease_pg_value args[] = {cease_pg_real((double)p->slow_ms / 1000)};
        e = explain(*ret_db,
                    cease_pg_query(ctx, *ret_db, "SELECT pg_sleep($1)", args, 1, NULL, NULL),
                    ret_trouble);
    }
    if (e != CEASE_OK)
        cease_pg_pool_give(p->pool, *ret_db);
    return e;
}

/* ---- searching ---- */

static cease_error add_hit(cease_pg_row *row, void *arg)
{
    return hits_add(
        arg, cease_pg_row_text(row, FOUND_KEY, NULL), cease_pg_row_text(row, FOUND_TITLE, NULL),
        cease_pg_row_text(row, FOUND_SUMMARY, NULL), cease_pg_row_text(row, FOUND_SNIPPET, NULL),
        cease_pg_row_bool(row, FOUND_EXACT));
}

static cease_error search_for(cease_ctx *ctx, cease_pg *db, const char *words, const char *exact,
                              struct hits *ret_hits)
{
    static const char sql[] =
        "WITH asked AS (SELECT websearch_to_tsquery('simple', $1) ||"
        "  websearch_to_tsquery('english', $1) AS q),"
        "best AS MATERIALIZED ("
        "  SELECT kind, key, title, summary, body, rank, q,"
        "    lower(name) = lower($2) AND rank < 10 AS exact,"
        "    ts_rank(words, q) * CASE WHEN rank >= 10 THEN 0.4 WHEN rank >= 4 THEN 0.9 ELSE 1 END"
        "      AS score"
        "  FROM cease_search, asked WHERE words @@ q"
        "  ORDER BY exact DESC, CASE WHEN lower(name) = lower($2) THEN rank ELSE 0 END, score DESC,"
        "    key LIMIT $3)"
        "SELECT kind || '/' || key, title,"
        "  ts_headline('english', summary, q, 'HighlightAll=true,StartSel=' || chr(2) ||"
        "    ',StopSel=' || chr(3)),"
        "  ts_headline('english', left(body, 20000), q, 'MaxFragments=2,MaxWords=20,MinWords=8,"
        "FragmentDelimiter=\" … \",StartSel=' || chr(2) || ',StopSel=' || chr(3)),"
        "  exact"
        "  FROM best ORDER BY exact DESC, CASE WHEN exact THEN rank ELSE 0 END, score DESC, key";
    cease_pg_value args[] = {cease_pg_text(words), cease_pg_text(exact), cease_pg_int(HITS_MAX)};
    return cease_pg_query(ctx, db, sql, args, 3, add_hit, ret_hits);
}

/* The words with "or" between them. */
static void put_any(struct text *t, const char *query)
{
    size_t size;
    for (query += strspn(query, " \t\r\n"); (size = strcspn(query, " \t\r\n")) > 0;
         query += strspn(query, " \t\r\n")) {
        text_puts(t, t->size > 0 ? " or " : "");
        text_add(t, query, size);
        query += size;
    }
}

static cease_error postgres_search(cease_ctx *ctx, void *self, const char *query,
                                   struct hits *ret_hits, struct trouble *ret_trouble)
{
    struct postgres *p = self;
    cease_pg *db;
    TEXT_AUTO words = {0};
    TEXT_AUTO any = {0};
    text_utf8(&words, query);
    put_any(&any, text_str(&words));
    if (words.failed || any.failed)
        return CEASE_ENOMEM;
    cease_error e = take(ctx, p, &db, ret_trouble);
    if (e != CEASE_OK)
        return e;
    e = search_for(ctx, db, text_str(&words), text_str(&words), ret_hits);
    if (e == CEASE_OK && ret_hits->count == 0)
        e = search_for(ctx, db, text_str(&any), text_str(&words), ret_hits);
    explain(db, e, ret_trouble);
    cease_pg_pool_give(p->pool, db);
    return e;
}

/* ---- reading ---- */

static cease_error add_page(cease_pg_row *row, void *arg)
{
    const char *texts[READ_BODY + 1];
    for (int i = 0; i <= READ_BODY; i++)
        texts[i] = cease_pg_row_text(row, i, NULL);
    return found_row(arg, texts);
}

static cease_error postgres_read(cease_ctx *ctx, void *self, const char *key, struct page *ret_page,
                                 struct trouble *ret_trouble)
{
    static const char sql[] = "SELECT kind || '/' || key, title, summary, source, extra, body"
                              "  FROM cease_search WHERE kind = $1 AND key = $2";
    struct postgres *p = self;
    struct found f = {.page = ret_page};
    TEXT_AUTO kind = {0};
    cease_pg *db;
    const char *slash = strchr(key, '/');
    if (!slash)
        return CEASE_ENOENT;
    text_add(&kind, key, (size_t)(slash - key));
    cease_pg_value args[] = {cease_pg_text(text_str(&kind)), cease_pg_text(slash + 1)};
    cease_error e = kind.failed ? CEASE_ENOMEM : take(ctx, p, &db, ret_trouble);
    if (e != CEASE_OK)
        return e;
    e = explain(db, cease_pg_query(ctx, db, sql, args, 2, add_page, &f), ret_trouble);
    cease_pg_pool_give(p->pool, db);
    cease_error end = found_finish(ctx, &f);
    return e == CEASE_OK ? end : e;
}

/* ---- life ---- */

static void postgres_free(void *self)
{
    struct postgres *p = self;
    if (!p)
        return;
    cease_pg_pool_free(p->pool);
    free(p);
}

struct backend postgres_backend(const char *url, long slow_ms)
{
    struct backend backend = {.name = "postgres",
                              .title = "PostgreSQL",
                              .relays = true,
                              .search = postgres_search,
                              .read = postgres_read,
                              .free = postgres_free};
    cease_pg_pool_opts opts = {.size = sizeof opts, .connections_max = CONNECTIONS};
    struct postgres *p = calloc(1, sizeof *p);
    if (p)
        *p = (struct postgres){.pool = cease_pg_pool_new(url, &opts), .slow_ms = slow_ms};
    if (p && !p->pool) {
        free(p);
        p = NULL;
    }
    backend.self = p;
    return backend;
}
