/* SPDX-License-Identifier: MIT
 *
 * text.h: a growing text, and the ways to write foreign words into HTML, JSON and URLs.
 *
 * Running out of memory is remembered (`failed`) instead of reported by every call: whoever built
 * the text asks once, at the end. All escaping of the program is in here.
 */
#ifndef SEARCH_TEXT_H
#define SEARCH_TEXT_H

#include <cease/attr.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* NUL-terminated once anything was added; NULL before */
    size_t size;
    size_t room;
    bool failed; /* out of memory: what was added since is missing */
};

#define TEXT_AUTO CEASE_CLEANUP(text_deinit) struct text

void text_deinit(struct text *t);
void text_clear(struct text *t);
const char *text_str(const struct text *t); /* never NULL */

void text_add(struct text *t, const char *data, size_t size);
void text_puts(struct text *t, const char *string);
void text_putc(struct text *t, char c);
void text_printf(struct text *t, const char *format, ...) CEASE_PRINTF(2, 3);

/* Valid UTF-8 without NUL or other control characters than newline and tab; what is not becomes U+FFFD. */
void text_utf8(struct text *t, const char *string);
/* For HTML, between tags and inside double quotes. Bytes that are not UTF-8 become U+FFFD. */
void text_html(struct text *t, const char *string);
/* The same for a snippet, whose hits are between the bytes MARK_BEGIN and MARK_END: these become
 * <mark>. */
void text_html_marked(struct text *t, const char *string);
/* A JSON string with its quotes; `string` NULL: null. The marks are left out. */
void text_json(struct text *t, const char *string);
/* Percent-encoded: for one segment of a path, or a value in a query. */
void text_url(struct text *t, const char *string);
/* Milliseconds with up to six decimals, without trailing zeros. */
void text_ms(struct text *t, cease_dur d);

#define MARK_BEGIN '\x02'
#define MARK_END   '\x03'

/* The length of the UTF-8 sequence at s (1 to 4), or 0 if it is none. `s` ends in NUL. */
size_t utf8_length(const char *s);

#endif
