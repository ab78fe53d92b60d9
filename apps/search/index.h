/* SPDX-License-Identifier: MIT
 *
 * index.h: keeps the stores in step with this machine's pages and packages, in the background,
 * under its own context.
 *
 * Each backend has an index: its store's file, and how far its task has come. Tasks end when
 * everything is indexed, when the context ends (nothing is lost: the next run goes on), or on
 * trouble that they cannot pass over, such as a full disk.
 */
#ifndef SEARCH_INDEX_H
#define SEARCH_INDEX_H

#include <cease/chan.h>
#include <cease/context.h>
#include <stdatomic.h>
#include <stdint.h>

#include "options.h"
#include "store.h"

enum index_state {
    INDEX_OFF,     /* nobody fills it: --no-index, or another process does                       */
    INDEX_LOOKING, /* finds out what there is to do; done and total are of the last run          */
    INDEX_FILLING, /* `done` of `total`                                                          */
    INDEX_READY,   /* everything is in                                                           */
    INDEX_STOPPED, /* the context ended                                                          */
    INDEX_FAILED,  /* see `trouble`                                                              */
};

struct index {
    const char *name; /* the backend's */
    char path[4200];  /* of the store */
    const struct options *options;

    /* Written by the index's task, read by everybody (relaxed: they are for the eye). */
    _Atomic(enum index_state) state;
    _Atomic uint64_t done;
    _Atomic uint64_t total;
    _Atomic uint64_t added; /* documents written since the start */

    /* Closed when the first manual pages are in, or none will come: apt's lists, tens of thousands of
     * packages that are not even installed, wait for it. Set before the index's task starts. */
    cease_chan *head_start;

    /* Written before the state becomes FAILED (release), read after it is (acquire). */
    struct trouble trouble;
};

struct index_status {
    enum index_state state;
    uint64_t done;
    uint64_t total;
};
struct index_status index_status(const struct index *index);
const char *index_state_name(enum index_state state);

/* What fills a store; each knows one kind of source. On an error other than the context's,
 * index->trouble has the words.
 *
 * Parks: all the time. */
cease_error index_fill_manual(cease_ctx *ctx, struct index *index, cease_sqlite *db);
cease_error index_fill_packages(cease_ctx *ctx, struct index *index, cease_sqlite *db);

/* The tools of those two: what is in the store and what must be put in. */
void index_begin(struct index *index, uint64_t done, uint64_t total);
void index_progress(struct index *index, uint64_t count);
cease_error index_fail(struct index *index, cease_error e, const char *words);
/* Removes every document whose stamp nobody has seen. */
cease_error index_sweep(cease_ctx *ctx, struct index *index, cease_sqlite *db,
                        const struct stamps *stamps);

/* All indexes, and who fills them. */
struct indexes {
    struct index of[INDEX_COUNT];
    int lock_fd; /* held by the process that fills; -1: none */
};

/* Makes the folder and the files, so that there is something to serve from; does not fill yet. On
 * an error *ret_trouble says in one sentence what is wrong, and nothing is changed that was there
 * before. */
cease_error indexes_open(cease_ctx *ctx, struct indexes *all, const struct options *options,
                         struct trouble *ret_trouble);
void indexes_close(struct indexes *all);

/* Fills all of them at once, and shows on standard error how far it is. Returns the first error
 * that is not the context's; its index then has the words. */
cease_error indexes_fill(cease_ctx *ctx, struct indexes *all);

#endif
