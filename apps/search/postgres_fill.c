/* SPDX-License-Identifier: MIT
 *
 * postgres_fill.c: brings PostgreSQL's table in step with the embedded indexes; see postgres.h.
 *
 * A document's stamp says whether it is there already, so what was interrupted goes on where it stopped. An
 * advisory lock, which the server drops with the connection, lets one process at a time do this.
 */
#include <cease/pg.h>
#include <cease/task.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres.h"

enum { CHUNK = 64, AGAIN_S = 30 };
#define LOCK "6275632049"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS cease_search("
    "  kind text NOT NULL, key text NOT NULL, stamp text NOT NULL, rank integer NOT NULL,"
    "  name text NOT NULL, title text NOT NULL, alias text NOT NULL, summary text NOT NULL,"
    "  body text NOT NULL, source text NOT NULL, extra text NOT NULL,"
    "  words tsvector GENERATED ALWAYS AS ("
    "    setweight(to_tsvector('simple'::regconfig, name || ' ' || alias), 'A') ||"
    "    setweight(to_tsvector('english'::regconfig, summary), 'B') ||"
    "    setweight(to_tsvector('english'::regconfig, left(body, 100000)), 'D')) STORED,"
    "  PRIMARY KEY (kind, key));"
    "CREATE INDEX IF NOT EXISTS cease_search_words ON cease_search USING gin(words);";

struct filling {
    cease_pg *db;
    const char *kind;
    struct stamps there; /* in the table */
    struct document documents[CHUNK];
    struct text memory[CHUNK][EACH_EXTRA + 1]; /* what they point into */
    size_t count;
    int64_t last; /* number of the last that was looked at */
    size_t seen;  /* in this chunk */
    uint64_t put;
};

/* ---- what is there ---- */

static cease_error add_stamp(cease_pg_row *row, void *arg)
{
    return stamps_add(arg, cease_pg_row_text(row, 0, NULL), cease_pg_row_text(row, 1, NULL));
}

static cease_error read_stamps(cease_ctx *ctx, struct filling *f)
{
    cease_pg_value args[] = {cease_pg_text(f->kind)};
    return cease_pg_query(
        ctx, f->db,
        "SELECT key, stamp FROM cease_search WHERE kind = $1 ORDER BY key COLLATE \"C\"", args, 1,
        add_stamp, &f->there);
}

/* ---- what is to be there ---- */

/* Keeps a document of the store that the table has not, or has in another state. */
static cease_error look_at(cease_sqlite_row *row, void *arg)
{
    struct filling *f = arg;
    f->last = cease_sqlite_row_int(row, EACH_ID);
    f->seen++;
    const char *stamp = cease_sqlite_row_text(row, EACH_STAMP, NULL);
    struct stamp *there = stamps_find(&f->there, cease_sqlite_row_text(row, EACH_KEY, NULL));
    if (there)
        there->seen = true;
    if (there && strcmp(there->stamp, stamp) == 0)
        return CEASE_OK;
    struct text *texts = f->memory[f->count];
    bool failed = false;
    for (int i = EACH_KEY; i <= EACH_EXTRA; i++) {
        text_clear(&texts[i]);
        text_utf8(&texts[i], cease_sqlite_row_text(row, i, NULL));
        failed = failed || texts[i].failed;
    }
    f->documents[f->count++] = (struct document){.key = text_str(&texts[EACH_KEY]),
                                                 .stamp = text_str(&texts[EACH_STAMP]),
                                                 .name = text_str(&texts[EACH_NAME]),
                                                 .title = text_str(&texts[EACH_TITLE]),
                                                 .summary = text_str(&texts[EACH_SUMMARY]),
                                                 .aliases = text_str(&texts[EACH_ALIASES]),
                                                 .body = text_str(&texts[EACH_BODY]),
                                                 .source = text_str(&texts[EACH_SOURCE]),
                                                 .extra = text_str(&texts[EACH_EXTRA]),
                                                 .rank = (int)cease_sqlite_row_int(row, EACH_RANK)};
    return failed ? CEASE_ENOMEM : CEASE_OK;
}

static cease_error put_chunk(cease_ctx *ctx, cease_pg *db, void *arg)
{
    static const char sql[] =
        "INSERT INTO cease_search(kind, key, stamp, rank, name, title, alias, summary, body, "
        "source,"
        "  extra) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        "  ON CONFLICT (kind, key) DO UPDATE SET stamp = $3, rank = $4, name = $5, title = $6,"
        "  alias = $7, summary = $8, body = $9, source = $10, extra = $11";
    const struct filling *f = arg;
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < f->count && e == CEASE_OK; i++) {
        const struct document *d = &f->documents[i];
        cease_pg_value args[] = {
            cease_pg_text(f->kind),    cease_pg_text(d->key),     cease_pg_text(d->stamp),
            cease_pg_int(d->rank),     cease_pg_text(d->name),    cease_pg_text(d->title),
            cease_pg_text(d->aliases), cease_pg_text(d->summary), cease_pg_text(d->body),
            cease_pg_text(d->source),  cease_pg_text(d->extra)};
        e = cease_pg_query(ctx, db, sql, args, sizeof args / sizeof *args, NULL, NULL);
    }
    return e;
}

static cease_error remove_gone(cease_ctx *ctx, cease_pg *db, void *arg)
{
    const struct filling *f = arg;
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < f->there.count && e == CEASE_OK; i++) {
        cease_pg_value args[] = {cease_pg_text(f->kind), cease_pg_text(f->there.data[i].key)};
        if (!f->there.data[i].seen)
            e = cease_pg_query(ctx, db, "DELETE FROM cease_search WHERE kind = $1 AND key = $2",
                               args, 2, NULL, NULL);
    }
    return e;
}

/* `complete`: the store has everything, so what is not in it is gone. */
static cease_error fill_one(cease_ctx *ctx, struct filling *f, cease_sqlite *store, bool complete)
{
    cease_error e = read_stamps(ctx, f);
    for (f->last = 0, f->seen = 1; e == CEASE_OK && f->seen > 0;) {
        f->seen = f->count = 0;
        e = store_each(ctx, store, f->last, CHUNK, look_at, f);
        if (e == CEASE_OK && f->count > 0)
            e = cease_pg_transaction(ctx, f->db, NULL, put_chunk, f);
        f->put += e == CEASE_OK ? f->count : 0;
    }
    if (e == CEASE_OK && complete)
        e = cease_pg_transaction(ctx, f->db, NULL, remove_gone, f);
    stamps_deinit(&f->there);
    return e;
}

/* ---- all of it ---- */

static cease_error read_bool(cease_pg_row *row, void *arg)
{
    *(bool *)arg = cease_pg_row_bool(row, 0);
    return CEASE_OK;
}

/* Makes the table, and takes the lock unless somebody has it. */
static cease_error prepare(cease_ctx *ctx, cease_pg *db, bool *ret_locked)
{
    cease_error e = cease_pg_query(ctx, db, "SELECT pg_try_advisory_lock(" LOCK ")", NULL, 0,
                                   read_bool, ret_locked);
    return e == CEASE_OK && *ret_locked ? cease_pg_exec(ctx, db, schema) : e;
}

static cease_error fill_all(cease_ctx *ctx, struct filling *f, const struct indexes *indexes,
                            struct trouble *ret_trouble)
{
    bool locked = false;
    cease_error e = prepare(ctx, f->db, &locked);
    for (int i = 0; i < INDEX_COUNT && e == CEASE_OK && locked; i++) {
        const struct index *index = &indexes->of[i];
        cease_sqlite *store;
        bool complete = index_status(index).state == INDEX_READY;
        e = store_open_reader(ctx, index->path, &store, ret_trouble);
        if (e != CEASE_OK)
            return e;
        f->kind = index->name;
        e = fill_one(ctx, f, store, complete);
        cease_sqlite_close(store);
    }
    if (e != CEASE_OK)
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "%s", cease_pg_message(f->db));
    return e;
}

static cease_error fill_once(cease_ctx *ctx, const char *url, const struct indexes *indexes,
                             struct trouble *ret_trouble)
{
    cease_pg_opts opts = {.size = sizeof opts,
                          .message = ret_trouble->text,
                          .message_size = sizeof ret_trouble->text};
    struct filling *f = calloc(1, sizeof *f);
    cease_error e = f ? cease_pg_open(ctx, url, &opts, &f->db) : CEASE_ENOMEM;
    if (e == CEASE_OK) {
        e = fill_all(ctx, f, indexes, ret_trouble);
        cease_pg_close(f->db);
        if (e == CEASE_OK && f->put > 0 && !indexes->of[0].options->quiet)
            fprintf(stderr, "cease-search: PostgreSQL: %" PRIu64 " documents new\n", f->put);
        for (size_t i = 0; i < CHUNK; i++)
            for (int j = EACH_KEY; j <= EACH_EXTRA; j++)
                text_deinit(&f->memory[i][j]);
    }
    free(f);
    return e;
}

cease_error postgres_fill(cease_ctx *ctx, const char *url, const struct indexes *indexes)
{
    for (;;) {
        struct trouble trouble = {{0}};
        cease_error e = fill_once(ctx, url, indexes, &trouble);
        if (e == CEASE_OK || cease_done(ctx))
            return cease_done(ctx) ? cease_err(ctx) : CEASE_OK;
        fprintf(stderr, "cease-search: PostgreSQL: %s; trying again in %d s\n",
                trouble.text[0] ? trouble.text : cease_strerror(e), AGAIN_S);
        e = cease_sleep(ctx, cease_sec(AGAIN_S));
        if (e != CEASE_OK)
            return e;
    }
}
