/* SPDX-License-Identifier: MIT
 *
 * connection.h: what the files of libcease-pg share: the connection, and one exchange with the server.
 *
 * The one idea: everything is an exchange. Its maker puts one command or several into libpq's send
 * buffer and writes down, as steps, which answers must come; ceasei_pg_run() sends, reads until the last step
 * is over, and settles what a cancel leaves. So there is one place where the server is waited for, and one
 * where a cancel is sent.
 *
 * Who guards what: a connection belongs to whoever holds `in_use`; a second user is a bug of the
 * program's and ends it. No other thread ever touches libpq's connection: a context that ends only
 * wakes the owner, and the job that sends the cancel request has a PGcancel of its own.
 *
 * Why no cancel reaches the next statement. libpq's PQcancel returns after the server has closed the
 * request's connection, and the server closes it after it has signalled the session. So when PQcancel has
 * returned, the signal is pending in the session, and the session takes it at the latest before it can read
 * another byte of ours; one that it takes while it waits for a command is void. Hence: a connection is
 * used again only after each PQcancel has returned and the answers have been read to their end. When
 * one of both does not happen within the budget, the connection is closed, and its key dies with it.
 */
#ifndef CEASE_PG_CONNECTION_H
#define CEASE_PG_CONNECTION_H

#include <cease/pg.h>
#include <libpq-fe.h>
#include <stdint.h>

enum {
    CEASEI_PG_STATEMENT_MAX = 32, /* kept per connection */
    CEASEI_PG_MESSAGE_SIZE = 512,
    CEASEI_PG_STEP_MAX = 8,
};

/* Values of `timeout_ms`. */
enum { CEASEI_PG_TIMEOUT_DEFAULT = -1, CEASEI_PG_TIMEOUT_UNKNOWN = -2 };

struct ceasei_pg_statement {
    char *sql;       /* NULL: free                                                    */
    uint32_t number; /* on the server it is called cease<number>                      */
    bool asked;      /* before: next time it is prepared                              */
    bool prepared;   /* the server has said so                                        */
    uint64_t used;   /* the connection's `uses` at the last use: the smallest is replaced */
};

/* All of it belongs to the holder of in_use. */
struct cease_pg {
    uint32_t
        in_use; /* atomic: 1 while a call is under way; acquired by claim, released by release */
    bool no_prepare; /* set at birth, like cancel_max and no_timeout */
    bool no_timeout;
    bool cut; /* inside a transaction something was cut off: only a rollback may follow */
    bool timeout_in_block; /* it was set inside the transaction: a rollback would undo that */
    cease_dur cancel_max;
    PGconn *conn;       /* NULL: broken */
    int64_t timeout_ms; /* what statement_timeout is on the server, or one of the two above */
    int64_t affected;
    cease_time idle_since; /* of one that lies in a pool */
    cease_pg *next;        /* in the pool's list; under the pool's lock */
    uint64_t uses;
    uint32_t drop; /* number of a statement that the server should forget; 0: none */
    uint32_t numbers;
    struct ceasei_pg_statement statements[CEASEI_PG_STATEMENT_MAX];
    char sqlstate[6];
    char message[CEASEI_PG_MESSAGE_SIZE];
};

/* What the next answer belongs to. */
enum ceasei_pg_step {
    CEASEI_PG_SETTING, /* SET statement_timeout */
    CEASEI_PG_DROP,    /* DEALLOCATE */
    CEASEI_PG_PREPARE,
    CEASEI_PG_RUN,  /* the statement itself */
    CEASEI_PG_SYNC, /* the end of what is one transaction when there is no explicit one */
};

/* One exchange. Zero but for the first lines. */
struct ceasei_pg_exchange {
    cease_pg *db;
    cease_ctx *ctx;
    cease_pg_row_fn *fn; /* NULL: rows are thrown away, and nobody misses them */
    void *arg;
    struct ceasei_pg_statement *statement; /* that a PREPARE is for */
    ExecStatusType copy;                   /* COPY_IN or COPY_OUT is wanted; else 0 */

    bool simple; /* not in a pipeline: NULL ends it, and there is one step */
    uint8_t steps[CEASEI_PG_STEP_MAX];
    uint8_t count, at;
    int64_t timeout_ms; /* that a SETTING sets */

    bool finished;         /* the last answer has been read */
    bool copying;          /* the server waits for COPY's data, or sends it */
    bool completed;        /* RUN has succeeded */
    bool canceled;         /* the server says that it obeyed a cancel */
    bool prelude_canceled; /* the same, of what went in front of the statement */
    bool discard;          /* rows are thrown away from here on, and somebody misses them */
    bool lost_rows;        /* some have been */
    bool enough;           /* fn wants no more */
    uint64_t rows;
    cease_error row_error; /* what fn said */
    cease_error error;     /* of the first step that failed */
};

/* connection.c */
cease_error ceasei_pg_enter(cease_ctx *ctx,
                            cease_pg *db); /* claims; on an error it has released again */
cease_error ceasei_pg_leave(cease_pg *db, cease_error e); /* releases, returns e */
void ceasei_pg_claim(cease_pg *db);
void ceasei_pg_release(cease_pg *db);
void ceasei_pg_forget_all(cease_pg *db); /* the statements */

/* error.c */
void ceasei_pg_say(cease_pg *db, const char *sqlstate, const char *text);
void ceasei_pg_say_context(cease_pg *db, cease_ctx *ctx, cease_error e);
cease_error ceasei_pg_error_of_state(const char *sqlstate);
cease_error ceasei_pg_fail(cease_pg *db,
                           const PGresult *result); /* says it, and returns its error */
void ceasei_pg_shut(cease_pg *db); /* closes libpq's connection, and says nothing */
/* Closes libpq's connection and says why, in `text` or, when that is NULL, in libpq's words. Returns
 * CEASE_ECONNRESET, or CEASE_ENOMEM when that was it. */
cease_error ceasei_pg_break(cease_pg *db, const char *text);

/* exchange.c */
void ceasei_pg_put_step(struct ceasei_pg_exchange *x, enum ceasei_pg_step step);
/* Sends and reads to the end, or until x->copying if a COPY is wanted. */
cease_error ceasei_pg_run(struct ceasei_pg_exchange *x);
/* The rest of it, after the COPY's data have passed. `why` is not CEASE_OK when they have not all passed. */
cease_error ceasei_pg_run_rest(struct ceasei_pg_exchange *x, cease_error why);
/* Waits until `conn` can be read, or written when something is left to send, and reads. */
cease_error ceasei_pg_pump(cease_ctx *ctx, PGconn *conn, bool writing);
/* One command of the simple protocol, all of it; `timeout_ms` is what a SETTING sets. */
cease_error ceasei_pg_simple(cease_ctx *ctx, cease_pg *db, const char *sql,
                             enum ceasei_pg_step step, int64_t timeout_ms);
/* The same, a statement. */
cease_error ceasei_pg_command(cease_ctx *ctx, cease_pg *db, const char *sql);
/* Under a budget of its own. */
cease_error ceasei_pg_rollback(cease_ctx *parent, cease_pg *db);

/* timeout.c */
/* Puts SET statement_timeout in front, when the server does not know how much time is left. Pipelines only. */
cease_error ceasei_pg_put_timeout(struct ceasei_pg_exchange *x);
/* Makes the server's statement_timeout what ctx has left, by a round trip of its own. */
cease_error ceasei_pg_set_timeout(cease_ctx *ctx, cease_pg *db);

extern struct cease_pg_counts ceasei_pg_counts; /* atomic, RELAXED: they order nothing */

#endif
