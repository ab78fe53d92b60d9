/* SPDX-License-Identifier: MIT
 *
 * compress.c: responses in gzip, as a middleware.
 *
 * While a handler runs inside it, res->compress leads the response's writes here. Nothing is decided before
 * SMALL bytes have come, or a flush: what stays below is sent as it is. Then the head's fields, which
 * are complete by that time, say whether the body is worth it; from there on deflate's output is written in place
 * of the input, through the same functions, with res->compress taken away for the moment.
 *
 *     COLLECTING → PLAIN     goes as it is
 *                → PACKING   goes through deflate
 */
#include "http/compress.h"
#include "http/server.h"

#include <cease/http_files.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { SMALL = 512, PIECE = 8 * 1024, LEVEL = 5, WINDOW_BITS = 14, MEMORY_LEVEL = 7 };
enum mode { COLLECTING, PLAIN, PACKING };

struct ceasei_compress {
    enum mode mode;
    size_t size; /* of `small` */
    char small[SMALL];
    z_stream z; /* when PACKING */
};

bool ceasei_accepts_gzip(const char *accept)
{
    bool any = false;
    while (*accept) {
        size_t size = strcspn(accept, ",");
        const char *end = accept + size;
        const char *p = accept + strspn(accept, " \t");
        size_t name = strcspn(p, ",; \t");
        bool gzip = (name == 4 && strncasecmp(p, "gzip", 4) == 0) ||
                    (name == 6 && strncasecmp(p, "x-gzip", 6) == 0);
        bool star = name == 1 && *p == '*';
        const char *q = memchr(p, ';', p < end ? (size_t)(end - p) : 0);
        bool zero = false; /* ";q=0", ";q=0.000" */
        if (q) {
            q += 1 + strspn(q + 1, " \t");
            if (strncasecmp(q, "q=", 2) == 0) {
                size_t digits = strspn(q + 2, "0.");
                zero = digits > 0 && !(q[2 + digits] >= '1' && q[2 + digits] <= '9');
            }
        }
        if (gzip) {
            return !zero;
        }
        any = any || (star && !zero);
        accept = *end ? end + 1 : end;
    }
    return any;
}

/* ---- the fields so far ---- */

/* The value of a field in "Name: value\r\n"…; NULL: not there. */
static char *find_field(struct cease_http_response *res, const char *name, size_t *ret_size)
{
    size_t size = strlen(name);
    for (size_t at = 0; at < res->fields_size;) {
        char *line = res->fields + at;
        char *end = memchr(line, '\r', res->fields_size - at);
        if ((size_t)(end - line) > size + 1 && line[size] == ':' &&
            strncasecmp(line, name, size) == 0) {
            *ret_size = (size_t)(end - line) - size - 2;
            return line + size + 2;
        }
        at = (size_t)(end - res->fields) + 2;
    }
    return NULL;
}

/* Whether a field's value has these words somewhere. */
static bool field_says(struct cease_http_response *res, const char *name, const char *words)
{
    size_t size = 0;
    size_t n = strlen(words);
    const char *value = find_field(res, name, &size);
    for (; value && size >= n; value++, size--) {
        if (strncasecmp(value, words, n) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_worth_it(struct cease_http_response *res)
{
    static const char *const types[] = {
        "text/",           "application/json",          "application/javascript",
        "application/xml", "application/manifest+json", "image/svg+xml"};
    size_t size;
    bool plain = res->status == 200 || res->status >= 400;
    if (!plain || find_field(res, "Content-Encoding", &size) ||
        find_field(res, "Content-Range", &size) ||
        field_says(res, "Cache-Control", "no-transform")) {
        return false;
    }
    const char *type = find_field(res, "Content-Type", &size);
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
        if (size >= strlen(types[i]) && strncasecmp(type, types[i], strlen(types[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* What is packed is another representation: its tag must not be taken for the plain one's. */
static void weaken_tag(struct cease_http_response *res)
{
    size_t size;
    char *tag = find_field(res, "ETag", &size);
    if (tag && size > 0 && *tag == '"' && res->fields_size + 2 <= sizeof res->fields) {
        memmove(tag + 2, tag, res->fields_size - (size_t)(tag - res->fields));
        memcpy(tag, "W/", 2);
        res->fields_size += 2;
    }
}

/* ---- writing ---- */

/* Writes past ourselves. */
static cease_error pass(cease_ctx *ctx, struct cease_http_response *res, const void *data,
                        size_t size)
{
    struct ceasei_compress *c = res->compress;
    res->compress = NULL;
    cease_error e = cease_http_response_write(ctx, res, data, size);
    res->compress = c;
    return e;
}

/* Gives data to deflate and passes on what comes out. */
static cease_error pack(cease_ctx *ctx, struct ceasei_compress *c, struct cease_http_response *res,
                        const void *data, size_t size, int flush)
{
    unsigned char piece[PIECE];
    c->z.next_in = (Bytef *)(uintptr_t)data;
    c->z.avail_in = (uInt)size;
    do {
        c->z.next_out = piece;
        c->z.avail_out = sizeof piece;
        deflate(&c->z, flush); /* cannot fail: state and arguments are ours */
        cease_error e = pass(ctx, res, piece, sizeof piece - c->z.avail_out);
        if (e != CEASE_OK) {
            return e;
        }
    } while (c->z.avail_out == 0);
    return CEASE_OK;
}

/* Chooses, and sends what was collected. */
static cease_error decide(cease_ctx *ctx, struct ceasei_compress *c,
                          struct cease_http_response *res)
{
    c->mode = PLAIN;
    if (res->stage == CEASEI_RES_OPEN && is_worth_it(res)) {
        if (deflateInit2(&c->z, LEVEL, Z_DEFLATED, 16 + WINDOW_BITS, MEMORY_LEVEL,
                         Z_DEFAULT_STRATEGY) != Z_OK) {
            return CEASE_ENOMEM;
        }
        c->mode = PACKING;
        weaken_tag(res);
        res->length_given = false;
        cease_error e = cease_http_response_header(res, "Content-Encoding", "gzip");
        if (e != CEASE_OK) {
            return e;
        }
        return pack(ctx, c, res, c->small, c->size, Z_NO_FLUSH);
    }
    return pass(ctx, res, c->small, c->size);
}

cease_error ceasei_compress_write(cease_ctx *ctx, struct ceasei_compress *c,
                                  cease_http_response *res, const void *data, size_t size)
{
    if (c->mode == COLLECTING && size < SMALL - c->size) {
        if (res->length_given && c->size + size > res->length) {
            return CEASE_EINVAL;
        }
        memcpy(c->small + c->size, data, size);
        c->size += size;
        res->touched = true;
        return CEASE_OK;
    }
    if (c->mode == COLLECTING) {
        cease_error e = decide(ctx, c, res);
        if (e != CEASE_OK) {
            return e;
        }
    }
    const char *p = data;
    while (c->mode == PACKING && size > 0) { /* in pieces that fit deflate's counter */
        size_t n = size < 1 << 20 ? size : 1 << 20;
        cease_error e = pack(ctx, c, res, p, n, Z_NO_FLUSH);
        if (e != CEASE_OK) {
            return e;
        }
        p += n;
        size -= n;
    }
    return c->mode == PACKING ? CEASE_OK : pass(ctx, res, data, size);
}

cease_error ceasei_compress_flush(cease_ctx *ctx, struct ceasei_compress *c,
                                  cease_http_response *res)
{
    cease_error e = c->mode == COLLECTING ? decide(ctx, c, res) : CEASE_OK;
    if (e == CEASE_OK && c->mode == PACKING) {
        e = pack(ctx, c, res, NULL, 0, Z_SYNC_FLUSH);
    }
    if (e == CEASE_OK) {
        res->compress = NULL;
        e = cease_http_response_flush(ctx, res);
        res->compress = c;
    }
    return e;
}

cease_error ceasei_compress_finish(cease_ctx *ctx, struct ceasei_compress *c,
                                   cease_http_response *res)
{
    cease_error e = CEASE_OK;
    if (c->mode == PACKING) {
        e = pack(ctx, c, res, NULL, 0, Z_FINISH);
    } else if (c->mode == COLLECTING) {
        e = pass(ctx, res, c->small, c->size);
    }
    res->compress = NULL;
    return e;
}

/* The head of what would have been packed for a GET. */
static cease_error pretend(struct cease_http_response *res)
{
    uint64_t size = res->length_given ? res->length : res->total;
    if (res->stage != CEASEI_RES_OPEN || size < SMALL || !is_worth_it(res)) {
        return CEASE_OK;
    }
    weaken_tag(res);
    res->length_given = false;
    res->total = 0; /* how long it would be is not known */
    return cease_http_response_header(res, "Content-Encoding", "gzip");
}

/* ---- the middleware ---- */

cease_error cease_http_compress(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                                const cease_http_next *next, void *arg)
{
    (void)arg;
    struct ceasei_compress c;
    const char *accept = cease_http_request_header(req, "Accept-Encoding");
    bool head = strcmp(cease_http_request_method(req), "HEAD") == 0;
    if (res->compress) { /* it is there twice */
        return cease_http_next_call(ctx, next, req, res);
    }
    cease_error e = cease_http_response_header(res, "Vary", "Accept-Encoding"); /* for caches */
    if (e != CEASE_OK) {
        return e;
    }
    bool accepts = accept && ceasei_accepts_gzip(accept);
    if (!accepts || head) {
        e = cease_http_next_call(ctx, next, req, res);
        return e == CEASE_OK && accepts ? pretend(res) : e;
    }
    c.mode = COLLECTING;
    c.size = 0;
    memset(&c.z, 0, sizeof c.z);
    res->compress = &c;
    e = cease_http_next_call(ctx, next, req, res);
    if (e == CEASE_OK && res->compress) {
        e = ceasei_compress_finish(ctx, &c, res);
    }
    res->compress = NULL;
    if (c.mode == PACKING) {
        deflateEnd(&c.z);
    }
    return e;
}
