/* wire_test.c: out to break gRPC's own formats: timeouts at every edge of a unit, texts and bytes that come
 * back as they went, and what is malformed. */
#include "grpc/gzip.h"
#include "grpc/wire.h"
#include "harness.h"

#include <stdlib.h>
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
        ceasei_grpc_prefix(prefix, i % 2 == 1, sizes[i]);
        CHECK(ceasei_grpc_prefix_read(prefix, &compressed, &size));
        CHECK_EQ(compressed, i % 2 == 1);
        CHECK_EQ(size, sizes[i]);
        prefix[0] = 1;
        CHECK(ceasei_grpc_prefix_read(prefix, &compressed, &size));
        CHECK(compressed);
        prefix[0] = 2;
        CHECK(!ceasei_grpc_prefix_read(prefix, &compressed, &size));
    }
}

/* Packs `size` bytes, and unpacks them with room for `max`. */
static cease_error there_and_back(const char *data, size_t size, size_t max)
{
    struct ceasei_grpc_bytes packed = {0};
    struct ceasei_grpc_bytes back = {0};
    CHECK_OK(ceasei_grpc_gzip(data, size, &packed));
    cease_error e = ceasei_grpc_gunzip(packed.data, packed.size, max, &back);
    if (e == CEASE_OK) {
        CHECK_EQ(back.size, size);
        CHECK_EQ(memcmp(back.data, data, size), 0);
        CHECK_EQ(back.data[size], '\0');
    } else { /* at most one byte more than allowed was made */
        CHECK(back.room <= max + 2);
    }
    for (size_t cut = 0; cut < packed.size; cut += 1 + packed.size / 50) { /* not the whole of it */
        CHECK_ERR(ceasei_grpc_gunzip(packed.data, cut, size + 1, &back), CEASE_EPROTO);
    }
    free(packed.data);
    free(back.data);
    return e;
}

TEST(gzip_ofAnySize_comesBackUpToTheMost)
{
    static const size_t sizes[] = {0, 1, 1000, 1021, 1022, 1023, 1024, 2045, 2046, 2047, 100000};
    static char zeros[100000];
    static char noise[100000];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (char)(seed >> 24);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        CHECK_OK(there_and_back(zeros, size, size));
        CHECK_OK(there_and_back(noise, size, size));
        CHECK_OK(there_and_back(noise, size, size + 1));
        if (size > 0) {
            CHECK_ERR(there_and_back(zeros, size, size - 1), CEASE_EMSGSIZE);
            CHECK_ERR(there_and_back(noise, size, size / 2), CEASE_EMSGSIZE);
        }
    }
}

TEST(gzip_whatIsNone_isRefused)
{
    struct ceasei_grpc_bytes back = {0};
    struct ceasei_grpc_bytes packed = {0};
    CHECK_ERR(ceasei_grpc_gunzip("no gzip at all", 14, 100, &back), CEASE_EPROTO);
    CHECK_ERR(ceasei_grpc_gunzip("", 0, 100, &back), CEASE_EPROTO);
    CHECK_OK(ceasei_grpc_gzip("abc", 3, &packed));
    packed.data[packed.size - 6] ^= 1; /* of the checksum */
    CHECK_ERR(ceasei_grpc_gunzip(packed.data, packed.size, 100, &back), CEASE_EPROTO);
    CHECK_OK(ceasei_grpc_gzip("abc", 3, &packed));
    packed.data = realloc(packed.data, packed.size + 1);
    packed.data[packed.size] = 'x'; /* something behind it */
    CHECK_ERR(ceasei_grpc_gunzip(packed.data, packed.size + 1, 100, &back), CEASE_EPROTO);
    free(back.data);
    free(packed.data);
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
