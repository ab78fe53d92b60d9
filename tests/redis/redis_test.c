/*
 * Breaks the Redis adapter against a real server: contexts that end before, in the middle of and just when a command
 * ends; commands that block; pipelines, transactions and subscriptions that are cut; connections that the
 * server closes; a server that no longer answers; memory that runs out. After every cut the same
 * connection must answer a control command with its own reply.
 *
 * Each scenario runs on a plain thread and in a task: the ways of waiting differ.
 */
#include "redis_common.h"

#include <cease/chan.h>
#include <signal.h>
#include <stdlib.h>

SERVERS("redis");

/* ---- plain use ---- */

BOTH(command_gives_its_reply_of_any_kind)
{
    cease_redis *db = open_redis();
    cease_ctx *bg = cease_background();
    cease_redis_reply *reply;
    size_t size;
    check_ok(db, cease_redis_command(bg, db, NULL, "SET %s %b", "a key", "\0x\0", (size_t)3));
    check_ok(db, cease_redis_command(bg, db, &reply, "GET %s", "a key"));
    CHECK_EQ(memcmp(cease_redis_reply_text(reply, &size), "\0x\0", 3), 0);
    CHECK_EQ(size, 3);
    cease_redis_reply_free(reply);
    CHECK_EQ(ask_int(db, "INCRBY n 41"), 41);
    CHECK_EQ(ask_int(db, "GET n"), 41);
    check_ok(db, cease_redis_command(bg, db, &reply, "GET nothing"));
    CHECK(cease_redis_reply_null(reply));
    CHECK_STR(cease_redis_reply_text(reply, NULL), "");
    CHECK_EQ(cease_redis_reply_count(reply), 0);
    cease_redis_reply_free(reply);
    check_ok(db, cease_redis_command(bg, db, NULL, "RPUSH list one two"));
    const char *words[] = {"LRANGE", "list", "0", "-1"};
    check_ok(db, cease_redis_command_words(bg, db, &reply, words, NULL, 4));
    CHECK_EQ(cease_redis_reply_count(reply), 2);
    CHECK_STR(cease_redis_reply_text(cease_redis_reply_at(reply, 1), NULL), "two");
    CHECK(cease_redis_reply_null(cease_redis_reply_at(reply, 2)));
    cease_redis_reply_free(reply);
    CHECK_STR(cease_redis_message(db), "");
    cease_redis_close(db);
}

BOTH(errors_come_in_words)
{
    cease_redis *db = open_redis();
    cease_ctx *bg = cease_background();
    check_ok(db, cease_redis_command(bg, db, NULL, "SET s text"));
    CHECK_ERR(cease_redis_command(bg, db, NULL, "LPUSH s x"), CEASE_ESQL);
    CHECK_STR(cease_redis_message(db),
              "WRONGTYPE Operation against a key holding the wrong kind of value");
    CHECK_ERR(cease_redis_command(bg, db, NULL, "NOSUCH"), CEASE_ESQL);
    CHECK_ERR(cease_redis_command(bg, db, NULL, "SUBSCRIBE x"), CEASE_EINVAL);
    CHECK_ERR(cease_redis_command(bg, db, NULL, "select 2"), CEASE_EINVAL);
    CHECK_ERR(cease_redis_command(bg, db, NULL, " "), CEASE_EINVAL);
    CHECK_ERR(cease_redis_command(bg, db, NULL, "SET %y", 1), CEASE_EINVAL);
    CHECK_ERR(cease_redis_command_words(bg, db, NULL, NULL, NULL, 0), CEASE_EINVAL);
    CHECK_ERR(cease_redis_get(bg, db, NULL), CEASE_EINVAL);
    check_alive(db);
    cease_redis_close(db);
}

static cease_error try_open(const char *format, char *message, size_t size)
{
    char text[4300];
    redis_url();
    snprintf(text, sizeof text, format, servers_where("redis"));
    cease_redis *db = NULL;
    cease_redis_opts opts = {.size = sizeof opts, .message = message, .message_size = size};
    cease_error e = cease_redis_open(cease_background(), text, &opts, &db);
    cease_redis_close(db);
    return e;
}

BOTH(open_refused_says_why)
{
    char message[256];
    CHECK_ERR(try_open("unix:%s.not", message, sizeof message), CEASE_ENOENT);
    CHECK_STR(message, cease_strerror(CEASE_ENOENT));
    CHECK_ERR(try_open("127.0.0.1:1", message, sizeof message), CEASE_ECONNREFUSED);
    CHECK_ERR(try_open("unix://%s?db=1000", message, sizeof message), CEASE_ESQL);
    CHECK_STR(message, "ERR DB index is out of range");
    const char *malformed[] = {
        "unix:",           "unix:/x?d=1", "unix:/x?db=-1", "redis://",        "redis://a@b",
        "redis://:%%zz@b", "redis://b/x", "http://b",      "redis://:%%00@b", ""};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        CHECK_ERR(try_open(malformed[i], message, sizeof message), CEASE_EINVAL);
    CHECK_ERR(try_open("rediss://", message, sizeof message), CEASE_EINVAL);
    CHECK_ERR(try_open("rediss:host", message, sizeof message), CEASE_EINVAL);
    CHECK_OK(try_open("unix:%s", message, sizeof message));
    CHECK_STR(message, "");
}

BOTH(context_done_before_the_command_sends_nothing)
{
    cease_redis *db = open_redis(), *none = NULL;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 7, "enough");
    CHECK_ERR(cease_redis_command(ctx, db, NULL, "INCR n"), CEASE_ECANCELED);
    CHECK_STR(cease_redis_message(db), "enough");
    CHECK_ERR(cease_redis_open(ctx, redis_url(), NULL, &none), CEASE_ECANCELED);
    cease_end(stop);
    CHECK_EQ(ask_int(db, "INCR n"), 1);
    cease_redis_close(db);
}

/* ---- pipelines ---- */

BOTH(pipeline_gives_the_replies_in_order)
{
    cease_redis *db = open_redis();
    cease_ctx *bg = cease_background();
    for (int i = 0; i < 1000; i++)
        check_ok(db, cease_redis_put(db, "ECHO %d", i));
    CHECK_ERR(cease_redis_command(bg, db, NULL, "ECHO x"), CEASE_EBUSY);
    for (int i = 0; i < 1000; i++) {
        cease_redis_reply *reply;
        check_ok(db, cease_redis_get(bg, db, &reply));
        CHECK_EQ(cease_redis_reply_int(reply), i);
        cease_redis_reply_free(reply);
    }
    /* An error in the middle is that command's alone. */
    cease_redis_put(db, "SET s x");
    cease_redis_put(db, "LPUSH s x");
    cease_redis_put(db, "GET s");
    CHECK_OK(cease_redis_get(bg, db, NULL));
    CHECK_ERR(cease_redis_get(bg, db, NULL), CEASE_ESQL);
    CHECK_OK(cease_redis_get(bg, db, NULL));
    check_alive(db);
    cease_redis_close(db);
}

BOTH(pipeline_cut_in_the_middle_leaves_no_reply_behind)
{
    cease_redis *db = open_redis();
    for (int i = 0; i < 20; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        for (int j = 0; j < 50; j++)
            check_ok(db, cease_redis_put(db, "ECHO %d", j));
        for (int j = 0; j < i; j++)
            check_ok(db, cease_redis_get(ctx, db, NULL));
        cease_cancel(stop);
        CHECK_ERR(cease_redis_get(ctx, db, NULL), CEASE_ECANCELED);
        CHECK_ERR(cease_redis_get(cease_background(), db, NULL), CEASE_EINVAL); /* it is empty */
        cease_end(stop);
        check_alive(db);
    }
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    CHECK_EQ(counts.cut, 19); /* of the first one nothing had been sent */
    CHECK_EQ(counts.abandoned, 0);
    cease_redis_close(db);
}

/* ---- commands that block ---- */

struct blocking {
    cease_redis *watcher;
    cease_canceler *stop;
};

/* Cancels once the server has the other one blocked. */
static cease_error cancel_when_blocked(cease_ctx *ctx, void *arg)
{
    struct blocking *b = arg;
    (void)ctx;
    bool blocked = false;
    while (!blocked) {
        cease_redis_reply *reply;
        check_ok(b->watcher,
                 cease_redis_command(cease_background(), b->watcher, &reply, "INFO clients"));
        blocked = strstr(cease_redis_reply_text(reply, NULL), "blocked_clients:1") != NULL;
        cease_redis_reply_free(reply);
    }
    cease_cancel_cause(b->stop, 42, "enough");
    return CEASE_OK;
}

BOTH(blocked_command_ends_with_its_context_and_takes_nothing)
{
    cease_redis *db = open_redis(), *watcher = open_redis();
    const char *commands[] = {"BLPOP list 0", "XREAD BLOCK 0 STREAMS stream $", "WAIT 1 0",
                              "BZPOPMIN sorted 0"};
    for (int i = 0; i < 4; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
        struct blocking b = {watcher, stop};
        cease_group *group = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(group, cancel_when_blocked, &b));
        CHECK_ERR(cease_redis_command(ctx, db, NULL, commands[i]), CEASE_ECANCELED);
        CHECK_STR(cease_redis_message(db), "enough");
        CHECK_OK(cease_group_wait(group));
        cease_group_free(group);
        cease_end(stop);
        CHECK_EQ(ask_int(watcher, "RPUSH list x"), i + 1); /* nobody waits for it any more */
        check_alive(db);
    }
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    CHECK_EQ(counts.unblocked, 4);
    CHECK_EQ(counts.abandoned, 0);
    cease_redis_close(db);
    cease_redis_close(watcher);
}

/* An element that was taken is never lost: the call either gives it, or it is still there. */
BOTH(element_taken_in_the_moment_of_the_cancel_is_not_lost)
{
    cease_redis *db = open_redis(), *other = open_redis();
    int taken = 0;
    for (int i = 0; i < 200; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i * 5), &stop);
        cease_redis_reply *reply = NULL;
        check_ok(other, cease_redis_put(other, "RPUSH list %d", i));
        if (i % 2)
            check_ok(other, cease_redis_get(cease_background(), other, NULL));
        cease_error e = cease_redis_command(ctx, db, &reply, "BLPOP list 0");
        if (i % 2 == 0)
            check_ok(other, cease_redis_get(cease_background(), other, NULL));
        int64_t left = ask_int(other, "LLEN list");
        if (e == CEASE_OK)
            CHECK_EQ(cease_redis_reply_int(cease_redis_reply_at(reply, 1)), i);
        else
            CHECK_ERR(e, CEASE_EDEADLINE);
        CHECK_EQ(left, e == CEASE_OK ? 0 : 1);
        taken += e == CEASE_OK;
        cease_redis_reply_free(reply);
        check_ok(other, cease_redis_command(cease_background(), other, NULL, "DEL list"));
        cease_end(stop);
        check_alive(db);
    }
    CHECK(taken > 0);
    cease_redis_close(db);
    cease_redis_close(other);
}

BOTH(blocked_command_past_its_deadline_ends_with_the_deadline)
{
    cease_redis *db = open_redis();
    for (int i = 0; i < 8; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i * 300), &stop);
        CHECK_ERR(cease_redis_command(ctx, db, NULL, "BRPOP list 0"), CEASE_EDEADLINE);
        cease_end(stop);
        check_alive(db);
    }
    cease_redis_close(db);
}

/* ---- a server that is busy, or gone ---- */

/* The server sleeps: no reply within the budget. The connection goes, and the next command makes a new one. */
BOTH(reply_that_does_not_come_closes_the_connection_and_the_next_makes_one)
{
    cease_redis *db = NULL;
    cease_redis_opts opts = {.size = sizeof opts, .cancel_max = cease_ms(10)};
    CHECK_OK(cease_redis_open(cease_background(), redis_url(), &opts, &db));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    CHECK_ERR(cease_redis_command(ctx, db, NULL, "DEBUG SLEEP 1.5"), CEASE_EDEADLINE);
    cease_end(stop);
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    CHECK_EQ(counts.abandoned, 1);
    check_alive(db);
    cease_redis_close(db);
}

static void kill_clients(cease_redis *killer)
{
    check_ok(killer, cease_redis_command(cease_background(), killer, NULL,
                                         "CLIENT KILL TYPE normal SKIPME yes"));
}

BOTH(connection_closed_by_the_server_while_idle_is_made_anew)
{
    cease_redis *db = open_redis(), *killer = open_redis();
    CHECK_EQ(ask_int(db, "INCR n"), 1);
    kill_clients(killer);
    CHECK_EQ(ask_int(db, "INCR n"), 2); /* in the same database */
    struct cease_redis_counts counts;
    cease_redis_count(&counts);
    CHECK_EQ(counts.connects, 4); /* one of warm_up */
    cease_redis_close(db);
    cease_redis_close(killer);
}

BOTH(connection_lost_in_a_transaction_is_not_made_anew_before_its_end)
{
    cease_redis *db = open_redis(), *killer = open_redis();
    cease_ctx *bg = cease_background();
    const char *begins[] = {"MULTI", "WATCH n"};
    for (int i = 0; i < 2; i++) {
        check_ok(db, cease_redis_command(bg, db, NULL, begins[i]));
        kill_clients(killer);
        CHECK_ERR(cease_redis_command(bg, db, NULL, "INCR n"), CEASE_ENOTCONN);
        CHECK_ERR(cease_redis_command(bg, db, NULL, "INCR n"), CEASE_ENOTCONN);
        CHECK_STR(cease_redis_message(db), "the connection broke inside a transaction");
        CHECK_ERR(cease_redis_command(bg, db, NULL, i == 0 ? "EXEC" : "UNWATCH"), CEASE_ENOTCONN);
        CHECK_EQ(ask_int(db, "EXISTS n"), 0);
    }
    check_ok(db, cease_redis_put(db, "MULTI"));
    check_ok(db, cease_redis_put(db, "INCR n"));
    check_ok(db, cease_redis_put(db, "EXEC"));
    for (int i = 0; i < 3; i++)
        check_ok(db, cease_redis_get(bg, db, NULL));
    kill_clients(killer);
    CHECK_EQ(ask_int(db, "GET n"), 1);
    cease_redis_close(db);
    cease_redis_close(killer);
}

static cease_error kill_when_blocked(cease_ctx *ctx, void *arg)
{
    struct blocking *b = arg;
    (void)ctx;
    bool blocked = false;
    while (!blocked) {
        cease_redis_reply *reply;
        check_ok(b->watcher,
                 cease_redis_command(cease_background(), b->watcher, &reply, "INFO clients"));
        blocked = strstr(cease_redis_reply_text(reply, NULL), "blocked_clients:1") != NULL;
        cease_redis_reply_free(reply);
    }
    kill_clients(b->watcher);
    return CEASE_OK;
}

BOTH(connection_killed_in_the_middle_of_a_command_is_a_clear_error)
{
    cease_redis *db = open_redis(), *killer = open_redis();
    struct blocking b = {killer, NULL};
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, kill_when_blocked, &b));
    CHECK_ERR(cease_redis_command(cease_background(), db, NULL, "BLPOP list 0"), CEASE_ECONNRESET);
    CHECK_STR(cease_redis_message(db), cease_strerror(CEASE_ECONNRESET));
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    check_alive(db); /* by a new connection */
    cease_redis_close(db);
    cease_redis_close(killer);
}

/* ---- subscribers ---- */

static void take_message(const char *channel, const char *payload, size_t size, void *arg)
{
    snprintf(arg, 64, "%s=%.*s", channel, (int)size, payload);
}

BOTH(subscriber_gets_messages_and_loses_none_to_a_cancel)
{
    cease_redis *db = open_redis(), *other = open_redis();
    cease_ctx *bg = cease_background();
    char text[64] = "";
    CHECK_ERR(cease_redis_receive(bg, db, take_message, text), CEASE_ENOTCONN);
    check_ok(db, cease_redis_subscribe(bg, db, "news", false));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_ms(5), &stop);
    CHECK_ERR(cease_redis_receive(ctx, db, take_message, text), CEASE_EDEADLINE);
    CHECK_EQ(ask_int(other, "PUBLISH news one"), 1);
    CHECK_ERR(cease_redis_receive(ctx, db, take_message, text), CEASE_EDEADLINE);
    cease_end(stop);
    check_ok(db, cease_redis_subscribe(bg, db, "n?ws", true)); /* "one" lies in front of it */
    CHECK_OK(cease_redis_receive(bg, db, take_message, text));
    CHECK_STR(text, "news=one");
    CHECK_EQ(ask_int(other, "PUBLISH nows two"), 1);
    CHECK_OK(cease_redis_receive(bg, db, take_message, text));
    CHECK_STR(text, "nows=two");
    CHECK_ERR(cease_redis_command(bg, db, NULL, "GET x"), CEASE_EBUSY);
    check_ok(other, cease_redis_command(bg, other, NULL, "CLIENT KILL TYPE pubsub"));
    CHECK_ERR(cease_redis_receive(bg, db, take_message, text), CEASE_ECONNRESET);
    CHECK_ERR(cease_redis_receive(bg, db, take_message, text), CEASE_ENOTCONN);
    check_alive(db);
    check_ok(db, cease_redis_subscribe(bg, db, "news", false));
    CHECK_EQ(ask_int(other, "PUBLISH news three"), 1); /* closed with a message unread */
    cease_redis_close(db);
    cease_redis_close(other);
}

/* ---- shortage and misuse ---- */

static void scenario(void)
{
    cease_redis *db = NULL;
    cease_error e = cease_redis_open(cease_background(), redis_url(), NULL, &db);
    if (e != CEASE_OK) {
        CHECK_ERR(e, CEASE_ENOMEM);
        return;
    }
    cease_redis_reply *reply = NULL;
    e = cease_redis_command(cease_background(), db, &reply, "ECHO %s", "hello");
    if (e == CEASE_OK)
        CHECK_STR(cease_redis_reply_text(reply, NULL), "hello");
    else
        CHECK_ERR(e, CEASE_ENOMEM);
    cease_redis_reply_free(reply);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(100), &stop);
    e = cease_redis_command(ctx, db, NULL, "BLPOP list 0");
    CHECK(e == CEASE_ENOMEM || e == cease_err(ctx));
    cease_end(stop);
    cease_redis_close(db);
}

TEST(each_failing_allocation_is_an_error_and_leaves_nothing)
{
    warm_up();
    scenario();
    harness_mark();
    HARNESS_EACH_ALLOC_FAILS(n)
    scenario();
}

static cease_redis *used_by_message;

static void use_again(const char *channel, const char *payload, size_t size, void *arg)
{
    (void)channel;
    (void)payload;
    (void)size;
    (void)arg;
    cease_redis_command(cease_background(), used_by_message, NULL, "GET x");
}

TEST_ABORTS(connection_used_twice_at_once_aborts, "used by two tasks at once")
{
    cease_redis *db = open_redis(), *other = open_redis();
    used_by_message = db;
    CHECK_OK(cease_redis_subscribe(cease_background(), db, "again", false));
    ask_int(other, "PUBLISH again x");
    cease_redis_receive(cease_background(), db, use_again, NULL);
}

/* ---- pools ---- */

BOTH(pool_lends_the_last_given_and_keeps_its_limit)
{
    cease_ctx *bg = cease_background();
    cease_redis_pool *pool = cease_redis_pool_new(redis_url(), NULL, 2);
    cease_redis *a, *b, *c;
    CHECK_OK(cease_redis_pool_take(bg, pool, &a));
    CHECK_OK(cease_redis_pool_take(bg, pool, &b));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(bg, cease_ms(5), &stop);
    CHECK_ERR(cease_redis_pool_take(ctx, pool, &c), CEASE_EDEADLINE);
    cease_end(stop);
    cease_redis_pool_give(pool, a);
    cease_redis_pool_give(pool, b);
    CHECK_OK(cease_redis_pool_take(bg, pool, &c));
    CHECK_PTR(c, b);
    cease_redis_pool_give(pool, c);
    cease_redis_pool_give(pool, NULL);
    cease_redis_pool_free(pool);
    CHECK_ERR(cease_redis_pool_take(bg, NULL, &c), CEASE_ENOMEM);
}

BOTH(pool_gives_nothing_unfinished_to_the_next)
{
    cease_ctx *bg = cease_background();
    cease_redis_pool *pool = cease_redis_pool_new(redis_url(), NULL, 1);
    for (int way = 0; way < 3; way++) {
        cease_redis *db;
        CHECK_OK(cease_redis_pool_take(bg, pool, &db));
        if (way == 0)
            check_ok(db, cease_redis_command(bg, db, NULL, "MULTI"));
        else if (way == 1)
            check_ok(db, cease_redis_put(db, "ECHO unread"));
        else
            check_ok(db, cease_redis_subscribe(bg, db, "news", false));
        cease_redis_pool_give(pool, db);
        CHECK_OK(cease_redis_pool_take(bg, pool, &db));
        check_alive(db);
        cease_redis_pool_give(pool, db);
    }
    cease_redis_pool_free(pool);
}
