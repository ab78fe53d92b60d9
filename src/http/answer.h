/* SPDX-License-Identifier: MIT
 *
 * answer.h: one exchange as the client sees it: a request going out, an answer coming in.
 */
#ifndef CEASE_HTTP_ANSWER_H
#define CEASE_HTTP_ANSWER_H

#include "http/gunzip.h"
#include "http/parse.h"
#include "http/pool.h"

#include <cease/http_client.h>

enum {
    CEASEI_ANSWER_ROOM = 16 * 1024, /* of input, unless a head needs more */
    CEASEI_ANSWER_FIELDS = 256,
    CEASEI_ANSWER_READ_ROOM = 4 * 1024, /* always free behind a head */
    CEASEI_ANSWER_HEAD_MAX = 64 * 1024,
    CEASEI_ANSWER_REPLY_MAX = 16 * 1024 * 1024,
};

/* How the end of a body is told. */
enum ceasei_answer_body {
    CEASEI_ANSWER_NONE,
    CEASEI_ANSWER_LENGTH,
    CEASEI_ANSWER_CHUNKED,
    CEASEI_ANSWER_UNTIL_END,
};

struct ceasei_upload;

/* Used by one task at a time; the upload's task touches only what is in its own struct. */
struct cease_http_answer {
    struct ceasei_link *link; /* NULL: gone back, or closed */
    void *exchange;           /* of link->multi; NULL: HTTP/1.1, or it has ended */
    struct ceasei_upload *upload;
    struct cease_http_client *client; /* NULL: cease_http_do */
    struct ceasei_http_head head;
    struct ceasei_http_chunks chunks;
    enum ceasei_answer_body body;
    bool head_only;    /* the request was a HEAD */
    bool begun;        /* a byte of an answer has come */
    bool ended;        /* the whole body was read from the connection */
    bool reusable;     /* once both bodies are through */
    bool unsent;       /* the request did not go out whole */
    bool head_read;    /* the final head came before the body was to be sent */
    cease_error error; /* what ended the body before its time */
    uint64_t left;     /* of LENGTH */
    uint64_t total;    /* decoded, handed out */
    uint64_t max;      /* of total; 0: no limit */
    struct ceasei_gunzip *gunzip;
    const char *packed; /* what it has not taken yet, in the input or in `pieces` */
    size_t packed_size;
    char *pieces; /* of LENGTH and UNTIL_END bodies that are unpacked: CEASEI_ANSWER_ROOM */
    char *url;    /* of the heap; NULL: the call's */
    char *
        trailers; /* "Name: value\r\n" …, once the body has ended: in the input, or `trailers_own` */
    size_t trailers_size;
    char *trailers_own;             /* of the heap: those of an exchange; NULL: none */
    char *in;                       /* the head, then what follows it */
    size_t in_room, in_size, in_at; /* allocated; filled; consumed */
    uint32_t head_max;
    struct ceasei_http_field fields[CEASEI_ANSWER_FIELDS];
    struct cease_http_answer *next; /* in a list of spare ones, under its owner's lock */
};

/* An empty one; NULL when out of memory. */
struct cease_http_answer *ceasei_answer_new(uint32_t head_max);
/* Makes it as new, for the next request. Closes what it holds. */
void ceasei_answer_reset(struct cease_http_answer *a);
void ceasei_answer_free(struct cease_http_answer *a);

/* Waits, for a second at most, until the server says that the body is welcome, or not: *ret_go. */
cease_error ceasei_answer_await_continue(cease_ctx *ctx, struct cease_http_answer *a, bool *ret_go);
/* Reads heads until one is final, and finds out how its body ends. */
cease_error ceasei_answer_read_head(cease_ctx *ctx, struct cease_http_answer *a, bool head_only);
/* multiplex.c: the same for a connection with many exchanges, from its beginning on. *ret_sent: the server may have
 * begun with it. */
struct ceasei_call;
cease_error ceasei_answer_exchange(cease_ctx *ctx, struct cease_http_answer *a,
                                   const struct ceasei_call *c, bool *ret_sent);
/* At the end of its body: keeps its trailers. */
cease_error ceasei_answer_take_trailers(struct cease_http_answer *a);
/* From here on the body is unpacked, if it is packed. */
cease_error ceasei_answer_unpack(struct cease_http_answer *a);
/* Gives the connection back if that is possible now. */
void ceasei_answer_settle(struct cease_http_answer *a);
/* Reads the rest and makes a reply of it. */
cease_error ceasei_answer_reply(cease_ctx *ctx, struct cease_http_answer *a, cease_http_reply *ret);

/* ---- upload.c: the request on its way out ---- */

/* Writes head and body, as much as can be done without waiting long; the rest is a task's. *ret_sent says
 * whether any byte may have gone out. */
cease_error ceasei_upload_start(cease_ctx *ctx, struct cease_http_answer *a,
                                const cease_http_call *call, const char *head, size_t head_size,
                                bool *ret_sent);
/* Has the body of a function sent by a task, on a connection with many exchanges. */
cease_error ceasei_upload_begin(cease_ctx *ctx, struct cease_http_answer *a,
                                const cease_http_call *call);
/* Waits a moment for it, when all that is left is to hear that the last byte is out. */
void ceasei_upload_linger(struct cease_http_answer *a);
/* Whether everything has gone out. */
bool ceasei_upload_done(struct cease_http_answer *a);
/* The error of the body function; CEASE_OK when it had none. */
cease_error ceasei_upload_error(struct cease_http_answer *a);
/* Cancels and joins it, if it runs. */
void ceasei_upload_stop(struct cease_http_answer *a);

#endif
