/* SPDX-License-Identifier: MIT
 *
 * store.c: see store.h.
 *
 * `doc` has one row per document, `entry` (FTS5, with its own copy of the text, for snippets) one
 * with the same number. What is written together is in one transaction, so the two never disagree.
 *
 * A search is three steps in one statement: FTS5 gives its 200 best by bm25 (its own sorter,
 * without reading the texts); these are ordered anew with what bm25 cannot know (the exact name,
 * the section, the language); and only for the few that are shown a snippet is cut, which has to
 * read the text.
 */
#include "store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STORE_VERSION = 1 };

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS doc("
    "  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, rank INTEGER NOT "
    "NULL,"
    "  name TEXT NOT NULL, title TEXT NOT NULL, source TEXT NOT NULL, extra TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS alias("
    "  key TEXT PRIMARY KEY, id INTEGER NOT NULL REFERENCES doc(id) ON DELETE CASCADE);"
    "CREATE INDEX IF NOT EXISTS alias_id ON alias(id);"
    "CREATE VIRTUAL TABLE IF NOT EXISTS entry USING fts5("
    "  name, alias, summary, body, tokenize = 'porter unicode61 remove_diacritics 2');"
    "PRAGMA user_version = 1;"
    "COMMIT;";

/* ---- opening ---- */

static cease_error read_int(cease_sqlite_row *row, void *arg)
{
    *(int64_t *)arg = cease_sqlite_row_int(row, 0);
    return CEASE_OK;
}

static void explain(struct trouble *ret, const char *path, cease_error e, const char *words)
{
    if (e == CEASE_ENOSPC)
        snprintf(ret->text, sizeof ret->text, "no space left for %s (%s)", path, words);
    else if (e == CEASE_EACCES || e == CEASE_EPERM)
        snprintf(ret->text, sizeof ret->text, "no permission for the database %s (%s)", path,
                 words);
    else
        snprintf(ret->text, sizeof ret->text, "cannot use the database %s: %s", path, words);
}

static cease_error prepare_file(cease_ctx *ctx, cease_sqlite *db)
{
    int64_t version = 0;
    cease_error e = cease_sqlite_query(ctx, db, "PRAGMA user_version", NULL, 0, read_int, &version);
    if (e == CEASE_OK && version > STORE_VERSION)
        return CEASE_ENOTSUP;
    /* NORMAL: after a power cut the last transactions may be missing, never half there; the next
     * run does them again. */
    if (e == CEASE_OK)
        e = cease_sqlite_exec(ctx, db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    if (e == CEASE_OK && version < STORE_VERSION)
        e = cease_sqlite_exec(ctx, db, schema);
    int64_t any = 0;
    if (e == CEASE_OK)
        e = cease_sqlite_query(ctx, db,
                               "SELECT (SELECT count(id) FROM (SELECT id FROM doc LIMIT 1)), "
                               "(SELECT rowid FROM entry LIMIT 1)",
                               NULL, 0, read_int, &any);
    return e;
}

cease_error store_open(cease_ctx *ctx, const char *path, cease_sqlite **ret_db,
                       struct trouble *ret_trouble)
{
    char words[256] = "";
    cease_sqlite_opts opts = {.size = sizeof opts,
                              .message = words,
                              .message_size = sizeof words,
                              .busy_max = cease_sec(10)};
    cease_sqlite *db = NULL;
    cease_error e = cease_sqlite_open(ctx, path, &opts, &db);
    if (e != CEASE_OK) {
        explain(ret_trouble, path, e, words);
        return e;
    }
    e = prepare_file(ctx, db);
    if (e != CEASE_OK) {
        explain(ret_trouble, path, e,
                e == CEASE_ENOTSUP ? "a newer version made it" : cease_sqlite_message(db));
        cease_sqlite_close(db);
        return e;
    }
    *ret_db = db;
    return CEASE_OK;
}

/* SQL's nap(until): sleeps for at most a millisecond, so that an interrupt is heard between two of
 * them, and says whether `until` (as a cease_time) is still to come. */
static void sql_nap(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    sqlite3_result_int(context, cease_now().ns < sqlite3_value_int64(values[0]));
}

static int add_functions(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    (void)ctx;
    (void)arg;
    return sqlite3_create_function(handle, "nap", 1, SQLITE_UTF8, NULL, sql_nap, NULL, NULL);
}

cease_error store_open_reader(cease_ctx *ctx, const char *path, cease_sqlite **ret_db,
                              struct trouble *ret_trouble)
{
    char words[256] = "";
    cease_sqlite_opts opts = {
        .size = sizeof opts, .existing = true, .message = words, .message_size = sizeof words};
    cease_sqlite *db = NULL;
    cease_error e = cease_sqlite_open(ctx, path, &opts, &db);
    if (e == CEASE_OK)
        e = cease_sqlite_exec(ctx, db, "PRAGMA query_only = ON");
    if (e == CEASE_OK)
        e = cease_sqlite_run(ctx, db, add_functions, NULL);
    if (e != CEASE_OK) {
        explain(ret_trouble, path, e, db ? cease_sqlite_message(db) : words);
        cease_sqlite_close(db);
        return e;
    }
    *ret_db = db;
    return CEASE_OK;
}

/* ---- writing ---- */

/* A statement with text parameters, run to its end. An integer parameter goes last. */
static int run_texts(sqlite3 *handle, const char *sql, const char *const *texts, int count,
                     int64_t last)
{
    sqlite3_stmt *stmt;
    int code = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);
    if (code != SQLITE_OK)
        return code;
    for (int i = 0; i < count && code == SQLITE_OK; i++)
        code = sqlite3_bind_text(stmt, i + 1, texts[i], -1, SQLITE_STATIC);
    if (code == SQLITE_OK && sqlite3_bind_parameter_count(stmt) > count)
        code = sqlite3_bind_int64(stmt, count + 1, last);
    while (code == SQLITE_OK || code == SQLITE_ROW)
        code = sqlite3_step(stmt);
    int end = sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? SQLITE_OK : end;
}

static int remove_one(sqlite3 *handle, const char *key)
{
    int code = run_texts(
        handle, "DELETE FROM entry WHERE rowid = (SELECT id FROM doc WHERE key = ?1)", &key, 1, 0);
    return code == SQLITE_OK ? run_texts(handle, "DELETE FROM doc WHERE key = ?1", &key, 1, 0)
                             : code;
}

static int put_one(sqlite3 *handle, const struct document *d)
{
    int code = remove_one(handle, d->key);
    if (code != SQLITE_OK)
        return code;
    const char *doc[] = {d->key, d->stamp, d->name, d->title, d->source, d->extra};
    code = run_texts(handle,
                     "INSERT INTO doc(key, stamp, name, title, source, extra, rank) "
                     "VALUES(?1,?2,?3,?4,?5,?6,?7)",
                     doc, 6, d->rank);
    if (code != SQLITE_OK)
        return code;
    const char *entry[] = {d->name, d->aliases, d->summary, d->body};
    return run_texts(
        handle, "INSERT INTO entry(name, alias, summary, body, rowid) VALUES(?1, ?2, ?3, ?4, ?5)",
        entry, 4, sqlite3_last_insert_rowid(handle));
}

enum work_kind { PUT, PUT_ALIASES, REMOVE };

struct work {
    enum work_kind kind;
    const void *items;
    size_t count;
};

static int work_one(sqlite3 *handle, const struct work *w, size_t i)
{
    if (w->kind == PUT)
        return put_one(handle, &((const struct document *)w->items)[i]);
    if (w->kind == REMOVE)
        return remove_one(handle, ((const char *const *)w->items)[i]);
    const struct store_alias *a = &((const struct store_alias *)w->items)[i];
    const char *texts[] = {a->alias, a->key};
    return run_texts(handle,
                     "INSERT OR REPLACE INTO alias(key, id) SELECT ?1, id FROM doc WHERE key = ?2",
                     texts, 2, 0);
}

/* One transaction. When the context ends in it, the adapter rolls it back; any other failure does
 * so here. */
static int work_run(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    const struct work *w = arg;
    int code = sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (size_t i = 0; i < w->count && code == SQLITE_OK; i++)
        code = cease_done(ctx) ? SQLITE_INTERRUPT : work_one(handle, w, i);
    if (code == SQLITE_OK)
        code = sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
    if (code != SQLITE_OK && !cease_done(ctx) && !sqlite3_get_autocommit(handle))
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

cease_error store_put(cease_ctx *ctx, cease_sqlite *db, const struct document *documents,
                      size_t count)
{
    return cease_sqlite_run(ctx, db, work_run, &(struct work){PUT, documents, count});
}

cease_error store_put_aliases(cease_ctx *ctx, cease_sqlite *db, const struct store_alias *aliases,
                              size_t count)
{
    return cease_sqlite_run(ctx, db, work_run, &(struct work){PUT_ALIASES, aliases, count});
}

cease_error store_remove(cease_ctx *ctx, cease_sqlite *db, const char *const *keys, size_t count)
{
    return cease_sqlite_run(ctx, db, work_run, &(struct work){REMOVE, keys, count});
}

/* ---- stamps ---- */

cease_error stamps_add(struct stamps *s, const char *key, const char *stamp)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 1024;
        struct stamp *data = realloc(s->data, room * sizeof *data);
        if (!data)
            return CEASE_ENOMEM;
        s->data = data;
        s->room = room;
    }
    size_t key_size = strlen(key);
    size_t stamp_size = strlen(stamp);
    char *copy = malloc(key_size + stamp_size + 2);
    if (!copy)
        return CEASE_ENOMEM;
    memcpy(copy, key, key_size + 1);
    memcpy(copy + key_size + 1, stamp, stamp_size + 1);
    s->data[s->count++] = (struct stamp){.key = copy, .stamp = copy + key_size + 1};
    return CEASE_OK;
}

static cease_error add_stamp(cease_sqlite_row *row, void *arg)
{
    return stamps_add(arg, cease_sqlite_row_text(row, 0, NULL),
                      cease_sqlite_row_text(row, 1, NULL));
}

cease_error store_stamps(cease_ctx *ctx, cease_sqlite *db, struct stamps *ret_stamps)
{
    struct stamps s = {0};
    /* BINARY is the column's collation: the order of strcmp, which stamps_find relies on. */
    cease_error e = cease_sqlite_query(ctx, db, "SELECT key, stamp FROM doc ORDER BY key", NULL, 0,
                                       add_stamp, &s);
    if (e != CEASE_OK) {
        stamps_deinit(&s);
        return e;
    }
    *ret_stamps = s;
    return CEASE_OK;
}

static int compare_stamp(const void *key, const void *item)
{
    return strcmp(key, ((const struct stamp *)item)->key);
}

struct stamp *stamps_find(const struct stamps *s, const char *key)
{
    return s->count == 0 ? NULL : bsearch(key, s->data, s->count, sizeof *s->data, compare_stamp);
}

void stamps_deinit(struct stamps *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->data[i].key);
    free(s->data);
    *s = (struct stamps){0};
}

/* ---- reading ---- */

cease_error store_count(cease_ctx *ctx, cease_sqlite *db, int64_t *ret_count)
{
    return cease_sqlite_query(ctx, db, "SELECT count(*) FROM doc", NULL, 0, read_int, ret_count);
}

cease_error store_search(cease_ctx *ctx, cease_sqlite *db, const char *match, const char *exact,
                         int limit, cease_sqlite_row_fn *fn, void *arg)
{
    static const char sql[] =
        "WITH near AS MATERIALIZED ("
        "  SELECT rowid AS id, rank AS score FROM entry"
        "  WHERE entry MATCH ?1 AND rank MATCH 'bm25(14.0, 7.0, 5.0, 1.0)' ORDER BY rank LIMIT "
        "200),"
        "best AS MATERIALIZED ("
        "  SELECT d.id, d.key, d.title, d.name = ?2 COLLATE NOCASE AND d.rank < 10 AS exact, "
        "d.rank,"
        "    near.score * CASE WHEN d.rank >= 10 THEN 0.4 WHEN d.rank >= 4 THEN 0.9 ELSE 1.0 END "
        "AS score"
        "  FROM near JOIN doc AS d USING (id)"
        "  ORDER BY exact DESC, CASE WHEN exact THEN d.rank ELSE 0 END, score, d.key LIMIT ?3)"
        "SELECT best.key, best.title, highlight(entry, 2, char(2), char(3)), snippet(entry, 3, "
        "char(2), char(3), ' … ', "
        "30), best.exact"
        "  FROM best JOIN entry ON entry.rowid = best.id WHERE entry MATCH ?1"
        "  ORDER BY best.exact DESC, CASE WHEN best.exact THEN best.rank ELSE 0 END, best.score, "
        "best.key";
    cease_sqlite_value args[] = {cease_sqlite_text(match), cease_sqlite_text(exact),
                                 cease_sqlite_int(limit)};
    return cease_sqlite_query(ctx, db, sql, args, 3, fn, arg);
}

cease_error store_each(cease_ctx *ctx, cease_sqlite *db, int64_t after, int limit,
                       cease_sqlite_row_fn *fn, void *arg)
{
    static const char sql[] =
        "SELECT d.id, d.key, d.stamp, d.rank, d.name, d.title, e.alias, e.summary, e.body, "
        "d.source, d.extra"
        "  FROM doc AS d JOIN entry AS e ON e.rowid = d.id WHERE d.id > ?1 ORDER BY d.id LIMIT ?2";
    cease_sqlite_value args[] = {cease_sqlite_int(after), cease_sqlite_int(limit)};
    return cease_sqlite_query(ctx, db, sql, args, 2, fn, arg);
}

cease_error store_read(cease_ctx *ctx, cease_sqlite *db, const char *key, cease_sqlite_row_fn *fn,
                       void *arg)
{
    static const char sql[] = "SELECT d.key, d.title, e.summary, d.source, d.extra, e.body"
                              "  FROM doc AS d JOIN entry AS e ON e.rowid = d.id"
                              "  WHERE d.id = coalesce((SELECT id FROM doc WHERE key = ?1),"
                              "                        (SELECT id FROM alias WHERE key = ?1))";
    cease_sqlite_value args[] = {cease_sqlite_text(key)};
    return cease_sqlite_query(ctx, db, sql, args, 1, fn, arg);
}

cease_error store_idle(cease_ctx *ctx, cease_sqlite *db, int64_t milliseconds)
{
    static const char sql[] =
        "WITH RECURSIVE pause(more) AS (SELECT 1 UNION ALL SELECT nap(?1) FROM pause WHERE more)"
        " SELECT count(*) FROM pause";
    cease_time until = cease_time_add(cease_now(), cease_ms(milliseconds));
    cease_sqlite_value args[] = {cease_sqlite_int(until.ns)};
    return cease_sqlite_query(ctx, db, sql, args, 1, NULL, NULL);
}
