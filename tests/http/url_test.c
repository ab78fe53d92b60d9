/* url_test.c: out to break percent-decoding, paths, query lookup and URL splitting, above all at
 * the ends of their buffers. Inputs sit in exact heap blocks, so that a sanitizer sees one byte too
 * far. */
#include "harness.h"
#include "http/url.h"

#include <cease/http.h>
#include <stdlib.h>
#include <string.h>

static char *exact(const char *text)
{
    char *copy = malloc(strlen(text) > 0 ? strlen(text) : 1);
    CHECK(copy != NULL);
    memcpy(copy, text, strlen(text));
    return copy;
}

TEST(url_decode_takes_only_two_digits)
{
    static const struct {
        const char *text;
        bool plus;
        const char *result; /* NULL: refused */
    } rows[] = {
        {"", false, ""},       {"abc", false, "abc"},         {"%41%6a%6A", false, "Ajj"},
        {"a+b", false, "a+b"}, {"a+b", true, "a b"},          {"%2B", true, "+"},
        {"%", false, NULL},    {"%4", false, NULL},           {"a%4", false, NULL},
        {"%4g", false, NULL},  {"%g4", false, NULL},          {"%%41", false, NULL},
        {"%+4", true, NULL},   {"%C3%A4", false, "\xc3\xa4"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = strlen(rows[i].text);
        char *text = exact(rows[i].text);
        int64_t n = ceasei_url_decode(text, size, rows[i].plus, text);
        CHECK_EQ(n, rows[i].result ? (int64_t)strlen(rows[i].result) : -1);
        CHECK(n <= 0 || memcmp(text, rows[i].result, (size_t)n) == 0);
        free(text);
    }
}

TEST(url_path_refuses_what_others_would_resolve)
{
    static const struct {
        const char *text;
        const char *result; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a%2fb", "/a/b"},
        {"/a//b/", "/a//b/"},
        {"/...", "/..."},
        {"/.a/..b/c..", "/.a/..b/c.."},
        {"/.well-known", "/.well-known"},
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"%2fa", NULL},
        {"/.", NULL},
        {"/..", NULL},
        {"/a/../b", NULL},
        {"/a/./b", NULL},
        {"/a/..", NULL},
        {"/%2e%2e/b", NULL},
        {"/a%2f..%2fb", NULL},
        {"/a%00", NULL},
        {"/a%", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = strlen(rows[i].text);
        char *text = exact(rows[i].text);
        char *ret = malloc(size + 1);
        size_t ret_size = 0;
        CHECK_EQ(ceasei_url_path(text, size, ret, &ret_size), rows[i].result != NULL);
        if (rows[i].result) {
            CHECK_STR(ret, rows[i].result);
            CHECK_EQ(ret_size, strlen(rows[i].result));
        }
        free(ret);
        free(text);
    }
}

TEST(url_query_value_finds_the_first_and_decodes_it)
{
    static const struct {
        const char *query, *name, *value;
        cease_error error;
    } rows[] = {
        {"q=a", "q", "a", CEASE_OK},
        {"q=a&q=b", "q", "a", CEASE_OK},
        {"x=1&q=a+b%20c", "q", "a b c", CEASE_OK},
        {"q", "q", "", CEASE_OK},
        {"q=", "q", "", CEASE_OK},
        {"a&q&b", "q", "", CEASE_OK},
        {"q=a=b", "q", "a=b", CEASE_OK},
        {"%71=a", "q", "a", CEASE_OK},
        {"a+b=c", "a b", "c", CEASE_OK},
        {"%zz=1&q=2", "q", "2", CEASE_OK},
        {"x=%zz&q=2", "q", "2", CEASE_OK},
        {"&&q=2&", "q", "2", CEASE_OK},
        {"qq=1", "q", "", CEASE_ENOENT},
        {"", "q", "", CEASE_ENOENT},
        {"q%3d=1", "q", "", CEASE_ENOENT},
        {"q=%4", "q", "", CEASE_EPARSE},
        {"q=%zz", "q", "", CEASE_EPARSE},
        {"q=1234567", "q", "1234567", CEASE_OK},
        {"q=12345678", "q", "", CEASE_ERANGE},
        {"q=%31%32%33%34%35%36%37", "q", "1234567", CEASE_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char ret[8] = "";
        size_t size = 99;
        CHECK_ERR(ceasei_url_query_value(rows[i].query, rows[i].name, ret, sizeof ret, &size),
                  rows[i].error);
        if (rows[i].error == CEASE_OK) {
            CHECK_STR(ret, rows[i].value);
            CHECK_EQ(size, strlen(rows[i].value));
        } else {
            CHECK_EQ(size, 99);
        }
    }
    char none[1];
    CHECK_ERR(ceasei_url_query_value("q=", "q", none, 0, NULL), CEASE_ERANGE);
    CHECK_OK(ceasei_url_query_value("q=", "q", none, 1, NULL));
}

TEST(url_encode_then_decode_gives_every_byte_back)
{
    char text[256];
    for (int i = 0; i < 255; i++) {
        text[i] = (char)(i + 1);
    }
    text[255] = '\0';
    char encoded[3 * 256];
    CHECK_OK(cease_http_encode(text, encoded, sizeof encoded));
    for (const char *p = encoded; *p; p++) {
        CHECK(strchr("%-._~", *p) || (*p >= '0' && *p <= '9') ||
              ((*p | 32) >= 'a' && (*p | 32) <= 'z'));
    }
    CHECK_EQ(ceasei_url_decode(encoded, strlen(encoded), true, encoded), 255);
    CHECK(memcmp(encoded, text, 255) == 0);
    char small[4];
    CHECK_OK(cease_http_encode("abc", small, 4));
    CHECK_ERR(cease_http_encode("abcd", small, 4), CEASE_ERANGE);
    CHECK_OK(cease_http_encode(" ", small, 4));
    CHECK_ERR(cease_http_encode(" ", small, 3), CEASE_ERANGE);
    CHECK_ERR(cease_http_encode("", small, 0), CEASE_ERANGE);
}

TEST(url_split_cuts_and_refuses)
{
    static const struct {
        const char *url, *authority, *target;
        bool tls, port;
    } rows[] = {
        {"http://a", "a", "", false, false},
        {"http://a:80/b?c#d", "a:80", "/b?c", false, true},
        {"HTTPS://[::1]/", "[::1]", "/", true, false},
        {"http://[::1]:8080?x", "[::1]:8080", "?x", false, true},
        {"http://a#f", "a", "", false, false},
        {"ftp://a", NULL, NULL, false, false},
        {"http://", NULL, NULL, false, false},
        {"http:///x", NULL, NULL, false, false},
        {"http://:80/", NULL, NULL, false, false},
        {"http://u@a/", NULL, NULL, false, false},
        {"http://a/ b", NULL, NULL, false, false},
        {"http://a/\r\nX: y", NULL, NULL, false, false},
        {"http://a b/", NULL, NULL, false, false},
        {"http://a/\xc3\xa4", NULL, NULL, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ceasei_url u;
        CHECK_EQ(ceasei_url_split(rows[i].url, &u), rows[i].authority != NULL);
        if (rows[i].authority) {
            CHECK_EQ(u.authority_size, strlen(rows[i].authority));
            CHECK(strncmp(u.authority, rows[i].authority, u.authority_size) == 0);
            CHECK_EQ(u.target_size, strlen(rows[i].target));
            CHECK(strncmp(u.target, rows[i].target, u.target_size) == 0);
            CHECK_EQ(u.tls, rows[i].tls);
            CHECK_EQ(u.port, rows[i].port);
        }
    }
}
