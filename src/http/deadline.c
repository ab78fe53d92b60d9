/* SPDX-License-Identifier: MIT
 *
 * deadline.c: the header fields that carry a request's remaining time from process to process.
 *
 * They carry durations, not points in time, because clocks differ between hosts. All are parsed
 * strictly, since a misread unit is worse than no deadline: what is malformed is ignored and
 * counted; what is absurdly long is harmless, as it is only ever compared with the server's limit.
 * Pure functions.
 */
#include "http/deadline.h"

#include <string.h>
#include <strings.h>

/* 1 to `digits_max` digits, nothing else. */
static bool number(const char *text, size_t size, size_t digits_max, int64_t *ret)
{
    if (size == 0 || size > digits_max) {
        return false;
    }
    int64_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        n = n * 10 + (text[i] - '0');
    }
    *ret = n;
    return true;
}

bool ceasei_deadline_grpc(const char *text, size_t size, cease_dur *ret)
{
    int64_t n;
    if (size < 2 || !number(text, size - 1, 8, &n)) {
        return false;
    }
    switch (text[size - 1]) {
    case 'H':
        *ret = cease_hour(n);
        return true;
    case 'M':
        *ret = cease_min(n);
        return true;
    case 'S':
        *ret = cease_sec(n);
        return true;
    case 'm':
        *ret = cease_ms(n);
        return true;
    case 'u':
        *ret = cease_us(n);
        return true;
    case 'n':
        *ret = cease_ns(n);
        return true;
    default:
        return false;
    }
}

bool ceasei_deadline_ms(const char *text, size_t size, cease_dur *ret)
{
    int64_t n;
    if (!number(text, size, 10, &n)) {
        return false;
    }
    *ret = cease_ms(n);
    return true;
}

void ceasei_deadline_grpc_format(cease_dur d, char ret[CEASEI_DEADLINE_SIZE])
{
    static const struct {
        int64_t ns;
        char letter;
    } units[] = {{1, 'n'},
                 {1000, 'u'},
                 {1000000, 'm'},
                 {1000000000, 'S'},
                 {INT64_C(60) * 1000000000, 'M'},
                 {INT64_C(3600) * 1000000000, 'H'}};
    size_t unit = 0;
    int64_t n = d.ns > 0 ? d.ns : 0;
    while (n > 99999999) { /* the hours of INT64_MAX ns fit */
        unit++;
        n = d.ns / units[unit].ns + (d.ns % units[unit].ns != 0);
    }
    char digits[8];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    for (size_t i = 0; i < count; i++) {
        ret[i] = digits[count - 1 - i];
    }
    ret[count] = units[unit].letter;
    ret[count + 1] = '\0';
}

/* 0: not such a field; 1: read; -1: malformed. */
static int one_field(const char *name, const char *value, const struct ceasei_http_field *f,
                     cease_dur *ret)
{
    bool ok;
    if (f->name_size == 12 && !strncasecmp(name, "grpc-timeout", 12)) {
        ok = ceasei_deadline_grpc(value, f->value_size, ret);
    } else if ((f->name_size == 18 && !strncasecmp(name, "connect-timeout-ms", 18)) ||
               (f->name_size == 20 && !strncasecmp(name, "x-request-timeout-ms", 20)) ||
               (f->name_size == 30 && !strncasecmp(name, "x-envoy-expected-rq-timeout-ms", 30))) {
        ok = ceasei_deadline_ms(value, f->value_size, ret);
    } else {
        return 0;
    }
    return ok ? 1 : -1;
}

cease_dur ceasei_deadline_of(const struct ceasei_http_head *h, const char *data, unsigned *ret_bad)
{
    cease_dur least = CEASE_FOREVER;
    unsigned bad = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct ceasei_http_field *f = &h->fields[i];
        cease_dur d;
        int r = one_field(data + f->name, data + f->value, f, &d);
        bad += r < 0;
        if (r > 0 && d.ns < least.ns) {
            least = d;
        }
    }
    *ret_bad = bad;
    return least;
}
