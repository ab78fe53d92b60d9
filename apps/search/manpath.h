/* SPDX-License-Identifier: MIT
 *
 * manpath.h: finds the manual pages below some folders.
 */
#ifndef SEARCH_MANPATH_H
#define SEARCH_MANPATH_H

#include <cease/context.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct manpage {
    char *memory;        /* what the texts below point into, but `source` and `aliases` */
    const char *key;     /* "signal.2"; in another language "signal.2@de" */
    const char *name;    /* "signal" */
    const char *section; /* "2", "3posix" */
    const char *lang;    /* ""; "de" */
    const char *path;
    char *source;       /* of a link: the real path of the page it stands for; else NULL */
    const char *target; /* of a link: the key of that page */
    char *aliases;      /* names of links to this page, separated by spaces; NULL: none */
    int64_t mtime_ns;
    int64_t size;
    int rank; /* English sections 2, 3, 7, 1: 0 to 3; other sections 4; 10 is added for other
                 languages */
};

struct manpages {
    struct manpage *data; /* pages only, in the order in which they should be indexed */
    size_t count;
    struct manpage *links; /* each with `source` set; links to nothing are left out */
    size_t link_count;
    size_t room;
};

/* Walks the folders; of two pages with the same key the one from the earlier folder counts. Links
 * (symbolic ones, and pages that only say ".so other") are followed once. Folders that are missing
 * or may not be read are passed over.
 *
 * Parks: the walk runs in the block pool.
 * Errors: CEASE_ENOMEM; the context's. */
cease_error manpages_find(cease_ctx *ctx, const char *const *roots, size_t root_count,
                          struct manpages *ret);
void manpages_deinit(struct manpages *m);

#endif
