/* SPDX-License-Identifier: MIT
 *
 * backend.h: what answers a query: the embedded indexes, and other instances of this program.
 *
 * The one guarantee of an implementation: when `search` or `read` returns, nothing that it started
 * runs any more, and nobody touches its memory. Both obey their context, in which the user's
 * address travels (userip.h).
 */
#ifndef SEARCH_BACKEND_H
#define SEARCH_BACKEND_H

#include <cease/context.h>

#include "options.h"
#include "store.h"

enum { HITS_MAX = 20 };

struct hit {
    char *memory; /* what the texts point into */
    const char *key;
    const char *title;
    const char *summary; /* hits between MARK_BEGIN and MARK_END, here and in the snippet */
    const char *snippet;
    bool exact; /* the query is its name */
};

struct hits {
    struct hit data[HITS_MAX];
    size_t count;
    bool cached; /* they were found before */
};
void hits_deinit(struct hits *hits);
/* Copies the texts. Errors: CEASE_ENOMEM; CEASE_EOF: there are enough. */
cease_error hits_add(struct hits *hits, const char *key, const char *title, const char *summary,
                     const char *snippet, bool exact);

struct page {
    struct text key;
    struct text title;
    struct text summary;
    struct text extra; /* lines "Name: value" */
    struct text body;  /* plain text, if there is no html */
    char *html;        /* a fragment with harmless tags only; NULL: none */
};
void page_deinit(struct page *page);

/* A page on its way out of a database. */
struct found {
    struct page *page;
    struct text source; /* the file that it is rendered from; empty: none */
    bool any;
};
/* Takes the columns of a row, in the order of store.h's READ_…. Errors: CEASE_ENOMEM. */
cease_error found_row(struct found *f, const char *const texts[READ_BODY + 1]);
/* Renders the page where this machine has its source; a source that is gone, or a missing mandoc, leaves the text
 * that is indexed. Frees what f holds, in any case.
 *
 * Parks. Errors: CEASE_ENOENT: there was no row; the context's. */
cease_error found_finish(cease_ctx *ctx, struct found *f);

struct backend {
    const char *name;  /* in URLs and JSON */
    const char *title; /* for people */
    bool relays;       /* its documents are another's backends': their keys are "backend/key" */
    void *self;

    /* Parks. Errors: the context's; anything else, with its words in ret_trouble. ret_hits is the
     * caller's also on errors. */
    cease_error (*search)(cease_ctx *ctx, void *self, const char *query, struct hits *ret_hits,
                          struct trouble *ret_trouble);
    /* The same for one document. CEASE_ENOENT: there is none with this key. */
    cease_error (*read)(cease_ctx *ctx, void *self, const char *key, struct page *ret_page,
                        struct trouble *ret_trouble);
    void (*free)(void *self);
};

/* All that are asked. */
struct backends {
    struct backend of[BACKENDS_MAX];
    cease_dur budget[BACKENDS_MAX]; /* the longest each may take; 0: the request's time */
    size_t count;
};
const struct backend *backends_find(const struct backends *all, const char *name); /* or NULL */

/* A backend on a store, with up to `readers` connections, opened when they are first needed.
 * `slow_ms` makes each of its queries so much slower. `path` is borrowed. NULL self: out of memory.
 */
struct backend embedded_backend(const char *name, const char *title, const char *path,
                                size_t readers, long slow_ms);

/* The FTS5 expression for what a user typed: all words, each as a phrase (a word such as
 * pthread_create is two tokens); with `any`, one of them is enough, and the beginning of a word
 * counts. Empty when there is no word. */
void embedded_expression(struct text *t, const char *query, bool any);

#endif
