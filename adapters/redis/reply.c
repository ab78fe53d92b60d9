/* SPDX-License-Identifier: MIT
 *
 * reply.c: looking into replies.
 */
#include "connection.h"

#include <stdlib.h>

static const redisReply nil = {.type = REDIS_REPLY_NIL};

void cease_redis_reply_free(cease_redis_reply *take_reply)
{
    freeReplyObject(take_reply);
}

const char *cease_redis_reply_text(const cease_redis_reply *reply, size_t *ret_size)
{
    bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
                reply->type == REDIS_REPLY_ERROR;
    if (ret_size)
        *ret_size = text ? reply->len : 0;
    return text ? reply->str : "";
}

int64_t cease_redis_reply_int(const cease_redis_reply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    return strtoll(cease_redis_reply_text(reply, NULL), NULL, 10);
}

bool cease_redis_reply_null(const cease_redis_reply *reply)
{
    return reply->type == REDIS_REPLY_NIL;
}

size_t cease_redis_reply_count(const cease_redis_reply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
}

const cease_redis_reply *cease_redis_reply_at(const cease_redis_reply *reply, size_t index)
{
    return index < cease_redis_reply_count(reply) ? reply->element[index] : &nil;
}
