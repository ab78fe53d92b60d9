/* SPDX-License-Identifier: MIT
 *
 * options.h: what the command line and the environment say.
 */
#ifndef SEARCH_OPTIONS_H
#define SEARCH_OPTIONS_H

#include <cease/time.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { ROOTS_MAX = 32 };

enum { BACKEND_MANUAL, BACKEND_PACKAGES, BACKEND_COUNT };
extern const char *const backend_names[BACKEND_COUNT]; /* "manual", "packages" */

struct options {
    char listen[256];
    char data[PATH_MAX];
    char extra_root[PATH_MAX];    /* where tools/get-manpages puts pages */
    const char *roots[ROOTS_MAX]; /* folders of manual pages, in order of precedence */
    size_t root_count;
    const char *dpkg_status;
    const char *apt_lists;
    const char *log; /* "-": standard output; "off" */
    cease_dur grace;
    cease_dur limit;                 /* the longest a request may take */
    cease_dur budget[BACKEND_COUNT]; /* of each backend, within the request's time */
    long slow_ms;                    /* CEASE_SEARCH_SLOW_MS */
    bool serve;                      /* false: --index-only */
    bool index;                      /* false: --no-index */
    bool quiet;                      /* no progress */
};

/* What to do after reading them. */
enum options_next { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_USAGE };

/* Reads argv and the environment into *ret; prints --help, --version, or one sentence on stderr
 * about what is wrong. */
enum options_next options_read(int argc, char **argv, struct options *ret);

#endif
