/* SPDX-License-Identifier: MIT
 *
 * duration.c: durations as text, in the syntax and with the results of Go's time.ParseDuration and
 * Duration.String.
 *
 * A duration is read as a sum of unsigned nanoseconds, at most 2^63, so that the smallest negative
 * one can be read back too; the sign is applied last. Fractions are exact integers (Go goes through
 * a double, which gives the same nanoseconds for every fraction that has at most 15 digits). Pure
 * functions, without allocation or locale.
 */
#include <cease/duration.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const uint64_t LIMIT = UINT64_C(1) << 63;

/* The unit at *text, which is moved past it; 0 when there is none. */
static uint64_t parse_unit(const char **text)
{
    static const struct {
        const char *name; /* the longer of two that begin alike comes first */
        uint64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", 1000},
        {"\xc2\xb5s", 1000}, /* U+00B5 */
        {"\xce\xbcs", 1000}, /* U+03BC */
        {"ms", 1000000},
        {"s", 1000000000},
        {"m", UINT64_C(60) * 1000000000},
        {"h", UINT64_C(3600) * 1000000000},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        char next = strncmp(*text, units[i].name, n) == 0 ? (*text)[n] : 'x';
        /* a unit ends at a number or at the end, as in Go: "1min" is no minute */
        if (next == '\0' || next == '.' || (next >= '0' && next <= '9')) {
            *text += n;
            return units[i].ns;
        }
    }
    return 0;
}

/* digits [ "." digits ] unit, at least one digit; adds to *sum. */
static cease_error parse_part(const char **text, uint64_t *sum)
{
    const char *p = *text;
    uint64_t whole = 0;
    bool digits = false;
    bool over = false;
    for (; *p >= '0' && *p <= '9'; p++) {
        digits = true;
        over = over || whole > (LIMIT - (uint64_t)(*p - '0')) / 10;
        whole = over ? 0 : whole * 10 + (uint64_t)(*p - '0');
    }
    uint64_t fraction = 0;
    double scale = 1;
    if (*p == '.') {
        bool full = false;
        for (p++; *p >= '0' && *p <= '9'; p++) {
            digits = true;
            full = full || fraction > (LIMIT - 1) / 10;
            if (!full) {
                fraction = fraction * 10 + (uint64_t)(*p - '0');
                scale *= 10;
            }
        }
    }
    uint64_t unit = digits ? parse_unit(&p) : 0;
    if (unit == 0) {
        return CEASE_EPARSE;
    }
    *text = p;
    over = over || whole > LIMIT / unit;
    if (over) {
        return CEASE_ERANGE;
    }
    uint64_t ns = whole * unit + (uint64_t)((double)fraction * ((double)unit / scale));
    if (ns > LIMIT || *sum + ns > LIMIT) {
        return CEASE_ERANGE;
    }
    *sum += ns;
    return CEASE_OK;
}

cease_error cease_dur_parse(const char *text, cease_dur *ret)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') {
        text++;
    }
    if (strcmp(text, "0") == 0) {
        ret->ns = 0;
        return CEASE_OK;
    }
    if (*text == '\0') {
        return CEASE_EPARSE;
    }
    uint64_t sum = 0;
    cease_error range = CEASE_OK;
    while (*text) {
        cease_error e = parse_part(&text, &sum);
        if (e == CEASE_EPARSE) {
            return e;
        }
        range = e == CEASE_OK ? range : e; /* a later syntax error says more */
    }
    if (range != CEASE_OK || (!negative && sum == LIMIT)) {
        return CEASE_ERANGE;
    }
    ret->ns = (int64_t)(negative ? 0 - sum : sum);
    return CEASE_OK;
}

/* Writes value / 10^places before *p, without zeros at the end of the fraction; gives what is left
 * of it above the point. */
static uint64_t put_fraction(char **p, uint64_t value, int places)
{
    bool digits = false;
    for (int i = 0; i < places; i++) {
        uint64_t digit = value % 10;
        digits = digits || digit != 0;
        if (digits) {
            *--*p = (char)('0' + digit);
        }
        value /= 10;
    }
    if (digits) {
        *--*p = '.';
    }
    return value;
}

static void put_integer(char **p, uint64_t value)
{
    do {
        *--*p = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
}

static void put_text(char **p, const char *text)
{
    size_t n = strlen(text);
    *p -= n;
    memcpy(*p, text, n);
}

/* Less than a second: one number in the largest unit that is not larger than it. */
static void put_small(char **p, uint64_t ns)
{
    int places = ns < 1000 ? 0 : ns < 1000000 ? 3 : 6;
    put_text(p, places == 0 ? "ns" : places == 3 ? "\xc2\xb5s" : "ms");
    put_integer(p, put_fraction(p, ns, places));
}

static void put_large(char **p, uint64_t ns)
{
    put_text(p, "s");
    uint64_t seconds = put_fraction(p, ns, 9);
    put_integer(p, seconds % 60);
    if (seconds >= 60) {
        put_text(p, "m");
        put_integer(p, seconds / 60 % 60);
    }
    if (seconds >= 3600) {
        put_text(p, "h");
        put_integer(p, seconds / 3600);
    }
}

cease_error cease_dur_format(cease_dur d, char *ret, size_t size)
{
    char text[CEASE_DUR_SIZE]; /* filled from its end */
    char *p = text + sizeof text - 1;
    *p = '\0';
    uint64_t ns = d.ns < 0 ? 0 - (uint64_t)d.ns : (uint64_t)d.ns;
    if (d.ns == INT64_MAX) {
        put_text(&p, "forever");
    } else if (ns == 0) {
        put_text(&p, "0s");
    } else {
        if (ns < 1000000000) {
            put_small(&p, ns);
        } else {
            put_large(&p, ns);
        }
        if (d.ns < 0) {
            put_text(&p, "-");
        }
    }
    size_t length = (size_t)(text + sizeof text - 1 - p);
    if (size > 0) {
        size_t n = length < size ? length : size - 1;
        memcpy(ret, p, n);
        ret[n] = '\0';
    }
    return length < size ? CEASE_OK : CEASE_ERANGE;
}
