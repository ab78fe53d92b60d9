/* wire_test.c: out to break gRPC's own formats: timeouts at every edge of a unit, texts and bytes that come
 * back as they went, and what is malformed. */
#include "grpc/wire.h"
#include "harness.h"

#include <string.h>

static void check_timeout(int64_t ns, const char *wanted)
{
    char text[CEASEI_GRPC_TIMEOUT_SIZE];
    ceasei_grpc_timeout(cease_ns(ns), text);
    CHECK_STR(text, wanted);
}

TEST(timeout_atTheEdgesOfItsUnits_takesTheFinestThatFitsRoundedUp)
{
    check_timeout(-5, "0n");
    check_timeout(0, "0n");
    check_timeout(1, "1n");
    check_timeout(99999999, "99999999n");
    check_timeout(100000000, "100000u");
    check_timeout(100000001, "100001u");
    check_timeout(INT64_C(99999999) * 1000, "99999999u");
    check_timeout(INT64_C(99999999) * 1000 + 1, "100000m");
    check_timeout(INT64_C(3600) * 1000000000, "3600000m");
    check_timeout(INT64_C(99999999) * 1000000 + 1, "100000S");
    check_timeout(INT64_MAX, "2562048H");
}

TEST(prefix_ofAnySize_comesBack)
{
    const uint32_t sizes[] = {0, 1, 255, 256, 65536, 16777216, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t prefix[CEASEI_GRPC_PREFIX];
        bool compressed = true;
        uint32_t size = 7;
        ceasei_grpc_prefix(prefix, sizes[i]);
        CHECK(ceasei_grpc_prefix_read(prefix, &compressed, &size));
        CHECK(!compressed);
        CHECK_EQ(size, sizes[i]);
        prefix[0] = 1;
        CHECK(ceasei_grpc_prefix_read(prefix, &compressed, &size));
        CHECK(compressed);
        prefix[0] = 2;
        CHECK(!ceasei_grpc_prefix_read(prefix, &compressed, &size));
    }
}

static void check_text(const char *text, const char *encoded)
{
    char out[100];
    ceasei_grpc_text_encode(text, out, sizeof out);
    CHECK_STR(out, encoded);
    ceasei_grpc_text_decode(out);
    CHECK_STR(out, text);
}

TEST(text_encoded_isAFieldAndComesBack)
{
    check_text("", "");
    check_text("not here", "not here");
    check_text("100%", "100%25");
    check_text("a\nb", "a%0Ab");
    check_text("gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F");
    check_text(" a ", "%20a%20");
    char out[8];
    ceasei_grpc_text_encode("abcde\n", out, sizeof out);
    CHECK_STR(out, "abcde"); /* cut, never within an encoded byte */
    char bad[] = "%zz%4%%41%00";
    ceasei_grpc_text_decode(bad);
    CHECK_STR(bad, "%zz%4%A%00");
}

TEST(bin_ofEveryLength_comesBackPaddedOrNot)
{
    uint8_t data[64];
    uint8_t back[64];
    char text[100];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 37 + 200);
    }
    for (size_t size = 0; size <= sizeof data; size++) {
        size_t n = 99;
        CHECK_OK(cease_grpc_bin_encode(data, size, text, sizeof text));
        CHECK_OK(cease_grpc_bin_decode(text, back, sizeof back, &n));
        CHECK_EQ(n, size);
        CHECK_EQ(memcmp(back, data, size), 0);
        CHECK_ERR(cease_grpc_bin_encode(data, size, text, strlen(text)), CEASE_ERANGE);
        if (size > 0) {
            CHECK_ERR(cease_grpc_bin_decode(text, back, size - 1, &n), CEASE_ERANGE);
        }
        while (strlen(text) % 4 != 0) {
            strcat(text, "=");
        }
        CHECK_OK(cease_grpc_bin_decode(text, back, sizeof back, &n));
        CHECK_EQ(n, size);
    }
    static const char *const bad[] = {"a", "a===", "ab=c", "a b1", "ab-_", "====", "=", "abc=="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t n;
        CHECK_ERR(cease_grpc_bin_decode(bad[i], back, sizeof back, &n), CEASE_EPARSE);
    }
}

TEST(code_fromTexts_isStrict)
{
    CHECK_EQ(ceasei_grpc_code_read("0"), CEASE_GRPC_OK);
    CHECK_EQ(ceasei_grpc_code_read("16"), CEASE_GRPC_UNAUTHENTICATED);
    CHECK_EQ(ceasei_grpc_code_read("17"), CEASE_GRPC_UNKNOWN);
    CHECK_EQ(ceasei_grpc_code_read(""), CEASE_GRPC_UNKNOWN);
    CHECK_EQ(ceasei_grpc_code_read("-1"), CEASE_GRPC_UNKNOWN);
    CHECK_EQ(ceasei_grpc_code_read("1x"), CEASE_GRPC_UNKNOWN);
    CHECK_EQ(ceasei_grpc_code_read("000"), CEASE_GRPC_UNKNOWN);
    CHECK_STR(cease_grpc_code_name(CEASE_GRPC_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
    CHECK_STR(cease_grpc_code_name((cease_grpc_code)99), "UNKNOWN");
    CHECK_EQ(ceasei_grpc_code_of_http(404), CEASE_GRPC_UNIMPLEMENTED);
    CHECK_EQ(ceasei_grpc_code_of_http(503), CEASE_GRPC_UNAVAILABLE);
    CHECK_EQ(ceasei_grpc_code_of_http2(8), CEASE_GRPC_CANCELLED);
    CHECK_EQ(ceasei_grpc_code_of_http2(7), CEASE_GRPC_UNAVAILABLE);
    CHECK_EQ(ceasei_grpc_code_of_http2(2), CEASE_GRPC_INTERNAL);
}
