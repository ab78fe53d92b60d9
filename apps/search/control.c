/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <string.h>
#include <strings.h>

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? newline : end;
}

bool piece_is(struct piece p, const char *string)
{
    return p.data && p.size == strlen(string) && memcmp(p.data, string, p.size) == 0;
}

static struct piece trimmed(const char *begin, const char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\r'))
        end--;
    return (struct piece){begin, (size_t)(end - begin)};
}

static struct piece *field_of(struct stanza *s, const char *name, size_t size)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {{"Package", offsetof(struct stanza, package)},
                  {"Status", offsetof(struct stanza, status)},
                  {"Version", offsetof(struct stanza, version)},
                  {"Section", offsetof(struct stanza, section)},
                  {"Homepage", offsetof(struct stanza, homepage)},
                  {"Description", offsetof(struct stanza, description)},
                  {"Description-en", offsetof(struct stanza, description)}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strlen(fields[i].name) == size && strncasecmp(fields[i].name, name, size) == 0)
            return (struct piece *)(void *)((char *)s + fields[i].offset);
    return NULL;
}

bool control_next(const char **at, const char *end, struct stanza *ret)
{
    const char *s = *at;
    *ret = (struct stanza){0};
    while (s < end && *s == '\n')
        s++;
    bool any = s < end;
    while (s < end && *s != '\n') {
        const char *first_end = line_end(s, end);
        const char *colon = memchr(s, ':', (size_t)(first_end - s));
        const char *stop = first_end;
        while (stop + 1 < end && (stop[1] == ' ' || stop[1] == '\t'))
            stop = line_end(stop + 1, end);
        struct piece *field = colon && *s != ' ' ? field_of(ret, s, (size_t)(colon - s)) : NULL;
        if (field)
            *field = trimmed(colon + 1, stop);
        s = stop < end ? stop + 1 : end;
    }
    *at = s;
    return any;
}

struct piece control_summary(struct piece description)
{
    if (!description.data)
        return description;
    return trimmed(description.data,
                   line_end(description.data, description.data + description.size));
}

void control_long_text(struct text *t, struct piece description)
{
    if (!description.data)
        return;
    const char *end = description.data + description.size;
    const char *at = line_end(description.data, end);
    bool inside = false; /* a paragraph, which the next line goes on */
    while (at < end) {
        const char *line = at + 2; /* behind the newline and the space that continues the field */
        at = line_end(at + 1, end);
        if (line >= at || (line + 1 == at && *line == '.')) { /* " ." is a blank line */
            if (t->size > 0)
                text_puts(t, inside ? "\n\n" : "\n");
            inside = false;
        } else if (*line == ' ' || *line == '\t') { /* verbatim */
            if (inside)
                text_putc(t, '\n');
            text_add(t, line, (size_t)(at - line));
            text_putc(t, '\n');
            inside = false;
        } else {
            if (inside)
                text_putc(t, ' ');
            text_add(t, line, (size_t)(at - line));
            inside = true;
        }
    }
}
