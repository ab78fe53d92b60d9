/* SPDX-License-Identifier: MIT
 *
 * connection.h: what the files of libcease-sqlite share.
 */
#ifndef CEASE_SQLITE_CONNECTION_H
#define CEASE_SQLITE_CONNECTION_H

#include "base/lock.h"

#include <cease/sqlite.h>
#include <sqlite3.h>
#include <stdbool.h>

enum {
    CEASEI_SQLITE_CACHE_MAX = 16, /* statements kept per connection */
    CEASEI_SQLITE_MESSAGE_SIZE = 512,
};

struct ceasei_sqlite_cached {
    char *sql; /* NULL: free */
    sqlite3_stmt *stmt;
    uint64_t used; /* the connection's `uses` at the last use: the smallest is replaced */
};

struct cease_sqlite {
    sqlite3 *handle;
    cease_dur busy_max; /* set at birth */

    struct ceasei_lock interrupt_lock;
    bool open_to_interrupt; /* under interrupt_lock */

    uint32_t
        in_use; /* atomic: 1 while a call is under way; acquired by claim, released by release */

    /* The rest belongs to the call under way. */
    cease_ctx *ctx; /* NULL outside of work */
    cease_time busy_since;
    bool broken; /* a rollback failed: nothing may be run any more */
    int code;
    uint64_t uses;
    struct ceasei_sqlite_cached cache[CEASEI_SQLITE_CACHE_MAX];
    char message[CEASEI_SQLITE_MESSAGE_SIZE];
};

/* sqlite.c */
void ceasei_sqlite_claim(cease_sqlite *db);
void ceasei_sqlite_release(cease_sqlite *db);
/* cease_sqlite_run for who has claimed the connection. */
cease_error ceasei_sqlite_run(cease_ctx *ctx, cease_sqlite *db, cease_sqlite_fn *fn, void *arg);
/* Puts what the call ends with into words. */
void ceasei_sqlite_say(cease_sqlite *db, const char *text);
/* Whether the next user may have it: it works, and no transaction is open. For who owns it at this time. */
bool ceasei_sqlite_is_at_rest(const cease_sqlite *db);
/* The context of the call under way; a root when there is none. On the thread of its job. */
cease_ctx *ceasei_sqlite_ctx(const cease_sqlite *db);

/* statement.c: finalizes what is kept. */
void ceasei_sqlite_forget(cease_sqlite *db);

#endif
