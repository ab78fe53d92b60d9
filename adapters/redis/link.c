/* SPDX-License-Identifier: MIT
 *
 * link.c: a socket, with TLS or without, and hiredis's reader; what is said first on a new one; error replies as our errors.
 */
#include "base/atomic.h"
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 4096 }; /* on the caller's stack, for the time of one read */

struct cease_redis_counts ceasei_redis_counts;

static const struct {
    char word[16];
    cease_error error;
} table[] = {
    {"NOAUTH ", CEASE_EACCES},   {"WRONGPASS ", CEASE_EACCES}, {"NOPERM ", CEASE_EACCES},
    {"READONLY ", CEASE_EACCES}, {"LOADING ", CEASE_EAGAIN},   {"BUSY ", CEASE_EAGAIN},
    {"TRYAGAIN ", CEASE_EAGAIN}, {"OOM ", CEASE_ENOSPC},
};

cease_error ceasei_redis_error_of_reply(const redisReply *reply)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(reply->str, table[i].word, strlen(table[i].word)) == 0)
            return table[i].error;
    }
    return CEASE_ESQL;
}

/* ---- bytes and replies ---- */

/* That the peer has gone has one name, whoever noticed it and how. */
static cease_error of_stream(cease_error e)
{
    return e == CEASE_EOF || e == CEASE_EPIPE || e == CEASE_ETLS ? CEASE_ECONNRESET : e;
}

static cease_error read_bytes(cease_ctx *ctx, struct ceasei_redis_link *link, char *bytes,
                              size_t size, size_t *ret_count)
{
    return of_stream(link->tls ? cease_tls_read(ctx, link->tls, bytes, size, ret_count)
                               : cease_conn_read(ctx, link->conn, bytes, size, ret_count));
}

cease_error ceasei_redis_link_write(cease_ctx *ctx, struct ceasei_redis_link *link,
                                    const char *data, size_t size, size_t *ret_count)
{
    return of_stream(link->tls ? cease_tls_write(ctx, link->tls, data, size, ret_count)
                               : cease_conn_write(ctx, link->conn, data, size, ret_count));
}

static cease_error error_of_reader(const redisReader *reader)
{
    return reader->err == REDIS_ERR_OOM ? CEASE_ENOMEM : CEASE_EPROTO;
}

cease_error ceasei_redis_link_read(cease_ctx *ctx, struct ceasei_redis_link *link,
                                   redisReply **ret_reply)
{
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK)
            return error_of_reader(link->reader);
        if (reply) {
            *ret_reply = reply;
            return CEASE_OK;
        }
        char bytes[READ_SIZE];
        size_t count;
        cease_error e = read_bytes(ctx, link, bytes, sizeof bytes, &count);
        if (e != CEASE_OK)
            return e;
        if (redisReaderFeed(link->reader, bytes, count) != REDIS_OK)
            return error_of_reader(link->reader);
    }
}

bool ceasei_redis_link_is_stale(struct ceasei_redis_link *link)
{
    char byte;
    size_t count;
    /* Under TLS the byte breaks the stream: then the link is not used again. */
    return cease_tls_pending(link->tls) ||
           cease_conn_try_read(link->conn, &byte, 1, &count) != CEASE_EAGAIN;
}

/* ---- opening ---- */

cease_error ceasei_redis_link_ask(cease_ctx *ctx, struct ceasei_redis_link *link, char *take_data,
                                  int size, redisReply **ret_reply)
{
    if (size < 0)
        return CEASE_ENOMEM;
    cease_error e = ceasei_redis_link_write(ctx, link, take_data, (size_t)size, NULL);
    redisFreeCommand(take_data);
    return e == CEASE_OK ? ceasei_redis_link_read(ctx, link, ret_reply) : e;
}

/* One command of the greeting, whose reply matters only when it is an error. */
static cease_error greet(cease_ctx *ctx, struct ceasei_redis_link *link, char *take_data, int size,
                         char message[CEASEI_REDIS_MESSAGE_SIZE])
{
    redisReply *reply = NULL;
    cease_error e = ceasei_redis_link_ask(ctx, link, take_data, size, &reply);
    if (e != CEASE_OK)
        return e;
    if (reply->type == REDIS_REPLY_ERROR) {
        e = ceasei_redis_error_of_reply(reply);
        snprintf(message, CEASEI_REDIS_MESSAGE_SIZE, "%s", reply->str);
    }
    freeReplyObject(reply);
    return e;
}

static cease_error learn_id(cease_ctx *ctx, struct ceasei_redis_link *link)
{
    char *data = NULL;
    redisReply *reply = NULL;
    int size = redisFormatCommand(&data, "CLIENT ID");
    cease_error e = ceasei_redis_link_ask(ctx, link, data, size, &reply);
    if (e != CEASE_OK)
        return e;
    if (reply->type == REDIS_REPLY_INTEGER) /* else it may not be asked for: no unblocking then */
        link->id = reply->integer;
    freeReplyObject(reply);
    return CEASE_OK;
}

static cease_error greet_all(cease_ctx *ctx, const struct ceasei_redis_place *place,
                             struct ceasei_redis_link *link, char *message)
{
    char *data = NULL;
    int size;
    cease_error e = CEASE_OK;
    if (place->password) {
        size = place->user ? redisFormatCommand(&data, "AUTH %s %s", place->user, place->password)
                           : redisFormatCommand(&data, "AUTH %s", place->password);
        e = greet(ctx, link, data, size, message);
    }
    if (e == CEASE_OK && place->database != 0) {
        size = redisFormatCommand(&data, "SELECT %d", (int)place->database);
        e = greet(ctx, link, data, size, message);
    }
    if (e == CEASE_OK)
        e = learn_id(ctx, link);
    return e;
}

static cease_error secure(cease_ctx *ctx, const struct ceasei_redis_place *place,
                          struct ceasei_redis_link *link)
{
    link->tls = cease_tls_client(place->trust, link->conn, place->host);
    link->conn = cease_tls_conn(link->tls);
    return cease_tls_handshake(ctx, link->tls);
}

/* Why TLS has failed, if it was that. A server refuses a client's certificate only after the handshake, and then is gone:
 * what it said lies behind the write that has failed. */
static const char *last_words(cease_ctx *ctx, struct ceasei_redis_link *link, cease_error e)
{
    char byte;
    size_t count;
    if (e == CEASE_ECONNRESET && !*cease_tls_why(link->tls))
        (void)cease_tls_read(ctx, link->tls, &byte, 1, &count);
    return cease_tls_why(link->tls);
}

cease_error ceasei_redis_link_open(cease_ctx *ctx, const struct ceasei_redis_place *place,
                                   struct ceasei_redis_link *link,
                                   char message[CEASEI_REDIS_MESSAGE_SIZE])
{
    *link = (struct ceasei_redis_link){.reader = redisReaderCreate()};
    if (!link->reader)
        return CEASE_ENOMEM;
    cease_error e = cease_dial(ctx, place->address, NULL, &link->conn);
    if (e == CEASE_OK) {
        ceasei_add(&ceasei_redis_counts.connects, 1, RELAXED);
        e = place->tls ? secure(ctx, place, link) : CEASE_OK;
        if (e == CEASE_OK)
            e = greet_all(ctx, place, link, message);
    }
    if (e != CEASE_OK) {
        const char *why = link->tls ? last_words(ctx, link, e) : "";
        if (*why) {
            e = CEASE_ETLS;
            snprintf(message, CEASEI_REDIS_MESSAGE_SIZE, "%s", why);
        }
        ceasei_redis_link_close(link);
    }
    return e;
}

void ceasei_redis_link_close(struct ceasei_redis_link *link)
{
    if (link->tls)
        cease_tls_close(link->tls);
    else
        cease_conn_close(link->conn);
    if (link->reader)
        redisReaderFree(link->reader);
    *link = (struct ceasei_redis_link){0};
}
