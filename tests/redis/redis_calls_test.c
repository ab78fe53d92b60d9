/*
 * Breaks the Redis adapter by letting each system call fail in turn, with TLS and without: any error is right, but the
 * call returns, and nothing is left behind.
 */
#include "calls.h"
#include "redis_tls.h"

SERVERS("redis");

static cease_error use(cease_ctx *ctx, cease_redis *db)
{
    cease_redis_reply *reply;
    cease_error e = cease_redis_command(ctx, db, NULL, "MSET a 1 b 2");
    for (int i = 0; i < 3 && e == CEASE_OK; i++)
        e = cease_redis_put(db, "INCR c");
    for (int i = 0; i < 3 && e == CEASE_OK; i++)
        e = cease_redis_get(ctx, db, NULL);
    if (e == CEASE_OK)
        e = cease_redis_command(ctx, db, &reply, "GET b");
    if (e == CEASE_OK) {
        CHECK_EQ(cease_redis_reply_int(reply), 2);
        cease_redis_reply_free(reply);
    }
    return e;
}

static cease_error scenario(cease_ctx *ctx, void *arg)
{
    cease_tls_config *trust = arg;
    cease_redis_opts opts = {.size = sizeof opts, .tls = trust};
    cease_redis *db;
    cease_error e = cease_redis_open(ctx, trust ? redis_tls_url() : redis_url(), &opts, &db);
    if (e == CEASE_OK) {
        e = use(ctx, db);
        cease_redis_close(db);
    }
    return e;
}

TEST(each_failing_system_call_is_an_error_and_leaves_nothing)
{
    warm_up();
    each_system_call_fails(scenario, NULL);
}

TEST(each_failing_system_call_under_tls_is_an_error_and_leaves_nothing)
{
    warm_up_tls();
    cease_tls_config *trust = trust_redis();
    each_system_call_fails(scenario, trust);
    cease_tls_config_unref(trust);
}
