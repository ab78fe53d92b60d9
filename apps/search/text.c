/* SPDX-License-Identifier: MIT
 *
 * text.c: see text.h. The buffer doubles; one spare byte is always kept for the NUL.
 */
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_deinit(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

void text_clear(struct text *t)
{
    t->size = 0;
    if (t->data)
        t->data[0] = '\0';
}

const char *text_str(const struct text *t)
{
    return t->data ? t->data : "";
}

static bool reserve(struct text *t, size_t more)
{
    if (more < t->room - t->size)
        return true; /* room is 0, or keeps a byte for the NUL */
    size_t room = t->room ? t->room * 2 : 256;
    while (room - t->size <= more)
        room *= 2;
    char *data = realloc(t->data, room);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->room = room;
    return true;
}

void text_add(struct text *t, const char *data, size_t size)
{
    if (size == 0 || !reserve(t, size))
        return;
    memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void text_puts(struct text *t, const char *string)
{
    text_add(t, string, strlen(string));
}

void text_putc(struct text *t, char c)
{
    text_add(t, &c, 1);
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size > 0 && reserve(t, (size_t)size)) {
        vsnprintf(t->data + t->size, (size_t)size + 1, format, again);
        t->size += (size_t)size;
    }
    va_end(again);
}

size_t utf8_length(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80)
        return 1;
    size_t length = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    bool surrogate_or_beyond = (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf4 && u[1] > 0x8f);
    return overlong || surrogate_or_beyond ? 0 : length;
}

/* One character that can be shown; returns how many bytes it took. */
static size_t utf8_one(struct text *t, const char *s)
{
    size_t length = utf8_length(s);
    bool control = (unsigned char)*s < 0x20 && *s != '\n' && *s != '\t';
    if (length == 0 || control || *s == 0x7f)
        text_puts(t, "\xef\xbf\xbd");
    else
        text_add(t, s, length);
    return length ? length : 1;
}

void text_utf8(struct text *t, const char *string)
{
    while (*string)
        string += utf8_one(t, string);
}

/* One character as HTML; returns how many bytes it took. */
static size_t html_one(struct text *t, const char *s)
{
    switch (*s) {
    case '&':
        text_puts(t, "&amp;");
        break;
    case '<':
        text_puts(t, "&lt;");
        break;
    case '>':
        text_puts(t, "&gt;");
        break;
    case '"':
        text_puts(t, "&quot;");
        break;
    case '\'':
        text_puts(t, "&#39;");
        break;
    default:
        return utf8_one(t, s);
    }
    return 1;
}

void text_html(struct text *t, const char *string)
{
    while (*string)
        string += html_one(t, string);
}

void text_html_marked(struct text *t, const char *string)
{
    bool open = false;
    while (*string) {
        if (*string != MARK_BEGIN && *string != MARK_END) {
            string += html_one(t, string);
            continue;
        }
        bool begin = *string++ == MARK_BEGIN;
        if (begin != open)
            text_puts(t, begin ? "<mark>" : "</mark>");
        open = begin;
    }
    if (open)
        text_puts(t, "</mark>");
}

void text_json(struct text *t, const char *string)
{
    if (!string) {
        text_puts(t, "null");
        return;
    }
    text_putc(t, '"');
    while (*string) {
        size_t length = utf8_length(string);
        unsigned char c = (unsigned char)*string;
        if (c == '"' || c == '\\')
            text_printf(t, "\\%c", c);
        else if (c == '\n')
            text_puts(t, "\\n");
        else if (length == 0)
            text_puts(t, "\xef\xbf\xbd");
        else if (c >= 0x20 && c != '<') /* so that no reader can take it for a tag */
            text_add(t, string, length);
        else if (c != MARK_BEGIN && c != MARK_END)
            text_printf(t, "\\u%04x", c);
        string += length ? length : 1;
    }
    text_putc(t, '"');
}

void text_url(struct text *t, const char *string)
{
    for (; *string; string++) {
        unsigned char c = (unsigned char)*string;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (c != 0 && strchr("-._~", c));
        if (plain)
            text_putc(t, (char)c);
        else
            text_printf(t, "%%%02X", c);
    }
}

void text_ms(struct text *t, cease_dur d)
{
    char digits[48];
    int64_t ns = d.ns < 0 ? 0 : d.ns;
    int size =
        snprintf(digits, sizeof digits, "%" PRId64 ".%06" PRId64, ns / 1000000, ns % 1000000);
    while (digits[size - 1] == '0')
        size--;
    if (digits[size - 1] == '.')
        size--;
    text_add(t, digits, (size_t)size);
}
