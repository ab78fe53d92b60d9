/* SPDX-License-Identifier: MIT
 *
 * parse.c: HTTP/1.1 message heads, as pure functions over bytes (RFC 9112).
 *
 * The one idea: a head is a sequence of lines, and a line is looked at as soon as it is whole. So a
 * head that comes in pieces is searched once for line ends (`scanned`) and parsed once (`line`),
 * and what must be refused is refused at the first line that shows it.
 *
 * The one rule: whatever two implementations could read differently is refused, because that is
 * what request smuggling is made of: a line that ends without CR, a folded line, space before a
 * colon, no Host or two, a second Content-Length even of the same value, a Content-Length beside a
 * Transfer-Encoding, a Transfer-Encoding that is not exactly "chunked", or in HTTP/1.0; control
 * characters anywhere. Only what cannot be misread is tolerated: one empty line before a request
 * (section 2.2), a response without a space after its status (section 4).
 *
 * Nothing here allocates, reads a clock, or changes the bytes. Left out on purpose: decoding of
 * bodies (chunk.c), of paths and queries (url.c), the meaning of all other fields, and limits on
 * the body (the server's).
 */
#include "http/parse.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

/* Bits of enum ceasei_http_kind. */
/* clang-format off */
const uint8_t ceasei_http_kind[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     2, 31, 18, 19, 31, 31, 31, 31, 14, 14, 31, 31,  6, 31, 31,  6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 30,  2, 30,  2,  6,
     6, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14,  6, 14, 23, 31,
    23, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,  6, 23,  6, 31,  0,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
};
/* clang-format on */

enum stage { STAGE_START, STAGE_FIRST, STAGE_FIELDS, STAGE_DONE };

void ceasei_http_head_init(struct ceasei_http_head *h, struct ceasei_http_field *fields,
                           uint32_t field_max, uint32_t size_max)
{
    memset(h, 0, sizeof *h);
    h->fields = fields;
    h->field_max = field_max;
    h->size_max = size_max;
}

/* How many bytes at the start of [p, end) are of that kind. */
static uint32_t span(const char *p, const char *end, int mask)
{
    const char *q = p;
    while (q < end && ceasei_http_kind[(unsigned char)*q] & mask) {
        q++;
    }
    return (uint32_t)(q - p);
}

static bool all(const char *p, size_t size, int mask)
{
    for (size_t i = 0; i < size; i++) {
        if (!(ceasei_http_kind[(unsigned char)p[i]] & mask)) {
            return false;
        }
    }
    return true;
}

bool ceasei_http_same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    return a_size == b_size && strncasecmp(a, b, a_size) == 0;
}

bool ceasei_http_is_name(const char *name, size_t size)
{
    return size > 0 && size <= UINT16_MAX && all(name, size, CEASEI_HTTP_TOKEN);
}

bool ceasei_http_is_value(const char *value, size_t size)
{
    return all(value, size, CEASEI_HTTP_VALUE);
}

/* A host with an optional port, as in Host and in the authority of a target: no user, no list. */
static bool is_authority(const char *p, size_t size)
{
    return size > 0 && p[0] != ':' && all(p, size, CEASEI_HTTP_HOST);
}

static int parse_version(struct ceasei_http_head *h, const char *p, size_t size)
{
    if (size != 8 || memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' || p[5] < '0' || p[5] > '9' ||
        p[7] < '0' || p[7] > '9') {
        return -400;
    }
    if (p[5] != '1') {
        return -505;
    }
    h->minor = p[7] == '0' ? 0 : 1;
    return 0;
}

/* "http://host:port/path?query": the authority replaces Host (RFC 9112, 3.2.2). Gives the size of
 * what stands before the path, or 0. */
static uint32_t absolute_prefix(struct ceasei_http_head *h, const char *target, uint32_t size)
{
    uint32_t scheme = 0;
    if (size > 7 && strncasecmp(target, "http://", 7) == 0) {
        scheme = 7;
    } else if (size > 8 && strncasecmp(target, "https://", 8) == 0) {
        scheme = 8;
    } else {
        return 0;
    }
    uint32_t host = 0;
    while (scheme + host < size && target[scheme + host] != '/' && target[scheme + host] != '?') {
        host++;
    }
    if (!is_authority(target + scheme, host)) {
        return 0;
    }
    h->authority = h->target + scheme;
    h->authority_size = host;
    return scheme + host;
}

static int parse_target(struct ceasei_http_head *h, const char *data)
{
    const char *target = data + h->target;
    bool options = h->method_size == 7 && memcmp(data + h->method, "OPTIONS", 7) == 0;
    uint32_t skip = 0;
    if (h->target_size == 1 && target[0] == '*' && options) {
        h->form = CEASEI_HTTP_ASTERISK;
    } else if (target[0] == '/') {
        h->form = CEASEI_HTTP_ORIGIN;
    } else {
        h->form = CEASEI_HTTP_ABSOLUTE;
        skip = absolute_prefix(h, target, h->target_size);
        if (skip == 0) {
            return -400;
        }
    }
    h->path = h->target + skip;
    h->path_size = h->target_size - skip;
    h->query = h->target + h->target_size;
    const char *mark = memchr(target + skip, '?', h->path_size);
    if (mark) {
        h->query = h->target + (uint32_t)(mark + 1 - target);
        h->query_size = h->target_size - (uint32_t)(mark + 1 - target);
        h->path_size = (uint32_t)(mark - target) - skip;
    }
    /* some servers take a backslash in a path for a slash */
    return memchr(data + h->path, '\\', h->path_size) ? -400 : 0;
}

/* method SP target SP version; exactly one space each (RFC 9112, 3). */
static int parse_request_line(struct ceasei_http_head *h, const char *data, uint32_t end)
{
    const char *line_end = data + end;
    h->method = h->line;
    h->method_size = span(data + h->method, line_end, CEASEI_HTTP_TOKEN);
    h->target = h->method + h->method_size + 1;
    if (h->method_size == 0 || h->target >= end || data[h->target - 1] != ' ') {
        return -400;
    }
    h->target_size = span(data + h->target, line_end, CEASEI_HTTP_TARGET);
    uint32_t version = h->target + h->target_size + 1;
    if (h->target_size == 0 || version > end || data[version - 1] != ' ') {
        return -400;
    }
    int r = parse_version(h, data + version, end - version);
    if (r < 0) {
        return r;
    }
    if (h->method_size > 32 || (h->method_size == 7 && !memcmp(data + h->method, "CONNECT", 7))) {
        return -501;
    }
    return parse_target(h, data);
}

/* version SP 3DIGIT [SP reason] */
static int parse_status_line(struct ceasei_http_head *h, const char *data, uint32_t end)
{
    const char *p = data + h->line;
    uint32_t size = end - h->line;
    if (size < 12 || parse_version(h, p, 8) < 0 || p[8] != ' ' || (size > 12 && p[12] != ' ')) {
        return -502;
    }
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -502;
        }
        h->status = (uint16_t)(h->status * 10 + (p[i] - '0'));
    }
    h->reason = h->line + (size > 12 ? 13 : 12);
    h->reason_size = end - h->reason;
    if (h->status < 100 || h->status > 599 ||
        !all(data + h->reason, h->reason_size, CEASEI_HTTP_VALUE)) {
        return -502;
    }
    return 0;
}

static int see_length(struct ceasei_http_head *h, const char *value, uint32_t size)
{
    if (h->length || size == 0) {
        return -400;
    }
    h->length = true;
    uint64_t n = 0;
    for (uint32_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9' || n > (INT64_MAX - 9) / 10) {
            return -400;
        }
        n = n * 10 + (uint64_t)(value[i] - '0');
    }
    h->content_length = n;
    return 0;
}

static int see_transfer(struct ceasei_http_head *h, const char *value, uint32_t size)
{
    if (h->transfer || size == 0) {
        return -400;
    }
    h->transfer = true;
    h->chunked = ceasei_http_same(value, size, "chunked", 7);
    if (h->chunked) {
        return 0;
    }
    return all(value, size, CEASEI_HTTP_TOKEN) ? -501
                                               : -400; /* another coding; or a list, or worse */
}

static int see_host(struct ceasei_http_head *h, const char *data, const struct ceasei_http_field *f)
{
    if (h->host || !is_authority(data + f->value, f->value_size)) {
        return -400;
    }
    h->host = true;
    if (h->form != CEASEI_HTTP_ABSOLUTE) {
        h->authority = f->value;
        h->authority_size = f->value_size;
    }
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A list of tokens; other options than the two are of no concern here. Only a whole element is an option:
 * "x keep-alive" is none. */
static void see_connection(struct ceasei_http_head *h, const char *p, uint32_t size)
{
    const char *end = p + size;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *next = comma ? comma : end;
        const char *last = next;
        while (p < last && is_blank(*p)) {
            p++;
        }
        while (last > p && is_blank(last[-1])) {
            last--;
        }
        if (ceasei_http_same(p, (size_t)(last - p), "close", 5)) {
            h->close = true;
        } else if (ceasei_http_same(p, (size_t)(last - p), "keep-alive", 10)) {
            h->keep_alive = true;
        }
        p = next + (comma != NULL);
    }
}

/* The fields that decide where the message ends, and those that the connection itself obeys. */
static int see_field(struct ceasei_http_head *h, const char *data,
                     const struct ceasei_http_field *f, bool request)
{
    const char *name = data + f->name;
    const char *value = data + f->value;
    switch (f->name_size) {
    case 4:
        return request && !strncasecmp(name, "host", 4) ? see_host(h, data, f) : 0;
    case 6:
        if (!request || strncasecmp(name, "expect", 6) != 0) {
            return 0;
        }
        h->expect = ceasei_http_same(value, f->value_size, "100-continue", 12);
        return h->expect ? 0 : -417;
    case 10:
        if (!strncasecmp(name, "connection", 10)) {
            see_connection(h, value, f->value_size);
        }
        return 0;
    case 14:
        return strncasecmp(name, "content-length", 14) ? 0 : see_length(h, value, f->value_size);
    case 17:
        return strncasecmp(name, "transfer-encoding", 17) ? 0
                                                          : see_transfer(h, value, f->value_size);
    default:
        return 0;
    }
}

/* name ":" OWS value OWS. A line that starts with white space is a folded one: it has no name. */
static int parse_field(struct ceasei_http_head *h, const char *data, uint32_t end, bool request)
{
    uint32_t size = span(data + h->line, data + end, CEASEI_HTTP_TOKEN);
    uint32_t value = h->line + size + 1;
    if (size == 0 || size > UINT16_MAX || value > end || data[value - 1] != ':') {
        return -400;
    }
    while (value < end && is_blank(data[value])) {
        value++;
    }
    while (end > value && is_blank(data[end - 1])) {
        end--;
    }
    if (!all(data + value, end - value, CEASEI_HTTP_VALUE)) {
        return -400;
    }
    if (h->field_count == h->field_max) {
        return -431;
    }
    struct ceasei_http_field *f = &h->fields[h->field_count++];
    f->name = h->line;
    f->name_size = (uint16_t)size;
    f->value = value;
    f->value_size = end - value;
    return see_field(h, data, f, request);
}

/* What can only be judged when all fields are known. */
static int check_whole(struct ceasei_http_head *h, bool request)
{
    if (h->transfer && (h->length || h->minor == 0)) {
        return -400;
    }
    if (request && !h->host && h->minor > 0) {
        return -400;
    }
    return 0;
}

/* One whole line [h->line, end), without its CRLF. Positive: that was the head's last. */
static int parse_line(struct ceasei_http_head *h, const char *data, uint32_t end, bool request)
{
    bool empty = end == h->line;
    switch ((enum stage)h->stage) {
    case STAGE_START:
        h->stage = STAGE_FIRST;
        if (empty && request) {
            return 0;
        }
        /* fall through */
    case STAGE_FIRST:
        h->stage = STAGE_FIELDS;
        return request ? parse_request_line(h, data, end) : parse_status_line(h, data, end);
    case STAGE_FIELDS:
        if (!empty) {
            return parse_field(h, data, end, request);
        }
        h->stage = STAGE_DONE;
        int r = check_whole(h, request);
        return r < 0 ? r : 1;
    default:
        return -400;
    }
}

static int64_t parse_head(struct ceasei_http_head *h, const char *data, size_t size, bool request)
{
    size_t limit = size < h->size_max ? size : h->size_max;
    /* refuse another protocol at its first byte, not after a timeout */
    if (h->stage == STAGE_START && size > 0 && data[0] != '\r' &&
        !(ceasei_http_kind[(unsigned char)data[0]] & CEASEI_HTTP_TOKEN)) {
        return -400;
    }
    for (;;) {
        const char *newline = memchr(data + h->scanned, '\n', limit - h->scanned);
        if (!newline) {
            h->scanned = (uint32_t)limit;
            return size < h->size_max ? 0 : h->stage < STAGE_FIELDS ? -414 : -431;
        }
        uint32_t end = (uint32_t)(newline - data);
        if (end == h->line || data[end - 1] != '\r') {
            return -400;
        }
        int r = parse_line(h, data, end - 1, request);
        if (r < 0) {
            return r;
        }
        h->line = h->scanned = end + 1;
        if (r > 0) {
            return h->line;
        }
    }
}

int64_t ceasei_http_parse_request(struct ceasei_http_head *h, const char *data, size_t size)
{
    return parse_head(h, data, size, true);
}

int64_t ceasei_http_parse_response(struct ceasei_http_head *h, const char *data, size_t size)
{
    int64_t r = parse_head(h, data, size, false);
    return r < 0 ? -502 : r;
}
