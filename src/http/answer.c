/* SPDX-License-Identifier: MIT
 *
 * answer.c: the answer to a request, as it comes in.
 *
 * The head is parsed where it was read, and its fields become C strings in place: the parser has left a
 * byte for the NUL behind each. A body of known length, or one that ends with the connection, is read
 * straight into the caller's memory; a chunked one goes through the input behind the head, since only the
 * decoder knows where it ends.
 *
 * The parser is as strict as for requests. What an HTTP/1.1 server can do to a client is bounded: a head by
 * head_max, interim answers by INTERIM_MAX, the framing of chunks by the decoder, a body by `max` after it
 * was unpacked. How long it takes is the context's business.
 *
 * The connection can be used again when the server has not said otherwise, the body has ended where its
 * framing says, nothing has come behind it, and the request was sent whole. Everything else closes it.
 */
#include "http/answer.h"

#include "base/atomic.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { INTERIM_MAX = 16, CONTINUE_S = 1 };

struct cease_http_answer *ceasei_answer_new(uint32_t head_max)
{
    struct cease_http_answer *a = malloc(sizeof *a);
    if (!a) {
        return NULL;
    }
    memset(a, 0, offsetof(struct cease_http_answer, fields));
    a->in = malloc(CEASEI_ANSWER_ROOM);
    a->in_room = CEASEI_ANSWER_ROOM;
    a->head_max = head_max;
    a->next = NULL;
    if (!a->in) {
        free(a);
        return NULL;
    }
    return a;
}

/* Of a connection with many exchanges. */
static void leave(struct cease_http_answer *a)
{
    struct ceasei_link *l = a->link;
    if (a->exchange) {
        l->multi->end(a->exchange);
    }
    a->exchange = NULL;
    a->link = NULL;
    ceasei_pool_put(l);
}

void ceasei_answer_reset(struct cease_http_answer *a)
{
    ceasei_upload_stop(a);
    if (a->link && a->link->multi) {
        leave(a);
    }
    ceasei_link_close(a->link);
    ceasei_gunzip_free(a->gunzip);
    free(a->pieces);
    free(a->url);
    free(a->trailers_own);
    char *in = a->in;
    size_t in_room = a->in_room;
    uint32_t head_max = a->head_max;
    struct cease_http_client *client = a->client;
    memset(a, 0, offsetof(struct cease_http_answer, fields));
    a->in = in;
    a->in_room = in_room;
    a->head_max = head_max;
    a->client = client;
}

void ceasei_answer_free(struct cease_http_answer *a)
{
    if (a) {
        ceasei_answer_reset(a);
        free(a->in);
        free(a);
    }
}

/* ---- the head ---- */

static cease_error grow(struct cease_http_answer *a, size_t room)
{
    char *in = realloc(a->in, room);
    if (!in) {
        return CEASE_ENOMEM;
    }
    a->in = in;
    a->in_room = room;
    return CEASE_OK;
}

/* Reads more behind what is there. The end of the stream is an error here. */
static cease_error fill(cease_ctx *ctx, struct cease_http_answer *a)
{
    size_t n = 0;
    cease_error e = ceasei_link_read(ctx, a->link, a->in + a->in_size, a->in_room - a->in_size, &n);
    if (e == CEASE_OK) {
        a->in_size += n;
        a->begun = true;
    }
    return e == CEASE_EOF ? CEASE_EPROTO : e;
}

static cease_error read_one_head(cease_ctx *ctx, struct cease_http_answer *a)
{
    int64_t n;
    memmove(a->in, a->in + a->in_at, a->in_size - a->in_at);
    a->in_size -= a->in_at;
    a->in_at = 0;
    ceasei_http_head_init(&a->head, a->fields, CEASEI_ANSWER_FIELDS, a->head_max);
    while ((n = ceasei_http_parse_response(&a->head, a->in, a->in_size)) == 0) {
        cease_error e = CEASE_OK;
        if (a->in_size == a->in_room) {
            e = grow(a, a->in_room * 2);
        }
        if (e == CEASE_OK) {
            e = fill(ctx, a);
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
    if (n < 0 || a->head.status == 101) { /* nobody asked for another protocol */
        return CEASE_EPROTO;
    }
    a->in_at = (size_t)n;
    return CEASE_OK;
}

/* RFC 9112, 6.3. */
static void find_body(struct cease_http_answer *a)
{
    const struct ceasei_http_head *h = &a->head;
    a->reusable = h->minor > 0 ? !h->close : h->keep_alive && !h->close;
    if (a->head_only || h->status == 204 || h->status == 304) {
        a->body = CEASEI_ANSWER_NONE;
    } else if (h->chunked) {
        a->body = CEASEI_ANSWER_CHUNKED;
    } else if (h->length) {
        a->body = h->content_length > 0 ? CEASEI_ANSWER_LENGTH : CEASEI_ANSWER_NONE;
        a->left = h->content_length;
    } else {
        a->body = CEASEI_ANSWER_UNTIL_END;
        a->reusable = false;
    }
    a->ended = a->body == CEASEI_ANSWER_NONE;
}

static void make_texts(struct cease_http_answer *a)
{
    for (uint32_t i = 0; i < a->head.field_count; i++) {
        const struct ceasei_http_field *f = &a->fields[i];
        a->in[f->name + f->name_size] = '\0';
        a->in[f->value + f->value_size] = '\0';
    }
    a->in[a->head.reason + a->head.reason_size] = '\0'; /* over the CR */
}

/* RFC 9110, 10.1.1: a server may know nothing of the question, so its answer is not waited for long. */
cease_error ceasei_answer_await_continue(cease_ctx *ctx, struct cease_http_answer *a, bool *ret_go)
{
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, cease_sec(CONTINUE_S), &stop);
    cease_error e;
    int interim = 0;
    do {
        e = read_one_head(limited, a);
    } while (e == CEASE_OK && a->head.status > 100 && a->head.status < 200 &&
             ++interim <= INTERIM_MAX);
    bool late = e == CEASE_EDEADLINE && cease_err(ctx) == CEASE_OK;
    cease_end(stop);
    *ret_go = late || (e == CEASE_OK && a->head.status < 200);
    a->head_read = e == CEASE_OK && a->head.status >= 200;
    return late ? CEASE_OK : e;
}

cease_error ceasei_answer_read_head(cease_ctx *ctx, struct cease_http_answer *a, bool head_only)
{
    a->head_only = head_only;
    for (int interim = 0; interim <= INTERIM_MAX; interim++) {
        cease_error e = a->head_read ? CEASE_OK : read_one_head(ctx, a);
        a->head_read = false;
        if (e != CEASE_OK) {
            return e;
        }
        if (a->head.status >= 200) {
            /* pointers into the input are handed out from here on: it moves no more */
            if (a->in_room - a->in_at < CEASEI_ANSWER_READ_ROOM) {
                e = grow(a, a->in_room + CEASEI_ANSWER_READ_ROOM);
            }
            find_body(a);
            make_texts(a);
            return e;
        }
    }
    return CEASE_EPROTO;
}

/* ---- the body ---- */

void ceasei_answer_settle(struct cease_http_answer *a)
{
    if (a->link && a->ended && a->link->multi && ceasei_upload_done(a)) {
        leave(a);
    } else if (a->link && a->ended && ceasei_upload_done(a)) {
        struct ceasei_link *l = a->link;
        a->link = NULL;
        if (a->reusable && !a->unsent && a->in_at == a->in_size && ceasei_link_is_quiet(l)) {
            ceasei_pool_put(l);
        } else {
            ceasei_link_close(l);
        }
    }
}

static cease_error fails(struct cease_http_answer *a, cease_error e)
{
    cease_error own = ceasei_upload_error(a);
    bool cut = e == CEASE_ECLOSED || (a->exchange && (e == CEASE_EPIPE || e == CEASE_EAGAIN));
    a->error = own != CEASE_OK ? own : cut ? CEASE_ECONNRESET : e;
    return a->error;
}

/* What a failed read of the connection means for the body. */
static cease_error read_failed(cease_ctx *ctx, struct cease_http_answer *a, cease_error e)
{
    if (cease_err(ctx) != CEASE_OK && cease_err(ctx) == e) {
        return e; /* nothing was lost */
    }
    return fails(a, e == CEASE_EOF ? CEASE_EPROTO : e);
}

/* LENGTH and UNTIL_END. */
static cease_error read_plain(cease_ctx *ctx, struct cease_http_answer *a, char *buf, size_t size,
                              size_t *ret_count)
{
    size_t n = a->in_size - a->in_at;
    bool counted = a->body == CEASEI_ANSWER_LENGTH;
    size = counted && a->left < size ? (size_t)a->left : size;
    if (n > 0) {
        n = n < size ? n : size;
        memcpy(buf, a->in + a->in_at, n);
        a->in_at += n;
    } else {
        cease_error e = a->exchange ? a->link->multi->read(ctx, a->exchange, buf, size, &n)
                                    : ceasei_link_read(ctx, a->link, buf, size, &n);
        if (e == CEASE_EOF && !counted) {
            a->ended = true;
            e = a->exchange ? ceasei_answer_take_trailers(a) : CEASE_OK;
            return e == CEASE_OK ? CEASE_EOF : fails(a, e);
        }
        if (e != CEASE_OK) {
            return read_failed(ctx, a, e);
        }
    }
    a->left -= counted ? n : 0;
    a->ended = counted && a->left == 0;
    *ret_count = n;
    return CEASE_OK;
}

/* A span of a chunked body, in place, of at most `most` bytes. */
static cease_error next_span(cease_ctx *ctx, struct cease_http_answer *a, size_t most,
                             const char **ret, size_t *ret_size)
{
    for (;;) {
        size_t used = 0;
        size_t span = 0;
        struct ceasei_http_chunks before = a->chunks;
        const char *at = a->in + a->in_at;
        enum ceasei_http_chunk c =
            ceasei_http_chunks_next(&a->chunks, at, a->in_size - a->in_at, &used, &span);
        if (c == CEASEI_HTTP_CHUNK_DATA && span > most) { /* take less of it */
            a->chunks = before;
            c = ceasei_http_chunks_next(&a->chunks, at, used + most, &used, &span);
        }
        a->in_at += used;
        if (c == CEASEI_HTTP_CHUNK_DATA) {
            *ret = a->in + a->in_at;
            *ret_size = span;
            a->in_at += span;
            return CEASE_OK;
        }
        size_t keep = a->chunks.trailer; /* what has come of that section */
        if (c == CEASEI_HTTP_CHUNK_BAD || keep >= CEASEI_ANSWER_READ_ROOM) {
            return fails(a, CEASE_EPROTO);
        }
        if (c == CEASEI_HTTP_CHUNK_END) {
            a->ended = true;
            a->trailers = a->in + a->in_at - keep;
            a->trailers_size = keep;
            return CEASE_EOF;
        }
        /* all consumed: read again behind the head */
        memmove(a->in + a->head.line, a->in + a->in_at - keep, keep);
        a->in_at = a->in_size = a->head.line + keep;
        cease_error e = fill(ctx, a);
        if (e != CEASE_OK) {
            return read_failed(ctx, a, e);
        }
    }
}

/* The body as it was sent. CEASE_EOF only when nothing is left. */
static cease_error read_sent(cease_ctx *ctx, struct cease_http_answer *a, char *buf, size_t size,
                             size_t *ret_count)
{
    if (a->ended) {
        return CEASE_EOF;
    }
    if (a->body != CEASEI_ANSWER_CHUNKED) {
        return read_plain(ctx, a, buf, size, ret_count);
    }
    const char *span;
    cease_error e = next_span(ctx, a, size, &span, ret_count);
    if (e == CEASE_OK) {
        memcpy(buf, span, *ret_count);
    }
    return e;
}

/* ---- unpacking ---- */

static void hide_field(struct cease_http_answer *a, const char *name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->head.field_count; i++) {
        if (strcasecmp(a->in + a->fields[i].name, name) != 0) {
            a->fields[kept++] = a->fields[i];
        }
    }
    a->head.field_count = kept;
}

cease_error ceasei_answer_unpack(struct cease_http_answer *a)
{
    const char *coding = cease_http_answer_header(a, "Content-Encoding");
    if (!coding || a->ended ||
        (strcasecmp(coding, "gzip") != 0 && strcasecmp(coding, "x-gzip") != 0)) {
        return CEASE_OK;
    }
    a->gunzip = ceasei_gunzip_new();
    if (!a->gunzip) {
        return CEASE_ENOMEM;
    }
    hide_field(a, "Content-Encoding");
    hide_field(a, "Content-Length");
    return CEASE_OK;
}

/* Gets more packed bytes. */
static cease_error feed(cease_ctx *ctx, struct cease_http_answer *a)
{
    if (a->ended) {
        return CEASE_EOF;
    }
    if (a->body == CEASEI_ANSWER_CHUNKED) {
        return next_span(ctx, a, a->in_room, &a->packed, &a->packed_size);
    }
    if (!a->pieces) {
        a->pieces = malloc(CEASEI_ANSWER_ROOM);
    }
    if (!a->pieces) {
        return CEASE_ENOMEM;
    }
    cease_error e = read_plain(ctx, a, a->pieces, CEASEI_ANSWER_ROOM, &a->packed_size);
    a->packed = a->pieces;
    return e;
}

static cease_error read_unpacked(cease_ctx *ctx, struct cease_http_answer *a, char *buf,
                                 size_t size, size_t *ret_count)
{
    for (;;) {
        size_t n = 0;
        cease_error e = ceasei_gunzip_next(a->gunzip, &a->packed, &a->packed_size, buf, size, &n);
        if (e != CEASE_OK) {
            return fails(a, e);
        }
        if (n > 0) {
            *ret_count = n;
            return CEASE_OK;
        }
        if (a->packed_size > 0) {
            continue; /* a member has ended, the next one begins */
        }
        e = feed(ctx, a);
        if (e == CEASE_EOF && !ceasei_gunzip_is_whole(a->gunzip)) {
            return fails(a, CEASE_EPROTO);
        }
        if (e != CEASE_OK) {
            a->packed_size = 0;
            return e;
        }
    }
}

/* ---- public ---- */

cease_error cease_http_answer_read(cease_ctx *ctx, cease_http_answer *a, void *buf, size_t size,
                                   size_t *ret_count)
{
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK || size == 0) {
        return e != CEASE_OK ? e : CEASE_EINVAL;
    }
    if (a->error != CEASE_OK) {
        return a->error;
    }
    size_t n = 0;
    e = a->gunzip ? read_unpacked(ctx, a, buf, size, &n) : read_sent(ctx, a, buf, size, &n);
    if (e == CEASE_EOF) {
        ceasei_answer_settle(a);
    }
    if (e != CEASE_OK) {
        return e;
    }
    if (a->max > 0 && n > a->max - a->total) {
        return fails(a, CEASE_EMSGSIZE);
    }
    a->total += n;
    *ret_count = n;
    return CEASE_OK;
}

int cease_http_answer_status(const cease_http_answer *a)
{
    return a->head.status;
}

const char *cease_http_answer_reason(const cease_http_answer *a)
{
    return a->in + a->head.reason;
}

const char *cease_http_answer_url(const cease_http_answer *a)
{
    return a->url;
}

bool cease_http_answer_header_at(const cease_http_answer *a, size_t index, const char **ret_name,
                                 const char **ret_value)
{
    if (index >= a->head.field_count) {
        return false;
    }
    *ret_name = a->in + a->fields[index].name;
    *ret_value = a->in + a->fields[index].value;
    return true;
}

const char *cease_http_answer_header(const cease_http_answer *a, const char *name)
{
    size_t size = strlen(name);
    for (uint32_t i = 0; i < a->head.field_count; i++) {
        const struct ceasei_http_field *f = &a->fields[i];
        if (ceasei_http_same(a->in + f->name, f->name_size, name, size)) {
            return a->in + f->value;
        }
    }
    return NULL;
}

const char *cease_http_answer_trailer(const cease_http_answer *a, const char *name)
{
    return ceasei_http_trailer_find(a->trailers, a->trailers_size, name);
}

/* ---- as a whole ---- */

/* A body that grows, with a NUL behind it. */
static cease_error read_whole(cease_ctx *ctx, struct cease_http_answer *a, char **ret,
                              size_t *ret_size)
{
    size_t room = 1024;
    size_t size = 0;
    if (a->body == CEASEI_ANSWER_LENGTH && !a->gunzip) {
        if (a->left > a->max) {
            return CEASE_EMSGSIZE;
        }
        room = a->left < 1024 * 1024 ? (size_t)a->left + 1 : 1024 * 1024;
    }
    char *data = malloc(room);
    cease_error e = data ? CEASE_OK : CEASE_ENOMEM;
    while (e == CEASE_OK) {
        size_t n = 0;
        if (a->ended && !a->gunzip) {
            ceasei_answer_settle(a);
            break;
        }
        if (room - size < 2) {
            char *grown = realloc(data, room * 2);
            if (!grown) {
                e = CEASE_ENOMEM;
                break;
            }
            data = grown;
            room *= 2;
        }
        e = cease_http_answer_read(ctx, a, data + size, room - size - 1, &n);
        size += e == CEASE_OK ? n : 0;
    }
    if (e != CEASE_OK && e != CEASE_EOF) {
        free(data);
        return e;
    }
    data[size] = '\0';
    *ret = data;
    *ret_size = size;
    return CEASE_OK;
}

/* Copies a piece of the head, NUL-terminated. */
static const char *copy(char **p, const char *text, size_t size)
{
    char *begin = *p;
    memcpy(begin, text, size);
    begin[size] = '\0';
    *p += size + 1;
    return begin;
}

cease_error ceasei_answer_reply(cease_ctx *ctx, struct cease_http_answer *a, cease_http_reply *ret)
{
    const struct ceasei_http_head *h = &a->head;
    size_t array = (h->field_count + 1) * sizeof(cease_http_header);
    size_t text = h->reason_size + 1;
    char *body;
    size_t body_size;
    cease_error e = read_whole(ctx, a, &body, &body_size);
    if (e != CEASE_OK) {
        return e;
    }
    for (uint32_t i = 0; i < h->field_count; i++) {
        text += a->fields[i].name_size + 1u + a->fields[i].value_size + 1u;
    }
    cease_http_header *list = malloc(array + text);
    if (!list) {
        free(body);
        return CEASE_ENOMEM;
    }
    char *p = (char *)list + array;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct ceasei_http_field *f = &a->fields[i];
        list[i].name = copy(&p, a->in + f->name, f->name_size);
        list[i].value = copy(&p, a->in + f->value, f->value_size);
    }
    list[h->field_count] = (cease_http_header){NULL, NULL};
    *ret = (cease_http_reply){.status = h->status,
                              .reason = copy(&p, a->in + h->reason, h->reason_size),
                              .headers = list,
                              .body = body,
                              .body_size = body_size,
                              .memory_ = list};
    return CEASE_OK;
}
