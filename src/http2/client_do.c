/* SPDX-License-Identifier: MIT
 *
 * client_do.c: one whole request and its response, on a stream of a client.
 */
#include "http2/client.h"

#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 16 * 1024 * 1024, PIECE = 16 * 1024 };

/* A body that grows, with a NUL behind it. */
struct body {
    char *data;
    size_t size, room;
};

static cease_error make_room(struct body *b, size_t max)
{
    if (b->room - b->size > 1) {
        return CEASE_OK;
    }
    if (b->size >= max) {
        return CEASE_EMSGSIZE;
    }
    size_t room = b->size < PIECE ? b->size * 2 + 1024 : b->size * 2;
    room = room <= max ? room : max + 1;
    char *grown = realloc(b->data, room);
    if (!grown) {
        return CEASE_ENOMEM;
    }
    b->data = grown;
    b->room = room;
    return CEASE_OK;
}

static cease_error read_body(cease_ctx *ctx, cease_http2_stream *s, struct body *b, size_t max)
{
    cease_error e = CEASE_OK;
    while (e == CEASE_OK) {
        size_t n = 0;
        char over;
        e = make_room(b, max);
        if (e == CEASE_EMSGSIZE) { /* full: the end may be next */
            e = cease_http2_stream_read(ctx, s, &over, 1, &n);
            e = e == CEASE_OK ? CEASE_EMSGSIZE : e;
        } else if (e == CEASE_OK) {
            e = cease_http2_stream_read(ctx, s, b->data + b->size, b->room - b->size - 1, &n);
            b->size += e == CEASE_OK ? n : 0;
        }
    }
    if (e == CEASE_EOF) {
        b->data[b->size] = '\0';
        return CEASE_OK;
    }
    return e;
}

static char *copy(char **p, const char *text)
{
    size_t size = strlen(text) + 1;
    char *begin = memcpy(*p, text, size);
    *p += size;
    return begin;
}

/* The header fields as a reply has them: an array and its texts in one block. */
static cease_http_header *copy_headers(const cease_http2_stream *s)
{
    const char *name;
    const char *value;
    size_t count = 0;
    size_t text = 0;
    for (; cease_http2_stream_header_at(s, count, &name, &value); count++) {
        text += strlen(name) + strlen(value) + 2;
    }
    cease_http_header *list = malloc((count + 1) * sizeof *list + text);
    if (!list) {
        return NULL;
    }
    char *p = (char *)(list + count + 1);
    for (size_t i = 0; cease_http2_stream_header_at(s, i, &name, &value); i++) {
        list[i].name = copy(&p, name);
        list[i].value = copy(&p, value);
    }
    list[count] = (cease_http_header){NULL, NULL};
    return list;
}

static cease_error read_reply(cease_ctx *ctx, cease_http2_stream *s, const cease_http_call *call,
                              cease_http_reply *ret)
{
    struct body b = {0};
    cease_http_header *headers = NULL;
    int status = 0;
    cease_error e = cease_http2_stream_wait(ctx, s, &status);
    if (e == CEASE_OK) {
        e = read_body(ctx, s, &b, call->reply_max != 0 ? call->reply_max : REPLY_MAX);
    }
    if (e == CEASE_OK) {
        headers = copy_headers(s);
        e = headers ? CEASE_OK : CEASE_ENOMEM;
    }
    if (e != CEASE_OK) {
        free(b.data);
        return e;
    }
    *ret = (cease_http_reply){.status = status,
                              .reason = "",
                              .headers = headers,
                              .body = b.data,
                              .body_size = b.size,
                              .memory_ = headers};
    return CEASE_OK;
}

/* ---- a body of a function: sent by a task, while the response comes in ---- */

struct sending {
    cease_http2_stream *s;
    const cease_http_call *call;
    cease_error error; /* what the function said; CEASE_OK: nothing is wrong with the body */
};

/* Sends what the function gives until its end. *ret_body: the error is the body's. */
static cease_error send_all(cease_ctx *ctx, struct sending *b, bool *ret_body)
{
    const cease_http_call *call = b->call;
    uint64_t left = call->body_length;
    char piece[PIECE];
    cease_error e = CEASE_OK;
    while (e == CEASE_OK) {
        size_t n = 0;
        *ret_body = true;
        e = call->body_read(ctx, call->body_arg, piece, sizeof piece, &n);
        if (e == CEASE_OK && (n == 0 || n > sizeof piece || (call->body_length > 0 && n > left))) {
            return CEASE_EINVAL;
        }
        left -= e == CEASE_OK && call->body_length > 0 ? n : 0;
        if (e == CEASE_OK) {
            *ret_body = false;
            e = cease_http2_stream_write(ctx, b->s, piece, n);
        }
    }
    if (e == CEASE_EOF && *ret_body) {
        *ret_body = left > 0; /* less than was promised */
        return left > 0 ? CEASE_EINVAL : cease_http2_stream_end(ctx, b->s, NULL);
    }
    return e;
}

static cease_error send_task(cease_ctx *ctx, void *arg)
{
    struct sending *b = arg;
    bool body = false;
    cease_error e = send_all(ctx, b, &body);
    if (e != CEASE_OK && body) {
        b->error = e;
        ceasei_h2_stream_give_up(b->s);
    }
    return CEASE_OK; /* a server that does not read on may have answered why */
}

static cease_error send_and_read(cease_ctx *ctx, cease_http2_stream *s, const cease_http_call *call,
                                 cease_http_reply *ret)
{
    struct sending b = {.s = s, .call = call};
    cease_http_reply reply = {0};
    cease_group *g = cease_group_new(ctx, NULL);
    cease_error e = g ? cease_group_go(g, send_task, &b) : CEASE_ENOMEM;
    if (e == CEASE_OK) {
        e = read_reply(ctx, s, call, &reply);
    }
    cease_group_free(g); /* cancels what is not sent, and joins */
    if (e == CEASE_OK) {
        *ret = reply;
        return e;
    }
    return b.error != CEASE_OK && cease_err(ctx) == CEASE_OK ? b.error : e;
}

cease_error cease_http2_do(cease_ctx *ctx, cease_http2_client *c, const cease_http_call *call,
                           cease_http_reply *ret)
{
    cease_http2_stream *s;
    bool asks = call->body_read;
    bool lends = !asks && call->body && call->body_size > 0;
    cease_error e = cease_http2_stream_open(ctx, c, call, !lends && !asks, &s);
    if (e != CEASE_OK) {
        return e;
    }
    if (lends) { /* goes out while the response comes in: a server may answer as it reads */
        ceasei_h2_stream_lend(s, call->body, call->body_size);
    }
    e = asks ? send_and_read(ctx, s, call, ret) : read_reply(ctx, s, call, ret);
    cease_http2_stream_close(s);
    return e;
}
