/* SPDX-License-Identifier: MIT
 *
 * subscribe.c: subscribers.
 *
 * A subscriber's connection has no commands in flight: Redis sends messages as they come, and confirms
 * subscriptions in between. Messages that come before a confirmation are kept for cease_redis_receive. There is
 * nothing to cut: a wait that ends leaves the stream where it is, a half message included, which stays in
 * hiredis's reader.
 */
#include "connection.h"

#include <stdlib.h>
#include <string.h>

static bool is_word(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, word) == 0;
}

/* "message", channel, payload; or "pmessage", pattern, channel, payload. */
static bool is_message(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return false;
    return is_word(reply->element[0], "message") ||
           (is_word(reply->element[0], "pmessage") && reply->elements == 4);
}

static cease_error keep(cease_redis *db, redisReply *take_reply)
{
    redisReply **more = realloc(db->kept, (db->kept_count + 1) * sizeof(redisReply *));
    if (!more) {
        freeReplyObject(take_reply);
        return CEASE_ENOMEM;
    }
    db->kept = more;
    db->kept[db->kept_count++] = take_reply;
    return CEASE_OK;
}

/* Until the confirmation. */
static cease_error confirm(cease_ctx *ctx, cease_redis *db)
{
    for (;;) {
        redisReply *reply;
        cease_error e = ceasei_redis_link_read(ctx, &db->link, &reply);
        if (e != CEASE_OK)
            return e;
        if (is_message(reply)) {
            e = keep(db, reply);
            if (e != CEASE_OK)
                return e;
            continue;
        }
        if (reply->type == REDIS_REPLY_ERROR)
            e = ceasei_redis_error_of_reply(reply);
        freeReplyObject(reply);
        return e;
    }
}

static cease_error subscribe(cease_ctx *ctx, cease_redis *db, const char *channel, bool pattern)
{
    if (cease_done(ctx))
        return cease_err(ctx);
    if (db->pending > 0 || db->tie != CEASEI_REDIS_FREE)
        return CEASE_EBUSY;
    cease_error e = ceasei_redis_connect(ctx, db);
    if (e != CEASE_OK)
        return e;
    char *data = NULL;
    int size = redisFormatCommand(&data, pattern ? "PSUBSCRIBE %s" : "SUBSCRIBE %s", channel);
    e = size < 0 ? CEASE_ENOMEM : ceasei_redis_link_write(ctx, &db->link, data, (size_t)size, NULL);
    if (size >= 0)
        redisFreeCommand(data);
    db->subscriber = true;
    if (e == CEASE_OK)
        e = confirm(ctx, db);
    if (e != CEASE_OK)
        ceasei_redis_drop(db); /* nobody knows what it is subscribed to */
    return e;
}

cease_error cease_redis_subscribe(cease_ctx *ctx, cease_redis *db, const char *channel,
                                  bool pattern)
{
    ceasei_redis_claim(db);
    cease_error e = ceasei_redis_say(db, ctx, subscribe(ctx, db, channel, pattern));
    ceasei_redis_release(db);
    return e;
}

/* The next message, from those that were kept or from the server. */
static cease_error next_message(cease_ctx *ctx, cease_redis *db, redisReply **ret_reply)
{
    if (cease_done(ctx))
        return cease_err(ctx);
    if (!db->subscriber)
        return CEASE_ENOTCONN;
    if (db->kept_count > 0) {
        *ret_reply = db->kept[0];
        db->kept_count--;
        memmove(db->kept, db->kept + 1, db->kept_count * sizeof(redisReply *));
        return CEASE_OK;
    }
    for (;;) {
        redisReply *reply;
        cease_error e = ceasei_redis_link_read(ctx, &db->link, &reply);
        if (e != CEASE_OK) {
            if (!cease_done(ctx) || e != cease_err(ctx))
                ceasei_redis_drop(db);
            return e;
        }
        if (is_message(reply)) {
            *ret_reply = reply;
            return CEASE_OK;
        }
        freeReplyObject(reply);
    }
}

cease_error cease_redis_receive(cease_ctx *ctx, cease_redis *db, cease_redis_message_fn *fn,
                                void *arg)
{
    ceasei_redis_claim(db);
    redisReply *reply = NULL;
    cease_error e = ceasei_redis_say(db, ctx, next_message(ctx, db, &reply));
    if (e == CEASE_OK) {
        const redisReply *channel = reply->element[reply->elements - 2];
        const redisReply *payload = reply->element[reply->elements - 1];
        fn(cease_redis_reply_text(channel, NULL), cease_redis_reply_text(payload, NULL),
           payload->len, arg);
        freeReplyObject(reply);
    }
    ceasei_redis_release(db);
    return e;
}
