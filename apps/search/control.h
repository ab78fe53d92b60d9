/* SPDX-License-Identifier: MIT
 *
 * control.h: reads Debian's control files: dpkg's status, apt's Packages and Translation lists.
 *
 * A file is stanzas separated by blank lines, a stanza fields "Name: value", and a value goes on in
 * lines that begin with a space (deb822(5)). Nothing is copied: a field is a piece of the input.
 */
#ifndef SEARCH_CONTROL_H
#define SEARCH_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

struct piece {
    const char *data; /* NULL: the field is not there */
    size_t size;
};

struct stanza {
    struct piece package;
    struct piece status;
    struct piece version;
    struct piece section;
    struct piece homepage;
    struct piece description; /* Description, or Description-en: first line the summary, then the
                                 long text */
};

/* Reads the next stanza from *at, which moves behind it; false at the end. */
bool control_next(const char **at, const char *end, struct stanza *ret);

/* The first line of a description. */
struct piece control_summary(struct piece description);

/* The long text of a description as plain text: paragraphs and verbatim lines (which keep their
 * indentation, of at least one space), blank lines between. */
void control_long_text(struct text *t, struct piece description);

bool piece_is(struct piece p, const char *string);

#endif
