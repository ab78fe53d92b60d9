/* SPDX-License-Identifier: MIT
 *
 * sanitize.c: lets only harmless HTML through.
 *
 * The pages come from packages, so what mandoc makes of them is somebody's text. Tags and
 * attributes that are not on the list are left out (their content stays); a link may only lead to
 * http, https, ftp, mailto, this server, or this page. The input is mandoc's, whose attributes are
 * always in double quotes: a tag in any other form is escaped, not guessed at.
 *
 * Most pages name others only by their looks, "<b>kill</b>(2)": these are made links here as well.
 */
#include <stdio.h>
#include <string.h>

#include "render.h"
#include "text.h"

static const char *const tags[] = {
    "a",  "b",  "br",      "code",  "dd",   "div",    "dl",   "dt",  "em",    "h1",
    "h2", "h3", "h4",      "hr",    "i",    "li",     "mark", "ol",  "p",     "pre",
    "q",  "s",  "section", "small", "span", "strong", "sub",  "sup", "table", "tbody",
    "td", "th", "thead",   "tr",    "tt",   "u",      "ul",   "var", "cite",  "caption"};
static const char *const attributes[] = {"class", "colspan", "href", "id", "rowspan", "title"};

static bool listed(const char *const *list, size_t count, const char *word, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], word, size) == 0 && list[i][size] == '\0')
            return true;
    return false;
}
#define LISTED(list, word, size) listed(list, sizeof(list) / sizeof *(list), word, size)

static size_t name_length(const char *s)
{
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

static bool safe_link(const char *value, size_t size)
{
    static const char *const schemes[] = {"http://", "https://", "ftp://", "mailto:"};
    if (size > 0 && value[0] == '#')
        return true;
    if (size > 0 && value[0] == '/')
        return size == 1 || (value[1] != '/' && value[1] != '\\');
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (size > strlen(schemes[i]) && strncmp(value, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

/* Where the tag at `s` (a '<') ends, behind its '>'; NULL: it is no tag of the expected form. */
static const char *tag_end(const char *s)
{
    s++;
    if (*s == '/')
        s++;
    size_t length = name_length(s);
    if (length == 0)
        return NULL;
    s += length;
    for (;;) {
        s += strspn(s, " \t\r\n");
        if (*s == '/' && s[1] == '>')
            return s + 2;
        if (*s == '>')
            return s + 1;
        length = name_length(s);
        if (length == 0)
            return NULL;
        s += length;
        if (*s != '=')
            continue;
        if (s[1] != '"')
            return NULL;
        s = strchr(s + 2, '"');
        if (!s)
            return NULL;
        s++;
    }
}

/* Writes the listed attributes of the tag whose name ends at s. tag_end has found it well-formed.
 */
static void copy_attributes(struct text *t, const char *s, const char *end)
{
    while (s < end) {
        s += strspn(s, " \t\r\n/>");
        size_t length = name_length(s);
        if (length == 0)
            return;
        const char *name = s;
        s += length;
        if (*s != '=')
            continue;
        const char *value = s + 2;
        const char *quote = strchr(value, '"');
        size_t size = (size_t)(quote - value);
        s = quote + 1;
        if (!LISTED(attributes, name, length))
            continue;
        if (strncmp(name, "href", length) == 0 && !safe_link(value, size))
            continue;
        text_putc(t, ' ');
        text_add(t, name, length);
        text_puts(t, "=\"");
        for (size_t i = 0; i < size; i++) {
            if (value[i] == '<')
                text_puts(t, "&lt;");
            else
                text_add(t, &value[i], 1);
        }
        text_putc(t, '"');
    }
}

static const char *copy_tag(struct text *t, const char *s, const char *end)
{
    const char *name = s + 1 + (s[1] == '/');
    size_t length = name_length(name);
    if (!LISTED(tags, name, length))
        return end;
    text_add(t, s, (size_t)(name + length - s));
    if (s[1] != '/')
        copy_attributes(t, name + length, end);
    text_putc(t, '>');
    return end;
}

/* The content of these is no text: it goes with the tag. */
static const char *skip_raw(const char *s)
{
    static const char *const raw[] = {"script", "style"};
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(raw[i]);
        if (strncmp(s + 1, raw[i], length) != 0 || name_length(s + 1) != length)
            continue;
        char end[16];
        snprintf(end, sizeof end, "</%s", raw[i]);
        const char *close = strstr(s, end);
        return close ? close : s + strlen(s);
    }
    return NULL;
}

/* The length of "<b>NAME</b>(SECTION)" at s, or 0; the names are pieces of it. */
static size_t reference_at(const char *s, const char **ret_name, size_t *ret_name_size,
                           const char **ret_section, size_t *ret_section_size)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+:-";
    if (s[0] != '<' || (s[1] != 'b' && s[1] != 'i') || s[2] != '>')
        return 0;
    const char *name = s + 3;
    size_t size = strspn(name, letters);
    const char *close = name + size;
    if (size == 0 || close[0] != '<' || close[1] != '/' || close[2] != s[1] || close[3] != '>' ||
        close[4] != '(')
        return 0;
    const char *section = close + 5;
    size_t section_size = strspn(section, letters);
    if (section_size == 0 || section_size > 8 || section[0] < '1' || section[0] > '9' ||
        section[section_size] != ')')
        return 0;
    *ret_name = name;
    *ret_name_size = size;
    *ret_section = section;
    *ret_section_size = section_size;
    return (size_t)(section + section_size + 1 - s);
}

/* Makes the reference at s a link, when it is one; returns what is behind it, or s. */
static const char *copy_reference(struct text *t, const char *s)
{
    const char *name;
    const char *section;
    size_t name_size;
    size_t section_size;
    size_t size = reference_at(s, &name, &name_size, &section, &section_size);
    if (size == 0)
        return s;
    text_printf(t, "<a href=\"/doc/manual/%.*s.%.*s\">", (int)name_size, name, (int)section_size,
                section);
    text_add(t, s, size);
    text_puts(t, "</a>");
    return s + size;
}

char *render_sanitize(const char *html)
{
    struct text t = {0};
    bool linked = false; /* inside a link: no link in a link */
    while (*html) {
        size_t plain = strcspn(html, "<");
        text_add(&t, html, plain);
        html += plain;
        if (!*html)
            break;
        const char *behind = linked ? html : copy_reference(&t, html);
        if (behind != html) {
            html = behind;
            continue;
        }
        behind = skip_raw(html);
        const char *end = tag_end(html);
        if (behind) {
            html = behind;
        } else if (strncmp(html, "<!--", 4) == 0) {
            const char *close = strstr(html, "-->");
            html = close ? close + 3 : html + strlen(html);
        } else if (end) {
            linked = strncmp(html, "<a ", 3) == 0 || (linked && strncmp(html, "</a>", 4) != 0);
            html = copy_tag(&t, html, end);
        } else {
            text_puts(&t, "&lt;");
            html++;
        }
    }
    if (!t.data)
        text_putc(&t, '\n');
    if (t.failed) {
        text_deinit(&t);
        return NULL;
    }
    return t.data;
}
