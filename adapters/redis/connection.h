/* SPDX-License-Identifier: MIT
 *
 * connection.h: what the files of libcease-redis share.
 *
 * Two layers. A link is a socket, with TLS or without, and hiredis's reader, and knows nothing but bytes and replies. A
 * connection is a link that is made anew when it is gone, and the books on it: which commands have not been sent, how
 * many replies are to come.
 *
 * The invariant that keeps replies with their commands: when a call returns, either `pending` replies
 * will come over the link, in order, and somebody is entitled to them; or there is no link. A call whose context
 * ends restores it by reading all of them, or by closing the link.
 *
 * Who guards what: a connection belongs to whoever holds `in_use`.
 */
#ifndef CEASE_REDIS_CONNECTION_H
#define CEASE_REDIS_CONNECTION_H

#include <cease/net.h>
#include <cease/redis.h>
#include <cease/tls.h>
#include <hiredis.h>
#include <stdarg.h>
#include <stdint.h>

enum { CEASEI_REDIS_MESSAGE_SIZE = 256 };

/* Where and as whom to connect: set at birth. */
struct ceasei_redis_place {
    char *address; /* as cease_dial takes it */
    bool tls;
    cease_tls_config *trust; /* our share; NULL without TLS */
    char *host;              /* alone: whose certificate it must be; NULL: a Unix socket */
    char *user;              /* NULL: none */
    char *password;
    int64_t database;
};

struct ceasei_redis_link {
    cease_conn *conn; /* NULL: there is none */
    cease_tls *tls;   /* around it, and its owner; NULL: the bytes go as they are */
    redisReader *reader;
    int64_t id; /* CLIENT ID; 0: the server does not say */
};

/* What lies in the pipeline. */
struct ceasei_redis_out {
    char *data;
    size_t size, room;
    size_t sent;
};

/* What a command in the pipeline means for the connection. */
enum ceasei_redis_kind {
    CEASEI_REDIS_PLAIN,
    CEASEI_REDIS_BLOCKS, /* may block in the server */
    CEASEI_REDIS_MULTI,
    CEASEI_REDIS_WATCH,
    CEASEI_REDIS_UNWATCH,
    CEASEI_REDIS_EXEC, /* or DISCARD */
    CEASEI_REDIS_REFUSED,
};

/* What would be lost if the link were made anew. FREE -> WATCHING by WATCH, FREE and WATCHING -> MULTI by MULTI,
 * WATCHING -> FREE by UNWATCH, all -> FREE by EXEC and DISCARD. */
enum ceasei_redis_tie { CEASEI_REDIS_FREE, CEASEI_REDIS_WATCHING, CEASEI_REDIS_IN_MULTI };

struct cease_redis {
    uint32_t
        in_use; /* atomic: 1 while a call is under way; acquired by claim, released by release */
    cease_dur cancel_max; /* set at birth, like place */
    struct ceasei_redis_place place;

    /* The rest belongs to the holder of in_use. */
    struct ceasei_redis_link link;
    struct ceasei_redis_out out;
    size_t pending; /* replies to come, those to unsent commands included */
    size_t unsent;  /* of them, whose commands are in `out`, not a byte of it sent */
    uint8_t *kinds; /* of the pending, from `kinds_first` on */
    size_t kinds_first, kinds_room;
    enum ceasei_redis_tie tie;
    bool subscriber;   /* takes no commands */
    redisReply **kept; /* messages that came while a subscription was being confirmed */
    size_t kept_count;
    cease_redis *next; /* in the pool's list; under the pool's lock */
    char message[CEASEI_REDIS_MESSAGE_SIZE];
};

/* place.c */
bool ceasei_redis_wants_tls(const char *url);
cease_error ceasei_redis_place_init(struct ceasei_redis_place *place, const char *url);
/* For TLS: `trust` is borrowed; NULL: the system's certificates. */
cease_error ceasei_redis_place_trust(cease_ctx *ctx, struct ceasei_redis_place *place,
                                     cease_tls_config *trust);
void ceasei_redis_place_deinit(struct ceasei_redis_place *place);

/* link.c */
cease_error ceasei_redis_link_open(cease_ctx *ctx, const struct ceasei_redis_place *place,
                                   struct ceasei_redis_link *link,
                                   char message[CEASEI_REDIS_MESSAGE_SIZE]);
void ceasei_redis_link_close(struct ceasei_redis_link *link); /* also of none */
/* Whether the peer has gone, or has said something that nobody asked for. */
bool ceasei_redis_link_is_stale(struct ceasei_redis_link *link);
/* CEASE_ECONNRESET when the peer has gone; *ret_count, which may be NULL, is written on errors, too. */
cease_error ceasei_redis_link_write(cease_ctx *ctx, struct ceasei_redis_link *link,
                                    const char *data, size_t size, size_t *ret_count);
/* Reads the next reply, whatever it is. */
cease_error ceasei_redis_link_read(cease_ctx *ctx, struct ceasei_redis_link *link,
                                   redisReply **ret_reply);
/* Sends a formatted command, or consumes it; reads its reply, which is never an error reply: those are an
 * error, with their words in `message`. */
cease_error ceasei_redis_link_ask(cease_ctx *ctx, struct ceasei_redis_link *link, char *take_data,
                                  int size, redisReply **ret_reply);
cease_error ceasei_redis_error_of_reply(const redisReply *reply);

/* connection.c */
void ceasei_redis_claim(cease_redis *db);
void ceasei_redis_release(cease_redis *db);
/* Whether e says that ctx has ended. */
bool ceasei_redis_is_end_of(cease_ctx *ctx, cease_error e);
/* Says why in db's message, and returns e. */
cease_error ceasei_redis_say(cease_redis *db, cease_ctx *ctx, cease_error e);

/* command.c */
/* Closes the link and forgets what was to come over it. */
void ceasei_redis_drop(cease_redis *db);
/* Makes the link, if there is none. */
cease_error ceasei_redis_connect(cease_ctx *ctx, cease_redis *db);

extern struct cease_redis_counts ceasei_redis_counts; /* atomic, RELAXED: they order nothing */

#endif
