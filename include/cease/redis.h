/* SPDX-License-Identifier: MIT
 *
 * cease/redis.h: Redis under a context (libcease-redis, on hiredis and cease/net.h).
 *
 * hiredis writes and reads Redis's protocol; the bytes go over connections of cease/net.h, so every wait
 * parks, obeys its context and raises no SIGPIPE; TLS is that of cease/tls.h.
 *
 *     cease_redis *db;
 *     cease_error err = cease_redis_open(ctx, "redis://localhost:6379/0", NULL, &db);
 *     …
 *     cease_redis_reply *reply;
 *     err = cease_redis_command(ctx, db, &reply, "GET %s", key);
 *     if (err) fprintf(stderr, "%s\n", cease_redis_message(db));
 *     else puts(cease_redis_reply_text(reply, NULL));
 *     cease_redis_reply_free(reply);
 *
 * What happens on cancel. Redis answers commands in their order and has no cancel, so the reply to a
 * command that was sent must be read, or the next command would get it. When the context ends while a reply is
 * awaited, it is awaited a little longer (cancel_max), and a command that blocks in the server (BLPOP,
 * XREAD BLOCK, WAIT, …) is ended there at once, by CLIENT UNBLOCK over a connection of its own, whose
 * reply is waited for as well. Then:
 *
 *   - the reply came, and it is the command's own: the call succeeds, because the command took place. So an
 *     element that BLPOP took out of a list is never lost to a cancel;
 *   - the command was unblocked: the call returns the context's error, and nothing took place;
 *   - no reply came in time: the connection is closed, the call returns the context's error, and nobody knows
 *     whether the command took place. The next command connects again.
 *
 * So no reply is ever left to the next command. In a pipeline a cancel throws all replies away that
 * were not read yet.
 *
 * Reconnecting. A connection that broke while nobody used it, or was closed by a cancel, is made anew by the
 * next command, under its context; the password and the database are said again. A command that was sent is never
 * sent again. Between MULTI or WATCH and EXEC, DISCARD or UNWATCH nothing is made anew, as commands would leave the
 * transaction: each of them says CEASE_ENOTCONN then, until the one that would have ended it.
 *
 * A connection is used by one task (or thread) at a time; a second one aborts the program with a sentence.
 */
#ifndef CEASE_REDIS_H
#define CEASE_REDIS_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

struct redisReply;       /* hiredis's, from <hiredis/hiredis.h>  */
struct cease_tls_config; /* whom to trust, of <cease/tls.h>      */

typedef struct cease_redis cease_redis;           /* a connection             */
typedef struct cease_redis_pool cease_redis_pool; /* connections for many     */
typedef struct redisReply cease_redis_reply;      /* a reply, or a part of it */

/* Options of cease_redis_open. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_redis_opts {
    size_t size;          /* sizeof(cease_redis_opts)                                             */
    cease_dur cancel_max; /* how long a reply is awaited after its context has ended; 0: 100 ms   */
    char *message;        /* where a failing open leaves what went wrong, in words                */
    size_t message_size;  /* its room in bytes, NUL included; 0: nowhere                          */
    /* Of cease_tls_client_new: whom rediss:// trusts, and who we are where it asks; borrowed during the call, which takes
     * a share. NULL: the system's certificates, and nobody. */
    struct cease_tls_config *tls;
} cease_redis_opts;

/* Sees one message of a subscription; `channel` ends in NUL, the payload is any bytes and a NUL. Valid until it
 * returns. */
typedef void cease_redis_message_fn(const char *channel, const char *payload, size_t size,
                                    void *arg);

/* What all connections of this process have done; for tests and status pages. */
struct cease_redis_counts {
    uint64_t connections; /* open now                                                         */
    uint64_t connects;    /* so far                                                           */
    uint64_t cut;         /* commands so far whose context ended while a reply was awaited    */
    uint64_t unblocked;   /* of them, those that the server ended                             */
    uint64_t abandoned;   /* connections so far that were closed because no reply came        */
};

/* Connects to "redis://[[user]:password@]host[:6379][/database]", the same with "rediss://" over TLS,
 * "unix:///path[?db=1]", or "host:port". User and password are percent-encoded. Over TLS the server's
 * certificate must be for the host; sessions are taken up again, so a pool, or one `tls` for several connections,
 * saves handshakes.
 *
 * Parks: until Redis has answered.
 * Callers: tasks and threads
 * Owns: *ret_db is yours: cease_redis_close
 * Errors: CEASE_EINVAL (no such address, whatever the context), CEASE_EACCES (the password), CEASE_ETLS (the message says what), as cease_dial
 * and cease_redis_get; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_open(cease_ctx *ctx, const char *url,
                                          const cease_redis_opts *opts, cease_redis **ret_db);

/* Closes. NULL is fine.
 *
 * Parks: no
 * Callers: tasks and threads; not while another one uses db
 * Owns: consumes db
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_redis_close(cease_redis *db);

/* Runs one command. `format` is hiredis's: words separated by spaces, in which %s is a string, %b bytes (an
 * address and a size_t), %d and the like numbers; what is filled in is one word, or a part of one, whatever it contains.
 *
 * Parks: until the reply is there, after a cancel at most cancel_max longer.
 * Callers: tasks and threads, one at a time
 * Owns: *ret_reply is yours: cease_redis_reply_free; a NULL ret_reply throws it away
 * Errors: as cease_redis_put and cease_redis_get; CEASE_EBUSY while a pipeline's replies have not all been read
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_command(cease_ctx *ctx, cease_redis *db,
                                             cease_redis_reply **ret_reply, const char *format,
                                             ...);

/* The same, from words of any bytes. `sizes` NULL: each word ends in NUL.
 *
 * Parks: until the reply is there, after a cancel at most cancel_max longer.
 * Callers: tasks and threads, one at a time
 * Owns: *ret_reply is yours: cease_redis_reply_free; a NULL ret_reply throws it away
 * Errors: as cease_redis_command
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_command_words(cease_ctx *ctx, cease_redis *db,
                                                   cease_redis_reply **ret_reply,
                                                   const char *const *words, const size_t *sizes,
                                                   int count);

/* Puts a command into the pipeline. Nothing is sent yet: the first cease_redis_get sends all of it at
 * once.
 *
 * Parks: no
 * Callers: tasks and threads, one at a time
 * Owns: nothing; the words are copied
 * Errors: CEASE_EINVAL (the format; or a command that would change what the connection is for: SUBSCRIBE and the
 * like, MONITOR, SELECT, HELLO), CEASE_EBUSY (a subscriber), CEASE_ENOMEM
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_put(cease_redis *db, const char *format, ...);

/* Gets the reply to the oldest command in the pipeline.
 *
 * After an error reply (CEASE_ESQL and the like) the pipeline goes on; after the context's error, or one of
 * the connection, it is empty.
 *
 * Parks: until the reply is there, after a cancel at most cancel_max longer.
 * Callers: tasks and threads, one at a time
 * Owns: *ret_reply is yours: cease_redis_reply_free; a NULL ret_reply throws it away
 * Errors: an error reply, whose words are in cease_redis_message: CEASE_EACCES (NOAUTH, NOPERM, READONLY),
 * CEASE_EAGAIN (LOADING, BUSY, TRYAGAIN), CEASE_ENOSPC (OOM), else CEASE_ESQL; CEASE_ECONNRESET (the connection broke, and
 * nobody knows whether the commands took place), CEASE_ENOTCONN (it broke before, inside a transaction), CEASE_EPROTO,
 * CEASE_EINVAL (nothing was put), CEASE_ENOMEM; as cease_dial, when it has to connect; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_get(cease_ctx *ctx, cease_redis *db,
                                         cease_redis_reply **ret_reply);

/* Subscribes to a channel, or with `pattern` to all whose names fit (as "news.*"). From then on the connection
 * is a subscriber: it takes no commands any more.
 *
 * Parks: until Redis has confirmed.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: as cease_redis_get; after the context's error no subscription is left
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_subscribe(cease_ctx *ctx, cease_redis *db, const char *channel,
                                               bool pattern);

/* Waits for the next message and gives it to fn. None is lost by a context that ends: it stays for the next
 * call. What was published while there was no connection is lost, as Redis keeps nothing.
 *
 * Parks: until there is one.
 * Callers: tasks and threads, one at a time
 * Owns: nothing
 * Errors: CEASE_ECONNRESET (subscribe again), CEASE_ENOTCONN (no subscriber), CEASE_EPROTO, CEASE_ENOMEM; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_receive(cease_ctx *ctx, cease_redis *db,
                                             cease_redis_message_fn *fn, void *arg);

/* What the last call on db ended with, in words (Redis's own, such as "WRONGTYPE Operation against …").
 *
 * Parks: no
 * Callers: who may use db at this time
 * Owns: the text is db's, until the next call
 * Errors: never NULL; "" after a success
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_redis_message(const cease_redis *db);

/* Frees a reply and all its parts. NULL is fine.
 *
 * Parks: no
 * Callers: any thread
 * Owns: consumes the reply, which is not a part of another
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_redis_reply_free(cease_redis_reply *take_reply);

/* A reply as a number, or as text (never NULL, "" where there is none; it ends in NUL, and may contain more of
 * them: its length goes to *ret_size, which may be NULL), converted from one to the other.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the text is the reply's
 * Errors: none; what is no number is 0, and the text of a number or an array is ""
 * Since: 0.1
 */
CEASE_PUBLIC int64_t cease_redis_reply_int(const cease_redis_reply *reply);
CEASE_PUBLIC const char *cease_redis_reply_text(const cease_redis_reply *reply, size_t *ret_size);

/* Whether it is Redis's nil: there is no such key, the time of a blocking command was over, a transaction was
 * not done because a watched key had changed.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_redis_reply_null(const cease_redis_reply *reply);

/* How many parts an array has, and the one at `index`, from 0; beyond the end a nil.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the part is the reply's
 * Errors: none; never NULL, and what is no array has no parts
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_redis_reply_count(const cease_redis_reply *reply);
CEASE_PUBLIC const cease_redis_reply *cease_redis_reply_at(const cease_redis_reply *reply,
                                                           size_t index);

/* Counts what all connections of this process have done. The numbers are not of one instant.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_redis_count(struct cease_redis_counts *ret_counts);

/* ---- pools ---- */

/* Makes a pool of at most `connections_max` connections (0: 8); none is made yet.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the pool is yours: cease_redis_pool_free; url and opts are copied (the message buffer is not used), and
 * a share of opts->tls is taken
 * Errors: NULL when memory is short
 * Since: 0.1
 */
CEASE_PUBLIC cease_redis_pool *cease_redis_pool_new(const char *url, const cease_redis_opts *opts,
                                                    uint32_t connections_max);

/* Takes a connection: the one that was given back last, else a new one, else it waits until somebody gives one
 * back. Who waits is served in the order of coming.
 *
 * Parks: until there is one.
 * Callers: tasks and threads
 * Owns: *ret_db is lent to you: cease_redis_pool_give
 * Errors: CEASE_ECLOSED when the pool is being freed; CEASE_ENOMEM for a NULL pool; what cease_redis_open says;
 * the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_redis_pool_take(cease_ctx *ctx, cease_redis_pool *pool,
                                               cease_redis **ret_db);

/* Gives a connection back. What is unfinished on it (a transaction, a pipeline, a subscription) ends with its
 * connection to the server, which the next user makes anew.
 *
 * Parks: no
 * Callers: tasks and threads
 * Owns: consumes take_db; NULL is fine
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_redis_pool_give(cease_redis_pool *pool, cease_redis *take_db);

/* Closes the pool: who waits for a connection gets CEASE_ECLOSED, idle ones are closed now, and those that are lent
 * when they are given back; with the last one the memory goes. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, once; others may still give back, but not take
 * Owns: consumes the pool
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_redis_pool_free(cease_redis_pool *pool);

CEASE_END_DECLS

#endif
