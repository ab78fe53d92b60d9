/* SPDX-License-Identifier: MIT
 *
 * http1_send.c: a response as HTTP/1.1 has it.
 *
 * A body whose length is not known with its head is sent in chunks, to HTTP/1.0 clients until the
 * connection closes. A part is one system call. Time: a write first tries; only when the client does not
 * take it does it wait, and only then is a context for that wait made.
 */
#include "base/atomic.h"
#include "http/http1.h"

#include <string.h>

enum { PIECES = 10, SMALL = 1024 };

/* ---- the socket ---- */

static void drop_front(struct iovec *iov, int *count, size_t done)
{
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
        done -= skip;
        if (iov[i].iov_len > skip) {
            iov[kept].iov_base = (char *)iov[i].iov_base + skip;
            iov[kept++].iov_len = iov[i].iov_len - skip;
        }
    }
    *count = kept;
}

cease_error ceasei_http1_write(struct ceasei_http1 *h, cease_ctx *ctx, const struct iovec *iov,
                               int count, size_t *ret_count)
{
    *ret_count = 0;
    cease_error e = ctx ? cease_err(ctx) : CEASE_OK;
    if (e != CEASE_OK) {
        return e;
    }
    e = ceasei_http_connection_try_write(h->connection, iov, count, ret_count);
    if (e == CEASE_EAGAIN) {
        struct ceasei_http_budget budget;
        struct iovec rest[PIECES];
        size_t more = 0;
        memcpy(rest, iov, (size_t)count * sizeof *iov);
        drop_front(rest, &count, *ret_count);
        cease_ctx *limited = ceasei_http_budget_begin(&h->x, ctx, &budget);
        e = ceasei_http_connection_write(limited, h->connection, rest, count, &more);
        e = ceasei_http_budget_end(&h->x, &budget, e);
        *ret_count += more;
    }
    return e;
}

/* ---- the response ---- */

static bool wants_more(const struct ceasei_http1 *h)
{
    return h->head.minor > 0 ? !h->head.close : h->head.keep_alive && !h->head.close;
}

/* Whether what is left of the request keeps the connection from being used again, as far as it is known
 * when the response's head is sent. */
static bool body_is_in_the_way(const struct ceasei_http1 *h)
{
    /* a client that was not told to go on sends its body, or not: nobody can know */
    return h->expects || h->x.req.body_error != CEASE_OK ||
           (h->body == CEASEI_BODY_LENGTH && h->body_left > CEASEI_HTTP_SKIP_MAX);
}

/* Status line and our own fields; the handler's and the empty line follow it. */
static size_t put_head(struct ceasei_http1 *h, char head[SMALL],
                       const struct ceasei_http_part *part)
{
    struct cease_http_response *res = &h->x.res;
    bool old = h->head.minor == 0;
    char *p = head;
    if (res->status == 200) {
        p = ceasei_put_text(p, "HTTP/1.1 200 OK\r\nDate: ");
    } else {
        p = ceasei_put_number(ceasei_put_text(p, "HTTP/1.1 "), (uint64_t)res->status, 10);
        p = ceasei_put_text(ceasei_put_text(p, " "), ceasei_http_reason(res->status));
        p = ceasei_put_text(p, "\r\nDate: ");
    }
    p = ceasei_put_text(ceasei_put_date(p), "\r\n");
    h->chunked = false;
    bool trailers = part->body && part->last && res->trailers_size > 0 && !old;
    if (res->length_given && res->status != 204 && res->status != 304 && !trailers) {
        p = ceasei_put_number(ceasei_put_text(p, "Content-Length: "), res->length, 10);
        p = ceasei_put_text(p, "\r\n");
    } else if (res->status == 204 || res->status == 304) {
        /* nothing follows, and no length is said (RFC 9110, 8.6) */
    } else if (!old) {
        h->chunked = part->body;
        p = ceasei_put_text(p, "Transfer-Encoding: chunked\r\n");
    } else {
        res->close = true;
    }
    if (!wants_more(h) || body_is_in_the_way(h) || cease_done(h->x.run->idle)) {
        res->close = true;
    }
    if (res->close) {
        p = ceasei_put_text(p, "Connection: close\r\n");
    } else if (old) {
        p = ceasei_put_text(p, "Connection: keep-alive\r\n");
    }
    return (size_t)(p - head);
}

static struct iovec *piece(struct iovec *p, const char *data, size_t size)
{
    if (size > 0) {
        *p++ = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    }
    return p;
}

/* Makes one piece of several small ones: copying them costs less than telling the kernel of each. The first
 * may be in `small` already. */
static int join(struct iovec iov[PIECES], int count, char small[SMALL])
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += iov[i].iov_len;
    }
    if (count < 2 || size > SMALL) {
        return count;
    }
    int first = iov[0].iov_base == small ? 1 : 0;
    char *p = first ? small + iov[0].iov_len : small;
    for (int i = first; i < count; i++) {
        p = ceasei_put(p, iov[i].iov_base, iov[i].iov_len);
    }
    iov[0] = (struct iovec){.iov_base = small, .iov_len = size};
    return 1;
}

cease_error ceasei_http1_send(cease_ctx *ctx, struct ceasei_http_exchange *x,
                              const struct ceasei_http_part *part, size_t *ret_taken)
{
    struct ceasei_http1 *h = (struct ceasei_http1 *)x;
    char chunk[24];
    char small[SMALL];
    struct iovec iov[PIECES];
    struct iovec *p = iov;
    size_t body = part->data[0].iov_len + part->data[1].iov_len;
    size_t before = 0;
    if (part->head) {
        before = put_head(h, small, part);
        p = piece(p, small, before);
        p = piece(p, x->res.fields, x->res.fields_size);
        p = piece(p, "\r\n", 2);
        before += x->res.fields_size + 2;
    }
    if (body > 0) {
        size_t size = 0;
        if (h->chunked) {
            size = (size_t)(ceasei_put_text(ceasei_put_number(chunk, body, 16), "\r\n") - chunk);
            p = piece(p, chunk, size);
        }
        before += size;
        p = piece(p, part->data[0].iov_base, part->data[0].iov_len);
        p = piece(p, part->data[1].iov_base, part->data[1].iov_len);
        p = piece(p, "\r\n", h->chunked ? 2 : 0);
    }
    if (part->last && h->chunked) {
        p = piece(p, "0\r\n", 3);
        p = piece(p, x->res.trailers, x->res.trailers_size);
        p = piece(p, "\r\n", 2);
    }
    size_t n = 0;
    int count = join(iov, (int)(p - iov), small);
    cease_error e = count > 0 ? ceasei_http1_write(h, ctx, iov, count, &n) : CEASE_OK;
    size_t taken = n > before ? n - before : 0;
    *ret_taken = taken < body ? taken : body;
    return e;
}
