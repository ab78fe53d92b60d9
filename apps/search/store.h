/* SPDX-License-Identifier: MIT
 *
 * store.h: one searchable collection of documents in one SQLite file. All SQL of the program is in
 * store.c.
 *
 * A store has one writer, the indexing task, and any number of readers, one connection each; the
 * file is in WAL mode, so that they do not wait for each other and kill -9 at any moment leaves a
 * whole, older state.
 *
 * A document's key is what stands in its URL ("signal.2", "bash"); its stamp tells whether the
 * indexed state is that of the source, which is how an interrupted run goes on where it stopped.
 * Aliases are further keys.
 */
#ifndef SEARCH_STORE_H
#define SEARCH_STORE_H

#include <cease/sqlite.h>

#include "text.h"

struct document {
    const char *key;
    const char *stamp;
    const char *name;    /* what an exact query is compared with */
    const char *title;   /* shown: "signal(2)" */
    const char *summary; /* one line */
    const char *aliases; /* other names, separated by spaces: found like the name */
    const char *body;
    const char *source; /* where the page is rendered from; "" when the body is all there is */
    const char *extra;  /* lines "Name: value", shown with the document */
    int rank;           /* 0 is shown first among equals; 10 and more: not English */
};

/* Something that went wrong, in words for the user. */
struct trouble {
    char text[512];
};

/* Opens for the writer: makes the file and its tables when they are missing, and refuses what is no
 * store of ours. */
cease_error store_open(cease_ctx *ctx, const char *path, cease_sqlite **ret_db,
                       struct trouble *ret_trouble);
/* Opens for a reader; the file must exist. */
cease_error store_open_reader(cease_ctx *ctx, const char *path, cease_sqlite **ret_db,
                              struct trouble *ret_trouble);

/* Adds documents, or replaces those with the same key, in one transaction: all or none. */
cease_error store_put(cease_ctx *ctx, cease_sqlite *db, const struct document *documents,
                      size_t count);
/* Makes `alias` another key of the document `key`; does nothing when there is no such document. */
struct store_alias {
    const char *alias;
    const char *key;
};
cease_error store_put_aliases(cease_ctx *ctx, cease_sqlite *db, const struct store_alias *aliases,
                              size_t count);
/* Removes documents, in one transaction. */
cease_error store_remove(cease_ctx *ctx, cease_sqlite *db, const char *const *keys, size_t count);

/* The stamps of all documents, sorted by key. */
struct stamp {
    char *key; /* the stamp follows its NUL */
    const char *stamp;
    bool seen; /* for the caller: still there at the source */
};
struct stamps {
    struct stamp *data;
    size_t count;
    size_t room;
};
cease_error store_stamps(cease_ctx *ctx, cease_sqlite *db, struct stamps *ret_stamps);
/* Adds the next in order of key. */
cease_error stamps_add(struct stamps *s, const char *key, const char *stamp);
struct stamp *stamps_find(const struct stamps *s, const char *key); /* NULL: not there */
void stamps_deinit(struct stamps *s);

cease_error store_count(cease_ctx *ctx, cease_sqlite *db, int64_t *ret_count);

/* Searches. The row function's columns: */
enum {
    FOUND_KEY,
    FOUND_TITLE,
    FOUND_SUMMARY, /* hits between MARK_BEGIN and MARK_END, here and in the snippet */
    FOUND_SNIPPET,
    FOUND_EXACT, /* 1: the query is the document's name */
};
/* `match` is an FTS5 expression, `exact` the name that comes first. */
cease_error store_search(cease_ctx *ctx, cease_sqlite *db, const char *match, const char *exact,
                         int limit, cease_sqlite_row_fn *fn, void *arg);

/* Up to `limit` documents in the order of their numbers, which are above `after`. Columns: */
enum {
    EACH_ID,
    EACH_KEY,
    EACH_STAMP,
    EACH_RANK,
    EACH_NAME,
    EACH_TITLE,
    EACH_ALIASES,
    EACH_SUMMARY,
    EACH_BODY,
    EACH_SOURCE,
    EACH_EXTRA
};
cease_error store_each(cease_ctx *ctx, cease_sqlite *db, int64_t after, int limit,
                       cease_sqlite_row_fn *fn, void *arg);

/* One document by key or alias, at most one row. Columns: */
enum { READ_KEY, READ_TITLE, READ_SUMMARY, READ_SOURCE, READ_EXTRA, READ_BODY };
cease_error store_read(cease_ctx *ctx, cease_sqlite *db, const char *key, cease_sqlite_row_fn *fn,
                       void *arg);

/* Keeps SQLite's virtual machine busy for so long, for tests and demonstrations: it can be
 * interrupted like any query. */
cease_error store_idle(cease_ctx *ctx, cease_sqlite *db, int64_t milliseconds);

#endif
