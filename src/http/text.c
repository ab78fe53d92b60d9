/* SPDX-License-Identifier: MIT
 *
 * text.c: building messages, and the Date field.
 */
#include "base/lock.h"
#include "http/server.h"

#include <string.h>
#include <time.h>

char *ceasei_put_number(char *p, uint64_t n, unsigned base)
{
    char digits[20];
    size_t count = 0;
    do { /* a division by a constant is a multiplication */
        digits[count++] = "0123456789abcdef"[base == 10 ? n % 10 : n % 16];
        n = base == 10 ? n / 10 : n / 16;
    } while (n > 0);
    while (count > 0) {
        *p++ = digits[--count];
    }
    return p;
}

static char *put_two(char *p, int64_t n)
{
    *p++ = (char)('0' + n / 10 % 10);
    *p++ = (char)('0' + n % 10);
    return p;
}

/* Not by gmtime_r, which reads TZ, locks and allocates: days to
 * year, month and day as in Howard Hinnant's "chrono-compatible low-level date algorithms". */
void ceasei_make_date(char text[CEASEI_DATE_SIZE], int64_t seconds)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */
    static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    int64_t day = seconds / 86400 + 719468; /* since the first of March of the year 0 */
    int64_t era = day / 146097;
    int64_t of_era = day % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    year += era * 400 + (month >= 10);
    char *p = ceasei_put(text, days + 3 * (seconds / 86400 % 7), 3);
    p = put_two(ceasei_put_text(p, ", "), of_year - (153 * month + 2) / 5 + 1);
    *p++ = ' ';
    p = ceasei_put(p, months + 3 * month, 3);
    *p++ = ' ';
    p = put_two(put_two(p, year / 100), year % 100);
    *p++ = ' ';
    p = put_two(p, seconds / 3600 % 24);
    *p++ = ':';
    p = put_two(p, seconds / 60 % 60);
    *p++ = ':';
    p = put_two(p, seconds % 60);
    ceasei_put_text(p, " GMT");
}

/* Made once a second. The time of day is for people, so it comes from the system and
 * not from the clock that tests may replace. */
char *ceasei_put_date(char *p)
{
    static struct {
        struct ceasei_lock lock;
        int64_t second; /* under lock, as is text */
        char text[CEASEI_DATE_SIZE];
    } cache;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    ceasei_lock(&cache.lock);
    if (cache.second != now.tv_sec) {
        ceasei_make_date(cache.text, now.tv_sec);
        cache.second = now.tv_sec;
    }
    p = ceasei_put(p, cache.text, CEASEI_DATE_SIZE);
    ceasei_unlock(&cache.lock);
    return p;
}
