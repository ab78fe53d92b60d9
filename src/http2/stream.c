/* SPDX-License-Identifier: MIT
 *
 * stream.c: one HTTP/2 request as an exchange of the HTTP server: its carrier.
 *
 * The fields that nghttp2 has checked become a parsed head as HTTP/1.1 has it: pseudo fields make the
 * first line and Host, the crumbs of a cookie one field again. The response goes the other way: names in
 * small letters, no Connection, and the status as a pseudo field.
 *
 * Everything is on the stack of the stream's task. The call is touched by this task and, under the
 * connection's lock, by the one that reads.
 */
#include "http2/server.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIELDS = 256 + 1, /* as many as the server's limit can be, and Host */
    SCRATCH = 1024,   /* for a decoded path; longer ones come from the heap */
    PAIRS = 48,       /* header fields of a response; more come from the heap */
    OWN_PAIRS = 3,    /* :status, date, content-length */
    LINE_MIN = 5,     /* bytes of the shortest header field: "a: \r\n" */
};

struct stream {
    struct ceasei_http_exchange x; /* first: a carrier's function finds the rest by it */
    struct ceasei_h2_call *call;
    const struct ceasei_http_seam *seam;
    bool expects; /* 100 Continue is still to be sent */
    struct ceasei_http_head head;
    struct ceasei_http_field fields[FIELDS];
    char scratch[SCRATCH];
};

/* ---- the request ---- */

/* Most names are told apart by their size. */
static inline bool is(const struct ceasei_h2_block *b, const struct ceasei_h2_field *f,
                      const char *name, size_t size)
{
    return f->name_size == size && memcmp(b->text + f->name, name, size) == 0;
}

#define IS(f, quoted) is(b, (f), (quoted), sizeof(quoted) - 1)

static void set_target(struct ceasei_http_head *h, const struct ceasei_h2_block *b,
                       const struct ceasei_h2_field *f)
{
    const char *text = b->text + f->value;
    const char *mark = memchr(text, '?', f->value_size);
    h->target = h->path = f->value;
    h->target_size = f->value_size;
    h->path_size = mark ? (uint32_t)(mark - text) : f->value_size;
    h->query = f->value + f->value_size; /* "" */
    if (mark) {
        h->query = f->value + h->path_size + 1;
        h->query_size = f->value_size - h->path_size - 1;
    }
    h->form = strcmp(text, "*") == 0 ? CEASEI_HTTP_ASTERISK : CEASEI_HTTP_ORIGIN;
}

static void add_field(struct ceasei_http_head *h, uint32_t name, uint32_t name_size,
                      const struct ceasei_h2_field *f)
{
    if (h->field_count < FIELDS) {
        h->fields[h->field_count++] = (struct ceasei_http_field){.name = name,
                                                                 .name_size = (uint16_t)name_size,
                                                                 .value = f->value,
                                                                 .value_size = f->value_size};
    }
}

static void set_length(struct ceasei_http_head *h, const char *text)
{
    h->length = true; /* nghttp2 has seen that it is a number, and will hold the body to it */
    h->content_length = strtoull(text, NULL, 10);
}

/* What one field is for the server. */
static void take_field(struct stream *s, struct ceasei_h2_block *b, const struct ceasei_h2_field *f)
{
    struct ceasei_http_head *h = &s->head;
    if (IS(f, ":method")) {
        h->method = f->value;
        h->method_size = f->value_size;
    } else if (IS(f, ":path")) {
        set_target(h, b, f);
    } else if (IS(f, ":authority")) {
        h->host = true;
        h->authority = f->value;
        h->authority_size = f->value_size;
        memcpy(b->text + f->name, "host", sizeof "host"); /* in place of the longer name */
        add_field(h, f->name, 4, f);
    } else if (b->text[f->name] != ':') {
        if (IS(f, "host") && h->host) {
            return; /* :authority has said it */
        }
        if (IS(f, "content-length")) {
            set_length(h, b->text + f->value);
        } else if (IS(f, "expect")) {
            h->expect = strcmp(b->text + f->value, "100-continue") == 0;
        }
        add_field(h, f->name, f->name_size, f);
    }
}

static void make_head(struct stream *s)
{
    struct ceasei_h2_block *b = &s->call->s->head;
    struct ceasei_http_head *h = &s->head;
    memset(h, 0, sizeof *h);
    h->fields = s->fields;
    h->field_max = FIELDS;
    h->minor = 1;
    ceasei_h2_block_join(b, "cookie", "; "); /* RFC 9113, 8.2.3 */
    for (uint32_t i = 0; i < b->count; i++) {
        take_field(s, b, &b->fields[i]);
    }
    s->x.head = h;
    s->x.text = b->text;
}

/* ---- the carrier ---- */

static struct stream *stream_of(struct ceasei_http_exchange *x)
{
    return (struct stream *)x;
}

static nghttp2_nv pair(const char *name, size_t name_size, const char *value, size_t value_size)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = name_size,
                        .valuelen = value_size};
}

static cease_error say_continue(struct stream *s)
{
    const nghttp2_nv nv = pair(":status", 7, "100", 3);
    if (!s->expects || s->x.res.stage != CEASEI_RES_OPEN) {
        return CEASE_OK;
    }
    s->expects = false;
    return ceasei_h2_call_interim(s->call, &nv, 1);
}

static cease_error carry_read(cease_ctx *ctx, struct ceasei_http_exchange *x, void *buf,
                              size_t size, size_t *ret_count)
{
    struct stream *s = stream_of(x);
    cease_canceler *stop;
    cease_error e = say_continue(s);
    if (e == CEASE_OK) {
        e = ceasei_h2_call_try_read(s->call, buf, size, ret_count);
    }
    if (e == CEASE_EAGAIN) {
        cease_ctx *limited = s->seam->body_begin(&x->req, ctx, &stop);
        e = ceasei_h2_call_read(limited, s->call, buf, size, ret_count);
        e = s->seam->body_end(ctx, stop, e);
    }
    if (e == CEASE_ECONNRESET || e == CEASE_EPIPE) {
        ceasei_h2_call_say_end(s->call, x->stop);
        return CEASE_EPEERGONE;
    }
    return e;
}

/* Header fields as pairs, in the room below or on the heap. */
struct pairs {
    nghttp2_nv *nv;
    size_t count;
    nghttp2_nv room[PAIRS];
};

static bool pairs_init(struct pairs *p, const char *lines, size_t size)
{
    size_t count = OWN_PAIRS + size / LINE_MIN;
    if (count > PAIRS) { /* then it is worth to be counted */
        const char *end = lines + size;
        count = OWN_PAIRS;
        for (const char *at = lines; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
            count++;
        }
    }
    p->nv = count > PAIRS ? malloc(count * sizeof *p->nv) : p->room;
    p->count = 0;
    return p->nv != NULL;
}

static void pairs_deinit(struct pairs *p)
{
    if (p->nv != p->room) {
        free(p->nv);
    }
}

/* "Name: value\r\n" lines as pairs; their names become small letters where they stand. */
static void pairs_add(struct pairs *p, char *lines, size_t size)
{
    char *end = lines + size;
    while (lines < end) {
        char *colon = lines;
        for (; *colon != ':'; colon++) {
            *colon = *colon >= 'A' && *colon <= 'Z' ? (char)(*colon - 'A' + 'a') : *colon;
        }
        char *value_end = memchr(colon, '\r', (size_t)(end - colon));
        p->nv[p->count++] =
            pair(lines, (size_t)(colon - lines), colon + 2, (size_t)(value_end - colon - 2));
        lines = value_end + 2;
    }
}

/* The head of the response, then the piece; NULL: nothing follows. */
static cease_error send_head(struct stream *s, const struct ceasei_h2_piece *piece, bool *ret_waits)
{
    struct cease_http_response *res = &s->x.res;
    struct pairs p;
    char status[3];
    char length[24];
    char date[CEASEI_DATE_SIZE];
    if (!pairs_init(&p, res->fields, res->fields_size)) {
        return CEASE_ENOMEM;
    }
    status[0] = (char)('0' + res->status / 100); /* 200 to 599 */
    status[1] = (char)('0' + res->status / 10 % 10);
    status[2] = (char)('0' + res->status % 10);
    p.nv[p.count++] = pair(":status", 7, status, sizeof status);
    s->seam->put_date(date);
    p.nv[p.count++] = pair("date", 4, date, sizeof date);
    if (res->length_given && res->status != 204 && res->status != 304) {
        char *end = s->seam->put_number(length, res->length, 10);
        p.nv[p.count++] = pair("content-length", 14, length, (size_t)(end - length));
    }
    pairs_add(&p, res->fields, res->fields_size);
    cease_error e = ceasei_h2_call_send(s->call, p.nv, p.count, piece, ret_waits);
    pairs_deinit(&p);
    return e;
}

/* Sends it, and waits when it cannot be taken at once. */
static cease_error send_piece(cease_ctx *ctx, struct stream *s, bool head,
                              const struct ceasei_h2_piece *piece)
{
    bool waits = false;
    cease_error e =
        head ? send_head(s, piece, &waits) : ceasei_h2_call_send(s->call, NULL, 0, piece, &waits);
    if (waits) {
        struct ceasei_http_budget budget;
        cease_ctx *limited = s->seam->budget_begin(&s->x, ctx, &budget);
        e = ceasei_h2_call_flush(limited, s->call);
        e = s->seam->budget_end(&s->x, &budget, e);
    }
    return e;
}

static cease_error send_with_trailers(cease_ctx *ctx, struct stream *s, bool head,
                                      struct ceasei_h2_piece *piece)
{
    struct pairs p;
    if (!pairs_init(&p, s->x.res.trailers, s->x.res.trailers_size)) {
        return CEASE_ENOMEM;
    }
    pairs_add(&p, s->x.res.trailers, s->x.res.trailers_size);
    piece->trailers = p.nv;
    piece->trailer_count = p.count;
    cease_error e = send_piece(ctx, s, head, piece);
    pairs_deinit(&p);
    return e;
}

static cease_error carry_send(cease_ctx *ctx, struct ceasei_http_exchange *x,
                              const struct ceasei_http_part *part, size_t *ret_taken)
{
    struct stream *s = stream_of(x);
    size_t body = part->data[0].iov_len + part->data[1].iov_len;
    bool trailers = part->last && part->body && x->res.trailers_size > 0;
    bool head_only = !part->body || (part->head && part->last && body == 0 && !trailers);
    struct ceasei_h2_piece piece = {.iov = part->data, .count = 2, .end = part->last};
    size_t before = s->call->s->out_taken; /* changes only while something of ours is given */
    cease_error e = ctx ? cease_err(ctx) : CEASE_OK;
    if (e != CEASE_OK || (head_only && !part->head)) {
        return e;
    }
    if (trailers) {
        e = send_with_trailers(ctx, s, part->head, &piece);
    } else {
        e = send_piece(ctx, s, part->head, head_only ? NULL : &piece);
    }
    *ret_taken = s->call->s->out_taken - before;
    if (e == CEASE_ECONNRESET || e == CEASE_EPIPE) {
        ceasei_h2_call_say_end(s->call, x->stop);
    }
    return e;
}

static cease_error carry_guard(struct ceasei_http_exchange *x, bool half_closed)
{
    (void)half_closed; /* a client that has sent its request's end is not gone */
    ceasei_h2_call_guard(stream_of(x)->call, x->stop);
    return CEASE_OK;
}

static void carry_unguard(struct ceasei_http_exchange *x)
{
    ceasei_h2_call_unguard(stream_of(x)->call);
}

static const struct ceasei_http_carrier carrier = {
    .read = carry_read,
    .send = carry_send,
    .guard = carry_guard,
    .unguard = carry_unguard,
};

/* ---- one request ---- */

static void serve(struct stream *s)
{
    struct ceasei_h2_block *b = &s->call->s->head;
    char *heap = NULL;
    make_head(s);
    size_t room = 2 * ((size_t)s->head.path_size + 32);
    if (room > sizeof s->scratch) {
        heap = malloc(room);
    }
    s->x.scratch = heap ? heap : s->scratch;
    if (b->too_large || b->no_memory || (room > sizeof s->scratch && !heap)) {
        s->seam->exchange_refuse(&s->x, b->too_large ? 431 : 503, "the head is too large");
    } else if (s->head.target_size == 0) { /* CONNECT */
        s->seam->exchange_refuse(&s->x, 501, "CONNECT");
    } else {
        s->head.chunked = !s->head.length && !s->call->bodiless; /* a body of unknown length */
        s->expects = s->head.expect && !s->call->bodiless;
        s->seam->exchange_serve(&s->x);
    }
    free(heap);
}

void ceasei_h2_stream_serve(struct ceasei_h2_call *call, const struct ceasei_http_seam *seam,
                            struct ceasei_http_connection *c)
{
    struct stream s;
    s.call = call;
    s.seam = seam;
    s.expects = false;
    seam->exchange_init(&s.x, &carrier, c->run, c->conn);
    s.x.session = c->session;
    s.x.start = call->s->head_at;
    serve(&s);
    bool whole = s.x.res.stage == CEASEI_RES_ENDED;
    ceasei_h2_call_close(call, whole ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
}
