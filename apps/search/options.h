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

enum { ROOTS_MAX = 32, BACKENDS_MAX = 16, REPLICAS_MAX = 8, NAME_MAX_SIZE = 32 };

/* What is indexed here, each of them a backend. */
enum { INDEX_MANUAL, INDEX_PACKAGES, INDEX_COUNT };
extern const char *const index_names[INDEX_COUNT]; /* "manual", "packages" */

/* Another instance of this program. */
struct instance {
    char name[NAME_MAX_SIZE]; /* in URLs and JSON: a-z, 0-9, "-" */
    const char *title;        /* for people: the name that was given, or host and port */
    const char *url;          /* "http://host:port", without a slash at its end */
};

struct budget {
    const char *name; /* ends at '=' */
    cease_dur time;
};

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
    cease_dur limit;                     /* the longest a request may take */
    struct budget budgets[BACKENDS_MAX]; /* of backends, within the request's time */
    size_t budget_count;
    struct instance instances[BACKENDS_MAX]; /* asked beside the indexes, each a backend */
    size_t instance_count;
    const char *replicas[REPLICAS_MAX]; /* together one backend: the first answer counts */
    size_t replica_count;
    const char *db;      /* PostgreSQL's connection string; NULL: none */
    const char *cache;   /* Redis's URL; NULL: none */
    cease_dur cache_ttl; /* how long results are kept there */
    cease_dur hedge;     /* how long one replica may take before the next is asked, too */
    long slow_ms;        /* CEASE_SEARCH_SLOW_MS */
    bool serve;          /* false: --index-only */
    bool index;          /* false: --no-index */
    bool quiet;          /* no progress */
};

/* What to do after reading them. */
enum options_next { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_USAGE };

/* The longest that the backend of this name may take; 0: the request's time. */
cease_dur options_budget(const struct options *o, const char *name);

/* Reads argv and the environment into *ret; prints --help, --version, or one sentence on stderr
 * about what is wrong. */
enum options_next options_read(int argc, char **argv, struct options *ret);

#endif
