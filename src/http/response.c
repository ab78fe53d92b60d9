/* SPDX-License-Identifier: MIT
 *
 * response.c: a response as it is written: buffered while it fits, then sent in pieces.
 *
 * Nothing is sent before the handler returns unless the buffer is full or it asks for a flush, so that
 * a small response goes out in one system call with its Content-Length, and an error can still replace
 * what was buffered. What is sent in between is chunked (HTTP/1.1), or ends with the connection
 * (HTTP/1.0), unless the handler has given a Content-Length.
 *
 * Time: a write first tries; only when the client does not take it does it wait, under a context that
 * ends with what is left of the response's write budget. During the handler that context is also a
 * child of the handler's; afterwards of the run's last one, since a page that says that the deadline
 * is over must not fail because it is.
 */
#include "http/server.h"

#include "base/lock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

const char *ceasei_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } table[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].status == status) {
            return table[i].reason;
        }
    }
    return "";
}

/* ---- text ---- */

static char *put(char *p, const char *text, size_t size)
{
    memcpy(p, text, size);
    return p + size;
}

static char *put_text(char *p, const char *text)
{
    return put(p, text, strlen(text));
}

static char *put_number(char *p, uint64_t n, unsigned base)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    while (count > 0) {
        *p++ = digits[--count];
    }
    return p;
}

enum { DATE_SIZE = sizeof "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" - 1 };

static char *put_two(char *p, int64_t n)
{
    *p++ = (char)('0' + n / 10 % 10);
    *p++ = (char)('0' + n % 10);
    return p;
}

/* The Date field for a time since 1970. Not by gmtime_r, which reads TZ, locks and allocates: days to
 * year, month and day as in Howard Hinnant's "chrono-compatible low-level date algorithms". */
static void make_date(char text[DATE_SIZE], int64_t seconds)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */
    static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    int64_t day = seconds / 86400 + 719468; /* since the first of March of the year 0 */
    int64_t era = day / 146097;
    int64_t of_era = day % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    year += era * 400 + (month >= 10);
    char *p = put(put_text(text, "Date: "), days + 3 * (seconds / 86400 % 7), 3);
    p = put_two(put_text(p, ", "), of_year - (153 * month + 2) / 5 + 1);
    *p++ = ' ';
    p = put(p, months + 3 * month, 3);
    *p++ = ' ';
    p = put_two(put_two(p, year / 100), year % 100);
    *p++ = ' ';
    p = put_two(p, seconds / 3600 % 24);
    *p++ = ':';
    p = put_two(p, seconds / 60 % 60);
    *p++ = ':';
    p = put_two(p, seconds % 60);
    put_text(p, " GMT\r\n");
}

/* The Date field, made once a second. The time of day is for people, so it comes from the system and
 * not from the clock that tests may replace. */
static char *put_date(char *p)
{
    static struct {
        struct ceasei_lock lock;
        int64_t second; /* under lock, as is text */
        char text[DATE_SIZE];
    } cache;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    ceasei_lock(&cache.lock);
    if (cache.second != now.tv_sec) {
        make_date(cache.text, now.tv_sec);
        cache.second = now.tv_sec;
    }
    p = put(p, cache.text, DATE_SIZE);
    ceasei_unlock(&cache.lock);
    return p;
}

/* ---- the socket ---- */

static size_t left_of(struct iovec *iov, int *count, size_t done)
{
    size_t left = 0;
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
        done -= skip;
        if (iov[i].iov_len > skip) {
            iov[kept].iov_base = (char *)iov[i].iov_base + skip;
            iov[kept++].iov_len = iov[i].iov_len - skip;
            left += iov[i].iov_len - skip;
        }
    }
    *count = kept;
    return left;
}

/* Waits for the client to take the rest. */
static cease_error send_slowly(struct ceasei_http_exchange *x, cease_ctx *ctx,
                               const struct iovec *iov, int count, size_t *ret_count)
{
    cease_ctx *parent = ctx ? ctx : x->run->final;
    cease_time begin = cease_now();
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(parent, x->write_left, &stop);
    cease_error e = cease_conn_writev(limited, x->conn, iov, count, ret_count);
    cease_end(stop);
    if (e != CEASE_OK && cease_err(parent) == CEASE_OK && e == CEASE_EDEADLINE) {
        e = CEASE_ETIMEDOUT;
    }
    if (x->write_left.ns != INT64_MAX) {
        x->write_left.ns -= cease_time_sub(cease_now(), begin).ns;
    }
    return e;
}

cease_error ceasei_http_send(struct ceasei_http_exchange *x, cease_ctx *ctx,
                             const struct iovec *iov, int count, size_t *ret_count)
{
    *ret_count = 0;
    cease_error e = ctx ? cease_err(ctx) : CEASE_OK;
    if (e != CEASE_OK) {
        return e;
    }
    e = cease_conn_try_writev(x->conn, iov, count, ret_count);
    if (e == CEASE_EAGAIN) {
        struct iovec rest[8];
        size_t more = 0;
        memcpy(rest, iov, (size_t)count * sizeof *iov);
        left_of(rest, &count, *ret_count);
        e = send_slowly(x, ctx, rest, count, &more);
        *ret_count += more;
    }
    return e;
}

/* ---- the response ---- */

void ceasei_http_response_begin(struct ceasei_http_exchange *x)
{
    struct cease_http_response *res = &x->res;
    res->stage = CEASEI_RES_OPEN;
    res->status = 200;
    res->touched = res->chunked = res->length_given = res->close = false;
    res->no_body = false;
    res->length = res->total = res->sent = 0;
    res->error = CEASE_OK;
    res->fields_size = res->body_size = 0;
    res->x = x;
    x->write_left = x->server->opts.write_budget;
}

cease_error cease_http_response_status(cease_http_response *res, int status)
{
    if (status < 200 || status > 599) {
        return CEASE_EINVAL;
    }
    if (res->stage != CEASEI_RES_OPEN) {
        return CEASE_EBUSY;
    }
    res->status = status;
    res->touched = true;
    return CEASE_OK;
}

static cease_error set_length(struct cease_http_response *res, const char *value)
{
    uint64_t n = 0;
    size_t size = strlen(value);
    if (size == 0 || size > 18 || strspn(value, "0123456789") != size || res->length_given) {
        return CEASE_EINVAL;
    }
    for (; *value; value++) {
        n = n * 10 + (uint64_t)(*value - '0');
    }
    res->length = n;
    res->length_given = true;
    return CEASE_OK;
}

cease_error cease_http_response_header(cease_http_response *res, const char *name,
                                       const char *value)
{
    size_t name_size = strlen(name);
    size_t size = strlen(value);
    if (!ceasei_http_is_name(name, name_size) || !ceasei_http_is_value(value, size)) {
        return CEASE_EINVAL;
    }
    if (res->stage != CEASEI_RES_OPEN) {
        return CEASE_EBUSY;
    }
    res->touched = true;
    if (strcasecmp(name, "Connection") == 0 && strcasecmp(value, "close") == 0) {
        res->close = true;
        return CEASE_OK;
    }
    if (strcasecmp(name, "Content-Length") == 0) {
        return set_length(res, value);
    }
    if (strcasecmp(name, "Connection") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
        strcasecmp(name, "Date") == 0) {
        return CEASE_EINVAL;
    }
    if (name_size > CEASEI_HTTP_FIELD_ROOM || size > CEASEI_HTTP_FIELD_ROOM ||
        res->fields_size + name_size + size + 4 > CEASEI_HTTP_FIELD_ROOM) {
        return CEASE_EMSGSIZE;
    }
    char *p = res->fields + res->fields_size;
    p = put(put(p, name, name_size), ": ", 2);
    p = put(put(p, value, size), "\r\n", 2);
    res->fields_size = (size_t)(p - res->fields);
    return CEASE_OK;
}

enum { HEAD_ROOM = 256 };

static bool status_has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* Status line and our own fields; the handler's and the empty line follow it. `last`: the whole body
 * is there, so its length is known. */
static size_t put_head(struct cease_http_response *res, char head[HEAD_ROOM], bool last)
{
    const struct ceasei_http_exchange *x = res->x;
    bool old = x->head.minor == 0;
    char *p = put_text(head, "HTTP/1.1 ");
    p = put_number(p, (uint64_t)res->status, 10);
    *p++ = ' ';
    p = put_text(put_text(p, ceasei_http_reason(res->status)), "\r\n");
    p = put_date(p);
    if (status_has_no_body(res->status)) {
        res->no_body = true; /* and no length either (RFC 9110, 8.6) */
    } else if (res->length_given || last) {
        p = put_text(p, "Content-Length: ");
        p = put_text(put_number(p, res->length_given ? res->length : res->total, 10), "\r\n");
    } else if (!old) {
        res->chunked = true;
        p = put_text(p, "Transfer-Encoding: chunked\r\n");
    } else {
        res->close = true;
    }
    if (ceasei_load(&x->run->draining, RELAXED)) {
        res->close = true;
    }
    if (res->close) {
        p = put_text(p, "Connection: close\r\n");
    } else if (old) {
        p = put_text(p, "Connection: keep-alive\r\n");
    }
    return (size_t)(p - head);
}

static cease_error breaks(struct cease_http_response *res, cease_error e, cease_ctx *ctx)
{
    if (ctx && cease_err(ctx) == e) {
        /* the handler's own context: whoever ended it has given the cause */
    } else {
        cease_cancel_cause(res->x->stop, CEASE_EPIPE, "the response could not be written: %s",
                           cease_strerror(e));
    }
    res->stage = CEASEI_RES_BROKEN;
    res->error = e;
    res->close = true;
    return e;
}

static struct iovec *piece(struct iovec *p, const char *data, size_t size)
{
    if (size > 0) {
        *p++ = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    }
    return p;
}

/* Sends the head if it has not been sent, what is buffered, and `extra`; the end, when `last`. */
static cease_error send_part(struct cease_http_response *res, cease_ctx *ctx, const char *extra,
                             size_t extra_size, bool last)
{
    char head[HEAD_ROOM];
    char chunk[24];
    struct iovec iov[8];
    struct iovec *p = iov;
    bool dropped = res->no_body;
    size_t body = res->body_size + extra_size;
    size_t before = 0;
    if (res->stage == CEASEI_RES_OPEN) {
        before = put_head(res, head, last);
        p = piece(p, head, before);
        p = piece(p, res->fields, res->fields_size);
        p = piece(p, "\r\n", 2);
        before += res->fields_size + 2;
        dropped = res->no_body;
        res->stage = CEASEI_RES_HEAD_SENT;
    }
    body = dropped ? 0 : body;
    if (body > 0) {
        size_t size = 0;
        if (res->chunked) {
            size = (size_t)(put_text(put_number(chunk, body, 16), "\r\n") - chunk);
            p = piece(p, chunk, size);
        }
        before += size;
        p = piece(piece(p, res->body, res->body_size), extra, extra_size);
        p = piece(p, "\r\n", res->chunked ? 2 : 0);
    }
    p = piece(p, "0\r\n\r\n", last && res->chunked && !dropped ? 5 : 0);
    res->body_size = 0;
    size_t n = 0;
    cease_error e = ceasei_http_send(res->x, ctx, iov, (int)(p - iov), &n);
    size_t taken = n > before ? n - before : 0;
    res->sent += taken < body ? taken : body;
    return e == CEASE_OK ? e : breaks(res, e, ctx);
}

/* Whether a write or flush may go on. */
static cease_error check_open(const struct cease_http_response *res)
{
    return res->stage == CEASEI_RES_BROKEN  ? res->error
           : res->stage == CEASEI_RES_ENDED ? CEASE_EBUSY
                                            : CEASE_OK;
}

cease_error cease_http_response_write(cease_ctx *ctx, cease_http_response *res, const void *data,
                                      size_t size)
{
    cease_error e = check_open(res);
    if (e != CEASE_OK) {
        return e;
    }
    if (res->length_given && size > res->length - res->total) {
        return CEASE_EINVAL;
    }
    res->touched = true;
    if (res->no_body || size == 0) {
        res->total += size;
        return CEASE_OK;
    }
    if (size <= CEASEI_HTTP_BODY_ROOM - res->body_size) {
        memcpy(res->body + res->body_size, data, size);
        res->body_size += size;
        res->total += size;
        return CEASE_OK;
    }
    e = cease_err(ctx);
    if (e != CEASE_OK) {
        return e;
    }
    res->total += size;
    return send_part(res, ctx, data, size, false);
}

cease_error cease_http_response_print(cease_ctx *ctx, cease_http_response *res, const char *format,
                                      ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) {
        return CEASE_EINVAL;
    }
    if ((size_t)n < sizeof small) {
        return cease_http_response_write(ctx, res, small, (size_t)n);
    }
    char *large = malloc((size_t)n + 1);
    if (!large) {
        return CEASE_ENOMEM;
    }
    va_start(args, format);
    vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    cease_error e = cease_http_response_write(ctx, res, large, (size_t)n);
    free(large);
    return e;
}

cease_error cease_http_response_flush(cease_ctx *ctx, cease_http_response *res)
{
    cease_error e = check_open(res);
    if (e == CEASE_OK) {
        e = cease_err(ctx);
    }
    if (e != CEASE_OK) {
        return e;
    }
    res->touched = true;
    if (res->stage == CEASEI_RES_HEAD_SENT && res->body_size == 0) {
        return CEASE_OK;
    }
    return send_part(res, ctx, NULL, 0, false);
}

/* Sends the rest and the end, under ctx or NULL. */
static cease_error end(struct cease_http_response *res, cease_ctx *ctx)
{
    bool needed = res->stage == CEASEI_RES_OPEN || res->body_size > 0 || res->chunked;
    cease_error e = needed ? send_part(res, ctx, NULL, 0, true) : CEASE_OK;
    if (e == CEASE_OK) {
        res->stage = CEASEI_RES_ENDED;
    }
    return e;
}

cease_error cease_http_response_end(cease_ctx *ctx, cease_http_response *res)
{
    cease_error e = check_open(res);
    if (e == CEASE_OK) {
        e = cease_err(ctx);
    }
    if (e != CEASE_OK) {
        return e;
    }
    if (res->length_given && res->total < res->length && !res->no_body) {
        return CEASE_EINVAL;
    }
    return end(res, ctx);
}

cease_error ceasei_http_response_finish(struct cease_http_response *res)
{
    if (res->stage == CEASEI_RES_BROKEN) {
        return res->error;
    }
    return res->stage == CEASEI_RES_ENDED ? CEASE_OK : end(res, NULL);
}

void ceasei_http_response_page(struct cease_http_response *res, int status, const char *field)
{
    static const char type[] = "Content-Type: text/plain\r\n";
    res->status = status;
    res->length_given = false;
    char *p = put_text(put_text(res->fields, type), field);
    res->fields_size = (size_t)(p - res->fields);
    p = put_number(res->body, (uint64_t)status, 10);
    *p++ = ' ';
    p = put_text(put_text(p, ceasei_http_reason(status)), "\n");
    res->body_size = (size_t)(p - res->body);
    res->total = res->body_size;
}
