/* content_test.c: out to break dates, entity tags, ranges and conditions as texts. */
#include "harness.h"
#include "http/content.h"

#include <string.h>

TEST(date_texts_areReadOrRefused)
{
    CHECK_EQ(ceasei_date_parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    CHECK_EQ(ceasei_date_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    CHECK_EQ(ceasei_date_parse("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
    CHECK_EQ(ceasei_date_parse("Fri, 01 Mar 2024 00:00:00 GMT"), 1709251200);
    CHECK_EQ(ceasei_date_parse("Mon, 01 Mar 2100 00:00:00 GMT"), 4107542400);
    static const char *const bad[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Xxx, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Xxx 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:61 GMT",
                                      "Sun, 06 Nov 1969 08:49:37 GMT",
                                      "Sun, -6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 UTC"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(ceasei_date_parse(bad[i]), -1);
    }
}

TEST(etags_lists_areSearchedByTheirRules)
{
    CHECK(ceasei_etags_have("*", "\"a\"", false));
    CHECK(ceasei_etags_have("\"a\"", "\"a\"", false));
    CHECK(ceasei_etags_have("\"b\", \"a\"", "\"a\"", false));
    CHECK(ceasei_etags_have(" ,\"b,c\" , W/\"a\"", "\"a\"", true));
    CHECK(!ceasei_etags_have("W/\"a\"", "\"a\"", false));
    CHECK(!ceasei_etags_have("\"ab\"", "\"a\"", true));
    CHECK(!ceasei_etags_have("a", "\"a\"", true));
    CHECK(!ceasei_etags_have("\"a", "\"a\"", true));
    CHECK(!ceasei_etags_have("", "\"a\"", true));
}

TEST(range_texts_giveOnePartOrTheWhole)
{
    static const struct {
        const char *range;
        uint64_t size;
        int status;
        uint64_t begin, end;
    } rows[] = {
        {"bytes=0-0", 10, 206, 0, 1},
        {"bytes=2-5", 10, 206, 2, 6},
        {"Bytes=2-", 10, 206, 2, 10},
        {"bytes=2-99", 10, 206, 2, 10},
        {"bytes=2-18446744073709551600", 10, 206, 2, 10},
        {"bytes=-3", 10, 206, 7, 10},
        {"bytes=-99", 10, 206, 0, 10},
        {"bytes=9-", 10, 206, 9, 10},
        {"bytes=10-", 10, 416, 0, 0},
        {"bytes=10-20", 10, 416, 0, 0},
        {"bytes=-0", 10, 416, 0, 0},
        {"bytes=0-", 0, 416, 0, 0},
        {"bytes=-1", 0, 416, 0, 0},
        {"bytes=0-1,3-4", 10, 200, 0, 0},
        {"bytes=5-2", 10, 200, 0, 0},
        {"bytes=-", 10, 200, 0, 0},
        {"bytes=", 10, 200, 0, 0},
        {"bytes=a-b", 10, 200, 0, 0},
        {"bytes=1-2x", 10, 200, 0, 0},
        {"bytes= 1-2", 10, 200, 0, 0},
        {"bytes=99999999999999999999-", 10, 200, 0, 0},
        {"lines=1-2", 10, 200, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct ceasei_conditions c = {
            .range = rows[i].range, .tag = "\"t\"", .size = rows[i].size};
        uint64_t begin = 0;
        uint64_t end = 0;
        CHECK_EQ(ceasei_conditions_decide(&c, &begin, &end), rows[i].status);
        if (rows[i].status == 206) {
            CHECK_EQ(begin, rows[i].begin);
            CHECK_EQ(end, rows[i].end);
        }
    }
}

TEST(conditions_inTheirOrder_decide)
{
    static const char before[] = "Sun, 06 Nov 1994 08:49:36 GMT";
    static const char same[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const struct {
        struct ceasei_conditions c;
        int status;
    } rows[] = {
        {{.if_match = "\"t\""}, 200},
        {{.if_match = "\"u\""}, 412},
        {{.if_match = "W/\"t\""}, 412},
        {{.if_match = "\"t\"", .if_unmodified_since = before}, 200},
        {{.if_unmodified_since = before}, 412},
        {{.if_unmodified_since = same}, 200},
        {{.if_unmodified_since = "yesterday"}, 200},
        {{.if_none_match = "W/\"t\""}, 304},
        {{.if_none_match = "\"u\"", .if_modified_since = same}, 200},
        {{.if_modified_since = same}, 304},
        {{.if_modified_since = before}, 200},
        {{.if_modified_since = "yesterday"}, 200},
        {{.range = "bytes=0-1", .if_range = "\"t\""}, 206},
        {{.range = "bytes=0-1", .if_range = "\"u\""}, 200},
        {{.range = "bytes=0-1", .if_range = "W/\"t\""}, 200},
        {{.range = "bytes=0-1", .if_range = same}, 206},
        {{.range = "bytes=0-1", .if_range = before}, 200},
        {{.range = "bytes=0-1", .if_none_match = "*"}, 304},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ceasei_conditions c = rows[i].c;
        uint64_t begin;
        uint64_t end;
        c.tag = "\"t\"";
        c.modified = 784111777;
        c.size = 10;
        CHECK_EQ(ceasei_conditions_decide(&c, &begin, &end), rows[i].status);
    }
}

TEST(media_types_goByTheEnding)
{
    CHECK_STR(ceasei_media_type("a/b.html"), "text/html; charset=utf-8");
    CHECK_STR(ceasei_media_type("A.PNG"), "image/png");
    CHECK_STR(ceasei_media_type("a.tar.gz"), "application/gzip");
    CHECK_STR(ceasei_media_type("a.b/c"), "application/octet-stream");
    CHECK_STR(ceasei_media_type("html"), "application/octet-stream");
    CHECK_STR(ceasei_media_type(""), "application/octet-stream");
}
