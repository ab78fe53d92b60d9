/* SPDX-License-Identifier: MIT
 *
 * upload.c: a request on its way out.
 *
 * A small request goes out in one system call, from the caller's task. What may take long (a body that a
 * function gives, or more of it than the kernel takes at once) is sent by a task of its own, while the
 * caller waits for the answer: a server may answer before it has read everything, or only answer as
 * it reads. The task works under a group of the caller's context, and is joined before the answer goes.
 *
 * A peer that does not read on (EPIPE, ECONNRESET) is no error of the upload: there may be an answer that
 * says why. When the body itself fails, nobody can complete the request; the connection is closed under
 * the reader, who then finds the reason here.
 *
 * A server that has read all of a body and answered is often faster than the task that sent the last byte,
 * and still has to say so. Who closes the answer then gives it a moment (PATIENCE naps), lest a good
 * connection is lost; but no more, since the server may have answered without reading.
 *
 * `state` is released by the task and acquired by the answer's; the rest of the struct is set before the
 * task starts, and `error` before `state`.
 */
#include "http/answer.h"

#include "base/atomic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64 * 1024, PIECE = 16 * 1024, PATIENCE = 20 };
enum state { RUNNING, LAST, DONE, CUT_OFF, FAILED }; /* RUNNING → LAST → DONE; or → the others */

struct ceasei_upload {
    cease_group *group;
    struct ceasei_link *link; /* the answer keeps it until this is joined, and the exchange */
    void *exchange;           /* of link->multi; NULL: HTTP/1.1 */
    const char *data;         /* of memory */
    size_t size;
    cease_http_body_fn *read; /* or of a function */
    void *arg;
    uint64_t length; /* 0: chunked */
    uint32_t state;  /* atomic */
    cease_error error;
};

static cease_error send_piece(cease_ctx *ctx, const struct ceasei_upload *u, const char *data,
                              size_t size, bool chunked)
{
    char line[24];
    size_t n = 0;
    if (u->exchange) {
        return u->link->multi->write(ctx, u->exchange, data, size, false);
    }
    struct iovec iov[3] = {{.iov_base = line},
                           {.iov_base = (void *)(uintptr_t)data, .iov_len = size},
                           {.iov_base = (void *)(uintptr_t) "\r\n", .iov_len = chunked ? 2 : 0}};
    iov[0].iov_len = chunked ? (size_t)snprintf(line, sizeof line, "%zx\r\n", size) : 0;
    return ceasei_link_write(ctx, u->link, iov, 3, &n);
}

/* What says that the body has ended. */
static cease_error send_end(cease_ctx *ctx, const struct ceasei_upload *u, bool chunked)
{
    size_t n = 0;
    const struct iovec end = {.iov_base = (void *)(uintptr_t) "0\r\n\r\n", .iov_len = 5};
    if (u->exchange) {
        return u->link->multi->write(ctx, u->exchange, NULL, 0, true);
    }
    return chunked ? ceasei_link_write(ctx, u->link, &end, 1, &n) : CEASE_OK;
}

/* Sends a body that a function gives. *ret_body: the error is the body's, not the connection's. */
static cease_error send_body(cease_ctx *ctx, struct ceasei_upload *u, bool *ret_body)
{
    char piece[PIECE];
    bool chunked = u->length == 0;
    uint64_t left = u->length;
    for (;;) {
        size_t n = 0;
        *ret_body = true;
        cease_error e = u->read(ctx, u->arg, piece, sizeof piece, &n);
        if (e == CEASE_EOF) {
            break;
        }
        if (e != CEASE_OK) {
            return e;
        }
        if (n == 0 || n > sizeof piece || (!chunked && n > left)) {
            return CEASE_EINVAL;
        }
        left -= chunked ? 0 : n;
        if (!chunked && left == 0) {
            ceasei_store(&u->state, LAST, RELAXED);
        }
        *ret_body = false;
        e = send_piece(ctx, u, piece, n, chunked);
        if (e != CEASE_OK) {
            return e;
        }
    }
    if (left > 0) {
        return CEASE_EINVAL; /* less than was promised */
    }
    *ret_body = false;
    ceasei_store(&u->state, LAST, RELAXED);
    return send_end(ctx, u, chunked);
}

static cease_error upload_task(cease_ctx *ctx, void *arg)
{
    struct ceasei_upload *u = arg;
    bool body = false;
    enum state state = DONE;
    cease_error e =
        u->read ? send_body(ctx, u, &body) : send_piece(ctx, u, u->data, u->size, false);
    if (e != CEASE_OK) {
        state = body ? FAILED : CUT_OFF;
        u->error = body ? e : CEASE_OK;
    }
    ceasei_store(&u->state, (uint32_t)state, RELEASE);
    if (body && u->exchange) {
        u->link->multi->give_up(u->exchange);
    } else if (e != CEASE_OK && !u->exchange &&
               (body || (e != CEASE_EPIPE && e != CEASE_ECONNRESET))) {
        cease_conn_close(cease_conn_ref(u->link->conn)); /* wakes the reader */
    }
    return CEASE_OK;
}

/* Hands the rest over to a task. */
static cease_error start_task(cease_ctx *ctx, struct cease_http_answer *a,
                              const struct ceasei_upload *rest)
{
    struct ceasei_upload *u = malloc(sizeof *u);
    cease_group *g = u ? cease_group_new(ctx, NULL) : NULL;
    if (!g) {
        free(u);
        return CEASE_ENOMEM;
    }
    *u = *rest;
    u->group = g;
    u->state = u->read ? RUNNING : LAST;
    cease_error e = cease_group_go(g, upload_task, u);
    if (e != CEASE_OK) {
        cease_group_free(g);
        free(u);
        return e;
    }
    a->upload = u;
    return CEASE_OK;
}

/* A body of a function, over a connection that cannot be read meanwhile. */
static cease_error send_first(cease_ctx *ctx, struct ceasei_upload *u, struct cease_http_answer *a)
{
    bool body = false;
    cease_error e = send_body(ctx, u, &body);
    if (e != CEASE_OK && body) {
        a->error = e; /* the answer to half a request is not asked for */
    }
    return e;
}

cease_error ceasei_upload_start(cease_ctx *ctx, struct cease_http_answer *a,
                                const cease_http_call *call, const char *head, size_t head_size,
                                bool *ret_sent)
{
    bool memory = call->body && !call->body_read;
    bool duplex = ceasei_link_is_duplex(a->link);
    size_t body_size = memory ? call->body_size : 0;
    struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)head, .iov_len = head_size},
                           {.iov_base = (void *)(uintptr_t)call->body, .iov_len = body_size}};
    int count = body_size > 0 ? 2 : 1;
    size_t n = 0;
    struct ceasei_upload rest = {.link = a->link,
                                 .read = call->body_read,
                                 .arg = call->body_arg,
                                 .length = call->body_length,
                                 .state = RUNNING};
    cease_error e;
    if (head_size + body_size == 0) {
        e = CEASE_OK; /* the head is out already, and the body is a function's */
    } else if (body_size <= AT_ONCE || !duplex) {
        e = ceasei_link_write(ctx, a->link, iov, count, &n);
    } else {
        e = cease_err(ctx);
        if (e == CEASE_OK && !a->link->session) {
            e = cease_conn_try_writev(a->link->conn, iov, count, &n);
        }
        if ((e == CEASE_EAGAIN || e == CEASE_OK) && n < head_size) {
            size_t more = 0; /* of the head, which must be out before a task takes over */
            iov[0].iov_base = (void *)(uintptr_t)(head + n);
            iov[0].iov_len = head_size - n;
            e = ceasei_link_write(ctx, a->link, iov, 1, &more);
            n += more;
        }
        if ((e == CEASE_EAGAIN || e == CEASE_OK) && n < head_size + body_size) {
            rest.data = (const char *)call->body + (n - head_size);
            rest.size = head_size + body_size - n;
            e = start_task(ctx, a, &rest);
        }
    }
    *ret_sent = n > 0;
    if (e == CEASE_OK && call->body_read) {
        e = duplex ? start_task(ctx, a, &rest) : send_first(ctx, &rest, a);
    }
    a->unsent = e != CEASE_OK;
    return e;
}

cease_error ceasei_upload_begin(cease_ctx *ctx, struct cease_http_answer *a,
                                const cease_http_call *call)
{
    const struct ceasei_upload all = {.link = a->link,
                                      .exchange = a->exchange,
                                      .read = call->body_read,
                                      .arg = call->body_arg,
                                      .length = call->body_length};
    return start_task(ctx, a, &all);
}

void ceasei_upload_linger(struct cease_http_answer *a)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (!a->upload || ceasei_load(&a->upload->state, RELAXED) != LAST) {
            return;
        }
        (void)cease_sleep(cease_background(), cease_us(50));
    }
}

bool ceasei_upload_done(struct cease_http_answer *a)
{
    return !a->upload || ceasei_load(&a->upload->state, ACQUIRE) == DONE;
}

cease_error ceasei_upload_error(struct cease_http_answer *a)
{
    if (!a->upload || ceasei_load(&a->upload->state, ACQUIRE) != FAILED) {
        return CEASE_OK;
    }
    return a->upload->error;
}

void ceasei_upload_stop(struct cease_http_answer *a)
{
    if (a->upload) {
        cease_group_free(a->upload->group);
        free(a->upload);
        a->upload = NULL;
    }
}
