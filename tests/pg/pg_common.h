/*
 * pg_common.h: what the programs of this folder share.
 */
#ifndef PG_COMMON_H
#define PG_COMMON_H

#include "both.h"
#include "harness.h"
#include "servers.h"

#include <cease/context.h>
#include <cease/pg.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define MAYBE_UNUSED __attribute__((unused))

/* Ends the case as skipped without a server. */
MAYBE_UNUSED static const char *conninfo(void)
{
    static char text[4200];
    const char *where = servers_where("pg");
    if (!where || !*where)
        SKIP("no PostgreSQL server is installed");
    if (!*text) /* written before there are tasks: by warm_up */
        snprintf(text, sizeof text, "host=%s user=cease dbname=cease", where);
    return text;
}

MAYBE_UNUSED static cease_pg *open_pg(void)
{
    cease_pg *db = NULL;
    char message[256] = "";
    cease_pg_opts opts = {.size = sizeof opts, .message = message, .message_size = sizeof message};
    cease_error e = cease_pg_open(cease_background(), conninfo(), &opts, &db);
    CHECK_STR(message, "");
    CHECK_OK(e);
    return db;
}

/* What OpenSSL and the resolver set up once and keep is not a leak of ours. The password needs OpenSSL. */
MAYBE_UNUSED static void warm_up(void)
{
    char text[4300];
    cease_pg *db = NULL;
    snprintf(text, sizeof text, "%s user=secret password='open sesame'", conninfo());
    CHECK_OK(cease_pg_open(cease_background(), text, NULL, &db));
    cease_pg_close(db);
    harness_mark();
}

MAYBE_UNUSED static cease_error take_int(cease_pg_row *row, void *arg)
{
    *(int64_t *)arg = cease_pg_row_int(row, 0);
    return CEASE_OK;
}

MAYBE_UNUSED static int64_t ask_int(cease_pg *db, const char *sql)
{
    int64_t answer = -1;
    cease_error e = cease_pg_query(cease_background(), db, sql, NULL, 0, take_int, &answer);
    if (e != CEASE_OK)
        CHECK_STR(cease_pg_message(db), "");
    CHECK_OK(e);
    return answer;
}

/* The connection works, is at rest, and gives its own answer. */
MAYBE_UNUSED static void check_alive(cease_pg *db)
{
    static int64_t token;
    int64_t sent = __atomic_add_fetch(&token, 1, __ATOMIC_RELAXED), got = -1;
    cease_pg_value args[] = {cease_pg_int(sent)};
    cease_error e =
        cease_pg_query(cease_background(), db, "SELECT $1::bigint", args, 1, take_int, &got);
    if (e != CEASE_OK)
        CHECK_STR(cease_pg_message(db), "");
    CHECK_OK(e);
    CHECK_EQ(got, sent);
}

#endif
