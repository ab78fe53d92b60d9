/* duration_test.c: out to break durations as text and the deadline headers: signs, fractions, units
 * that begin alike, both ends of the range, and what must be refused. The rows for durations are
 * those of Go's time_test.go, with its results. */
#include "harness.h"
#include "http/deadline.h"

#include <cease/duration.h>
#include <stdint.h>
#include <string.h>

static const int64_t US = 1000, MS = 1000000, S = 1000000000, M = INT64_C(60000000000),
                     H = INT64_C(3600000000000);

static int64_t parsed(const char *text)
{
    cease_dur d = {-1};
    CHECK_OK(cease_dur_parse(text, &d));
    return d.ns;
}

TEST(duration_parse_gives_what_go_gives)
{
    CHECK_EQ(parsed("0"), 0);
    CHECK_EQ(parsed("5s"), 5 * S);
    CHECK_EQ(parsed("30s"), 30 * S);
    CHECK_EQ(parsed("1478s"), 1478 * S);
    CHECK_EQ(parsed("-5s"), -5 * S);
    CHECK_EQ(parsed("+5s"), 5 * S);
    CHECK_EQ(parsed("-0"), 0);
    CHECK_EQ(parsed("+0"), 0);
    CHECK_EQ(parsed("5.0s"), 5 * S);
    CHECK_EQ(parsed("5.6s"), 5 * S + 600 * MS);
    CHECK_EQ(parsed("5.s"), 5 * S);
    CHECK_EQ(parsed(".5s"), 500 * MS);
    CHECK_EQ(parsed("1.0s"), 1 * S);
    CHECK_EQ(parsed("1.004s"), 1 * S + 4 * MS);
    CHECK_EQ(parsed("100.00100s"), 100 * S + 1 * MS);
    CHECK_EQ(parsed("10ns"), 10);
    CHECK_EQ(parsed("11us"), 11 * US);
    CHECK_EQ(parsed("12\xc2\xb5s"), 12 * US);
    CHECK_EQ(parsed("12\xce\xbcs"), 12 * US);
    CHECK_EQ(parsed("13ms"), 13 * MS);
    CHECK_EQ(parsed("14s"), 14 * S);
    CHECK_EQ(parsed("15m"), 15 * M);
    CHECK_EQ(parsed("16h"), 16 * H);
    CHECK_EQ(parsed("3h30m"), 3 * H + 30 * M);
    CHECK_EQ(parsed("10.5s4m"), 4 * M + 10 * S + 500 * MS);
    CHECK_EQ(parsed("-2m3.4s"), -(2 * M + 3 * S + 400 * MS));
    CHECK_EQ(parsed("1h2m3s4ms5us6ns"), 1 * H + 2 * M + 3 * S + 4 * MS + 5 * US + 6);
    CHECK_EQ(parsed("39h9m14.425s"), 39 * H + 9 * M + 14 * S + 425 * MS);
    CHECK_EQ(parsed("52763797000ns"), INT64_C(52763797000));
    CHECK_EQ(parsed("0.3333333333333333333h"), 20 * M);
    CHECK_EQ(parsed("9007199254740993ns"), (INT64_C(1) << 53) + 1);
    CHECK_EQ(parsed("9223372036854775807ns"), INT64_MAX);
    CHECK_EQ(parsed("9223372036854775.807us"), INT64_MAX);
    CHECK_EQ(parsed("9223372036s854ms775us807ns"), INT64_MAX);
    CHECK_EQ(parsed("-9223372036854775808ns"), INT64_MIN);
    CHECK_EQ(parsed("-9223372036854775.808us"), INT64_MIN);
    CHECK_EQ(parsed("-9223372036s854ms775us808ns"), INT64_MIN);
    CHECK_EQ(parsed("-2562047h47m16.854775808s"), INT64_MIN);
    CHECK_EQ(parsed("0.100000000000000000000h"), 6 * M);
    CHECK_EQ(parsed("0.830103483285477580700h"), 49 * M + 48 * S + 372539827);
}

TEST(duration_parse_refuses_what_go_refuses)
{
    static const char *const malformed[] = {
        "",     "3",   "-",   "s",         ".",   "-.",   ".s",   "+.s", "1d",
        "1min", "1S",  " 1s", "1s ",       "1 s", "--1s", "+-1s", "1s-", "1e3s",
        "0x1s", "1s2", "1sm", "1\xc2\xb5", "abc", "inf",  "1,5s", "00",  "1..5s",
    };
    static const char *const too_large[] = {
        "9223372036854775810ns",
        "9223372036854775808ns",
        "-9223372036854775809ns",
        "9223372036854776us",
        "3000000h",
        "9223372036854775.808us",
        "9223372036s854ms775us808ns",
        "99999999999999999999999h",
        "2562047h47m16.854775808s",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        cease_dur d = {-1};
        CHECK_ERR(cease_dur_parse(malformed[i], &d), CEASE_EPARSE);
        CHECK_EQ(d.ns, -1);
    }
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        cease_dur d = {-1};
        CHECK_ERR(cease_dur_parse(too_large[i], &d), CEASE_ERANGE);
        CHECK_EQ(d.ns, -1);
    }
}

TEST(duration_format_gives_what_go_gives_and_reads_back)
{
    const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1ns"},
        {1100, "1.1\xc2\xb5s"},
        {2200000, "2.2ms"},
        {3300 * MS, "3.3s"},
        {4 * M + 5 * S, "4m5s"},
        {4 * M + 5001 * MS, "4m5.001s"},
        {5 * H + 6 * M + 7001 * MS, "5h6m7.001s"},
        {8 * M + 1, "8m0.000000001s"},
        {H, "1h0m0s"},
        {-S, "-1s"},
        {INT64_MAX - 1, "2562047h47m16.854775806s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CEASE_DUR_SIZE];
        CHECK_OK(cease_dur_format((cease_dur){rows[i].ns}, text, sizeof text));
        CHECK_STR(text, rows[i].text);
        CHECK_EQ(parsed(text), rows[i].ns);
    }
    char text[8];
    CHECK_OK(cease_dur_format(CEASE_FOREVER, text, sizeof text));
    CHECK_STR(text, "forever");
    CHECK_ERR(cease_dur_format(CEASE_FOREVER, text, sizeof text - 1), CEASE_ERANGE);
    CHECK_STR(text, "foreve");
    CHECK_ERR(cease_dur_format(CEASE_FOREVER, NULL, 0), CEASE_ERANGE);
}

TEST(deadline_grpc_is_read_strictly)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: malformed */
    } rows[] = {
        {"0n", 0},
        {"1n", 1},
        {"100000u", 100000000},
        {"250m", 250000000},
        {"00000001S", 1000000000},
        {"1M", INT64_C(60000000000)},
        {"99999999H", INT64_MAX},
        {"99999999n", 99999999},
        {"", -1},
        {"n", -1},
        {"1", -1},
        {"100000000n", -1},
        {"-1n", -1},
        {"+1n", -1},
        {" 1n", -1},
        {"1n ", -1},
        {"1 n", -1},
        {"1h", -1},
        {"1s", -1},
        {"1ms", -1},
        {"1.5S", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_dur d = {-1};
        CHECK_EQ(ceasei_deadline_grpc(rows[i].text, strlen(rows[i].text), &d), rows[i].ns >= 0);
        CHECK_EQ(d.ns, rows[i].ns);
    }
}

TEST(deadline_grpc_is_written_in_the_finest_unit_that_fits)
{
    const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {INT64_MIN, "0n"},
        {-1, "0n"},
        {0, "0n"},
        {1, "1n"},
        {99999999, "99999999n"},
        {100000000, "100000u"},
        {100000001, "100001u"},
        {H, "3600000m"},
        {99999999 * US, "99999999u"},
        {99999999 * US + 1, "100000m"},
        {99999999 * S, "99999999S"},
        {99999999 * S + 1, "1666667M"},
        {INT64_MAX, "2562048H"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CEASEI_DEADLINE_SIZE];
        ceasei_deadline_grpc_format((cease_dur){rows[i].ns}, text);
        CHECK_STR(text, rows[i].text);
        cease_dur back;
        CHECK(ceasei_deadline_grpc(text, strlen(text), &back));
        CHECK(back.ns >= rows[i].ns || rows[i].ns == INT64_MAX);
    }
}

static int64_t deadline_of(const char *lines, unsigned *ret_bad)
{
    char text[512] = "GET / HTTP/1.1\r\nHost: a\r\n";
    strcat(strcat(text, lines), "\r\n");
    struct ceasei_http_field fields[8];
    struct ceasei_http_head h;
    ceasei_http_head_init(&h, fields, 8, sizeof text);
    CHECK_EQ(ceasei_http_parse_request(&h, text, strlen(text)), (int64_t)strlen(text));
    return ceasei_deadline_of(&h, text, ret_bad).ns;
}

TEST(deadline_of_a_head_is_the_smallest_that_is_wellformed)
{
    unsigned bad;
    CHECK_EQ(deadline_of("", &bad), INT64_MAX);
    CHECK_EQ(bad, 0);
    CHECK_EQ(deadline_of("X-Request-Timeout-Ms: 250\r\n", &bad), 250 * MS);
    CHECK_EQ(deadline_of("x-request-timeout-ms: 0\r\n", &bad), 0);
    CHECK_EQ(deadline_of("Connect-Timeout-Ms: 9999999999\r\n", &bad), 9999999999 * MS);
    CHECK_EQ(deadline_of("X-Envoy-Expected-Rq-Timeout-Ms: 7\r\ngrpc-timeout: 1S\r\n", &bad),
             7 * MS);
    CHECK_EQ(bad, 0);
    CHECK_EQ(deadline_of("Connect-Timeout-Ms: 12345678901\r\ngrpc-timeout: 1S\r\n", &bad), S);
    CHECK_EQ(bad, 1);
    CHECK_EQ(
        deadline_of("X-Request-Timeout-Ms: -1\r\nConnect-Timeout-Ms:\r\ngrpc-timeout: 1\r\n", &bad),
        INT64_MAX);
    CHECK_EQ(bad, 3);
}
