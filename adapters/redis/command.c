/* SPDX-License-Identifier: MIT
 *
 * command.c: commands, their replies, and what happens when the context ends in between.
 *
 * A command's life:
 *
 *     put     formatted into `out`; its kind is written down, for what it means for the connection
 *     send    with the first get: the link is made if there is none, and all of `out` goes out at once
 *     get     its reply is read
 *     cut     only when the context ended after something was sent: the replies are read for a
 *             while longer, a blocked command is unblocked
 *
 * Why a cut is more than waiting: BLPOP may wait for ever, and closing its connection can lose the element that
 * Redis just gave it. CLIENT UNBLOCK says whether it did end the command (1) or came too late (0), so that the
 * reply is known to be empty or to be the command's own. Like PostgreSQL's cancel it could hit the next command:
 * hence its reply is awaited as well, and if that does not come, the link is closed.
 */
#include "base/atomic.h"
#include "connection.h"

#include <cease/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATIENCE_FIRST cease_ms(1)

enum { OUT_KEPT_MAX = 64 << 10 }; /* a buffer that a big pipeline has made larger goes back */

static cease_error leave(cease_redis *db, cease_error e)
{
    ceasei_redis_release(db);
    return e;
}

/* ---- the pipeline ---- */

static const struct {
    char name[16];
    uint8_t kind;
} special[] = {
    {"MULTI", CEASEI_REDIS_MULTI},          {"WATCH", CEASEI_REDIS_WATCH},
    {"UNWATCH", CEASEI_REDIS_UNWATCH},      {"EXEC", CEASEI_REDIS_EXEC},
    {"DISCARD", CEASEI_REDIS_EXEC},         {"BLPOP", CEASEI_REDIS_BLOCKS},
    {"BRPOP", CEASEI_REDIS_BLOCKS},         {"BRPOPLPUSH", CEASEI_REDIS_BLOCKS},
    {"BLMOVE", CEASEI_REDIS_BLOCKS},        {"BLMPOP", CEASEI_REDIS_BLOCKS},
    {"BZPOPMIN", CEASEI_REDIS_BLOCKS},      {"BZPOPMAX", CEASEI_REDIS_BLOCKS},
    {"BZMPOP", CEASEI_REDIS_BLOCKS},        {"XREAD", CEASEI_REDIS_BLOCKS},
    {"XREADGROUP", CEASEI_REDIS_BLOCKS},    {"WAIT", CEASEI_REDIS_BLOCKS},
    {"WAITAOF", CEASEI_REDIS_BLOCKS},       {"SUBSCRIBE", CEASEI_REDIS_REFUSED},
    {"PSUBSCRIBE", CEASEI_REDIS_REFUSED},   {"SSUBSCRIBE", CEASEI_REDIS_REFUSED},
    {"UNSUBSCRIBE", CEASEI_REDIS_REFUSED},  {"PUNSUBSCRIBE", CEASEI_REDIS_REFUSED},
    {"SUNSUBSCRIBE", CEASEI_REDIS_REFUSED}, {"MONITOR", CEASEI_REDIS_REFUSED},
    {"SELECT", CEASEI_REDIS_REFUSED},       {"HELLO", CEASEI_REDIS_REFUSED},
    {"RESET", CEASEI_REDIS_REFUSED},        {"QUIT", CEASEI_REDIS_REFUSED},
};

/* Of a formatted command: "*2\r\n$3\r\nGET\r\n…". */
static uint8_t kind_of(const char *data)
{
    const char *name = strchr(data, '\n');
    name = name ? strchr(name + 1, '\n') : NULL;
    if (!name)
        return CEASEI_REDIS_REFUSED; /* a command without words */
    size_t size = strcspn(++name, "\r");
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        if (strlen(special[i].name) == size && strncasecmp(name, special[i].name, size) == 0)
            return special[i].kind;
    }
    return CEASEI_REDIS_PLAIN;
}

static bool grow(void *address, size_t *room, size_t wanted)
{
    void **memory = address;
    if (wanted <= *room)
        return true;
    size_t larger = *room * 2 > wanted ? *room * 2 : wanted + 64;
    void *moved = realloc(*memory, larger);
    if (!moved)
        return false;
    *memory = moved;
    *room = larger;
    return true;
}

/* Consumes what hiredis has formatted. */
static cease_error put(cease_redis *db, char *take_data, int size)
{
    if (size < 0)
        return size == -2 ? CEASE_EINVAL : CEASE_ENOMEM;
    struct ceasei_redis_out *out = &db->out;
    uint8_t kind = kind_of(take_data);
    cease_error e = CEASE_OK;
    if (kind == CEASEI_REDIS_REFUSED)
        e = CEASE_EINVAL;
    else if (db->subscriber)
        e = CEASE_EBUSY;
    else if (!grow(&out->data, &out->room, out->size + (size_t)size) ||
             !grow(&db->kinds, &db->kinds_room, db->kinds_first + db->pending + 1))
        e = CEASE_ENOMEM;
    if (e == CEASE_OK) {
        memcpy(out->data + out->size, take_data, (size_t)size);
        out->size += (size_t)size;
        db->kinds[db->kinds_first + db->pending] = kind;
        db->pending++;
        db->unsent++;
    }
    redisFreeCommand(take_data);
    return e;
}

static void forget_pipeline(cease_redis *db)
{
    for (size_t i = 0; i < db->pending; i++) {
        uint8_t kind = db->kinds[db->kinds_first + i];
        if (kind == CEASEI_REDIS_EXEC || kind == CEASEI_REDIS_UNWATCH)
            db->tie = CEASEI_REDIS_FREE; /* who has seen it fail knows that it is over */
    }
    db->pending = db->unsent = db->kinds_first = 0;
    db->out.size = db->out.sent = 0;
}

void ceasei_redis_drop(cease_redis *db)
{
    ceasei_redis_link_close(&db->link);
    forget_pipeline(db);
    for (size_t i = 0; i < db->kept_count; i++)
        freeReplyObject(db->kept[i]);
    free(db->kept);
    db->kept = NULL;
    db->kept_count = 0;
    db->subscriber = false;
}

/* ---- sending ---- */

cease_error ceasei_redis_connect(cease_ctx *ctx, cease_redis *db)
{
    bool at_rest = db->pending == db->unsent && !db->subscriber;
    if (db->link.conn && at_rest && ceasei_redis_link_is_stale(&db->link))
        ceasei_redis_link_close(&db->link);
    if (db->link.conn)
        return CEASE_OK;
    if (db->tie != CEASEI_REDIS_FREE) {
        forget_pipeline(db);
        snprintf(db->message, sizeof db->message, "the connection broke inside a transaction");
        return CEASE_ENOTCONN;
    }
    db->message[0] = '\0';
    cease_error e = ceasei_redis_link_open(ctx, &db->place, &db->link, db->message);
    if (e != CEASE_OK) {
        forget_pipeline(db);
        if (!*db->message)
            ceasei_redis_say(db, ctx, e);
    }
    return e;
}

static cease_error flush(cease_ctx *ctx, cease_redis *db)
{
    struct ceasei_redis_out *out = &db->out;
    if (out->size == 0)
        return CEASE_OK;
    size_t count = 0;
    cease_error e = ceasei_redis_link_write(ctx, &db->link, out->data + out->sent,
                                            out->size - out->sent, &count);
    out->sent += count;
    if (out->sent > 0)
        db->unsent = 0;
    if (e != CEASE_OK)
        return e;
    out->size = out->sent = 0;
    if (out->room > OUT_KEPT_MAX) {
        free(out->data);
        *out = (struct ceasei_redis_out){0};
    }
    return CEASE_OK;
}

/* ---- replies ---- */

/* A reply has come: what does it mean for the connection? */
static void answered(cease_redis *db, const redisReply *reply)
{
    bool ok = reply->type != REDIS_REPLY_ERROR;
    switch ((enum ceasei_redis_kind)db->kinds[db->kinds_first]) {
    case CEASEI_REDIS_MULTI:
        if (ok)
            db->tie = CEASEI_REDIS_IN_MULTI;
        break;
    case CEASEI_REDIS_WATCH:
        if (ok && db->tie == CEASEI_REDIS_FREE)
            db->tie = CEASEI_REDIS_WATCHING;
        break;
    case CEASEI_REDIS_UNWATCH:
        if (ok && db->tie == CEASEI_REDIS_WATCHING)
            db->tie = CEASEI_REDIS_FREE;
        break;
    case CEASEI_REDIS_EXEC:
        db->tie = CEASEI_REDIS_FREE;
        break;
    case CEASEI_REDIS_PLAIN:
    case CEASEI_REDIS_BLOCKS:
    case CEASEI_REDIS_REFUSED:
        break;
    }
    db->kinds_first++;
    if (--db->pending == 0)
        db->kinds_first = 0;
}

/* Hands a reply to the caller, or says its error. */
static cease_error deliver(cease_redis *db, redisReply *take_reply, redisReply **ret_reply)
{
    cease_error e = CEASE_OK;
    if (take_reply->type == REDIS_REPLY_ERROR) {
        e = ceasei_redis_error_of_reply(take_reply);
        snprintf(db->message, sizeof db->message, "%s", take_reply->str);
    }
    if (e == CEASE_OK && ret_reply)
        *ret_reply = take_reply;
    else
        freeReplyObject(take_reply);
    return e;
}

/* ---- the cut ---- */

struct cut {
    cease_redis *db;
    cease_ctx *grace;
    bool cannot_unblock; /* the server, or the network, does not let us */
    bool unblocked;      /* before the first reply came */
    redisReply *first;
};

/* Ends what the connection is blocked in. An error says that the request may still be on its way. */
static cease_error unblock(struct cut *c)
{
    struct ceasei_redis_link side;
    char message[CEASEI_REDIS_MESSAGE_SIZE];
    char *data = NULL;
    redisReply *reply = NULL;
    if (c->db->link.id == 0 ||
        ceasei_redis_link_open(c->grace, &c->db->place, &side, message) != CEASE_OK) {
        c->cannot_unblock = true;
        return CEASE_OK;
    }
    int size = redisFormatCommand(&data, "CLIENT UNBLOCK %lld", (long long)c->db->link.id);
    cease_error e = ceasei_redis_link_ask(c->grace, &side, data, size, &reply);
    if (e == CEASE_OK) {
        if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 1 && !c->first)
            c->unblocked = true;
        c->cannot_unblock = reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
    }
    ceasei_redis_link_close(&side);
    return e;
}

/* Reads what comes within `patience`. */
static cease_error read_some(struct cut *c, cease_dur patience, bool *ret_late)
{
    cease_redis *db = c->db;
    cease_canceler *stop;
    cease_ctx *limited =
        cease_with_timeout(c->grace, c->cannot_unblock ? CEASE_FOREVER : patience, &stop);
    cease_error e = CEASE_OK;
    while (db->pending > 0 && e == CEASE_OK) {
        redisReply *reply;
        e = ceasei_redis_link_read(limited, &db->link, &reply);
        if (e != CEASE_OK)
            break;
        answered(db, reply);
        if (!c->first)
            c->first = reply;
        else
            freeReplyObject(reply);
    }
    *ret_late = e != CEASE_OK && ceasei_redis_is_end_of(limited, e) && !cease_done(c->grace);
    cease_end(stop);
    return e;
}

/* Reads all replies that are to come. False: not all came. */
static bool drain(struct cut *c)
{
    bool blocks = false;
    for (size_t i = 0; i < c->db->pending; i++)
        blocks |= c->db->kinds[c->db->kinds_first + i] == CEASEI_REDIS_BLOCKS;
    cease_dur patience = blocks ? cease_ns(0) : PATIENCE_FIRST;
    cease_error e = flush(c->grace, c->db);
    while (e == CEASE_OK && c->db->pending > 0) {
        bool late;
        e = read_some(c, patience, &late);
        if (!late)
            break;
        e = unblock(c);
        patience = patience.ns > 0 ? cease_ns(patience.ns * 2) : PATIENCE_FIRST;
    }
    return e == CEASE_OK;
}

/* The context ended with `why` after something was sent. */
static cease_error cut_short(cease_redis *db, cease_ctx *ctx, cease_error why,
                             redisReply **ret_reply)
{
    cease_canceler *stop;
    bool single = db->pending == 1;
    struct cut c = {.db = db, .grace = cease_with_grace(ctx, db->cancel_max, &stop)};
    ceasei_add(&ceasei_redis_counts.cut, 1, RELAXED);
    bool drained = drain(&c);
    cease_end(stop);
    if (c.unblocked)
        ceasei_add(&ceasei_redis_counts.unblocked, 1, RELAXED);
    if (!drained) {
        ceasei_add(&ceasei_redis_counts.abandoned, 1, RELAXED);
        ceasei_redis_drop(db);
    }
    if (drained && single && !c.unblocked)
        return deliver(db, c.first, ret_reply);
    freeReplyObject(c.first);
    return ceasei_redis_say(db, ctx, why);
}

/* ---- get ---- */

/* Sends what is in the pipeline. When that fails before a byte has gone out, the peer was gone already, unnoticed (the
 * poller tells of it a moment later): a new link takes the commands. An error of connecting has emptied the
 * pipeline, and has said so. */
static cease_error send_all(cease_ctx *ctx, cease_redis *db)
{
    cease_error e = ceasei_redis_connect(ctx, db);
    if (e == CEASE_OK)
        e = flush(ctx, db);
    if (e != CEASE_ECONNRESET || db->pending == 0 || db->pending != db->unsent)
        return e;
    ceasei_redis_link_close(&db->link);
    e = ceasei_redis_connect(ctx, db);
    return e == CEASE_OK ? flush(ctx, db) : e;
}

static cease_error get(cease_ctx *ctx, cease_redis *db, redisReply **ret_reply)
{
    db->message[0] = '\0';
    if (db->pending == 0)
        return ceasei_redis_say(db, ctx, CEASE_EINVAL);
    redisReply *reply = NULL;
    cease_error e = cease_done(ctx) ? cease_err(ctx) : send_all(ctx, db);
    if (e != CEASE_OK && db->pending == 0 && !ceasei_redis_is_end_of(ctx, e))
        return e; /* connecting failed, and has said why */
    if (e == CEASE_OK)
        e = ceasei_redis_link_read(ctx, &db->link, &reply);
    if (e == CEASE_OK) {
        answered(db, reply);
        return deliver(db, reply, ret_reply);
    }
    if (!ceasei_redis_is_end_of(ctx, e)) {
        ceasei_redis_drop(db);
        return ceasei_redis_say(db, ctx, e);
    }
    if (db->pending > db->unsent)
        return cut_short(db, ctx, e, ret_reply);
    forget_pipeline(db); /* nothing of it was sent */
    return ceasei_redis_say(db, ctx, e);
}

cease_error cease_redis_get(cease_ctx *ctx, cease_redis *db, cease_redis_reply **ret_reply)
{
    ceasei_redis_claim(db);
    return leave(db, get(ctx, db, ret_reply));
}

cease_error cease_redis_put(cease_redis *db, const char *format, ...)
{
    char *data = NULL;
    va_list values;
    ceasei_redis_claim(db);
    va_start(values, format);
    int size = redisvFormatCommand(&data, format, values);
    va_end(values);
    cease_error e = put(db, data, size);
    return leave(db, ceasei_redis_say(db, cease_background(), e));
}

/* Consumes `take_data`. */
static cease_error command(cease_ctx *ctx, cease_redis *db, redisReply **ret_reply, char *take_data,
                           int size)
{
    if (db->pending > 0) {
        if (size >= 0)
            redisFreeCommand(take_data);
        return ceasei_redis_say(db, ctx, CEASE_EBUSY);
    }
    cease_error e = put(db, take_data, size);
    return e == CEASE_OK ? get(ctx, db, ret_reply) : ceasei_redis_say(db, ctx, e);
}

cease_error cease_redis_command(cease_ctx *ctx, cease_redis *db, cease_redis_reply **ret_reply,
                                const char *format, ...)
{
    char *data = NULL;
    va_list values;
    ceasei_redis_claim(db);
    va_start(values, format);
    int size = redisvFormatCommand(&data, format, values);
    va_end(values);
    return leave(db, command(ctx, db, ret_reply, data, size));
}

cease_error cease_redis_command_words(cease_ctx *ctx, cease_redis *db,
                                      cease_redis_reply **ret_reply, const char *const *words,
                                      const size_t *sizes, int count)
{
    char *data = NULL;
    ceasei_redis_claim(db);
    if (count < 1)
        return leave(db, ceasei_redis_say(db, ctx, CEASE_EINVAL));
    int size = redisFormatCommandArgv(&data, count, (const char **)(uintptr_t)words, sizes);
    return leave(db, command(ctx, db, ret_reply, data, size));
}
