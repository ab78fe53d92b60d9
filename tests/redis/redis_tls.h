/*
 * redis_tls.h: the same server over TLS.
 */
#ifndef REDIS_TLS_H
#define REDIS_TLS_H

#include "redis_common.h"

#include <cease/tls.h>
#include <stdlib.h>

/* Ends the case as skipped without a server that has TLS. */
MAYBE_UNUSED static const char *redis_tls_url(void)
{
    static char text[100];
    redis_url();
    const char *where = getenv("CEASE_TEST_REDIS_TLS");
    if (!where || !*where)
        SKIP("Redis or openssl is missing, or has no TLS");
    if (!*text) /* written before there are tasks */
        snprintf(text, sizeof text, "rediss://%s/3", where);
    return text;
}

/* A file beside the server's socket. */
MAYBE_UNUSED static void beside_redis(const char *name, char path[4300])
{
    const char *where = servers_where("redis");
    snprintf(path, 4300, "%.*s/%s", (int)(strrchr(where, '/') - where), where, name);
}

/* Who trusts the server's certificate. */
MAYBE_UNUSED static cease_tls_config *trust_redis(void)
{
    char root[4300];
    beside_redis("root.crt", root);
    cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = root};
    cease_tls_config *trust = cease_tls_client_new(&opts);
    CHECK(trust != NULL);
    return trust;
}

MAYBE_UNUSED static cease_redis *open_redis_tls(cease_tls_config *trust)
{
    cease_redis *db = NULL;
    char message[256] = "";
    cease_redis_opts opts = {.size = sizeof opts,
                             .cancel_max = cease_sec(10),
                             .message = message,
                             .message_size = sizeof message,
                             .tls = trust};
    cease_error e = cease_redis_open(cease_background(), redis_tls_url(), &opts, &db);
    CHECK_STR(message, "");
    CHECK_OK(e);
    return db;
}

/* Empties the database, and lets OpenSSL set up what it keeps: of a handshake, of a session that is taken up again, of one
 * that fails because the system does not trust the server. */
MAYBE_UNUSED static void warm_up_tls(void)
{
    cease_tls_config *trust = trust_redis();
    for (int i = 0; i < 2; i++) {
        cease_redis *db = open_redis_tls(trust), *other = open_redis_tls(trust);
        check_ok(db, cease_redis_command(cease_background(), db, NULL, "FLUSHDB"));
        cease_redis_close(db);
        cease_redis_close(other);
    }
    cease_tls_config_unref(trust);
    cease_redis *db = NULL;
    CHECK_ERR(cease_redis_open(cease_background(), redis_tls_url(), NULL, &db), CEASE_ETLS);
    harness_mark();
}

#endif
