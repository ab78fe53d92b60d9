/*
 * redis_common.h: what the programs of this folder share.
 */
#ifndef REDIS_COMMON_H
#define REDIS_COMMON_H

#include "both.h"
#include "harness.h"
#include "servers.h"

#include <cease/context.h>
#include <cease/redis.h>
#include <stdio.h>
#include <string.h>

#define MAYBE_UNUSED __attribute__((unused))

/* Ends the case as skipped without a server. Each case has a database of its own, by its process. */
MAYBE_UNUSED static const char *redis_url(void)
{
    static char text[4200];
    const char *where = servers_where("redis");
    if (!where || !*where)
        SKIP("no Redis server is installed");
    if (!*text) /* written before there are tasks */
        snprintf(text, sizeof text, "unix://%s?db=3", where);
    return text;
}

MAYBE_UNUSED static cease_redis *open_redis(void)
{
    cease_redis *db = NULL;
    char message[256] = "";
    cease_redis_opts opts = {.size = sizeof opts,
                             .cancel_max = cease_sec(10), /* the machine may be busy */
                             .message = message,
                             .message_size = sizeof message};
    cease_error e = cease_redis_open(cease_background(), redis_url(), &opts, &db);
    CHECK_STR(message, "");
    CHECK_OK(e);
    return db;
}

MAYBE_UNUSED static void check_ok(cease_redis *db, cease_error e)
{
    if (e != CEASE_OK)
        CHECK_STR(cease_redis_message(db), "");
    CHECK_OK(e);
}

/* The connection works, is at rest, and gives its own reply. */
MAYBE_UNUSED static void check_alive(cease_redis *db)
{
    static int64_t token;
    char text[32];
    cease_redis_reply *reply = NULL;
    snprintf(text, sizeof text, "token-%lld",
             (long long)__atomic_add_fetch(&token, 1, __ATOMIC_RELAXED));
    check_ok(db, cease_redis_command(cease_background(), db, &reply, "ECHO %s", text));
    CHECK_STR(cease_redis_reply_text(reply, NULL), text);
    cease_redis_reply_free(reply);
}

MAYBE_UNUSED static int64_t ask_int(cease_redis *db, const char *command)
{
    cease_redis_reply *reply = NULL;
    check_ok(db, cease_redis_command(cease_background(), db, &reply, command));
    int64_t number = cease_redis_reply_int(reply);
    cease_redis_reply_free(reply);
    return number;
}

/* Empties the database, and lets the runtime set up what it keeps. */
MAYBE_UNUSED static void warm_up(void)
{
    cease_redis *db = open_redis();
    CHECK_OK(cease_redis_command(cease_background(), db, NULL, "FLUSHDB"));
    cease_redis_close(db);
    harness_mark();
}

#endif
