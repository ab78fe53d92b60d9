/* SPDX-License-Identifier: MIT
 *
 * content.c: conditions and ranges (RFC 9110, 13 and 14), dates, media types, as pure functions.
 */
#include "http/content.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* ---- dates ---- */

static int digits(const char *text, int count)
{
    int n = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        n = n * 10 + (text[i] - '0');
    }
    return n;
}

static int index_of(const char *names, const char *text)
{
    for (int i = 0; names[3 * i]; i++) {
        if (memcmp(names + 3 * i, text, 3) == 0) {
            return i;
        }
    }
    return -1;
}

int64_t ceasei_date_parse(const char *text)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    if (strlen(text) != 29 || memcmp(text + 3, ", ", 2) != 0 || text[7] != ' ' || text[11] != ' ' ||
        text[16] != ' ' || text[19] != ':' || text[22] != ':' ||
        memcmp(text + 25, " GMT", 5) != 0) {
        return -1;
    }
    int weekday = index_of("ThuFriSatSunMonTueWed", text);
    int day = digits(text + 5, 2);
    int month = index_of("JanFebMarAprMayJunJulAugSepOctNovDec", text + 8);
    int year = digits(text + 12, 4);
    int hour = digits(text + 17, 2);
    int minute = digits(text + 20, 2);
    int second = digits(text + 23, 2);
    if (weekday < 0 || day < 1 || day > 31 || month < 0 || year < 1970 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60) {
        return -1;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t past = year - 1; /* whole years, counted from the year 1 */
    int64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162 + before[month] +
                   (leap && month > 1) + day - 1;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

/* ---- entity tags ---- */

bool ceasei_etags_have(const char *list, const char *tag, bool weak)
{
    if (strcmp(list, "*") == 0) {
        return true;
    }
    size_t size = strlen(tag);
    while (*list) {
        list += strspn(list, " \t,");
        bool is_weak = strncmp(list, "W/", 2) == 0;
        list += is_weak ? 2 : 0;
        const char *end = *list == '"' ? strchr(list + 1, '"') : NULL;
        if (!end) {
            return false; /* malformed from here on */
        }
        if ((weak || !is_weak) && (size_t)(end + 1 - list) == size &&
            memcmp(list, tag, size) == 0) {
            return true;
        }
        list = end + 1;
    }
    return false;
}

/* ---- ranges ---- */

/* A number; false when there is none, or one too large. */
static bool number(const char **p, uint64_t *ret)
{
    const char *begin = *p;
    uint64_t n = 0;
    while (**p >= '0' && **p <= '9') {
        if (n > (UINT64_MAX - 9) / 10) {
            return false;
        }
        n = n * 10 + (uint64_t)(*(*p)++ - '0');
    }
    *ret = n;
    return *p > begin;
}

/* 206, 416, or 200: not one range, or none that we understand. */
static int range(const char *text, uint64_t size, uint64_t *ret_begin, uint64_t *ret_end)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (strncasecmp(text, "bytes=", 6) != 0) {
        return 200;
    }
    text += 6;
    bool from = number(&text, &first);
    if (*text++ != '-') {
        return 200;
    }
    bool to = number(&text, &last);
    if (*text != '\0' || (!from && !to) || (from && to && last < first)) {
        return 200;
    }
    if (!from) { /* the last so many bytes */
        if (last == 0 || size == 0) {
            return 416;
        }
        *ret_begin = last < size ? size - last : 0;
        *ret_end = size;
        return 206;
    }
    if (first >= size) {
        return 416;
    }
    *ret_begin = first;
    *ret_end = to && last < size - 1 ? last + 1 : size;
    return 206;
}

/* Whether the range still belongs to what the client has (RFC 9110, 13.1.5). */
static bool range_holds(const struct ceasei_conditions *c)
{
    if (!c->if_range) {
        return true;
    }
    return c->if_range[0] == '"' ? strcmp(c->if_range, c->tag) == 0
                                 : ceasei_date_parse(c->if_range) == c->modified;
}

int ceasei_conditions_decide(const struct ceasei_conditions *c, uint64_t *ret_begin,
                             uint64_t *ret_end)
{
    if (c->if_match) {
        if (!ceasei_etags_have(c->if_match, c->tag, false)) {
            return 412;
        }
    } else if (c->if_unmodified_since) {
        int64_t since = ceasei_date_parse(c->if_unmodified_since);
        if (since >= 0 && c->modified > since) {
            return 412;
        }
    }
    if (c->if_none_match) {
        if (ceasei_etags_have(c->if_none_match, c->tag, true)) {
            return 304;
        }
    } else if (c->if_modified_since) {
        int64_t since = ceasei_date_parse(c->if_modified_since);
        if (since >= 0 && c->modified <= since) {
            return 304;
        }
    }
    return c->range && range_holds(c) ? range(c->range, c->size, ret_begin, ret_end) : 200;
}

/* ---- media types ---- */

const char *ceasei_media_type(const char *name)
{
    static const struct {
        const char *ending, *type;
    } table[] = {
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"txt", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"xml", "application/xml"},
        {"json", "application/json"},
        {"map", "application/json"},
        {"webmanifest", "application/manifest+json"},
        {"wasm", "application/wasm"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"avif", "image/avif"},
        {"ico", "image/vnd.microsoft.icon"},
        {"woff", "font/woff"},
        {"woff2", "font/woff2"},
        {"ttf", "font/ttf"},
        {"mp3", "audio/mpeg"},
        {"ogg", "audio/ogg"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
    };
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot && i < sizeof table / sizeof *table; i++) {
        if (strcasecmp(dot + 1, table[i].ending) == 0) {
            return table[i].type;
        }
    }
    return "application/octet-stream";
}
