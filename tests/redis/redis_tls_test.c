/*
 * Breaks Redis over TLS: certificates that nobody trusts, a server without TLS, replies of many records, commands
 * that are cut, a connection that is killed. What TLS does not change is in redis_test.c.
 */
#include "redis_tls.h"

#include <cease/net.h>

SERVERS("redis");

#define warm_up warm_up_tls /* of BOTH */

BOTH(tls_connection_runs_commands_of_any_size)
{
    enum { SIZE = 300000 };
    cease_tls_config *trust = trust_redis();
    cease_redis *db = open_redis_tls(trust);
    cease_tls_config_unref(trust); /* the connection has its share */
    cease_ctx *bg = cease_background();
    char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 % 251);
    for (int i = 0; i < 20; i++)
        check_ok(db, cease_redis_put(db, "ECHO %b", bytes, (size_t)SIZE));
    for (int i = 0; i < 20; i++) {
        cease_redis_reply *reply;
        size_t size;
        check_ok(db, cease_redis_get(bg, db, &reply));
        const char *text = cease_redis_reply_text(reply, &size);
        CHECK_EQ(size, SIZE);
        CHECK(memcmp(text, bytes, SIZE) == 0);
        cease_redis_reply_free(reply);
    }
    CHECK_EQ(ask_int(db, "INCR n"), 1);
    free(bytes);
    cease_redis_close(db);
}

/* CLIENT UNBLOCK goes over a connection of its own, over TLS as well. */
BOTH(tls_command_that_is_cut_leaves_no_reply_behind)
{
    cease_tls_config *trust = trust_redis();
    cease_redis *db = open_redis_tls(trust);
    for (int i = 0; i < 20; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i * 200), &stop);
        CHECK_ERR(cease_redis_command(ctx, db, NULL, "BRPOP list 0"), CEASE_EDEADLINE);
        cease_end(stop);
        check_alive(db);
    }
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    CHECK_EQ(counts.abandoned, 0);
    cease_redis_close(db);
    cease_tls_config_unref(trust);
}

BOTH(tls_connection_closed_by_the_server_is_made_anew)
{
    cease_tls_config *trust = trust_redis();
    cease_redis *db = open_redis_tls(trust), *killer = open_redis_tls(trust);
    CHECK_EQ(ask_int(db, "INCR n"), 1);
    check_ok(killer, cease_redis_command(cease_background(), killer, NULL,
                                         "CLIENT KILL TYPE normal SKIPME yes"));
    CHECK_EQ(ask_int(db, "INCR n"), 2);
    cease_redis_close(db);
    cease_redis_close(killer);
    cease_tls_config_unref(trust);
}

static cease_error kill_when_blocked(cease_ctx *ctx, void *arg)
{
    cease_redis *killer = arg;
    bool blocked = false;
    while (!blocked) {
        cease_redis_reply *reply;
        check_ok(killer, cease_redis_command(ctx, killer, &reply, "INFO clients"));
        blocked = strstr(cease_redis_reply_text(reply, NULL), "blocked_clients:1") != NULL;
        cease_redis_reply_free(reply);
    }
    check_ok(killer, cease_redis_command(ctx, killer, NULL, "CLIENT KILL TYPE normal SKIPME yes"));
    return CEASE_OK;
}

BOTH(tls_connection_killed_in_the_middle_of_a_command_is_a_clear_error)
{
    cease_tls_config *trust = trust_redis();
    cease_redis *db = open_redis_tls(trust), *killer = open_redis_tls(trust);
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, kill_when_blocked, killer));
    CHECK_ERR(cease_redis_command(cease_background(), db, NULL, "BLPOP list 0"), CEASE_ECONNRESET);
    CHECK_STR(cease_redis_message(db), cease_strerror(CEASE_ECONNRESET));
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    check_alive(db); /* by a new connection */
    cease_redis_close(db);
    cease_redis_close(killer);
    cease_tls_config_unref(trust);
}

BOTH(tls_pool_without_a_config_trusts_the_system)
{
    cease_redis_pool *pool = cease_redis_pool_new(redis_tls_url(), NULL, 1);
    cease_redis *db;
    CHECK(pool != NULL);
    CHECK_ERR(cease_redis_pool_take(cease_background(), pool, &db), CEASE_ETLS);
    cease_redis_pool_free(pool);
}

static cease_error open_untrusting(const char *url, char *message, size_t size)
{
    cease_redis *db = NULL;
    cease_redis_opts opts = {.size = sizeof opts, .message = message, .message_size = size};
    cease_error e = cease_redis_open(cease_background(), url, &opts, &db);
    cease_redis_close(db);
    return e;
}

static cease_error answer_in_the_clear(cease_ctx *ctx, void *arg)
{
    char bytes[2000];
    size_t count;
    cease_conn *conn;
    CHECK_OK(cease_listener_accept(ctx, arg, &conn));
    CHECK_OK(cease_conn_read(ctx, conn, bytes, sizeof bytes, &count));
    CHECK_OK(cease_conn_write(ctx, conn, "-ERR unknown command\r\n", 22, NULL));
    cease_conn_close(conn);
    return CEASE_OK;
}

BOTH(tls_open_refused_says_why)
{
    char message[256], address[CEASE_ADDRESS_SIZE], url[200];
    CHECK_ERR(open_untrusting(redis_tls_url(), message, sizeof message), CEASE_ETLS);
    CHECK(strstr(message, "certificate") != NULL);
    cease_listener *listener;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &listener));
    cease_listener_address(listener, address, sizeof address);
    snprintf(url, sizeof url, "rediss://user:secret@%s/2", address);
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, answer_in_the_clear, listener));
    CHECK_ERR(open_untrusting(url, message, sizeof message), CEASE_ETLS);
    CHECK(strstr(message, "wrong version number") != NULL);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_listener_close(listener);
}

/* Whom the server trusts is its own certificate, which so serves as the client's, too. */
BOTH(tls_server_that_asks_who_we_are_is_told)
{
    char root[4300], key[4300], message[256];
    beside_redis("root.crt", root);
    beside_redis("server.key", key);
    cease_ctx *bg = cease_background();
    cease_redis *local = open_redis(), *db = NULL;
    check_ok(local,
             cease_redis_command(bg, local, NULL,
                                 "CONFIG SET tls-ca-cert-file %s tls-auth-clients yes", root));
    cease_tls_client_opts who = {
        .size = sizeof who, .ca_file = root, .certificate_file = root, .key_file = key};
    cease_tls_config *nobody = trust_redis(), *somebody = cease_tls_client_new(&who);
    CHECK(somebody != NULL);
    cease_redis_opts opts = {
        .size = sizeof opts, .message = message, .message_size = sizeof message, .tls = nobody};
    CHECK_ERR(cease_redis_open(bg, redis_tls_url(), &opts, &db), CEASE_ETLS);
    CHECK(strstr(message, "certificate required") != NULL);
    db = open_redis_tls(somebody);
    check_alive(db);
    cease_redis_close(db);
    cease_tls_config_unref(nobody);
    cease_tls_config_unref(somebody);
    check_ok(local, cease_redis_command(bg, local, NULL, "CONFIG SET tls-auth-clients no"));
    cease_redis_close(local);
}
