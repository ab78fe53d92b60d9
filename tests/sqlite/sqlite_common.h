/*
 * sqlite_common.h: what the programs of this folder share.
 */
#ifndef SQLITE_COMMON_H
#define SQLITE_COMMON_H

#include "both.h"
#include "harness.h"

#include <cease/context.h>
#include <cease/sqlite.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define MAYBE_UNUSED __attribute__((unused))

/* A statement that never ends by itself. */
#define ENDLESS \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

/* What SQLite sets up once and keeps is not a leak of ours. */
MAYBE_UNUSED static void warm_up(void)
{
    CHECK_EQ(sqlite3_initialize(), SQLITE_OK);
    harness_temp_dir();
    harness_mark();
}

/* Of the last call only. */
MAYBE_UNUSED static const char *temp_file(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", harness_temp_dir(), name);
    return path;
}

MAYBE_UNUSED static cease_sqlite *open_memory(void)
{
    cease_sqlite *db = NULL;
    CHECK_OK(cease_sqlite_open(cease_background(), ":memory:", NULL, &db));
    return db;
}

MAYBE_UNUSED static cease_error take_int(cease_sqlite_row *row, void *arg)
{
    *(int64_t *)arg = cease_sqlite_row_int(row, 0);
    return CEASE_OK;
}

MAYBE_UNUSED static int64_t ask_int(cease_sqlite *db, const char *sql)
{
    int64_t answer = -1;
    cease_error e = cease_sqlite_query(cease_background(), db, sql, NULL, 0, take_int, &answer);
    if (e != CEASE_OK)
        CHECK_STR(cease_sqlite_message(db), "");
    CHECK_OK(e);
    return answer;
}

/* The connection works, is at rest, and gives its own answer. */
MAYBE_UNUSED static void check_alive(cease_sqlite *db)
{
    static int64_t token;
    int64_t sent = __atomic_add_fetch(&token, 1, __ATOMIC_RELAXED), got = -1;
    cease_sqlite_value args[] = {cease_sqlite_int(sent)};
    cease_error e =
        cease_sqlite_query(cease_background(), db, "SELECT ?1", args, 1, take_int, &got);
    if (e != CEASE_OK)
        CHECK_STR(cease_sqlite_message(db), "");
    CHECK_OK(e);
    CHECK_EQ(got, sent);
}

#endif
