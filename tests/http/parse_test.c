/* parse_test.c: out to break the request and response head parsers and the chunk decoder.
 *
 * Two tables, one of what must be taken and one of what must be refused with which status; each row
 * is parsed whole, and cut at every byte, and byte by byte, with the bytes moved to another address
 * each time, so that a resumed parse must give what a whole one gives. Rows that smugglers use are
 * taken from RFC 9112 section 11, from the reports on http_parser, and from the shapes that
 * portswigger's work on desynchronisation lists. */
#include "harness.h"
#include "http/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 8, HEAD_MAX = 512 };

struct accepted {
    const char *text;
    int extra; /* bytes after the head's end */
    const char *method, *path, *query, *authority;
    int minor;
    int fields;
    long long length; /* -1: none */
    bool chunked, close, keep_alive, expect;
};

static const struct accepted accepted[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET", "/", "", "a", 1, 1, -1, 0, 0, 0, 0},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET", "/", "", "a", 1, 1, -1, 0, 0, 0, 0},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2", 6, "GET", "/", "", "a", 1, 1, -1, 0, 0, 0, 0},
    {"GET /a%20b?q=1&r=?x HTTP/1.1\r\nhOST:\t a:80 \t\r\n\r\n", 0, "GET", "/a%20b", "q=1&r=?x",
     "a:80", 1, 1, -1, 0, 0, 0, 0},
    {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", 0, "POST", "/x", "", "a", 1, 2,
     12, 0, 0, 0, 0},
    {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0012\r\n\r\n", 0, "POST", "/x", "", "a", 1, 2,
     12, 0, 0, 0, 0},
    {"PUT /x HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n", 0, "PUT", "/x", "", "a", 1,
     2, -1, 1, 0, 0, 0},
    {"GET / HTTP/1.0\r\n\r\n", 0, "GET", "/", "", "", 0, 0, -1, 0, 0, 0, 0},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0, "GET", "/", "", "", 0, 1, -1, 0, 0, 1,
     0},
    {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", 0, "GET", "/", "", "a", 1, 1, -1, 0, 0, 0, 0},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE,, close , x\r\n\r\n", 0, "GET", "/", "", "a", 1,
     2, -1, 0, 1, 0, 0},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: enclose, closed\r\n\r\n", 0, "GET", "/", "", "a", 1,
     2, -1, 0, 0, 0, 0},
    {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", 0, "PUT",
     "/", "", "a", 1, 3, 1, 0, 0, 0, 1},
    {"GET http://b:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET", "/p", "q", "b:81", 1, 1, -1, 0, 0,
     0, 0},
    {"GET HTTP://b?q HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET", "", "q", "b", 1, 1, -1, 0, 0, 0, 0},
    {"GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 0, "GET", "/", "", "[::1]:8080",
     1, 1, -1, 0, 0, 0, 0},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, "OPTIONS", "*", "", "a", 1, 1, -1, 0, 0, 0, 0},
    {"M-SEARCH / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\nZ: a\tb \xc3\xa4\r\n\r\n", 0, "M-SEARCH", "/",
     "", "a", 1, 4, -1, 0, 0, 0, 0},
    {"GET /?a={b}|[c]^`\\' HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET", "/", "a={b}|[c]^`\\'", "a", 1, 1,
     -1, 0, 0, 0, 0},
};

static const struct {
    const char *text;
    int status;
} refused[] = {
    /* the request line */
    {"\x16\x03\x01", 400}, /* a TLS greeting is refused at its first byte */
    {" GET / HTTP/1.1\r\n", 400},
    {"\r\n\r\nGET / HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1\n", 400},
    {"\nGET / HTTP/1.1\r\n", 400},
    {"GET  / HTTP/1.1\r\n", 400},
    {"GET /  HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1 \r\n", 400},
    {"GET\t/\tHTTP/1.1\r\n", 400},
    {"GET /\r\n", 400},
    {"GET\r\n", 400},
    {"GET \r\n", 400},
    {"GET / \r\n", 400},
    {"GET / http/1.1\r\n", 400},
    {"GET / HTTP/1.10\r\n", 400},
    {"GET / HTTP/11\r\n", 400},
    {"GET / HTTP/2.0\r\n", 505},
    {"PRI * HTTP/2.0\r\n", 505},
    {"GET / HTTP/0.9\r\n", 505},
    {"G(T / HTTP/1.1\r\n", 400},
    {"GET x HTTP/1.1\r\n", 400},
    {"GET * HTTP/1.1\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\n", 400},
    {"GET /\xc3\xa4 HTTP/1.1\r\n", 400},
    {"GET /#f HTTP/1.1\r\n", 400},
    {"GET /a\\b HTTP/1.1\r\n", 400},
    {"GET /\"<x> HTTP/1.1\r\n", 400},
    {"GET ftp://a/ HTTP/1.1\r\n", 400},
    {"GET http:///x HTTP/1.1\r\n", 400},
    {"GET http://u@b/x HTTP/1.1\r\n", 400},
    {"GET http://:80/x HTTP/1.1\r\n", 400},
    {"CONNECT a:80 HTTP/1.1\r\n", 501},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", 501},
    /* lines and names */
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : a\r\n", 400},
    {"GET / HTTP/1.1\r\n Host: a\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\vc\r\n", 400},
    /* Host */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET http://a/ HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost:\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a, b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n", 400},
    /* where the body ends */
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
     400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n", 400},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n", 417},
    /* limits: FIELDS fields, HEAD_MAX bytes */
    {"GET / HTTP/1.1\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\n", 431},
};

static void init(struct ceasei_http_head *h, struct ceasei_http_field *fields)
{
    ceasei_http_head_init(h, fields, FIELDS, HEAD_MAX);
}

/* Parses what is there after `first` bytes, then after every `step` more; the bytes move each time.
 */
static int64_t parse_cut(struct ceasei_http_head *h, const char *text, size_t size, size_t first,
                         size_t step, bool request)
{
    int64_t r = 0;
    for (size_t n = first; r == 0; n = n + step < size ? n + step : size) {
        char *moved = malloc(n + 1);
        CHECK(moved != NULL);
        memcpy(moved, text, n);
        r = request ? ceasei_http_parse_request(h, moved, n)
                    : ceasei_http_parse_response(h, moved, n);
        free(moved);
        if (n >= size) {
            break;
        }
    }
    return r;
}

static void check_text(const char *data, uint32_t at, uint32_t size, const char *expected)
{
    char text[HEAD_MAX];
    snprintf(text, sizeof text, "%.*s", (int)size, data + at);
    CHECK_STR(text, expected);
}

static void check_accepted(const struct accepted *a, const struct ceasei_http_head *h)
{
    check_text(a->text, h->method, h->method_size, a->method);
    check_text(a->text, h->path, h->path_size, a->path);
    check_text(a->text, h->query, h->query_size, a->query);
    check_text(a->text, h->authority, h->authority_size, a->authority);
    CHECK_EQ(h->minor, a->minor);
    CHECK_EQ(h->field_count, a->fields);
    CHECK_EQ(h->length ? (long long)h->content_length : -1, a->length);
    CHECK_EQ(h->chunked, a->chunked);
    CHECK_EQ(h->close, a->close);
    CHECK_EQ(h->keep_alive, a->keep_alive);
    CHECK_EQ(h->expect, a->expect);
}

TEST(parse_request_wellformed_is_taken_however_it_is_cut)
{
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const struct accepted *a = &accepted[i];
        size_t size = strlen(a->text);
        struct ceasei_http_field fields[FIELDS];
        struct ceasei_http_head h;
        for (size_t cut = 0; cut <= size; cut++) {
            init(&h, fields);
            CHECK_EQ(parse_cut(&h, a->text, size, cut, size, true), (int64_t)size - a->extra);
            check_accepted(a, &h);
        }
        init(&h, fields);
        CHECK_EQ(parse_cut(&h, a->text, size, 0, 1, true), (int64_t)size - a->extra);
        check_accepted(a, &h);
    }
}

TEST(parse_request_prefix_is_incomplete)
{
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const struct accepted *a = &accepted[i];
        size_t size = strlen(a->text) - (size_t)a->extra;
        for (size_t n = 0; n < size; n++) {
            struct ceasei_http_field fields[FIELDS];
            struct ceasei_http_head h;
            init(&h, fields);
            CHECK_EQ(ceasei_http_parse_request(&h, a->text, n), 0);
        }
    }
}

TEST(parse_request_ambiguous_is_refused_however_it_is_cut)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        size_t size = strlen(refused[i].text);
        for (size_t cut = 0; cut <= size; cut++) {
            struct ceasei_http_field fields[FIELDS];
            struct ceasei_http_head h;
            init(&h, fields);
            int64_t r = parse_cut(&h, refused[i].text, size, cut, cut % 3 ? 1 : size, true);
            if (r != -refused[i].status) {
                harness_fail(__FILE__, __LINE__, "row %zu, cut at %zu: %lld, not %d: %s", i, cut,
                             (long long)r, -refused[i].status, refused[i].text);
            }
        }
    }
}

/* Found by fuzz/oracle_fuzz.c: an option is a whole element of the list. */
TEST(parse_request_connection_options_are_whole_elements)
{
    static const struct {
        const char *value;
        bool close, keep_alive;
    } rows[] = {
        {"close", true, false},         {"Keep-Alive", false, true},
        {"x, close ,y", true, false},   {"\tkeep-alive\t,close", true, true},
        {"x keep-alive", false, false}, {"keep-alive x", false, false},
        {"closed", false, false},       {"", false, false},
        {",,close", true, false},       {"\xda\xda keep-alive", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ceasei_http_field fields[8];
        struct ceasei_http_head h;
        char text[128];
        int size = snprintf(text, sizeof text,
                            "GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n", rows[i].value);
        ceasei_http_head_init(&h, fields, 8, 1024);
        CHECK_EQ(ceasei_http_parse_request(&h, text, (size_t)size), size);
        CHECK_EQ(h.close, rows[i].close);
        CHECK_EQ(h.keep_alive, rows[i].keep_alive);
    }
}

TEST(parse_request_nul_is_refused)
{
    static const char line[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char value[] = "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n";
    struct ceasei_http_field fields[FIELDS];
    struct ceasei_http_head h;
    init(&h, fields);
    CHECK_EQ(ceasei_http_parse_request(&h, line, sizeof line - 1), -400);
    init(&h, fields);
    CHECK_EQ(ceasei_http_parse_request(&h, value, sizeof value - 1), -400);
}

TEST(parse_request_every_byte_in_a_value_is_judged)
{
    for (int b = 0; b < 256; b++) {
        char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a_b\r\n\r\n";
        *strchr(text, '_') = (char)b;
        struct ceasei_http_field fields[FIELDS];
        struct ceasei_http_head h;
        init(&h, fields);
        bool fine = b == '\t' || (b >= ' ' && b != 0x7f);
        CHECK_EQ(ceasei_http_parse_request(&h, text, sizeof text - 1),
                 fine ? (int)sizeof text - 1 : -400);
    }
}

/* A head of exactly `size` bytes, padded in its last field, or in its target. */
static size_t padded(char *text, size_t size, bool in_target)
{
    const char *before = in_target ? "GET /" : "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const char *after = in_target ? " HTTP/1.1\r\nHost: a\r\n\r\n" : "\r\n\r\n";
    size_t fill = size - strlen(before) - strlen(after);
    memcpy(text, before, strlen(before));
    memset(text + strlen(before), 'x', fill);
    memcpy(text + strlen(before) + fill, after, strlen(after));
    return size;
}

TEST(parse_request_size_limit_is_exact)
{
    static char text[HEAD_MAX + 64];
    for (int in_target = 0; in_target < 2; in_target++) {
        struct ceasei_http_field fields[FIELDS];
        struct ceasei_http_head h;
        init(&h, fields);
        CHECK_EQ(ceasei_http_parse_request(&h, text, padded(text, HEAD_MAX, in_target)), HEAD_MAX);
        init(&h, fields);
        CHECK_EQ(ceasei_http_parse_request(&h, text, padded(text, HEAD_MAX + 1, in_target)), -431);
        init(&h, fields);
        padded(text, HEAD_MAX + 60, in_target);
        CHECK_EQ(ceasei_http_parse_request(&h, text, HEAD_MAX - 1), 0);
        CHECK_EQ(ceasei_http_parse_request(&h, text, HEAD_MAX), in_target ? -414 : -431);
    }
}

TEST(parse_response_wellformed_is_taken_however_it_is_cut)
{
    static const struct {
        const char *text;
        int status;
        const char *reason;
        long long length;
        bool chunked;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", 200, "OK", -1, false},
        {"HTTP/1.0 404 Not Found\r\nContent-Length: 3\r\n\r\n", 404, "Not Found", 3, false},
        {"HTTP/1.1 204\r\n\r\n", 204, "", -1, false},
        {"HTTP/1.1 599 \r\nTransfer-Encoding: chunked\r\nHost: a\r\nHost: b\r\n\r\n", 599, "", -1,
         true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = strlen(rows[i].text);
        for (size_t cut = 0; cut <= size; cut++) {
            struct ceasei_http_field fields[FIELDS];
            struct ceasei_http_head h;
            init(&h, fields);
            CHECK_EQ(parse_cut(&h, rows[i].text, size, cut, size, false), (int64_t)size);
            CHECK_EQ(h.status, rows[i].status);
            check_text(rows[i].text, h.reason, h.reason_size, rows[i].reason);
            CHECK_EQ(h.length ? (long long)h.content_length : -1, rows[i].length);
            CHECK_EQ(h.chunked, rows[i].chunked);
        }
    }
}

TEST(parse_response_malformed_is_refused)
{
    static const char *const rows[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/2 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ceasei_http_field fields[FIELDS];
        struct ceasei_http_head h;
        init(&h, fields);
        CHECK_EQ(ceasei_http_parse_response(&h, rows[i], strlen(rows[i])), -502);
    }
}

/* ---- chunks ---- */

/* Decodes text, given in pieces of `step` bytes; the body goes to ret. */
static enum ceasei_http_chunk decode(const char *text, size_t size, size_t step, char *ret,
                                     size_t *ret_used)
{
    struct ceasei_http_chunks c = {0};
    enum ceasei_http_chunk r = CEASEI_HTTP_CHUNK_MORE;
    size_t at = 0;
    while (at < size && r != CEASEI_HTTP_CHUNK_END && r != CEASEI_HTTP_CHUNK_BAD) {
        size_t piece = at + step < size ? step : size - at;
        size_t used = 0;
        size_t span = 0;
        r = ceasei_http_chunks_next(&c, text + at, piece, &used, &span);
        CHECK(used + span <= piece);
        CHECK((span > 0) == (r == CEASEI_HTTP_CHUNK_DATA));
        CHECK(r != CEASEI_HTTP_CHUNK_MORE || used == piece);
        memcpy(ret, text + at + used, span);
        ret += span;
        at += used + span;
    }
    *ret = '\0';
    *ret_used = at;
    return r;
}

TEST(chunks_wellformed_give_the_body_however_they_are_cut)
{
    static const struct {
        const char *text;
        const char *body;
        int extra;
    } rows[] = {
        {"0\r\n\r\n", "", 0},
        {"3\r\nabc\r\n0\r\n\r\n", "abc", 0},
        {"3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nGET", "abc0123456789", 3},
        {"3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", "abc", 0},
        {"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nX-Y: z\r\nEmpty:\r\n\r\n", "\r\n\r\n\r\n\r\n\r\n", 0},
        {"000000000000001\r\na\r\n0\r\n\r\n", "a", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = strlen(rows[i].text);
        for (size_t step = 1; step <= size; step++) {
            char body[64];
            size_t used;
            CHECK_EQ(decode(rows[i].text, size, step, body, &used), CEASEI_HTTP_CHUNK_END);
            CHECK_STR(body, rows[i].body);
            CHECK_EQ(used, size - (size_t)rows[i].extra);
        }
    }
}

TEST(chunks_ambiguous_are_refused_however_they_are_cut)
{
    static const char *const rows[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\na",
        "1\na\r\n",
        "1\r\na\n",
        "1\r\nab\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\n\r\n0\r\n\r\n\r\n\r\n",
        "1;\na\r\n",
        "1;a\nb\r\na\r\n",
        "1; a\r\na\r\n",
        "1\r\ra\r\n",
        "0000000000000001\r\na\r\n",
        "FFFFFFFFFFFFFFFF\r\na",
        "10000000000000000\r\na",
        "0\r\n\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: \x01\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n\rx",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = strlen(rows[i]);
        for (size_t step = 1; step <= size; step++) {
            char body[64];
            size_t used;
            CHECK_EQ(decode(rows[i], size, step, body, &used), CEASEI_HTTP_CHUNK_BAD);
        }
    }
}

TEST(chunks_overhead_is_bounded_over_the_whole_body)
{
    static char text[64 * 1024];
    size_t n = 0;
    while (n + 64 < sizeof text) {
        n += (size_t)sprintf(text + n, "1;extension=0123456789\r\na\r\n");
    }
    static char body[64 * 1024];
    size_t used;
    CHECK_EQ(decode(text, n, n, body, &used), CEASEI_HTTP_CHUNK_BAD);
    CHECK(used < 16 * 1024);
    n = (size_t)sprintf(text, "0\r\n");
    while (n + 64 < sizeof text) {
        n += (size_t)sprintf(text + n, "Trailer: 0123456789\r\n");
    }
    CHECK_EQ(decode(text, n, n, body, &used), CEASEI_HTTP_CHUNK_BAD);
    CHECK(used < 16 * 1024);
}
